'use strict';

const { performance } = require('node:perf_hooks');
const { strings } = require('./payloads.js');

const payloads = strings(32);

module.exports = {
  name: 'roundtrip',
  title: 'Round trip',
  what: 'A request of 32 bytes and its reply, one at a time.',
  figures: [{ key: 'p50', unit: 'µs', better: 'lower' }, { key: 'p99', unit: 'µs', better: 'lower' }],
  receivers: 1,

  createReceiver([link], report) {
    link.listen({ request: (payload, reply) => reply(payload) });
    return null;
  },

  async send(link, [receiver], ms) {
    const took = await ask(link.to(receiver), ms);
    took.sort();
    return { p50: took[Math.floor(took.length * 0.5)], p99: took[Math.floor(took.length * 0.99)] };
  },

  result: (sent) => ({ p50: sent.p50 * 1000, p99: sent.p99 * 1000 }),
};

/** One request after the other, for `ms` milliseconds. Resolves to the milliseconds that each took. */
function ask(target, ms) {
  return new Promise((resolve, reject) => {
    const took = [];
    const end = performance.now() + ms;
    let asked;

    const next = () => {
      asked = performance.now();
      if (asked >= end && took.length > 0) resolve(Float64Array.from(took));
      else target.request(payloads.at(took.length), onReply);
    };
    const onReply = (err, reply) => {
      const now = performance.now();
      if (err) return reject(err);
      if (!payloads.matches(took.length, reply)) return reject(new Error(`reply ${took.length} is not the one to the request`));
      took.push(now - asked);
      next();
    };
    next();
  });
}
