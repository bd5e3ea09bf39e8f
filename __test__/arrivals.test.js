'use strict';

// Nodes that are not there yet: waiting for them, messages kept for them, and ids that are taken.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Bus, LIMIT, announced, openBus } = require('./support/bus');
const { startPeer } = require('./support/child');

const WAIT = { wait: 20_000 };

test('request and publish wait for the receiver, and for its listener', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const sum = ann.with(WAIT).request('bob:sum', 1, 2);
  const called = new Promise((resolve) => ann.with(WAIT).publish('bob:sum', 3, 4, (...reply) => resolve(reply)));
  ann.with(WAIT).publish('bob:note', 'kept');
  const bob = await bus.node('bob');
  const noted = once(bob, 'note');
  await announced(ann, bob);
  bob.handle('sum', (a, b) => a + b);
  assert.equal(await sum, 3);
  assert.deepEqual(await called, [null, 7]);
  assert.equal((await noted)[0], 'kept');
});

test('what waits for one target arrives in order, as it was when it was sent', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const patient = ann.with(WAIT);
  const bytes = Buffer.from('a');
  const value = { n: 0 };
  for (; value.n < 50; value.n++) patient.publish('bob:note', value, bytes);
  const last = patient.request('bob:note', value, bytes);
  bytes[0] = 0;
  const heard = [];
  bus.dial('bob').handle('note', ({ n }, letter) => heard.push(`${n}${letter}`));
  assert.equal(await last, 51);
  assert.deepEqual(heard, Array.from({ length: 51 }, (_, n) => `${n}a`));
});

test('after that time: ERR_UNKNOWN_NODE, ERR_NO_LISTENER, and undeliverable', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann] = await bus.nodes('ann', 'bob');
  const hasty = ann.with({ wait: 20 });
  await assert.rejects(hasty.request('nobody:event'), { code: 'ERR_UNKNOWN_NODE' });
  await assert.rejects(hasty.request('bob:event'), { code: 'ERR_NO_LISTENER' });
  const code = new Promise((resolve) => hasty.publish('nobody:event', (error) => resolve(error.code)));
  assert.equal(await code, 'ERR_UNKNOWN_NODE');
  const lost = once(ann, 'undeliverable');
  hasty.publish('nobody:event');
  assert.deepEqual((await lost)[0], { target: 'nobody:event', event: 'event', code: 'ERR_UNKNOWN_NODE' });
});

test('who waits may give up, and bad data is told at once', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const stop = new AbortController();
  const kept = ann.with({ ...WAIT, signal: stop.signal }).request('bob:note');
  const node = ann.waitFor('bob', { signal: stop.signal });
  stop.abort();
  await assert.rejects(kept, { code: 'ABORT_ERR' });
  await assert.rejects(node, { code: 'ABORT_ERR' });
  await assert.rejects(ann.with({ ...WAIT, signal: stop.signal }).request('bob:note'), { code: 'ABORT_ERR' });
  assert.throws(() => ann.with(WAIT).publish('bob:note', Symbol('no')), { code: 'ERR_UNSERIALIZABLE' });
  await assert.rejects(ann.with(WAIT).request('bob:note', Symbol('no')), { code: 'ERR_UNSERIALIZABLE' });
  assert.throws(() => ann.with(WAIT).request('no target'), { code: 'ERR_INVALID_TARGET' });
  for (const wrong of [-1, '1', NaN]) assert.throws(() => ann.with({ wait: wrong }), { code: 'ERR_INVALID_ARG', message: /"wait"/ });
  const closed = assert.rejects(ann.with(WAIT).request('bob:note'), { code: 'ERR_CLOSED' });
  await ann.leave();
  await closed;
});

test('what waits is bounded by maxPending', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann', { maxPending: 10_000 });
  const first = assert.rejects(ann.with(WAIT).request('bob:note', 'x'.repeat(6_000)), { code: 'ERR_CLOSED' });
  await assert.rejects(ann.with(WAIT).request('bob:note', 'x'.repeat(6_000)), { code: 'ERR_QUEUE_FULL' });
  await ann.leave();
  await first;
});

test('waitFor settles when the node is there, and listens for the event', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const there = ann.waitFor('bob');
  const listens = ann.waitFor('bob', { event: 'news' });
  const bob = await bus.node('bob');
  const { id, since } = await there;
  assert.deepEqual([id, typeof since], ['bob', 'number']);
  await assert.rejects(ann.waitFor('bob', { event: 'other', timeout: 20 }), { code: 'ERR_TIMEOUT', message: /'bob' did not listen for 'other'/ });
  bob.on('news', () => {});
  assert.equal((await listens).id, 'bob');
  assert.equal((await ann.waitFor('bob', { event: 'news', timeout: 0 })).id, 'bob');
  await assert.rejects(ann.waitFor('nobody', { timeout: 20 }), { code: 'ERR_TIMEOUT', message: /'nobody' was not on the bus within 20 ms/ });
  for (const wrong of [['a:b'], [7], ['a', 7], ['a', { event: '' }], ['a', { timeout: -1 }], ['a', { signal: {} }]]) {
    assert.throws(() => ann.waitFor(...wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG' });
  }
  assert.throws(() => ann.waitFor('a', { event: 'error' }), { code: 'ERR_RESERVED_EVENT' });
});

test('waiting goes on over a change of bridges', LIMIT, async (t) => {
  const bus = new Bus(t);
  const settings = { ...bus.address, bridge: 'auto' };
  const host = await startPeer(t, { ...settings, id: 'host' });
  const ann = await bus.node('ann', settings);
  const there = ann.waitFor('bob');
  const kept = ann.with(WAIT).request('bob:barrier');
  await announced(ann);
  const back = once(ann, 'reconnect');
  await host.kill();
  await back;
  await bus.node('bob', settings);
  assert.equal((await there).id, 'bob');
  assert.equal(await kept, 'passed');
});

test("onTaken 'wait' joins when the id is free, however long that takes", LIMIT, async (t) => {
  const bus = await openBus(t);
  const old = await bus.node('worker');
  const successor = bus.dial('worker', { onTaken: 'wait', maxConnectionAttempts: 1 });
  await assert.rejects(bus.node('worker'), { code: 'ERR_DUPLICATE_NODE' });
  assert.equal(successor.connected, false);
  await old.leave();
  await successor.ready;
  assert.equal(await (await bus.node('ann')).request('worker:barrier'), 'passed');
});

test("onTaken 'replace' takes the id over; who had it hears ERR_REPLACED, and others 'replaced'", LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const gone = once(ann, 'node:leave');
  await announced(ann);
  const old = await bus.node('worker');
  const replaced = once(old, 'error');
  old.on('slow', () => {});
  const lost = assert.rejects(ann.request('worker:slow'), { code: 'ERR_NODE_LEFT' });
  await announced(ann);
  const successor = await bus.node('worker', { onTaken: 'replace' });
  assert.equal((await replaced)[0].code, 'ERR_REPLACED');
  assert.equal(old.connected, false);
  const [{ id }, reason] = await gone;
  assert.deepEqual([id, reason], ['worker', 'replaced']);
  await lost;
  successor.handle('who', () => 'the new one');
  assert.equal(await ann.request('worker:who'), 'the new one');
  assert.throws(() => bus.createNode({ onTaken: 'ask' }), { code: 'ERR_INVALID_ARG', message: /"onTaken".*'fail', 'wait', 'replace'/ });
});

test("onTaken 'replace' on TCP, where nobody vouches for the user: ERR_DUPLICATE_NODE", LIMIT, async (t) => {
  const bus = await openBus(t, { port: 0 });
  await bus.node('worker');
  await assert.rejects(bus.node('worker', { onTaken: 'replace' }), { code: 'ERR_DUPLICATE_NODE' });
});
