'use strict';

// The process that hosts the bus.

const { createBridge } = require('busybody');
const { followDirections, stopFollowing, tell } = require('./directed');

const [, socket] = process.argv.slice(2);

// Half a second is long enough to come back after a lost link, and short enough for a demo.
const bridge = createBridge({ path: socket, resumeTimeout: 500 });

bridge.handle('census', () => ({ pid: process.pid, names: bridge.nodes().map(({ id }) => id).sort() }));
bridge.on('node:leave', ({ id }, reason) => tell('node:leave', { id, reason }));

followDirections({
  async listening() {
    await bridge.ready;
    return bridge.url;
  },

  // A host with something else on its mind: its event loop does not turn until this ends.
  async block(milliseconds) {
    const from = Date.now();
    await tell('blocking');
    while (Date.now() - from < milliseconds);
    return { from, until: Date.now() };
  },

  async close(...farewell) {
    await bridge.close(farewell);
    setImmediate(stopFollowing); // once the director has heard
  },
});
