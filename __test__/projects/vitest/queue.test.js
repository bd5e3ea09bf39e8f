import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBridge, createNode } from 'busybody';
import { afterEach, expect, test, vi } from 'vitest';

const cleanUps = [];

/** A bus of its own for one test. */
async function bus() {
  const dir = mkdtempSync(join(tmpdir(), 'queue-'));
  const address = { path: join(dir, 'bus.sock') };
  const bridge = createBridge(address);
  await bridge.ready;
  cleanUps.push(() => rmSync(dir, { recursive: true, force: true }), () => bridge.close());
  return async (id) => {
    const node = createNode({ ...address, id });
    cleanUps.push(() => node.leave());
    await node.ready;
    return node;
  };
}

afterEach(async () => {
  vi.useRealTimers();
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

test('jobs are answered in order', async () => {
  const node = await bus();
  const [worker, boss] = [await node('worker'), await node('boss')];
  worker.handle('double', (n) => n * 2);
  expect(await Promise.all([1, 2, 3].map((n) => boss.request('worker:double', n)))).toEqual([2, 4, 6]);
});

test('a failing job rejects with its error', async () => {
  const node = await bus();
  const [worker, boss] = [await node('worker'), await node('boss')];
  worker.handle('fail', () => {
    throw Object.assign(new RangeError('too much'), { code: 'TOO_MUCH', limits: [1, 2] });
  });
  await expect(boss.request('worker:fail')).rejects.toThrowError(/too much/);
  await expect(boss.request('worker:fail')).rejects.toMatchObject({ name: 'RangeError', code: 'TOO_MUCH', limits: [1, 2] });
});

test('fake timers do not stop the bus', async () => {
  const node = await bus();
  const [worker, boss] = [await node('worker'), await node('boss')];
  worker.handle('double', (n) => n * 2);
  // Not process.nextTick, which Vitest needs itself where tests run in processes.
  vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'Date', 'performance'] });
  expect(await boss.request('worker:double', 21)).toBe(42);
  const late = await node('late');
  expect(await late.request('worker:double', 1)).toBe(2);
});

test('news reach those that listen', async () => {
  const node = await bus();
  const [reader, writer] = [await node('reader'), await node('writer')];
  const read = new Promise((resolve) => reader.on('news', resolve));
  // An answer to the reader comes after the bridge has heard that the reader listens.
  await reader.nodes();
  writer.broadcast('news', { title: 'extra' });
  expect(await read).toEqual({ title: 'extra' });
});
