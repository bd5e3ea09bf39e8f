'use strict';

// Values on a journey without a wire: what one process would send and another receive.

const assert = require('node:assert/strict');
const values = require('../../lib/values.js');

const JSON_TEXT = 0;
const PACKED = 1;
const CLONE = process.versions.bun ? 3 : 2;

function join({ text, parts }) {
  const padded = parts.map((part) => Buffer.concat([part, Buffer.alloc(-part.byteLength & 7)]));
  return Buffer.concat([...padded, Buffer.from(text)]);
}

/** As one process sends with a setting that writes text, 'values' or 'json', and another receives. */
function travel(args, { write, pack } = values.FORMATS.values) {
  const json = write(args);
  return json === null ? values.decode(PACKED, join(pack(args))) : values.decode(JSON_TEXT, json);
}

function strictTravel(args) {
  return travel(args, values.FORMATS.json);
}

function cloneTravel(args) {
  const { encoding, body } = values.packClone(args);
  return values.decode(encoding, body);
}

/** A packed body by hand: entries are [kind, claimed length], bytes what follows the header. */
function packedBody(entries, bytes, text) {
  const header = Buffer.alloc(8 + 8 * entries.length);
  header.writeUInt32LE(entries.length, 0);
  entries.forEach(([kind, length], i) => {
    header.writeUInt32LE(kind, 8 + 8 * i);
    header.writeUInt32LE(length, 12 + 8 * i);
  });
  return Buffer.concat([header, bytes, Buffer.from(text)]);
}

/** Hostile bytes may mean something, or be refused; nothing else may happen. */
function valueOrProtocolError(encoding, body) {
  try {
    assert.ok(Array.isArray(values.decode(encoding, body)));
  } catch (error) {
    assert.equal(error.code, 'ERR_PROTOCOL', error.stack);
  }
}

const unserializable = { name: 'TypeError', code: 'ERR_UNSERIALIZABLE' };
const protocol = { name: 'BusybodyError', code: 'ERR_PROTOCOL' };

module.exports = { CLONE, JSON_TEXT, PACKED, cloneTravel, join, packedBody, protocol, strictTravel, travel, unserializable, valueOrProtocolError };
