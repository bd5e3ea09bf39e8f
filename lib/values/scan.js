'use strict';

// Does JSON alone carry these values? Asked for every message, so a 'no' must come in nanoseconds and may be too
// careful: it only costs the slower way.

const { types } = require('node:util');
const { KIND, isError, isOrdinary, kindOf } = require('./kinds.js');

/** Levels a scan goes down, deeper than data are and shallower than a stack. A cycle ends here too. */
const MAX_DEPTH = 64;

/** Objects and arrays a scan visits: arrays shared by arrays, forty levels deep, would take it hours. */
const MAX_VISITS = 1 << 20;

/** Up to so many objects are few: one that stands in two places is found by comparing each with all; beyond, a Set is faster. */
const FEW = 16;

/** Elements of an array that is long: JSON.stringify makes the text of such in less time than anybody else. */
const LONG = 64;

let visitsLeft = 0;

// ---- 'json' ---------------------------------------------------------------------------------------------------------

/** Whether bytes, an Error, a toJSON of unknown result, or too much to tell is anywhere in the arguments. */
function needsPacking(args) {
  visitsLeft = MAX_VISITS;
  for (let i = 0; i < args.length; i++) {
    const value = args[i];
    if (typeof value === 'object' ? value !== null && hides(value) : typeof value === 'function') return true;
  }
  return false;
}

function hides(value) {
  try {
    return scan(value, 0);
  } catch {
    return true; // a getter or a proxy that throws: the slow way meets it again, and says so
  }
}

function scan(value, depth) {
  if (depth > MAX_DEPTH || --visitsLeft < 0) return true;
  if (Array.isArray(value)) return scanArray(value, depth + 1);
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) {
    if (isSpecial(value)) return true;
  } else if (value.toJSON !== undefined) {
    return true;
  }
  // for-in reads inherited keys as well, which JSON does not: twice as fast as Object.keys, and only more careful.
  for (const key in value) {
    const item = value[key];
    if (typeof item === 'object' ? item !== null && scan(item, depth + 1) : typeof item === 'function') return true;
  }
  return false;
}

function scanArray(array, depth) {
  for (let i = 0; i < array.length; i++) {
    const item = array[i];
    if (typeof item === 'object' ? item !== null && scan(item, depth) : typeof item === 'function') return true;
  }
  return false;
}

function isSpecial(value) {
  if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value) || isError(value)) return true;
  // A Date's toJSON is a string that never begins with the NUL of a placeholder; any other's is unknown.
  return value.toJSON !== undefined && value.toJSON !== Date.prototype.toJSON;
}

// ---- 'values' -------------------------------------------------------------------------------------------------------

/** Prototypes of classes whose objects travel as their own properties, and the last of them that was met. */
const dataPrototypes = new WeakSet();
let lastDataPrototype = null;

/** What `countPlain` says of arguments that JSON alone does not carry. */
const NOT_PLAIN = -1;

/** The objects met so far: a few in an array, beyond that all of them in a Set. */
const few = new Array(FEW).fill(null);
let met = 0;
let many = null;
let isLarge = false;

/**
 * The number of objects and arrays in the arguments; Infinity where they are many, or there are long arrays or classes;
 * NOT_PLAIN if anything would arrive as something else if JSON alone carried it, or may.
 */
function countPlain(args) {
  try {
    for (let i = 0; i < args.length; i++) {
      const value = args[i];
      if (typeof value === 'string') continue;
      if (typeof value === 'object' ? value !== null && exceeds(value, 0) : isUnusual(value)) return NOT_PLAIN;
    }
    return many === null && !isLarge ? met : Infinity;
  } catch {
    return NOT_PLAIN; // a getter or a proxy that throws: the slow way meets it again, and says so
  } finally {
    forget();
  }
}

function exceeds(value, depth) {
  if (depth > MAX_DEPTH || isKnown(value)) return true;
  if (Array.isArray(value)) return arrayExceeds(value, depth + 1);
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return instanceExceeds(value, prototype, depth);
  if (value.toJSON !== undefined) return true;
  // for-in reads inherited keys as well, which JSON does not: twice as fast as Object.keys, and only more careful.
  for (const key in value) {
    const item = value[key];
    if (typeof item === 'string') continue;
    if (typeof item === 'object' ? item !== null && exceeds(item, depth + 1) : isUnusual(item)) return true;
  }
  return false;
}

function arrayExceeds(array, depth) {
  if (array.length > LONG) isLarge = true;
  for (let i = 0; i < array.length; i++) {
    const item = array[i];
    if (typeof item === 'string') continue;
    if (typeof item === 'object' ? item !== null && exceeds(item, depth) : isUnusual(item)) return true;
  }
  return false;
}

function instanceExceeds(value, prototype, depth) {
  if (value.toJSON !== undefined) return true;
  if (prototype !== lastDataPrototype && !isDataPrototype(value, prototype)) return true;
  isLarge = true;
  let empty = true;
  for (const key in value) {
    const item = value[key];
    empty = empty && !Object.hasOwn(value, key); // what a prototype has to show is not written
    if (typeof item === 'string') continue;
    if (typeof item === 'object' ? item !== null && exceeds(item, depth + 1) : isUnusual(item)) return true;
  }
  return empty;
}

function isDataPrototype(value, prototype) {
  if (!dataPrototypes.has(prototype)) {
    if (kindOf(value) !== KIND.DATA) return false;
    if (!isOrdinary(prototype)) return true;
    dataPrototypes.add(prototype);
  }
  lastDataPrototype = prototype;
  return true;
}

/** Of values that are neither objects nor strings: what JSON writes as something else, or not at all. */
function isUnusual(value) {
  if (typeof value === 'number') return value === 0 ? 1 / value < 0 : value - value !== 0;
  return typeof value !== 'boolean';
}

/** Whether an object was met before; from now on it was. */
function isKnown(value) {
  if (many !== null) {
    const { size } = many;
    return many.add(value).size === size;
  }
  for (let i = 0; i < met; i++) if (few[i] === value) return true;
  if (met < FEW) few[met++] = value;
  else beginSet(value);
  return false;
}

function beginSet(value) {
  many = new Set();
  for (let i = 0; i < FEW; i++) many.add(few[i]);
  many.add(value);
}

/** Lets go of the objects that were met. */
function forget() {
  for (let i = 0; i < met; i++) few[i] = null;
  met = 0;
  many = null;
  isLarge = false;
}

module.exports = { FEW, NOT_PLAIN, countPlain, needsPacking };
