'use strict';

// A process full of idle nodes. settings: { path, first, count }.

const { createNode } = require('../../..');
const { obey, settings } = require('../support/orders');

const { path, first, count } = settings;
const nodes = [];
/** How often each node heard the call. */
const heard = new Uint32Array(count);

obey({
  ready: () => {},
  join: async () => {
    for (let i = 0; i < count; i += 1) nodes.push(member(i));
    await Promise.all(nodes.map((node) => node.ready));
  },
  // In order behind what a node listens for: when it is answered, the bridge knows.
  listen: async () => {
    await Promise.all(nodes.map((node) => node.request('caller:barrier')));
  },
  heard: () => ({ once: heard.filter((times) => times === 1).length, more: heard.filter((times) => times > 1).length }),
});

function member(i) {
  const node = createNode({ path, id: `member-${first + i}`, maxConnectionAttempts: Infinity });
  return node.on('call', () => (heard[i] += 1));
}
