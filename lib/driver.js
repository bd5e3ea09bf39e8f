'use strict';

// Which thread drives a node's socket: 'loop' is this thread's own libuv loop, 'task' a tokio thread beside it.

const { invalidArg } = require('./errors.js');

/** BUSYBODY_DRIVER if it is set; else the loop, except on Bun, which aborts when libuv's poll is used. */
function driver() {
  const chosen = process.env.BUSYBODY_DRIVER;
  if (!chosen) return process.versions.bun ? 'task' : 'loop';
  if (chosen === 'loop' || chosen === 'task') return chosen;
  throw invalidArg('BUSYBODY_DRIVER', '"loop" or "task"', chosen, 'environment variable');
}

module.exports = { driver };
