'use strict';

// What the program's own code throws where we call it is its own uncaught exception, and nothing more: the node reconnects,
// drains, settles and leaves as if nothing had been thrown.

const test = require('node:test');
const assert = require('node:assert/strict');
const { Bus, LIMIT } = require('./support/bus');
const { start, startBridge } = require('./support/child');

/** Each in a process of its own; those of values and callbacks, in which nothing else is in the way, in one together. */
const EVENTS = [
  'connect', 'reconnect', 'disconnect', 'error.reconnect', 'drain', 'undeliverable', 'node:join', 'node:leave', 'close',
  'leave.force', 'newListener', 'removeListener', 'note', 'onConnect', 'both callbacks of createNode', 'handler.error',
];
const CALLBACKS = [
  'callback of publish', 'callback of a refused publish', 'callback of rpc', 'callback at the end', 'abort listener',
  'handler', 'handler that nobody waits for', 'thenable', 'getter of then',
];
const VALUES = [
  'signal.aborted', 'signal.addEventListener', 'signal.removeEventListener', 'toJSON', 'getter', 'toJSON of a question',
  'toJSON of a reply', 'options', 'options of with', 'Error.prepareStackTrace', 'process.emitWarning',
];

for (const places of [...EVENTS.map((event) => [event]), CALLBACKS, VALUES]) {
  test(`${places.join(', ')}: what throws there ends nothing; the node reconnects, drains, settles and leaves`, LIMIT, async (t) => {
    const bus = new Bus(t);
    const host = await startBridge(t, { path: bus.path });
    const child = start(t, 'throwing.js', { places, path: bus.path });
    await child.next('offline soon');
    await host.kill();
    await child.next('offline');
    const next = await startBridge(t, { path: bus.path });
    const { request, call, notes, pending } = await child.next('settled');
    assert.deepEqual({ request, call, notes, pending }, { request: 'pong', call: 'ERR_NO_METHOD', notes: 100, pending: false });
    if (places.includes('close')) {
      await child.next('close me');
      next.send({ do: 'close', data: [] });
    }
    const { thrown, uncaught, caught } = await child.next('left');
    assert.ok(thrown > 0, 'nothing was thrown');
    assert.equal(uncaught + caught, thrown, 'what was thrown was heard of, once');
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr);
  });
}

test('a bridge whose program throws everywhere goes on, and closes', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = start(t, 'throwing-bridge.js', { path: bus.path });
  const { codes, value, nodes, thrown, uncaught } = await child.next('over');
  assert.deepEqual({ codes, value, nodes }, { codes: ['RangeError'], value: 42, nodes: ['ann'] });
  assert.deepEqual(thrown, {
    callback: 1, listening: 1, 'node:join': 2, 'handler.error': 1, rpc: 1, 'node:leave': 2, close: 1,
  });
  assert.equal(uncaught, 9);
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr);
});
