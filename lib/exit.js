'use strict';

// Last words: process.exit() runs no native cleanup on the main thread, so what must happen then happens here. All of it
// shares one deadline of two seconds, which src/binding/ending.rs keeps.

const native = require('../native.cjs');

const lastWords = new Set();

/**
 * Calls `speak` when the process (or worker) exits, unless `forgetLastWords` came first; again if it returns false, as
 * long as there is time: who takes long must not take it from the others.
 */
function rememberLastWords(speak) {
  // Before the hooks that are there, for one of them may call process.exit(), which skips the others. What they send
  // after us is written at once.
  if (lastWords.size === 0) process.prependListener('exit', speakAll);
  lastWords.add(speak);
}

function forgetLastWords(speak) {
  lastWords.delete(speak);
  if (lastWords.size === 0) process.off('exit', speakAll);
}

function speakAll() {
  native.beginToEnd();
  let waiting = [...lastWords];
  do {
    waiting = waiting.filter((speak) => speak() === false);
  } while (waiting.length > 0 && !native.endIsDue());
}

module.exports = { forgetLastWords, rememberLastWords };
