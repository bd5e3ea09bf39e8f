'use strict';

// A bridge that rejects the link for the same frame each time: the frame is given up, whoever waits is told, the rest goes on.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { once } = require('node:events');
const { Bus, LIMIT } = require('./support/bus');
const { collect } = require('./support/watch');
const { start } = require('./support/child');

/** A node of a bridge that takes nothing called 'poison', in a process of its own; it is told of nothing yet. */
async function pickedOn(t, { pongs = true } = {}) {
  const bus = new Bus(t);
  const where = path.join(bus.dir, 'picky.sock');
  const bridge = start(t, 'picky-bridge.js', { path: where, pongs });
  await bridge.next('ready');
  const node = bus.createNode({ path: where, id: 'ann' });
  await node.ready;
  return { bridge, node };
}

async function all(bridge, kind, count) {
  const reports = [];
  while (reports.length < count) reports.push(await bridge.next(kind));
  return reports;
}

for (const pongs of [true, false]) {
  test(`what a bridge rejects three times is given up, and the rest arrives; ${pongs ? '' : 'no '}PONG`, LIMIT, async (t) => {
    const { bridge, node } = await pickedOn(t, { pongs });
    const lost = collect(node, 'undeliverable');
    const breaks = collect(node, 'disconnect', ({ code }) => code);
    for (let n = 0; n < 5; n += 1) node.publish('bob:before', n);
    const asked = node.request('bob:poison', 'ask');
    node.publish('bob:poison', 'tell');
    node.broadcast('poison', 'all');
    const called = node.call('poison', 'call');
    for (let n = 0; n < 5; n += 1) node.publish('bob:after', n);
    await assert.rejects(asked, { code: 'ERR_PROTOCOL', message: /rejected/ });
    await assert.rejects(called, { code: 'ERR_PROTOCOL' });
    const heard = (await all(bridge, 'heard', 10)).map(({ event, text }) => event + text);
    assert.deepEqual(heard, ['before', 'after'].flatMap((event) => [0, 1, 2, 3, 4].map((n) => `${event}[${n}]`)));
    assert.deepEqual(lost.values, [
      { target: 'bob:poison', event: 'poison', code: 'ERR_PROTOCOL' },
      { target: 'poison', event: 'poison', code: 'ERR_PROTOCOL' },
    ]);
    const rejected = await all(bridge, 'rejected', 12);
    const each = ['16 ["ask"]', '16 ["tell"]', '17 ["all"]', '18 ["call"]'];
    assert.deepEqual(rejected.map(({ frame }) => frame), each.flatMap((frame) => Array(3).fill(frame)));
    assert.deepEqual(breaks.values, Array(12).fill('ERR_PROTOCOL'));
    node.publish('bob:later');
    assert.equal((await bridge.next('heard')).event, 'later');
    assert.ok(!bridge.has('rejected') && node.connected);
  });
}

test('a large message that a bridge rejects each time is given up, and so is an event it will not hear of', LIMIT, async (t) => {
  const { bridge, node } = await pickedOn(t);
  const lost = collect(node, 'undeliverable');
  node.on('fine', () => {});
  node.publish('bob:poison', 'x'.repeat(1_000_000));
  node.publish('bob:fine', 'y');
  assert.equal((await bridge.next('heard')).event, 'fine');
  node.on('poison', () => {});
  await lost.reached(2);
  assert.deepEqual(lost.values, [
    { target: 'bob:poison', event: 'poison', code: 'ERR_PROTOCOL' },
    { target: 'poison', event: 'poison', code: 'ERR_PROTOCOL' },
  ]);
  if (!node.connected) await once(node, 'reconnect');
  node.publish('bob:fine', 'z');
  assert.equal((await bridge.next('heard')).text, '["z"]');
  const rejected = await all(bridge, 'rejected', 7);
  assert.equal(rejected.filter(({ frame }) => frame === 'LISTEN').length, 4);
  assert.ok(!bridge.has('rejected'));
});
