'use strict';

// Signals belong to the program: a library neither catches them nor keeps a program that does from ending as it likes.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const { once } = require('node:events');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { start } = require('./support/child');

async function ready(t, scenario, options) {
  const child = start(t, 'endings.js', { scenario, ...options });
  await child.next('ready');
  return child;
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
  test(`${signal} ends a node’s process; the others are told`, LIMIT, async (t) => {
    const bus = await openBus(t, { resumeTimeout: 20 });
    const child = await ready(t, 'a signal', { ...bus.address, id: 'child' });
    const left = once(bus.bridge, 'node:leave');
    assert.deepEqual(await child.kill(signal), { code: null, signal });
    assert.equal((await left)[0].id, 'child');
  });

  test(`${signal} ends a host’s process; the address can be had again`, LIMIT, async (t) => {
    const bus = new Bus(t);
    const child = await ready(t, 'a signal', { path: bus.path, bridge: 'auto' });
    assert.deepEqual(await child.kill(signal), { code: null, signal });
    await bus.host();
    await bus.node('ann');
  });

  test(`${signal}, and its listener leaves: everything arrives, the process ends by itself`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const notes = collect(await bus.node('ann'), 'note');
    const child = await ready(t, 'a signal’s listener leaves', { ...bus.address, id: 'child' });
    assert.deepEqual(await child.kill(signal), { code: 0, signal: null }, child.stderr);
    assert.deepEqual(await notes.reached(20), [...Array(20).keys()]);
  });

  test(`${signal}, and its listener exits: everything arrives, the code is the listener’s`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const notes = collect(await bus.node('ann'), 'note');
    const child = await ready(t, 'a signal’s listener exits', { ...bus.address, id: 'child' });
    const code = 128 + os.constants.signals[signal];
    assert.deepEqual(await child.kill(signal), { code, signal: null }, child.stderr);
    assert.deepEqual(await notes.reached(20), [...Array(20).keys()]);
  });

  test(`${signal}, and its listener closes the bridge: the nodes hear why, the socket is gone`, LIMIT, async (t) => {
    const bus = new Bus(t);
    const child = await ready(t, 'a signal’s listener closes the bridge', { path: bus.path });
    const ann = await bus.node('ann');
    const farewell = once(ann, 'close');
    assert.deepEqual(await child.kill(signal), { code: 0, signal: null }, child.stderr);
    assert.deepEqual(await farewell, ['told to']);
    assert.equal(fs.existsSync(bus.path), false);
  });
}
