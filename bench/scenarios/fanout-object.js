'use strict';

const { objects } = require('./payloads.js');
const { stream } = require('./stream.js');

const RECEIVERS = 8;

module.exports = stream({
  name: 'fanout-object',
  title: `Objects to ${RECEIVERS} processes`,
  what: `Broadcasts of objects { msg: 40 characters, n } to ${RECEIVERS} nodes in ${RECEIVERS} processes; deliveries, counted at the nodes.`,
  figures: [{ key: 'rate', unit: 'deliveries/s', better: 'higher' }],
  objects: true,
  payloads: objects(40),
  receivers: RECEIVERS,
  processes: RECEIVERS,
  perTurn: 64,
  result: (sent, { count, seconds }) => ({ rate: count / seconds }),
});
