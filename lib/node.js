'use strict';

// A node of the bus: an EventEmitter whose events may come from other processes.

const { EventEmitter } = require('node:events');
const native = require('../native.cjs');
const { addressOrDefault } = require('./address.js');
const { warnOfUndeliverable } = require('./advice.js');
const { Arrivals } = require('./arrivals.js');
const { Calls } = require('./calls.js');
const { Connection } = require('./connection.js');
const { Contexts } = require('./context.js');
const { driver, lane } = require('./environment.js');
const { BusybodyError } = require('./errors.js');
const { addExitHook, removeExitHook } = require('./exit-hooks.js');
const { HELD, WeakHandle, watch } = require('./finalizer.js');
const { Flow } = require('./flow.js');
const { tell, warn } = require('./guard.js');
const { HandlerErrors } = require('./handler-errors.js');
const { Handlers } = require('./handlers.js');
const { Inbound } = require('./inbound.js');
const { custom, summary } = require('./inspect.js');
const { Interests } = require('./interests.js');
const { KeepAlive } = require('./keep-alive.js');
const { Leaving } = require('./leaving.js');
const { checkEvent, parseCallOptions, parseLeave, parseNodeOptions, parseWait } = require('./options.js');
const { Outbound } = require('./outbound.js');
const { Ready, announce } = require('./ready.js');

class Node extends EventEmitter {
  #options;
  #weakHandle;
  #native;
  #flush;
  #calls;
  #outbound;
  #arrivals;
  #connection;
  #inbound;
  #keepAlive = new KeepAlive();
  #ready = new Ready();
  // EventEmitter's constructor may not have been followed by ours yet.
  #interests = new Interests(
    (event, listens) => this.#native?.listen(event, listens),
    () => this.#inbound?.presence.forget(),
  );
  #handlers = new Handlers('event', new HandlerErrors(this).told);
  #contexts = new Contexts();
  #flow = new Flow(this, (paused) => (paused ? this.#inbound.pause() : this.#inbound.resume()));
  #state = 'connecting'; // then 'online' and 'offline' in turn, at last 'leaving' and 'closed'
  #leaving;
  /** Whether the program has given up what was not delivered. */
  #forced = false;
  #exitHook;
  #resources;

  constructor(...args) {
    super();
    const options = parseNodeOptions(args);
    this.#options = { ...options, url: addressOrDefault(options.url) };
    const inbound = new Inbound(this, {
      online: () => this.#connection.welcomed(),
      rejected: (error) => this.#connection.rejected(error),
      lost: (error) => this.#connection.lost(error),
      drain: () => this.#drained(),
      left: () => this.#left(),
      ended: (values) => this.#busClosed(values),
      undeliverable: (detail) => this.#lost(detail),
    });
    this.#inbound = inbound;
    // All that the native side has of this node, so that a forgotten one can be collected.
    this.#weakHandle = new WeakHandle(this, inbound);
    const { id, maxMessage, maxPending } = options;
    this.#native = new native.NativeNode(
      { id, maxMessage, maxPending, taskDriver: driver() === 'task', lane: lane(), replaces: options.onTaken === 'replace' },
      this.#weakHandle.dispatch,
    );
    const functions = this.#native.functions();
    this.#flush = functions.flush;
    this.#calls = new Calls(this.#native, this.#weakHandle);
    this.#outbound = new Outbound(this.#native, functions, this.#calls, options, this.#undeliverable);
    this.#arrivals = new Arrivals(this.#outbound, options.maxPending);
    const served = { handlers: this.#handlers, contexts: this.#contexts };
    inbound.connect(this.#calls, this.#outbound, functions, this.#native, served);
    this.#leaving = new Leaving(this.#handlers.work, {
      drain: () => this.#beginToLeave(),
      goodbye: () => this.#sayGoodbye(),
      insist: () => this.#insistOnLeaving(),
      giveUp: () => this.#left(),
    });
    this.#connection = new Connection(this.#native, this.#weakHandle.turn, this.#options, {
      online: (first) => this.#wentOnline(first),
      lost: (error) => this.#wentOffline(error),
      retrying: (error) => this.#retries(error),
      failed: (error) => this.#gaveUp(error),
      host: () => this.#host(),
    });
    this.#exitHook = this.#native.flushBlocking.bind(this.#native);
    this.#keepAlive.start();
    addExitHook(this.#exitHook);
    this.#resources = resourcesOf(options.id, this.#native, functions, this.#weakHandle, this.#calls, this.#keepAlive, this.#exitHook);
    watch(this, this.#resources);
    this.#connection.start();
  }

  get id() {
    return this.#options.id;
  }

  get connected() {
    return this.#connection.online && this.#state !== 'closed';
  }

  get hosting() {
    return this.#connection.hosting;
  }

  get ready() {
    return this.#ready.promise;
  }

  get pending() {
    return this.#native.pending;
  }

  get needDrain() {
    return this.#outbound.needDrain;
  }

  /** Writes what was sent in this tick, before a long stretch of work that lets no tick end. */
  flush() {
    this.#flush();
    return this;
  }

  publish(target, ...args) {
    this.#outbound.publish(target, args, takeCallback(args), this.#options.replyTimeout);
    return this;
  }

  request(target, ...args) {
    return this.#outbound.request(target, args, this.#options.replyTimeout);
  }

  broadcast(event, ...args) {
    this.#outbound.broadcast(event, args);
    return this;
  }

  rpc(method, ...args) {
    this.#outbound.rpc(method, args, takeCallback(args), this.#options.replyTimeout);
    return this;
  }

  call(method, ...args) {
    return this.#outbound.call(method, args, this.#options.replyTimeout);
  }

  handle(event, handler) {
    return this.#answer(event, handler, false);
  }

  serve(event, handler) {
    return this.#answer(event, handler, true);
  }

  #answer(event, handler, serves) {
    checkEvent(event);
    this.#handlers.add(event, handler, serves, (listener) => this.on(event, listener));
    this.#inbound.handlersChanged();
    return this;
  }

  with(options) {
    const { timeout = this.#options.replyTimeout, signal, wait } = parseCallOptions(options);
    const outbound = this.#outbound;
    const arrivals = wait > 0 ? this.#arrivals : null;
    const how = { wait, timeout, signal };
    const scoped = {
      request: (target, ...args) => (
        arrivals === null ? outbound.request(target, args, timeout, signal) : arrivals.request(target, args, how)
      ),
      call: (method, ...args) => outbound.call(method, args, timeout, signal),
      publish: (target, ...args) => {
        const callback = takeCallback(args);
        if (arrivals === null) outbound.publish(target, args, callback, timeout, signal);
        else arrivals.publish(target, args, callback, how);
        return scoped;
      },
      rpc: (method, ...args) => {
        outbound.rpc(method, args, takeCallback(args), timeout, signal);
        return scoped;
      },
    };
    return scoped;
  }

  waitFor(id, options) {
    const { event, timeout = this.#options.replyTimeout, signal } = parseWait(id, options);
    return this.#arrivals.waitFor(id, { event, timeout, signal });
  }

  nodes() {
    return this.#outbound.roster(this.#options.replyTimeout)
      .then((infos) => infos.map((info) => this.#inbound.presence.shown(info)));
  }

  leave(how) {
    const { force, timeout } = parseLeave(how);
    if (this.#state === 'closed') return Promise.resolve();
    return force ? this.#forceLeave() : this.#leaving.start(timeout);
  }

  /**
   * Nothing that others send is emitted until resume(), and nothing is acknowledged before it is emitted: so its senders
   * wait, or learn that it never was. events.on(node, event, { highWaterMark, lowWaterMark }) calls both.
   */
  pause() {
    this.#flow.pause();
    return this;
  }

  resume() {
    this.#flow.resume();
    return this;
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
    return this.leave();
  }

  [custom](depth, options) {
    if (!(#options in this)) return this;
    const { id, url: address } = this.#options;
    const { hosting, pending } = this;
    return summary(this, { id, state: this.#state, address, hosting, pending }, depth, options);
  }

  // ---- listeners: the bridge is told which events concern this node ---------------------------------------------

  // Whatever listeners of 'newListener' and 'removeListener' throw, the bridge is told what came of it.

  on(event, listener) {
    this.#interests.check(event);
    try {
      return super.on(event, this.#flow.track(event, listener));
    } finally {
      this.#updateInterest(event);
    }
  }

  addListener(event, listener) {
    return this.on(event, listener);
  }

  prependListener(event, listener) {
    this.#interests.check(event);
    try {
      return super.prependListener(event, listener);
    } finally {
      this.#updateInterest(event);
    }
  }

  // once() and prependOnceListener() of EventEmitter end in on() and prependListener().

  off(event, listener) {
    try {
      return super.off(event, listener);
    } finally {
      this.#flow.listenersRemoved();
      this.#updateInterest(event);
    }
  }

  removeListener(event, listener) {
    return this.off(event, listener);
  }

  removeAllListeners(...events) {
    try {
      return super.removeAllListeners(...events);
    } finally {
      this.#flow.listenersRemoved();
      if (events.length > 0) this.#updateInterest(events[0]);
      else for (const event of this.#interests.list()) this.#updateInterest(event);
      this.#weakHandle.set(HELD.LISTENED, this.eventNames().length > 0);
    }
  }

  #updateInterest(event) {
    const listens = this.listenerCount(event) > 0;
    this.#weakHandle?.set(HELD.LISTENED, listens || this.eventNames().length > 0);
    if (this.#handlers?.prune(this, event)) this.#inbound.handlersChanged();
    if (this.#interests.update(event, listens)) this.#outbound?.scheduleFlush();
  }

  // ---- the connection -------------------------------------------------------------------------------------------

  #wentOnline(first) {
    if (this.#state !== 'leaving') {
      this.#state = 'online';
      this.#weakHandle.set(HELD.CONNECTING, false);
    }
    this.#outbound.online();
    if (this.#state === 'leaving') this.#flush();
    if (this.#state === 'leaving' && !first) return;
    if (first) announce(this, this.#ready, this.#options.onConnect, null);
    tell(this, first ? 'connect' : 'reconnect');
  }

  #wentOffline(error) {
    if (this.#state === 'leaving') {
      // What was sent before still has to arrive, over another link.
      if (this.pending === 0) this.#left();
      return;
    }
    this.#state = 'offline';
    this.#weakHandle.set(HELD.CONNECTING, true);
    tell(this, 'disconnect', error);
  }

  #retries(error) {
    if (this.#state !== 'leaving') tell(this, 'error.reconnect', error);
  }

  /** There will be no link, or none again. */
  #gaveUp(error) {
    const first = !this.#connection.everOnline;
    const leaving = this.#leaving.begun;
    // Whoever has told it to leave, or awaited a call, is told: nobody is left who has to be told by force.
    const told = this.#close(error, true) > 0 || leaving;
    if (!first) return announce(this, new Ready(), null, error, told);
    if (!leaving) tell(this, 'error.reconnect', error);
    announce(this, this.#ready, this.#options.onConnect, error, told);
  }

  #host() {
    // Late, because a bridge is only loaded by those who host one.
    const { hostBridge } = require('./bridge.js');
    const { url, maxMessage, maxPending, stallTimeout } = this.#options;
    const hosted = hostBridge({ url, maxMessage, maxPending, stallTimeout });
    hosted.bridge.on('error', (error) => this.#hostTrouble(error));
    return hosted;
  }

  #hostTrouble(error) {
    if (this.listenerCount('error') > 0) tell(this, 'error', error);
    else warn(error);
  }

  // ---- the end --------------------------------------------------------------------------------------------------

  #left() {
    this.#close(closedError('the node has left'), true);
  }

  /** Another process has closed the bus, with these values. */
  #busClosed(values) {
    this.#close(closedError('the bus was closed'), true);
    tell(this, 'close', ...values);
  }

  #beginToLeave() {
    this.#weakHandle.set(HELD.CONNECTING, true);
    this.#inbound.refuseQuestions();
  }

  /** Begins to leave the bus. Returns whether there is something to wait for. */
  #sayGoodbye() {
    this.#state = 'leaving';
    const online = this.#native.leave();
    // Without a link, what was sent before waits for the next, for a while. A bridge that was greeted may have told
    // of this node: then it is to hear the goodbye too.
    if (online || this.#native.greeting || this.pending > 0) return true;
    this.#left();
    return false;
  }

  /** Leaves without what was not delivered. Returns whether there is something to wait for. */
  #insistOnLeaving() {
    const { connected } = this;
    if (connected) this.#native.insistOnLeaving();
    else this.#left();
    return connected;
  }

  #forceLeave() {
    this.#forced = true;
    this.#close(closedError('the node has left'), false);
    tell(this, 'leave.force');
    return Promise.resolve();
  }

  /** The end, whatever led to it. Returns how many calls it ended. */
  #close(error, flush) {
    if (this.#state === 'closed') return 0;
    this.#state = 'closed';
    this.#leaving.stop();
    if (flush) this.#flush();
    const handedOver = this.#connection.end();
    this.#ready.settle(error);
    handedOver.then(() => {
      this.#keepAlive.stop();
      this.#leaving.end();
    });
    const endCalls = this.#calls.takeAll();
    this.#inbound.end();
    this.#outbound.needDrain = false;
    // From here on the program hears of it, and may do whatever it likes.
    this.#contexts.departed(() => true, 'ERR_CLOSED');
    this.#resources.release(error.message);
    return endCalls(error);
  }

  #drained() {
    this.#outbound.needDrain = false;
    tell(this, 'drain');
  }

  /** A message reached nobody, and nobody waits for an answer to it. */
  #lost(detail) {
    if (!tell(this, 'undeliverable', detail) && !this.#forced) warnOfUndeliverable(this.id, detail);
  }

  #undeliverable = (target, event, { code }) => {
    this.#lost({ target, event, code });
  };
}

/** What is left of a node that was forgotten; it must not lead to the node. `release(text)` ends any node. */
function resourcesOf(id, nativeNode, functions, weakHandle, calls, keepAlive, exitHook) {
  const release = (text) => {
    nativeNode.close(text);
    // Until then the weak handle takes what the native side has to say.
    weakHandle.end();
    // The calls' timer would keep what is left of the node until the last of the timeouts is over.
    calls.takeAll();
    removeExitHook(exitHook);
  };
  return { id, native: nativeNode, functions, weakHandle, keepAlive, release };
}

function closedError(reason) {
  return new BusybodyError('ERR_CLOSED', reason);
}

/** The callback at the end of the arguments, taken off. */
function takeCallback(args) {
  return typeof args[args.length - 1] === 'function' ? args.pop() : undefined;
}

module.exports = { Node };
