'use strict';

// Large bodies through shared memory: whole, once and in order, whatever happens to who sends, reads or hosts.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { start, startBridge } = require('./support/child');

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZES = [100 * KIB, 64 * KIB + 1, 512 * KIB, 1, 999_999, 128 * KIB - 1, 70_001, 300 * KIB, 0, 3 * MIB + 5];

/** Shared memory is Linux's: elsewhere the same has to happen by socket. */
const LINUX = process.platform === 'linux';

async function peer(t, options, env) {
  const child = start(t, 'lane.js', options, env);
  await child.next('ready');
  return child;
}

/** How many arenas a process has mapped, its own included. */
function arenas({ pid }) {
  return fs.readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').filter((line) => line.includes('busybody-lane')).length;
}

/** The next `count` bodies that reach `child`: all intact, numbered from `first` on. */
async function takes(child, from, count, first = 1) {
  for (let n = first; n < first + count; n += 1) {
    assert.deepEqual(await child.next('body'), { kind: 'body', from, n, intact: true });
  }
}

/** A bridge here, and the nodes ann and ben in processes of their own. */
async function pair(t, annsEnv, bensEnv, options) {
  const bus = await openBus(t);
  const ann = await peer(t, { ...bus.address, id: 'ann', ...options }, annsEnv);
  const ben = await peer(t, { ...bus.address, id: 'ben', ...options }, bensEnv);
  return { bus, ann, ben };
}

test('bodies of all sizes go both ways, as messages, questions and answers', LIMIT, async (t) => {
  const { ann, ben } = await pair(t);
  ann.send({ do: 'publish', to: 'ben', sizes: SIZES, count: 100 });
  ben.send({ do: 'publish', to: 'ann', sizes: SIZES, count: 100 });
  await Promise.all([takes(ben, 'ann', 100), takes(ann, 'ben', 100)]);
  ann.send({ do: 'ask', to: 'ben', sizes: SIZES });
  assert.equal((await ann.next('asked')).right, true);
  if (LINUX) assert.deepEqual([arenas(ann), arenas(ben)], [2, 2]);
});

for (const [who, envs] of [['the sender', [{ BUSYBODY_LANE: 'off' }]], ['the receiver', [{}, { BUSYBODY_LANE: 'off' }]]]) {
  test(`BUSYBODY_LANE=off for ${who}: the same by socket`, LIMIT, async (t) => {
    const { ann, ben } = await pair(t, ...envs);
    ann.send({ do: 'publish', to: 'ben', sizes: SIZES, count: 30 });
    await takes(ben, 'ann', 30);
    ann.send({ do: 'ask', to: 'ben', sizes: SIZES });
    assert.equal((await ann.next('asked')).right, true);
    // Whoever may, makes memory and offers it; nobody reads it.
    if (LINUX) assert.ok(arenas(ann) + arenas(ben) <= 1);
  });
}

test('BUSYBODY_LANE is on or off', LIMIT, async (t) => {
  const child = start(t, 'lane.js', { id: 'ann' }, { BUSYBODY_LANE: 'perhaps' });
  assert.notEqual((await child.exited).code, 0);
  assert.match(child.stderr, /ERR_INVALID_ARG/);
});

test('more than there is room for: 50 MiB at once, and many at a time', LIMIT, async (t) => {
  const { ann, ben } = await pair(t, {}, {}, { maxPending: 200 * MIB });
  ann.send({ do: 'publish', to: 'ben', sizes: [MIB, 50 * MIB, 10 * MIB], count: 9 });
  await takes(ben, 'ann', 9);
  ann.send({ do: 'publish', to: 'ben', sizes: [900 * KIB], count: 100, first: 10 });
  await takes(ben, 'ann', 100, 10);
});

test('a receiver that is killed and comes again gets what is sent to it from then on', LIMIT, async (t) => {
  const { bus, ann, ben } = await pair(t);
  ann.send({ do: 'publish', to: 'ben', sizes: [512 * KIB], count: 20 });
  await takes(ben, 'ann', 20);
  await ann.next('published');
  for (let first = 21, before = ben; first < 81; first += 20) {
    await before.kill();
    const again = await peer(t, { ...bus.address, id: 'ben' });
    ann.send({ do: 'publish', to: 'ben', sizes: [512 * KIB], count: 20, first });
    await takes(again, 'ann', 20, first);
    before = again;
  }
});

test('a receiver that is killed in the midst: what comes again is whole and in order', LIMIT, async (t) => {
  const { bus, ann, ben } = await pair(t);
  ann.send({ do: 'publish', to: 'ben', sizes: [512 * KIB, 90 * KIB], count: 400 });
  await takes(ben, 'ann', 40);
  await ben.kill();
  const again = await peer(t, { ...bus.address, id: 'ben' });
  await ann.next('published');
  ann.send({ do: 'publish', to: 'ben', sizes: [512 * KIB], count: 1, first: 1000 });
  let last = 40;
  while (last < 1000) {
    const { n, intact } = await again.next('body');
    assert.ok(intact && n > last, `${n} after ${last}`);
    last = n;
  }
});

test('a sender that is killed: what it had sent is whole, and its memory is given back', LIMIT, async (t) => {
  const { ann, ben } = await pair(t);
  ann.send({ do: 'publish', to: 'ben', sizes: [512 * KIB], count: 100_000 });
  await takes(ben, 'ann', 50);
  await ann.kill();
  await sleep(200);
  while (ben.has('body')) assert.equal((await ben.next('body')).intact, true);
  if (LINUX) assert.equal(arenas(ben), 0);
});

test('a sender that leaves: all of it arrives', LIMIT, async (t) => {
  const { ann, ben } = await pair(t);
  ann.send({ do: 'publish', to: 'ben', sizes: SIZES, count: 60 });
  await ann.next('published');
  ann.send({ do: 'leave' });
  await takes(ben, 'ann', 60);
  assert.equal(ann.has('undeliverable'), false);
});

test('a bridge that is killed under load, twice: every body once and in order', LIMIT, async (t) => {
  const bus = new Bus(t);
  let bridge = await startBridge(t, { path: bus.path });
  const ann = await peer(t, { path: bus.path, id: 'ann' });
  const ben = await peer(t, { path: bus.path, id: 'ben' });
  ann.send({ do: 'publish', to: 'ben', sizes: SIZES, count: 600 });
  ben.send({ do: 'publish', to: 'ann', sizes: SIZES, count: 600 });
  const taken = Promise.all([takes(ben, 'ann', 600), takes(ann, 'ben', 600)]);
  for (let death = 0; death < 2; death += 1) {
    await sleep(250);
    await bridge.kill();
    bridge = await startBridge(t, { path: bus.path });
  }
  await taken;
  assert.equal(ann.has('undeliverable') || ben.has('undeliverable'), false);
});
