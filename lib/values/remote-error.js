'use strict';

// An Error on its way to another process: what it says, and what hangs on it.
//
//   { name, message, stack?, type?, code?, cause?, errors?, props?: { … }, hidden?: { … } }

const { inspect } = require('node:util');
const { BusybodyError, protocolError } = require('../errors.js');
const { isDomException, isError } = require('./kinds.js');

const DOM_EXCEPTION = 'DOMException';
/** Characters of each text of an outline. */
const MAX_OUTLINE = 4096;

/** Properties with a field of their own in a description, and those that an engine puts on every error. */
const TOLD = new Set(['name', 'message', 'stack', 'code', 'cause', 'errors', 'line', 'column', 'sourceURL', 'originalLine', 'originalColumn']);

const { DOMException } = globalThis;
const BUILT_IN = new Map(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
);

/**
 * Fills `description` with what can be told of an error. `write(value, holder, key)` makes what stands for a value that
 * hangs on it, at `holder[key]`; it must not throw. Never throws itself.
 */
function describeError(error, description, write) {
  const texts = { name: readString(error, 'name') ?? 'Error', message: readMessage(error), stack: readString(error, 'stack') };
  for (const [field, text] of Object.entries(texts)) {
    if (text !== undefined) description[field] = write(text, description, field);
  }
  if (isDomException(error)) description.type = DOM_EXCEPTION;
  for (const field of ['code', 'cause', 'errors']) {
    const value = read(error, field);
    if (value === undefined || typeof value === 'function') continue;
    description[field] = write(value, description, field);
  }
  describeProps(error, description, write);
}

/** The Error that a description tells of; what hangs on it is for `dress`. Throws ERR_PROTOCOL when it is no description. */
function reviveError(description, readText) {
  if (typeof description !== 'object' || description === null || Array.isArray(description)) {
    throw protocolError('An error without a description');
  }
  const field = (key) => (typeof description[key] === 'string' ? readText(description[key]) : undefined);
  const [name, message] = [field('name') ?? 'Error', field('message') ?? ''];
  const error = withoutTrace(() => create(name, message, description));
  setStack(error, field('stack') ?? `${name}: ${message}`);
  return error;
}

/** Hangs on a revived error what its description has for it. */
function dressError(error, description) {
  // A DOMException's code is its class's.
  const isOwn = description.type !== DOM_EXCEPTION || error.code !== description.code;
  if (Object.hasOwn(description, 'code') && isOwn) assign(error, 'code', description.code);
  for (const field of ['cause', 'errors']) if (Object.hasOwn(description, field)) hide(error, field, description[field]);
  for (const [key, value] of propsOf(description.props)) assign(error, key, value);
  for (const [key, value] of propsOf(description.hidden)) hide(error, key, value);
}

/**
 * What tells, to whoever waits, of anything that was thrown: itself if it is an Error, else an Error that says what it was
 * and has it as its cause. Never throws.
 */
function asError(thrown) {
  if (isError(thrown) && !isBare(thrown)) return thrown;
  if (typeof thrown === 'string') return new Error(thrown);
  const message = readString(thrown, 'message');
  const error = new Error(message ?? shown(thrown), { cause: thrown });
  const [name, code] = [readString(thrown, 'name'), read(thrown, 'code')];
  if (message !== undefined && name !== undefined) hide(error, 'name', name);
  if (typeof code === 'string' || typeof code === 'number') error.code = code;
  return error;
}

/** Whether an error has no prototype: then it is an object like any other to whoever looks at it. */
function isBare(error) {
  try {
    return Object.getPrototypeOf(error) === null;
  } catch {
    return false;
  }
}

/** As much of an error as fits into any message, with a mark that says so. Never throws. */
function outlineOf(error) {
  const cut = (text) => (text.length <= MAX_OUTLINE ? text : `${text.slice(0, MAX_OUTLINE)} [cut: ${text.length} characters in all]`);
  const outline = new Error(cut(readMessage(error)));
  hide(outline, 'name', cut(readString(error, 'name') ?? 'Error'));
  setStack(outline, cut(readString(error, 'stack') ?? ''));
  const code = read(error, 'code');
  if (typeof code === 'string' || typeof code === 'number') outline.code = typeof code === 'string' ? cut(code) : code;
  outline.cut = 'the error was larger than a message may be: what hung on it has been left out';
  return outline;
}

function describeProps(error, description, write) {
  for (const key of ownKeys(error)) {
    if (TOLD.has(key) || key in Error.prototype) continue; // nor what would shadow a method that printing an error needs
    const visible = isEnumerable(error, key);
    if (!visible && key.startsWith('_')) continue; // the insides of a library
    const value = readOr(error, key, '[cut: a getter that throws]');
    if (typeof value === 'function') continue; // left out, as everywhere
    const props = visible ? (description.props ??= {}) : (description.hidden ??= {});
    props[key] = write(value, props, key);
  }
}

function ownKeys(error) {
  try {
    return Object.getOwnPropertyNames(error);
  } catch {
    return [];
  }
}

function isEnumerable(error, key) {
  try {
    return Object.prototype.propertyIsEnumerable.call(error, key);
  } catch {
    return false;
  }
}

function readMessage(error) {
  const message = read(error, 'message');
  if (typeof message === 'string') return message;
  return message === undefined ? '' : shown(message);
}

function readString(error, key) {
  const value = read(error, key);
  return typeof value === 'string' ? value : undefined;
}

function read(error, key) {
  return readOr(error, key, undefined);
}

function readOr(object, key, otherwise) {
  try {
    return object[key];
  } catch {
    return otherwise;
  }
}

/** A text for people, whatever the value does when it is looked at. */
function shown(value) {
  try {
    return inspect(value, { customInspect: false, depth: 2, maxArrayLength: 20, maxStringLength: 1000, breakLength: Infinity });
  } catch {
    return 'something was thrown that cannot be shown';
  }
}

function create(name, message, { type, code }) {
  if (type === DOM_EXCEPTION) return new DOMException(message, name);
  if (name === 'BusybodyError' && typeof code === 'string' && code.startsWith('ERR_')) return new BusybodyError(code, message);
  const error = name === 'AggregateError' ? new AggregateError([], message) : new (BUILT_IN.get(name) ?? Error)(message);
  if (error.name !== name) hide(error, 'name', name);
  return error;
}

/** The stack that counts is the remote one; capturing ours for each would be slow, and large if there are many. */
function withoutTrace(act) {
  const limit = Error.stackTraceLimit;
  const changed = Reflect.set(Error, 'stackTraceLimit', 0); // not under --frozen-intrinsics
  try {
    return act();
  } finally {
    if (changed) Reflect.set(Error, 'stackTraceLimit', limit);
  }
}

function propsOf(props) {
  if (typeof props !== 'object' || props === null) return [];
  return Object.entries(props).filter(([key]) => !TOLD.has(key) && !(key in Error.prototype));
}

function setStack(error, stack) {
  // First assigned: to define it V8 would read the old one, and ask the program's Error.prepareStackTrace for it.
  error.stack = stack;
  hide(error, 'stack', stack); // JavaScriptCore shows what was assigned
}

function assign(error, key, value) {
  Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: true });
}

function hide(error, key, value) {
  Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false });
}

module.exports = { asError, describeError, dressError, outlineOf, reviveError };
