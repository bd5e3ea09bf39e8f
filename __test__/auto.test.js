'use strict';

// bridge: 'auto': whoever comes first hosts the bridge; the user starts nothing.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { Bus, LIMIT, barrier, openBus } = require('./support/bus');
const { start, startPeer } = require('./support/child');

const auto = (bus, id) => bus.node(id, { bridge: 'auto' });

test('nobody is there: the node hosts, and others join it', LIMIT, async (t) => {
  const bus = new Bus(t);
  const first = await auto(bus, 'first');
  assert.equal(first.hosting, true);
  const second = await auto(bus, 'second');
  assert.equal(second.hosting, false);
  const third = await bus.node('third');
  assert.equal(third.hosting, false);
  await barrier(second, first);
  await barrier(third, second);
  assert.deepEqual((await first.nodes()).map(({ id }) => id).sort(), ['first', 'second', 'third']);
});

test('a bridge is there: the node joins it and hosts nothing', LIMIT, async (t) => {
  const bus = await openBus(t);
  const node = await auto(bus, 'ann');
  assert.equal(node.hosting, false);
  if (bus.bridge.nodes().length === 0) await once(bus.bridge, 'node:join');
  assert.deepEqual(bus.bridge.nodes().map(({ id }) => id), ['ann']);
});

test("with an address the default is 'require': nobody hosts", LIMIT, async (t) => {
  const bus = new Bus(t);
  const node = bus.dial('ann', { maxConnectionAttempts: 1 });
  node.on('error', () => {});
  await assert.rejects(node.ready, { code: 'ERR_NO_BRIDGE' });
  assert.equal(node.hosting, false);
  assert.equal(fs.existsSync(bus.path), false);
});

test("without an address the default is 'auto'", LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = start(t, 'auto-default.js', {}, { XDG_RUNTIME_DIR: bus.dir });
  assert.deepEqual(await child.next('met'), { kind: 'met', hosting: [true, false], reply: 'hello, world' });
  assert.equal((await child.exited).code, 0);
});

test("bridge: 'require' without an address finds no bridge where none is", LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = start(t, 'peer.js', { bridge: 'require', maxConnectionAttempts: 1 }, { XDG_RUNTIME_DIR: bus.dir });
  assert.equal((await child.next('failed')).code, 'ERR_NO_BRIDGE');
});

test('the socket of a host killed with -9 is taken over', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startPeer(t, { path: bus.path, id: 'host', bridge: 'auto' });
  await host.kill('SIGKILL');
  const ann = await auto(bus, 'ann');
  assert.equal(ann.hosting, true);
  await barrier(await bus.node('bob'), ann);
});

test('a busy auto host blocks its own loop, not the bus', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startPeer(t, { path: bus.path, id: 'host', bridge: 'auto' });
  const [ann, bob] = await bus.nodes('ann', 'bob');
  assert.equal(await ann.request('host:hosting'), true);
  const release = path.join(bus.dir, 'released');
  ann.publish('host:block', release);
  await host.next('blocking');
  for (let n = 0; n < 100; n += 1) await barrier(ann, bob);
  const waiting = ann.request('host:pid');
  fs.writeFileSync(release, '');
  assert.equal(await waiting, host.pid);
});

test('an auto node over TCP', LIMIT, async (t) => {
  const probe = await openBus(t, { port: 0 });
  const { port } = probe.bridge.address();
  await probe.bridge.close();
  const bus = new Bus(t);
  bus.address = { port };
  const first = await auto(bus, 'first');
  assert.equal(first.hosting, true);
  await barrier(await auto(bus, 'second'), first);
});

test('16 processes at once: exactly one hosts, and all find each other', LIMIT, async (t) => {
  const bus = new Bus(t);
  const ids = Array.from({ length: 16 }, (_, n) => `peer-${n}`);
  const settings = (id) => ({ as: 'node', options: { path: bus.path, id, bridge: 'auto' } });
  const contenders = ids.map((id) => start(t, 'contender.js', settings(id)));
  await Promise.all(contenders.map((child) => child.next('loaded')));
  for (const child of contenders) child.send('go');
  const results = await Promise.all(contenders.map((child) => child.next('result')));
  assert.equal(results.filter(({ won }) => won).length, 1);
  bus.address = { path: bus.path };
  const ann = await bus.node('ann');
  assert.deepEqual((await ann.nodes()).map(({ id }) => id).sort(), ['ann', ...ids].sort());
  await Promise.all(ids.map((id) => barrier(ann, id)));
});
