'use strict';

// How the outcome of a call reaches whoever made it: a callback, or a promise.

const { AsyncResource } = require('node:async_hooks');
const { outcomeOf } = require('./reply.js');

/** We say when a scope ends, which is cheaper than to have the garbage collector say so. */
const MANUAL = Object.freeze({ requireManualDestroy: true });
/** A callback that runs in the asynchronous context of its call (AsyncLocalStorage), whoever brings the outcome. */
function callbackOf(callback) {
  const scope = new AsyncResource('BusybodyCall', MANUAL);
  return (error, args) => {
    scope.emitDestroy();
    if (error === null) scope.runInAsyncScope(callback, undefined, ...args);
    else scope.runInAsyncScope(callback, undefined, error);
  };
}

/** A promise of the outcome that `ask(settle)` has told by `settle(error, values)`, once. */
function promised(ask, outcome = outcomeOf) {
  return new Promise((resolve, reject) => {
    ask((error, values) => {
      if (error !== null) return resolve(failed(error));
      try {
        return resolve(outcome(values));
      } catch (replied) {
        return reject(replied);
      }
    });
  });
}

/**
 * Rejects with an error of ours, whose stack then names those who await the call: V8 follows the promises from here to
 * them, once theirs is resolved with this one. Nothing is noted when a call is made, which would cost more than all else.
 */
async function failed(error) {
  await null;
  await null;
  const stack = stackOf(new Error());
  const at = stack.indexOf('\n');
  if (at !== -1) error.stack = `${error.name}: ${error.message}${stack.slice(at)}`;
  throw error;
}

/** An Error.prepareStackTrace of the program's may make anything of it, or throw. */
function stackOf(error) {
  try {
    return String(error.stack);
  } catch {
    return '';
  }
}

module.exports = { callbackOf, failed, promised };
