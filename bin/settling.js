'use strict';

const { usageIfRefused } = require('./exit-codes');

/** Sends what has no reply, and leaves; what the bus says it cannot deliver is an error. */
async function sendAndSettle(node, send) {
  const failures = [];
  node.on('undeliverable', (failure) => failures.push(failure));
  usageIfRefused(send);
  await node.ready;
  await node.leave(); // Everything sent before is delivered first, and so is word of what cannot be.
  if (failures.length) throw undeliverable(failures[0]);
}

function undeliverable({ target, event, code }) {
  return Object.assign(new Error(`${target ?? event} could not be delivered`), { code });
}

module.exports = { sendAndSettle };
