'use strict';

// Last words: process.exit() runs no native cleanup on the main thread, so what must happen then happens here.

const lastWords = new Set();

/** Calls `speak` when the process (or worker) exits, unless `forgetLastWords` came first. */
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
  for (const speak of lastWords) speak();
}

module.exports = { forgetLastWords, rememberLastWords };
