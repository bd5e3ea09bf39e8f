'use strict';

// A process with a node on the bus. What it can be asked by others comes first, what it does itself after that.

const { createHash, randomFillSync } = require('node:crypto');
const { createNode } = require('busybody');
const { followDirections, stopFollowing, tell } = require('./directed');

const [id, url, ...interests] = process.argv.slice(2);
const node = createNode({ id, url });
let received = 0;

node.handle('double', (number) => count(2 * number));
node.handle('fingerprint', (bytes) => count(sha256(bytes)));
node.handle('sulk', () => new Promise(() => {})); // asked, and never answering
node.handle('ponder', () => {
  tell('pondering');
  return new Promise(() => {});
});

const heard = Object.fromEntries(interests.map((event) => [event, 0]));
let expectation = null;
for (const event of interests) {
  node.on(event, () => {
    heard[event] = count(heard[event] + 1);
    expectation?.met(heard);
  });
}

node.on('node:leave', (info) => tell('node:leave', info.id));
node.on('close', (...farewell) => {
  tell('close', farewell);
  stopFollowing();
});

followDirections({
  async join() {
    await node.ready;
  },

  /** One question. */
  async ask(target, ...args) {
    const start = performance.now();
    const value = count(await node.request(target, ...args));
    return { value, ms: performance.now() - start };
  },

  /** Question after question, for so many milliseconds; returns how long each took. */
  async chat(target, milliseconds) {
    const times = [];
    const from = Date.now();
    const end = performance.now() + milliseconds;
    for (let now = performance.now(); now < end; ) {
      await node.request(target, times.length);
      const then = now;
      now = performance.now();
      times.push(now - then);
    }
    received += times.length;
    return { times: Float64Array.from(times), from, until: Date.now() };
  },

  /** Many questions at once: `width` are under way at any time. Returns how long each took. */
  async interrogate(target, milliseconds, width) {
    const times = [];
    const start = performance.now();
    const asker = async () => {
      for (let now = start; now - start < milliseconds; ) {
        const asked = performance.now();
        await node.request(target, times.length);
        now = performance.now();
        times.push(now - asked);
      }
    };
    await Promise.all(Array.from({ length: width }, asker));
    received += times.length;
    return { times: Float64Array.from(times), ms: performance.now() - start };
  },

  /** Tells everybody who cares, and waits for room when there is none. */
  async shout(event, times) {
    for (let i = 0; i < times; i++) {
      node.broadcast(event, { number: i, text: 'the baker has fresh bread' });
      if (node.needDrain) await new Promise((resolve) => node.once('drain', resolve));
    }
  },

  /** Resolves once an event was heard so often. */
  async hear(event, times) {
    await new Promise((resolve) => {
      expectation = { met: (all) => all[event] >= times && resolve() };
      expectation.met(heard);
    });
    return heard[event];
  },

  /** Milliseconds of processor time that this process has used. */
  async effort() {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },

  /** A large Buffer, and whether the other end saw the same bytes. */
  async parcel(target, size) {
    const bytes = randomFillSync(Buffer.alloc(size));
    const expected = sha256(bytes);
    const start = performance.now();
    const fingerprint = count(await node.request(target, bytes));
    return { same: fingerprint === expected, fingerprint, ms: performance.now() - start };
  },

  /** The bridge's own process answers. */
  async call(method, ...args) {
    const start = performance.now();
    const value = count(await node.call(method, ...args));
    return { value, ms: performance.now() - start };
  },

  /** A question that cannot be answered: returns the code of the error that says so. */
  async askInVain(target, { timeout, abortAfter } = {}) {
    const signal = abortAfter === undefined ? undefined : AbortSignal.timeout(abortAfter);
    const start = performance.now();
    try {
      await node.with({ timeout, signal }).request(target);
    } catch ({ code }) {
      return { code, ms: performance.now() - start };
    }
    throw new Error(`${target} was answered`);
  },

  async tally() {
    return received;
  },
});

function count(value) {
  received += 1;
  return value;
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
