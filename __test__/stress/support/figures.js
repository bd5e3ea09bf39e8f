'use strict';

const MiB = 2 ** 20;

/** The smallest value that `share` of all values do not exceed; null of none. */
function percentile(values, share) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

const median = (values) => percentile(values, 0.5);

const count = (number) => Math.round(number).toLocaleString('en');
const mib = (bytes) => `${(bytes / MiB).toFixed(1)} MiB`;
const ms = (value) => (value === null ? '–' : `${value.toFixed(value < 10 ? 1 : 0)} ms`);

/** { a: 2, b: 1 } as "2 a, 1 b". */
function tally(counts) {
  return Object.entries(counts).map(([name, times]) => `${count(times)} ${name}`).join(', ') || 'none';
}

module.exports = { MiB, count, median, mib, ms, percentile, tally };
