'use strict';

// npm run crowd: ten thousand nodes on one bus, and one broadcast that reaches them all.

const { setTimeout: sleep } = require('node:timers/promises');
const { createNode } = require('../..');
const { UsageError, command } = require('./support/command');
const { count, mib } = require('./support/figures');
const { descriptorLimit, resident } = require('./support/holdings');
const { ask, askAll, hire, hireBridge } = require('./support/staff');
const { monotonic } = require('./support/time');

/** Descriptors of a process besides those of its links. */
const OTHER_DESCRIPTORS = 100;

/** All have joined within so many milliseconds. */
const JOIN_LIMIT = 30_000;

const MOST_KIB_PER_NODE = 20;

/** V8 tidies up when a process has been idle for some 8 seconds; neither its garbage nor this is the bus's. */
const SETTLE = 12;

/** Milliseconds until a broadcast is said not to have reached all, and between two looks. */
const PATIENCE = 30_000;
const LOOK = 20;

/**
 * `options`: { nodes, processes, settle, progress(text) }, settle in seconds.
 * Resolves to { nodes, processes, joined, reached, once, more, before, after, judged }, times in ms, memory in bytes.
 */
async function crowd({ nodes, processes, settle, progress }, scope) {
  checkLimit(nodes, processes);
  const path = `${scope.directory()}/bus.sock`;
  const bridge = await hireBridge(scope, { path });
  const caller = createNode({ path, id: 'caller' }).handle('barrier', () => true);
  scope.after(() => caller.leave(true));
  const workers = Array.from({ length: processes }, (_, i) => hire(scope, 'crowd.js', { path, ...share(nodes, processes, i) }));
  await Promise.all([caller.ready, askAll(workers, 'ready')]);
  await sleep(settle * 1000);
  const before = resident(bridge.pid);
  progress(`${count(nodes)} nodes join from ${processes} processes`);
  const joined = await timed(() => askAll(workers, 'join'));
  await askAll(workers, 'listen');
  await sleep(settle * 1000);
  const after = resident(bridge.pid);
  progress('one broadcast to all');
  const calling = await call(caller, workers, nodes);
  const result = { nodes, processes, joined, before, after, ...calling };
  return { ...result, judged: judgements(result) };
}

/** Each node is a descriptor in its own process, and one in the bridge's. */
function checkLimit(nodes, processes) {
  if (processes < 2 || nodes < processes) throw new UsageError('it takes 2 processes, and a node for each');
  const limit = descriptorLimit();
  if (nodes + OTHER_DESCRIPTORS <= limit) return;
  throw new UsageError(`a process may open ${limit} files here, and the bridge needs one for each of ${nodes} nodes: raise the hard limit (ulimit -Hn), or --nodes less`);
}

function share(nodes, processes, i) {
  const first = Math.floor((nodes * i) / processes);
  return { first, count: Math.floor((nodes * (i + 1)) / processes) - first };
}

/** Milliseconds until what `work` starts has ended. */
async function timed(work) {
  const started = monotonic();
  await work();
  return monotonic() - started;
}

/** The broadcast: how many heard it, how many more than once, and after how many milliseconds nobody new did. */
async function call(caller, workers, nodes) {
  const tally = async () => {
    const answers = await askAll(workers, 'heard');
    return { once: answers.reduce((sum, { once }) => sum + once, 0), more: answers.reduce((sum, { more }) => sum + more, 0) };
  };
  let heard = { once: 0, more: 0 };
  const reached = await timed(async () => {
    caller.broadcast('call');
    for (const until = monotonic() + PATIENCE; heard.once + heard.more < nodes && monotonic() < until; await sleep(LOOK)) heard = await tally();
  });
  await ask(workers[0], 'listen'); // a second copy would be here by now
  return { reached, ...await tally() };
}

function judgements({ nodes, joined, once, more, before, after }) {
  const kib = (after - before) / nodes / 1024;
  return [
    { what: `one broadcast reaches all ${count(nodes)}, each once`, said: `${count(once)} heard it once, ${count(more)} more often`, ok: once === nodes },
    { what: `the bridge holds ${MOST_KIB_PER_NODE} KiB at most for each node`, said: `${kib.toFixed(1)} KiB`, ok: kib <= MOST_KIB_PER_NODE },
    { what: `all join within ${JOIN_LIMIT / 1000} s`, said: `${(joined / 1000).toFixed(1)} s`, ok: joined <= JOIN_LIMIT, strict: true },
  ];
}

function page({ nodes, processes, joined, reached, before, after }, paint) {
  return [
    paint('bold', `Crowd: ${count(nodes)} nodes in ${processes} processes`),
    `  joined in ${(joined / 1000).toFixed(2)} s: ${count(nodes / (joined / 1000))} a second`,
    `  the broadcast had reached them after ${count(reached)} ms`,
    `  resident memory of the bridge ${mib(before)} → ${mib(after)}: ${((after - before) / nodes / 1024).toFixed(2)} KiB for each node`,
  ];
}

command(module, {
  name: 'crowd',
  about: 'Many nodes join one bus, and one broadcast reaches them all.\nExit code 0: it did, each once, and the bridge stayed small.',
  flags: {
    nodes: { default: 10_000, about: 'nodes', least: 2 },
    processes: { default: 4, about: 'processes that they are spread over', least: 2 },
    settle: { default: SETTLE, about: 'seconds of idleness before memory is measured' },
  },
  run: crowd,
  page,
});

module.exports = { crowd };
