'use strict';

// A worker process's side of staff.js: it does what it is told, and answers each order.

/** argv: the settings of this process. */
const settings = JSON.parse(process.argv[2]);

function report(kind, facts) {
  if (process.connected) process.send({ kind, ...facts });
}

/** `commands`: by name, functions of the order's details; what they return or resolve to is the answer. */
function obey(commands) {
  process.on('message', async ({ do: order, ...details }) => report(order, await commands[order](details)));
  // Whoever gives the orders is gone: nothing may outlive a stress run.
  process.on('disconnect', () => process.exit());
}

module.exports = { obey, report, settings };
