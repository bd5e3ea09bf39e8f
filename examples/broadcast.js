'use strict';

// Tell everybody who cares. The bridge knows who listens for what: the others get nothing at all.

const { once } = require('node:events');
const { createBridge, createNode } = require('busybody');
const path = process.argv[2] ?? '/tmp/busybody-example.sock';

async function main() {
  const bridge = createBridge({ path });
  await bridge.ready;
  const [station, farmer, sailor] = ['station', 'farmer', 'sailor'].map((id) => createNode({ path, id }));

  // Listening is all there is to it. Removing the listener ends it.
  farmer.on('rain', (millimetres, { from }) => console.log(`farmer hears from ${from}: ${millimetres} mm of rain`));
  sailor.on('storm', (force) => console.log(`sailor hears: storm, force ${force}`));
  await Promise.all([station, farmer, sailor].map((node) => node.ready));

  const raining = once(farmer, 'rain');
  station.broadcast('pollen', 'low'); // Nobody listens: it ends at the bridge.
  station.broadcast('rain', 12);
  await raining;
  const storming = once(sailor, 'storm');
  station.broadcast('storm', 9);
  await storming;

  // The values given to close() are the last thing every node hears.
  farmer.on('close', (why) => console.log(`farmer: the bus is closed, "${why}"`));
  await bridge.close(['end of the forecast']);
}

main();
