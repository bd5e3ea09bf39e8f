'use strict';

const { awaited } = require('./ask.js');
const { objects } = require('./payloads.js');

module.exports = awaited({
  name: 'inflight-object',
  title: '64 awaited, objects',
  what: 'Awaited requests with an object { msg: 40 characters, n }, by 64 askers side by side.',
  figures: [{ key: 'rate', unit: 'req/s', better: 'higher' }],
  objects: true,
  payloads: objects(40),
  askers: 64,
  result: ({ count, seconds }) => ({ rate: count / seconds }),
});
