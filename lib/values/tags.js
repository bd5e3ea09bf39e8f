'use strict';

// Strings that stand for something else in the text of a packed message. Each begins with NUL; what follows says what:
//
//   0 … 9  an attachment, by its index      NUL  a string of the user's that begins with NUL
//   u undefined   z -0   N NaN   I Infinity   i -Infinity   h<count> that many holes of an array
//   n<hex> a BigInt   d<ms> a Date, without digits an invalid one   r<flags>/<source> a RegExp   U<href> a URL

const { protocolError } = require('../errors.js');

const UNDEFINED = '\0u';

const INTEGER = /^(?:0|-?[1-9]\d{0,15})$/;
const HEX = /^-?[\da-f]+$/;
const COUNT = /^[1-9]\d{0,9}$/;
const INDEX = /^(?:0|[1-9]\d{0,9})$/;
const SLASH = 47;

/** A string of the user's, told from one that stands for something. */
function escape(string) {
  return string.charCodeAt(0) === 0 ? `\0${string}` : string;
}

/** A number, or the tag of one that JSON cannot write. */
function tagNumber(number) {
  if (number === 0) return 1 / number < 0 ? '\0z' : 0;
  if (number - number === 0) return number;
  if (number > 0) return '\0I';
  return number < 0 ? '\0i' : '\0N';
}

function tagBigInt(bigint) {
  // Hexadecimal, because that is read and written in time that grows with the length, decimal is not.
  return `\0n${bigint.toString(16)}`;
}

function tagDate(time) {
  return `\0d${Number.isNaN(time) ? '' : time}`;
}

function tagRegExp(source, flags) {
  return `\0r${flags}/${source}`;
}

function tagUrl(href) {
  return `\0U${href}`;
}

function tagHoles(count) {
  return `\0h${count}`;
}

function tagAttachment(index) {
  return `\0${index}`;
}

/** What a tag other than an attachment's or that of holes stands for. Throws ERR_PROTOCOL. */
function readTag(tag) {
  switch (tag[1]) {
    case '\0': return tag.slice(1);
    case 'n': return readBigInt(tag.slice(2));
    case 'd': return readDate(tag.slice(2));
    case 'r': return readRegExp(tag);
    case 'U': return make('a URL', () => new URL(tag.slice(2)));
  }
  switch (tag) {
    case UNDEFINED: return undefined;
    case '\0z': return -0;
    case '\0N': return NaN;
    case '\0I': return Infinity;
    case '\0i': return -Infinity;
    default: throw protocolError('A packed message with a tag of unknown meaning');
  }
}

/** Whether a string that begins with NUL stands for an attachment. */
function isIndexTag(tag) {
  const code = tag.charCodeAt(1);
  return code >= 48 && code <= 57;
}

/** The index of an attachment; NaN when it is none. */
function readIndex(tag) {
  const digits = tag.slice(1);
  return INDEX.test(digits) ? Number(digits) : NaN;
}

/** The number of holes that a tag stands for; 0 when it is no such tag. */
function readHoles(tag) {
  return tag[1] === 'h' && COUNT.test(tag.slice(2)) ? Number(tag.slice(2)) : 0;
}

function readBigInt(hex) {
  if (!HEX.test(hex)) throw protocolError('A packed message with a BigInt that is none');
  const negative = hex[0] === '-';
  const absolute = make('a BigInt', () => BigInt(`0x${negative ? hex.slice(1) : hex}`));
  return negative ? -absolute : absolute;
}

function readDate(time) {
  if (time !== '' && !INTEGER.test(time)) throw protocolError('A packed message with a Date that is none');
  return new Date(time === '' ? NaN : Number(time));
}

function readRegExp(tag) {
  let slash = 2;
  while (slash < tag.length && tag.charCodeAt(slash) !== SLASH) slash++;
  if (slash === tag.length) throw protocolError('A packed message with a RegExp that is none');
  return make('a RegExp', () => new RegExp(tag.slice(slash + 1), tag.slice(2, slash)));
}

/** What the engine refuses to make was never one at the other end. */
function make(what, create) {
  try {
    return create();
  } catch (cause) {
    throw protocolError(`A packed message with ${what} that is none: ${cause.message}`, cause);
  }
}

module.exports = {
  UNDEFINED, escape, isIndexTag, readHoles, readIndex, readTag, tagAttachment, tagBigInt, tagDate, tagHoles, tagNumber, tagRegExp,
  tagUrl,
};
