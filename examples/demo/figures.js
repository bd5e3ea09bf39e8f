'use strict';

// Figures as people read them.

/** The time that `share` of all took at most; `times` in milliseconds. */
function percentile(times, share) {
  const sorted = Float64Array.from(times).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

function duration(ms) {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(1)} s`;
}

function number(count) {
  return Math.round(count).toLocaleString('en-US');
}

function perSecond(count, ms) {
  return `${number(count / (ms / 1000))} a second`;
}

function bandwidth(bytes, ms) {
  return `${number(bytes / 2 ** 20 / (ms / 1000))} MiB a second`;
}

/** "p50 66 µs · p99 130 µs" */
function spread(times) {
  return `p50 ${duration(percentile(times, 0.5))} · p99 ${duration(percentile(times, 0.99))}`;
}

module.exports = { bandwidth, duration, number, perSecond, percentile, spread };
