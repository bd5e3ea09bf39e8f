'use strict';

// Loads the native addon: what BUSYBODY_NATIVE names, else the one built beside this file, else the platform's package.

const path = require('node:path');
const { triple } = require('./lib/platform.js');

module.exports = load();

function load() {
  const attempts = [];
  for (const candidate of candidates(triple())) {
    try {
      return require(candidate);
    } catch (error) {
      attempts.push({ candidate, error });
    }
  }
  throw failure(attempts);
}

function candidates(platform) {
  // An override that does not load is an error: falling back would run other code than was asked for.
  if (process.env.BUSYBODY_NATIVE) return [path.resolve(process.env.BUSYBODY_NATIVE)];
  return [path.join(__dirname, `busybody.${platform}.node`), `busybody-${platform}`];
}

function failure(attempts) {
  const tried = attempts.map(({ candidate, error }) => `  ${candidate}: ${reason(error)}`);
  const error = new Error([
    `busybody found no native addon that loads on ${triple()} (${runtime()}). Tried:`,
    ...tried,
    'In a clone of the repository: npm run build (needs Rust).',
    'As a dependency: install again without --omit=optional; BUSYBODY_NATIVE=<path> names an addon built elsewhere.',
  ].join('\n'));
  error.code = 'ERR_NATIVE_ADDON';
  error.cause = attempts[0].error;
  return error;
}

function reason(error) {
  // The first line is for people; what follows is the stack of our own requires.
  return error.code === 'MODULE_NOT_FOUND' ? 'not there' : String(error.message).split('\n')[0];
}

function runtime() {
  const name = ['bun', 'deno'].find((other) => process.versions[other]) ?? 'node';
  return `${name} ${process.versions[name]}`;
}
