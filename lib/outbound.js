'use strict';

// What a node says: arguments become a body, a target becomes a number, and one native call sends them.

const { whenAborted } = require('./aborts.js');
const { abortError, fromNative } = require('./errors.js');
const { ENCODING, FORM, KIND, REFUSALS, RETRY, TOO_LARGE, packEncoding } = require('./native-abi.js');
const { checkEvent, checkMethod } = require('./options.js');
const { callbackOf, failed } = require('./outcomes.js');
const { outcomeOf } = require('./reply.js');
const { Targets } = require('./targets.js');
const { nextTick } = require('./time.js');
const { FORMATS, isError, outlineOf, packClone } = require('./values.js');

/** No reply is wanted. */
const NONE = -1;

class Outbound {
  #native;
  #calls;
  #advanced;
  #format;
  #send;
  #sendParts;
  #flush;
  #targets;
  #flushing = false;
  #undeliverable;
  /** Whether to wait for 'drain'; kept here because senders ask after every message. */
  needDrain = false;

  /** `undeliverable(target, event, error)` hears of messages that nobody waits for. */
  constructor(native, functions, calls, { serialization }, undeliverable) {
    this.#native = native;
    this.#targets = new Targets(native);
    this.#calls = calls;
    this.#advanced = serialization === 'advanced';
    this.#format = FORMATS[serialization] ?? FORMATS.values;
    this.#send = functions.send;
    this.#sendParts = functions.sendParts;
    this.#flush = () => {
      this.#flushing = false;
      functions.flush();
    };
    this.#undeliverable = undeliverable;
  }

  /** A directed event; `callback` may be undefined. */
  publish(target, args, callback, timeout, signal) {
    const number = this.#targets.directed(target);
    if (callback === undefined) this.#post(KIND.MESSAGE, number, args, target);
    else this.#ask(KIND.MESSAGE, number, args, callbackOf(callback), timeout, signal);
  }

  request(target, args, timeout, signal) {
    const number = this.#targets.directed(target);
    return this.#promise(KIND.MESSAGE, number, args, timeout, signal);
  }

  broadcast(event, args) {
    checkEvent(event);
    this.#post(KIND.BROADCAST, this.#targets.event(event), args, event);
  }

  rpc(method, args, callback, timeout, signal) {
    checkMethod(method);
    const number = this.#targets.method(method);
    if (callback === undefined) this.#post(KIND.RPC, number, args, method);
    else this.#ask(KIND.RPC, number, args, callbackOf(callback), timeout, signal);
  }

  call(method, args, timeout, signal) {
    checkMethod(method);
    return this.#promise(KIND.RPC, this.#targets.method(method), args, timeout, signal);
  }

  /** Who is on the bus, in as many answers as that takes: none is larger than this node takes. */
  async roster(timeout) {
    const nodes = [];
    for (let after = ''; after !== null;) {
      const [page, more] = await this.#page(after, timeout);
      for (const node of page) nodes.push(node);
      after = more && page.length > 0 ? page[page.length - 1].id : null;
    }
    return nodes;
  }

  /** The nodes behind `after`, and whether more follow. */
  #page(after, timeout) {
    return this.#promise(KIND.ROSTER, this.#targets.method(after), [], timeout, undefined, ([, page, more]) => [page, more]);
  }

  /**
   * A reply to the request `correlation` of node `to`, whose question came in `encoding`. Throws ERR_UNSERIALIZABLE for
   * values that cannot travel; an Error always does.
   */
  reply(to, correlation, args, encoding) {
    const asClone = encoding > ENCODING.PACKED;
    const send = (values) => this.#transmit(KIND.REPLY, this.#targets.node(to, ''), correlation, values, asClone);
    const refused = args.length === 1 && isError(args[0]) ? sendError(send, args[0]) : send(args);
    if (refused >= 0) return;
    // Whoever waits is told why, at once.
    const { code, message } = this.#refusal(refused);
    this.refuse(to, '', correlation, code, message);
  }

  /** Tells `to` that its message reached nobody. */
  refuse(to, event, correlation, code, text) {
    this.#native.refuse(this.#targets.node(to, event), correlation, code, text);
    this.scheduleFlush();
  }

  /** The link is there: what waited for it is on its way. */
  online() {
    this.needDrain = this.#native.needDrain;
  }

  /** One write at the end of the tick for all that is sent in it. */
  scheduleFlush() {
    if (this.#flushing) return;
    this.#flushing = true;
    nextTick(this.#flush);
  }

  /**
   * A call as a promise. What is wrong with the data rejects, for they may come from anywhere; a target and options stand
   * in the source, and have been checked before.
   */
  #promise(kind, number, args, timeout, signal, outcome = outcomeOf) {
    return new Promise((resolve, reject) => {
      const settle = (error, values) => {
        if (error !== null) return resolve(failed(error));
        try {
          resolve(outcome(values));
        } catch (replied) {
          reject(replied);
        }
      };
      this.#ask(kind, number, args, settle, timeout, signal);
    });
  }

  /** The arguments as they are now, to be sent later: { bytes, send(kind, number, extra) }. */
  keep(args) {
    if (this.#advanced) {
      const { encoding, body } = packClone(args);
      return { bytes: body.length, send: (kind, number, extra) => this.#send(kind | packEncoding(encoding) | FORM.BYTES, number, extra, body) };
    }
    const json = this.#format.write(args);
    if (json !== null) return { bytes: json.length, send: (kind, number, extra) => this.#send(kind, number, extra, json) };
    const { text, parts } = this.#format.pack(args);
    // They may be views of what the program goes on using.
    const copies = parts.map((part) => Uint8Array.prototype.slice.call(part));
    const bytes = copies.reduce((sum, { byteLength }) => sum + byteLength, text.length);
    return { bytes, send: (kind, number, extra) => this.#sendParts(kind | packEncoding(ENCODING.PACKED), number, extra, text, copies) };
  }

  /** Sends what was kept, and has `settle(error, args)` called once. */
  askKept(target, kept, settle, timeout, signal) {
    this.#begin(() => kept.send(KIND.MESSAGE, this.#targets.directed(target), timeout), settle, timeout, signal);
  }

  /** Sends what was kept and needs no reply; `error`: it cannot be sent any more. */
  postKept(target, kept, error) {
    if (error !== null) return this.#lose(KIND.MESSAGE, target, error);
    const refused = this.#sent(kept.send(KIND.MESSAGE, this.#targets.directed(target), NONE));
    if (refused < 0) this.#lose(KIND.MESSAGE, target, this.#refusal(refused));
  }

  /**
   * Asks the bridge for a node that listens for an event ('': for none). `settle(error, args)` is called once, with [null,
   * NodeInfo]. Returns the number of the question, for `cancel`.
   */
  awaitNode(id, event, settle, timeout, signal) {
    const body = Buffer.from(id);
    return this.#begin(() => this.#send(KIND.AWAIT | FORM.BYTES, this.#targets.event(event), timeout, body), settle, timeout, signal);
  }

  /** A question is not waited for any more; its `settle` is not called. */
  cancel(number) {
    this.#calls.cancel(number);
    this.scheduleFlush();
  }

  /** As #ask, for what is written already and sent by `send()`. Returns the number of the question; 0: there is none. */
  #begin(send, settle, timeout, signal) {
    if (signal?.aborted) {
      nextTick(settle, abortError(signal.reason), null);
      return 0;
    }
    const number = this.#sent(send());
    if (number <= 0) {
      nextTick(settle, this.#refusal(number), null);
      return 0;
    }
    const stopWaiting = signal === undefined ? null : whenAborted(signal, (reason) => {
      this.cancel(number);
      settle(abortError(reason), null);
    });
    this.#calls.add(number, (error, values) => {
      stopWaiting?.();
      settle(error, values);
    }, timeout);
    return number;
  }

  /** Sends, and has `settle(error, args)` called once: with the reply, or why there is none. */
  #ask(kind, number, args, settle, timeout, signal) {
    if (signal !== undefined) return this.#askUntil(signal, kind, number, args, settle, timeout);
    const correlation = this.#transmit(kind, number, timeout, args);
    if (correlation > 0) this.#calls.add(correlation, settle, timeout);
    else nextTick(settle, this.#refusal(correlation), null);
  }

  #askUntil(signal, kind, number, args, settle, timeout) {
    if (signal.aborted) return nextTick(settle, abortError(signal.reason), null);
    let correlation = 0;
    let aborted = null;
    // Before anything is sent: the signal is the program's own and may throw, and a toJSON() of the arguments may abort it.
    const stopWaiting = whenAborted(signal, (reason) => {
      aborted = abortError(reason);
      if (correlation <= 0) return;
      this.#calls.cancel(correlation);
      this.scheduleFlush();
      settle(aborted, null);
    });
    try {
      correlation = this.#transmit(kind, number, timeout, args);
    } catch (error) {
      stopWaiting();
      throw error;
    }
    if (aborted !== null && correlation > 0) this.#native.cancel(correlation);
    if (aborted !== null) return nextTick(settle, aborted, null);
    const done = (error, values) => {
      stopWaiting();
      settle(error, values);
    };
    if (correlation > 0) this.#calls.add(correlation, done, timeout);
    else nextTick(done, this.#refusal(correlation), null);
  }

  #post(kind, number, args, target) {
    const refused = this.#transmit(kind, number, NONE, args);
    if (refused < 0) nextTick(() => this.#lose(kind, target, this.#refusal(refused)));
  }

  #lose(kind, target, error) {
    const event = kind === KIND.MESSAGE ? target.slice(target.indexOf(':') + 1) : target;
    this.#undeliverable(target, event, error);
  }

  /** Returns the correlation of a request, 0 for anything else that was sent, or minus what refused it. */
  #transmit(kind, number, extra, args, asClone = this.#advanced) {
    return this.#sent(this.#encodeAndSend(kind, number, extra, args, asClone));
  }

  #sent(result) {
    if (!this.#flushing) this.scheduleFlush();
    if (result < 0) return result;
    this.needDrain = (result & 1) === 1;
    return result >> 1;
  }

  #encodeAndSend(kind, number, extra, args, asClone) {
    if (asClone) {
      const { encoding, body } = packClone(args);
      return this.#send(kind | packEncoding(encoding) | FORM.BYTES, number, extra, body);
    }
    if (args.length === 1 && typeof args[0] === 'string') {
      const result = this.#send(kind | FORM.STRING, number, extra, args[0]);
      if (result !== RETRY) return result;
    }
    const json = this.#format.write(args);
    if (json !== null) return this.#send(kind, number, extra, json);
    const { text, parts } = this.#format.pack(args);
    return this.#sendParts(kind | packEncoding(ENCODING.PACKED), number, extra, text, parts);
  }

  #refusal(result) {
    const [code, text] = REFUSALS.get(-result) ?? ['ERR_INTERNAL', () => 'the native side refused'];
    return fromNative(code, text(this.#native));
  }
}

/** Sends a reply that is an Error; only the outline of one that is too much for a message, or for a structured clone. */
function sendError(send, error) {
  try {
    const sent = send([error]);
    if (sent !== -TOO_LARGE) return sent;
  } catch {
    // Whatever it is, whoever waits hears of it.
  }
  return send([outlineOf(error)]);
}

module.exports = { Outbound };
