'use strict';

// Whether a handle keeps its process alive, as a net.Socket does. The native handles never do by themselves, so
// this is one mechanism for every runtime and driver.

const { clearInterval, setInterval } = require('./time.js');

const LONGEST = 2 ** 31 - 1;

/** Keeps the process alive from `start` to `stop`, except while unref'd. */
class KeepAlive {
  #timer = null;
  #referenced = true;

  start() {
    this.#timer ??= setInterval(() => {}, LONGEST);
    if (!this.#referenced) this.#timer.unref();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = null;
  }

  ref() {
    this.#referenced = true;
    this.#timer?.ref();
  }

  unref() {
    this.#referenced = false;
    this.#timer?.unref();
  }
}

module.exports = { KeepAlive };
