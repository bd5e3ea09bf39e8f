'use strict';

// Bytes beside the text: Buffers, typed arrays, ArrayBuffers and DataViews, by the number of their kind.

const { types } = require('node:util');
const { protocolError } = require('../errors.js');

const BUFFER = 1;
const ARRAY_BUFFER = 2;
const DATA_VIEW = 14;

/** Kinds of typed arrays; Float16Array where the runtime has it. */
const TYPED_ARRAYS = new Map([
  [3, Uint8Array], [4, Uint8ClampedArray], [5, Int8Array], [6, Int16Array], [7, Uint16Array], [8, Int32Array],
  [9, Uint32Array], [10, Float32Array], [11, Float64Array], [12, BigInt64Array], [13, BigUint64Array],
  ...(globalThis.Float16Array ? [[16, globalThis.Float16Array]] : []),
]);
const KIND_BY_NAME = new Map(Array.from(TYPED_ARRAYS, ([kind, { name }]) => [name, kind]));
/** "Uint8Array" and the like for every typed array, of other vm contexts and of subclasses too. */
const typedArrayName = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;

/** The kind of an object that is bytes; 0 for any other, and for a typed array that has no number yet. */
function kindOfBytes(value) {
  if (types.isArrayBuffer(value)) return ARRAY_BUFFER;
  if (!ArrayBuffer.isView(value)) return 0;
  if (Buffer.isBuffer(value)) return BUFFER;
  const name = typedArrayName.call(value);
  return name === undefined ? DATA_VIEW : KIND_BY_NAME.get(name) ?? 0;
}

/** The bytes themselves, not copied. Throws a TypeError for a detached ArrayBuffer. */
function bytesOf(kind, value) {
  if (kind === BUFFER) return value;
  if (kind === ARRAY_BUFFER) return new Uint8Array(value);
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

/** A Buffer is a view of the body; anything else has memory of its own. Throws ERR_PROTOCOL. */
function reviveBytes(kind, bytes) {
  if (kind === BUFFER) return bytes;
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

module.exports = { bytesOf, kindOfBytes, reviveBytes };
