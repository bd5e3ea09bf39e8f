'use strict';

// Who is here, who comes, who goes: seen by the bridge and by any node that wants to know.

const { once } = require('node:events');
const { createBridge, createNode } = require('busybody');
const path = process.argv[2] ?? '/tmp/busybody-example.sock';

async function main() {
  const bridge = createBridge({ path });
  bridge.on('node:join', ({ id, pid }) => console.log(`bridge: ${id} joined${pid === process.pid ? ' from this process' : ''}`));
  await bridge.ready;

  const doorman = createNode({ path, id: 'doorman' });
  doorman.on('node:join', ({ id }) => console.log(`doorman: welcome, ${id}`));
  doorman.on('node:leave', ({ id }) => console.log(`doorman: goodbye, ${id}`));
  await doorman.ready;

  const welcomed = once(doorman, 'node:join');
  const guest = createNode({ path, id: 'guest' });
  await welcomed;
  console.log('here now:', (await guest.nodes()).map(({ id }) => id).sort().join(', '));

  // Two nodes cannot have one name.
  const impostor = createNode({ path, id: 'guest' });
  impostor.on('error', () => {}); // It learns it from `ready`, too.
  await impostor.ready.catch(({ code }) => console.log('impostor:', code));

  const left = once(doorman, 'node:leave');
  await guest.leave(); // A process that dies has left as well, soon after.
  await left;
  await bridge.close();
}

main();
