'use strict';

// Exit hooks: process.exit() runs no native cleanup on the main thread, so what must happen then happens here. All of it
// shares one deadline of two seconds, which src/binding/ending.rs keeps.

const native = require('../native.cjs');

const hooks = new Set();

/**
 * Calls `hook` when the process (or worker) exits, unless `removeExitHook` came first; again if it returns false, as long
 * as there is time: a slow one must not take it from the others.
 */
function addExitHook(hook) {
  // Before the listeners that are there, for one of them may call process.exit(), which skips the others. What they send
  // after us is written at once.
  if (hooks.size === 0) process.prependListener('exit', runHooks);
  hooks.add(hook);
}

function removeExitHook(hook) {
  hooks.delete(hook);
  if (hooks.size === 0) process.off('exit', runHooks);
}

function runHooks() {
  native.beginToEnd();
  let waiting = [...hooks];
  do {
    waiting = waiting.filter((hook) => hook() === false);
  } while (waiting.length > 0 && !native.endIsDue());
}

module.exports = { addExitHook, removeExitHook };
