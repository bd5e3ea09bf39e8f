'use strict';

// The address a handle uses, checked where the caller can still be told at once.

const native = require('../native.cjs');
const { typeError } = require('./errors.js');
const { urlOfText } = require('./options/address.js');

/** What $BUSYBODY_ADDRESS said and means: a relative path means the directory in which the process began. */
let named = { text: undefined, url: null };
try {
  defaultAddress();
} catch {
  // Told to those who need it.
}

/** `url`, or the default address; throws a TypeError ERR_INVALID_ARG for what is no address. */
function addressOrDefault(url) {
  if (url === null) return defaultAddress();
  check(url);
  return url;
}

/** $BUSYBODY_ADDRESS, written as createBridge takes it, else this user's own. */
function defaultAddress() {
  const text = process.env.BUSYBODY_ADDRESS;
  if (text === undefined || text === '') return native.defaultAddress();
  if (named.text !== text) named = { text, url: parse(text) };
  return named.url;
}

function parse(text) {
  try {
    const url = urlOfText(text);
    check(url);
    return url;
  } catch (error) {
    throw typeError(error.code, `The environment variable BUSYBODY_ADDRESS is no address: ${error.message}`, { cause: error });
  }
}

function check(url) {
  try {
    native.checkAddress(url);
  } catch (error) {
    // Anything else (a path too long) is for the start to fail with, as it would for any other reason of the system's.
    if (error.code === 'ERR_INVALID_ARG') throw typeError(error.code, error.message);
  }
}

module.exports = { addressOrDefault, defaultAddress };
