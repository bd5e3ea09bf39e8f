'use strict';

// How a node leaves: its handlers finish, what it sent is settled, and then it says goodbye. All within a time.

const { clearTimeout, monotonic: now, setTimeout } = require('./time.js');

/** Milliseconds that leave() gives handlers to finish, and receivers to take what was sent. */
const PATIENCE = 5_000;
/** Milliseconds that the bridge may take to answer a goodbye that waits for nothing else. */
const GOODBYE_PATIENCE = 1_000;

class Leaving {
  #work;
  #steps;
  #promise = null;
  #left = null;
  #timer = null;
  #until;
  #saysGoodbye = false;

  /**
   * `steps`: { drain(), goodbye(), insist(), giveUp() }, each called once at the most. goodbye() and insist() return whether
   * there is something left to wait for.
   */
  constructor(work, steps) {
    this.#work = work;
    this.#steps = steps;
  }

  /** Settles when the node has left. The first `timeout` counts. */
  start(timeout = PATIENCE) {
    if (this.#promise === null) {
      this.#promise = new Promise((resolve) => (this.#left = resolve));
      this.#drain(timeout);
    }
    return this.#work.awaited(this.#promise);
  }

  /** Whether the node was told to leave. */
  get begun() {
    return this.#promise !== null;
  }

  /** The node is closed: there is nothing more to wait for. */
  stop() {
    clearTimeout(this.#timer);
    this.#saysGoodbye = true;
  }

  /** All that has to happen after that has happened. */
  end() {
    this.#left?.();
  }

  #drain(timeout) {
    this.#until = now() + timeout;
    this.#steps.drain();
    if (this.#work.busy) this.#timer = setTimeout(() => this.#sayGoodbye(), timeout);
    this.#work.whenIdle(() => this.#sayGoodbye());
  }

  #sayGoodbye() {
    if (this.#saysGoodbye) return;
    this.#saysGoodbye = true;
    clearTimeout(this.#timer);
    if (this.#steps.goodbye()) this.#timer = setTimeout(() => this.#insist(), Math.max(this.#until - now(), 0));
  }

  /** A receiver that does not wake up must not keep a node for ever; what the bridge has it delivers later. */
  #insist() {
    if (this.#steps.insist()) this.#timer = setTimeout(this.#steps.giveUp, GOODBYE_PATIENCE);
  }
}

module.exports = { Leaving };
