'use strict';

/** By more than this an array is lengthened so that the engine does not reserve room for what is not there. */
const MAX_RESERVED = 1 << 16;

/** Sets the length of an array that ends in holes. */
function lengthen(array, length) {
  if (length - array.length > MAX_RESERVED) {
    array[length - 1] = null;
    delete array[length - 1];
  }
  array.length = length;
}

module.exports = { lengthen };
