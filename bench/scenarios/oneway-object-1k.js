'use strict';

const { objects } = require('./payloads.js');
const { stream } = require('./stream.js');

module.exports = stream({
  name: 'oneway-object-1k',
  title: 'One way, objects of 1 KiB',
  what: 'Objects { msg: 1 024 characters, n } without replies, counted at the receiver.',
  figures: [{ key: 'rate', unit: 'msg/s', better: 'higher' }],
  objects: true,
  payloads: objects(1024),
  perTurn: 128,
  result: (sent, { count, seconds }) => ({ rate: count / seconds }),
});
