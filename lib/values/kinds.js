'use strict';

// What an object is to a message: data that is copied, one of the kinds that have a form of their own, or something that
// belongs to its process.

const { EventEmitter } = require('node:events');
const { types } = require('node:util');
const { kindOfBytes } = require('./bytes.js');

/** Kinds of objects. Of DATA the own enumerable properties travel. */
const KIND = Object.freeze({
  DATA: 0, ARRAY: 1, BYTES: 2, ERROR: 3, MAP: 4, SET: 5, DATE: 6, REGEXP: 7, URL: 8, BOXED: 9, FOREIGN: 10,
});

const { DOMException, URL } = globalThis;
const urlHref = Object.getOwnPropertyDescriptor(URL.prototype, 'href').get;

/** Classes of the platform whose state no property shows; what has nothing to show at all need not be listed. */
const PLATFORM = new Set([
  'AbortController', 'AbortSignal', 'Blob', 'BroadcastChannel', 'CompressionStream', 'CryptoKey', 'DecompressionStream', 'Event',
  'EventTarget', 'File', 'FinalizationRegistry', 'FormData', 'Headers', 'MessageChannel', 'MessagePort', 'Promise',
  'ReadableStream', 'Request', 'Response', 'SharedArrayBuffer', 'TextDecoder', 'TextEncoder', 'TransformStream', 'URLSearchParams',
  'WeakMap', 'WeakRef', 'WeakSet', 'WebSocket', 'Worker', 'WritableStream',
]);

/** What isPlatform has found out, by prototype. */
const platformPrototypes = new WeakMap();

/** Classes whose objects are not their properties: kindOf must look at each. */
const BUILT_IN = new Set([
  'Array', 'ArrayBuffer', 'BigInt', 'Boolean', 'DataView', 'Date', 'DOMException', 'Error', 'EventEmitter', 'Map', 'Number', 'RegExp',
  'Set', 'String', 'Symbol', 'TypedArray', 'URL', ...PLATFORM,
]);

/** `asksToJSON`: a toJSON of the object's own class makes it DATA. May throw what a proxy's trap throws. */
function kindOf(value, asksToJSON = true) {
  if (Array.isArray(value)) return KIND.ARRAY;
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return KIND.DATA;
  if (kindOfBytes(value) !== 0) return KIND.BYTES;
  if (isError(value)) return KIND.ERROR;
  if (types.isDate(value)) return asksToJSON && !hasBuiltInToJSON(value) ? KIND.DATA : KIND.DATE;
  if (types.isRegExp(value)) return KIND.REGEXP;
  if (types.isBoxedPrimitive(value)) return types.isSymbolObject(value) ? KIND.FOREIGN : KIND.BOXED;
  if (isUrl(value)) return KIND.URL;
  if (asksToJSON && hasClassToJSON(value)) return KIND.DATA;
  if (types.isMap(value)) return KIND.MAP;
  if (types.isSet(value)) return KIND.SET;
  return isForeign(value, prototype) ? KIND.FOREIGN : KIND.DATA;
}

/** Whether all objects of a prototype, of which one is DATA, are. */
function isOrdinary(prototype) {
  for (let at = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    if (BUILT_IN.has(Object.getOwnPropertyDescriptor(at, 'constructor')?.value?.name)) return false;
  }
  return true;
}

/** An Error of any vm context, or what inherits from one. Never throws. */
function isError(value) {
  if (types.isNativeError(value)) return true;
  try {
    return value instanceof Error || value instanceof DOMException;
  } catch {
    return false; // a proxy that throws
  }
}

function isDomException(value) {
  try {
    return value instanceof DOMException;
  } catch {
    return false;
  }
}

/** Whether an object that showed no property is as empty as it looks: made without a class. */
function isPlain(value) {
  const constructor = value.constructor;
  const bare = typeof constructor !== 'function' || constructor.name === 'Object';
  return bare && typeof value[Symbol.toStringTag] !== 'string';
}

/** "an AbortSignal", "a function": for a sentence about what cannot travel. Never throws. */
function nounOf(value) {
  const name = typeof value === 'object' ? classOf(value) || 'object' : typeof value;
  return `${/^[AEIOU]/i.test(name) ? 'an' : 'a'} ${name}`;
}

function classOf(value) {
  try {
    const tag = value[Symbol.toStringTag];
    const name = value.constructor?.name;
    return typeof name === 'string' && name !== '' && name !== 'Object' ? name : String(tag ?? '');
  } catch {
    return '';
  }
}

/** The href of a URL object of the platform. */
function hrefOf(url) {
  return urlHref.call(url);
}

function isUrl(value) {
  if (!(value instanceof URL)) return false;
  try {
    hrefOf(value);
    return true;
  } catch {
    return false; // only its prototype is one
  }
}

/** Whether an object has a toJSON that is not of the platform: Bun's Headers have one that says nothing of a second cookie. */
function hasClassToJSON(value) {
  if (typeof value.toJSON !== 'function') return false;
  const owner = ownerOf(value, 'toJSON');
  return owner === null || platformName(owner) === '';
}

/** The object of the prototype chain that has the property itself; null if there is none, for a proxy may say anything. */
function ownerOf(value, key) {
  let owner = value;
  while (owner !== null && !Object.hasOwn(owner, key)) owner = Object.getPrototypeOf(owner);
  return owner;
}

/** Whether the toJSON of a Date is that of all Dates, of this vm context or another, rather than a subclass's. */
function hasBuiltInToJSON(date) {
  const owner = ownerOf(date, 'toJSON');
  return owner !== null && Object.hasOwn(owner, 'getTimezoneOffset');
}

/** Whether what makes the object is not in its properties: listeners, a handle of the event loop, state of the platform. */
function isForeign(value, prototype) {
  if (value instanceof EventEmitter || types.isSharedArrayBuffer(value) || ArrayBuffer.isView(value)) return true;
  if (typeof value.ref === 'function' && typeof value.unref === 'function') return true;
  if (typeof value.pipe === 'function' && typeof value.on === 'function') return true;
  return isPlatform(prototype);
}

function isPlatform(prototype) {
  let known = platformPrototypes.get(prototype);
  if (known === undefined) {
    known = findPlatform(prototype);
    platformPrototypes.set(prototype, known);
  }
  return known;
}

function findPlatform(prototype) {
  for (let at = prototype; at !== null; at = Object.getPrototypeOf(at)) {
    if (platformName(at) !== '') return true;
  }
  return false;
}

/** The name of the platform's class whose prototype this is, of those that are listed; else ''. */
function platformName(prototype) {
  const constructor = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  const name = typeof constructor === 'function' ? constructor.name : '';
  return PLATFORM.has(name) && globalThis[name] === constructor ? name : '';
}

module.exports = { KIND, hrefOf, isDomException, isError, isOrdinary, isPlain, kindOf, nounOf };
