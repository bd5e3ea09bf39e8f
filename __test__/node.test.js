'use strict';

// The node: how it is made, how it joins, who is refused, how it leaves.

const test = require('node:test');
const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const { Node, createNode } = require('..');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { answer, collect, spy } = require('./support/watch');
const { startPeer } = require('./support/child');
const { tap } = require('./support/proxy');

test('createNode(options, callback): callback and ready tell the first connection', LIMIT, async (t) => {
  const bus = await openBus(t);
  const { fn, calls, called } = spy();
  const node = bus.createNode({ path: bus.path, id: 'ann' }, fn);
  assert.ok(node instanceof Node && node instanceof EventEmitter);
  assert.equal(node.id, 'ann');
  assert.equal(node.connected, false);
  const [err] = await called;
  assert.equal(err ?? null, null);
  await node.ready;
  assert.equal(node.connected, true);
  assert.equal(node.hosting, false);
  await node.leave();
  assert.equal(calls.length, 1);
});

test('options.onConnect is that callback too', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [err] = await answer((onConnect) => bus.createNode({ path: bus.path, onConnect }));
  assert.equal(err ?? null, null);
});

test('(id, port, callback) in any order, as ever', LIMIT, async (t) => {
  const bus = await openBus(t, { port: 0 });
  const { port } = bus.bridge.address();
  const permutations = [
    (cb) => bus.createNode('a', port, cb),
    (cb) => bus.createNode(port, 'b', cb),
    (cb) => bus.createNode(port, cb, 'c'),
    (cb) => bus.createNode('d', cb, port),
  ];
  for (const make of permutations) assert.equal((await answer(make))[0] ?? null, null);
  const made = new Node('e', port);
  t.after(() => made.leave(true));
  await made.ready;
  assert.deepEqual((await made.nodes()).map(({ id }) => id).sort(), ['a', 'b', 'c', 'd', 'e']);
});

test('a string with :// is the url', LIMIT, async (t) => {
  const bus = await openBus(t);
  const node = bus.createNode(bus.bridge.url);
  await node.ready;
  assert.notEqual(node.id, bus.bridge.url);
});

test('id, url and callback as plain arguments', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [err] = await answer((cb) => (bus.visitor = bus.createNode('ann', bus.bridge.url, cb)));
  assert.equal(err ?? null, null);
  assert.deepEqual((await bus.visitor.nodes()).map(({ id }) => id), ['ann']);
});

test('without an id it gets a UUID of its own', LIMIT, async (t) => {
  const bus = await openBus(t);
  const nodes = [bus.createNode({ path: bus.path }), bus.createNode({ path: bus.path })];
  await Promise.all(nodes.map((node) => node.ready));
  for (const { id } of nodes) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.notEqual(nodes[0].id, nodes[1].id);
});

test("'connect' is emitted once", LIMIT, async (t) => {
  const bus = await openBus(t);
  const node = bus.dial('ann');
  const connects = collect(node, 'connect');
  await connects.reached(1);
  await barrier(node, node);
  assert.equal(connects.values.length, 1);
});

test('wrong options throw a TypeError at once that names the option', () => {
  const wrong = [
    ['id', { id: 7 }],
    ['id', { id: '' }],
    ['id', { id: 'a:b' }],
    ['id', { id: 'x'.repeat(256) }],
    ['id', { id: 'é'.repeat(128) }],
    ['onConnect', { onConnect: 'soon' }],
    ['maxConnectionAttempts', { maxConnectionAttempts: 'many' }],
    ['maxConnectionAttempts', { maxConnectionAttempts: -1 }],
    ['bridge', { bridge: 'maybe' }],
    ['replyTimeout', { replyTimeout: '30s' }],
    ['replyTimeout', { replyTimeout: -5 }],
    ['serialization', { serialization: 'xml' }],
    ['port', { port: 0 }],
    ['port', { port: 99_999 }],
    ['host', { host: 5, port: 1 }],
    ['maxMessage', { maxMessage: {} }],
    ['maxPending', { maxPending: -1 }],
  ];
  for (const [option, value] of wrong) {
    const options = 'port' in value ? value : { path: '/nowhere/x', ...value };
    assert.throws(
      () => createNode(options).leave(true),
      (err) => err instanceof TypeError && err.code === 'ERR_INVALID_ARG' && err.message.includes(option),
      JSON.stringify(value),
    );
  }
});

test('an id of 255 bytes is the longest', LIMIT, async (t) => {
  const bus = await openBus(t);
  const long = 'é'.repeat(127) + 'x';
  const [a, b] = await bus.nodes(long, 'bob');
  await barrier(b, a);
  assert.ok((await b.nodes()).some(({ id }) => id === long));
});

test('a taken id: ERR_DUPLICATE_NODE, and the first one is not disturbed', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const { fn, calls, called } = spy();
  const impostor = bus.createNode({ path: bus.path, id: 'ann' }, fn);
  impostor.on('error', () => {});
  const refused = (err) => err.code === 'ERR_DUPLICATE_NODE' && err.message.startsWith('duplicate-node');
  await assert.rejects(impostor.ready, refused);
  assert.ok(refused((await called)[0]));
  await barrier(bob, ann);
  assert.equal(ann.connected, true);
  assert.equal(impostor.connected, false);
  assert.equal(calls.length, 1);
});

test('an id is free again once its node has left', LIMIT, async (t) => {
  const bus = await openBus(t);
  for (let round = 0; round < 3; round += 1) {
    const node = await bus.node('phoenix');
    await node.leave();
  }
  await bus.node('phoenix');
});

test('nobody there: ERR_NO_BRIDGE after maxConnectionAttempts, to callback and ready', LIMIT, async (t) => {
  const bus = new Bus(t);
  const { fn, calls, called } = spy();
  const node = bus.createNode({ path: bus.path, maxConnectionAttempts: 2 }, fn);
  node.on('error', () => {});
  const gaveUp = collect(node, 'error.reconnect');
  await assert.rejects(node.ready, { code: 'ERR_NO_BRIDGE' });
  const [err] = await called;
  assert.equal(err.code, 'ERR_NO_BRIDGE');
  assert.ok(err.message.includes(bus.path), 'says where nobody was');
  await gaveUp.reached(1);
  await node.leave();
  assert.equal(calls.length, 1);
});

test('what waits for a connection that never comes is settled with it', LIMIT, async (t) => {
  const bus = new Bus(t);
  const node = bus.dial('ann', { maxConnectionAttempts: 2 });
  node.on('error', () => {});
  const { fn, calls, called } = spy();
  const lost = collect(node, 'undeliverable');
  node.publish('bob:hello', fn);
  node.publish('bob:greeting');
  const refused = { code: /^ERR_(NO_BRIDGE|CLOSED)$/ };
  await assert.rejects(node.request('bob:question'), refused);
  assert.match((await called)[0].code, refused.code);
  const [{ event, code }] = await lost.reached(1);
  assert.equal(event, 'greeting');
  assert.match(code, refused.code);
  await assert.rejects(node.ready, { code: 'ERR_NO_BRIDGE' });
  assert.equal(calls.length, 1);
});

test('the first connection waits for a bridge that comes later, and what was asked meanwhile is answered', LIMIT, async (t) => {
  const bus = new Bus(t);
  const ann = bus.dial('ann', { maxConnectionAttempts: 1000 });
  const asked = ann.call('time');
  const bridge = bus.createBridge({ path: bus.path }).handle('time', () => 'late');
  await bridge.ready;
  await ann.ready;
  assert.equal(await asked, 'late');
});

test('messages given before the connection are delivered in order once it stands', LIMIT, async (t) => {
  const bus = await openBus(t);
  const bob = await bus.node('bob');
  const seen = collect(bob, 'early');
  const ann = bus.dial('ann');
  for (let n = 0; n < 50; n += 1) ann.publish('bob:early', n);
  assert.deepEqual(await seen.reached(50), [...Array(50).keys()]);
});

test('leave(): everything sent before is delivered first', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const seen = collect(bob, 'last-words');
  for (let n = 0; n < 2000; n += 1) ann.publish('bob:last-words', n);
  await ann.leave();
  assert.deepEqual(await seen.reached(2000), [...Array(2000).keys()]);
  assert.equal(ann.connected, false);
  await assert.rejects(bob.request('ann:barrier'), { code: 'ERR_UNKNOWN_NODE' });
});

test('leave() is idempotent, in any order with leave(true)', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const left = collect(bus.bridge, 'node:leave');
  await Promise.all([ann.leave(), ann.leave(), ann.leave(true)]);
  await ann.leave();
  await ann.leave(true);
  await left.reached(1);
  await bus.node('bob');
  assert.equal(left.values.length, 1);
});

test("leave(true) leaves at once, with 'leave.force'", LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.on('silence', () => {});
  const forced = collect(ann, 'leave.force');
  const pending = ann.request('bob:silence');
  const settled = assert.rejects(pending, { code: 'ERR_CLOSED' });
  await ann.leave(true);
  await settled;
  assert.equal(forced.values.length, 1);
});

for (const unsent of ['a question', 'more than the link takes', 'nothing, and no welcome yet']) {
  test(`leave(true) with something unsent is a goodbye, not a death: ${unsent}`, LIMIT, async (t) => {
    const bus = await openBus(t, { resumeTimeout: 600_000 });
    const wire = await tap(t, bus);
    const eve = await bus.node('eve');
    const left = collect(eve, 'node:leave', ({ id }, reason) => [id, reason]);
    const joined = collect(eve, 'node:join', ({ id }) => id);
    await announced(eve);
    if (unsent === 'nothing, and no welcome yet') {
      const ann = bus.dial('ann');
      await joined.reached(1);
      ann.leave(true);
      return assert.deepEqual(await left.reached(1), [['ann', 'left']]);
    }
    const ann = await bus.node('ann', { path: wire.path, url: undefined });
    ann.handle('hello', () => new Promise(() => {}));
    const asked = once(ann, 'hello');
    const waits = assert.rejects(eve.request('ann:hello'), { code: 'ERR_NODE_LEFT' });
    await asked;
    if (unsent === 'more than the link takes') {
      wire.pause();
      for (let n = 0; n < 30; n += 1) ann.publish('eve:bulk', Buffer.alloc(1_000_000));
      // They are written at the end of the tick, as far as the socket takes them.
      await new Promise(setImmediate);
    }
    const told = collect(ann, 'undeliverable');
    const question = ann.request('eve:barrier');
    await Promise.all([ann.leave(true), assert.rejects(question, { code: 'ERR_CLOSED' })]);
    assert.equal(ann.needDrain, false);
    wire.resume();
    assert.deepEqual(await left.reached(1), [['ann', 'left']]);
    await waits;
    if (unsent === 'more than the link takes') assert.ok(told.values.length > 0);
    // Whoever has its id next is somebody else.
    const next = await bus.node('ann');
    assert.equal(await eve.request('ann:barrier'), 'passed');
    await next.leave();
  });
}

test('after leave() nothing can be sent: ERR_CLOSED, never silence', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann] = await bus.nodes('ann', 'bob');
  await ann.leave();
  await assert.rejects(ann.request('bob:barrier'), { code: 'ERR_CLOSED' });
  await assert.rejects(ann.call('method'), { code: 'ERR_CLOSED' });
  await assert.rejects(ann.nodes(), { code: 'ERR_CLOSED' });
  const [err] = await answer((cb) => ann.publish('bob:x', cb));
  assert.equal(err.code, 'ERR_CLOSED');
  const lost = collect(ann, 'undeliverable');
  ann.publish('bob:a:b').broadcast('c:d').rpc('e:f');
  await lost.reached(3);
  assert.deepEqual(lost.values.map(({ event, code }) => [event, code]), [
    ['a:b', 'ERR_CLOSED'],
    ['c:d', 'ERR_CLOSED'],
    ['e:f', 'ERR_CLOSED'],
  ]);
});

test('leave() before the connection stands settles, and ready with it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const node = bus.dial('hasty');
  const outcome = node.ready.then(() => 'ready', (err) => err.code);
  await node.leave();
  assert.ok(['ready', 'ERR_CLOSED'].includes(await outcome));
  await bus.node('hasty'); // nobody holds the id
});

test('ready of a node that fails is never an unhandledRejection by itself', LIMIT, async (t) => {
  const bus = await openBus(t);
  await bus.node('ann');
  const { fn, called } = spy();
  bus.createNode({ path: bus.path, id: 'ann' }, fn).on('error', () => {});
  await called;
  await new Promise(setImmediate); // rejections are reported after the microtasks, and fail the test
});

test("nodes() tells everybody, this one included; 'node:join' and 'node:leave' tell the others", LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const joined = collect(ann, 'node:join', ({ id }) => id);
  const left = collect(ann, 'node:leave', ({ id }) => id);
  await ann.nodes(); // the bridge knows that ann wants to be told
  const peer = await startPeer(t, { ...bus.address, id: 'far' });
  const here = await bus.node('near');
  const facts = await ann.nodes();
  assert.deepEqual(facts.map(({ id }) => id).sort(), ['ann', 'far', 'near']);
  assert.equal(facts.find(({ id }) => id === 'far').pid, peer.pid);
  await joined.reached(2);
  await here.leave();
  peer.send({ do: 'leave' });
  await left.reached(2);
  assert.deepEqual(joined.values.filter((id) => id !== 'ann').sort(), ['far', 'near']);
  assert.deepEqual(left.values.sort(), ['far', 'near']);
});

test('methods that return the node can be chained', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const chained = ann.handle('x', () => {}).publish('ann:x').broadcast('y').rpc('z', () => {}).unref().ref();
  assert.equal(chained, ann);
});

test('Symbol.asyncDispose leaves', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  await ann[Symbol.asyncDispose]();
  assert.equal(ann.connected, false);
  await bus.node('ann');
});

test('leave() as soon as others see the node is a goodbye, not a death', LIMIT, async (t) => {
  const bus = await openBus(t);
  for (let round = 0; round < 50; round += 1) {
    const joined = once(bus.bridge, 'node:join');
    const left = once(bus.bridge, 'node:leave');
    const node = bus.dial(`guest-${round}`);
    await joined; // the bridge knows it; its own welcome may still be under way
    await node.leave();
    assert.equal((await left)[1], 'left');
  }
});
