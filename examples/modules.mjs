// @ts-check
// As an ES module, with types: the package has its own. Nodes are EventEmitters,
// so what node:events offers works with them.

import { on, once } from 'node:events';
import { createBridge, createNode } from 'busybody';

const path = process.argv[2] ?? '/tmp/busybody-example.sock';

const bridge = createBridge({ path });
await bridge.ready;
const clock = createNode({ path, id: 'clock' });
const reader = createNode({ path, id: 'reader' });
await Promise.all([clock.ready, reader.ready]);

/** @typedef {{ hour: number, minute: number }} Time */
clock.handle('time', () => ({ hour: 12, minute: 30 }));

/** @type {Time} */
const time = await reader.request('clock:time');
console.log(`${time.hour}:${time.minute}`);

// One event as a promise …
const alarm = once(reader, 'alarm');
await reader.nodes(); // The bridge has heard by now that reader listens.
clock.broadcast('alarm', 'wake up');
const [text] = await alarm;
console.log(text);

// … and a stream of them as a loop.
const ticks = on(reader, 'tick');
await reader.nodes();
for (let i = 1; i <= 3; i++) clock.broadcast('tick', i);
for await (const [tick] of ticks) {
  console.log(`tick ${tick}`);
  if (tick === 3) break;
}

await bridge.close();
