#!/usr/bin/env node
'use strict';

// npm run bench (which installs the peers and builds the addon first): see options.js for what it can do, peers/index.js and scenarios/index.js for what it measures.

const fs = require('node:fs');
const path = require('node:path');
const { parse, HELP, UsageError } = require('./options.js');
const contest = require('./contest.js');
const peers = require('./peers/index.js');
const { SCENARIOS } = require('./scenarios/index.js');
const { memory } = require('./memory.js');
const { useRuntime } = require('./runtime.js');
const { machine, warnings } = require('./report/machine.js');
const { summarize, US } = require('./report/summary.js');
const { judge } = require('./report/verdict.js');
const { table } = require('./report/table.js');
const { svg } = require('./report/svg.js');

const RESULTS = path.join(__dirname, 'results');

async function main(argv) {
  const options = parse(argv);
  if (options.help) return void process.stdout.write(HELP);
  if (options.node !== undefined) useRuntime(options.node);

  const report = await measure(options);
  process.stdout.write(table(report, { colour: coloured(process.stdout) }));
  write(options, report);
  process.exitCode = succeeded(report, options) ? 0 : 1;
}

async function measure(options) {
  const doubts = warnings();
  const { names, skipped } = await contest.contestants(options.peers);
  const results = options.speed ? await contest.run(options, names, announceCells(options, names)) : [];
  // By default only ours: the peers' memory is of interest to nobody but the curious (--memory --only <peer>).
  const idle = names.filter((name) => name === US || (!options.speed && !peers.peer(name).forks && options.peers.length < peers.NAMES.length));
  const memoryResults = options.memory ? await memory(idle, options.nodes, announce) : null;
  clearStatus();

  const scenarios = summarize(results, SCENARIOS);
  return {
    machine: machine(),
    settings: { rounds: options.rounds, warmUp: options.warmUp, duration: options.duration, quick: options.quick },
    warnings: doubts,
    peers: describe(names),
    scenarios,
    memory: memoryResults,
    skipped,
    verdict: judge(scenarios, memoryResults, options.peers),
  };
}

function describe(names) {
  const { dependencies } = require('./package.json');
  return Object.fromEntries(names.map((name) => {
    const { title, transport, packages = [] } = peers.peer(name);
    return [name, { title, transport, versions: Object.fromEntries(packages.map((each) => [each, dependencies[each]])) }];
  }));
}

function write(options, report) {
  const json = options.json ?? (options.full ? `${RESULTS}.json` : null);
  const chart = options.svg ?? (options.full ? `${RESULTS}.svg` : null);
  if (json) fs.writeFileSync(json, `${JSON.stringify(report, rounded, 2)}\n`);
  if (chart) fs.writeFileSync(chart, svg(report));
}

/** Four digits say all that such a measurement can. */
const rounded = (key, value) => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value);

/** A peer that is not there is no failure, unless it is ours. */
function succeeded({ scenarios, memory: idle, skipped, verdict }, { strict }) {
  const failed = skipped.some(({ name }) => name === US) || scenarios.some(({ failures }) => Object.keys(failures).length > 0) || idle?.some(({ error }) => error);
  return !failed && !(strict && verdict.some(({ passed }) => passed === false));
}

function announceCells({ scenarios, rounds }, names) {
  const total = scenarios.length * rounds * names.length;
  let started = 0;
  return (scenario, round, peer) => announce(`${++started}/${total}  ${scenario.title}, round ${round}: ${peer}`);
}

/** Progress goes to the terminal only, between the measurements. */
function announce(text) {
  if (process.stderr.isTTY) status(`\r\u001b[K${text}`);
}

function clearStatus() {
  if (process.stderr.isTTY) status('\r\u001b[K');
}

function status(text) {
  process.stderr.write(text);
}

const coloured = (stream) => stream.isTTY && !process.env.NO_COLOR;

// Ended from outside, it still takes its processes with it (processes.js: on 'exit').
for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) process.once(signal, () => process.exit(code));

main(process.argv.slice(2)).catch((err) => {
  const usage = err instanceof UsageError;
  process.stderr.write(usage ? `${err.message}\n\n${HELP}` : `${err.stack}\n`);
  process.exitCode = usage ? 2 : 1;
});
