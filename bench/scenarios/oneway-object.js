'use strict';

const { objects } = require('./payloads.js');
const { stream } = require('./stream.js');

module.exports = stream({
  name: 'oneway-object',
  title: 'One way, objects',
  what: 'Objects { msg: 40 characters, n } without replies, counted at the receiver.',
  figures: [{ key: 'rate', unit: 'msg/s', better: 'higher' }],
  objects: true,
  payloads: objects(40),
  perTurn: 256,
  result: (sent, { count, seconds }) => ({ rate: count / seconds }),
});
