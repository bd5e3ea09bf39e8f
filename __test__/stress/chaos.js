'use strict';

// npm run chaos: real processes under load, killed, stopped and cut off; then a verdict about every message.

const { setTimeout: sleep } = require('node:timers/promises');
const { randomInt } = require('node:crypto');
const { Fleet } = require('./chaos/fleet');
const { TROUBLES, deal } = require('./chaos/troubles');
const { UsageError, command } = require('./support/command');
const { count, ms, percentile, tally } = require('./support/figures');
const { table } = require('./support/print');
const { Random } = require('./support/random');
const { monotonic } = require('./support/time');
const { judge, spotless } = require('./support/verdict');

/** Milliseconds of load before each trouble. */
const LULL = [100, 400];

/** Within so many milliseconds the bus is to move again, at the 99th percentile. */
const TAKEOVER = 250;

/** Two that may host, and one behind a proxy. */
const LEAST_PROCESSES = 3;

/**
 * Runs it. `options`: { rounds, seed, nodes, rate, processes, progress(text) }.
 * Resolves to { verdict, moved, troubles, sent, seconds, judged, seed }.
 */
async function chaos({ rounds, seed, nodes, rate, processes, progress }, scope) {
  if (processes < LEAST_PROCESSES || nodes < processes) {
    throw new UsageError(`it takes ${LEAST_PROCESSES} processes, and a node for each`);
  }
  progress(`seed ${seed}: ${rounds} rounds, ${nodes} nodes in ${processes} processes, ${rate} messages a second each`);
  const random = new Random(seed);
  const fleet = new Fleet(scope, { nodes, rate, processes }, random);
  await fleet.launch();
  const started = monotonic();
  const moved = await suffer(fleet, random, rounds, progress);
  await sleep(random.between(...LULL));
  const [sent, seconds] = [await fleet.sent(), (monotonic() - started) / 1000];
  await fleet.settle();
  const verdict = judge(await fleet.journals());
  const result = { seed, verdict, moved, sent, seconds, nodes, troubles: fleet.troubles };
  return { ...result, judged: judgements(result) };
}

/** The rounds; returns for each bridge that was killed after how many milliseconds the bus moved again: { first, last }. */
async function suffer(fleet, random, rounds, progress) {
  const moved = [];
  const course = deal(random);
  for (let round = 1; round <= rounds; round += 1) {
    await sleep(random.between(...LULL));
    const kind = course.next().value;
    const outcome = await TROUBLES[kind](fleet, random);
    if (outcome.moved) moved.push(outcome.moved);
    const note = outcome.moved ? `: moves again after ${ms(outcome.moved.first)}, all of it after ${ms(outcome.moved.last)}` : ` ${outcome.note ?? ''}`;
    progress(`round ${round}/${rounds}: ${kind}${note}`.trimEnd());
  }
  return moved;
}

function judgements({ verdict, moved, troubles }) {
  const { messages, replies, presence, failures, damaged } = verdict;
  const p99 = percentile(moved.map(({ first }) => first ?? Infinity), 0.99);
  return [
    { what: 'nothing lost, doubled or reordered', said: faults({ ...messages, sent: 0, arrived: 0, settled: 0 }), ok: clean(messages) },
    { what: 'every question settled once, in order', said: faults({ ...replies, asked: 0, answered: 0, settled: 0 }), ok: clean(replies) },
    { what: 'each process joins and leaves once', said: faults(presence), ok: Object.values(presence).every((times) => times === 0) },
    { what: 'nothing failed between nodes that lived', said: tally(failures.living), ok: Object.keys(failures.living).length === 0 },
    { what: "each 'drain' that is due comes", said: count(verdict.stuck), ok: verdict.stuck === 0 },
    { what: 'nothing damaged', said: count(damaged), ok: damaged === 0 },
    { what: 'no process or node in trouble', said: troubles.join('; ') || 'none', ok: troubles.length === 0 },
    ...(moved.length === 0 ? [] : [
      { what: `the bus moves again within ${TAKEOVER} ms (p99)`, said: ms(p99), ok: p99 <= TAKEOVER, strict: true },
    ]),
  ];
}

function clean({ lost = 0, doubled, reordered, unsettled = 0 }) {
  return lost + doubled + reordered + unsettled === 0;
}

function faults(counts) {
  return tally(Object.fromEntries(Object.entries(counts).filter(([, times]) => times !== 0)));
}

function page({ seed, verdict, moved, sent, seconds, nodes }, paint) {
  const { messages, replies, failures } = verdict;
  const row = (name, begun, { settled, lost, doubled, reordered, unsettled }) =>
    [name, begun, settled, lost, doubled, reordered, unsettled].map((cell) => (typeof cell === 'number' ? count(cell) : cell ?? '–'));
  return [
    paint('bold', `Chaos, seed ${seed}`),
    paint('dim', `  ${count(sent)} calls in ${seconds.toFixed(1)} s: ${count(sent / seconds / nodes)} a second for each of ${nodes} nodes`),
    ...table([
      ['', 'sent', 'settled', 'lost', 'doubled', 'reordered', 'unsettled'],
      row('messages', messages.sent, messages),
      row('replies', replies.asked, replies),
    ], paint),
    `  failed between nodes that lived: ${tally(failures.living)}`,
    `  failed towards nodes that were killed: ${tally(failures.dead)}`,
    `  under way to or from nodes when they were killed: ${count(verdict.withTheDead)} messages`,
    `  bridges killed: ${moved.length}`,
    ...(moved.length === 0 ? [] : [
      `    the first reply since came after ${spread(moved.map(({ first }) => first))}`,
      `    every survivor had one after ${spread(moved.map(({ last }) => last))}`,
    ]),
    ...verdict.examples.map((text) => paint('red', `  ${text}`)),
    ...(spotless(verdict) ? [] : [paint('yellow', `  the same troubles again: --seed ${seed}`)]),
  ];
}

/** null stands for never. */
function spread(times) {
  const known = times.map((time) => time ?? Infinity);
  return [['p50', 0.5], ['p99', 0.99], ['max', 1]].map(([name, share]) => `${name} ${ms(percentile(known, share))}`).join(', ');
}

command(module, {
  name: 'chaos',
  about: 'Kills, stops and cuts off the processes of a bus under load, and says what became of every message.\nExit code 0: nothing was lost, doubled, reordered, or left unsettled.',
  flags: {
    rounds: { default: 20, about: 'rounds, one trouble each' },
    seed: { default: randomInt(2 ** 31), about: 'which troubles, when and to whom (else by chance)', unsaid: true },
    nodes: { default: 50, about: 'nodes', least: LEAST_PROCESSES },
    rate: { default: 1000, about: 'messages a second from each node', least: 1 },
    processes: { default: 5, about: 'processes that the nodes are spread over', least: LEAST_PROCESSES },
  },
  run: chaos,
  page,
});

module.exports = { chaos };
