'use strict';

// Who has paused a node: its program, or iterators of events.on(). Such an iterator calls pause() when it holds too much
// and resume() when little is left, but neither when its loop is left; then its pause ends with its listener.

const { EventEmitter, on } = require('node:events');

const textOf = Function.prototype.call.bind(Function.prototype.toString);

/** How the listener of an iterator looks in this runtime: nothing else tells it from others. */
const ITERATORS = (() => {
  const emitter = new EventEmitter();
  const iterator = on(emitter, 'event');
  const [listener] = emitter.listeners('event');
  iterator.return();
  return { name: listener.name, length: listener.length, text: textOf(listener) };
})();

/** Frames of a stack among which the caller of resume() is found, even if programs have wrapped it. */
const FRAMES = 8;

class Flow {
  #emitter;
  #change;
  #paused = false;
  #byProgram = false;
  /** Whether there ever was an iterator. */
  #iterated = false;
  /** The iterator's listener that is being called. */
  #running = null;
  /** Listeners of iterators that have paused, and their events. When fewer are paused, some of them have resumed. */
  #pausedBy = new Map();
  #pauses = 0;

  /** `change(paused)` is called when that changes; `emitter` is whose listeners are tracked. */
  constructor(emitter, change) {
    this.#emitter = emitter;
    this.#change = change;
  }

  pause() {
    if (this.#running === null) {
      this.#byProgram = true;
    } else {
      this.#pausedBy.set(this.#running.listener, this.#running.event);
      this.#pauses += 1;
    }
    this.#update();
  }

  resume() {
    if (this.#byProgram && !(this.#iterated && calledByIterator())) this.#byProgram = false;
    else if (this.#pauses > 0) this.#pauses -= 1;
    this.#update();
  }

  /** The listener to register for `event` instead of `listener`; off(event, listener) finds it. */
  track(event, listener) {
    if (!isOfIterator(listener)) return listener;
    this.#iterated = true;
    const tracked = (...args) => {
      const before = this.#running;
      this.#running = { listener, event };
      try {
        listener.apply(this.#emitter, args);
      } finally {
        this.#running = before;
      }
    };
    tracked.listener = listener;
    return tracked;
  }

  /** Listeners may have been taken off: what their iterators had paused flows. */
  listenersRemoved() {
    for (const [listener, event] of this.#pausedBy) {
      if (this.#emitter.listeners(event).includes(listener)) continue;
      this.#pausedBy.delete(listener);
      // Whether it had resumed is not known where others have: then it flows rather than stand still for ever.
      this.#pauses = Math.max(this.#pauses - 1, 0);
    }
    this.#update();
  }

  #update() {
    if (this.#pauses === 0) this.#pausedBy.clear();
    const paused = this.#byProgram || this.#pauses > 0;
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#change(paused);
  }
}

function isOfIterator(listener) {
  return typeof listener === 'function'
    && listener.name === ITERATORS.name
    && listener.length === ITERATORS.length
    && textOf(listener) === ITERATORS.text;
}

/** Whether resume() was called by next() of an iterator: only the stack tells. */
function calledByIterator() {
  const { prepareStackTrace, stackTraceLimit } = Error;
  try {
    Error.prepareStackTrace = (_, frames) => frames;
    Error.stackTraceLimit = FRAMES;
    const frames = new Error().stack;
    return frames.some((frame) => frame.getFileName() === 'node:events' && /\bnext$/.test(frame.getFunctionName()));
  } catch {
    // Frozen intrinsics: nobody knows.
    return false;
  } finally {
    restore(prepareStackTrace, stackTraceLimit);
  }
}

function restore(prepareStackTrace, stackTraceLimit) {
  try {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  } catch {
    // They were never changed.
  }
}

module.exports = { Flow };
