'use strict';

// What came for a node that has paused: kept in order, and emitted in turns once it goes on.

const { monotonic: now, setImmediate } = require('./time.js');

/** Milliseconds of one turn; then the event loop goes round before the next. */
const TURN = 4;
/** So many emitted ones may lie before those that wait, until the array is moved up. */
const SLACK = 1024;

/** Messages that wait, first in, first out. */
class Buffered {
  /** Whether what comes goes here: while paused, and until the last that waited is emitted. */
  #active = false;
  #host;
  #paused = false;
  #waiting = [];
  /** Where the first that waits is; those before it were emitted. */
  #first = 0;
  #scheduled = false;

  /**
   * `host`: { activate(active), deliver(message), turned() }. `deliver` emits one, and must not throw; `turned` is called
   * after each turn.
   */
  constructor(host) {
    this.#host = host;
  }

  get active() {
    return this.#active;
  }

  /** How many messages wait. */
  get length() {
    return this.#waiting.length - this.#first;
  }

  pause() {
    this.#paused = true;
    this.#activate(true);
  }

  /** Begins to emit what waits, in a turn of its own: the caller's state is whole by then. */
  resume() {
    this.#paused = false;
    if (this.length === 0) this.#activate(false);
    else this.#schedule();
  }

  add(message) {
    this.#waiting.push(message);
  }

  /** Forgets what waits; nothing more is emitted. */
  end() {
    this.#waiting = [];
    this.#first = 0;
  }

  #activate(active) {
    if (this.#active === active) return;
    this.#active = active;
    this.#host.activate(active);
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#turn);
  }

  #turn = () => {
    this.#scheduled = false;
    const until = now() + TURN;
    // A listener may pause, or end all.
    while (!this.#paused && this.length > 0) {
      this.#host.deliver(this.#take());
      if (now() > until) break;
    }
    this.#host.turned();
    if (!this.#paused) this.resume();
  };

  #take() {
    const message = this.#waiting[this.#first];
    this.#waiting[this.#first] = undefined;
    this.#first += 1;
    if (this.length === 0) this.end();
    else if (this.#first >= SLACK && this.#first >= this.length) this.#moveUp();
    return message;
  }

  #moveUp() {
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }
}

module.exports = { Buffered };
