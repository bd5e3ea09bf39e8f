'use strict';

// The numbers under which the native side knows whom a message is for. "chat:hello" can be an event of node "chat", an
// event for everybody and a method of the bridge: three names, and three numbers.

const { parseTarget } = require('./options.js');
const { nextTick } = require('./time.js');

/** Names remembered of each kind, on both sides; they come in few, and a program that makes them up must not grow. */
const MAX_NAMES = 4096;

class Targets {
  #native;
  #forget;
  #directed = new Map();
  #events = new Map();
  #methods = new Map();

  constructor(native) {
    this.#native = native;
    this.#forget = () => {
      for (const names of [this.#directed, this.#events, this.#methods]) names.clear();
      native.clearTargets();
    };
  }

  /** Of "node:event"; throws ERR_INVALID_TARGET for anything else. */
  directed(target) {
    return this.#directed.get(target) ?? this.#addDirected(target);
  }

  /** Of an event for everybody. */
  event(event) {
    return this.#events.get(event) ?? this.#add(this.#events, event, '', event);
  }

  /** Of a method of the bridge. */
  method(method) {
    return this.#methods.get(method) ?? this.#add(this.#methods, method, '', method);
  }

  /** Of a node that is answered; the event may be empty. */
  node(node, event) {
    const target = `${node}:${event}`;
    return this.#directed.get(target) ?? this.#add(this.#directed, target, node, event);
  }

  #addDirected(target) {
    const { node, event } = parseTarget(target);
    return this.#add(this.#directed, target, node, event);
  }

  #add(names, name, node, event) {
    // Not at once: a toJSON() may send too, between a message's target and its body.
    if (names.size === MAX_NAMES) nextTick(this.#forget);
    const number = this.#native.target(node, event);
    names.set(name, number);
    return number;
  }
}

module.exports = { Targets };
