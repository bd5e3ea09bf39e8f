'use strict';

const { awaited } = require('./ask.js');
const { objects } = require('./payloads.js');

module.exports = awaited({
  name: 'ask-object',
  title: 'Awaited object',
  what: 'An awaited request with an object { msg: 40 characters, n } and its reply, one at a time.',
  figures: [{ key: 'p50', unit: 'µs', better: 'lower' }, { key: 'p99', unit: 'µs', better: 'lower' }],
  objects: true,
  payloads: objects(40),
  askers: 1,
  result: ({ took }) => took,
});
