'use strict';

// rpc and call: questions to the bridge's own process.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { answer, collect, spy } = require('./support/watch');
const { startBridge } = require('./support/child');

test('a handler gets the arguments and a reply that says who asked; its value is the answer', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  bus.bridge.serve('sum', ({ from }, a, b) => ({ sum: a + b, from }));
  bus.bridge.handle('slow', async (text) => `${text}!`);
  assert.deepEqual(await ann.call('sum', 2, 3), { sum: 5, from: 'ann' });
  assert.equal(await ann.call('slow', 'hm'), 'hm!');
});

test('rpc with a callback gets (null, value) or (err), exactly once', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  bus.bridge.handle('echo', (...args) => args);
  bus.bridge.handle('fail', () => {
    throw Object.assign(new RangeError('no'), { code: 'E_NO' });
  });
  const { fn, calls, called } = spy();
  assert.equal(ann.rpc('echo', 1, 'two', fn), ann);
  assert.deepEqual(await called, [null, [1, 'two']]);
  const [err] = await answer((cb) => ann.rpc('fail', cb));
  assert.deepEqual([err.name, err.message, err.code], ['RangeError', 'no', 'E_NO']);
  assert.equal(calls.length, 1);
});

test('a handler that throws or rejects rejects the call, and the bridge lives on', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const failure = Object.assign(new TypeError('not today'), { code: 'E_TODAY' });
  bus.bridge.handle('throws', () => {
    throw failure;
  });
  bus.bridge.handle('rejects', async () => {
    throw failure;
  });
  for (const method of ['throws', 'rejects']) {
    await assert.rejects(ann.call(method), { name: 'TypeError', message: 'not today', code: 'E_TODAY' });
  }
  await ann.nodes();
});

test("without a handler the bridge emits 'rpc', and response answers", LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const heard = once(bus.bridge, 'rpc');
  const call = ann.call('time', 'utc', { precise: true });
  const [question] = await heard;
  assert.equal(question.from, 'ann');
  assert.deepEqual(question.data, ['time', ['utc', { precise: true }]]);
  assert.ok(question.id !== undefined && question.id !== null);
  question.response(null, 'noon');
  question.response(null, 'again');
  assert.equal(await call, 'noon');
});

test("a handler keeps its method from 'rpc'", LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const seen = collect(bus.bridge, 'rpc', ({ data: [method], response }) => (response('from the event'), method));
  bus.bridge.handle('handled', () => 'from the handler');
  assert.equal(await ann.call('handled'), 'from the handler');
  assert.equal(await ann.call('other'), 'from the event');
  assert.deepEqual(seen.values, ['other']);
});

test('no such method: ERR_NO_METHOD, for names that objects know too', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  bus.bridge.handle('known', () => {});
  for (const method of ['unknown', '__proto__', 'constructor', 'toString', 'hasOwnProperty', 'close']) {
    await assert.rejects(ann.call(method), { code: 'ERR_NO_METHOD' }, method);
  }
  assert.equal((await answer((cb) => ann.rpc('unknown', cb)))[0].code, 'ERR_NO_METHOD');
});

test("rpc without a callback: done all the same, or 'undeliverable'", LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const told = new Promise((resolve) => bus.bridge.handle('tell', resolve));
  ann.rpc('tell', 'something');
  assert.equal(await told, 'something');
  const lost = once(ann, 'undeliverable');
  ann.rpc('unknown', 1);
  const [{ event, code }] = await lost;
  assert.deepEqual([event, code], ['unknown', 'ERR_NO_METHOD']);
});

test('any method name goes, reserved events included', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  for (const method of ['error', 'close', 'a:b', '__proto__', 'Ünïcödé']) {
    bus.bridge.handle(method, () => `did ${method}`);
    assert.equal(await ann.call(method), `did ${method}`);
  }
});

test('a method wants a name, a handler a function', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const refusal = { name: 'TypeError', code: 'ERR_INVALID_ARG' };
  for (const method of ['', 7, undefined, null, {}]) {
    assert.throws(() => ann.rpc(method), refusal, String(method));
    assert.throws(() => ann.call(method), refusal, String(method));
    assert.throws(() => bus.bridge.handle(method, () => {}), refusal, String(method));
  }
  assert.throws(() => bus.bridge.handle('method', 'function'), refusal);
});

test('binary arguments and results', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  bus.bridge.handle('reverse', (bytes) => Buffer.from(bytes).reverse());
  assert.deepEqual(await ann.call('reverse', Buffer.from([1, 2, 3])), Buffer.from([3, 2, 1]));
});

test('calls to a bridge in another process, many at once', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  bus.address = { url: host.url };
  const nodes = await bus.nodes('a', 'b', 'c');
  const asked = nodes.flatMap((node) => Array.from({ length: 300 }, () => node.call('pid')));
  assert.deepEqual([...new Set(await Promise.all(asked))], [host.pid]);
});

test('the bridge is closed before it answers: the call rejects', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const heard = once(bus.bridge, 'rpc');
  const call = assert.rejects(ann.call('never'), { code: /^ERR_(CLOSED|NODE_LEFT)$/ });
  await heard;
  await bus.bridge.close();
  await call;
});

test('an answer to a node that has left disturbs nobody', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = once(bus.bridge, 'rpc');
  const call = assert.rejects(ann.call('slow'), { code: 'ERR_CLOSED' });
  const [question] = await heard;
  await ann.leave(true);
  await call;
  question.response(null, 'too late');
  await bob.nodes();
});
