'use strict';

// The values of a packed message. Every length, index and tag is a remote's claim: checked before any use. No depth of a
// remote's can exhaust the stack, and what is named a thousand times is made once.

const { protocolError } = require('../errors.js');
const { TEXT_KIND } = require('./attachments.js');
const { reviveBytes } = require('./bytes.js');
const { lengthen } = require('./holes.js');
const { dressError, reviveError } = require('./remote-error.js');
const { isIndexTag, readHoles, readIndex, readTag } = require('./tags.js');

const ENTRY = 8;
const MAX_LENGTH = 2 ** 32 - 1; // of an array
/** How JSON begins a string that begins with NUL: it has no other way to write one. */
const NUL_STRING = '"\\u0000';
/** One Buffer and nothing else: the commonest packed message takes a third less time without JSON.parse. */
const LONE_ATTACHMENT = '["\\u00000"]';

class Reader {
  #body;
  #count;
  #offsets = [];
  #textStart;
  /** Strings that begin with NUL, at most: keys and quoted quotes are counted too. */
  #left = 0;
  /** Objects and arrays whose insides are to be looked through. */
  #found = [];
  /** Attachments that were named, by index. */
  #made = new Map();
  /** What is to be done when everything is in its place, in order. */
  #last = [];

  constructor(body) {
    this.#body = body;
    if (body.byteLength < ENTRY) throw protocolError('A packed message without a header');
    this.#count = body.readUInt32LE(0);
    if (body.readUInt32LE(4) !== 0) throw protocolError('A packed message of an unknown version');
    const start = ENTRY + ENTRY * this.#count;
    if (start > body.byteLength) throw protocolError('A packed message with more attachments than bytes');
    this.#textStart = this.#locate(start);
  }

  /** The arguments. */
  read() {
    const args = this.#arguments(this.#text(this.#textStart, this.#body.byteLength));
    // When as many strings have been resolved as can begin with NUL, the rest need not be looked through.
    for (let i = 0; i < this.#found.length && this.#left > 0; i++) this.#place(this.#found[i]);
    for (const act of this.#last) act();
    return args;
  }

  #arguments(text) {
    if (text === LONE_ATTACHMENT && this.#count === 1) return [this.#take(0)];
    const args = this.#parse(text);
    if (!Array.isArray(args)) throw protocolError('A packed message whose JSON is not an array of arguments');
    return args;
  }

  #locate(start) {
    let offset = start;
    for (let i = 0; i < this.#count; i++) {
      this.#offsets.push(offset);
      const length = this.#length(i);
      offset += length + (-length & 7);
      if (offset > this.#body.byteLength) throw protocolError('A packed message with an attachment beyond its end');
    }
    return offset;
  }

  #length(index) {
    return this.#body.readUInt32LE(ENTRY + ENTRY * index + 4);
  }

  #text(start, end) {
    try {
      return this.#body.toString('utf8', start, end);
    } catch (cause) {
      throw protocolError(`A packed message with more text than a string can hold: ${cause.message}`, cause);
    }
  }

  /** The value of a text; what is in it will be looked through. */
  #parse(text) {
    const value = parseJson(text);
    if (typeof value !== 'object' || value === null) return value;
    this.#left += countOf(NUL_STRING, text);
    this.#found.push(value);
    return value;
  }

  /** Puts what the strings of one level stand for in their places. */
  #place(holder) {
    const keys = Array.isArray(holder) ? null : Object.keys(holder);
    const length = keys === null ? holder.length : keys.length;
    for (let i = 0; i < length; i++) {
      const key = keys === null ? i : keys[i];
      const value = holder[key];
      if (typeof value === 'object') {
        if (value !== null) this.#found.push(value);
      } else if (typeof value === 'string' && value.charCodeAt(0) === 0) {
        if (keys === null && readHoles(value) > 0) return this.#spread(holder, i);
        holder[key] = this.#resolve(value); // JSON.parse made "__proto__" a property of its own: no setter runs
      }
    }
  }

  /** Makes the holes of an array, from the first on. */
  #spread(array, from) {
    const rest = array.splice(from);
    let at = from;
    for (const item of rest) {
      const holes = typeof item === 'string' && item.charCodeAt(0) === 0 ? readHoles(item) : 0;
      if (holes === 0) array[at] = this.#item(item);
      else this.#left--;
      at += holes || 1;
      if (at > MAX_LENGTH) throw protocolError('A packed message with an array longer than one can be');
    }
    lengthen(array, at);
  }

  #item(item) {
    if (typeof item === 'object' && item !== null) this.#found.push(item);
    return typeof item === 'string' && item.charCodeAt(0) === 0 ? this.#resolve(item) : item;
  }

  #resolve(tag) {
    this.#left--;
    return isIndexTag(tag) ? this.#take(readIndex(tag)) : readTag(tag);
  }

  #take(index) {
    if (!(index < this.#count)) throw protocolError('A packed message that names an attachment it has not');
    if (!this.#made.has(index)) this.#made.set(index, this.#make(index));
    return this.#made.get(index);
  }

  #make(index) {
    const [kind, start] = [this.#body.readUInt32LE(ENTRY + ENTRY * index), this.#offsets[index]];
    const end = start + this.#length(index);
    switch (kind) {
      case TEXT_KIND.ERROR: return this.#makeError(this.#parse(this.#text(start, end)));
      case TEXT_KIND.SHARED: return this.#makeShared(this.#parse(this.#text(start, end)));
      case TEXT_KIND.MAP: return this.#makeMap(this.#parse(this.#text(start, end)));
      case TEXT_KIND.SET: return this.#makeSet(this.#parse(this.#text(start, end)));
      default: return reviveBytes(kind, this.#body.subarray(start, end));
    }
  }

  #makeError(description) {
    const error = reviveError(description, (text) => (text.charCodeAt(0) === 0 ? readTag(text) : text));
    this.#last.push(() => dressError(error, description));
    return error;
  }

  #makeShared(value) {
    if (typeof value !== 'string' || value.charCodeAt(0) !== 0) return value;
    if (isIndexTag(value)) throw protocolError('A packed message with an attachment that is but another');
    return readTag(value);
  }

  #makeMap(list) {
    if (!Array.isArray(list) || list.length % 2 === 1) throw protocolError('A packed message with a Map that is none');
    const map = new Map();
    this.#fill(list, () => {
      for (let i = 0; i < list.length; i += 2) map.set(list[i], list[i + 1]);
    });
    return map;
  }

  #makeSet(list) {
    if (!Array.isArray(list)) throw protocolError('A packed message with a Set that is none');
    const set = new Set();
    this.#fill(list, () => list.forEach((value) => set.add(value)));
    return set;
  }

  #fill(list, act) {
    const { length } = list;
    this.#last.push(() => {
      if (list.length !== length) throw protocolError('A packed message with holes in a Map or a Set');
      act();
    });
  }
}

function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw protocolError(`A packed message that is not JSON: ${cause.message}`, cause);
  }
}

function countOf(part, text) {
  let count = 0;
  for (let at = text.indexOf(part); at !== -1; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

module.exports = { Reader };
