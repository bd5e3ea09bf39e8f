'use strict';

const { createBridge } = require('../..');
const { parseAddress } = require('../address');
const { UsageError, usageIfRefused } = require('../exit-codes');

module.exports = {
  name: 'bridge',
  synopsis: '[address]',
  summary: 'Host a bus until interrupted',
  details: 'Prints the address once it listens. Ctrl-C or SIGTERM closes the bus: every node is told.',
  options: {},
  arity: [0, 1],
  examples: ['bridge', 'bridge /run/app/bus.sock', 'bridge 127.0.0.1:8221', 'bridge tcp://[::1]:0 --json'],
  endless: true,
  run,
};

async function run({ args: [where], options, output, interruption }) {
  if (where !== undefined && options.address !== undefined) {
    throw new UsageError('the address is given twice');
  }
  const bridge = usageIfRefused(() => createBridge(parseAddress(where ?? options.address)));
  const failure = new Promise((_, reject) => bridge.on('error', reject));
  try {
    await Promise.race([bridge.ready, failure, interruption]);
    announce(bridge, output);
    await Promise.race([failure, interruption]);
  } finally {
    await bridge.close();
  }
}

function announce({ url }, output) {
  if (output.json) output.record({ event: 'listening', url, pid: process.pid });
  else output.line(`listening on ${url}`);
}
