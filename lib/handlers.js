'use strict';

// The handlers of one node or bridge: one for each name.

const { AsyncResource } = require('node:async_hooks');
const { Context } = require('./context.js');
const { invalidArg } = require('./errors.js');
const { contextOf, createReply, isReply } = require('./reply.js');
const { Work } = require('./work.js');

/** We say when a scope ends, which is cheaper than to have the garbage collector say so. */
const MANUAL = Object.freeze({ requireManualDestroy: true });

class Handlers {
  #kind;
  #byName = new Map();
  /** What they are at. */
  work;

  /**
   * `kind`: what the names are called in errors, 'event' or 'method'. `failed(error, { from, event })` hears of failures that
   * nobody waits for.
   */
  constructor(kind, failed) {
    this.#kind = kind;
    this.work = new Work(failed);
  }

  /**
   * A listener `(...args, reply)` that replies with what `handler` returns, resolves to, throws or rejects with. The handler
   * gets the arguments, exactly; one that `serves` gets the context before them. `attach(listener)` has it called.
   */
  add(name, handler, serves, attach) {
    if (typeof handler !== 'function') throw invalidArg('handler', 'a function', handler, 'argument');
    if (this.#byName.has(name)) throw invalidArg(this.#kind, 'one that has no handler yet', name, 'argument');
    const listener = (serves ? serving : handling)(name, handler, this.work);
    // off(event, handler) finds the listener by this, as it does for once().
    listener.listener = handler;
    attach(listener);
    this.#byName.set(name, { listener, serves });
  }

  get names() {
    return [...this.#byName.keys()];
  }

  get(name) {
    return this.#byName.get(name)?.listener;
  }

  /** Whether the handler of that name wants a context. */
  serves(name) {
    return this.#byName.get(name)?.serves === true;
  }

  /** Makes room for another handler, if that of `name` does not listen to `emitter` any more; returns whether it did. */
  prune(emitter, name) {
    const known = this.#byName.get(name);
    if (known === undefined || emitter.rawListeners(name).includes(known.listener)) return false;
    return this.#byName.delete(name);
  }
}

function handling(name, handler, work) {
  const scoped = inScope(handler);
  return function listener(...args) {
    const reply = takeReply(args);
    if (reply === null) work.run(this, handler, args, localReply(name));
    else work.run(this, scoped, args, reply);
  };
}

function serving(name, handler, work) {
  const scoped = inScope(handler);
  return function listener(...args) {
    const reply = takeReply(args);
    const { from, broadcast } = reply ?? { from: this.id, broadcast: false };
    args.unshift((reply && contextOf(reply)) ?? new Context(from, name, broadcast, null));
    if (reply === null) work.run(this, handler, args, localReply(name));
    else work.run(this, scoped, args, reply);
  };
}

/** The Reply at the end of the arguments, taken off; null: an event that is emitted in this process has none. */
function takeReply(args) {
  return isReply(args[args.length - 1]) ? args.pop() : null;
}

function localReply(name) {
  return createReply('', name, false, null);
}

/**
 * The handler, run in the asynchronous context (AsyncLocalStorage) that it was registered in: messages come from outside,
 * in that of nobody. An event that is emitted in this process has one of its own.
 */
function inScope(handler) {
  const scope = new AsyncResource('BusybodyHandler');
  return function scoped(...args) {
    return scope.runInAsyncScope(runAlone, undefined, handler, this, args);
  };
}

/** In a context of its own below that: what one message enters (enterWith) is not there for the next. */
function runAlone(handler, self, args) {
  const scope = new AsyncResource('BusybodyMessage', MANUAL);
  scope.emitDestroy();
  return scope.runInAsyncScope(handler, self, ...args);
}

module.exports = { Handlers };
