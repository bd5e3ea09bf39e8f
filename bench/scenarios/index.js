'use strict';

// What is measured, in the order of the report. Each scenario:
//
//   name, title, what        for the command line, the report, and a sentence of explanation
//   figures                  what one run yields, the main one first: { key, unit, better: 'lower' | 'higher' }
//   receivers                links in the receiver's process
//   binary                   payloads are Buffers
//   createReceiver(links, report)   -> null or { progress() }; report(result | Error) when a stream has come through
//   send(link, names, ms)           one phase (warm-up or measurement) at the sender; resolves to its own result
//   result(sent, received)          the figures, from what both ends said of the measured phase
//   streams                  whether `send` is over only when the receiver has reported, too

const SCENARIOS = [
  require('./roundtrip.js'),
  require('./inflight.js'),
  require('./oneway-32.js'),
  require('./oneway-1k.js'),
  require('./fanout.js'),
  require('./binary.js'),
];
const NAMES = SCENARIOS.map(({ name }) => name);

const scenario = (name) => SCENARIOS.find((candidate) => candidate.name === name);

module.exports = { NAMES, SCENARIOS, scenario };
