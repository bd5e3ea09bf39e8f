'use strict';

// The handlers of one node or bridge: one for each name.

const { Context } = require('./context.js');
const { invalidArg } = require('./errors.js');
const { contextOf, createReply, isReply } = require('./reply.js');
const { Work } = require('./work.js');

class Handlers {
  #kind;
  #byName = new Map();
  /** What they are at. */
  work = new Work();

  /** `kind`: what the names are called in errors, 'event' or 'method'. */
  constructor(kind) {
    this.#kind = kind;
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
  return function listener(...args) {
    const reply = takeReply(args, name);
    work.run(this, handler, args, reply);
  };
}

function serving(name, handler, work) {
  return function listener(...args) {
    const reply = takeReply(args, name);
    args.unshift(contextOf(reply) ?? new Context(reply.from || this.id, name, reply.broadcast, null));
    work.run(this, handler, args, reply);
  };
}

/** The Reply at the end of the arguments, taken off. An event that is emitted in this process has none. */
function takeReply(args, name) {
  return isReply(args[args.length - 1]) ? args.pop() : createReply('', name, false, null);
}

module.exports = { Handlers };
