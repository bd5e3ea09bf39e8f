'use strict';

// What can go wrong, as users see it. Match on `code`; messages are for humans.

const { inspect } = require('node:util');

/** An Error with a stable `code`, one of those listed in index.d.ts. */
class BusybodyError extends Error {
  constructor(code, message, options) {
    super(message, options);
    // Own and enumerable, as Node core's: inspect() shows it, and a copy of the error keeps it.
    this.code = code;
  }
}

// On the prototype and hidden, where every built-in error has its name.
Object.defineProperty(BusybodyError.prototype, 'name', {
  value: 'BusybodyError', writable: true, configurable: true,
});

/**
 * Events that carry this process's own news. A remote can neither send them nor make them fire here:
 * an 'error' from outside would throw in every node that does not listen for it.
 */
const RESERVED_EVENTS = new Set([
  'error', 'close', 'connect', 'disconnect', 'reconnect', 'drain', 'leave.force', 'error.reconnect',
  'undeliverable', 'handler.error', 'node:join', 'node:leave', 'newListener', 'removeListener',
]);

/** Those of them that the bridge itself sends, to the nodes that listen. */
const PRESENCE_EVENTS = new Set(['node:join', 'node:leave']);

/** A TypeError with a code, for what the caller can put right in the source. */
function typeError(code, message, options) {
  const error = new TypeError(message, options);
  error.code = code;
  return error;
}

/** `kind` is 'option' or 'argument': where the caller finds what is wrong. */
function invalidArg(name, expected, actual, kind = 'option') {
  return typeError('ERR_INVALID_ARG', `The "${name}" ${kind} must be ${expected}. Received ${received(actual)}`);
}

/** The argument that cannot travel; `cause` is what the serializer said. */
function unserializable(message, cause) {
  return typeError('ERR_UNSERIALIZABLE', message, cause === undefined ? undefined : { cause });
}

/** A body that no peer speaking the protocol would have sent. */
function protocolError(message, cause) {
  return new BusybodyError('ERR_PROTOCOL', message, cause === undefined ? undefined : { cause });
}

/** An aborted request, with the name that web and Node APIs give to it; `reason` is `signal.reason`. */
function abortError(reason) {
  const error = new BusybodyError('ABORT_ERR', 'The operation was aborted', { cause: reason });
  Object.defineProperty(error, 'name', { value: 'AbortError', writable: true, configurable: true });
  return error;
}

/** An error the native side reports as (code, message): ours, or the operating system's such as EADDRINUSE. */
function fromNative(code, message) {
  if (code === 'ABORT_ERR' || String(code).startsWith('ERR_')) return new BusybodyError(code, message);
  const error = new Error(message);
  error.code = code;
  return error;
}

/** "type string ('abc')", "an instance of Foo", "undefined": what came instead of what was expected. */
function received(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return value.name ? `function ${value.name}` : 'a function';
  if (typeof value === 'object') {
    const name = constructorName(value);
    return name ? `an instance of ${name}` : inspect(value, { depth: -1 });
  }
  const shown = inspect(value);
  return `type ${typeof value} (${shown.length > 40 ? `${shown.slice(0, 40)}…` : shown})`;
}

function constructorName(value) {
  try {
    const name = value.constructor?.name;
    return typeof name === 'string' ? name : '';
  } catch {
    return ''; // a getter or a proxy that throws: the complaint must still come out
  }
}

module.exports = {
  BusybodyError,
  PRESENCE_EVENTS,
  RESERVED_EVENTS,
  abortError,
  fromNative,
  invalidArg,
  protocolError,
  typeError,
  unserializable,
};
