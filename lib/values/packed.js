'use strict';

// Encoding 1: JSON with attachments, so that bytes travel as bytes.
//
//   u32 count · u32 0 · count × (u32 kind · u32 byte length) · each attachment, zeros to a multiple of 8 · JSON text
//
// Little-endian. In the text an attachment is the string "\u0000<index>"; a string of the user's that begins with NUL gets
// one more in front. Multiples of 8, so that any typed array could be a view of a body that is aligned.

const { types } = require('node:util');
const { protocolError, unserializable } = require('../errors.js');
const { quote } = require('./json.js');
const { decodeError, encodeError } = require('./remote-error.js');
const { isError } = require('./scan.js');

const BUFFER = 1;
const ARRAY_BUFFER = 2;
const DATA_VIEW = 14;
const ERROR = 15;

/** Kinds of typed arrays; Float16Array where the runtime has it. */
const TYPED_ARRAYS = new Map([
  [3, Uint8Array], [4, Uint8ClampedArray], [5, Int8Array], [6, Int16Array], [7, Uint16Array], [8, Int32Array],
  [9, Uint32Array], [10, Float32Array], [11, Float64Array], [12, BigInt64Array], [13, BigUint64Array],
  ...(globalThis.Float16Array ? [[16, globalThis.Float16Array]] : []),
]);
const KIND_BY_NAME = new Map(Array.from(TYPED_ARRAYS, ([kind, { name }]) => [name, kind]));
/** "Uint8Array" and the like for every typed array, of other vm contexts and of subclasses too. */
const typedArrayName = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;

const MAX_ATTACHMENT = 2 ** 32 - 1; // the header's u32
const MAX_OBJECTS = 1 << 24; // more cannot be meant: an array shared by arrays, many levels deep
const ENTRY = 8;
/** How JSON begins a string that begins with NUL: it has no other way to write one. */
const NUL_STRING = '"\\u0000';
/** One Buffer and nothing else: the commonest packed message takes a third less time without JSON.parse. */
const LONE_ATTACHMENT = '["\\u00000"]';
const INDEX = /^(?:0|[1-9]\d{0,9})$/;

/**
 * `parts` are the header and the attachments, not padded yet and not copied: they must be used before the caller
 * can change them. Throws ERR_UNSERIALIZABLE.
 */
function pack(args) {
  const packing = new Packing();
  try {
    const text = packing.write(args);
    return { text, parts: packing.parts() };
  } catch (cause) {
    if (cause?.code === 'ERR_UNSERIALIZABLE') throw cause;
    throw unserializable(`An argument cannot be serialized: ${cause?.message}`, cause);
  }
}

/** Buffers are views of `body`; typed arrays and ArrayBuffers get memory of their own. Throws ERR_PROTOCOL. */
function unpack(body) {
  const attachments = new Attachments(body);
  const args = attachments.parse();
  if (!Array.isArray(args)) throw protocolError('A packed message whose JSON is not an array of arguments');
  return args;
}

class Packing {
  #kinds = [];
  #bytes = [];
  #path = []; // the objects we are inside of: one that comes again is a cycle
  #objects = 0;

  write(args) {
    let text = '[';
    for (let i = 0; i < args.length; i++) {
      if (i > 0) text += ',';
      text += this.#writeArgument(args[i], i);
    }
    return text + ']';
  }

  parts() {
    const count = this.#kinds.length;
    const header = Buffer.allocUnsafe(ENTRY + ENTRY * count);
    header.writeUInt32LE(count, 0);
    header.writeUInt32LE(0, 4);
    for (let i = 0; i < count; i++) {
      header.writeUInt32LE(this.#kinds[i], ENTRY + ENTRY * i);
      header.writeUInt32LE(this.#bytes[i].byteLength, ENTRY + ENTRY * i + 4);
    }
    return [header, ...this.#bytes];
  }

  #writeArgument(value, index) {
    if (typeof value === 'string') return quote(escape(value));
    return JSON.stringify(this.#replace(value, index)) ?? 'null';
  }

  /**
   * What JSON.stringify shall see in place of a value: placeholders for bytes, escaped strings, copies of what holds
   * them. Not a replacer function: that is called after toJSON, and a Buffer's makes an array of its million bytes.
   */
  #replace(value, key) {
    if (isObject(value) && typeof value.toJSON === 'function' && kindOf(value) === 0) value = value.toJSON(String(key));
    if (typeof value === 'string') return escape(value);
    if (typeof value === 'function') return undefined;
    if (!isObject(value)) return value;
    const kind = kindOf(value);
    if (kind !== 0) return this.#attach(kind, value);
    if (types.isBoxedPrimitive(value)) return types.isStringObject(value) ? escape(String(value)) : value;
    return this.#copy(value);
  }

  #copy(value) {
    if (this.#path.includes(value)) throw unserializable('An argument holds itself: JSON has no cycles');
    if (++this.#objects > MAX_OBJECTS) throw unserializable(`An argument of more than ${MAX_OBJECTS} objects`);
    this.#path.push(value);
    const copy = Array.isArray(value) ? this.#copyArray(value) : this.#copyObject(value);
    this.#path.pop();
    return copy;
  }

  #copyArray(array) {
    const copy = [];
    for (let i = 0; i < array.length; i++) copy.push(this.#replace(array[i], i));
    return copy;
  }

  #copyObject(object) {
    const copy = {};
    for (const key of Object.keys(object)) {
      const value = this.#replace(object[key], key);
      if (key === '__proto__') define(copy, key, value);
      else copy[key] = value;
    }
    return copy;
  }

  #attach(kind, value) {
    const bytes = bytesOf(kind, value);
    if (bytes.byteLength > MAX_ATTACHMENT) throw unserializable('A buffer of 4 GiB or more');
    this.#kinds.push(kind);
    this.#bytes.push(bytes);
    return `\u0000${this.#kinds.length - 1}`;
  }
}

/** The attachments of one body. Every length and index is a remote's claim: checked against the body before any use. */
class Attachments {
  #body;
  #count;
  #offsets = [];
  #left = 0; // strings that begin with NUL, at most: keys and quoted quotes are counted too
  #textStart;

  constructor(body) {
    this.#body = body;
    if (body.byteLength < ENTRY) throw protocolError('A packed message without a header');
    this.#count = body.readUInt32LE(0);
    if (body.readUInt32LE(4) !== 0) throw protocolError('A packed message of an unknown version');
    const start = ENTRY + ENTRY * this.#count;
    if (start > body.byteLength) throw protocolError('A packed message with more attachments than bytes');
    this.#textStart = this.#locate(start);
  }

  /** The text, with the attachments in their places. */
  parse() {
    const text = this.#text();
    if (text === LONE_ATTACHMENT && this.#count === 1) return [this.#take(0)];
    const value = parseJson(text);
    // When as many strings have been resolved as can begin with NUL, the rest need not be walked.
    this.#left = countOf(NUL_STRING, text);
    const found = [value];
    for (let i = 0; i < found.length && this.#left > 0; i++) this.#place(found[i], found);
    return value;
  }

  #text() {
    try {
      return this.#body.toString('utf8', this.#textStart);
    } catch (cause) {
      throw protocolError(`A packed message with more text than a string can hold: ${cause.message}`, cause);
    }
  }

  #locate(start) {
    let offset = start;
    for (let i = 0; i < this.#count; i++) {
      this.#offsets.push(offset);
      const length = this.#body.readUInt32LE(ENTRY + ENTRY * i + 4);
      offset += length + (-length & 7);
      if (offset > this.#body.byteLength) throw protocolError('A packed message with an attachment beyond its end');
    }
    return offset;
  }

  /** One level, and what is below is added to `found`: no depth of a remote's can exhaust the stack. */
  #place(holder, found) {
    if (typeof holder !== 'object' || holder === null) return;
    const keys = Array.isArray(holder) ? null : Object.keys(holder);
    const length = keys === null ? holder.length : keys.length;
    for (let i = 0; i < length; i++) {
      const key = keys === null ? i : keys[i];
      const value = holder[key];
      if (typeof value === 'object') {
        if (value !== null) found.push(value);
      } else if (typeof value === 'string' && value.charCodeAt(0) === 0) {
        holder[key] = this.#resolve(value); // JSON.parse made "__proto__" a property of its own: no setter runs
      }
    }
  }

  #resolve(string) {
    this.#left--;
    if (string.charCodeAt(1) === 0) return string.slice(1);
    const digits = string.slice(1);
    if (!INDEX.test(digits) || Number(digits) >= this.#count) {
      throw protocolError('A packed message that names an attachment it has not');
    }
    return this.#take(Number(digits));
  }

  /** Each once: a megabyte named a thousand times would be a gigabyte. */
  #take(index) {
    const start = this.#offsets[index];
    if (start < 0) throw protocolError('A packed message that names an attachment twice');
    this.#offsets[index] = -1;
    const kind = this.#body.readUInt32LE(ENTRY + ENTRY * index);
    const length = this.#body.readUInt32LE(ENTRY + ENTRY * index + 4);
    const bytes = this.#body.subarray(start, start + length);
    return kind === BUFFER ? bytes : revive(kind, bytes);
  }
}

/** 0 for what is not an attachment. */
function kindOf(value) {
  if (ArrayBuffer.isView(value)) {
    if (Buffer.isBuffer(value)) return BUFFER;
    const name = typedArrayName.call(value);
    if (name === undefined) return DATA_VIEW;
    const kind = KIND_BY_NAME.get(name);
    if (kind === undefined) throw unserializable(`A ${name} has no encoding`);
    return kind;
  }
  if (types.isArrayBuffer(value)) return ARRAY_BUFFER;
  if (types.isSharedArrayBuffer(value)) throw unserializable('A SharedArrayBuffer cannot leave its process');
  return isError(value) ? ERROR : 0;
}

function bytesOf(kind, value) {
  if (kind === BUFFER) return value;
  if (kind === ERROR) return encodeError(value);
  if (kind === ARRAY_BUFFER) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function revive(kind, bytes) {
  if (kind === ERROR) return decodeError(bytes);
  const TypedArray = TYPED_ARRAYS.get(kind);
  if (TypedArray === undefined && kind !== ARRAY_BUFFER && kind !== DATA_VIEW) {
    throw protocolError(`A packed message with an attachment of unknown kind ${kind}`);
  }
  if (bytes.byteLength % (TypedArray?.BYTES_PER_ELEMENT ?? 1) !== 0) {
    throw protocolError(`A packed message with a ${TypedArray.name} of ${bytes.byteLength} bytes`);
  }
  const own = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  if (kind === ARRAY_BUFFER) return own;
  return kind === DATA_VIEW ? new DataView(own) : new TypedArray(own);
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

function escape(string) {
  return string.charCodeAt(0) === 0 ? `\u0000${string}` : string;
}

function isObject(value) {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function define(object, key, value) {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

module.exports = { pack, unpack };
