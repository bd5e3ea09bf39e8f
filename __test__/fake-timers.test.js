'use strict';

// Test tools put fakes in the places of timers and ticks for a while, before the package is loaded or after. What a bus does,
// it does in real time all the same.

const test = require('node:test');
const assert = require('node:assert/strict');
const timers = require('node:timers');
const { once } = require('node:events');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { start, startBridge } = require('./support/child');

const OWNERS = [[globalThis, ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'queueMicrotask']],
  [timers, ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval']],
  [process, ['nextTick', 'hrtime']], [Date, ['now']], [performance, ['now']], [Math, ['random']]];

/** Fakes that never do anything, nor say what time it is. Returns what takes them away. */
function fake(owners) {
  const restore = [];
  for (const [owner, names] of owners) {
    for (const name of names) {
      const real = owner[name];
      owner[name] = () => NaN;
      restore.push(() => (owner[name] = real));
    }
  }
  return () => restore.forEach((each) => each());
}

/** Does `act` while everything is faked. */
async function whileFaked(act, owners = OWNERS) {
  const restore = fake(owners);
  try {
    return await act();
  } finally {
    restore();
  }
}

async function conversation(ann, ben) {
  const note = once(ben, 'note');
  ann.publish('ben:note', 'told');
  assert.equal((await note)[0], 'told');
  assert.equal(await ann.request('ben:echo', 'asked'), 'asked');
  await assert.rejects(ann.with({ timeout: 50 }).request('ben:silence'), { code: 'ERR_TIMEOUT' });
  await assert.rejects(ann.request('nobody:x'), { code: 'ERR_UNKNOWN_NODE' });
  assert.equal(await ann.call('double', 4), 8);
}

async function pair(bus) {
  const [ann, ben] = await bus.nodes('ann', 'ben');
  ben.handle('echo', (value) => value).on('silence', () => {});
  return [ann, ben];
}

test('a bus goes on while everything is faked, and after', LIMIT, async (t) => {
  const bus = await openBus(t);
  bus.bridge.handle('double', (n) => 2 * n);
  const [ann, ben] = await pair(bus);
  await whileFaked(() => conversation(ann, ben));
  await conversation(ann, ben);
  await whileFaked(async () => {
    assert.equal(ann.pending, 0, 'what came was acknowledged');
    await ann.leave();
    await ben.leave();
  });
});

test('a call made while everything is faked times out after, and the other way round', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann] = await pair(bus);
  const made = await whileFaked(() => ({ call: ann.with({ timeout: 50 }).request('ben:silence') }));
  await assert.rejects(made.call, { code: 'ERR_TIMEOUT' });
  const before = ann.with({ timeout: 50 }).request('ben:silence');
  await whileFaked(() => assert.rejects(before, { code: 'ERR_TIMEOUT' }));
});

test('a bus that is made, loses its bridge and finds another while everything is faked', LIMIT, async (t) => {
  const bus = new Bus(t);
  const first = await startBridge(t, { path: bus.path });
  await whileFaked(async () => {
    const node = await bus.node('ann', { bridge: 'auto' });
    node.handle('echo', (value) => value);
    const back = once(node, 'reconnect');
    first.process.kill('SIGKILL');
    await back;
    assert.equal(node.hosting, true);
    assert.equal(await node.request('ann:echo', 1), 1);
    node.pause();
    const heard = once(node, 'note');
    node.publish('ann:note', 'put aside');
    await node.nodes();
    node.resume();
    assert.equal((await heard)[0], 'put aside');
    await node.leave();
    // Without its ticks Node.js itself does not notice that the child has ended.
  }, OWNERS.filter(([owner]) => owner !== process));
});

test('a package that is loaded while time is faked as Jest, Vitest and Sinon do it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  ann.handle('echo', (value) => value).on('silence', () => {});
  const child = start(t, 'fake-timers.js', bus.address);
  assert.deepEqual(await child.next('heard'), { kind: 'heard', echo: 'asked', code: 'ERR_TIMEOUT' });
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr);
});
