'use strict';

// What a node is told: calls of the native side become events, replies and notices.

const { rethrow } = require('./calls.js');
const { RESERVED_EVENTS, fromNative } = require('./errors.js');
const { createReply } = require('./reply.js');
const { decode } = require('./values.js');
const { DISPATCH, NOTICE } = require('./wire.js');

/** The bridge's own events, in its own name only. */
const PRESENCE = new Set(['node:join', 'node:leave']);

class Inbound {
  #emitter;
  #notices;
  #calls = null;
  #messenger = null;
  /** Names by slot, told by NOTICE.NAME before they are used. Slot 0 is the bridge. */
  #names = [''];
  #acknowledging = false;

  /** `notices`: what to do about the connection's own news, by name. */
  constructor(emitter, notices) {
    this.#emitter = emitter;
    this.#notices = notices;
  }

  connect(calls, messenger) {
    this.#calls = calls;
    this.#messenger = messenger;
  }

  /** The function that the native side calls when the socket is ready. */
  turn({ turn, flush }) {
    const acknowledge = () => {
      this.#acknowledging = false;
      flush();
    };
    return () => {
      // What came is acknowledged with the replies, or when this turn of the loop brings none.
      if (turn() === 0 || this.#acknowledging) return;
      this.#acknowledging = true;
      setImmediate(acknowledge);
    };
  }

  /** Called by the native side with each event: see src/binding/dispatch.rs. It must not throw. */
  dispatch = (head, correlation, body) => {
    const kind = head & 3;
    if (kind === DISPATCH.NOTICE) this.#notice(head >> 3, correlation, body);
    else if (kind === DISPATCH.REPLY) this.#reply(correlation, (head >> 3) & 3, body);
    else this.#deliver(kind === DISPATCH.BROADCAST, (head >> 5) & 0xfff, (head >> 17) & 0xfff, correlation, (head >> 3) & 3, body);
  };

  #deliver(broadcast, fromSlot, eventSlot, correlation, encoding, body) {
    const event = this.#names[eventSlot];
    if (fromSlot === 0) return this.#own(event, encoding, body);
    const from = this.#names[fromSlot];
    if (RESERVED_EVENTS.has(event)) {
      if (!broadcast) this.#messenger.refuse(from, event, correlation, 'ERR_RESERVED_EVENT', `'${event}' is not for others to emit`);
      return;
    }
    let args;
    try {
      args = decode(encoding, body);
    } catch (error) {
      if (!broadcast) this.#messenger.refuse(from, event, correlation, 'ERR_PROTOCOL', error.message);
      return;
    }
    const send = correlation === 0 ? null : (values) => this.#messenger.reply(from, correlation, values);
    args.push(createReply(from, event, broadcast, send));
    if (this.#emit(event, args) || broadcast) return;
    this.#messenger.refuse(from, event, correlation, 'ERR_NO_LISTENER', `nothing listens for '${event}' there`);
  }

  /** The bridge's own events; a node cannot make them. */
  #own(event, encoding, body) {
    if (PRESENCE.has(event)) this.#emit(event, decode(encoding, body));
  }

  #emit(event, args) {
    try {
      switch (args.length) {
        case 1: return this.#emitter.emit(event, args[0]);
        case 2: return this.#emitter.emit(event, args[0], args[1]);
        case 3: return this.#emitter.emit(event, args[0], args[1], args[2]);
        default: return this.#emitter.emit(event, ...args);
      }
    } catch (error) {
      rethrow(error);
      return true;
    }
  }

  #reply(correlation, encoding, body) {
    let args;
    try {
      args = decode(encoding, body);
    } catch (error) {
      return this.#calls.settle(correlation, error, null);
    }
    this.#calls.settle(correlation, null, args);
  }

  #notice(notice, correlation, body) {
    try {
      this.#heed(notice, correlation, body);
    } catch (error) {
      rethrow(error);
    }
  }

  #heed(notice, correlation, body) {
    switch (notice) {
      case NOTICE.NAME:
        this.#names[correlation] = body;
        break;
      case NOTICE.FAILED:
        this.#calls.settle(correlation, errorOf(body), null);
        break;
      case NOTICE.UNDELIVERABLE: {
        const [node, event, code] = JSON.parse(body);
        this.#notices.undeliverable({ target: node === '' ? event : `${node}:${event}`, event, code });
        break;
      }
      case NOTICE.ONLINE: return this.#notices.online();
      case NOTICE.REJECTED: return this.#notices.rejected(errorOf(body));
      case NOTICE.LOST: return this.#notices.lost(errorOf(body));
      case NOTICE.DRAIN: return this.#notices.drain();
      case NOTICE.LEFT: return this.#notices.left();
      case NOTICE.ENDED: return this.#notices.ended(decode(correlation, body));
    }
  }
}

function errorOf(json) {
  const [code, text] = JSON.parse(json);
  return fromNative(code, text);
}

module.exports = { Inbound };
