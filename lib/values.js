'use strict';

// How arguments become a message's body and back. The wire carries bytes and the number of their encoding;
// what they mean is decided here and nowhere else.
//
//   0  JSON text of the array of arguments
//   1  packed: JSON text with tags, and beside it bytes, Errors and what is shared  values/packed.js
//   2  structured clone as V8 writes it (Node.js, Deno)                              values/clone.js
//   3  structured clone as JavaScriptCore writes it (Bun)                            values/clone.js

const { protocolError, unserializable } = require('./errors.js');
const { packClone, unpackClone } = require('./values/clone.js');
const { quote, stringifyFew } = require('./values/json.js');
const { isError } = require('./values/kinds.js');
const { pack, packStrictly, unpack } = require('./values/packed.js');
const { asError, outlineOf } = require('./values/remote-error.js');
const { FEW, NOT_PLAIN, countPlain, needsPacking } = require('./values/scan.js');

const JSON_TEXT = 0;
const PACKED = 1;
const V8_CLONE = 2;
const JSC_CLONE = 3;

/** Arguments are spread into a call at the far end; some ten thousand fit on any stack, a remote's million does not. */
const MAX_ARGS = 10_000;

/** Up to here joining strings by hand beats JSON.stringify, whose price for the array alone is some 50 ns. */
const SHORT = 4;

/**
 * The settings of `serialization` that write text. `write`: encoding 0, or null for arguments that JSON alone does not carry.
 * `pack`: encoding 1. Both throw ERR_UNSERIALIZABLE.
 */
const FORMATS = Object.freeze({
  values: Object.freeze({ write: writeValues, pack: counted(pack) }),
  json: Object.freeze({ write: (args) => (needsPacking(args) ? null : stringify(args)), pack: counted(packStrictly) }),
});

function writeValues(args) {
  const objects = countPlain(args);
  if (objects === NOT_PLAIN) return null;
  if (objects === 0 && args.length <= SHORT) return joinPrimitives(args);
  checkCount(args);
  return written(objects <= FEW ? stringifyFew : JSON.stringify, args);
}

/** JSON as JSON.stringify makes it, undefined and NaN included. */
function stringify(args) {
  const short = args.length <= SHORT && typeof args[0] !== 'object' ? joinPrimitives(args) : '';
  if (short !== '') return short;
  checkCount(args);
  return written(JSON.stringify, args);
}

function written(write, args) {
  try {
    return write(args);
  } catch (cause) {
    throw unserializable(`An argument cannot be written as JSON: ${cause?.message}`, cause);
  }
}

/** The arguments in a body; throws ERR_PROTOCOL, or ERR_UNSERIALIZABLE for another engine's clone. */
function decode(encoding, body) {
  const args = decodeAny(encoding, body);
  if (args.length > MAX_ARGS) throw protocolError(`A message with more than ${MAX_ARGS} arguments`);
  return args;
}

function decodeAny(encoding, body) {
  switch (encoding) {
    case JSON_TEXT: return parse(body);
    case PACKED: return unpack(body);
    case V8_CLONE:
    case JSC_CLONE: return unpackClone(encoding, body);
    default: throw protocolError(`A message in an unknown encoding (${encoding})`);
  }
}

function parse(text) {
  // One plain string is the commonest message: cut it out, 5 times as fast as JSON.parse. (A raw control character
  // would pass here and not there; it does no harm.)
  const last = text.length - 2;
  if (text.startsWith('["') && text.indexOf('"', 2) === last && text.charCodeAt(last + 1) === 93 && !text.includes('\\')) {
    return [text.slice(2, last)];
  }
  let args;
  try {
    args = JSON.parse(text);
  } catch (cause) {
    throw protocolError(`A message that is not JSON: ${cause.message}`, cause);
  }
  if (!Array.isArray(args)) throw protocolError('A message whose JSON is not an array of arguments');
  return args;
}

/** The JSON of arguments that are all primitives, else ''. */
function joinPrimitives(args) {
  let text = '[';
  for (let i = 0; i < args.length; i++) {
    const value = args[i];
    if (i > 0) text += ',';
    switch (typeof value) {
      case 'string': text += quote(value); break;
      case 'number': text += Number.isFinite(value) ? value : 'null'; break;
      case 'boolean': text += value ? 'true' : 'false'; break;
      case 'undefined': text += 'null'; break;
      default:
        if (value !== null) return '';
        text += 'null';
    }
  }
  return text + ']';
}

function checkCount(args) {
  if (args.length > MAX_ARGS) throw unserializable(`More than ${MAX_ARGS} arguments: send them as one array`);
}

function counted(write) {
  return (args) => {
    checkCount(args);
    return write(args);
  };
}

module.exports = { FORMATS, asError, decode, isError, outlineOf, packClone: counted(packClone), unpack, unpackClone };
