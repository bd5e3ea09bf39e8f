'use strict';

// What is measured, in the order of the report. Each scenario:
//
//   name, title, what        for the command line, the report, and a sentence of explanation
//   figures                  what one run yields, the main one first: { key, unit, better: 'lower' | 'higher' }
//   receivers                links that receive, each with a name
//   processes                receiving processes that these links are spread over (default 1)
//   binary, objects          payloads are Buffers, plain objects; else strings
//   createReceiver(links, report)   -> { progress() } of a stream; report(result | Error) when it has come through
//   send(link, names, ms)           one phase (warm-up or measurement) at the sender; resolves to its own result
//   result(sent, received)          the figures, from what both ends said of the measured phase
//   streams                  whether `send` is over only when every receiving process has reported, too
//   merge([received])               what several receiving processes reported, as one; for streams

const SCENARIOS = [
  require('./roundtrip.js'),
  require('./ask-object.js'),
  require('./inflight.js'),
  require('./inflight-await.js'),
  require('./inflight-object.js'),
  require('./oneway-32.js'),
  require('./oneway-1k.js'),
  require('./oneway-object.js'),
  require('./oneway-object-1k.js'),
  require('./fanout.js'),
  require('./fanout-object.js'),
  require('./binary.js'),
];
const NAMES = SCENARIOS.map(({ name }) => name);

const scenario = (name) => SCENARIOS.find((candidate) => candidate.name === name);

module.exports = { NAMES, SCENARIOS, scenario };
