'use strict';

// Who waits for which reply. The native side decides when a call ends; here it meets the callback, once.

const { HELD } = require('./finalizer.js');
const { guarded } = require('./guard.js');
const { clearTimeout, setTimeout } = require('./time.js');

const MAX_TIMER = 2 ** 31 - 1;

/** Calls without an outcome, by the number the native side gave them. */
class Calls {
  #waiting = new Map();
  #native;
  #weakHandle;
  #timer = null;
  /** The shortest timeout among calls since the timer was set: it is never too late for the others. */
  #shortest = Infinity;

  /** `weakHandle` holds the node while anybody waits. */
  constructor(native, weakHandle) {
    this.#native = native;
    this.#weakHandle = weakHandle;
  }

  /** Remembers `settle(error, args)` under `number`; `timeout` in milliseconds, 0 for ever. */
  add(number, settle, timeout) {
    if (this.#waiting.size === 0) this.#weakHandle.set(HELD.WAITING, true);
    this.#waiting.set(number, settle);
    if (timeout !== 0 && timeout < this.#shortest) this.#arm(timeout);
  }

  /** Ends a call; what its callback throws is the process's uncaught exception. */
  settle(number, error, args) {
    const settle = this.#waiting.get(number);
    if (settle === undefined) return;
    this.#remove(number);
    guarded(settle, error, args);
  }

  /** The caller no longer waits; a late reply is dropped. */
  cancel(number) {
    if (this.#remove(number)) this.#native.cancel(number);
  }

  /** Forgets all calls; the function that is returned ends them, and says how many they were. */
  takeAll() {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#weakHandle.set(HELD.WAITING, false);
    clearTimeout(this.#timer);
    this.#shortest = Infinity;
    return (error) => {
      for (const settle of waiting) guarded(settle, error, null);
      return waiting.length;
    };
  }

  #remove(number) {
    const waited = this.#waiting.delete(number);
    if (this.#waiting.size === 0) this.#weakHandle.set(HELD.WAITING, false);
    return waited;
  }

  #arm(timeout) {
    clearTimeout(this.#timer);
    this.#shortest = timeout;
    // It must not keep the process alive: whether anybody waits is for the node's own connection to say.
    this.#timer = setTimeout(() => this.#check(), Math.min(timeout, MAX_TIMER));
    this.#timer.unref();
  }

  #check() {
    this.#shortest = Infinity;
    const next = this.#native.checkTime();
    // A millisecond more than asked: clocks round differently.
    if (next >= 0) this.#arm(next + 1);
  }
}

module.exports = { Calls };
