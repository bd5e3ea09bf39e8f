'use strict';

// Nodes that are forgotten without leave(): warned of once, and gone from the bus with all they held. Those that are
// still of use to somebody stay.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { start, startBridge } = require('./support/child');

const run = (t, scenario, options) => start(t, 'dropped.js', { scenario, ...options }, {}, { execArgv: ['--expose-gc'] });

async function ends(child) {
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr);
}

test('forgotten nodes: one warning, they leave the bus, and the process ends', LIMIT, async (t) => {
  const bus = await openBus(t);
  const left = collect(bus.bridge, 'node:leave', ({ id }, reason) => [id, reason]);
  const child = run(t, 'nodes', bus.address);
  const warning = await child.next('warning');
  assert.equal(warning.code, 'BUSYBODY_DROPPED');
  assert.match(warning.message, /'a'.*leave\(\)/);
  await ends(child);
  assert.equal(child.has('warning'), false);
  assert.deepEqual(await left.reached(3), ['a', 'b', 'c'].map((id) => [id, 'left']));
});

test('of forgotten nodes nothing stays in memory', LIMIT, async (t) => {
  const bus = await openBus(t);
  (await bus.node('ann')).handle('echo', (value) => value);
  const child = run(t, 'many nodes', bus.address);
  const { grown } = await child.next('grown');
  // A node that stays takes 3.5 KiB.
  assert.ok(grown < 1024, `${grown} bytes of heap for each forgotten node`);
  await ends(child);
});

test('what a forgotten node had published arrives', LIMIT, async (t) => {
  const bus = await openBus(t);
  const notes = collect(await bus.node('ann'), 'note');
  await ends(run(t, 'a node that has just published', bus.address));
  assert.deepEqual(await notes.reached(1000), [...Array(1000).keys()]);
});

test('a node whose last listener was called and whose last call has ended can be forgotten', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  ann.handle('echo', (n) => n);
  const child = run(t, 'a node whose last listener and call have ended', bus.address);
  await child.next('ready');
  ann.publish('a:hello');
  assert.equal((await child.next('echoed')).value, 1);
  await child.next('warning');
  await ends(child);
});

test('a paused node that is forgotten: what it had put aside is said not to have arrived, and its process ends', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const left = collect(bus.bridge, 'node:leave', ({ id }, reason) => [id, reason]);
  const lost = collect(ann, 'undeliverable', ({ target, code }) => [target, code]);
  const child = run(t, 'a paused node', bus.address);
  await child.next('ready');
  ann.publish('a:note');
  await child.next('paused');
  ann.publish('a:more');
  ann.publish('a:last');
  const asked = assert.rejects(ann.request('a:more'), { code: 'ERR_NODE_LEFT' });
  await ann.nodes(); // the bridge has forwarded them
  child.send('forget it');
  assert.equal((await child.next('warning')).code, 'BUSYBODY_DROPPED');
  await ends(child);
  await asked;
  assert.deepEqual(await left.reached(1), [['a', 'left']]);
  assert.deepEqual(await lost.reached(2), [['a:more', 'ERR_NODE_LEFT'], ['a:last', 'ERR_NODE_LEFT']]);
  assert.equal(child.has('taken'), false);
  assert.equal(ann.pending, 0);
});

test('a node that lost its bridge is kept until it is back on the bus', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  const child = run(t, 'a node without its bridge', { path: bus.path });
  await child.next('ready');
  await host.kill();
  child.send('go');
  await bus.host();
  await child.next('warning');
  await ends(child);
});

test('a node that something listens to is kept, whoever forgets it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const child = run(t, 'a node that is listened to', bus.address);
  await child.next('ready');
  for (let n = 0; n < 100; n += 1) assert.equal(await ann.request('a:double', n), 2 * n);
  assert.equal(child.has('warning'), false);
});

test('a node with a call under way is kept until it has ended', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const asked = once(ann, 'slow');
  const child = run(t, 'a node with a call under way', bus.address);
  await child.next('ready');
  const [reply] = await asked;
  // Time for the collector, told by what its process answers.
  const other = await bus.node('other');
  for (let n = 0; n < 50; n += 1) assert.equal((await other.nodes()).length, 3);
  assert.equal(child.has('warning'), false);
  reply(null, 'at last');
  assert.equal((await child.next('answered')).value, 'at last');
  await child.next('warning');
});

test('a node that connects is kept', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'a node that connects', { path: bus.path });
  await child.next('ready');
  await bus.host();
  await child.next('connected');
});

test('a bridge is kept, and a node that hosts one', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'a bridge and a host', { path: bus.path });
  await child.next('ready');
  const ann = await bus.node('ann');
  for (let n = 0; n < 50; n += 1) assert.equal(await ann.call('double', n), 2 * n);
  const bob = await bus.node('bob', { path: `${bus.path}2` });
  assert.deepEqual((await bob.nodes()).map(({ id }) => id).sort(), ['bob', 'host']);
});

for (const scenario of ['nodes that have left', 'bridges that were closed']) {
  test(`${scenario} can be collected, and nothing is said`, LIMIT, async (t) => {
    const bus = new Bus(t);
    if (scenario.startsWith('nodes')) await bus.host();
    const child = run(t, scenario, { path: bus.path });
    await ends(child);
    assert.equal(child.has('warning'), false);
  });
}
