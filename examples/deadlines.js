'use strict';

// Every request settles: with a reply, with an error as soon as its cause is known, or at its deadline.

const { createBridge, createNode } = require('busybody');
const path = process.argv[2] ?? '/tmp/busybody-example.sock';

async function main() {
  const bridge = createBridge({ path });
  await bridge.ready;
  const oracle = createNode({ path, id: 'oracle' });
  await oracle.ready;
  oracle.handle('ask', () => new Promise(() => {})); // It thinks for ever.

  // The deadline of every request of this node; 30 seconds unless it says otherwise.
  const hasty = createNode({ path, id: 'hasty', replyTimeout: 200 });
  await show('own deadline', hasty.request('oracle:ask'));

  // Another deadline for some of them.
  await show('shorter', hasty.with({ timeout: 50 }).request('oracle:ask'));

  // Or none, and the freedom to give up: a reply that comes after that is dropped.
  const change = new AbortController();
  const patient = hasty.with({ timeout: 0, signal: change.signal });
  setTimeout(() => change.abort(), 50);
  await show('given up', patient.request('oracle:ask'));

  // What is known to be in vain does not wait for any deadline.
  await show('nobody there', hasty.request('prophet:ask'));
  await show('not listened for', hasty.request('oracle:tell'));
  const asked = hasty.with({ timeout: 0 }).request('oracle:ask');
  setTimeout(() => oracle.leave(), 50);
  await show('it left', asked);

  await bridge.close();
}

async function show(what, request) {
  const code = await request.catch((error) => error.code);
  console.log(`${what}: ${code}`);
}

main();
