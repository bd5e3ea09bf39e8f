'use strict';

/** Three digits and a unit's prefix: 1.23 M, 456 k, 78.9. */
function short(value) {
  if (value >= 999_500) return `${digits(value / 1e6)} M`;
  if (value >= 9_995) return `${digits(value / 1e3)} k`;
  return digits(value);
}

function digits(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

const times = (ratio) => `${digits(ratio)} ×`;

module.exports = { short, times };
