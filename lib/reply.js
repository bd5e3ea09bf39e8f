'use strict';

// What a listener gets as its last argument, and how a handler's outcome becomes a reply.

const { types } = require('node:util');
const { BusybodyError } = require('./errors.js');
const { asError, isError } = require('./values.js');

const { then } = Promise.prototype;

/**
 * A Reply: a function with from, event and broadcast. `send(args)` is called by the first call only, which returns
 * true; null: none is wanted.
 */
function createReply(from, event, broadcast, send) {
  let replied = send === null;
  const reply = (...args) => {
    if (replied) return false;
    // Before they are sent: a toJSON() among the arguments may reply, too.
    replied = true;
    try {
      send(args);
    } catch (error) {
      // The arguments cannot travel: the listener may reply with something else.
      replied = false;
      throw error;
    }
    return true;
  };
  reply.from = from;
  reply.event = event;
  reply.broadcast = broadcast;
  return reply;
}

/** Whether a value is a Reply: what a listener gets behind the arguments, which functions never are that come from others. */
function isReply(value) {
  return typeof value === 'function' && typeof value.broadcast === 'boolean';
}

/** Where a Reply has the context of its question, if that is served. */
const CONTEXT = Symbol('context');

function contextOf(reply) {
  return reply[CONTEXT];
}

function giveContext(reply, context) {
  reply[CONTEXT] = context;
  return reply;
}

/**
 * Calls a handler; what it returns, resolves to, throws or rejects with is the reply. `failed(error, { from, event })` hears
 * of a failure that nobody waits for. Then it is `finished`.
 */
function run(self, handler, args, reply, failed, finished) {
  try {
    const outcome = handler.apply(self, args);
    if (typeof outcome?.then === 'function') return settle(outcome, reply, failed, finished);
    answer(reply, outcome, failed);
  } catch (error) {
    refuse(reply, error, failed);
  }
  finished();
}

/** Waits for a thenable. One that is no promise may call back twice, throw, or resolve to the next: then it is made one. */
function settle(outcome, reply, failed, finished) {
  const promise = types.isPromise(outcome) ? outcome : new Promise((resolve) => resolve(outcome));
  const end = (tell) => (value) => {
    tell(reply, value, failed);
    finished();
  };
  then.call(promise, end(answer), end(refuse));
}

function answer(reply, value, failed) {
  try {
    if (value === undefined) reply();
    else reply(null, value);
  } catch (error) {
    refuse(reply, error, failed);
  }
}

/** Whoever waits is told at once, whatever was thrown. */
function refuse(reply, thrown, failed) {
  const error = asError(thrown);
  if (!isHeard(reply, error)) failed(error, { from: reply.from, event: reply.event });
}

/** Whether somebody waited for this error. */
function isHeard(reply, error) {
  try {
    return reply(error);
  } catch (cause) {
    return reply(new BusybodyError('ERR_UNSERIALIZABLE', `the handler failed with an error that cannot be sent (${cause.message})`));
  }
}

/**
 * A reply's arguments as the outcome of a promise: an Error first rejects; reply(null, value) and reply(value) resolve.
 */
function outcomeOf(args) {
  if (args.length >= 2 && (args[0] === null || args[0] === undefined)) return args[1];
  if (typeof args[0] === 'object' && args[0] !== null && isError(args[0])) throw args[0];
  return args[0];
}

module.exports = { contextOf, createReply, giveContext, isReply, outcomeOf, run };
