'use strict';

// Requests as programs make them: awaited, one after the other by one asker or by several side by side, and answered by
// a handler that returns its answer.

const { performance } = require('node:perf_hooks');

/**
 * @param payloads what is asked and answered (payloads.js)
 * @param askers   how many ask at the same time, each with one request under way
 */
function awaited({ payloads, askers, ...scenario }) {
  return {
    ...scenario,
    receivers: 1,
    createReceiver([link]) {
      return link.listen({ answer: (payload) => payload });
    },
    send: (link, [receiver], ms) => ask(link.to(receiver), payloads, askers, ms),
  };
}

/** Resolves to { count, seconds, took }: `took` holds the milliseconds of each request, where there is one asker. */
async function ask(target, payloads, askers, ms) {
  const started = performance.now();
  const end = started + ms;
  const took = [];
  let asked = 0;
  let count = 0;

  const asker = async () => {
    for (let before = performance.now(); before < end || count === 0;) {
      const n = asked++;
      const reply = await target.ask(payloads.at(n));
      if (!payloads.matches(n, reply)) throw new Error(`reply ${n} is not the one to its request`);
      count++;
      const after = performance.now();
      if (askers === 1) took.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: askers }, asker));
  return { count, seconds: (performance.now() - started) / 1000, took: quantiles(took) };
}

function quantiles(took) {
  const sorted = Float64Array.from(took).sort();
  const at = (share) => sorted[Math.floor(sorted.length * share)] * 1000;
  return sorted.length === 0 ? null : { p50: at(0.5), p99: at(0.99) };
}

module.exports = { awaited };
