'use strict';

const { createNode } = require('..');
const { parseAddress } = require('./address');
const { usageIfRefused } = require('./exit-codes');

// A person waits for the answer: a bus that is not there is reported, not waited for.
const CONNECTION_ATTEMPTS = 2;

// How long a bus that no longer answers may hold up our leaving.
const LEAVE_TIMEOUT = 2_000;

/**
 * Joins the bus for as long as `work(node)` takes, and leaves it whatever happens. Ends early,
 * with the reason, when the user interrupts or the node fails for good.
 */
async function withNode({ options, interruption }, work) {
  const node = usageIfRefused(() => createNode(nodeOptions(options)));
  try {
    return await Promise.race([work(node), failureOf(node), interruption]);
  } finally {
    await leave(node);
  }
}

function nodeOptions({ address, id, timeout }) {
  const options = { ...parseAddress(address), bridge: 'require', maxConnectionAttempts: CONNECTION_ATTEMPTS };
  if (id !== undefined) options.id = id;
  if (timeout !== undefined) options.replyTimeout = timeout;
  return options;
}

function failureOf(node) {
  return new Promise((_, reject) => {
    node.on('error', reject);
    node.ready.catch(reject);
  });
}

// What was sent is delivered first, unless the bus has stopped answering.
async function leave(node) {
  const giveUp = setTimeout(() => node.leave(true), LEAVE_TIMEOUT);
  try {
    await node.leave();
  } catch {
    // It has left already: whatever the reason was, it has been reported.
  } finally {
    clearTimeout(giveUp);
  }
}

module.exports = { withNode };
