'use strict';

const { strings } = require('./payloads.js');
const { stream } = require('./stream.js');

module.exports = stream({
  name: 'oneway-32',
  title: 'One way, 32 B',
  what: 'Messages of 32 bytes without replies, counted at the receiver.',
  figures: [{ key: 'rate', unit: 'msg/s', better: 'higher' }],
  payloads: strings(32),
  perTurn: 512,
  result: (sent, { count, seconds }) => ({ rate: count / seconds }),
});
