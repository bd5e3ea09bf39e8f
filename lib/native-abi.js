'use strict';

// Numbers that JavaScript and the native side share: src/wire/frame.rs, src/error.rs, src/binding/dispatch.rs.

/** Kinds of messages a node sends. */
const KIND = Object.freeze({ MESSAGE: 0x10, BROADCAST: 0x11, RPC: 0x12, REPLY: 0x13, ROSTER: 0x15, AWAIT: 0x20 });

/** How a body's bytes are to be read; see lib/values.js. */
const ENCODING = Object.freeze({ JSON: 0, PACKED: 1 });

/** What the body given to `send` is: JSON text (0), bytes, or a string that is the only argument. */
const FORM = Object.freeze({ BYTES: 1 << 12, STRING: 2 << 12 });

/** What `send` returns for a string that needs escapes. */
const RETRY = -(2 ** 31);

/** Kinds of calls of a node's dispatch function: the low bits of `head`. */
const DISPATCH = Object.freeze({ MESSAGE: 0, BROADCAST: 1, REPLY: 2, NOTICE: 3 });

/** What a call of kind NOTICE is about. */
const NOTICE = Object.freeze({
  ONLINE: 1, REJECTED: 2, NAME: 3, FAILED: 4, UNDELIVERABLE: 5, DRAIN: 6, LEFT: 7, ENDED: 8, LOST: 9,
  PEER: 10, CANCELLED: 11, DEPARTED: 12,
});

/** The number of ERR_TOO_LARGE among the refusals below. */
const TOO_LARGE = 10;

/** `send` returns minus one of these when it refuses; the text says it with the node's own numbers. */
const REFUSALS = new Map([
  [8, ['ERR_CLOSED', () => 'the node has left the bus, or the bus was closed']],
  [9, ['ERR_QUEUE_FULL', ({ pending }) => `${pending} bytes are waiting already, and maxPending allows no more: wait for 'drain'`]],
  [TOO_LARGE, ['ERR_TOO_LARGE', ({ maxMessage }) => `the message exceeds maxMessage, ${maxMessage} bytes here and at the bridge`]],
]);

module.exports = { DISPATCH, ENCODING, FORM, KIND, NOTICE, REFUSALS, RETRY, TOO_LARGE };
