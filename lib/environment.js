'use strict';

// What variables of the environment choose for the nodes of this process, beside the address.

const { invalidArg } = require('./errors.js');

/**
 * Which thread drives a node's socket: 'loop' is this thread's own libuv loop, 'task' a tokio thread beside it.
 * BUSYBODY_DRIVER if it is set; else the loop, except on Bun, which aborts when libuv's poll is used.
 */
function driver() {
  const chosen = process.env.BUSYBODY_DRIVER;
  if (!chosen) return process.versions.bun ? 'task' : 'loop';
  if (chosen === 'loop' || chosen === 'task') return chosen;
  throw invalidArg('BUSYBODY_DRIVER', '"loop" or "task"', chosen, 'environment variable');
}

/** Whether large bodies go through memory that processes of one machine share, where they can: unless BUSYBODY_LANE is off. */
function lane() {
  const chosen = process.env.BUSYBODY_LANE;
  if (!chosen || chosen === 'on') return true;
  if (chosen === 'off') return false;
  throw invalidArg('BUSYBODY_LANE', '"on" or "off"', chosen, 'environment variable');
}

module.exports = { driver, lane };
