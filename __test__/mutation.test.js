'use strict';

// The binary wire with its bytes changed, cut and shuffled: recorded from a real conversation, so whatever the
// format is, every part of it is tried. To the bridge as a node, and to nodes as a bridge.

const test = require('node:test');
const assert = require('node:assert/strict');
const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { tap } = require('./support/proxy');
const { dice, knock } = require('./support/stranger');
const { start, startBridge, startPeer } = require('./support/child');

/** The bytes of both directions of a conversation in which a node says one of everything. */
async function record(t) {
  const bus = await openBus(t);
  const wire = await tap(t, bus);
  const [victim, other] = await bus.nodes('victim', 'other');
  victim.on('note', () => {}).handle('ask', (value) => value);
  const node = await bus.node('recorded', { url: undefined, path: wire.path });
  node.on('news', () => {});
  await announced(node, victim);
  node.publish('victim:note', { text: 'hello', list: [1, 2, 3] }, Buffer.from('bytes'), Float64Array.of(1, 2));
  await node.request('victim:ask', [new Error('carried'), 'text']);
  await other.request('recorded:barrier');
  other.broadcast('news', 'today', Buffer.alloc(20));
  node.broadcast('note', 'to all');
  await node.call('nothing').catch(() => {});
  await node.request('nobody:x').catch(() => {});
  await barrier(other, node);
  return { toBridge: Buffer.concat(wire.recorded.toBridge), toNode: Buffer.concat(wire.recorded.toNode) };
}

/** Variants of `bytes`: cut off, with bytes changed, left out, doubled, with large numbers in them. */
function* variants(bytes, count, seed) {
  const roll = dice(seed);
  for (let n = 0; n < count; n += 1) {
    const copy = Buffer.from(bytes);
    const at = roll(copy.length);
    if (n % 6 === 0) yield copy.subarray(0, at);
    if (n % 6 === 1) yield (copy[at] ^= 1 << roll(8), copy);
    if (n % 6 === 2) yield (copy.subarray(at, at + 1 + roll(8)).fill(0xff), copy);
    if (n % 6 === 3) yield Buffer.concat([copy.subarray(0, at), copy.subarray(at + 1 + roll(8))]);
    if (n % 6 === 4) yield Buffer.concat([copy.subarray(0, at), copy.subarray(Math.max(0, at - 40))]);
    if (n % 6 === 5) yield (copy.subarray(at, at + 1 + roll(8)).fill(0), copy);
  }
}

test('a bridge that is told changed, cut and shuffled bytes lives on, and so do the nodes they reach', LIMIT, async (t) => {
  const { toBridge } = await record(t);
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path, resumeTimeout: 0, maxMessage: 1 << 20 });
  bus.address = { url: host.url };
  const victim = await startPeer(t, { ...bus.address, id: 'victim' });
  const ann = await bus.node('ann');
  let round = 0;
  for (const bytes of variants(toBridge, 600, 7)) {
    const stranger = await knock(t, bus);
    await stranger.leave(bytes);
    if ((round += 1) % 50 === 0) await barrier(ann, 'victim');
  }
  await barrier(ann, 'victim');
  await bus.node('newcomer');
  assert.ok(host.alive && victim.alive);
});

test('every prefix of a conversation, then silence or the rest of another', LIMIT, async (t) => {
  const { toBridge } = await record(t);
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path, resumeTimeout: 0 });
  bus.address = { url: host.url };
  const ann = await bus.node('ann');
  const step = Math.max(1, Math.floor(toBridge.length / 150));
  for (let length = 1; length < toBridge.length; length += step) {
    await (await knock(t, bus)).leave(toBridge.subarray(0, length));
    await (await knock(t, bus)).leave(toBridge.subarray(length));
  }
  await barrier(ann, ann);
  assert.ok(host.alive);
});

test('the preamble, then junk: the bridge hangs up', LIMIT, async (t) => {
  const { toBridge } = await record(t);
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  bus.address = { url: host.url };
  for (const length of [4, 8, 16, 64]) {
    const stranger = await knock(t, bus);
    await stranger.say(Buffer.concat([toBridge.subarray(0, length), Buffer.alloc(100_000, 0xff)]));
    await stranger.closed;
  }
  await bus.node('ann');
  assert.ok(host.alive);
});

test('a node that is told changed, cut and shuffled bytes by a false bridge lives on', LIMIT, async (t) => {
  const { toNode } = await record(t);
  const bus = new Bus(t);
  const streams = [...variants(toNode, 300, 11)];
  const server = net.createServer((socket) => {
    socket.on('error', () => {}); // the node may hang up first
    socket.once('data', () => socket.end(streams.pop() ?? Buffer.alloc(0)));
    socket.resume();
  });
  t.after(() => server.close());
  const where = path.join(bus.dir, 'false.sock');
  server.listen(where);
  await once(server, 'listening');
  const victim = start(t, 'gullible.js', { path: where, rounds: streams.length });
  const { outcomes } = await victim.next('survived');
  assert.equal(outcomes.length, 300);
  assert.ok(outcomes.every((code) => code === null || /^E[A-Z_]+$/.test(code)), String(new Set(outcomes)));
  assert.equal((await victim.exited).code, 0);
});
