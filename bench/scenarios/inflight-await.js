'use strict';

const { awaited } = require('./ask.js');
const { strings } = require('./payloads.js');

module.exports = awaited({
  name: 'inflight-await',
  title: '64 awaited, strings',
  what: 'Awaited requests of 32 bytes, by 64 askers side by side.',
  figures: [{ key: 'rate', unit: 'req/s', better: 'higher' }],
  payloads: strings(32),
  askers: 64,
  result: ({ count, seconds }) => ({ rate: count / seconds }),
});
