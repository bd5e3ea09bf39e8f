'use strict';

// The one outcome of a start: a promise, a callback and an event tell of it, and an error is never lost among them.

const { guarded, tell } = require('./guard.js');

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
 * Tells everyone who asked. An error that nobody asked for is emitted as 'error', which is an uncaught exception when
 * nobody listens: like a net.Socket's, it must not go unseen. `told`: somebody has heard of it already.
 */
function announce(emitter, ready, callback, error, told = false) {
  ready.settle(error);
  if (callback !== null) guarded(callback, error);
  if (error === null) return;
  if (emitter.listenerCount('error') > 0 || (!told && callback === null && !ready.asked)) tell(emitter, 'error', error);
}

module.exports = { Ready, announce };
