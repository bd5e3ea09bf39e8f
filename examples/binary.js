'use strict';

// Bytes travel as bytes: Buffers, typed arrays and ArrayBuffers anywhere in the arguments,
// beside the JSON around them, never as base64.

const { createHash, randomBytes } = require('node:crypto');
const { createBridge, createNode } = require('busybody');
const path = process.argv[2] ?? '/tmp/busybody-example.sock';

async function main() {
  const bridge = createBridge({ path });
  await bridge.ready;
  const camera = createNode({ path, id: 'camera' });
  const archive = createNode({ path, id: 'archive' });
  await archive.ready;

  archive.handle('store', ({ name, image, histogram }) => {
    console.log(`${name}: ${image.length} bytes, a ${image.constructor.name} and a ${histogram.constructor.name}`);
    return sha256(image);
  });

  const image = randomBytes(8 * 2 ** 20);
  const histogram = Float32Array.of(0.25, 0.5, 0.25);
  const stored = await camera.request('archive:store', { name: 'sunset.raw', image, histogram });
  console.log(stored === sha256(image) ? 'stored byte for byte' : 'damaged');

  // What JSON cannot say (Map, Set, Date, BigInt, cycles) goes as a structured clone.
  // It is the sender's choice; the receiver understands both.
  const clerk = createNode({ path, id: 'clerk', serialization: 'advanced' });
  archive.handle('tag', (tags) => [...tags.keys()].join(' and '));
  console.log(await clerk.request('archive:tag', new Map([['sea', 1n], ['sun', 2n]])));

  await bridge.close();
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

main();
