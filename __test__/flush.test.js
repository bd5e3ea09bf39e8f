'use strict';

// When what was sent is written: at the end of the tick, or at once when asked.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { LIMIT, openBus } = require('./support/bus');
const { start } = require('./support/child');

/** Milliseconds that a message may take between two processes of a busy machine. */
const PATIENCE = 20_000;

test('flush() writes what was sent before a stretch that lets no tick end', LIMIT, async (t) => {
  const bus = await openBus(t);
  const node = await bus.node('ada');
  const child = start(t, 'peer.js', { ...bus.address, id: 'ben' });
  await child.next('ready');
  const file = path.join(bus.dir, 'touched');
  node.publish('ben:touch', file);
  assert.strictEqual(node.flush(), node);
  assert.ok(appears(file), 'the message has arrived while this thread was busy');
});

test('flush() without a link, and without anything to write, does nothing', LIMIT, async (t) => {
  const bus = await openBus(t);
  const node = bus.dial('ada');
  node.flush();
  await node.ready;
  assert.strictEqual(await node.flush().request('ada:barrier'), 'passed');
  await node.leave();
  node.flush();
});

/** Whether a file appears, looked for without leaving this tick. */
function appears(file) {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const end = Date.now() + PATIENCE;
  while (!fs.existsSync(file)) {
    if (Date.now() > end) return false;
    Atomics.wait(cell, 0, 0, 5);
  }
  return true;
}
