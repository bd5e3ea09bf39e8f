'use strict';

// Checks for single options: (value, name) => the value to use, or a TypeError that names the option.

const { invalidArg } = require('../errors.js');
const { warn } = require('../guard.js');

const MAX_DELAY = 2 ** 31 - 1; // what timers can wait: 24 days

/** What was warned of, by what was asked for: an option that one call does not know another may. */
const warned = new WeakMap();

/**
 * The options that `checks` knows, checked. Own properties only, each read once: what a prototype carries (a library's
 * pollution of Object.prototype, say) was not asked for. undefined is as good as absent.
 */
function read(options, checks) {
  const values = Object.create(null);
  if (options === undefined) return values;
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(checks, name)) {
      warnOnce(checks, name);
      continue;
    }
    const value = options[name];
    if (value !== undefined) values[name] = checks[name](value, name);
  }
  return values;
}

/** A typing error should be seen, and a program written for a newer version should still run. */
function warnOnce(checks, name) {
  const names = warned.get(checks) ?? new Set();
  if (names.has(name)) return;
  warned.set(checks, names.add(name));
  warn(`busybody does not know the option "${name}"`, { code: 'BUSYBODY_UNKNOWN_OPTION' });
}

function integer(least, most) {
  return (value, name) => {
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw invalidArg(name, `an integer from ${least} to ${most}`, value);
  };
}

/** Milliseconds; a fraction is rounded up. */
function duration(least) {
  return (value, name) => {
    if (typeof value === 'number' && value >= least && value <= MAX_DELAY) return Math.ceil(value);
    throw invalidArg(name, `a number of milliseconds from ${least} to ${MAX_DELAY}`, value);
  };
}

function fileMode(value, name) {
  if (Number.isInteger(value) && value >= 0 && value <= 0o777) return value;
  throw invalidArg(name, 'a file mode from 0 to 0o777', value);
}

function choice(...values) {
  return (value, name) => {
    if (values.includes(value)) return value;
    throw invalidArg(name, `one of ${values.map((each) => `'${each}'`).join(', ')}`, value);
  };
}

/** Text that a path or a host name could be. */
function text(value, name) {
  if (typeof value === 'string' && value !== '' && !value.includes('\0') && value.isWellFormed()) return value;
  throw invalidArg(name, 'a non-empty string without NUL', value);
}

function oneFunction(value, name) {
  if (typeof value === 'function') return value;
  throw invalidArg(name, 'a function', value);
}

module.exports = { choice, duration, fileMode, integer, oneFunction, read, text };
