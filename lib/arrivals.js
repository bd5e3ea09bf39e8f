'use strict';

// Waiting for nodes that are not there yet, or do not listen yet; and the messages that are kept for them meanwhile.

const { whenAborted } = require('./aborts.js');
const { BusybodyError, abortError, fromNative } = require('./errors.js');
const { parseTarget } = require('./options.js');
const { callbackOf, promised } = require('./outcomes.js');
const { clearTimeout, monotonic, nextTick, setTimeout } = require('./time.js');

class Arrivals {
  #outbound;
  #limit;
  #bytes = 0;
  /** Messages that wait, in order, by target: { messages, question }. */
  #waiting = new Map();

  /** `limit`: bytes that may wait. */
  constructor(outbound, limit) {
    this.#outbound = outbound;
    this.#limit = limit;
  }

  /** As node.publish, when the receiver listens, or after `wait` milliseconds. */
  publish(target, args, callback, how) {
    const parsed = parseTarget(target);
    const kept = this.#outbound.keep(args);
    if (callback !== undefined) return this.#askWhenThere(parsed, target, kept, callbackOf(callback), how);
    return this.#add(parsed, target, kept.bytes, how, (error) => this.#outbound.postKept(target, kept, error));
  }

  /** The same as a promise; what is wrong with the data rejects. */
  request(target, args, how) {
    const parsed = parseTarget(target);
    return promised((settle) => this.#askWhenThere(parsed, target, this.#outbound.keep(args), settle, how));
  }

  /** NodeInfo, once the node is there and, if an event is given, listens for it. `timeout` 0: whenever that is. */
  waitFor(id, { event = '', timeout, signal }) {
    const until = timeout === 0 ? Infinity : monotonic() + timeout;
    const left = () => (timeout === 0 ? 0 : Math.max(Math.ceil(until - monotonic()), 1));
    return promised((settle) => {
      const ask = () => this.#outbound.awaitNode(id, event, (error, values) => {
        // The bridge was lost, and with it the question.
        if (error?.code === 'ERR_NODE_LEFT' && monotonic() < until) ask();
        else settle(error?.code === 'ERR_TIMEOUT' ? tooLate(id, event, timeout) : error, values);
      }, left(), signal);
      ask();
    });
  }

  #askWhenThere(parsed, target, kept, settle, how) {
    this.#add(parsed, target, kept.bytes, how, (error) => {
      if (error !== null) settle(error, null);
      else this.#outbound.askKept(target, kept, settle, how.timeout, how.signal);
    });
  }

  /** Calls `go(error)` once: without an error when the node is there or its time is up. */
  #add({ node, event }, target, bytes, { wait, signal }, go) {
    if (signal?.aborted) return nextTick(go, abortError(signal.reason));
    if (this.#bytes + bytes > this.#limit) return nextTick(go, tooMuch(this.#bytes));
    const message = { target, bytes, go, stopWaiting: null, timer: null };
    if (signal !== undefined) {
      message.stopWaiting = whenAborted(signal, (reason) => this.#end(message, abortError(reason)));
    }
    message.timer = setTimeout(() => this.#end(message, null), wait);
    message.timer.unref();
    this.#bytes += bytes;
    const queue = this.#waiting.get(target);
    if (queue !== undefined) return queue.messages.add(message);
    this.#waiting.set(target, { messages: new Set([message]), question: 0 });
    return this.#question(target, node, event);
  }

  #question(target, node, event) {
    const queue = this.#waiting.get(target);
    queue.question = this.#outbound.awaitNode(node, event, (error) => {
      if (this.#waiting.get(target) !== queue) return;
      if (error?.code === 'ERR_NODE_LEFT') {
        this.#question(target, node, event);
        return;
      }
      queue.question = 0;
      for (const message of [...queue.messages]) this.#end(message, error);
    }, 0);
  }

  #end(message, error) {
    const { target, bytes, go, stopWaiting, timer } = message;
    const queue = this.#waiting.get(target);
    if (!queue?.messages.delete(message)) return;
    clearTimeout(timer);
    stopWaiting?.();
    this.#bytes -= bytes;
    if (queue.messages.size === 0) {
      this.#waiting.delete(target);
      if (queue.question > 0) this.#outbound.cancel(queue.question);
    }
    go(error);
  }
}

function tooLate(id, event, timeout) {
  const what = event === '' ? 'was not on the bus' : `did not listen for '${event}'`;
  return new BusybodyError('ERR_TIMEOUT', `'${id}' ${what} within ${timeout} ms`);
}

function tooMuch(bytes) {
  return fromNative('ERR_QUEUE_FULL', `${bytes} bytes wait for nodes that are not there yet, and maxPending allows no more`);
}

module.exports = { Arrivals };
