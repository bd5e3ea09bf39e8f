'use strict';

// Flow: who is slow slows those who send to it, and nobody else; a program can ask others to wait.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { on, once } = require('node:events');
const { LIMIT, barrier, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { startPeer } = require('./support/child');

const KIB = 'x'.repeat(1024);

/** Publishes `count` numbered messages of a KiB, waiting for 'drain' when told to. */
async function pour(node, target, count) {
  for (let n = 0; n < count; n += 1) {
    node.publish(target, n, KIB);
    if (node.needDrain) await once(node, 'drain');
  }
}

test('pause() and resume(): others wait when too much is put aside, replies come, order holds', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, eve, bob] = await Promise.all([bus.node('ann'), bus.node('eve'), bus.node('bob', { maxPending: 4 << 20 })]);
  const heard = collect(bob, 'n');
  ann.publish('bob:n', -1);
  await heard.reached(1);
  bob.pause();
  const poured = pour(ann, 'bob:n', 6000);
  while (ann.pending < 2 << 20) await barrier(bob, eve);
  assert.deepEqual(heard.values, [-1], 'nothing is emitted while it has paused');
  assert.equal(ann.needDrain, true);
  bob.resume();
  await poured;
  await heard.reached(6001);
  assert.deepEqual(heard.values, [-1, ...Array(6000).keys()]);
  await barrier(ann, bob);
});

test('a listener that pauses again gets the rest later, in order', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = [];
  bob.on('n', (n) => {
    heard.push(n);
    bob.pause();
    setImmediate(() => bob.resume());
  });
  for (let n = 0; n < 100; n += 1) ann.publish('bob:n', n);
  await barrier(ann, bob);
  assert.deepEqual(heard, [...Array(100).keys()]);
});

test('async iteration with water marks pauses the flow, and may ask others meanwhile', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const pauses = [];
  const { pause } = bob;
  bob.pause = function counted() {
    pauses.push(1);
    return pause.call(this);
  };
  const iterator = on(bob, 'n', { highWaterMark: 10, lowWaterMark: 2 });
  const poured = pour(ann, 'bob:n', 3000);
  let expected = 0;
  for await (const [n] of iterator) {
    assert.equal(n, expected);
    if (n % 500 === 0) await bob.request('ann:barrier');
    expected += 1;
    if (expected === 3000) break;
  }
  await poured;
  assert.ok(pauses.length > 0, 'it paused');
});

test('a receiver that blocks its event loop slows only what is sent to it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const stuck = await startPeer(t, { ...bus.address, id: 'stuck' });
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const release = path.join(bus.dir, 'released');
  ann.publish('stuck:block', release);
  await stuck.next('blocking');
  for (let n = 0; n < 10_000; n += 1) ann.publish('stuck:note', KIB);
  assert.ok(ann.needDrain);
  for (let n = 0; n < 100; n += 1) await barrier(ann, bob);
  assert.ok(ann.pending > 5 * 1024 * 1024, 'what is for the stuck one waits here');
  const drained = once(ann, 'drain');
  fs.writeFileSync(release, '');
  await drained;
  assert.equal(await ann.request('stuck:pid'), stuck.pid);
});

test('who stays stuck is cut, is told so when it wakes, and is back; its senders learn what was lost', LIMIT, async (t) => {
  const bus = await openBus(t, { stallTimeout: 500 });
  const stuck = await startPeer(t, { ...bus.address, id: 'stuck' });
  const ann = await bus.node('ann');
  const left = once(ann, 'node:leave');
  const lost = collect(ann, 'undeliverable', ({ code }) => code);
  await barrier(ann, ann);
  const release = path.join(bus.dir, 'released');
  ann.publish('stuck:block', release);
  await stuck.next('blocking');
  for (let n = 0; n < 10_000; n += 1) ann.publish('stuck:note', KIB);
  const [{ id }, reason] = await left;
  assert.deepEqual([id, reason], ['stuck', 'cut']);
  fs.writeFileSync(release, '');
  assert.equal((await stuck.next('disconnect')).code, 'ERR_SLOW_NODE');
  await stuck.next('reconnect');
  assert.equal(await ann.request('stuck:pid'), stuck.pid);
  assert.ok(lost.values.length > 0);
  assert.deepEqual([...new Set(lost.values)].filter((code) => !['ERR_NODE_LEFT', 'ERR_UNKNOWN_NODE'].includes(code)), []);
  assert.equal(ann.pending, 0);
});
