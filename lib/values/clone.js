'use strict';

// Encodings 2 and 3: the engine's own structured clone, for Map, Set, Date, BigInt and cycles.

const v8 = require('node:v8');
const { BusybodyError, protocolError, unserializable } = require('../errors.js');
const { describeError, reviveError } = require('./remote-error.js');
const { isError } = require('./scan.js');

const ENGINES = new Map([[2, 'V8 (Node.js, Deno)'], [3, 'JavaScriptCore (Bun)']]);

/** Bun offers node:v8 with a format of its own inside. */
const OURS = process.versions.bun ? 3 : 2;

/**
 * The body is the array of arguments, or `{ args, errors: [[index, description], …] }` when there are Errors among them:
 * a structured clone forgets their code, their class and, elsewhere than in V8, their stack.
 */
function packClone(args) {
  try {
    return { encoding: OURS, body: v8.serialize(args.some(isError) ? describeErrors(args) : args) };
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
  if (Array.isArray(value?.args) && Array.isArray(value.errors)) return reviveErrors(value);
  throw protocolError('A structured clone that is not an array of arguments');
}

function describeErrors(args) {
  const errors = [];
  const rest = args.map((value, index) => {
    if (!isError(value)) return value;
    errors.push([index, describeError(value)]);
    return undefined;
  });
  return { args: rest, errors };
}

function reviveErrors({ args, errors }) {
  if (errors.length > args.length) throw protocolError('A structured clone with more errors than arguments');
  for (const entry of errors) {
    const [index, description] = Array.isArray(entry) ? entry : [];
    if (!Number.isInteger(index) || !Object.hasOwn(args, index)) throw protocolError('A structured clone with a stray error');
    args[index] = reviveError(description);
  }
  return args;
}

function foreign(encoding) {
  const [theirs, ours] = [ENGINES.get(encoding), ENGINES.get(OURS)];
  return new BusybodyError('ERR_UNSERIALIZABLE',
    `The message is a structured clone by ${theirs}, which ${ours} cannot read: between them use serialization 'json'`);
}

module.exports = { packClone, unpackClone };
