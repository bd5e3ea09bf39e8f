'use strict';

const { strings } = require('./payloads.js');
const { stream } = require('./stream.js');

/** All in one process: the machines this runs on have fewer cores than that, and eight processes would measure the scheduler. */
const RECEIVERS = 8;

module.exports = stream({
  name: 'fanout',
  title: `Fan-out to ${RECEIVERS}`,
  what: `Broadcasts of 32 bytes to ${RECEIVERS} nodes in one process; deliveries, counted at the nodes.`,
  figures: [{ key: 'rate', unit: 'deliveries/s', better: 'higher' }],
  payloads: strings(32),
  receivers: RECEIVERS,
  perTurn: 128,
  result: (sent, { count, seconds }) => ({ rate: count / seconds }),
});
