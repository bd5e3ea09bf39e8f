'use strict';

// Numbers in the order in which they arrived, written down as runs: [first, last, first, last, …]. When all is well a
// sender's messages are one run, however many there are; each thing that goes wrong begins another.

/** Notes that `number` has arrived. */
function note(runs, number) {
  const last = runs.length - 1;
  if (last > 0 && runs[last] === number - 1) runs[last] = number;
  else runs.push(number, number);
}

/**
 * What the runs say: `seen`, the distinct numbers as sorted intervals [first, last]; `doubled`, how many arrived again;
 * `reordered`, how many arrived for the first time after a greater one.
 */
function survey(runs) {
  const seen = [];
  let [highest, doubled, reordered] = [0, 0, 0];
  for (let i = 0; i < runs.length; i += 2) {
    const [first, last] = [runs[i], runs[i + 1]];
    const again = overlap(seen, first, last);
    doubled += again;
    if (first <= highest) reordered += Math.min(last, highest) - first + 1 - again;
    highest = Math.max(highest, last);
    add(seen, first, last);
  }
  return { seen, doubled, reordered };
}

/** How many of the numbers from 1 to `count` are not in `seen`. */
function missing(seen, count) {
  return count - overlap(seen, 1, count);
}

/** The first number from 1 on that is not in `seen`. */
function firstMissing(seen) {
  let number = 1;
  for (const [first, last] of seen) if (first <= number) number = Math.max(number, last + 1);
  return number;
}

function greatest(seen) {
  return seen.length === 0 ? 0 : seen[seen.length - 1][1];
}

function has(seen, number) {
  return overlap(seen, number, number) === 1;
}

function size(seen) {
  return seen.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

/** How many numbers from `first` to `last` are in the intervals. */
function overlap(seen, first, last) {
  let common = 0;
  for (let i = reach(seen, first); i < seen.length && seen[i][0] <= last; i += 1) {
    common += Math.max(0, Math.min(last, seen[i][1]) - Math.max(first, seen[i][0]) + 1);
  }
  return common;
}

function add(seen, first, last) {
  const from = reach(seen, first - 1);
  let until = from;
  while (until < seen.length && seen[until][0] <= last + 1) until += 1;
  const touched = seen.slice(from, until);
  const merged = [Math.min(first, touched[0]?.[0] ?? first), Math.max(last, touched[touched.length - 1]?.[1] ?? last)];
  seen.splice(from, until - from, merged);
}

/** Index of the first interval that ends at `number` or later. */
function reach(seen, number) {
  let [low, high] = [0, seen.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (seen[middle][1] < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

module.exports = { firstMissing, greatest, has, missing, note, size, survey };
