'use strict';

// AbortSignals that calls wait on: one listener for each signal, however many calls share it, so that a signal for the
// life of a program can be given to all of them.

const { guarded } = require('./guard.js');

/** By signal, as long as a call waits on it. */
const watches = new WeakMap();

class Watch {
  #signal;
  #hearers = new Set();

  constructor(signal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.#hear, { once: true });
    watches.set(signal, this);
  }

  add(hearer) {
    this.#hearers.add(hearer);
  }

  remove(hearer) {
    if (!this.#hearers.delete(hearer) || this.#hearers.size > 0) return;
    watches.delete(this.#signal);
    guarded(() => this.#signal.removeEventListener('abort', this.#hear));
  }

  #hear = () => {
    watches.delete(this.#signal);
    const hearers = [...this.#hearers];
    this.#hearers.clear();
    for (const hearer of hearers) guarded(hearer, this.#signal.reason);
  };
}

/** Has `hearer(reason)` called when `signal` aborts; the function that is returned takes that back. */
function whenAborted(signal, hearer) {
  const watch = watches.get(signal) ?? new Watch(signal);
  watch.add(hearer);
  return () => watch.remove(hearer);
}

module.exports = { whenAborted };
