'use strict';

const { constants } = require('node:os');

/** Somebody wants the command to end: a signal, or the reader of its output who has gone. */
class Interrupted extends Error {
  constructor(cause, exitCode) {
    super(`interrupted by ${cause}`);
    this.exitCode = exitCode;
  }
}

/**
 * A promise that rejects with Interrupted. The first signal asks the command to leave cleanly;
 * a second one does not wait for that.
 */
function watchInterruptions() {
  const interruption = new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      const exitCode = 128 + constants.signals[signal];
      process.once(signal, () => {
        process.once(signal, () => process.exit(exitCode));
        reject(new Interrupted(signal, exitCode));
      });
    }
    // `| head` has read enough: that is its good right, not an error.
    process.stdout.on('error', (error) => {
      reject(error.code === 'EPIPE' ? new Interrupted('a closed pipe', 0) : error);
    });
  });
  interruption.catch(() => {}); // Seen by whoever races with it; nobody may be racing yet.
  return interruption;
}

module.exports = { Interrupted, watchInterruptions };
