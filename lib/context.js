'use strict';

// What a `serve` handler gets first: who asks, and whether the answer is still waited for.

const { BusybodyError } = require('./errors.js');
const { AbortController, clearTimeout, now, setTimeout } = require('./time.js');

const MAX_TIMER = 2 ** 31 - 1;
/**
 * Milliseconds behind the deadline at which a context stops waiting for its asker's word. That comes within a few; a handler
 * that answers when its signal aborts would otherwise answer, at times, before its asker's own time is up.
 */
const LATE = 100;

/** Ends a context's question: `end(context, reason)`. With a reason its signal aborts. */
let end;

class Context {
  /** Made when somebody asks for the signal. */
  #controller = null;
  #timer = null;
  /** Whether an answer is waited for. */
  #open;
  #reason;

  /** `timeLeft`: milliseconds that the asker goes on waiting, -1: for ever; null: nobody waits for an answer. */
  constructor(from, event, broadcast, timeLeft) {
    this.from = from;
    this.event = event;
    this.broadcast = broadcast;
    this.deadline = timeLeft === null || timeLeft < 0 ? null : now() + timeLeft;
    this.#open = timeLeft !== null;
  }

  /** Aborts when nobody waits for the answer any more: the asker gave up, ran out of time, left or died. */
  get signal() {
    if (this.#controller !== null) return this.#controller.signal;
    this.#controller = new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    else if (this.#open && this.deadline !== null) this.#wait();
    return this.#controller.signal;
  }

  /** The asker says so when its time is up, unless its process stands still. */
  #wait() {
    const left = Math.min(Math.max(this.deadline + LATE - now(), 0), MAX_TIMER);
    this.#timer = setTimeout(() => end(this, reasonOf('ERR_TIMEOUT', this.from)), left);
    this.#timer.unref();
  }

  static {
    end = (context, reason) => {
      if (!context.#open) return;
      context.#open = false;
      clearTimeout(context.#timer);
      if (reason === undefined) return;
      context.#reason = reason;
      context.#controller?.abort(reason);
    };
  }
}

/** The contexts whose questions have no answer yet, by asker and the number of the question. */
class Contexts {
  #open = new Map();

  /** A question begins to be served; `close` has to follow. */
  open(asker, number, context) {
    const questions = this.#open.get(asker);
    if (questions === undefined) this.#open.set(asker, new Map([[number, context]]));
    else questions.set(number, context);
  }

  /** A question is answered. */
  close(asker, number) {
    this.#take(asker, number, undefined);
  }

  /** The asker does not wait any longer, and why. */
  cancel(asker, number, code) {
    const from = this.#open.get(asker)?.get(number)?.from;
    if (from !== undefined) this.#take(asker, number, reasonOf(code, from));
  }

  /** The askers that wait. */
  get askers() {
    return [...this.#open.keys()];
  }

  /** Askers for whom `gone(asker, id)` wait for nothing any more. */
  departed(gone, code = 'ERR_NODE_LEFT') {
    for (const [asker, questions] of [...this.#open]) {
      const contexts = [...questions.values()];
      if (!gone(asker, contexts[0].from)) continue;
      this.#open.delete(asker);
      for (const context of contexts) end(context, reasonOf(code, context.from));
    }
  }

  #take(asker, number, reason) {
    const questions = this.#open.get(asker);
    const context = questions?.get(number);
    if (context === undefined) return;
    questions.delete(number);
    if (questions.size === 0) this.#open.delete(asker);
    end(context, reason);
  }
}

function reasonOf(code, from) {
  return new BusybodyError(code, `${SENTENCES[code] ?? SENTENCES.ABORT_ERR}: nobody waits for the answer to '${from}'`);
}

const SENTENCES = Object.freeze({
  ABORT_ERR: 'the asker gave up',
  ERR_CLOSED: 'this side has left the bus',
  ERR_NODE_LEFT: 'the asker left the bus',
  ERR_TIMEOUT: 'the asker ran out of time',
});

module.exports = { Context, Contexts };
