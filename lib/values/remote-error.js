'use strict';

// An Error on its way to another process: what it says, not what it is tangled up in.
//
//   { name, message, stack?, code?, cause?: { error } | { value }, errors?: [ … ], props?: { … } }

const { BusybodyError, protocolError } = require('../errors.js');
const { isError, isPlain } = require('./scan.js');

const MAX_CAUSES = 8; // a cause's cause's cause …: more is a cycle
const MAX_ERRORS = 16; // of an AggregateError
const MAX_PROPS = 32;
const MAX_PROP_TEXT = 16 * 1024; // a response body or a socket hung on an error is not part of its message

const BUILT_IN = new Map(
  [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((type) => [type.name, type]),
);

/** The error's description as JSON bytes. */
function encodeError(error) {
  return Buffer.from(JSON.stringify(describeError(error)));
}

function decodeError(bytes) {
  let description;
  try {
    description = JSON.parse(bytes.toString());
  } catch (cause) {
    throw protocolError(`An error that is not JSON: ${cause.message}`, cause);
  }
  return reviveError(description);
}

/** Plain data about an error; a getter that throws costs no more than its own line. */
function describeError(error, depth = 0) {
  const description = {
    name: readString(error, 'name') ?? 'Error',
    message: readString(error, 'message') ?? '',
    stack: readString(error, 'stack'),
  };
  const code = read(error, 'code');
  if (typeof code === 'string' || Number.isFinite(code)) description.code = code;
  if (depth < MAX_CAUSES) describeCauses(error, description, depth + 1);
  const props = describeProps(error);
  if (props !== undefined) description.props = props;
  return description;
}

/** The Error that a description tells of. Throws ERR_PROTOCOL when it is no description. */
function reviveError(description) {
  // The stack that counts is the remote one; capturing ours for each would be slow, and large if there are many.
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return revive(description, 0);
  } finally {
    Error.stackTraceLimit = limit;
  }
}

function describeCauses(error, description, depth) {
  const cause = read(error, 'cause');
  if (isError(cause)) description.cause = { error: describeError(cause, depth) };
  else if (fits(cause)) description.cause = { value: cause };
  const errors = read(error, 'errors');
  if (Array.isArray(errors)) {
    description.errors = errors.slice(0, MAX_ERRORS).filter(isError).map((each) => describeError(each, MAX_CAUSES));
  }
}

function describeProps(error) {
  let props;
  for (const key of Object.keys(error).slice(0, MAX_PROPS)) {
    if (!isProp(key)) continue;
    const value = read(error, key);
    if (fits(value)) (props ??= {})[key] = value;
  }
  return props;
}

/** Not what has a place of its own, nor what would shadow a method that printing an error needs. */
function isProp(key) {
  return !(key in Error.prototype) && !['stack', 'code', 'cause', 'errors'].includes(key);
}

function fits(value) {
  try {
    return isPlain(value) && JSON.stringify(value)?.length <= MAX_PROP_TEXT;
  } catch {
    return false;
  }
}

function readString(error, key) {
  const value = read(error, key);
  return typeof value === 'string' ? value : undefined;
}

function read(error, key) {
  try {
    return error[key];
  } catch {
    return undefined;
  }
}

function revive(description, depth) {
  if (typeof description !== 'object' || description === null || Array.isArray(description)) {
    throw protocolError('An error without a description');
  }
  const name = readString(description, 'name') ?? 'Error';
  const message = readString(description, 'message') ?? '';
  const error = create(name, message, description.code);
  hide(error, 'stack', readString(description, 'stack') ?? `${name}: ${message}`);
  reviveCauses(error, description, depth + 1);
  reviveProps(error, description.props);
  return error;
}

function create(name, message, code) {
  if (name === 'BusybodyError' && typeof code === 'string' && code.startsWith('ERR_')) {
    return new BusybodyError(code, message);
  }
  const error = name === 'AggregateError' ? new AggregateError([], message) : new (BUILT_IN.get(name) ?? Error)(message);
  if (error.name !== name) hide(error, 'name', name);
  if (typeof code === 'string' || typeof code === 'number') error.code = code;
  return error;
}

function reviveCauses(error, { cause, errors }, depth) {
  if (depth > MAX_CAUSES + 1) return;
  if (typeof cause === 'object' && cause !== null) {
    hide(error, 'cause', cause.error === undefined ? cause.value : revive(cause.error, depth));
  }
  if (Array.isArray(errors)) {
    hide(error, 'errors', errors.slice(0, MAX_ERRORS).map((each) => revive(each, MAX_CAUSES + 1)));
  }
}

function reviveProps(error, props) {
  if (typeof props !== 'object' || props === null) return;
  for (const key of Object.keys(props).slice(0, MAX_PROPS)) {
    if (isProp(key)) error[key] = props[key];
  }
}

function hide(error, key, value) {
  Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false });
}

module.exports = { decodeError, describeError, encodeError, reviveError };
