'use strict';

// What a paused node put aside: emitted in order, in turns, in time that grows with what waits and no faster.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { performance } = require('node:perf_hooks');
const { setImmediate: nextTurn } = require('node:timers/promises');
const { Buffered } = require('../lib/buffered.js');
const { LIMIT, barrier, openBus } = require('./support/bus');
const { collect } = require('./support/watch');

/** Turns take 4 ms; with a message that takes one, so many fit at most, and one that is begun in time. */
const MOST_IN_A_TURN = 5;

/** A Buffered that keeps what it delivers; `deliver` does more. */
function bufferedOf(deliver = () => {}) {
  const delivered = [];
  const active = [];
  const buffered = new Buffered({
    activate: (on) => active.push(on),
    deliver(message) {
      delivered.push(message.body);
      deliver(message, buffered);
    },
    turned() {},
  });
  return { buffered, delivered, active };
}

/** Resolves when nothing waits; what waited was delivered in so many turns of the loop. */
async function emptied(buffered) {
  let turns = 0;
  for (; buffered.length > 0; turns += 1) await nextTurn();
  return turns;
}

function takeAMillisecond() {
  for (const until = performance.now() + 1; performance.now() < until;);
}

const numbers = (count) => Array.from({ length: count }, (_, n) => String(n));

test('what waits is delivered in order, a million as well as one', LIMIT, async () => {
  for (const count of [1, 1_000_000]) {
    const { buffered, delivered, active } = bufferedOf();
    buffered.pause();
    buffered.pause();
    const sent = numbers(count);
    sent.forEach((body) => buffered.add({ body }));
    assert.deepEqual([buffered.length, delivered.length], [count, 0]);
    buffered.resume();
    assert.equal(delivered.length, 0, 'never within resume()');
    await emptied(buffered);
    assert.deepEqual(delivered, sent);
    await nextTurn();
    assert.deepEqual([buffered.active, active], [false, [true, false]]);
  }
});

test('the loop goes round every few milliseconds, however much waits', LIMIT, async () => {
  const { buffered, delivered } = bufferedOf(takeAMillisecond);
  buffered.pause();
  numbers(100).forEach((body) => buffered.add({ body }));
  buffered.resume();
  for (let before = 0; buffered.length > 0; before = delivered.length) {
    await nextTurn();
    assert.ok(delivered.length - before <= MOST_IN_A_TURN, `${delivered.length - before} in one turn`);
  }
});

test('what comes meanwhile waits behind what waited', LIMIT, async () => {
  const { buffered, delivered } = bufferedOf(({ body }) => {
    if (body < 50) buffered.add({ body: body + 50 });
    takeAMillisecond();
  });
  buffered.pause();
  for (let body = 0; body < 50; body += 1) buffered.add({ body });
  buffered.resume();
  await nextTurn();
  assert.equal(buffered.active, true, 'what comes now has to wait');
  await emptied(buffered);
  assert.deepEqual(delivered, [...Array(100).keys()]);
});

test('paused by a listener, it stops there; resumed, it goes on there, once', LIMIT, async () => {
  const { buffered, delivered } = bufferedOf(({ body }) => {
    if (body === '3') buffered.pause();
  });
  buffered.pause();
  const sent = numbers(10);
  sent.forEach((body) => buffered.add({ body }));
  buffered.resume();
  buffered.resume();
  await nextTurn();
  await nextTurn();
  assert.deepEqual(delivered, sent.slice(0, 4));
  buffered.resume();
  buffered.pause();
  await nextTurn();
  assert.deepEqual(delivered, sent.slice(0, 4), 'paused before its turn came');
  buffered.resume();
  await emptied(buffered);
  assert.deepEqual(delivered, sent);
});

test('ended by a listener: nothing more is delivered, and nothing waits', LIMIT, async () => {
  const { buffered, delivered } = bufferedOf(({ body }) => {
    if (body === '3') buffered.end();
  });
  buffered.pause();
  numbers(10).forEach((body) => buffered.add({ body }));
  buffered.resume();
  await emptied(buffered);
  assert.deepEqual([delivered, buffered.length], [['0', '1', '2', '3'], 0]);
});

test('a node that paused: 200 000 messages, others meanwhile, and the loop goes round', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, eve, bob] = await Promise.all([bus.node('ann', { maxPending: 1 << 30 }), bus.node('eve'), bus.node('bob')]);
  const heard = collect(bob, 'n');
  await barrier(ann, bob);
  bob.pause();
  for (let n = 0; n < 200_000; n += 1) ann.publish('bob:n', n);
  await barrier(ann, eve);
  bob.resume();
  bob.once('n', () => ann.publish('bob:n', 200_000));
  await heard.reached(200_001);
  assert.deepEqual(heard.values, [...Array(200_001).keys()]);
  await barrier(ann, bob);
});

test('listeners that throw, pause, resume and leave in the middle', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const [heard, thrown] = [[], []];
  const lost = collect(ann, 'undeliverable', ({ code }) => code);
  const uncaught = process.rawListeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => thrown.push(error.message));
  t.after(() => {
    process.removeAllListeners('uncaughtException');
    uncaught.forEach((listener) => process.on('uncaughtException', listener));
  });
  bob.on('n', (n) => {
    heard.push(n);
    if (n === 2) bob.pause().resume();
    if (n === 5) bob.leave(true);
    if (n % 2 === 1) throw new Error(`at ${n}`);
  });
  await barrier(ann, bob);
  bob.pause();
  for (let n = 0; n < 10; n += 1) ann.publish('bob:n', n);
  await bob.request('ann:barrier');
  bob.resume();
  await once(bob, 'leave.force');
  await nextTurn();
  await nextTurn();
  assert.deepEqual([heard, thrown], [[0, 1, 2, 3, 4, 5], ['at 1', 'at 3', 'at 5']]);
  // Whoever sent the others learns that they reached nobody.
  await lost.reached(4);
  assert.deepEqual(lost.values, Array(4).fill('ERR_NODE_LEFT'));
  assert.equal(ann.pending, 0);
});
