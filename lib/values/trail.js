'use strict';

// The way from the arguments to the value that is being written. What cannot travel is refused with its path; below an
// Error it is marked instead, for an error must always arrive.

const { unserializable } = require('../errors.js');
const { KIND } = require('./kinds.js');
const { pathOf } = require('./path.js');

/** Levels of a message down to which what hangs on an error is told: it may lead anywhere. */
const MAX_DETAIL_DEPTH = 200;
/** Objects below errors that are told, errors not counted: a connection pool hung on one is not part of its message. */
const MAX_DETAILS = 1 << 18;

class Trail {
  #steps = [];
  /** Inside how many errors. */
  #errors = 0;
  #detailsLeft = MAX_DETAILS;
  /** Whether anything below an error was written as less than it is. */
  hasCut = false;

  enter(step) {
    this.#steps.push(step);
  }

  leave() {
    this.#steps.pop();
  }

  enterError() {
    this.#errors++;
  }

  leaveError() {
    this.#errors--;
  }

  get belowError() {
    return this.#errors > 0;
  }

  /** Whether enough was told below an error; counts the object that is asked for. */
  isEnough(kind) {
    if (this.#errors === 0) return false;
    return this.#steps.length > MAX_DETAIL_DEPTH || (kind !== KIND.ERROR && --this.#detailsLeft < 0);
  }

  /** `object[key]`; below an error a getter that throws costs no more than itself. */
  read(object, key) {
    if (this.#errors === 0) return object[key];
    try {
      return object[key];
    } catch (cause) {
      return this.mark(`a getter that throws: ${messageOf(cause)}`);
    }
  }

  /** What stands on an arriving error in place of what could not travel. */
  mark(what) {
    this.hasCut = true;
    return `[cut: ${what}]`;
  }

  /** What to write in place of something that cannot travel: "a function". Throws if it is not below an error. */
  refuse(noun) {
    if (this.#errors > 0) return this.mark(noun);
    throw new Refusal(noun);
  }

  /** What `act`, which goes one step on, returns; the mark of what it throws. */
  detail(step, act) {
    const [steps, errors] = [this.#steps.length, this.#errors];
    try {
      this.enter(step);
      return act();
    } catch (cause) {
      this.#errors = errors;
      return this.mark(`a value that throws: ${messageOf(cause)}`);
    } finally {
      this.#steps.length = steps;
    }
  }

  /** What to tell the caller of something that was thrown here. */
  failure(cause) {
    const where = `${pathOf(this.#steps)} cannot be serialized`;
    if (cause instanceof Refusal) return unserializable(`${where}: it is ${cause.noun}`);
    return unserializable(`${where}: ${messageOf(cause)}`, cause);
  }
}

/** Thrown within a writer only. */
class Refusal {
  constructor(noun) {
    this.noun = noun;
  }
}

/** Never throws. */
function messageOf(cause) {
  try {
    return String(cause?.message ?? cause);
  } catch {
    return 'something that cannot be shown';
  }
}

module.exports = { Trail };
