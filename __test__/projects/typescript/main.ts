import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BusybodyError, createBridge, createNode } from 'busybody';
import type { NodeInfo, Reply } from 'busybody';

interface Photo { name: string; pixels: Buffer }

type Studio = {
  camera: { snap(name: string): Photo };
  '*': { closing(minutes: number): void };
};

const dir = mkdtempSync(join(tmpdir(), 'photos-'));
const address = { path: join(dir, 'bus.sock') };

try {
  await using bridge = createBridge(address);
  await using camera = createNode({ ...address, id: 'camera' });
  await using album = createNode({ ...address, id: 'album' });
  await Promise.all([bridge.ready, camera.ready, album.ready]);

  camera.handle('snap', (name: string): Photo => ({ name, pixels: Buffer.alloc(4, 7) }));
  camera.on('note', (text: string, reply: Reply) => reply(null, `${reply.from} says ${text}`));

  const photo = await album.request<Photo>('camera:snap', 'sea');
  assert.equal(photo.name, 'sea');
  assert.deepEqual(photo.pixels, Buffer.alloc(4, 7));
  assert.equal(await album.request<string>('camera:note', 'hello'), 'album says hello');

  await using visitor = createNode<Studio>({ ...address, id: 'visitor' });
  await visitor.ready;
  const { pixels } = await visitor.request('camera:snap', 'dunes');
  assert.equal(pixels.length, 4);
  visitor.broadcast('closing', 10);
  // @ts-expect-error the contract knows no such event of the camera
  await visitor.request('camera:develop').catch(() => {});
  // @ts-expect-error and that one takes a number
  visitor.broadcast('closing', 'soon');

  const failure: unknown = await album.request('nobody:snap').catch((error: unknown) => error);
  assert(failure instanceof BusybodyError);
  assert.equal(failure.code, 'ERR_UNKNOWN_NODE');

  const infos: NodeInfo[] = await album.nodes();
  assert.deepEqual(infos.map(({ id }) => id).sort(), ['album', 'camera', 'visitor']);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
console.log('OK');
