'use strict';

// Who is on the bus during a soak. settings: { role, path, … }: 'resident' stays all the time, 'visitor' is a process that
// comes, does a bit of everything, and ends one way or another.

const v8 = require('node:v8');
const vm = require('node:vm');
const { createNode } = require('../../..');
const { obey, report, settings } = require('../support/orders');

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');

/** Of a visit: nodes of a process, events each listens for, questions and broadcasts of each, and questions given up. */
const NODES = 4;
const EVENTS = 10;
const QUESTIONS = 40;
const BROADCASTS = 20;
const GIVEN_UP = 4;
/** A part of filling: senders, how many of them come at a time, and of each more runs of numbers than are remembered. */
const SENDERS = 6_600;
const AT_ONCE = 40;
const RUNS = 20;
/** Milliseconds until a late answer comes: after those who asked have given up. */
const LATE = 20;

const { role, path } = settings;
let [asked, failures, heard] = [0, 0, 0];

({ resident, visitor })[role]();

function resident() {
  const nodes = ['resident-0', 'resident-1'].map((id) => createNode({ path, id }));
  for (const node of nodes) {
    node.handle('ask', (value) => value);
    node.handle('late', () => new Promise((resolve) => setTimeout(resolve, LATE, 'late')));
    for (const event of ['news', 'told']) node.on(event, () => (heard += 1));
    for (const event of ['node:join', 'node:leave']) node.on(event, () => (heard += 1));
  }
  obey({
    ready: () => Promise.all(nodes.map((node) => node.ready)),
    roster: async () => {
      gc(); // Nodes that were forgotten leave when they are collected.
      return { ids: (await nodes[0].nodes()).map(({ id }) => id) };
    },
    visit: async ({ name }) => {
      const guests = await visit(name);
      await Promise.all(guests.map((node) => node.leave()));
      await forget(`${name}-forgotten`);
    },
    fill: ({ part }) => fill(part),
    holdings: () => {
      gc();
      const heap = process.memoryUsage().heapUsed;
      return { handles: process.getActiveResourcesInfo().length, heap, asked, failures, heard };
    },
  });
}

/** settings: { name, end }: 'leave' | 'exit' | 'kill'. */
async function visitor() {
  // Not through obey(): a process that takes orders does not end by itself, and that is one of the ends.
  process.on('disconnect', () => process.exit());
  process.channel.unref(); // which that listener would keep open
  const nodes = await visit(settings.name);
  report('done', { asked, failures });
  if (settings.end === 'leave') return nodes.forEach((node, i) => node.leave(i % 2 === 1));
  if (settings.end === 'exit') process.exit();
  for (;;) await Promise.all(nodes.map(chat)); // until it is killed, always in the middle of something
}

/** Nodes come, listen, ask and broadcast. Half of them leave again; the others are returned. */
async function visit(name) {
  const nodes = Array.from({ length: NODES }, (_, i) => createNode({ path, id: `${name}-${i}` }));
  for (const node of nodes) for (let event = 0; event < EVENTS; event += 1) node.on(`event-${event}`, () => {});
  await Promise.all(nodes.map((node) => node.ready));
  await Promise.all(nodes.map(chat));
  await Promise.all(nodes.slice(NODES / 2).map((node, i) => node.leave(i % 2 === 1)));
  return nodes.slice(0, NODES / 2);
}

/**
 * Names, and of senders the numbers that came, are remembered, to a bound: in ten parts as many nodes say something as fill that,
 * so that what grows afterwards is something else. What goes to another node in between begins another run of numbers.
 */
async function fill(part) {
  for (let batch = 0; batch * AT_ONCE < SENDERS; batch += 1) {
    await Promise.all(Array.from({ length: AT_ONCE }, async (_, i) => {
      const node = createNode({ path, id: `filler-${part}-${batch}-${i}` });
      for (let n = 0; n < 2 * RUNS; n += 1) node.publish(`resident-${n % 2}:told`, n);
      await node.ready;
      await node.leave();
    }));
  }
}

/** A node that asks something, and is never left. */
async function forget(id) {
  const node = createNode({ path, id });
  await node.ready;
  asked += 1;
  await node.request('resident-0:ask', id);
}

/** Questions that nobody waits for when their answers come: each was given another time, or taken back. */
let times = 0;

async function giveUp(node) {
  const questions = Array.from({ length: GIVEN_UP }, (_, n) => {
    if (n % 2 === 0) return node.with({ timeout: 1 + times++ % 10 }).request('resident-0:late');
    const controller = new AbortController();
    const question = node.with({ signal: controller.signal, timeout: 3_600_000 + times++ }).request('resident-1:late');
    setImmediate(() => controller.abort());
    return question;
  });
  const outcomes = await Promise.allSettled(questions);
  failures += outcomes.filter(({ status, reason }) => status === 'rejected' && !['ERR_TIMEOUT', 'ABORT_ERR'].includes(reason.code)).length;
}

async function chat(node) {
  await giveUp(node);
  for (let n = 0; n < BROADCASTS; n += 1) node.broadcast(n % 2 ? 'news' : `event-${n % EVENTS}`, n);
  const questions = Array.from({ length: QUESTIONS }, (_, n) => node.request(`resident-${n % 2}:ask`, n));
  asked += QUESTIONS;
  for (const outcome of await Promise.allSettled(questions)) failures += Number(outcome.status === 'rejected');
}
