'use strict';

// The start race: many processes want to be the bridge of one address at the same moment, again and again.
//   npm run race -- [--rounds N] [--processes P] [--seed S] [--first R]

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { dice } = require('../support/stranger');
const { Crew } = require('./race-crew');
const { scenarios } = require('./race-scenarios');
const { assertNothingLeft, lastSeen } = require('./race-verdict');

const USAGE = `Many processes start at one barrier and all want to be the bridge of one address: after each round there
must be exactly one, nobody robbed, and no file left behind.

npm run race -- [options]
  --rounds N      rounds, spread over all scenarios        (default 50)
  --processes P   contenders in each round                 (default 64)
  --seed S        where all chance comes from              (default: the time)
  --first R       begin with round R, to see one again     (default 0)
  --help          this text`;

/** A safety net, not an assertion: a round that hangs is ended and named. Milliseconds. */
const ROUND_LIMIT = 120_000;

/**
 * Runs rounds `first` to `first + rounds - 1` and returns how often each scenario was passed; throws an Error that
 * names the round and the seed. `log` gets a line for each round.
 */
async function race({ rounds, processes, seed, first = 0, log = () => {} }) {
  const names = Object.keys(scenarios);
  const passed = Object.fromEntries(names.map((name) => [name, 0]));
  await withCrew(processes, async (crew) => {
    for (let round = first; round < first + rounds; round += 1) {
      const name = names[round % names.length];
      const outcome = await play(crew, name, round, seed);
      passed[name] += 1;
      log(`round ${round}: ${name}${outcome === undefined ? '' : ` (${outcome})`}`);
    }
  });
  return passed;
}

async function play(crew, name, round, seed) {
  const { promise: late, cancel } = deadline();
  try {
    return await Promise.race([late, playOut(crew, scenarios[name], dice(seed + 7919 * round))]);
  } catch (cause) {
    const again = `--seed ${seed} --first ${round} --rounds 1 --processes ${crew.contenders.length}`;
    throw new Error(`round ${round}, ${name}: ${cause.message} (npm run race -- ${again})`, { cause });
  } finally {
    cancel();
  }
}

async function playOut(crew, scenario, random) {
  const outcome = await scenario(crew, random);
  await crew.dismiss();
  assertNothingLeft(crew);
  return outcome;
}

/** Rejects when a round takes for ever. */
function deadline() {
  let timer;
  const promise = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end; on the bus: ${lastSeen.ids}`)), ROUND_LIMIT);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}

/** Forks the contenders in a fresh directory for `use`, and ends them whatever comes of it. */
async function withCrew(processes, use) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'race-'));
  const cleanups = [];
  try {
    await use(new Crew({ after: (cleanup) => cleanups.push(cleanup) }, dir, processes));
  } finally {
    await Promise.all(cleanups.map((cleanup) => cleanup()));
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

async function main() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: { rounds: text, processes: text, seed: text, first: text, help: { type: 'boolean' } },
  });
  if (values.help) return console.log(USAGE);
  const settings = {
    rounds: count(values.rounds ?? '50', 'rounds'),
    processes: count(values.processes ?? '64', 'processes'),
    seed: count(values.seed ?? String(Date.now() % 2 ** 32), 'seed'),
    first: count(values.first ?? '0', 'first'),
  };
  console.log(`seed ${settings.seed}: ${settings.rounds} rounds of ${settings.processes} processes`);
  console.table(await race({ ...settings, log: console.log }));
}

function count(given, name) {
  if (!/^\d{1,15}$/.test(given)) throw new TypeError(`--${name} takes a whole number, not '${given}'`);
  return Number(given);
}

if (require.main === module) {
  main().catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}

module.exports = { race, scenarios };
