'use strict';

// The bridge: hosts the bus in this process. Routing happens on a thread of its own; here are only its face and
// the methods that other processes call.

const { EventEmitter } = require('node:events');
const native = require('../native.cjs');
const { addressOrDefault } = require('./address.js');
const { Context, Contexts } = require('./context.js');
const { BusybodyError, fromNative, invalidArg } = require('./errors.js');
const { addExitHook, removeExitHook } = require('./exit-hooks.js');
const { guarded, tell, warn } = require('./guard.js');
const { HandlerErrors } = require('./handler-errors.js');
const { Handlers } = require('./handlers.js');
const { custom, summary } = require('./inspect.js');
const { KeepAlive } = require('./keep-alive.js');
const { ENCODING } = require('./native-abi.js');
const { checkMethod, parseBridgeOptions } = require('./options.js');
const { Ready, announce } = require('./ready.js');
const { createReply, giveContext } = require('./reply.js');
const { clearTimeout, nextTick, setTimeout } = require('./time.js');
const { FORMATS, decode, packClone } = require('./values.js');

/** Where a caller's parts say which of its questions it is; 0: it waits for no answer. */
const CORRELATION = 2;
/** Milliseconds that close() gives handlers to finish. */
const PATIENCE = 5_000;
/** The values of close() travel in one frame. */
const MAX_CLOSE = 64 * 1024;

/**
 * For a node that finds no bridge: one in its own process, which does not keep the process alive. Throws at once why it
 * cannot listen. `handOver()` leaves the address to whoever takes it next, without a 'close' on the bus, and resolves when
 * that can. Made within the class, for no program is to see what it uses.
 */
let hostBridge;

class Bridge extends EventEmitter {
  #native = null;
  #keepAlive = new KeepAlive();
  #ready = new Ready();
  #handlers = new Handlers('method', new HandlerErrors(this).told);
  #contexts = new Contexts();
  #closing = null;
  #ended = null;
  #failure = null;
  #listening = false;
  #exitHook = () => this.#native.unlink();

  constructor(...args) {
    super();
    const parsed = parseBridgeOptions(args);
    const options = { ...parsed, url: addressOrDefault(parsed.url) };
    try {
      this.#listen(options);
    } catch (error) {
      this.#failure = error.code === undefined ? error : fromNative(error.code, error.message);
      nextTick(announce, this, this.#ready, options.callback, this.#failure);
      return;
    }
    nextTick(() => {
      this.#listening = true;
      announce(this, this.#ready, options.callback, null);
      if (this.#closing === null) this.emit('listening');
    });
  }

  get url() {
    return this.#listening && this.#closing === null ? this.#native.url : null;
  }

  get ready() {
    return this.#ready.promise;
  }

  nodes() {
    return this.#native === null ? [] : this.#native.nodes().map((json) => JSON.parse(json));
  }

  /** Counters since the start: delivered, undeliverable, staleReplies, rejected, unauthorized, cut. */
  stats() {
    return Object.fromEntries(this.#native?.counters() ?? []);
  }

  handle(method, handler) {
    checkMethod(method);
    this.#handlers.add(method, handler, false, () => {});
    return this;
  }

  serve(method, handler) {
    checkMethod(method);
    this.#handlers.add(method, handler, true, () => {});
    return this;
  }

  close(data = []) {
    if (!Array.isArray(data)) throw invalidArg('data', 'an array of values', data, 'argument');
    if (this.#native === null) return Promise.resolve();
    if (this.#closing !== null) return this.#handlers.work.awaited(this.#closing);
    const { encoding, body } = encode(data, ENCODING.JSON);
    // A toJSON() among the values may have closed it.
    if (this.#closing !== null) return this.#handlers.work.awaited(this.#closing);
    if (Buffer.byteLength(body) > MAX_CLOSE) {
      throw new BusybodyError('ERR_TOO_LARGE', `the values of close() exceed ${MAX_CLOSE} bytes`);
    }
    return this.#handlers.work.awaited(this.#end(() => this.#drained(() => this.#native.close(encoding, body))));
  }

  address() {
    return this.url === null ? null : addressOf(this.url);
  }

  ref() {
    this.#keepAlive.ref();
    return this;
  }

  unref() {
    this.#keepAlive.unref();
    return this;
  }

  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.close();
  }

  [custom](depth, options) {
    if (!(#native in this)) return this;
    const over = this.#failure !== null || this.#ended !== null;
    const state = over ? 'closed' : this.#listening ? 'listening' : 'starting';
    const nodes = this.nodes().map(({ id }) => id);
    return summary(this, { state, address: this.url, nodes, methods: this.#handlers.names }, depth, options);
  }

  #listen({ url, mode, maxMessage, maxPending, stallTimeout, resumeTimeout }) {
    const setup = { url, mode, maxMessage, maxPending, stallTimeout, resumeTimeout };
    this.#native = new native.NativeBridge(setup, () => this.#drain());
    this.#keepAlive.start();
    addExitHook(this.#exitHook);
  }

  #end(order) {
    this.#closing = new Promise((resolve) => {
      this.#ended = resolve;
    });
    order();
    return this.#closing;
  }

  /** Calls `then` when the handlers that are at work have finished, or had the time for it. */
  #drained(then) {
    const { work } = this.#handlers;
    const timer = setTimeout(() => {
      work.whenIdle(null);
      then();
    }, PATIENCE);
    work.whenIdle(() => {
      clearTimeout(timer);
      then();
    });
  }

  #handOver() {
    if (this.#native === null) return Promise.resolve();
    return this.#closing ?? this.#end(() => this.#native.handOver());
  }

  #drain() {
    for (let event = this.#native.next(); event !== null; event = this.#native.next()) {
      guarded(this.#handleEvent, event);
    }
  }

  #handleEvent = (event) => {
    switch (event.kind) {
      case 'call': return this.#call(event);
      case 'cancel': return this.#contexts.cancel(askerOf(event.caller), event.caller[CORRELATION], event.from);
      case 'join': return this.emit('node:join', JSON.parse(event.text));
      case 'leave': return this.#left(JSON.parse(event.text), event.from);
      case 'trouble': return this.#trouble(fromNative(event.from, event.text));
      case 'ended': return this.#over();
    }
  };

  #left(info, reason) {
    const code = this.#closing === null ? 'ERR_NODE_LEFT' : 'ERR_CLOSED';
    this.#contexts.departed((asker, from) => from === info.id, code);
    this.emit('node:leave', info, reason);
  }

  /** What does not end the bridge must not end its process either, if nobody listens. */
  #trouble(error) {
    if (this.listenerCount('error') > 0) tell(this, 'error', error);
    else warn(error);
  }

  #over() {
    this.#keepAlive.stop();
    removeExitHook(this.#exitHook);
    this.#contexts.departed(() => true, 'ERR_CLOSED');
    this.#ended?.();
    this.emit('close');
  }

  #call({ caller, from, text: method, encoding, body, timeLeft }) {
    const send = (values) => {
      const answer = encode(values, encoding);
      this.#native.answer(caller, answer.encoding, answer.body);
      this.#contexts.close(askerOf(caller), caller[CORRELATION]);
    };
    let reply = createReply(from, method, false, caller[CORRELATION] === 0 ? null : send);
    let args;
    try {
      args = decode(encoding, body);
    } catch (error) {
      return reply(error);
    }
    if (this.#closing !== null) return this.#native.refuse(caller, method, 'ERR_NODE_LEFT', 'the bus is being closed');
    if (this.#handlers.serves(method)) reply = this.#serve(caller, from, method, timeLeft ?? -1, reply);
    const handler = this.#handlers.get(method);
    if (handler !== undefined) return handler.call(this, ...args, reply);
    const heard = this.emit('rpc', { id: from, from, data: [method, args], response: reply });
    if (!heard) this.#native.refuse(caller, method, 'ERR_NO_METHOD', `the bridge has no method '${method}'`);
  }

  /** The Reply to a call whose handler may ask whether it is still waited for. */
  #serve(caller, from, method, timeLeft, reply) {
    const waits = caller[2] !== 0;
    const context = new Context(from, method, false, waits ? timeLeft : null);
    if (waits) this.#contexts.open(askerOf(caller), caller[2], context);
    return giveContext(reply, context);
  }

  static {
    hostBridge = (options) => {
      // The callback takes the failure, which otherwise would be an 'error' that nobody listens for.
      const bridge = new Bridge(options, () => {});
      if (bridge.#failure !== null) throw bridge.#failure;
      return { bridge: bridge.unref(), handOver: () => bridge.#handOver() };
    };
  }
}

/** Whoever calls, from one joining to its leaving. */
function askerOf([place, incarnation]) {
  return `${place}:${incarnation}`;
}

/** Values as a body; `like` is the encoding of what they answer, for a peer that sent a clone can read one. */
function encode(values, like) {
  if (like > ENCODING.PACKED) return packClone(values);
  const json = FORMATS.values.write(values);
  if (json !== null) return { encoding: ENCODING.JSON, body: json };
  const { text, parts } = FORMATS.values.pack(values);
  const padded = parts.map((part) => Buffer.concat([part], Math.ceil(part.byteLength / 8) * 8));
  return { encoding: ENCODING.PACKED, body: Buffer.concat([...padded, Buffer.from(text)]) };
}

/** What net.Server#address() would say. */
function addressOf(url) {
  const { protocol, hostname, port, pathname } = new URL(url);
  if (protocol === 'unix:') return { path: decodeURIComponent(hostname + pathname) };
  const address = hostname.replace(/^\[|\]$/g, '');
  return { address, port: Number(port), family: address.includes(':') ? 'IPv6' : 'IPv4' };
}

module.exports = { Bridge, hostBridge };
