'use strict';

// What the caller asks for: every form of arguments in, one frozen object with every default filled in out.
// All that is wrong with it is said here, at once, as a TypeError that names the option.

const { randomUUID } = require('node:crypto');
const { RESERVED_EVENTS, invalidArg, typeError } = require('./errors.js');
const { guarded } = require('./guard.js');
const { addressOf, checkTargetUrl, checkUrl, urlOfAddress, urlOfPort, urlOfText } = require('./options/address.js');
const { choice, duration, fileMode, integer, oneFunction, read, text } = require('./options/check.js');

const MAX_ID = 255; // bytes of UTF-8, as the wire has one byte for the length
const MAX_EVENT = 1024;
const MAX_MESSAGE = 2 ** 32 - 1; // a frame's length is a u32
const MIB = 2 ** 20;

const ADDRESS = { url: checkUrl, path: text, host: text, port: integer(0, 65_535) };
const LIMITS = {
  maxMessage: integer(1, MAX_MESSAGE),
  maxPending: integer(1, Number.MAX_SAFE_INTEGER),
  stallTimeout: duration(1),
};
const BRIDGE = { ...ADDRESS, ...LIMITS, resumeTimeout: duration(0), mode: fileMode };
const NODE = {
  ...ADDRESS,
  ...LIMITS,
  url: checkTargetUrl,
  id: checkId,
  onConnect: oneFunction,
  maxConnectionAttempts: attempts,
  bridge: choice('auto', 'require'),
  onTaken: choice('fail', 'wait', 'replace'),
  replyTimeout: duration(0),
  serialization: choice('values', 'json', 'advanced'),
};
const WAIT = { event: eventName, timeout: duration(0), signal: abortSignal };
const LEAVE = { timeout: duration(0) };
const CALL = { timeout: duration(0), signal: abortSignal, wait: duration(0) };

const LIMIT_DEFAULTS = { maxMessage: 64 * MIB, maxPending: 64 * MIB, stallTimeout: 10_000 };

/**
 * createBridge(options?, callback?) or createBridge(callback?); for options also a port, a Unix socket's path, "host:port"
 * or a url.
 * Returns { url: string | null, maxMessage, maxPending, stallTimeout, resumeTimeout, mode, callback: function | null }.
 */
function parseBridgeOptions(args) {
  const given = sortArguments(args, { string: bridgeAddress, number: (port) => ({ url: urlOfPort(port, 0) }) });
  const options = read(given.options, BRIDGE);
  return Object.freeze({
    url: given.url ?? addressOf(options, 0),
    maxMessage: options.maxMessage ?? LIMIT_DEFAULTS.maxMessage,
    maxPending: options.maxPending ?? LIMIT_DEFAULTS.maxPending,
    stallTimeout: options.stallTimeout ?? LIMIT_DEFAULTS.stallTimeout,
    resumeTimeout: options.resumeTimeout ?? 5_000,
    mode: options.mode ?? 0o600,
    callback: given.callback ?? null,
  });
}

/**
 * createNode(options?, callback?), or any order of an id, an address and a callback: a port, a url, "host:port", or a path that
 * begins with "/", "./" or "../".
 * Returns { url: string | null, id, onConnect: function | null, maxConnectionAttempts, onTaken, bridge, replyTimeout, serialization,
 * maxMessage, maxPending, stallTimeout }.
 */
function parseNodeOptions(args) {
  const given = sortArguments(args, { string: nodeAddressOrId, number: (port) => ({ url: urlOfPort(port, 1) }) });
  const options = read(given.options, NODE);
  const url = given.url ?? addressOf(options, 1);
  return Object.freeze({
    url,
    id: given.id ?? options.id ?? randomUUID(),
    onConnect: both(options.onConnect, given.callback),
    maxConnectionAttempts: options.maxConnectionAttempts ?? 5,
    onTaken: options.onTaken ?? 'fail',
    bridge: options.bridge ?? (url === null ? 'auto' : 'require'),
    replyTimeout: options.replyTimeout ?? 30_000,
    serialization: options.serialization ?? 'values',
    maxMessage: options.maxMessage ?? LIMIT_DEFAULTS.maxMessage,
    maxPending: options.maxPending ?? LIMIT_DEFAULTS.maxPending,
    stallTimeout: options.stallTimeout ?? LIMIT_DEFAULTS.stallTimeout,
  });
}

/** The options of node.with(), each of which may be undefined: { timeout, signal, wait }. */
function parseCallOptions(options) {
  if (typeof options !== 'object' || options === null) throw invalidArg('options', 'an object', options, 'argument');
  const { timeout, signal, wait } = read(options, CALL);
  return Object.freeze({ timeout, signal, wait });
}

/** What node.waitFor() is given: an id, and options each of which may be undefined: { event, timeout, signal }. */
function parseWait(id, options) {
  const problem = idProblem(id);
  if (problem !== null) throw invalidArg('id', problem, id, 'argument');
  if (options === undefined) return {};
  if (typeof options !== 'object' || options === null) throw invalidArg('options', 'an object', options, 'argument');
  return read(options, WAIT);
}

/** What node.leave() is given: true, false, or { timeout }. Returns { force: boolean, timeout: number | undefined }. */
function parseLeave(how = false) {
  if (typeof how === 'boolean') return { force: how, timeout: undefined };
  if (typeof how !== 'object' || how === null) throw invalidArg('how', 'true, false or { timeout }', how, 'argument');
  return { force: false, timeout: read(how, LEAVE).timeout };
}

// Names are asked for with every message and are few: what has passed once is remembered, up to a bound.
const MAX_REMEMBERED = 1024;
const targets = new Map();
const events = new Set();
const methods = new Set();

/** "node:event" as a frozen { node, event }; the event may contain further colons. */
function parseTarget(target) {
  const known = targets.get(target);
  if (known !== undefined) return known;
  const parsed = splitTarget(target);
  if (targets.size >= MAX_REMEMBERED) targets.clear();
  targets.set(target, parsed);
  return parsed;
}

/** Whether it can name an event at all, reserved or not. */
function isEventName(event) {
  return eventProblem(event) === null;
}

/** Throws unless it can name a method of the bridge. Reserved names can: a method is not an event. */
function checkMethod(method) {
  if (methods.has(method)) return;
  const problem = eventProblem(method);
  if (problem !== null) throw invalidArg('method', problem, method, 'argument');
  remember(methods, method);
}

/** Throws unless another process may be sent this event. */
function checkEvent(event) {
  if (events.has(event)) return;
  const problem = eventProblem(event);
  if (problem !== null) throw invalidArg('event', problem, event, 'argument');
  refuseReserved(event);
  remember(events, event);
}

function remember(names, name) {
  if (names.size >= MAX_REMEMBERED) names.clear();
  names.add(name);
}

function splitTarget(target) {
  if (typeof target !== 'string') throw invalidTarget('a string "node:event"', target);
  const colon = target.indexOf(':');
  if (colon === -1) throw invalidTarget('"node:event", with a colon', target);
  const node = target.slice(0, colon);
  const event = target.slice(colon + 1);
  const problem = idProblem(node);
  if (problem !== null) throw invalidTarget(`"node:event", where node is ${problem}`, target);
  const eventIs = eventProblem(event);
  if (eventIs !== null) throw invalidTarget(`"node:event", where event is ${eventIs}`, target);
  refuseReserved(event);
  return Object.freeze({ node, event });
}

function invalidTarget(expected, actual) {
  const error = invalidArg('target', expected, actual, 'argument');
  error.code = 'ERR_INVALID_TARGET';
  return error;
}

function refuseReserved(event) {
  if (!RESERVED_EVENTS.has(event)) return;
  throw typeError('ERR_RESERVED_EVENT', `The event "${event}" is reserved: it tells of this process's own connection`);
}

/** What an id should have been, or null when it is fine. */
function idProblem(id) {
  if (typeof id !== 'string') return 'a string';
  if (id === '') return 'not empty';
  if (id.includes(':')) return 'without a ":"';
  if (id.includes('\0') || !id.isWellFormed()) return 'well-formed text without NUL';
  return Buffer.byteLength(id) > MAX_ID ? `at most ${MAX_ID} bytes of UTF-8` : null;
}

function eventProblem(event) {
  if (typeof event !== 'string') return 'a string';
  if (event === '') return 'not empty';
  if (!event.isWellFormed()) return 'well-formed text';
  return Buffer.byteLength(event) > MAX_EVENT ? `at most ${MAX_EVENT} bytes of UTF-8` : null;
}

function eventName(event, name) {
  const problem = eventProblem(event);
  if (problem !== null) throw invalidArg(name, problem, event);
  refuseReserved(event);
  return event;
}

function checkId(id, name) {
  const problem = idProblem(id);
  if (problem !== null) throw invalidArg(name, problem, id);
  return id;
}

/** Infinity is a way to say "as long as it takes"; the native side counts in 32 bits. */
function attempts(value, name) {
  return value === Infinity ? 2 ** 32 - 1 : integer(1, 2 ** 32 - 1)(value, name);
}

function abortSignal(value, name) {
  if (typeof value === 'object' && value !== null && 'aborted' in value && typeof value.addEventListener === 'function') {
    return value;
  }
  throw invalidArg(name, 'an AbortSignal', value);
}

/** Tells the arguments apart by their types: { options?, callback?, url?, id? }. Each may come once. */
function sortArguments(args, byType) {
  const given = Object.create(null);
  for (const value of args) {
    if (value === undefined || value === null) continue;
    const part = sortArgument(value, byType);
    for (const key of Object.keys(part)) {
      if (given[key] !== undefined) throw invalidArg(key, 'given once', value, 'argument');
      given[key] = part[key];
    }
  }
  const other = given.url === undefined ? 'id' : 'url';
  if (given.options !== undefined && given[other] !== undefined) {
    throw invalidArg(other, 'among the options, when there are options', given[other], 'argument');
  }
  return given;
}

function sortArgument(value, byType) {
  switch (typeof value) {
    case 'function': return { callback: value };
    case 'string': return byType.string(value);
    case 'number': return byType.number(value);
    case 'object':
      if (!Array.isArray(value)) return { options: value };
  }
  throw invalidArg('options', 'an object, a string or a port number', value, 'argument');
}

function bridgeAddress(string) {
  return { url: urlOfText(string) };
}

function nodeAddressOrId(string) {
  const url = urlOfAddress(string, 1);
  return url === null ? { id: checkId(string, 'id') } : { url };
}

/** One function that calls the two of them: a caller that gives both means both. */
function both(first, second) {
  if (first === undefined || second === undefined) return first ?? second ?? null;
  return (error) => {
    guarded(first, error);
    guarded(second, error);
  };
}

module.exports = { checkEvent, checkMethod, isEventName, parseBridgeOptions, parseCallOptions, parseLeave, parseNodeOptions, parseWait, parseTarget };
