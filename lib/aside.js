'use strict';

// What came for a node that has paused: kept in order, and emitted in turns once it goes on.

const { monotonic: now, setImmediate } = require('./time.js');

/** Milliseconds of one turn; then the event loop goes round before the next. */
const TURN = 4;
/** What a message weighs besides its body. */
const OVERHEAD = 64;
/** So many emitted ones may lie before those that wait, until the array is moved up. */
const SLACK = 1024;

/** Messages that wait, first in, first out. */
class Aside {
  /** Whether what comes goes here: while paused, and until the last that waited is emitted. */
  active = false;
  /** What waits weighs so many bytes. */
  bytes = 0;
  #deliver;
  #turned;
  #paused = false;
  #waiting = [];
  /** Where the first that waits is; those before it were emitted. */
  #first = 0;
  #scheduled = false;

  /** `deliver(message)` emits one; it must not throw. `turned()` is called after a turn. */
  constructor(deliver, turned) {
    this.#deliver = deliver;
    this.#turned = turned;
  }

  /** How many messages wait. */
  get length() {
    return this.#waiting.length - this.#first;
  }

  pause() {
    this.#paused = true;
    this.active = true;
  }

  /** Begins to emit what waits, in a turn of its own: the caller's state is whole by then. */
  resume() {
    this.#paused = false;
    if (this.length === 0) this.active = false;
    else this.#schedule();
  }

  /** `message` has a `body`. */
  add(message) {
    this.#waiting.push(message);
    this.bytes += weightOf(message);
  }

  /** Forgets what waits; nothing more is emitted. */
  end() {
    this.#waiting = [];
    this.#first = 0;
    this.bytes = 0;
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
      this.#deliver(this.#take());
      if (now() > until) break;
    }
    this.#turned();
    if (!this.#paused) this.resume();
  };

  #take() {
    const message = this.#waiting[this.#first];
    this.#waiting[this.#first] = undefined;
    this.#first += 1;
    this.bytes -= weightOf(message);
    if (this.length === 0) this.end();
    else if (this.#first >= SLACK && this.#first >= this.length) this.#moveUp();
    return message;
  }

  #moveUp() {
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }
}

function weightOf({ body }) {
  return body.length + OVERHEAD;
}

module.exports = { Aside };
