'use strict';

// The speed and memory that busybody promises itself, and whether this run kept it.

const { US } = require('./summary.js');

/**
 * ours ÷ theirs of the medians: at most for a latency, at least for a rate. '*': every peer. `against`: not a peer's
 * figure but ours of another scenario.
 */
const TARGETS = [
  { scenario: 'roundtrip', peer: 'handwritten', most: 0.9 },
  { scenario: 'roundtrip', peer: 'nats', most: 0.5 },
  { scenario: 'inflight', peer: 'handwritten', least: 2.2 },
  { scenario: 'inflight', peer: 'nats', least: 5 },
  { scenario: 'inflight', peer: 'node-ipc', least: 5 },
  { scenario: 'inflight', peer: 'child-process', least: 1.1 },
  { scenario: 'ask-object', peer: 'handwritten', most: 0.55 },
  { scenario: 'inflight-object', peer: 'handwritten', least: 1.9 },
  { scenario: 'inflight-object', peer: 'nats', least: 5 },
  { scenario: 'inflight-object', peer: 'node-ipc', least: 5 },
  { scenario: 'inflight-await', peer: 'busybody', against: 'inflight', least: 0.88 },
  { scenario: 'oneway-object', peer: 'handwritten', least: 5 },
  { scenario: 'oneway-object', peer: 'nats', least: 4 },
  { scenario: 'oneway-object-1k', peer: 'handwritten', least: 4.5 },
  { scenario: 'oneway-object-1k', peer: 'nats', least: 2.5 },
  { scenario: 'fanout-object', peer: 'handwritten', least: 5 },
  { scenario: 'fanout-object', peer: 'nats', least: 4 },
  { scenario: 'fanout-object', peer: 'redis', least: 4 },
  { scenario: 'oneway-32', peer: 'handwritten', least: 4 },
  { scenario: 'oneway-32', peer: 'nats', least: 3 },
  { scenario: 'oneway-1k', peer: 'handwritten', least: 4 },
  { scenario: 'oneway-1k', peer: 'nats', least: 2.5 },
  { scenario: 'fanout', peer: 'handwritten', least: 8 },
  { scenario: 'fanout', peer: '*', least: 4 },
  { scenario: 'binary', peer: 'handwritten', least: 3 },
  { scenario: 'binary', peer: 'nats', least: 3 },
];
const MOST_KIB_PER_NODE = 20;

/** The nodes that the memory target is about. */
const NODES = 5000;

/** Percent of one core that counts as none: what a scheduler tick or two of bookkeeping cost. */
const IDLE_CPU = 0.1;

/**
 * [{ target, measured, unit, passed: true | false | null }]: null where one side was to be measured and was not.
 * `chosen` names the peers that were to take part.
 */
function judge(summary, memory, chosen) {
  const targets = TARGETS.filter(({ peer }) => chosen.includes(US) && (peer === '*' || chosen.includes(peer)));
  return [...targets.flatMap((target) => judgeTarget(target, summary)), ...judgeMemory(memory)];
}

function judgeTarget({ scenario: name, peer, against, least, most }, summary) {
  const scenario = summary.find((candidate) => candidate.name === name);
  const other = summary.find((candidate) => candidate.name === (against ?? name));
  if (!scenario || !other) return [];
  const [{ peers }] = scenario.figures;
  const [{ peers: theirs }] = other.figures;
  const others = peer === '*' ? Object.keys(theirs).filter((each) => each !== US && each !== 'handwritten') : [peer];
  return others.map((each) => {
    const measured = peers[US] && theirs[each] ? peers[US].median / theirs[each].median : null;
    const passed = measured === null ? null : least === undefined ? measured <= most : measured >= least;
    const bound = least === undefined ? `≤ ${most}` : `≥ ${least}`;
    const whose = against === undefined ? each : `"${other.title}"`;
    return { target: `${scenario.title}: ${bound} × ${whose}`, measured: measured === null ? null : round(measured), unit: '×', passed };
  });
}

function judgeMemory(memory) {
  const ours = memory?.find(({ peer }) => peer === US);
  if (!ours) return [];
  const { nodes, kibPerNode, cpu } = ours;
  return [
    {
      target: `Idle bus: ≤ ${MOST_KIB_PER_NODE} KiB resident in the bridge for each of ${NODES} nodes`,
      measured: round(kibPerNode),
      unit: `KiB (${nodes} nodes)`,
      passed: nodes < NODES ? null : kibPerNode <= MOST_KIB_PER_NODE,
    },
    {
      target: 'Idle bus: no CPU, bridge and nodes',
      measured: round(cpu.bridge + cpu.nodes),
      unit: '% of a core',
      passed: cpu.bridge + cpu.nodes <= IDLE_CPU,
    },
  ];
}

const round = (number) => Number(number.toPrecision(3));

module.exports = { judge };
