'use strict';

// The one outcome of a start: a promise, a callback and an event tell of it, and an error is never lost among them.

const { rethrow } = require('./calls.js');

class Ready {
  #promise = null;
  #outcome;
  #settled = false;
  #waiting = null;

  /** Settles at the first call; without anybody asking, it never becomes an unhandledRejection. */
  get promise() {
    this.#promise ??= this.#make();
    return this.#promise;
  }

  /** Whether somebody holds the promise. */
  get asked() {
    return this.#promise !== null;
  }

  settle(error) {
    if (this.#settled) return;
    this.#settled = true;
    this.#outcome = error;
    this.#waiting?.(error);
  }

  #make() {
    const promise = new Promise((resolve, reject) => {
      const settle = (error) => (error === null ? resolve() : reject(error));
      if (this.#settled) settle(this.#outcome);
      else this.#waiting = settle;
    });
    promise.catch(() => {});
    return promise;
  }
}

/**
 * Tells everyone who asked. An error that nobody asked for is emitted as 'error', which throws when nobody listens:
 * like a net.Socket's, it must not go unseen.
 */
function announce(emitter, ready, callback, error) {
  ready.settle(error);
  if (callback !== null) call(callback, error);
  if (error !== null && (emitter.listenerCount('error') > 0 || (callback === null && !ready.asked))) {
    emitter.emit('error', error);
  }
}

/** What a callback throws is the process's uncaught exception, and does not keep others from being told. */
function call(callback, error) {
  try {
    callback(error);
  } catch (thrown) {
    rethrow(thrown);
  }
}

module.exports = { Ready, announce };
