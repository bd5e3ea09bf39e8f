'use strict';

// Who is on the bus during a soak. settings: { role, path, … }: 'resident' stays all the time, 'visitor' is a process that
// comes, does a bit of everything, and ends one way or another.

const { createNode } = require('../../..');
const { obey, report, settings } = require('../support/orders');

/** Of a visit: nodes of a process, events each listens for, questions and broadcasts of each. */
const NODES = 4;
const EVENTS = 10;
const QUESTIONS = 40;
const BROADCASTS = 20;

const { role, path } = settings;
let [asked, failures, heard] = [0, 0, 0];

({ resident, visitor })[role]();

function resident() {
  const nodes = ['resident-0', 'resident-1'].map((id) => createNode({ path, id }));
  for (const node of nodes) {
    node.handle('ask', (value) => value);
    node.on('news', () => (heard += 1));
    for (const event of ['node:join', 'node:leave']) node.on(event, () => (heard += 1));
  }
  obey({
    ready: () => Promise.all(nodes.map((node) => node.ready)),
    roster: async () => ({ ids: (await nodes[0].nodes()).map(({ id }) => id) }),
    visit: async ({ name }) => {
      const guests = await visit(name);
      await Promise.all(guests.map((node) => node.leave()));
    },
    holdings: () => ({ handles: process.getActiveResourcesInfo().length, asked, failures, heard }),
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

async function chat(node) {
  for (let n = 0; n < BROADCASTS; n += 1) node.broadcast(n % 2 ? 'news' : `event-${n % EVENTS}`, n);
  const questions = Array.from({ length: QUESTIONS }, (_, n) => node.request(`resident-${n % 2}:ask`, n));
  asked += QUESTIONS;
  for (const outcome of await Promise.allSettled(questions)) failures += Number(outcome.status === 'rejected');
}
