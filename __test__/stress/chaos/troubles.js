'use strict';

// The troubles that a bus gets into, one kind a round. Each takes the fleet and a source of chance, and resolves, when it
// is over, with what is to be said about it: { moved: { first, last } } where a bridge was killed, in milliseconds, else maybe { note }.

const { setTimeout: sleep } = require('node:timers/promises');

/** Milliseconds that a process is stopped for: longer than a scheduler's whim, shorter than any patience of the bus. */
const STOPPED = [50, 700];

/** Milliseconds that nodes are away for: longer than any bridge waits for them. */
const AWAY = [6_000, 8_000];

/** Milliseconds around a kill, so that it meets the bus at any moment. */
const DELAY = 40;

const TROUBLES = {
  'kill -9 of the host': async (fleet, random) => {
    const host = await fleet.host();
    const moved = await fleet.moves(await fleet.kill(host, random.below(DELAY)));
    await fleet.replace(host);
    return { moved };
  },
  'kill -9 of two hosts in a row': async (fleet, random) => {
    const first = await fleet.host();
    if (fleet.others(first).filter(({ wire }) => wire === null).length < 2) return { note: '(too few that may host)' };
    await fleet.kill(first, random.below(DELAY));
    const second = await fleet.host();
    const moved = await fleet.moves(await fleet.kill(second, random.below(DELAY)));
    for (const crew of [first, second]) await fleet.replace(crew);
    return { moved };
  },
  'kill -9 of the host while nodes are away for long': async (fleet, random) => {
    const host = await fleet.host();
    const away = random.pick(fleet.others(host));
    fleet.suspend(away);
    await fleet.kill(host, random.below(DELAY));
    await fleet.replace(host);
    await sleep(random.between(...AWAY));
    // What those who come back missed is more than one bridge.
    const next = await fleet.host();
    await fleet.kill(next, random.below(DELAY));
    fleet.resume(away);
    await fleet.replace(next);
    return {};
  },
  'kill -9 of nodes': async (fleet, random) => {
    const victim = random.pick(fleet.others(await fleet.host()));
    await fleet.kill(victim, random.below(DELAY));
    await sleep(random.below(DELAY));
    await fleet.replace(victim);
    return {};
  },
  'stop the host': async (fleet, random) => stop(await fleet.host(), random),
  'stop nodes': async (fleet, random) => stop(random.pick(fleet.others(await fleet.host())), random),
  'cut links': async (fleet, random) => {
    const { wire } = random.pick(fleet.proxied);
    const times = random.between(1, 4);
    for (let cut = 0; cut < times; cut += 1) {
      await sleep(random.below(DELAY));
      wire.cut();
    }
    return { note: `${times} times` };
  },
};

/** How often each is dealt before the deck is shuffled again: the death of a bridge is what this is about. */
const DECK = ['kill -9 of the host', ...Object.keys(TROUBLES)];

/** An endless course of troubles. */
function* deal(random) {
  for (;;) yield* random.shuffle(DECK);
}

async function stop({ worker }, random) {
  const duration = random.between(...STOPPED);
  worker.process.kill('SIGSTOP');
  await sleep(duration);
  worker.process.kill('SIGCONT');
  return { note: `for ${duration} ms` };
}

module.exports = { DECK, TROUBLES, deal };
