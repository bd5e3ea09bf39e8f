'use strict';

// What a stress run starts ends with it, as t.after() of node:test has it: the support files of the tests take either.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

class Scope {
  #closers = [];

  after(close) {
    this.#closers.push(close);
  }

  /** An empty directory, for sockets. */
  directory() {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'stress-'));
    this.after(() => fs.rmSync(dir, { recursive: true, force: true }));
    return dir;
  }

  /** Everything is ended, the last first, even if some of it fails. */
  async end() {
    for (const close of this.#closers.splice(0).reverse()) await Promise.resolve().then(close).catch(() => {});
  }
}

/** Runs `work(scope)` and ends what it started, however it goes. Signals end it, too. */
async function scoped(work) {
  const scope = new Scope();
  const interrupted = (signal) => scope.end().finally(() => process.kill(process.pid, signal));
  const signals = ['SIGINT', 'SIGTERM'];
  for (const signal of signals) process.once(signal, interrupted);
  try {
    return await work(scope);
  } finally {
    await scope.end();
    for (const signal of signals) process.off(signal, interrupted);
  }
}

module.exports = { scoped };
