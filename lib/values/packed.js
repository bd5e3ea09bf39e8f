'use strict';

// Encoding 1: JSON with attachments, so that bytes travel as bytes, and tags, so that everything else arrives as it was sent.
//
//   u32 count · u32 0 · count × (u32 kind · u32 byte length) · each attachment, zeros to a multiple of 8 · JSON text
//
// Little-endian. In the text an attachment is the string "\u0000<index>"; other tags are in tags.js. Multiples of 8, so that
// any typed array could be a view of a body that is aligned.

const { unserializable } = require('../errors.js');
const { Attachments } = require('./attachments.js');
const { Reader } = require('./reader.js');
const { StrictWriter } = require('./strict.js');
const { ValueWriter } = require('./writer.js');

/**
 * `parts` are the header and the attachments, not padded yet and not copied: they must be used before the caller
 * can change them. Throws ERR_UNSERIALIZABLE.
 */
function pack(args) {
  const attachments = new Attachments();
  return written(attachments, new ValueWriter(attachments).write(args));
}

/** The same for `serialization: 'json'`: what JSON makes of the arguments, with bytes and Errors beside it. */
function packStrictly(args) {
  const attachments = new Attachments();
  return written(attachments, new StrictWriter(attachments, new ValueWriter(attachments)).write(args));
}

/** Buffers are views of `body`; typed arrays and ArrayBuffers get memory of their own. Throws ERR_PROTOCOL. */
function unpack(body) {
  return new Reader(body).read();
}

function written(attachments, copy) {
  try {
    return { text: JSON.stringify(copy), parts: attachments.parts() };
  } catch (cause) {
    throw unserializable(`The arguments cannot be serialized: ${cause?.message}`, cause);
  }
}

module.exports = { pack, packStrictly, unpack };
