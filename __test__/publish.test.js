'use strict';

// Directed events: who gets them, with what, in which order, and what their callbacks get.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Bus, LIMIT, barrier, openBus } = require('./support/bus');
const { answer, collect, spy } = require('./support/watch');
const { startBridge, startPeer } = require('./support/child');

test('a listener gets the arguments and a reply that says who asked', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = once(bob, 'greet');
  ann.publish('bob:greet', 'hello', { n: 1 }, [2], null, true);
  const args = await heard;
  const reply = args.pop();
  assert.deepEqual(args, ['hello', { n: 1 }, [2], null, true]);
  assert.equal(typeof reply, 'function');
  assert.deepEqual([reply.from, reply.event, reply.broadcast], ['ann', 'greet', false]);
});

test('the callback gets what reply was given, as it was given', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const replies = [[], [null], [null, 42], ['plain'], [null, 'a', 'b'], [{ deep: [1, { x: null }] }], [false, 0, '']];
  for (const given of replies) {
    bob.once('ask', (reply) => reply(...given));
    assert.deepEqual(await answer((cb) => ann.publish('bob:ask', cb)), given);
  }
});

test('an Error given to reply is an Error for the callback', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.on('ask', (reply) => reply(Object.assign(new RangeError('too far'), { code: 'E_FAR' })));
  const [err] = await answer((cb) => ann.publish('bob:ask', cb));
  assert.ok(err instanceof Error);
  assert.deepEqual([err.name, err.message, err.code], ['RangeError', 'too far', 'E_FAR']);
});

test("a handler's value reaches a callback as (null, value), its throw or rejection as (err)", LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.serve('sum', ({ from }, a, b) => (assert.equal(from, 'ann'), a + b));
  bob.handle('slow', async (a) => `${a}!`);
  bob.handle('throws', () => {
    throw new TypeError('no');
  });
  bob.handle('rejects', () => Promise.reject(Object.assign(new Error('later no'), { code: 'E_LATER' })));
  assert.deepEqual(await answer((cb) => ann.publish('bob:sum', 2, 3, cb)), [null, 5]);
  assert.deepEqual(await answer((cb) => ann.publish('bob:slow', 'hm', cb)), [null, 'hm!']);
  assert.equal((await answer((cb) => ann.publish('bob:throws', cb)))[0].name, 'TypeError');
  assert.equal((await answer((cb) => ann.publish('bob:rejects', cb)))[0].code, 'E_LATER');
});

test('a callback is called exactly once, however often reply is', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.on('ask', (reply) => {
    reply('first');
    reply('second');
    reply(new Error('third'));
  });
  bob.on('ask', (reply) => reply('from another listener'));
  const lost = collect(ann, 'undeliverable');
  const { fn, calls, called } = spy();
  ann.publish('bob:ask', fn);
  await called;
  await barrier(ann, bob);
  assert.deepEqual(calls, [['first']]);
  assert.deepEqual(lost.values, []);
});

test('callbacks and answers belong together, whatever the order of the replies', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const waiting = [];
  bob.on('ask', (n, reply) => {
    waiting.push(() => reply(null, n));
    if (waiting.length === 200) waiting.reverse().forEach((send) => send());
  });
  const asked = Array.from({ length: 200 }, (_, n) => answer((cb) => ann.publish('bob:ask', n, cb)));
  assert.deepEqual(await Promise.all(asked), Array.from({ length: 200 }, (_, n) => [null, n]));
});

test('without a callback nothing is owed: a reply to nobody disturbs nobody', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const lost = collect(ann, 'undeliverable');
  const replied = once(bob, 'tell').then(([reply]) => reply('unasked'));
  ann.publish('bob:tell');
  await replied;
  await barrier(ann, bob);
  assert.deepEqual(lost.values, []);
});

test('an event name may contain colons', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.handle('a:b:c', () => 'heard');
  assert.equal(await ann.request('bob:a:b:c'), 'heard');
});

test('names in any script, and names that objects know', LIMIT, async (t) => {
  const bus = await openBus(t);
  const names = ['Ünïcödé', '日本', '🚌', '__proto__', 'constructor', 'toString', 'hasOwnProperty', ' ', 'a/b?c#d%20'];
  const nodes = await bus.nodes(...names);
  for (const node of nodes) for (const event of names) node.serve(event, (asked) => [node.id, asked.event, asked.from]);
  for (const to of names) {
    for (const event of names) assert.deepEqual(await nodes[0].request(`${to}:${event}`), [to, event, names[0]]);
  }
});

test('more names than any table holds, in flight at once: each event arrives as itself', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const names = Array.from({ length: 9000 }, (_, n) => `event-${n}`);
  bob.setMaxListeners(0);
  for (const name of names) bob.serve(name, ({ event, from }, n) => [n, event, from]);
  const first = await Promise.all(names.map((name, n) => ann.request(`bob:${name}`, n)));
  assert.deepEqual(first, names.map((name, n) => [n, name, 'ann']));
  const again = await Promise.all(names.slice(0, 100).map((name, n) => ann.request(`bob:${name}`, n)));
  assert.deepEqual(again, first.slice(0, 100));
});

test('a node may talk to itself', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  ann.serve('mirror', ({ from }, value) => [value, from]);
  assert.deepEqual(await ann.request('ann:mirror', 1), [1, 'ann']);
});

test('nobody has that id: ERR_UNKNOWN_NODE at once, once', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const { fn, calls, called } = spy();
  ann.publish('nobody:event', 'value', fn);
  const [err] = await called;
  assert.equal(err.code, 'ERR_UNKNOWN_NODE');
  assert.ok(err instanceof Error);
  assert.match(err.message, /^unknown-node.*nobody/);
  await ann.nodes();
  assert.equal(calls.length, 1);
});

test('the node is there but nothing listens: ERR_NO_LISTENER', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const [err] = await answer((cb) => ann.publish('bob:event', cb));
  assert.equal(err.code, 'ERR_NO_LISTENER');
  assert.match(err.message, /event/);
  bob.once('event', (reply) => reply('now'));
  assert.deepEqual(await answer((cb) => ann.publish('bob:event', cb)), ['now']);
  assert.equal((await answer((cb) => ann.publish('bob:event', cb)))[0].code, 'ERR_NO_LISTENER');
});

test("what cannot be delivered and has no callback is 'undeliverable'", LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann] = await bus.nodes('ann', 'bob');
  const lost = collect(ann, 'undeliverable');
  ann.publish('nobody:event', 1);
  ann.publish('bob:unheard', 2);
  await lost.reached(2);
  const byEvent = Object.fromEntries(lost.values.map((facts) => [facts.event, facts]));
  assert.equal(byEvent.event.code, 'ERR_UNKNOWN_NODE');
  assert.match(byEvent.event.target, /^nobody/);
  assert.equal(byEvent.unheard.code, 'ERR_NO_LISTENER');
  assert.match(byEvent.unheard.target, /^bob/);
});

test('a target that is no target throws ERR_INVALID_TARGET at once', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const tooLong = [`${'x'.repeat(256)}:event`, `node:${'é'.repeat(513)}`];
  const targets = ['event', ':event', 'node:', '', ':', 7, null, undefined, {}, ...tooLong];
  for (const target of targets) {
    for (const method of ['publish', 'request']) {
      assert.throws(() => ann[method](target, 1), { name: 'TypeError', code: 'ERR_INVALID_TARGET' }, String(target));
    }
  }
});

test('an event name of 1024 bytes is the longest', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const long = 'é'.repeat(512);
  bob.handle(long, () => 'heard');
  assert.equal(await ann.request(`bob:${long}`), 'heard');
});

test("'error', 'close' and the like cannot be sent: ERR_RESERVED_EVENT at once", LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const reserved = [
    'error', 'close', 'connect', 'disconnect', 'reconnect', 'drain', 'leave.force', 'error.reconnect',
    'undeliverable', 'node:join', 'node:leave', 'newListener', 'removeListener',
  ];
  for (const event of reserved) {
    const refusal = { name: 'TypeError', code: 'ERR_RESERVED_EVENT' };
    assert.throws(() => ann.publish(`bob:${event}`, 1), refusal, event);
    assert.throws(() => ann.request(`bob:${event}`, 1), refusal, event);
    assert.throws(() => ann.broadcast(event, 1), refusal, event);
  }
  await barrier(ann, bob);
});

test('10 000 messages of mixed size and kind keep their order', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const seen = [];
  bob.on('direct', (n) => seen.push(n));
  bob.on('all', (n) => seen.push(n));
  bob.handle('asked', (n) => void seen.push(n));
  await bob.nodes(); // the bridge knows that bob listens
  const ballast = Buffer.alloc(300_000, 7);
  for (let n = 0; n < 10_000; n += 1) {
    if (n % 1000 === 500) ann.publish('bob:direct', n, ballast);
    else if (n % 3 === 0) ann.broadcast('all', n);
    else if (n % 3 === 1) ann.publish('bob:direct', n);
    else ann.publish('bob:asked', n, () => {});
  }
  await barrier(ann, bob);
  assert.equal(seen.length, 10_000);
  assert.deepEqual(seen, [...Array(10_000).keys()]);
});

test('order holds between processes, with the bridge in a third', LIMIT, async (t) => {
  const bus = new Bus(t);
  bus.address = { url: (await startBridge(t, { path: bus.path })).url };
  const far = await startPeer(t, { ...bus.address, id: 'far' });
  const ann = await bus.node('ann');
  for (let n = 0; n < 1000; n += 1) ann.publish('far:note', n);
  for (let n = 0; n < 1000; n += 1) assert.equal((await far.next('note')).value, n);
});

test('replies keep the order in which they were given', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.handle('n', (n) => n);
  const order = [];
  await Promise.all([...Array(1000).keys()].map((n) => ann.request('bob:n', n).then((value) => order.push(value))));
  assert.deepEqual(order, [...Array(1000).keys()]);
});

test('a listener that is removed inside a batch hears nothing more', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const seen = [];
  bob.on('tick', function heard(n) {
    seen.push(n);
    if (n === 4) bob.off('tick', heard);
  });
  const lost = collect(ann, 'undeliverable');
  for (let n = 0; n < 10; n += 1) ann.publish('bob:tick', n);
  await lost.reached(5);
  assert.deepEqual(seen, [0, 1, 2, 3, 4]);
  assert.deepEqual(lost.values.map(({ code }) => code), Array(5).fill('ERR_NO_LISTENER'));
});

test('names that are made up while a message is written do not change where it goes', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const seen = collect(bob, 'note', (value) => value);
  ann.on('undeliverable', () => {}); // expected for all the made-up ones
  const chatty = {
    toJSON() {
      for (let n = 0; n < 5000; n += 1) ann.publish(`nobody:${n}`);
      return 'mine';
    },
  };
  ann.publish('bob:note', chatty);
  await ann.request('bob:barrier');
  for (let n = 0; n < 5000; n += 1) ann.publish(`bob:other-${n}`);
  ann.publish('bob:note', 'last');
  assert.deepEqual(await seen.reached(2), ['mine', 'last']);
});
