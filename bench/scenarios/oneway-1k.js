'use strict';

const { strings } = require('./payloads.js');
const { stream } = require('./stream.js');

module.exports = stream({
  name: 'oneway-1k',
  title: 'One way, 1 KiB',
  what: 'Messages of 1 KiB without replies, counted at the receiver.',
  figures: [{ key: 'rate', unit: 'msg/s', better: 'higher' }],
  payloads: strings(1024),
  perTurn: 128,
  result: (sent, { count, seconds }) => ({ rate: count / seconds }),
});
