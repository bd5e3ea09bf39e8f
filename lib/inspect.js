'use strict';

// What console.log shows of a node or a bridge: what it is about, instead of an emitter's innards.

const { inspect } = require('node:util');

/** For the method [inspect.custom](depth, options) of `handle`. */
function summary(handle, facts, depth, options) {
  const name = handle.constructor?.name || 'Object';
  if (depth < 0) return options.stylize(`[${name}]`, 'special');
  const inner = { ...options, depth: options.depth === null ? null : options.depth - 1 };
  return `${name} ${inspect({ ...facts, listeners: handle.eventNames() }, inner)}`;
}

module.exports = { custom: inspect.custom, summary };
