'use strict';

const path = require('node:path');
const { once } = require('node:events');
const { fork } = require('node:child_process');

/**
 * A process of the demo, seen from its director. The channel that fork() brings carries the stage
 * directions only; whatever the processes say to each other goes over the bus.
 */
class Actor {
  #process;
  #calls = new Map();
  #told = new Map();
  #stderr = '';
  #ended = null;

  constructor(script, id, ...args) {
    this.id = id;
    this.#process = fork(path.join(__dirname, script), [id, ...args], {
      serialization: 'advanced', // figures come back as typed arrays
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
    this.#process.stderr.on('data', (text) => (this.#stderr += text));
    this.#process.on('message', (message) => this.#receive(message));
    this.#process.on('error', () => {}); // 'exit' says more
    /** Resolves with { code, signal } when the process has ended. */
    this.exited = once(this.#process, 'close').then(([code, signal]) => this.#end({ code, signal }));
  }

  get pid() {
    return this.#process.pid;
  }

  /** Has the process do something: resolves with what came of it. */
  do(deed, ...args) {
    const outcome = new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      const call = this.#calls.size + 1;
      this.#calls.set(call, { resolve, reject });
      this.#process.send({ call, deed, args });
    });
    outcome.catch(() => {}); // The scene may have failed for another reason before it looks here.
    return outcome;
  }

  /** Resolves with the first news of this kind, whether it is already here or still to come. */
  told(kind) {
    const news = new Promise((resolve, reject) => this.#newsOf(kind, resolve, reject));
    news.catch(() => {});
    return news;
  }

  /** As the kernel's out-of-memory killer would: no farewell, no cleanup. */
  kill() {
    this.#process.kill('SIGKILL');
  }

  #newsOf(kind, resolve, reject) {
    const news = this.#told.get(kind);
    if (news && 'value' in news) return resolve(news.value);
    if (this.#ended) return reject(this.#ended);
    this.#told.set(kind, { resolve, reject });
  }

  #receive({ call, value, error, news }) {
    if (news) {
      this.#told.get(news)?.resolve?.(value);
      this.#told.set(news, { value });
      return;
    }
    const { resolve, reject } = this.#calls.get(call);
    if (error) reject(Object.assign(new Error(`${this.id}: ${error.message}`), { code: error.code }));
    else resolve(value);
  }

  #end(status) {
    this.#ended = new Error(`${this.id} ended (${status.signal ?? status.code})\n${this.#stderr}`.trimEnd());
    for (const { reject } of [...this.#calls.values(), ...this.#told.values()]) reject?.(this.#ended);
    return status;
  }
}

module.exports = { Actor };
