'use strict';

// Payloads by turns, so that the receiver can tell a lost, doubled, swapped or spoiled message from the right one
// at the price of one comparison. They are made once: making them is not what is measured.

/** A power of two, so that `n & mask` is the turn. */
const STRINGS = 64;
const BUFFERS = 4;

/** A stamp every so many bytes of a Buffer, checked in each message; the rest is compared in full during the warm-up. */
const STRIDE = 4096;

/** Strings of `length` ASCII characters. matches(n, payload): is it the one that the n-th message carried? */
function strings(length) {
  const ring = Array.from({ length: STRINGS }, (_, turn) => {
    const start = `${String(turn).padStart(2, '0')}:`;
    return start + 'abcdefghijklmnopqrstuvwxyz012345'.repeat(Math.ceil(length / 32)).slice(start.length, length);
  });
  const mask = STRINGS - 1;
  return {
    bytes: length,
    at: (n) => ring[n & mask],
    matches: (n, payload) => payload === ring[n & mask],
    marker: (text) => `#${text}`,
    readMarker: (payload) => (typeof payload === 'string' && payload[0] === '#' ? payload.slice(1) : null),
  };
}

/** Buffers of `length` bytes, of all values. */
function buffers(length) {
  const ring = Array.from({ length: BUFFERS }, (_, turn) => {
    const buffer = Buffer.alloc(length, Buffer.from(Array.from({ length: 251 }, (_, i) => (i * 7 + turn) & 0xff)));
    for (let offset = 0; offset < length; offset += STRIDE) buffer.writeUInt32LE(offset + turn, offset);
    return buffer;
  });
  const mask = BUFFERS - 1;
  return {
    bytes: length,
    at: (n) => ring[n & mask],
    matches(n, payload, thorough) {
      const turn = n & mask;
      if (!Buffer.isBuffer(payload) || payload.length !== length) return false;
      if (thorough) return payload.equals(ring[turn]);
      for (let offset = 0; offset < length; offset += STRIDE) {
        if (payload.readUInt32LE(offset) !== offset + turn) return false;
      }
      return true;
    },
    marker: (text) => Buffer.from(`#${text}`),
    readMarker: (payload) => (payload.length < 64 && payload[0] === 0x23 ? payload.toString('latin1', 1) : null),
  };
}

/**
 * Plain objects { msg, n } with a text of `length` ASCII characters, each made when it is sent, as programs do. `n`
 * counts on, so an object that is lost, doubled or swapped shows; the text is compared too.
 */
function objects(length) {
  const texts = strings(length);
  return {
    bytes: length,
    at: (n) => ({ msg: texts.at(n), n }),
    matches: (n, payload) => payload.n === n && texts.matches(n, payload.msg),
    marker: (text) => ({ msg: texts.marker(text), n: -1 }),
    readMarker: (payload) => (payload?.n === -1 ? texts.readMarker(payload.msg) : null),
  };
}

module.exports = { buffers, objects, strings };
