'use strict';

// Children inherit no descriptor of ours: a child that outlives its parent would keep links open and locks held.

const test = require('node:test');
const assert = require('node:assert/strict');
const cluster = require('node:cluster');
const fs = require('node:fs');
const path = require('node:path');
const { execFile } = require('node:child_process');
const { once } = require('node:events');
const { promisify } = require('node:util');
const { Bus, LIMIT, barrier } = require('./support/bus');
const { start } = require('./support/child');

const LINUX = { ...LIMIT, skip: process.platform !== 'linux' && 'read in /proc' };
const run = promisify(execFile);

/** What this process's descriptors of sockets and files are; others have no names. */
function held() {
  return fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const target = fs.readlinkSync(`/proc/self/fd/${fd}`);
      return /^(socket:|\/(?!dev\/))/.test(target) ? target : [];
    } catch {
      return []; // that of the directory just read
    }
  });
}

/** A bridge on a Unix socket, one on TCP, and nodes of each, in this process; `ours` are their descriptors. */
async function wholeBuses(t) {
  const before = new Set(held());
  const buses = [new Bus(t), new Bus(t)];
  await buses[0].host();
  await buses[1].host({ port: 0 });
  for (const bus of buses) await barrier(...(await bus.nodes('ann', 'bob')));
  const ours = held().filter((target) => !before.has(target));
  // A listener and both ends of two links in each bus, and the lock.
  assert.equal(ours.filter((target) => target.startsWith('socket:')).length, 10);
  assert.ok(ours.includes(`${buses[0].path}.lock`));
  return { buses, ours };
}

function assertNoneOf(ours, targets) {
  assert.deepEqual(targets.filter((target) => ours.includes(target)), []);
}

test('fork: the child has none of them', LINUX, async (t) => {
  const { ours } = await wholeBuses(t);
  const child = start(t, 'descriptors.js');
  assertNoneOf(ours, (await child.next('descriptors')).targets);
});

test('cluster.fork: the worker has none of them', LINUX, async (t) => {
  const { ours } = await wholeBuses(t);
  cluster.setupPrimary({ exec: path.join(__dirname, 'fixtures', 'descriptors.js') });
  const worker = cluster.fork();
  t.after(() => worker.process.kill('SIGKILL'));
  const [{ targets }] = await once(worker, 'message');
  assertNoneOf(ours, targets);
});

/** The numbers of the descriptors that a program starts with, and that of the directory it reads. */
async function numbers() {
  return (await run('ls', ['/proc/self/fd'])).stdout;
}

test('spawn: a program has those descriptors that it would have without a bus', LINUX, async (t) => {
  const without = await numbers();
  await wholeBuses(t);
  assert.equal(await numbers(), without);
});

test('spawn while links come and go: the same', LINUX, async (t) => {
  const without = await numbers();
  const { buses } = await wholeBuses(t);
  for (let round = 0; round < 10; round += 1) {
    const programs = Array.from({ length: 4 }, numbers);
    const nodes = await Promise.all(buses.flatMap((bus) => [bus.node(`c-${round}`), bus.node(`d-${round}`)]));
    for (const found of await Promise.all(programs)) assert.equal(found, without);
    await Promise.all(nodes.map((node) => node.leave()));
  }
});

test('a child that lives on keeps neither path nor port taken, nor a node on the bus', LINUX, async (t) => {
  const { buses } = await wholeBuses(t);
  const child = start(t, 'descriptors.js');
  await child.next('descriptors');
  for (const bus of buses) {
    const left = once(bus.bridge, 'node:leave');
    const node = await bus.node('short-lived');
    await node.leave();
    assert.equal((await left)[0].id, 'short-lived');
    const { url } = bus.bridge;
    await bus.bridge.close();
    await bus.host({ url });
  }
  assert.ok(child.alive);
});
