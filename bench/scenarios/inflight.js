'use strict';

const { performance } = require('node:perf_hooks');
const { strings } = require('./payloads.js');

const IN_FLIGHT = 64;

const payloads = strings(32);

module.exports = {
  name: 'inflight',
  title: '64 in flight',
  what: 'Requests of 32 bytes, 64 under way at any time: each reply starts the next request.',
  figures: [{ key: 'rate', unit: 'req/s', better: 'higher' }],
  receivers: 1,

  createReceiver([link], report) {
    link.listen({ request: (payload, reply) => reply(payload) });
    return null;
  },

  send: (link, [receiver], ms) => ask(link.to(receiver), ms),

  result: ({ count, seconds }) => ({ rate: count / seconds }),
};

/** IN_FLIGHT askers side by side for `ms` milliseconds. Resolves when every request has its reply. */
function ask(target, ms) {
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const end = started + ms;
    let count = 0;
    let asking = IN_FLIGHT;

    const asker = (turn) => {
      const next = () => target.request(payloads.at(turn), onReply);
      const onReply = (err, reply) => {
        if (err) return reject(err);
        if (!payloads.matches(turn, reply)) return reject(new Error(`reply ${count} is not the one to its request`));
        count++;
        const now = performance.now();
        if (now < end) next();
        else if (--asking === 0) resolve({ count, seconds: (now - started) / 1000 });
      };
      next();
    };
    for (let turn = 0; turn < IN_FLIGHT; turn++) asker(turn);
  });
}
