'use strict';

// The two ends of a flood. settings: { role: 'sender' | 'receiver', path, maxPending, polite }.

const { once } = require('node:events');
const { setImmediate: turn } = require('node:timers/promises');
const { createNode } = require('../../..');
const { Journal } = require('../support/journal');
const { obey, settings } = require('../support/orders');

/** Bytes of a message's body besides its number. */
const SIZE = 1000;

/** Messages sent in one turn of the loop. */
const BURST = 1000;

/** The receiver computes so long of every period, in milliseconds, and hears nothing meanwhile. */
const BUSY = 100;
const PERIOD = 200;

const { role, path, maxPending, polite } = settings;
const journal = new Journal(role);
const node = createNode({ id: role, path, maxPending });
const troubles = [];
for (const event of ['error', 'close', 'disconnect']) node.on(event, (error) => troubles.push(`${role}: '${event}' ${error?.code ?? ''}`));

obey({ sender, receiver }[role]());

function sender() {
  let [flooding, waits] = [null, 0];
  const filler = 'x'.repeat(SIZE);
  node.on('undeliverable', ({ code }) => journal.denied('receiver', code));

  async function flood(until) {
    while (performance.now() < until) {
      for (let n = 0; n < BURST && !(polite && node.needDrain); n += 1) node.publish('receiver:drop', journal.tell('receiver'), filler);
      if (polite && node.needDrain) {
        waits += 1;
        await once(node, 'drain');
      } else await turn();
    }
  }

  return {
    ready: () => node.ready,
    flood: ({ seconds }) => void (flooding = flood(performance.now() + seconds * 1000)),
    settle: async () => {
      await flooding;
      // In order behind all that was sent, and it waits for room as long as it takes.
      while (node.needDrain) await once(node, 'drain');
      await node.with({ timeout: 0 }).request('receiver:barrier');
      return { waits };
    },
    journals: () => ({ journals: [journal], troubles }),
  };
}

function receiver() {
  node.on('drop', (number, filler) => {
    if (filler.length !== SIZE) journal.damaged += 1;
    journal.hear('sender', number);
  });
  node.handle('barrier', () => true);
  setInterval(() => {
    for (const until = performance.now() + BUSY; performance.now() < until;);
  }, PERIOD);
  return { ready: () => node.ready, journals: () => ({ journals: [journal], troubles }) };
}
