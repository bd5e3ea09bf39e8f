'use strict';

// Numbers that JavaScript and the native side share: of src/wire/frame.rs, src/error.rs, src/binding/abi.rs and
// src/binding/dispatch.rs.

/** Kinds of messages a node sends. */
const KIND = Object.freeze({ MESSAGE: 0x10, BROADCAST: 0x11, RPC: 0x12, REPLY: 0x13, ROSTER: 0x15, AWAIT: 0x20 });

/** How a body's bytes are to be read; see lib/values.js. */
const ENCODING = Object.freeze({ JSON: 0, PACKED: 1 });

/** What the body given to `send` is, if not JSON text: bytes, or a string that is the only argument. */
const FORM = Object.freeze({ BYTES: 1 << 12, STRING: 2 << 12 });

/** What `send` returns for a string that needs escapes. */
const RETRY = -(2 ** 31);

/** The first argument of `send` and `sendParts`, above the kind: the encoding, where it is not JSON. */
const packEncoding = (encoding) => encoding << 8;

/** Kinds of calls of a node's dispatch function; `head`, its first argument, packs the kind with what follows. */
const DISPATCH = Object.freeze({ MESSAGE: 0, BROADCAST: 1, REPLY: 2, NOTICE: 3 });

/** The kind in `head`: one of DISPATCH. */
const kindOf = (head) => head & 3;

/** The encoding in `head` of a message or reply: one of ENCODING, or a structured clone. */
const encodingOf = (head) => (head >> 3) & 3;

/** In `head` of a message: the slot of its sender's name. */
const fromSlot = (head) => (head >> 5) & 0xfff;

/** In `head` of a message: the slot of its event's name. */
const eventSlot = (head) => (head >> 17) & 0xfff;

/** Whether the body is the only argument itself, a string. */
const isPlain = (head) => (head & 1 << 29) !== 0;

/** What messages of one sender, event and kind have in common in `head`. */
const flowOf = (head) => head & 0x1fff_ffe7;

/** What a call of kind NOTICE is about. */
const NOTICE = Object.freeze({
  ONLINE: 1, REJECTED: 2, NAME: 3, FAILED: 4, UNDELIVERABLE: 5, DRAIN: 6, LEFT: 7, ENDED: 8, LOST: 9,
  PEER: 10, CANCELLED: 11, DEPARTED: 12,
});

/** The number of a notice in `head`: one of NOTICE. */
const noticeOf = (head) => head >> 3;

/** `head` of a notice. */
const noticeHead = (notice) => DISPATCH.NOTICE | notice << 3;

/** The number of ERR_TOO_LARGE among the refusals below. */
const TOO_LARGE = 10;

/** `send` returns minus one of these when it refuses; the text says it with the node's own numbers. */
const REFUSALS = new Map([
  [8, ['ERR_CLOSED', () => 'the node has left the bus, or the bus was closed']],
  [9, ['ERR_QUEUE_FULL', ({ pending }) => `${pending} bytes are waiting already, and maxPending allows no more: wait for 'drain'`]],
  [TOO_LARGE, ['ERR_TOO_LARGE', ({ maxMessage }) => `the message exceeds maxMessage, ${maxMessage} bytes here and at the bridge`]],
]);

module.exports = {
  DISPATCH, ENCODING, FORM, KIND, NOTICE, REFUSALS, RETRY, TOO_LARGE,
  encodingOf, eventSlot, flowOf, fromSlot, isPlain, kindOf, noticeHead, noticeOf, packEncoding,
};
