'use strict';

// JSON text of plain values.

/** All but what JSON takes as it is: quote, backslash, controls; and surrogates, for a lone one is escaped, a pair not. */
const SPECIAL = /[^ !#-[\]-\ud7ff\ue000-\uffff]/;

/** Keys remembered with their quotes: those of objects come in few kinds, and a program that makes them up must not grow. */
const MAX_KEYS = 4096;
const keys = new Map();

/** From 13.8 on V8 writes JSON as fast as the engines of others; before, a small text is made by hand in half its time. */
const IS_SLOW = isBefore(process.versions.v8, 13, 8) && process.versions.bun === undefined;

/** JSON.stringify for one string, in half its time when nothing needs an escape. */
function quote(string) {
  return SPECIAL.test(string) ? JSON.stringify(string) : `"${string}"`;
}

/** JSON.stringify for few values that a scan has found to be plain: arrays, objects without a class, JSON's primitives. */
function stringifyFew(values) {
  return IS_SLOW && !isPolluted() ? writeArray(values) : JSON.stringify(values);
}

function write(value) {
  switch (typeof value) {
    case 'string': return quote(value);
    case 'number': return value - value === 0 ? `${value}` : 'null';
    case 'boolean': return value ? 'true' : 'false';
    case 'object': return value === null ? 'null' : Array.isArray(value) ? writeArray(value) : writeObject(value);
    default: return 'null'; // a getter that changes its mind
  }
}

function writeArray(array) {
  if (array.length === 0) return '[]';
  let text = `[${write(array[0])}`;
  for (let i = 1; i < array.length; i++) text += `,${write(array[i])}`;
  return `${text}]`;
}

function writeObject(object) {
  let text = '';
  for (const key in object) text += `${text === '' ? '{' : ','}${quoteKey(key)}${write(object[key])}`;
  return text === '' ? '{}' : `${text}}`;
}

/** `"key":` */
function quoteKey(key) {
  let text = keys.get(key);
  if (text === undefined) {
    text = `${JSON.stringify(key)}:`;
    if (keys.size < MAX_KEYS) keys.set(key, text);
  }
  return text;
}

/** Whether for-in finds more than an object's own keys. */
function isPolluted() {
  for (const _ in Object.prototype) return true;
  return false;
}

function isBefore(version, major, minor) {
  const [theirs, theirMinor] = String(version).split('.').map(Number);
  return theirs < major || (theirs === major && theirMinor < minor);
}

module.exports = { quote, stringifyFew };
