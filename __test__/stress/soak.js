'use strict';

// npm run soak: nodes and processes come and go for minutes; whoever stays must not grow by it.

const { setTimeout: sleep } = require('node:timers/promises');
const { command } = require('./support/command');
const { MiB, count, median, mib } = require('./support/figures');
const { descriptors, resident } = require('./support/holdings');
const { growth } = require('./support/trend');
const { table } = require('./support/print');
const { ask, hire, hireBridge } = require('./support/staff');
const { monotonic } = require('./support/time');

/** How the processes of a wave end. */
const ENDS = ['leave', 'exit', 'kill'];

/** A node that died may keep its place so long, in milliseconds: between two waves all places are to be given back. */
const RESUME_TIMEOUT = 100;

/** Milliseconds until a wave has left no trace on the bus, and between two looks. */
const PATIENCE = 30_000;
const LOOK = 20;

/** So many waves have ids of their own; then they come again, in other processes. */
const IDS = 20;

/** A fifth of them is a sample large enough for a median. */
const LEAST_WAVES = 15;

/** Of memory that may grow over the last half of the time, as a share of it; in shorter runs caches are still filling. */
const MOST_GROWTH = 0.01;
const LEAST_MINUTES = 5;

/** In so many parts what is remembered to a bound is filled before a run in which nothing may grow. */
const PARTS = 10;

/** What is held, and by how much its median in the last fifth of the time may exceed that in the second. */
const HOLDINGS = {
  memory: { what: 'resident memory of the bridge', slack: (before) => 4 * MiB + before / 20, shown: mib, flat: true },
  descriptors: { what: 'descriptors of the bridge', slack: () => 2, shown: count },
  handles: { what: 'handles of the process that stays', slack: () => 2, shown: count },
  itsDescriptors: { what: 'descriptors of the process that stays', slack: () => 2, shown: count },
  heap: { what: 'heap of the process that stays', slack: (before) => MiB + before / 20, shown: mib, flat: true },
  itsMemory: { what: 'resident memory of the process that stays', slack: (before) => 8 * MiB + before / 10, shown: mib, flat: true },
};

/** `options`: { minutes, progress(text) }. Resolves to { waves, seconds, figures, asked, failures, judged }. */
async function soak({ minutes, progress }, scope) {
  const path = `${scope.directory()}/bus.sock`;
  const bridge = await hireBridge(scope, { path, resumeTimeout: RESUME_TIMEOUT });
  const stays = hire(scope, 'soak.js', { role: 'resident', path });
  await ask(stays, 'ready');
  if (minutes >= LEAST_MINUTES) for (let part = 0; part < PARTS; part += 1) await ask(stays, 'fill', { part });
  const [started, samples, reports] = [monotonic(), [], []];
  const passed = () => (monotonic() - started) / 1000;
  while (passed() < minutes * 60 || samples.length < LEAST_WAVES) {
    reports.push(...await wave(scope, path, stays, `wave-${samples.length % IDS}`));
    samples.push(await sample(bridge, stays));
    if (samples.length % 50 === 1) progress(`${count(passed())} s, wave ${samples.length}: ${shown(samples[samples.length - 1])}`);
  }
  const own = await ask(stays, 'holdings');
  const total = (key) => reports.reduce((sum, report) => sum + report[key], own[key]);
  const [asked, failures] = [total('asked'), total('failures')];
  const result = { waves: samples.length, seconds: passed(), figures: compare(samples), asked, failures };
  return { ...result, judged: judgements({ samples, failures, minutes }) };
}

/** Processes come and end, one in each way, while others come and go in the process that stays. */
async function wave(scope, path, stays, name) {
  const visits = ENDS.map((end) => comeAndGo(scope, { role: 'visitor', path, name: `${name}-${end}`, end }));
  await ask(stays, 'visit', { name });
  const reports = await Promise.all(visits);
  const gone = async () => (await ask(stays, 'roster')).ids.every((id) => id.startsWith('resident'));
  for (const until = monotonic() + PATIENCE; !(await gone()); await sleep(LOOK)) {
    if (monotonic() > until) throw new Error('nodes that have gone are still on the bus');
  }
  return reports;
}

async function comeAndGo(scope, settings) {
  const visitor = hire(scope, 'soak.js', settings);
  const report = await visitor.next('done');
  if (settings.end === 'kill') visitor.process.kill('SIGKILL');
  await visitor.exited;
  return report;
}

async function sample(bridge, stays) {
  const { handles, heap } = await ask(stays, 'holdings');
  const [memory, itsMemory] = [bridge, stays].map(({ pid }) => resident(pid));
  return { memory, descriptors: descriptors(bridge.pid), handles, itsDescriptors: descriptors(stays.pid), heap, itsMemory };
}

/** For each holding its medians in the second and the last fifth. */
function compare(samples) {
  const fifth = samples.length / 5;
  const medians = (key) => [samples.slice(fifth, 2 * fifth), samples.slice(4 * fifth)].map((part) => median(part.map((held) => held[key])));
  return Object.fromEntries(Object.keys(HOLDINGS).map((key) => [key, medians(key)]));
}

function judgements({ samples, failures, minutes }) {
  const figures = compare(samples);
  const steady = Object.entries(HOLDINGS).map(([key, { what, slack, shown: format }]) => {
    const [before, after] = figures[key];
    const most = before + slack(before);
    return { what: `${what}: steady, ${format(most)} at most`, said: `${format(before)} → ${format(after)}`, ok: after <= most };
  });
  const memories = Object.entries(HOLDINGS).filter(([, { flat }]) => flat);
  const flat = memories.map(([key, { what }]) => {
    const grown = growth(samples.map((held) => held[key]));
    const said = `${(grown * 100).toFixed(2)} %`;
    return { what: `${what}: flat over the last half, 1 % at most`, said, ok: grown <= MOST_GROWTH, strict: minutes < LEAST_MINUTES };
  });
  return [...steady, ...flat, { what: 'every question was answered', said: `${count(failures)} failed`, ok: failures === 0 }];
}

function shown(held) {
  return Object.entries(HOLDINGS).map(([key, { what, shown: format }]) => `${what} ${format(held[key])}`).join(', ');
}

function page({ waves, seconds, figures, asked }, paint) {
  const rows = Object.entries(HOLDINGS).map(([key, { what, shown: format }]) => [what, ...figures[key].map(format)]);
  return [
    paint('bold', 'Soak'),
    paint('dim', `  ${count(waves)} waves in ${count(seconds)} s, ${count(waves * ENDS.length)} processes, ${count(asked)} questions`),
    ...table([['median of', 'the second fifth', 'the last fifth'], ...rows], paint),
  ];
}

command(module, {
  name: 'soak',
  about: 'Nodes and processes connect, listen, ask, give up, broadcast and end: by leave(), by process.exit(), by kill -9, forgotten.\nExit code 0: whoever stays holds no more at the end than soon after the start.',
  flags: { minutes: { default: 5, about: 'how long', least: 0 } },
  run: soak,
  page,
});

module.exports = { judgements, soak };
