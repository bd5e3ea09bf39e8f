'use strict';

// Errors of the system, at each call, on either side: what passes is tried again, what does not ends the link, which is told,
// and nothing is lost.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { Bus } = require('./support/bus');
const { start } = require('./support/child');
const { collect } = require('./support/watch');

const { EINTR, ENOBUFS, ENOMEM, EAGAIN, EIO, ETIMEDOUT, EPIPE, ECONNRESET, EMFILE, ENFILE, ECONNABORTED } = os.constants.errno;
const PASSING = { EINTR, ENOBUFS, ENOMEM };
const BREAKING = { EIO, ETIMEDOUT, EPIPE, ECONNRESET };
const CALLS = ['read', 'write', 'accept', 'connect'];

const library = build();
const LIMIT = { timeout: 60_000, skip: library === null && 'needs Linux and a C compiler' };

function build() {
  if (process.platform !== 'linux') return null;
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'faults-'));
  process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  const file = path.join(dir, 'faults.so');
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', file, path.join(__dirname, 'fixtures', 'faults.c'), '-ldl'], { stdio: 'pipe' });
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    throw error;
  }
  return file;
}

/** What is to fail in a child that `env` is given to. */
class Faults {
  #file;

  constructor(dir) {
    const file = path.join(dir, 'faults');
    fs.writeFileSync(file, Buffer.alloc(CALLS.length * 12));
    this.#file = fs.openSync(file, 'r+');
    this.env = { LD_PRELOAD: library, FAULTS: file };
  }

  /** The next `count` calls of this class fail. */
  arm(call, number, count = 1) {
    const fault = Buffer.alloc(12);
    fault.writeInt32LE(number, 4);
    fault.writeInt32LE(0, 8);
    const at = CALLS.indexOf(call) * 12;
    fs.writeSync(this.#file, fault, 4, 8, at + 4);
    fault.writeInt32LE(count, 0);
    fs.writeSync(this.#file, fault, 0, 4, at);
  }

  /** How many have failed. */
  hits(call) {
    const hits = Buffer.alloc(4);
    fs.readSync(this.#file, hits, 0, 4, CALLS.indexOf(call) * 12 + 8);
    return hits.readInt32LE();
  }
}

/** A node in a process with faults, at a bridge in this one; or the other way round. */
async function faulty(t, side) {
  const bus = new Bus(t);
  const where = path.join(bus.dir, 'faulty.sock');
  const faults = new Faults(bus.dir);
  const ofBridge = side === 'bridge';
  const file = ofBridge ? 'bridge.js' : 'peer.js';
  if (!ofBridge) await bus.host({ path: where });
  const options = ofBridge ? { path: where } : { path: where, id: 'peer' };
  const child = start(t, file, options, { ...faults.env, BUSYBODY_DRIVER: side === 'task' ? 'task' : 'loop' });
  await child.next(ofBridge ? 'listening' : 'ready');
  if (ofBridge) {
    bus.address = { path: where };
    const peer = await bus.node('peer');
    peer.handle('echo', (...args) => args);
  }
  return { bus, child, faults, ann: await bus.node('ann') };
}

for (const side of ['bridge', 'loop', 'task']) {
  test(`${side}: calls that fail for a reason that passes are made again, and no link breaks`, LIMIT, async (t) => {
    const { bus, child, faults, ann } = await faulty(t, side);
    const breaks = collect(ann, 'disconnect');
    const left = side === 'bridge' ? null : collect(bus.bridge, 'node:leave');
    // EAGAIN is the kernel's promise to say when the socket is ready, which only who asks each time can do without.
    for (const [name, number] of Object.entries(side === 'loop' ? { ...PASSING, EAGAIN } : PASSING)) {
      for (const call of ['read', 'write']) {
        for (const count of [1, 3]) {
          faults.arm(call, number, count);
          for (let asked = 0; faults.hits(call) < count; asked += 1) {
            assert.deepEqual(await ann.request('peer:echo', name, asked), [name, asked], `${call} ${name}`);
          }
          assert.deepEqual(await ann.request('peer:echo', 'after'), ['after']);
        }
      }
    }
    assert.deepEqual(breaks.values, []);
    assert.deepEqual(left?.values ?? [], []);
    assert.ok(!child.has('disconnect'));
    if (left !== null) assert.equal(bus.bridge.stats().resumed, 0);
  });

  test(`${side}: calls that fail for good break the link, which is told, and nothing is lost`, LIMIT, async (t) => {
    const { bus, child, faults, ann } = await faulty(t, side);
    for (const [name, number] of Object.entries(BREAKING)) {
      for (const call of ['read', 'write']) {
        faults.arm(call, number);
        for (let asked = 0; faults.hits(call) < 1; asked += 1) {
          assert.deepEqual(await ann.request('peer:echo', name, asked), [name, asked], `${call} ${name}`);
        }
        assert.deepEqual(await ann.request('peer:echo', 'after'), ['after'], `${call} ${name}`);
        if (side !== 'bridge') {
          assert.equal((await child.next('disconnect')).code, name, `${call} ${name}`);
          await child.next('reconnect');
        }
      }
    }
    if (side !== 'bridge') assert.equal(bus.bridge.stats().resumed, 8);
  });
}

test('a bridge that cannot accept says so once, goes on with those who are there, and accepts again', LIMIT, async (t) => {
  const { bus, child, faults, ann } = await faulty(t, 'bridge');
  for (const number of [EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EINTR]) {
    faults.arm('accept', number, 3);
    const late = bus.dial(`late ${number}`);
    assert.deepEqual(await ann.request('peer:echo', 'meanwhile'), ['meanwhile']);
    await late.ready;
    assert.equal(faults.hits('accept'), 3);
    assert.equal(await late.call('pid'), child.pid);
  }
});

test('a node that cannot connect for a moment tries again', LIMIT, async (t) => {
  const { bus, child, faults, ann } = await faulty(t, 'loop');
  for (const number of [EINTR, ENOBUFS, ENOMEM, EAGAIN]) {
    faults.arm('connect', number, 2);
    faults.arm('read', EIO);
    for (let asked = 0; faults.hits('connect') < 2; asked += 1) await ann.request('peer:echo', asked);
    assert.deepEqual(await ann.request('peer:echo', 'after'), ['after']);
    await child.next('reconnect');
  }
  assert.ok(bus.bridge.nodes().some(({ id }) => id === 'peer'));
});
