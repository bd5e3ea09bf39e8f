'use strict';

// Does JSON alone carry these values? Asked for every message, so a 'no' must come in nanoseconds and may be too
// careful: it only costs the slower way.

const { types } = require('node:util');

/** Levels a scan goes down, deeper than data are and shallower than a stack. A cycle ends here too. */
const MAX_DEPTH = 64;

/** Objects and arrays a scan visits: arrays shared by arrays, forty levels deep, would take it hours. */
const MAX_VISITS = 1 << 20;

let visitsLeft = 0;

/** Whether bytes, an Error, a toJSON of unknown result, or too much to tell is anywhere in the arguments. */
function needsPacking(args) {
  visitsLeft = MAX_VISITS;
  for (let i = 0; i < args.length; i++) {
    const value = args[i];
    if (typeof value === 'object' ? value !== null && hides(value) : typeof value === 'function') return true;
  }
  return false;
}

/** Whether a value is small, shallow and JSON alone: fit to travel as a detail of something else. */
function isPlain(value) {
  if (typeof value !== 'object' || value === null) return typeof value !== 'function';
  visitsLeft = 256;
  return !scan(value, MAX_DEPTH - 4);
}

function isError(value) {
  // instanceof for DOMException and subclasses by prototype, the other for errors of other vm contexts.
  return value instanceof Error || types.isNativeError(value);
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

module.exports = { isError, isPlain, needsPacking };
