'use strict';

// The last things a process does: 'exit' hooks, process.exit() in odd places, errors that nobody catches.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { start, startBridge } = require('./support/child');

const run = (t, scenario, options) => start(t, 'endings.js', { scenario, ...options });

/** The process has ended by itself, with this status. */
async function ends(child, code) {
  assert.deepEqual(await child.exited, { code, signal: null }, child.stderr);
}

for (const [scenario, code] of [
  ['an exit hook from before publishes', 0],
  ['an exit hook from after publishes', 0],
  ['an exit hook publishes, and nothing was sent before', 0],
  ['an exit hook publishes at the natural end', 0],
  ['an exit hook from before exits', 6],
  ['an exit hook from after exits', 6],
  ['an exit hook leaves', 6],
  ['a node’s process throws', 1],
  ['a node’s process rejects', 1],
]) {
  test(`${scenario}: what was published arrives, in order`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const notes = collect(await bus.node('ann'), 'note');
    await ends(run(t, scenario, { ...bus.address, id: 'child' }), code);
    assert.deepEqual(await notes.reached(20), [...Array(20).keys()]);
  });
}

for (const [scenario, code] of [
  ['a bridge, and an exit hook from before exits', 6],
  ['a bridge’s process throws', 1],
  ['a host’s process throws', 1],
]) {
  test(`${scenario}: its socket is gone`, LIMIT, async (t) => {
    const bus = new Bus(t);
    await ends(run(t, scenario, { path: bus.path, ...(code === 1 && scenario.includes('host') && { bridge: 'auto' }) }), code);
    assert.equal(fs.existsSync(bus.path), false);
  });
}

test('an exit hook that publishes to a bridge that does not read: the process ends', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  const child = run(t, 'an exit hook publishes, and the bridge does not read', { path: bus.path, id: 'child' });
  await child.next('ready');
  await host.stop();
  t.after(() => host.process.kill('SIGCONT'));
  child.send('stopped');
  await ends(child, 6);
});

test('process.exit in a reply’s callback', LIMIT, async (t) => {
  const bus = await openBus(t);
  await bus.node('ann');
  await ends(run(t, 'a reply callback exits', { ...bus.address, id: 'child' }), 6);
});

test('process.exit in a listener for the end of the bus', LIMIT, async (t) => {
  const bus = await openBus(t);
  const child = run(t, 'a close listener exits', { ...bus.address, id: 'child' });
  await child.next('ready');
  await bus.bridge.close();
  await ends(child, 6);
});

test('process.exit in a method of the bridge', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'a method of the bridge exits', { path: bus.path });
  await child.next('ready');
  const ann = await bus.node('ann');
  ann.rpc('exit', () => {});
  await ends(child, 6);
  assert.equal(fs.existsSync(bus.path), false);
});
