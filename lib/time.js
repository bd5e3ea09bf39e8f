'use strict';

// Timers and ticks as the runtime made them. Test tools put fakes in their places for a while (Jest, Vitest, Sinon,
// node:test), in the global scope, in `process` and in node:timers; what a bus waits for passes in real time all the
// same. So nothing here is looked up when it is used, and what was replaced before us is asked for what it replaced.

const hooks = require('node:perf_hooks');
const timers = require('node:timers');

/** What `owner` had as `name` before a clock of @sinonjs/fake-timers (Jest's, Vitest's, Sinon's) took its place. */
function real(owner, name) {
  const found = owner[name];
  const replaced = found?.clock?.[`_${name}`];
  return typeof replaced === 'function' ? replaced : found;
}

const performance = real(hooks, 'performance');

module.exports = {
  AbortController: globalThis.AbortController,
  clearInterval: real(timers, 'clearInterval'),
  clearTimeout: real(timers, 'clearTimeout'),
  /** Milliseconds from anywhere, which no clock that is set changes. */
  monotonic: performance.now.bind(performance),
  nextTick: real(process, 'nextTick'),
  /** As Date.now() counts. */
  now: real(globalThis, 'Date').now,
  random: Math.random,
  setImmediate: real(timers, 'setImmediate'),
  setInterval: real(timers, 'setInterval'),
  setTimeout: real(timers, 'setTimeout'),
};
