'use strict';

// What the contenders of a start race may find, and what may happen to them. Each scenario is one round:
// (crew, dice) -> a word on what came of it; `dice(n)` is a number below n.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { stop } = require('../support/stopping');
const { assertLosersKnow, oneBus, onlyOwner } = require('./race-verdict');

const scenarios = {
  'nothing is there': async (crew, dice) => contest(crew, anyParts(crew, dice)),

  async 'a stale socket is there'(crew, dice) {
    await leftovers[dice(leftovers.length)](crew);
    return contest(crew, anyParts(crew, dice));
  },

  async 'a live bridge is there'(crew, dice) {
    await crew.incumbent.enter(dice(2) === 0 ? 'bridge' : 'node');
    await crew.incumbent.result;
    const file = identity(crew.path);
    await contest(crew, anyParts(crew, dice), crew.incumbent);
    assert.equal(identity(crew.path), file, 'the socket was replaced');
  },

  async 'a stopped bridge is there'(crew, dice) {
    await crew.incumbent.enter(dice(2) === 0 ? 'bridge' : 'node');
    await crew.incumbent.result;
    const file = identity(crew.path);
    await crew.line(anyParts(crew, dice));
    try {
      await stop(crew.incumbent.pid);
      const entered = crew.open();
      const [nodes, bridges] = [true, false].map((is) => crew.contenders.filter(({ isNode }) => isNode === is));
      assertLosersKnow(await Promise.all(bridges.map(({ result }) => result)), crew.incumbent, crew.path);
      for (const { connected, hosting } of await Promise.all(nodes.map((node) => node.look()))) {
        assert.deepEqual({ connected, hosting }, { connected: false, hosting: false });
      }
      process.kill(crew.incumbent.pid, 'SIGCONT');
      await entered;
    } finally {
      process.kill(crew.incumbent.pid, 'SIGCONT');
    }
    assert.equal((await oneBus(crew)).id, crew.incumbent.id);
    assert.equal(identity(crew.path), file, 'the socket was replaced');
  },

  async 'the winner is killed'(crew, dice) {
    await crew.line(partsWithNodes(crew, dice));
    const raced = crew.open();
    const victims = [];
    for (let kills = 1 + dice(3); kills > 0; kills -= 1) victims.push(await killOwner(crew, raced, dice));
    await raced;
    const owner = await oneBus(crew);
    return `${victims.join(', ')} killed; then ${owner.id}`;
  },

  async 'the winner leaves in peace'(crew, dice) {
    await contest(crew, crew.contenders.map(() => 'node'));
    const first = await onlyOwner(crew);
    await first.end();
    first.as = null;
    return `${first.id} left; then ${(await oneBus(crew)).id}`;
  },
};

/** Everybody races; one bridge comes of it, or stays. */
async function contest(crew, parts, incumbent = null) {
  await crew.line(parts);
  const outcomes = await crew.open();
  const results = outcomes.map(({ status, value, reason }) => {
    if (status === 'rejected') throw reason;
    return value;
  });
  const owner = await oneBus(crew);
  if (incumbent !== null) assert.equal(owner.id, incumbent.id, 'a live bridge was robbed');
  assertLosersKnow(results, owner, crew.path);
  return owner.id;
}

function anyParts({ contenders }, dice) {
  const kind = dice(4);
  if (kind < 2) return contenders.map(() => ['bridge', 'node'][kind]);
  return contenders.map(() => (dice(2) === 0 ? 'bridge' : 'node'));
}

/** Who loses as a bridge is out of the race: some must be left who take over from the killed. */
function partsWithNodes({ contenders }, dice) {
  const bridges = dice(2) === 0 ? 0 : dice(Math.max(1, contenders.length - 4));
  return contenders.map((_, n) => (n < bridges ? 'bridge' : 'node'));
}

/** What a starter that is killed leaves behind, by how far it came. */
const leftovers = [
  // It served: a real one.
  async (crew) => {
    await crew.incumbent.enter('bridge');
    await crew.incumbent.result;
    await crew.incumbent.kill();
    assert.ok(fs.lstatSync(crew.path).isSocket(), 'kill -9 leaves the file');
  },
  // Its socket was bound and did not listen yet: too short a moment to hit from outside, so it is made.
  (crew) => deadSocket(crew.path),
];

/** A socket's file without its socket. */
async function deadSocket(file) {
  const server = net.createServer().listen(`${file}.new`);
  await once(server, 'listening');
  // Closing removes the name that was bound.
  fs.renameSync(`${file}.new`, file);
  await new Promise((resolve) => server.close(resolve));
}

function identity(file) {
  const { dev, ino } = fs.lstatSync(file);
  return `${dev}:${ino}`;
}

/** Kills whoever owns the address, at a moment that `dice` chooses; returns its id. */
async function killOwner(crew, raced, dice) {
  const { base: lock, dir } = path.parse(`${crew.path}.lock`);
  const moments = [lock, path.basename(crew.path), null];
  const moment = moments[dice(moments.length)];
  const turns = dice(2) === 0 ? 0 : dice(50);
  if (moment !== null) await Promise.race([changed(dir, moment), raced]);
  for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
  const owner = await ownerOf(crew, dir);
  const { id } = owner;
  await owner.kill();
  return id;
}

/** The file `name` in `dir` was made, changed or removed. */
async function changed(dir, name) {
  const watcher = fs.watch(dir);
  try {
    for (;;) {
      const [, filename] = await once(watcher, 'change');
      if (filename === name) return;
    }
  } finally {
    watcher.close();
  }
}

/** The owner, once there is one. */
async function ownerOf(crew, dir) {
  const watcher = fs.watch(dir);
  try {
    for (;;) {
      const change = once(watcher, 'change');
      const owner = fs.existsSync(`${crew.path}.lock`) ? crew.owner() : undefined;
      if (owner !== undefined) return owner;
      await change;
    }
  } finally {
    watcher.close();
  }
}

module.exports = { scenarios };
