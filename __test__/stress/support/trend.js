'use strict';

// Whether a series of measurements rises.

/**
 * How much a series grows over its last half, as a share of its mean there: the slope of the line that fits best, times
 * the length of the half. 0 of fewer than two values.
 */
function growth(values) {
  const half = values.slice(Math.floor(values.length / 2));
  const count = half.length;
  if (count < 2) return 0;
  const middle = (count - 1) / 2;
  const mean = half.reduce((sum, value) => sum + value, 0) / count;
  let [covariance, variance] = [0, 0];
  half.forEach((value, at) => {
    covariance += (at - middle) * (value - mean);
    variance += (at - middle) ** 2;
  });
  return covariance / variance * (count - 1) / mean;
}

module.exports = { growth };
