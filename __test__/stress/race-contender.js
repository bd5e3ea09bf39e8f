'use strict';

// One of many processes that race for one address, many times in its life. argv: { path, gate }. It is told what to
// do by messages; `gate` is a named pipe that all contenders of a round wait at, until its other end is closed.

const fs = require('node:fs');
const { createBridge, createNode } = require('../..');

const { path, gate } = JSON.parse(process.argv[2]);
const report = (kind, facts, sent) => process.send({ kind, ...facts }, sent);

/** What this process runs in this round. */
let entry = null;

const orders = {
  // Blocked in read(2), all are let go by the kernel at once: no other barrier brings them so close together.
  race(round) {
    const waiting = fs.openSync(gate, 'r');
    report('armed', {}, () => {
      fs.readSync(waiting, Buffer.alloc(1));
      fs.closeSync(waiting);
      enter(round);
    });
  },
  enter,
  look: () => report('seen', { connected: entry.connected, hosting: entry.hosting }),
  async end() {
    await (entry.leave ?? entry.close).call(entry);
    entry = null;
    report('ended');
  },
};

function enter({ as, id }) {
  entry = as === 'bridge' ? runForBridge() : joinAsNode(id);
  entry.on('error', () => {}); // `ready` tells
  entry.ready.then(
    () => report('result', { entered: true, hosting: as === 'bridge' || entry.hosting }),
    ({ code, message }) => report('result', { entered: false, hosting: false, code, message }),
  );
}

function runForBridge() {
  return createBridge({ path }).handle('pid', () => process.pid);
}

function joinAsNode(id) {
  const node = createNode({ path, id, bridge: 'auto', maxConnectionAttempts: Infinity });
  node.handle('report', async () => {
    const ids = (await node.nodes()).map((info) => info.id);
    return { pid: process.pid, hosting: node.hosting, ids: ids.sort(), bridge: await bridgeOf(node) };
  });
  return node;
}

/** The pid of the bridge's process, or null when its host is a node, which has no methods. */
function bridgeOf(node) {
  return node.call('pid').catch((error) => {
    if (error.code === 'ERR_NO_METHOD') return null;
    throw error;
  });
}

process.on('message', ({ order, ...facts }) => orders[order](facts));
// Nobody is left who could end it.
process.on('disconnect', () => process.exit(1));
report('loaded');
