'use strict';

// Requests as promises: what they resolve to, why they reject, and that they settle exactly once.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { LIMIT, announced, barrier, openBus } = require('./support/bus');
const { answer, collect, spy } = require('./support/watch');
const { startPeer } = require('./support/child');

test('request resolves with what a listener replies', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const variants = [
    [['value'], 'value'],
    [[null, 42], 42],
    [[undefined, 'x'], 'x'],
    [[null, 'first', 'second'], 'first'],
    [[{ a: 1 }], { a: 1 }],
    [[0], 0],
    [['not null', 2], 'not null'],
  ];
  for (const [given, expected] of variants) {
    bob.once('ask', (reply) => reply(...given));
    assert.deepEqual(await ann.request('bob:ask'), expected, JSON.stringify(given));
  }
  bob.once('ask', (reply) => reply());
  assert.equal((await ann.request('bob:ask')) ?? null, null);
});

test('request rejects with an Error given to reply, thrown or rejected with', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const failure = Object.assign(new SyntaxError('bad word'), { code: 'E_WORD' });
  bob.on('replied', (reply) => reply(failure));
  bob.handle('thrown', () => {
    throw failure;
  });
  bob.handle('rejected', async () => {
    throw failure;
  });
  for (const event of ['replied', 'thrown', 'rejected']) {
    const expected = { name: 'SyntaxError', message: 'bad word', code: 'E_WORD' };
    await assert.rejects(ann.request(`bob:${event}`), expected, event);
  }
});

test('what a handler throws need not be an Error', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  for (const [n, thrown] of ['just text', undefined, null, { code: 7 }].entries()) {
    bob.handle(`odd-${n}`, () => Promise.reject(thrown));
    await assert.rejects(ann.request(`bob:odd-${n}`), (err) => err instanceof Error, String(thrown));
  }
});

test('a handler may return nothing, false, zero, an empty string', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.handle('give', (value) => value);
  for (const value of [null, false, 0, '', []]) assert.deepEqual(await ann.request('bob:give', value), value);
  bob.handle('nothing', () => {});
  assert.equal((await ann.request('bob:nothing')) ?? null, null);
});

test('a handler that returns an Error rejects, or gives an Error: never an empty object', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.handle('odd', () => new Error('as a value'));
  const outcome = await ann.request('bob:odd').catch((err) => err);
  assert.ok(outcome instanceof Error);
  assert.equal(outcome.message, 'as a value');
});

test('request rejects at once: ERR_UNKNOWN_NODE, ERR_NO_LISTENER', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann] = await bus.nodes('ann', 'bob');
  const lost = collect(ann, 'undeliverable');
  await assert.rejects(ann.request('nobody:x'), { code: 'ERR_UNKNOWN_NODE', message: /^unknown-node/ });
  await assert.rejects(ann.request('bob:unheard'), { code: 'ERR_NO_LISTENER' });
  assert.deepEqual(lost.values, [], 'told once, not twice');
});

test('the stack of a rejection points at the caller', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  async function askNobody() {
    return await ann.request('nobody:x');
  }
  await assert.rejects(askNobody(), (err) => err.stack.includes('askNobody'));
});

test('the other side leaves before it replies: ERR_NODE_LEFT', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob, eve] = await bus.nodes('ann', 'bob', 'eve');
  for (const [node, force] of [[bob, true], [eve, false]]) {
    const asked = collect(node, 'silence');
    const { fn, calls, called } = spy();
    ann.publish(`${node.id}:silence`, fn);
    const request = assert.rejects(ann.request(`${node.id}:silence`), { code: 'ERR_NODE_LEFT' });
    await asked.reached(2);
    await node.leave(force);
    await request;
    assert.equal((await called)[0].code, 'ERR_NODE_LEFT');
    await ann.nodes();
    assert.equal(calls.length, 1);
  }
});

test('the process of the other side is killed before it replies: ERR_NODE_LEFT', LIMIT, async (t) => {
  const bus = await openBus(t, { resumeTimeout: 50 });
  const ann = await bus.node('ann');
  const peer = await startPeer(t, { ...bus.address, id: 'mortal' });
  const gone = once(bus.bridge, 'node:leave');
  const pending = assert.rejects(ann.request('mortal:silence'), { code: 'ERR_NODE_LEFT' });
  await peer.next('asked');
  await Promise.all([peer.kill(), pending]);
  assert.equal((await gone)[0].id, 'mortal');
  await assert.rejects(ann.request('mortal:silence'), { code: 'ERR_UNKNOWN_NODE' });
});

test('nobody replies: ERR_TIMEOUT after replyTimeout, once, and the late reply is dropped', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [hasty, bob] = await Promise.all([bus.node('hasty', { replyTimeout: 30 }), bus.node('bob')]);
  const replies = collect(bob, 'ask', (reply) => reply);
  const lost = collect(hasty, 'undeliverable');
  const { fn, calls, called } = spy();
  hasty.publish('bob:ask', fn);
  await assert.rejects(hasty.request('bob:ask'), { code: 'ERR_TIMEOUT', message: /30/ });
  assert.equal((await called)[0].code, 'ERR_TIMEOUT');
  await replies.reached(2);
  for (const reply of replies.values) reply('too late');
  await hasty.with({ timeout: 0 }).request('bob:barrier');
  assert.equal(calls.length, 1);
  assert.deepEqual(lost.values, []);
});

test('with({ timeout }) holds for the calls made through it only; 0 is for ever', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await Promise.all([bus.node('ann', { replyTimeout: 40 }), bus.node('bob')]);
  const asked = collect(bob, 'ask', (reply) => reply);
  const patient = ann.with({ timeout: 0 }).request('bob:ask');
  const [reply] = await asked.reached(1);
  await assert.rejects(ann.with({ timeout: 10 }).request('bob:ask'), { code: 'ERR_TIMEOUT' });
  await assert.rejects(ann.request('bob:ask'), { code: 'ERR_TIMEOUT' });
  reply('worth the wait');
  assert.equal(await patient, 'worth the wait');
});

test('with() covers publish, call and rpc too', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.on('silence', () => {});
  bus.bridge.handle('never', () => new Promise(() => {}));
  const hasty = ann.with({ timeout: 20 });
  assert.equal((await answer((cb) => hasty.publish('bob:silence', cb)))[0].code, 'ERR_TIMEOUT');
  assert.equal((await answer((cb) => hasty.rpc('never', cb)))[0].code, 'ERR_TIMEOUT');
  await assert.rejects(hasty.call('never'), { code: 'ERR_TIMEOUT' });
});

test('with() checks its options', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  for (const options of [{ timeout: -1 }, { timeout: 'x' }, { signal: {} }, { signal: 'stop' }]) {
    assert.throws(() => ann.with(options), { name: 'TypeError', code: 'ERR_INVALID_ARG' }, JSON.stringify(options));
  }
});

test('an aborted request rejects with ABORT_ERR, and its late reply is dropped', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const trouble = [collect(ann, 'undeliverable'), collect(bob, 'undeliverable')];
  const controller = new AbortController();
  const asked = once(bob, 'ask');
  const { fn, calls, called } = spy();
  const aborted = assert.rejects(ann.with({ signal: controller.signal }).request('bob:ask'), {
    name: 'AbortError',
    code: 'ABORT_ERR',
  });
  ann.with({ signal: controller.signal }).publish('bob:other', fn);
  bob.on('other', () => {});
  const [reply] = await asked;
  controller.abort();
  await aborted;
  assert.equal((await called)[0].code, 'ABORT_ERR');
  reply('too late');
  await barrier(ann, bob);
  assert.equal(calls.length, 1);
  assert.deepEqual(trouble.map(({ values }) => values), [[], []]);
});

test('a signal that is aborted already sends nothing', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const asked = collect(bob, 'ask');
  await assert.rejects(ann.with({ signal: AbortSignal.abort() }).request('bob:ask'), { code: 'ABORT_ERR' });
  await barrier(ann, bob);
  assert.deepEqual(asked.values, []);
});

test('an abort after the reply changes nothing, and the signal keeps no listener', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.handle('ask', () => 'answer');
  const controller = new AbortController();
  let listeners = 0;
  const { signal } = controller;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args) => ((listeners += 1), addEventListener.apply(signal, args));
  signal.removeEventListener = (...args) => ((listeners -= 1), removeEventListener.apply(signal, args));
  assert.equal(await ann.with({ signal }).request('bob:ask'), 'answer');
  assert.equal(listeners, 0);
  controller.abort();
  assert.equal(await ann.request('bob:ask'), 'answer');
});

test('many requests in flight to many nodes all settle, each with its own', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const ids = Array.from({ length: 10 }, (_, n) => `node-${n}`);
  const nodes = await bus.nodes(...ids);
  for (const node of nodes) node.handle('who', (n) => `${node.id}/${n}`);
  await announced(...nodes);
  const asked = Array.from({ length: 3000 }, (_, n) => ann.request(`node-${n % 10}:who`, n));
  const replies = await Promise.all(asked);
  replies.forEach((reply, n) => assert.equal(reply, `node-${n % 10}/${n}`));
});

test('a request whose bus is closed under it rejects', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const asked = once(bob, 'silence');
  const request = assert.rejects(ann.request('bob:silence'), { code: /^ERR_(CLOSED|NODE_LEFT)$/ });
  await asked;
  await bus.bridge.close();
  await request;
});

test('a handler is also a listener like others, and listeners beside it hear the event', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = collect(bob, 'ask', (value) => value);
  bob.handle('ask', (value) => value * 2);
  assert.equal(await ann.request('bob:ask', 21), 42);
  assert.deepEqual(heard.values, [21]);
  ann.broadcast('ask', 1);
  await barrier(ann, bob);
  assert.deepEqual(heard.values, [21, 1]);
});

test('handle wants a name and a function', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  for (const wrong of [[7, () => {}], ['x'], ['x', 'y'], ['', () => {}]]) {
    assert.throws(() => ann.handle(...wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG' });
  }
});

test('an event has one handler: a second is refused until the first is taken off', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const first = () => 'first';
  bob.handle('ask', first);
  assert.throws(() => bob.handle('ask', () => 'second'), { name: 'TypeError', code: 'ERR_INVALID_ARG' });
  assert.equal(await ann.request('bob:ask'), 'first');
  bob.off('ask', first).handle('ask', () => 'second');
  assert.equal(await ann.request('bob:ask'), 'second');
});
