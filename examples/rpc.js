'use strict';

// Call the process that hosts the bus: for what all share and one process should own,
// such as configuration, counters, or a lock.

const { createBridge, createNode } = require('busybody');
const path = process.argv[2] ?? '/tmp/busybody-example.sock';

async function main() {
  const bridge = createBridge({ path });
  const counters = new Map();

  // What is returned is the reply, as with bridge.handle; the first argument knows who calls.
  bridge.serve('next', ({ from }, name) => {
    const value = (counters.get(name) ?? 0) + 1;
    counters.set(name, value);
    return { value, for: from };
  });
  await bridge.ready;

  const [printer, till] = ['printer', 'till'].map((id) => createNode({ path, id }));
  console.log(await printer.call('next', 'invoice'));
  console.log(await till.call('next', 'invoice'));

  // A method that nobody handles is an error at once, not a timeout later.
  await till.call('previous', 'invoice').catch(({ code }) => console.log(code));

  await bridge.close();
}

main();
