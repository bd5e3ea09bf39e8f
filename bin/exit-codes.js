'use strict';

const { BusybodyError } = require('..');

/** What the exit status says. Scripts rely on these numbers: `busybody --help` lists them. */
const EXIT = Object.freeze({ OK: 0, FAILED: 1, USAGE: 2, NO_BRIDGE: 3, TIMEOUT: 4 });

const EXIT_MEANINGS = [
  [EXIT.OK, 'done; also bridge and listen when ended by a signal or by their reader'],
  [EXIT.FAILED, 'it failed, or the other side answered with an error'],
  [EXIT.USAGE, 'the command line makes no sense'],
  [EXIT.NO_BRIDGE, 'nobody hosts a bus at the address, or it closed meanwhile'],
  [EXIT.TIMEOUT, 'no reply in time'],
  ['128+n', 'signal n came before the reply did (Ctrl-C: 130)'],
];

const BY_CODE = new Map([
  ['ERR_NO_BRIDGE', EXIT.NO_BRIDGE],
  ['ERR_CLOSED', EXIT.NO_BRIDGE],
  ['ERR_TIMEOUT', EXIT.TIMEOUT],
]);

/** The command line is wrong: nothing was sent. */
class UsageError extends Error {
  constructor(message, code = 'ERR_USAGE') {
    super(message);
    this.code = code;
  }
}

function exitCodeOf(error) {
  if (error instanceof UsageError) return EXIT.USAGE;
  // Only the bus's own errors: a handler elsewhere may well throw something coded ERR_TIMEOUT.
  if (error instanceof BusybodyError) return BY_CODE.get(error.code) ?? EXIT.FAILED;
  return EXIT.FAILED;
}

/** What the bus refuses at once (a TypeError) is, on a command line, wrong usage. */
function usageIfRefused(send) {
  try {
    return send();
  } catch (error) {
    throw error instanceof TypeError ? new UsageError(error.message, error.code) : error;
  }
}

module.exports = { EXIT, EXIT_MEANINGS, UsageError, exitCodeOf, usageIfRefused };
