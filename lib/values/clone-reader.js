'use strict';

// The values of a structured clone with stand-ins. What is said about them is a remote's claim.

const { protocolError } = require('../errors.js');
const { STANDS_FOR } = require('./clone-writer.js');
const { dressError, reviveError } = require('./remote-error.js');

class CloneReader {
  /** What stands for what. */
  #values = new Map();
  /** Objects to be looked through, each once. */
  #found = new Set();
  /** What is to be done when everything is in its place. */
  #last = [];

  /** `instead`: entries [object, kind, description]. Throws ERR_PROTOCOL. */
  constructor(instead) {
    for (const entry of instead) {
      const [standIn, kind, description] = Array.isArray(entry) ? entry : [];
      if (typeof standIn !== 'object' || standIn === null) throw protocolError('A structured clone with a stray stand-in');
      this.#values.set(standIn, this.#make(kind, description));
    }
  }

  /** The arguments with everything in its place. */
  read(args) {
    this.#found.add(args);
    // A Set visits what is added while it is iterated: no depth exhausts the stack.
    for (const holder of this.#found) this.#look(holder);
    for (const act of this.#last) act();
    return args;
  }

  #make(kind, description) {
    switch (kind) {
      case STANDS_FOR.ERROR: return this.#makeError(description);
      case STANDS_FOR.URL: return makeUrl(description);
      default: throw protocolError('A structured clone with a stand-in of unknown kind');
    }
  }

  #makeError(description) {
    const error = reviveError(description, (text) => text);
    this.#found.add(description);
    this.#last.push(() => dressError(error, description));
    return error;
  }

  #look(holder) {
    if (holder instanceof Map) this.#lookThroughMap(holder);
    else if (holder instanceof Set) this.#lookThroughSet(holder);
    else if (!ArrayBuffer.isView(holder)) this.#lookThroughProperties(holder);
  }

  #lookThroughProperties(holder) {
    for (const key of Object.keys(holder)) {
      const value = holder[key];
      const placed = this.#place(value);
      if (placed !== value) holder[key] = placed; // an own property by now: no setter runs
    }
  }

  #lookThroughMap(map) {
    const entries = Array.from(map, ([key, value]) => [this.#place(key), this.#place(value)]);
    map.clear();
    for (const [key, value] of entries) map.set(key, value);
  }

  #lookThroughSet(set) {
    const values = Array.from(set, (value) => this.#place(value));
    set.clear();
    for (const value of values) set.add(value);
  }

  #place(value) {
    if (typeof value !== 'object' || value === null) return value;
    if (this.#values.has(value)) return this.#values.get(value);
    this.#found.add(value);
    return value;
  }
}

function makeUrl(href) {
  try {
    return new URL(href);
  } catch (cause) {
    throw protocolError(`A structured clone with a URL that is none: ${cause.message}`, cause);
  }
}

module.exports = { CloneReader };
