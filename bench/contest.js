'use strict';

// Who can take part, and the rounds: in each round every peer has its turn (A B C, A B C, …), so that a machine that is
// slow for a while is slow for all of them.

const peers = require('./peers/index.js');
const scenarios = require('./scenarios/index.js');
const { measure } = require('./cell.js');
const { Actor, within } = require('./processes.js');

const PROBE_TIMEOUT = 15_000;

/** Resolves to { names: those that can run, skipped: [{ name, reason }] }. */
async function contestants(names) {
  const probed = await Promise.all(names.map(async (name) => ({ name, reason: await unavailable(name) })));
  return {
    names: probed.filter(({ reason }) => reason === null).map(({ name }) => name),
    skipped: probed.filter(({ reason }) => reason !== null),
  };
}

/** Null, or why the peer cannot run here. In a process of its own, since some load native code. */
async function unavailable(name) {
  const probe = new Actor('probe');
  try {
    const { reason } = await within(PROBE_TIMEOUT, probe.start({ peer: name }), () => 'did not load in time');
    return reason;
  } catch (err) {
    const reason = firstLine(err.message.replace(/^probe: /, ''));
    return /^Cannot find (module|package)/.test(reason) ? `${reason} (\`npm run bench\` installs and builds all that is needed)` : reason;
  } finally {
    probe.end();
  }
}

/**
 * Runs every round of the chosen scenarios. `progress(scenario, round, peer)` is called before each cell.
 * Resolves to [{ name, cells: { peer: { figures: [{ key: value }], failures: [reason] } } }].
 */
async function run(options, names, progress) {
  const results = [];
  for (const name of options.scenarios) {
    const scenario = scenarios.scenario(name);
    const cells = Object.fromEntries(names.map((peer) => [peer, { figures: [], failures: [] }]));
    for (let round = 1; round <= options.rounds; round++) {
      for (const peer of names) {
        // Having failed twice it will not do better the third time, and a failure may have taken long.
        if (cells[peer].failures.length >= 2) continue;
        if (peers.peer(peer).unable?.(scenario)) continue;
        progress(scenario, round, peer);
        await turn(scenario, peer, options, cells[peer]);
      }
    }
    results.push({ name, cells });
  }
  return results;
}

async function turn(scenario, peer, options, cell) {
  try {
    cell.figures.push(await measure(scenario, peer, options));
  } catch (err) {
    cell.failures.push(firstLine(err.message));
  }
}

const firstLine = (text) => text.split('\n')[0];
const title = (name) => peers.peer(name).title;

module.exports = { contestants, run, title };
