'use strict';

// Arguments as strict JSON has them, with bytes and Errors beside the text. For what `needsPacking` of scan.js has found.

const { types } = require('node:util');
const { unserializable } = require('../errors.js');
const { kindOfBytes } = require('./bytes.js');
const { isError } = require('./kinds.js');
const { pathOf } = require('./path.js');
const { escape, tagAttachment } = require('./tags.js');
const { put } = require('./writer.js');

const MAX_OBJECTS = 1 << 24; // more cannot be meant: an array shared by arrays, many levels deep

class StrictWriter {
  #attachments;
  #values;
  #path = [];
  #inside = []; // the objects that lead to the value being written: one that comes again is a cycle
  #objects = 0;

  /** `values`: the ValueWriter of the same attachments, which writes what hangs on errors. */
  constructor(attachments, values) {
    this.#attachments = attachments;
    this.#values = values;
  }

  /** What JSON.stringify shall see in place of the arguments. Throws ERR_UNSERIALIZABLE. */
  write(args) {
    try {
      return this.#copyArray(args);
    } catch (cause) {
      throw unserializable(`${pathOf(this.#path)} cannot be serialized: ${cause?.message}`, cause);
    }
  }

  /** Not a replacer function: that is called after toJSON, and a Buffer's makes an array of its million bytes. */
  #replace(value, key) {
    if (isObject(value) && !isError(value) && typeof value.toJSON === 'function' && kindOfBytes(value) === 0) {
      value = value.toJSON(String(key));
    }
    if (typeof value === 'string') return escape(value);
    if (typeof value === 'function') return undefined;
    if (typeof value === 'bigint') return this.#bigInt(value, key);
    if (!isObject(value)) return value;
    if (types.isSharedArrayBuffer(value)) throw new TypeError('it is a SharedArrayBuffer');
    if (kindOfBytes(value) !== 0) return tagAttachment(this.#attachments.addBytes(value));
    if (isError(value)) return this.#values.writeError(value);
    if (types.isBoxedPrimitive(value)) return types.isStringObject(value) ? escape(String(value)) : value;
    return this.#copy(value);
  }

  #bigInt(value, key) {
    if (typeof value.toJSON !== 'function') throw new TypeError('it is a BigInt');
    return this.#replace(value.toJSON(String(key)), key);
  }

  #copy(value) {
    if (this.#inside.includes(value)) throw new TypeError('JSON has no cycles');
    if (++this.#objects > MAX_OBJECTS) throw new RangeError(`more than ${MAX_OBJECTS} objects`);
    this.#inside.push(value);
    const copy = Array.isArray(value) ? this.#copyArray(value) : this.#copyProperties(value);
    this.#inside.pop();
    return copy;
  }

  #copyArray(array) {
    const copy = [];
    for (let i = 0; i < array.length; i++) copy.push(this.#step(array[i], i));
    return copy;
  }

  #copyProperties(object) {
    const copy = {};
    for (const key of Object.keys(object)) put(copy, key, this.#step(object[key], key));
    return copy;
  }

  #step(value, key) {
    this.#path.push(key);
    const replaced = this.#replace(value, key);
    this.#path.pop();
    return replaced;
  }
}

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

module.exports = { StrictWriter };
