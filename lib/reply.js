'use strict';

// What a listener gets as its last argument, and how a handler's outcome becomes a reply.

const { rethrow } = require('./calls.js');
const { asError } = require('./values.js');

/**
 * A Reply: a function with from, event and broadcast. `send(args)` is called by the first call only, which returns
 * true; null: none is wanted.
 */
function createReply(from, event, broadcast, send) {
  let replied = send === null;
  const reply = (...args) => {
    if (replied) return false;
    send(args);
    // Only now: when the arguments cannot travel, send throws, and the listener may reply with something else.
    replied = true;
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

/** Calls a handler; what it returns, resolves to, throws or rejects with is the reply. Then it is `finished`. */
function run(self, handler, args, reply, finished) {
  let outcome;
  try {
    outcome = handler.apply(self, args);
  } catch (error) {
    fail(reply, error);
    return finished();
  }
  if (typeof outcome?.then !== 'function') {
    answer(reply, outcome);
    return finished();
  }
  const end = (tell) => (value) => {
    tell(reply, value);
    finished();
  };
  return outcome.then(end(answer), end(fail));
}

function answer(reply, value) {
  try {
    if (value === undefined) reply();
    else reply(null, value);
  } catch (error) {
    reply(error);
  }
}

/** An error that nobody waits for is the process's uncaught exception, as that of any listener. */
function fail(reply, error) {
  if (!reply(asError(error))) rethrow(error);
}

/**
 * A reply's arguments as the outcome of a promise: an Error first rejects; reply(null, value) and reply(value) resolve.
 */
function outcomeOf(args) {
  if (args.length >= 2 && (args[0] === null || args[0] === undefined)) return args[1];
  if (args[0] instanceof Error) throw args[0];
  return args[0];
}

module.exports = { contextOf, createReply, giveContext, isReply, outcomeOf, run };
