'use strict';

const { parseArgs } = require('node:util');
const peers = require('./peers/index.js');
const scenarios = require('./scenarios/index.js');

const HELP = `Usage: npm run bench -- [options]

Measures busybody against what people use today. Every figure is taken in fresh processes: a hub, receivers, a sender.
Rounds go through all peers in turn; the table shows the median of the rounds and their spread.

  --quick            one short round, one to two minutes; no memory figures
  --only <names>     only these scenarios and/or peers, separated by commas
  --rounds <n>       rounds (default 5; with --quick 1)
  --node <binary>    measure on this Node.js: a path, or 'newest' for the one installed beside the bench
  --memory           only the memory and CPU of an idle bus
  --nodes <n>        nodes of that idle bus (default 5000)
  --json <file>      write the report as JSON
  --svg <file>       write the chart
  --strict           exit 1 when a target is missed, not only when a measurement fails
  --help             this text

scenarios: ${scenarios.NAMES.join(', ')}
peers:     ${peers.NAMES.join(', ')}

A full run (none of --quick, --only, --node and --memory) also writes bench/results.json and bench/results.svg, unless
--json or --svg name other files. Exit codes: 0 measured, 1 a measurement failed, 2 usage.
`;

/** Milliseconds of each warm-up and each measurement. */
const FULL = { rounds: 5, warmUp: 500, duration: 1000 };
const QUICK = { rounds: 1, warmUp: 150, duration: 300 };

const FLAGS = {
  quick: { type: 'boolean', default: false },
  only: { type: 'string', multiple: true, default: [] },
  rounds: { type: 'string' },
  node: { type: 'string' },
  memory: { type: 'boolean', default: false },
  nodes: { type: 'string', default: '5000' },
  json: { type: 'string' },
  svg: { type: 'string' },
  strict: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

class UsageError extends Error {}

/** What the command line asks for. Throws UsageError. */
function parse(argv) {
  const values = read(argv);
  const pace = values.quick ? QUICK : FULL;
  const only = values.only.join(',').split(',').map((name) => name.trim()).filter(Boolean);
  const chosen = choose(only);
  return {
    ...pace,
    ...chosen,
    rounds: values.rounds === undefined ? pace.rounds : positive('--rounds', values.rounds),
    nodes: positive('--nodes', values.nodes),
    quick: values.quick,
    speed: !values.memory,
    memory: values.memory || (!values.quick && only.length === 0),
    full: !values.memory && !values.quick && values.node === undefined && only.length === 0,
    node: values.node,
    json: values.json,
    svg: values.svg,
    strict: values.strict,
    help: values.help,
  };
}

function read(argv) {
  try {
    return parseArgs({ args: argv, options: FLAGS, allowPositionals: false }).values;
  } catch (err) {
    throw new UsageError(err.message);
  }
}

/** Names of scenarios narrow the scenarios, names of peers the peers. */
function choose(only) {
  const unknown = only.filter((name) => !scenarios.NAMES.includes(name) && !peers.NAMES.includes(name));
  if (unknown.length > 0) throw new UsageError(`neither a scenario nor a peer: ${unknown.join(', ')}`);
  const among = (names) => (names.some((name) => only.includes(name)) ? names.filter((name) => only.includes(name)) : names);
  return { scenarios: among(scenarios.NAMES), peers: among(peers.NAMES) };
}

function positive(flag, text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new UsageError(`${flag} takes a positive whole number, not ${JSON.stringify(text)}`);
  return number;
}

module.exports = { parse, HELP, UsageError };
