'use strict';

// The calls of handlers that are not finished: whoever leaves lets them finish.

const { run } = require('./reply.js');

class Work {
  #open = 0;
  /** The call in whose synchronous part the program is. */
  #inside = null;
  #whenIdle = null;
  #failed;

  /** `failed(error, { from, event })` hears of failures that nobody waits for. */
  constructor(failed) {
    this.#failed = failed;
  }

  /** Whether a handler is at work. */
  get busy() {
    return this.#open > 0;
  }

  /** Calls a handler, and has its outcome replied. */
  run(self, handler, args, reply) {
    const call = { counts: true };
    const outer = this.#inside;
    this.#open += 1;
    this.#inside = call;
    try {
      run(self, handler, args, reply, this.#failed, () => this.#finish(call));
    } finally {
      this.#inside = outer;
    }
  }

  /** Calls `idle` once, when all handlers have finished; null: nothing any more. */
  whenIdle(idle) {
    this.#whenIdle = idle;
    this.#check();
  }

  /**
   * The same promise, for a program that waits for the end of its work. A handler that does so itself would wait for ever:
   * its call does not count as soon as it awaits the promise.
   */
  awaited(promise) {
    const call = this.#inside;
    return call === null ? promise : new Awaited(promise, () => this.#finish(call));
  }

  #finish(call) {
    if (!call.counts) return;
    call.counts = false;
    this.#open -= 1;
    this.#check();
  }

  #check() {
    if (this.#open > 0 || this.#whenIdle === null) return;
    const idle = this.#whenIdle;
    this.#whenIdle = null;
    idle();
  }
}

/** A promise that notices when somebody awaits it. */
class Awaited extends Promise {
  #noticed;

  constructor(promise, noticed) {
    super((resolve) => resolve(promise));
    this.#noticed = noticed;
  }

  then(...handlers) {
    this.#noticed();
    return super.then(...handlers);
  }

  static get [Symbol.species]() {
    return Promise;
  }
}

module.exports = { Work };
