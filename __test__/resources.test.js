'use strict';

// What is taken from the system is given back: descriptors, threads, files.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { joinLegacy } = require('./support/legacy');
const { knock } = require('./support/stranger');
const { startBridge } = require('./support/child');

const LINUX = { ...LIMIT, skip: process.platform !== 'linux' && 'counted in /proc' };

/** What a process holds at this moment. */
function holdings(pid = 'self') {
  const descriptors = fs.readdirSync(`/proc/${pid}/fd`).length;
  const threads = fs.readdirSync(`/proc/${pid}/task`).length;
  return { descriptors, threads };
}

/** The kernel closes and ends in its own time: looks until the holdings are `expected`, or gives up. */
async function settled(expected, pid) {
  for (let look = 0; look < 20_000; look += 1) {
    const { descriptors, threads } = holdings(pid);
    if (descriptors <= expected.descriptors && threads <= expected.threads) return;
    await new Promise(setImmediate);
  }
  assert.deepEqual(holdings(pid), expected);
}

/** A bus from its first to its last moment, by Unix socket or TCP. */
async function lifetime(bus, where) {
  const bridge = bus.createBridge(where);
  await bridge.ready;
  const [ann, bob] = ['ann', 'bob'].map((id) => bus.createNode({ url: bridge.url, id }));
  bob.handle('barrier', () => 'passed');
  await Promise.all([ann.ready, bob.ready]);
  await barrier(ann, bob);
  await Promise.all([ann.leave(), bob.leave(true)]);
  await bridge.close();
}

test('a hundred buses later there are as many descriptors and threads as before', LINUX, async (t) => {
  const bus = new Bus(t);
  await lifetime(bus, { path: bus.path }); // what is started once and kept
  await lifetime(bus, { port: 0 });
  const before = holdings();
  for (let round = 0; round < 50; round += 1) {
    await lifetime(bus, { path: bus.path });
    await lifetime(bus, { port: 0 });
  }
  await settled(before);
  assert.deepEqual(fs.readdirSync(bus.dir).filter((name) => !name.endsWith('.lock')), []);
});

test('attempts that fail leave nothing behind', LINUX, async (t) => {
  const bus = await openBus(t);
  await bus.node('ann');
  const attempt = async () => {
    const bridge = bus.createBridge({ path: bus.path });
    bridge.on('error', () => {});
    await assert.rejects(bridge.ready, { code: 'EADDRINUSE' });
    const node = bus.createNode({ ...bus.address, id: 'ann' });
    node.on('error', () => {});
    await assert.rejects(node.ready, { code: 'ERR_DUPLICATE_NODE' });
    const lost = bus.createNode({ path: `${bus.path}.nobody`, maxConnectionAttempts: 1 });
    lost.on('error', () => {});
    await assert.rejects(lost.ready, { code: 'ERR_NO_BRIDGE' });
  };
  await attempt();
  const before = holdings();
  for (let round = 0; round < 30; round += 1) await attempt();
  await settled(before);
});

test('whoever comes and goes leaves no descriptor in the bridge', LINUX, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path, resumeTimeout: 0 });
  bus.address = { url: host.url };
  const visit = async (n) => {
    await (await bus.node(`visitor-${n}`)).leave(n % 2 === 0);
    const old = await joinLegacy(t, bus, `old-${n}`);
    old.destroy();
    await old.closed;
    await (await knock(t, bus)).leave(n % 2 ? '{"half' : Buffer.alloc(10));
  };
  const ann = await bus.node('ann');
  await visit(0);
  await announced(ann);
  const before = holdings(host.pid);
  for (let n = 1; n <= 100; n += 1) await visit(n);
  await announced(ann);
  await settled(before, host.pid);
  assert.deepEqual((await ann.nodes()).map(({ id }) => id), ['ann']);
});
