'use strict';

// A process with nodes that talk to all others without pause, and keep a journal of it.
// settings: { ids, path, bridge, rate, replyTimeout, seed }. An id is "<process>-<group>.<life>".

const { obey, report, settings } = require('../support/orders');
const { Random } = require('../support/random');
const { Member } = require('../chaos/member');

/** Milliseconds between two rounds of sending. */
const TICK = 5;

/** Of a process that was busy or stopped, the load is not made up for beyond this many milliseconds. */
const MOST_AT_ONCE = 50;

const random = new Random(settings.seed);
const members = settings.ids.map((id) => new Member(id, settings, new Random(random.seed()), report));
let timer = null;

obey({
  ready: async () => {
    await Promise.all(members.map(({ node }) => node.ready));
    await Promise.all(members.map(({ node }) => node.nodes())); // the bridge knows what they listen for
  },
  roster: ({ ids }) => members.forEach((member) => member.meet(ids)),
  load: () => {
    let before = performance.now();
    timer = setInterval(() => {
      const now = performance.now();
      const due = (settings.rate * Math.min(MOST_AT_ONCE, now - before)) / 1000;
      before = now;
      for (const member of members) member.speak(due);
    }, TICK);
  },
  quiet: () => clearInterval(timer),
  hosting: () => ({ hosting: members.some(({ node }) => node.hosting) }),
  pulse: () => ({
    pending: total(({ node }) => node.pending),
    open: total(({ journal }) => journal.open),
    heard: total(({ journal }) => journal.heard),
    sent: total(({ sent }) => sent),
  }),
  journals: () => ({ journals: members.map(({ journal }) => journal), sent: total(({ sent }) => sent) }),
});

function total(pick) {
  return members.reduce((sum, member) => sum + pick(member), 0);
}
