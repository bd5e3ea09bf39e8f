'use strict';

// What a node is told: calls of the native side become events, replies and notices.

const { AsyncResource } = require('node:async_hooks');
const { noListener } = require('./advice.js');
const { Buffered } = require('./buffered.js');
const { Context } = require('./context.js');
const { RESERVED_EVENTS, fromNative } = require('./errors.js');
const { rethrow, tell } = require('./guard.js');
const {
  DISPATCH, NOTICE, encodingOf, eventSlot, flowOf, fromSlot, isPlain, kindOf, noticeHead, noticeOf,
} = require('./native-abi.js');
const { Presence } = require('./presence.js');
const { createReply, giveContext } = require('./reply.js');
const { now, setImmediate } = require('./time.js');
const { decode } = require('./values.js');

/** Hex digits of the session before an id, in the name of a node that asks. */
const SESSION = 16;
const NO_SESSION = '0'.repeat(SESSION);

class Inbound {
  #emitter;
  #notices;
  #calls = null;
  #outbound = null;
  #functions = null;
  #native = null;
  #handlers = null;
  #contexts = null;
  /** Names by slot, told by NOTICE.NAME before they are used. Slot 0 is the bridge. */
  #names = [''];
  /** Nodes by slot, in one session each: the name with the session before it. */
  #askers = [''];
  #acknowledging = false;
  #refuses = false;
  /** Of the message before: sender, event and kind as numbers, and what is known of messages like that. */
  #lastFlow = -1;
  #lastOrigin = null;
  /** What came while the program had paused. */
  #buffered = new Buffered({
    activate: (active) => this.#native.pause(active),
    deliver: (message) => this.#outside.runInAsyncScope(this.#deliverLate, this, message),
    turned: () => this.#outbound.scheduleFlush(),
  });
  /** The asynchronous context in which messages come: that of no caller, and so not of whoever resumes. */
  #outside = null;
  /** Who is on the bus, while anybody listens for it. */
  presence = new Presence((event, ...args) => tell(this.#emitter, event, ...args));

  /** `notices`: what to do about the connection's own news, by name. */
  constructor(emitter, notices) {
    this.#emitter = emitter;
    this.#notices = notices;
  }

  /** `native` is the native side, `functions` its fast ones. `handlers` and `contexts`: of the node. */
  connect(calls, outbound, functions, native, { handlers, contexts }) {
    this.#calls = calls;
    this.#outbound = outbound;
    this.#functions = functions;
    this.#native = native;
    this.#handlers = handlers;
    this.#contexts = contexts;
  }

  /** From now on nobody is asked anything here; what needs no answer is still delivered. */
  refuseQuestions() {
    this.#refuses = true;
  }

  #refuse(from, event, correlation) {
    this.#outbound.refuse(from, event, correlation, 'ERR_NODE_LEFT', `the node that was asked for '${event}' is leaving the bus`);
  }

  /** Another handler, or none any more. */
  handlersChanged() {
    this.#lastFlow = -1;
  }

  /** Called by the native side when the socket is ready. */
  turn() {
    this.#outside ??= new AsyncResource('BusybodyInbound');
    // What came is acknowledged with the replies, or when this turn of the loop brings none.
    if (this.#functions.turn() === 0 || this.#acknowledging) return;
    this.#acknowledging = true;
    setImmediate(this.#acknowledge);
  }

  #acknowledge = () => {
    this.#acknowledging = false;
    this.#functions.flush();
  };

  /** Called by the native side with each event: see src/binding/dispatch.rs. It must not throw. */
  dispatch = (head, correlation, body) => {
    const kind = kindOf(head);
    if (kind === DISPATCH.NOTICE) this.#notice(noticeOf(head), correlation, body);
    else if (kind === DISPATCH.REPLY) this.#reply(head, correlation, body);
    else if (this.#buffered.active) this.#buffer(head, correlation, body);
    else this.#deliver(head, correlation, body);
  };

  /** Puts what comes from others aside until `resume`. */
  pause() {
    this.#buffered.pause();
  }

  /** Emits what was put aside, in order and in turns of its own, unless a listener pauses again. */
  resume() {
    this.#buffered.resume();
  }

  /** What was put aside is not emitted any more. */
  end() {
    this.#buffered.end();
  }

  /** Keeps a message for later, with what its slots stand for now and the time that its sender waits for a reply. */
  #buffer(head, correlation, body) {
    const timeLeft = correlation === 0 ? -1 : this.#native.timeLeft;
    const until = timeLeft < 0 ? Infinity : now() + timeLeft;
    this.#buffered.add({ origin: this.#originOf(head), until, head, correlation, body });
  }

  /** A message or notice that was buffered. */
  #deliverLate({ origin, until, head, correlation, body }) {
    if (kindOf(head) === DISPATCH.NOTICE) return this.#noticeLate(noticeOf(head), correlation, body);
    this.#functions.taken();
    // The handler may be another by now.
    origin.serves = this.#handlers.serves(origin.event);
    this.#deliverFrom(origin, head, correlation, body, until);
  }

  #deliver(head, correlation, body) {
    this.#deliverFrom(this.#originOf(head), head, correlation, body, null);
  }

  /** What is known of messages like that one. Most are like the one before: from the same node, of the same event. */
  #originOf(head) {
    const flow = flowOf(head);
    if (flow !== this.#lastFlow) {
      this.#lastOrigin = this.#newOrigin(head);
      this.#lastFlow = flow;
    }
    return this.#lastOrigin;
  }

  /** Who sends what, by the names that the slots of `head` stand for now: { from, event, broadcast, asker, serves, reply }. */
  #newOrigin(head) {
    const slot = fromSlot(head);
    const [from, event, broadcast] = [this.#names[slot], this.#names[eventSlot(head)], kindOf(head) === DISPATCH.BROADCAST];
    // A Reply that does nothing serves all messages without one.
    const reply = slot === 0 || RESERVED_EVENTS.has(event) ? null : Object.freeze(createReply(from, event, broadcast, null));
    return { from, event, broadcast, asker: this.#askers[slot], serves: this.#handlers.serves(event), reply };
  }

  /** `until`: when the sender of a buffered message stops waiting for a reply, as `now` says it; null: it comes just now. */
  #deliverFrom(origin, head, correlation, body, until) {
    if (origin.reply === null) return this.#withoutListeners(origin, head, correlation, body);
    const { from, event, broadcast } = origin;
    if (correlation !== 0 && this.#refuses) return this.#refuse(from, event, correlation);
    const reply = correlation === 0 ? origin.reply : this.#createReply(origin, correlation, encodingOf(head), until);
    if (this.#deliverTo(head, event, body, reply, correlation) || broadcast) return;
    this.#outbound.refuse(from, event, correlation, 'ERR_NO_LISTENER', noListener(this.#emitter, event));
  }

  /** What is not for listeners: the bridge's own events, and events that nobody may send. */
  #withoutListeners({ from, event, broadcast }, head, correlation, body) {
    if (fromSlot(head) === 0) this.#own(event, encodingOf(head), body);
    else if (!broadcast) this.#outbound.refuse(from, event, correlation, 'ERR_RESERVED_EVENT', `'${event}' is not for others to emit`);
  }

  /** Whether anybody listened. */
  #deliverTo(head, event, body, reply, correlation) {
    try {
      if (isPlain(head)) return this.#emitter.emit(event, body, reply);
      const args = this.#decode(head, event, body, reply, correlation);
      return args === null || this.#emit(event, args, reply);
    } catch (error) {
      rethrow(error);
      return true;
    }
  }

  /** The arguments, or null when they cannot be read and the sender was told. */
  #decode(head, event, body, reply, correlation) {
    try {
      return decode(encodingOf(head), body);
    } catch (error) {
      if (!reply.broadcast) this.#outbound.refuse(reply.from, event, correlation, 'ERR_PROTOCOL', error.message);
      return null;
    }
  }

  #emit(event, args, reply) {
    switch (args.length) {
      case 0: return this.#emitter.emit(event, reply);
      case 1: return this.#emitter.emit(event, args[0], reply);
      case 2: return this.#emitter.emit(event, args[0], args[1], reply);
      default: return this.#emitter.emit(event, ...args, reply);
    }
  }

  #createReply({ from, event, broadcast, asker, serves }, correlation, encoding, until) {
    if (serves) return this.#createServed(from, event, asker, correlation, encoding, until);
    return createReply(from, event, broadcast, (values) => this.#outbound.reply(from, correlation, values, encoding));
  }

  /** A Reply to a question whose handler may ask whether it is still waited for. */
  #createServed(from, event, asker, correlation, encoding, until) {
    const context = new Context(from, event, false, until === null ? this.#native.timeLeft : remaining(until));
    this.#contexts.open(asker, correlation, context);
    const reply = createReply(from, event, false, (values) => {
      this.#outbound.reply(from, correlation, values, encoding);
      this.#contexts.close(asker, correlation);
    });
    return giveContext(reply, context);
  }

  /** The bridge's own events; a node cannot make them. */
  #own(event, encoding, body) {
    try {
      this.presence.handle(event, decode(encoding, body));
    } catch (error) {
      rethrow(error);
    }
  }

  #reply(head, correlation, body) {
    if (isPlain(head)) return this.#calls.settle(correlation, null, [body]);
    let args;
    try {
      args = decode(encodingOf(head), body);
    } catch (error) {
      return this.#calls.settle(correlation, error, null);
    }
    this.#calls.settle(correlation, null, args);
  }

  #notice(notice, correlation, body) {
    try {
      this.#handleNotice(notice, correlation, body);
    } catch (error) {
      rethrow(error);
    }
  }

  #handleNotice(notice, correlation, body) {
    switch (notice) {
      case NOTICE.NAME: return this.#name(correlation, body, undefined);
      case NOTICE.PEER: return this.#name(correlation, body.slice(SESSION), body);
      case NOTICE.CANCELLED:
      case NOTICE.DEPARTED:
        this.#noticeAgainLate(notice, correlation, body);
        return this.#askerGone(notice, correlation, body);
      case NOTICE.FAILED:
        this.#calls.settle(correlation, errorOf(body), null);
        break;
      case NOTICE.UNDELIVERABLE: {
        const [node, event, code] = JSON.parse(body);
        this.#notices.undeliverable({ target: node === '' ? event : `${node}:${event}`, event, code });
        break;
      }
      case NOTICE.ONLINE:
        this.#noticeAgainLate(notice, correlation, body);
        return this.#welcomed(...JSON.parse(body));
      case NOTICE.REJECTED: return this.#notices.rejected(errorOf(body));
      case NOTICE.LOST: return this.#notices.lost(errorOf(body));
      case NOTICE.DRAIN: return this.#notices.drain();
      case NOTICE.LEFT: return this.#notices.left();
      case NOTICE.ENDED: return this.#notices.ended(lastWords(correlation, body));
    }
  }

  /** Of a question that is put aside, its end is handled once more when the question has been delivered. */
  #noticeAgainLate(notice, correlation, body) {
    if (this.#buffered.active) this.#buffered.add({ head: noticeHead(notice), correlation, body });
  }

  #noticeLate(notice, correlation, body) {
    try {
      if (notice === NOTICE.ONLINE) this.#askersLost(JSON.parse(body)[1] === 'true');
      else this.#askerGone(notice, correlation, body);
    } catch (error) {
      rethrow(error);
    }
  }

  #welcomed(pid, kept, near) {
    this.presence.near = near === 'true';
    this.#askersLost(kept === 'true');
    this.#notices.online();
  }

  #name(slot, name, asker) {
    this.#names[slot] = name;
    this.#askers[slot] = asker;
    this.#lastFlow = -1;
  }

  #askerGone(notice, correlation, body) {
    if (notice === NOTICE.CANCELLED) {
      const [asker, code] = JSON.parse(body);
      return this.#contexts.cancel(asker, correlation, code);
    }
    const any = body.startsWith(NO_SESSION);
    this.#contexts.departed((asker, id) => asker === body || (any && id === body.slice(SESSION)));
  }

  /** There is another link: who asks may have gone unseen. `kept`: they were not told that this node had gone. */
  #askersLost(kept) {
    if (!kept) this.#contexts.departed(() => true);
    for (const asker of this.#contexts.askers) this.#native.watchAsker(asker);
  }
}

/** Milliseconds until then, as the native side says them; -1: for ever. */
function remaining(until) {
  return until === Infinity ? -1 : Math.max(until - now(), 0);
}

/** The values of the bridge's close(). The bus is over, whatever can be read of them. */
function lastWords(encoding, body) {
  try {
    return decode(encoding, body);
  } catch {
    return [];
  }
}

function errorOf(json) {
  const [code, text] = JSON.parse(json);
  return fromNative(code, text);
}

module.exports = { Inbound };
