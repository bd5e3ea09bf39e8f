'use strict';

// Every queue has a bound: what does not fit is said to whom it concerns, and nobody else notices.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { LIMIT, announced, barrier, openBus } = require('./support/bus');
const { Presence } = require('../lib/presence.js');
const { answer, collect } = require('./support/watch');
const { joinLegacy } = require('./support/legacy');

test('a message beyond maxMessage is ERR_TOO_LARGE, and the node goes on', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await Promise.all([bus.node('ann', { maxMessage: 10_000 }), bus.node('bob')]);
  bob.handle('size', (bytes) => bytes.length);
  const large = Buffer.alloc(10_001);
  await assert.rejects(ann.request('bob:size', large), { code: 'ERR_TOO_LARGE', message: /10.?000/ });
  assert.equal((await answer((cb) => ann.publish('bob:size', large, cb)))[0].code, 'ERR_TOO_LARGE');
  const lost = once(ann, 'undeliverable');
  ann.publish('bob:size', large);
  const [{ event, code }] = await lost;
  assert.deepEqual([event, code], ['size', 'ERR_TOO_LARGE']);
  assert.equal(await ann.request('bob:size', Buffer.alloc(9000)), 9000);
});

test('the bridge’s maxMessage binds everybody: the sender is told, its link survives', LIMIT, async (t) => {
  const bus = await openBus(t, { maxMessage: 10_000 });
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const trouble = collect(ann, 'disconnect');
  await assert.rejects(ann.request('bob:barrier', Buffer.alloc(20_000)), { code: 'ERR_TOO_LARGE' });
  await barrier(ann, bob);
  assert.deepEqual(trouble.values, []);
});

test('a reply beyond maxMessage is an error for the one who waits', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await Promise.all([bus.node('ann'), bus.node('bob', { maxMessage: 10_000 })]);
  bob.handle('give', (size) => Buffer.alloc(size));
  await assert.rejects(ann.request('bob:give', 20_000), { code: 'ERR_TOO_LARGE' });
  assert.equal((await ann.request('bob:give', 5000)).length, 5000);
});

test('an answer of the host beyond maxMessage is an error for the one who waits', LIMIT, async (t) => {
  const bus = await openBus(t);
  bus.bridge.handle('give', (size) => 'x'.repeat(size));
  const [ann, bob] = await Promise.all([bus.node('ann', { maxMessage: 100_000 }), bus.node('bob')]);
  const trouble = collect(ann, 'disconnect');
  await assert.rejects(ann.call('give', 200_000), { code: 'ERR_TOO_LARGE', message: /100.?000/ });
  await assert.rejects(bob.call('give', 2 ** 26), { code: 'ERR_TOO_LARGE' });
  assert.equal((await ann.call('give', 50_000)).length, 50_000);
  assert.equal((await bob.call('give', 200_000)).length, 200_000);
  assert.deepEqual(trouble.values, []);
});

test('nodes() and presence come in parts that a small maxMessage takes', LIMIT, async (t) => {
  const bus = await openBus(t);
  // As JSON each of these ids has six times its bytes.
  const ids = [...Array(50).keys()].map((n) => `${'\u0001'.repeat(250)}${n}`);
  await bus.nodes(...ids);
  const small = await bus.node('small', { maxMessage: 65_537 });
  const trouble = collect(small, 'disconnect');
  assert.deepEqual(new Set((await small.nodes()).map(({ id }) => id)), new Set([...ids, 'small']));
  const tiny = await bus.node('tiny', { maxMessage: 2 });
  const listed = (await tiny.nodes()).map(({ id }) => id);
  assert.deepEqual([listed.length, new Set(listed)], [52, new Set([...ids, 'small', 'tiny'])]);
  const joined = once(small, 'node:join');
  await announced(small);
  await bus.node('late');
  assert.equal((await joined)[0].id, 'late');
  assert.deepEqual(trouble.values, []);
});

test('a list of nodes in parts is looked at when it is whole, and begun anew by its first part', () => {
  const told = [];
  const presence = new Presence((event, { id }) => told.push([event, id]));
  const [ann, bob, cid] = ['ann', 'bob', 'cid'].map((id) => ({ id }));
  presence.handle('node:roster', [[ann, bob], ['1', '2'], true]);
  presence.handle('node:roster', [[ann], ['1'], true, 0, true]); // this bridge is gone before it says the rest
  presence.handle('node:roster', [[bob], ['2'], true, 0, true]);
  assert.deepEqual(told, []);
  presence.handle('node:roster', [[cid], ['3'], true, 1, false]);
  assert.deepEqual(told, [['node:leave', 'ann'], ['node:join', 'cid']]);
});

test('the 10 001st event is refused where it is listened for, and nothing of it is registered', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob'); // both listen for 'barrier' already
  const trouble = collect(ann, 'disconnect');
  for (let n = 1; n < 9_999; n += 1) ann.on(`event ${n}`, () => {});
  for (const listen of ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener', 'handle']) {
    // Of presence a node hears both sides: that would be one too many.
    if (listen !== 'handle') assert.throws(() => ann[listen]('node:join', () => {}), { name: 'TypeError', code: 'ERR_INVALID_ARG' });
  }
  ann.on('last', () => {});
  for (const listen of ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener', 'handle']) {
    assert.throws(() => ann[listen]('more', () => {}), { name: 'TypeError', code: 'ERR_INVALID_ARG', message: /10.?000/ });
  }
  assert.deepEqual([ann.listenerCount('more'), ann.listenerCount('node:join')], [0, 0]);
  ann.on('last', () => {}).on('disconnect', () => {}).on(Symbol('own'), () => {});
  await barrier(bob, ann);
  ann.removeAllListeners('event 1').removeAllListeners('event 2');
  ann.handle('more', () => 'heard').removeAllListeners('more').on('node:leave', () => {});
  const heard = once(ann, 'last');
  await announced(ann);
  bob.broadcast('last', 'of all');
  assert.equal((await heard)[0], 'of all');
  assert.deepEqual(trouble.values, []);
});

test('beyond maxPending: ERR_QUEUE_FULL, then drain, and what was accepted arrives', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await Promise.all([bus.node('ann', { maxPending: 100_000 }), bus.node('bob')]);
  const arrived = collect(bob, 'bytes', (n) => n);
  const refused = [];
  const drained = once(ann, 'drain');
  ann.on('undeliverable', ({ code }) => refused.push(code));
  for (let n = 0; n < 200; n += 1) ann.publish('bob:bytes', n, 'x'.repeat(1000));
  assert.equal(ann.needDrain, true);
  assert.ok(ann.pending > 50_000 && ann.pending <= 100_000, `${ann.pending} bytes are pending`);
  await assert.rejects(ann.request('bob:barrier', 'x'.repeat(50_000)), { code: 'ERR_QUEUE_FULL' });
  await drained;
  assert.equal(ann.needDrain, false);
  await barrier(ann, bob);
  assert.ok(refused.length > 0);
  assert.deepEqual([...new Set(refused)], ['ERR_QUEUE_FULL']);
  assert.equal(arrived.values.length + refused.length, 200);
  assert.deepEqual(arrived.values, [...Array(arrived.values.length).keys()]);
});

test('pending returns to 0 when everything is settled', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  assert.equal(ann.pending, 0);
  bob.on('bytes', () => {});
  for (let n = 0; n < 100; n += 1) ann.publish('bob:bytes', 'x'.repeat(1000));
  assert.ok(ann.pending >= 100_000);
  while (ann.pending > 0) await ann.nodes();
  assert.equal(ann.needDrain, false);
});

test('honouring needDrain and drain, a sender loses nothing, however much it sends', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await Promise.all([bus.node('ann', { maxPending: 200_000 }), bus.node('bob')]);
  const lost = collect(ann, 'undeliverable');
  let received = 0;
  bob.on('bytes', () => (received += 1));
  for (let n = 0; n < 3000; n += 1) {
    if (ann.needDrain) await once(ann, 'drain');
    ann.publish('bob:bytes', 'x'.repeat(1000));
  }
  if (ann.needDrain) await once(ann, 'drain');
  await barrier(ann, bob);
  assert.deepEqual(lost.values, []);
  assert.equal(received, 3000);
});

test('a peer that never reads is cut with ERR_SLOW_NODE, and nobody else is disturbed', LIMIT, async (t) => {
  const bus = await openBus(t, { maxPending: 500_000, stallTimeout: 100 });
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const stalled = await joinLegacy(t, bus, 'stalled');
  stalled.pause();
  const left = once(bus.bridge, 'node:leave');
  let gone = false;
  left.then(() => (gone = true));
  ann.on('undeliverable', () => {}); // expected for the stalled one, once its queue is full
  for (let sent = 0; !gone; sent += 1) {
    // 64 MB are more than any socket's buffers hold; after that it is only a matter of time.
    if (sent < 6400) ann.publish('stalled:bytes', 'x'.repeat(10_000));
    if (sent % 20 === 0 || sent >= 6400) await barrier(bob, ann);
  }
  const [{ id }, reason] = await left;
  assert.equal(id, 'stalled');
  assert.match(String(reason?.code ?? reason), /cut|ERR_SLOW_NODE/);
  await assert.rejects(ann.request('stalled:x'), { code: 'ERR_UNKNOWN_NODE' });
});

test('large messages to a peer that never reads are not heaped up in the bridge', LIMIT, async (t) => {
  const bus = await openBus(t, { maxPending: 5_000_000 });
  const [ann, bob] = await Promise.all([bus.node('ann', { maxPending: 5_000_000 }), bus.node('bob')]);
  const stalled = await joinLegacy(t, bus, 'stalled');
  stalled.pause();
  const refused = collect(ann, 'undeliverable', ({ code }) => code);
  const text = 'x'.repeat(100_000);
  for (let sent = 0; sent < 1000 && refused.values.length === 0; sent += 1) {
    ann.publish('stalled:text', text);
    if (sent % 10 === 0) await barrier(bob, ann);
  }
  assert.deepEqual([...new Set(refused.values)], ['ERR_QUEUE_FULL'], 'not all of 100 MB can have been taken');
});
