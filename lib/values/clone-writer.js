'use strict';

// Values on their way into a structured clone: a copy of the arguments in which stand-ins are where a clone would make
// something else of a value, and nothing of which it would make nothing.

const { lengthen } = require('./holes.js');
const { KIND, hrefOf, isPlain, kindOf, nounOf } = require('./kinds.js');
const { entryStep, memberStep } = require('./path.js');
const { describeError } = require('./remote-error.js');
const { Trail } = require('./trail.js');
const { put } = require('./writer.js');

/** What an object of the body stands for. */
const STANDS_FOR = Object.freeze({ ERROR: 'error', URL: 'url' });

const [mapEntries, setValues] = [Map.prototype.entries, Set.prototype.values];

class CloneWriter {
  /** Copies by what was copied; those made below errors on their own, for there something may have been cut. */
  #copies = new Map();
  #details = new Map();
  #instead = [];
  #trail = new Trail();

  /** The body of the arguments. Throws ERR_UNSERIALIZABLE, which names the path. */
  write(args) {
    let copy;
    try {
      copy = args.map((value, i) => this.#step(value, i));
    } catch (cause) {
      throw this.#trail.failure(cause);
    }
    return this.#instead.length === 0 ? copy : { args: copy, instead: this.#instead };
  }

  #step(value, step) {
    this.#trail.enter(step);
    const copy = this.#copy(value);
    this.#trail.leave();
    return copy;
  }

  #stepTo(object, key, step) {
    this.#trail.enter(step);
    const copy = this.#copy(this.#trail.read(object, key));
    this.#trail.leave();
    return copy;
  }

  #copy(value) {
    if (typeof value === 'function' || typeof value === 'symbol') return this.#trail.refuse(nounOf(value));
    if (typeof value !== 'object' || value === null) return value;
    const isGoodEnough = this.#trail.belowError || !this.#trail.hasCut;
    return this.#copies.get(value) ?? (isGoodEnough ? this.#details.get(value) : undefined) ?? this.#copyObject(value);
  }

  #copyObject(value) {
    const kind = kindOf(value, false);
    if (this.#trail.isEnough(kind)) return this.#trail.mark(`more, beginning with ${nounOf(value)}`);
    switch (kind) {
      case KIND.DATA: return this.#copyProperties(value);
      case KIND.ARRAY: return this.#copyArray(value);
      case KIND.MAP: return this.#copyMap(value);
      case KIND.SET: return this.#copySet(value);
      case KIND.ERROR: return this.#copyError(value);
      case KIND.URL: return this.#standIn(value, STANDS_FOR.URL, hrefOf(value));
      case KIND.FOREIGN: return this.#trail.refuse(nounOf(value));
      default: return value;
    }
  }

  #copyProperties(object) {
    const copy = this.#remember(object, {});
    const keys = Object.keys(object);
    for (const key of keys) {
      if (!this.#leavesOut(object, key)) put(copy, key, this.#stepTo(object, key, key));
    }
    if (keys.length === 0 && !isPlain(object)) return this.#trail.refuse(`${nounOf(object)} without any property that can travel`);
    return copy;
  }

  /** A structured clone has no functions, and is refused; on an error they are left out, as everywhere. */
  #leavesOut(object, key) {
    if (!this.#trail.belowError || typeof this.#trail.read(object, key) !== 'function') return false;
    return (this.#trail.hasCut = true);
  }

  /** With its holes, and with what else is on it. */
  #copyArray(array) {
    const copy = this.#remember(array, []);
    lengthen(copy, array.length);
    for (const key of Object.keys(array)) put(copy, key, this.#stepTo(array, key, Number.isNaN(Number(key)) ? key : Number(key)));
    return copy;
  }

  #copyMap(map) {
    const copy = this.#remember(map, new Map());
    for (const [key, value] of mapEntries.call(map)) copy.set(this.#step(key, memberStep(copy.size)), this.#step(value, entryStep(key)));
    return copy;
  }

  #copySet(set) {
    const copy = this.#remember(set, new Set());
    for (const value of setValues.call(set)) copy.add(this.#step(value, memberStep(copy.size)));
    return copy;
  }

  #copyError(error) {
    const description = {};
    const standIn = this.#standIn(error, STANDS_FOR.ERROR, description);
    this.#trail.enterError();
    describeError(error, description, (value, holder, key) => this.#trail.detail(key, () => this.#copy(value)));
    this.#trail.leaveError();
    return standIn;
  }

  #standIn(value, kind, description) {
    const standIn = {};
    this.#copies.set(value, standIn);
    this.#instead.push([standIn, kind, description]);
    return standIn;
  }

  #remember(value, copy) {
    (this.#trail.belowError ? this.#details : this.#copies).set(value, copy);
    return copy;
  }
}

module.exports = { CloneWriter, STANDS_FOR };
