'use strict';

// Calls into the program's own code from the midst of ours. What it throws is the process's uncaught exception, as what
// a listener of Node.js's own events throws; but what we were about to do is done.

const { nextTick } = require('./time.js');

/** Throws where nobody can catch it, as an event emitted by Node.js itself would; the caller goes on. */
function rethrow(error) {
  nextTick(() => {
    throw error;
  });
}

/** Calls `code(...args)`, which is not ours. */
function guarded(code, ...args) {
  try {
    code(...args);
  } catch (thrown) {
    rethrow(thrown);
  }
}

/** Emits an event; returns whether anybody listens. An 'error' that nobody listens for is an uncaught exception, too. */
function tell(emitter, event, ...args) {
  try {
    return emitter.emit(event, ...args);
  } catch (thrown) {
    rethrow(thrown);
    return true;
  }
}

/** A process warning; `options` as process.emitWarning takes them, which a test may have replaced. */
function warn(warning, options) {
  guarded(() => process.emitWarning(warning, options));
}

module.exports = { guarded, rethrow, tell, warn };
