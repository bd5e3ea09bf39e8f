'use strict';

// The address a handle uses, checked where the caller can still be told at once.

const native = require('../native.cjs');
const { typeError } = require('./errors.js');

/** `url`, or this user's own address; throws a TypeError ERR_INVALID_ARG for what is no address. */
function addressOrDefault(url) {
  if (url === null) return native.defaultAddress();
  try {
    native.checkAddress(url);
  } catch (error) {
    // Anything else (a path too long) is for the start to fail with, as it would for any other reason of the system's.
    if (error.code === 'ERR_INVALID_ARG') throw typeError(error.code, error.message);
  }
  return url;
}

module.exports = { addressOrDefault };
