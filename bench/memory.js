'use strict';

// What an idle bus costs: resident memory of the hub for each node, and CPU when nothing is sent. The hub is alone in its
// process; the nodes are spread over several, each a real node of the driver.

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const { Actor, freshDirectory, removeDirectory, within } = require('./processes.js');

const CROWD = 500;

/** Descriptors that a process has open besides its nodes' sockets. */
const OTHER_DESCRIPTORS = 100;

/** Milliseconds until all are connected. */
const CONNECT_TIMEOUT = 120_000;

/** V8 tidies up after itself when a process has been idle for some 8 seconds; neither its garbage nor this is the bus's. */
const SETTLE = 12_000;

/** Milliseconds over which CPU is taken. */
const IDLE = 5_000;

/**
 * Resolves to [{ peer, nodes, kibPerNode, residentKiB: { before, after }, cpu: { bridge, nodes } }], CPU in percent of
 * one core; or { peer, error }.
 */
async function memory(peers, nodes, progress) {
  const results = [];
  for (const peer of peers) {
    progress(`idle bus of ${nodes} nodes: ${peer}`);
    results.push(await idleBus(peer, nodes).catch((err) => ({ peer, error: err.message.split('\n')[0] })));
  }
  return results;
}

async function idleBus(peer, nodes) {
  if (process.platform !== 'linux') throw new Error('memory and CPU of a process are read from /proc: Linux only');
  const possible = Math.min(nodes, descriptorLimit() - OTHER_DESCRIPTORS);
  if (possible < nodes) throw new Error(`a process may open ${descriptorLimit()} files here: not enough for ${nodes} nodes (ulimit -Hn, or --nodes)`);
  const dir = freshDirectory();
  const hub = new Actor('hub');
  const crowds = [];
  try {
    const { address, pid } = await within(CONNECT_TIMEOUT, hub.start({ peer, dir }), () => 'the hub did not start');
    await sleep(SETTLE);
    const before = residentKiB(pid);
    await within(CONNECT_TIMEOUT, Promise.race([gather(crowds, peer, address, nodes), hub.failed]), () => `${nodes} nodes were not connected in time`);
    await sleep(SETTLE);
    const cpu = await idleCpu(pid, crowds.map(({ child }) => child.pid));
    const after = residentKiB(pid);
    return { peer, nodes, kibPerNode: (after - before) / nodes, residentKiB: { before, after }, cpu };
  } finally {
    for (const actor of [...crowds, hub]) actor.end();
    removeDirectory(dir);
  }
}

/** One process after the other, so that the listener's backlog is no part of this. */
async function gather(crowds, peer, address, nodes) {
  for (let first = 0; first < nodes; first += CROWD) {
    const crowd = new Actor('crowd');
    crowds.push(crowd);
    await crowd.start({ peer, address, first, count: Math.min(CROWD, nodes - first) });
  }
}

async function idleCpu(hub, crowds) {
  const used = () => ({ bridge: cpuNanoseconds(hub), nodes: crowds.reduce((sum, pid) => sum + cpuNanoseconds(pid), 0) });
  const started = process.hrtime.bigint();
  const before = used();
  await sleep(IDLE);
  const after = used();
  const percent = (key) => ((after[key] - before[key]) / Number(process.hrtime.bigint() - started)) * 100;
  return { bridge: percent('bridge'), nodes: percent('nodes') };
}

/** Of all threads of a process, from the scheduler: /proc/<pid>/stat counts in ticks of 10 ms. */
function cpuNanoseconds(pid) {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) => sum + Number(fs.readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]), 0);
}

function residentKiB(pid) {
  return Number(/^VmRSS:\s*(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

/** The hard limit: Node raises its own soft limit to it when it starts. */
function descriptorLimit() {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'));
  return hard === 'unlimited' ? Infinity : Number(hard);
}

module.exports = { memory };
