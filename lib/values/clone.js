'use strict';

// Encodings 2 and 3: the engine's own structured clone. What it would make something else of, Errors and URLs, is described
// beside it; what it would silently make nothing of is refused.

const v8 = require('node:v8');
const { BusybodyError, protocolError, unserializable } = require('../errors.js');
const { CloneReader } = require('./clone-reader.js');
const { CloneWriter } = require('./clone-writer.js');
const { NOT_PLAIN, countPlain } = require('./scan.js');

const ENGINES = new Map([[2, 'V8 (Node.js, Deno)'], [3, 'JavaScriptCore (Bun)']]);

/** Bun offers node:v8 with a format of its own inside. */
const OURS = process.versions.bun ? 3 : 2;

/**
 * The body is the array of arguments, or `{ args, instead: [[object, kind, description], …] }`: wherever one of those very
 * objects is, the value that is described stands. Throws ERR_UNSERIALIZABLE.
 */
function packClone(args) {
  const body = countPlain(args) === NOT_PLAIN ? new CloneWriter().write(args) : args;
  try {
    return { encoding: OURS, body: v8.serialize(body) };
  } catch (cause) {
    throw unserializable(`An argument cannot be cloned: ${cause?.message}`, cause);
  }
}

/** Throws ERR_PROTOCOL for what is no clone, ERR_UNSERIALIZABLE for another engine's. */
function unpackClone(encoding, body) {
  if (encoding !== OURS) throw foreign(encoding);
  let value;
  try {
    value = v8.deserialize(body);
  } catch (cause) {
    throw protocolError(`A message that is no structured clone: ${cause?.message}`, cause);
  }
  if (Array.isArray(value)) return value;
  if (Array.isArray(value?.args) && Array.isArray(value.instead)) return new CloneReader(value.instead).read(value.args);
  throw protocolError('A structured clone that is not an array of arguments');
}

function foreign(encoding) {
  const [theirs, ours] = [ENGINES.get(encoding), ENGINES.get(OURS)];
  return new BusybodyError('ERR_UNSERIALIZABLE',
    `The message is a structured clone by ${theirs}, which ${ours} cannot read: between them leave serialization at 'values'`);
}

module.exports = { packClone, unpackClone };
