'use strict';

// What stands beside the text of a packed message while it is written: bytes, and values whose text is known in the end.

const { unserializable } = require('../errors.js');
const { bytesOf, kindOfBytes } = require('./bytes.js');

/** Kinds of attachments whose bytes are JSON; those of bytes are in bytes.js. */
const TEXT_KIND = Object.freeze({ ERROR: 15, SHARED: 17, MAP: 18, SET: 19 });

const ENTRY = 8;
const MAX_LENGTH = 2 ** 32 - 1; // the header's u32

class Attachments {
  #kinds = [];
  /** Bytes; or an object whose `copy` JSON.stringify shall see: that may still change. */
  #contents = [];

  /** Adds the bytes of a Buffer, typed array, ArrayBuffer or DataView; returns the index. */
  addBytes(value) {
    const kind = kindOfBytes(value);
    const bytes = bytesOf(kind, value);
    if (bytes.byteLength > MAX_LENGTH) throw unserializable('A buffer of 4 GiB or more');
    return this.#add(kind, bytes);
  }

  /** Adds an attachment whose text is the JSON of `entry.copy` when `parts` is called; returns the index. */
  addText(kind, entry) {
    return this.#add(kind, entry);
  }

  /** Header and attachments: not padded yet and not copied. */
  parts() {
    const count = this.#kinds.length;
    const parts = this.#contents.map(writeContent);
    const header = Buffer.allocUnsafe(ENTRY + ENTRY * count);
    header.writeUInt32LE(count, 0);
    header.writeUInt32LE(0, 4);
    for (let i = 0; i < count; i++) {
      header.writeUInt32LE(this.#kinds[i], ENTRY + ENTRY * i);
      header.writeUInt32LE(parts[i].byteLength, ENTRY + ENTRY * i + 4);
    }
    return [header, ...parts];
  }

  #add(kind, content) {
    this.#contents.push(content);
    return this.#kinds.push(kind) - 1;
  }
}

function writeContent(content) {
  return ArrayBuffer.isView(content) ? content : Buffer.from(JSON.stringify(content.copy));
}

module.exports = { Attachments, TEXT_KIND };
