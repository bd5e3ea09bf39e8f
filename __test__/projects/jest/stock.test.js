const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { createBridge, createNode } = require('busybody');
const { createStock } = require('./stock.js');

// A bus of its own for each test: an address that nobody else has, and everything left at the end.
let dir;
let bridge;
let stock;
let shop;

beforeEach(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), 'stock-'));
  const address = { path: path.join(dir, 'bus.sock') };
  bridge = createBridge(address);
  stock = createStock(address, { tea: 2 });
  shop = createNode({ ...address, id: 'shop' });
  await Promise.all([bridge.ready, stock.ready, shop.ready]);
});

afterEach(async () => {
  jest.useRealTimers();
  await Promise.all([shop.leave(), stock.leave()]);
  await bridge.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

test('an answer equals what was returned', async () => {
  await expect(shop.request('stock:take', 'tea')).resolves.toEqual({ article: 'tea', left: 1 });
});

test('an error of the handler is an Error with all that it said', async () => {
  const failed = shop.request('stock:take', 'gin');
  await expect(failed).rejects.toThrow('no gin left');
  await expect(failed).rejects.toBeInstanceOf(Error);
  await expect(failed).rejects.toMatchObject({
    name: 'OutOfStock', code: 'OUT_OF_STOCK', details: [{ article: 'gin', left: 0 }],
  });
});

test('an error that travels as a value is an Error, too', async () => {
  const [heard] = await new Promise((resolve) => {
    stock.on('report', (...args) => resolve(args));
    shop.publish('stock:report', new TypeError('not mine', { cause: new RangeError('yours') }));
  });
  expect(heard).toBeInstanceOf(Error);
  expect(heard.name).toBe('TypeError');
  expect(heard.message).toBe('not mine');
  expect(heard.cause.message).toBe('yours');
});

describe('with fake timers', () => {
  test('the bus goes on in real time', async () => {
    jest.useFakeTimers();
    expect(await shop.request('stock:take', 'tea')).toEqual({ article: 'tea', left: 1 });
    await expect(shop.with({ timeout: 50 }).request('stock:never')).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
  });

  test('a node that is made meanwhile joins and leaves', async () => {
    jest.useFakeTimers();
    const late = createNode({ url: bridge.url, id: 'late' });
    await late.ready;
    expect(await late.request('stock:take', 'tea')).toEqual({ article: 'tea', left: 1 });
    await late.leave();
  });

  test('and afterwards', async () => {
    jest.useFakeTimers();
    shop.publish('stock:take', 'tea');
    jest.useRealTimers();
    expect(await shop.request('stock:take', 'tea')).toEqual({ article: 'tea', left: 0 });
    await expect(shop.with({ timeout: 50 }).request('stock:never')).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
  });

  test('those of sinon, installed before busybody is loaded anew', async () => {
    const clock = require('sinon').useFakeTimers({ shouldClearNativeTimers: true });
    try {
      await jest.isolateModulesAsync(async () => {
        const fresh = require('busybody').createNode({ url: bridge.url, id: 'fresh' });
        await fresh.ready;
        expect(await fresh.request('stock:take', 'tea')).toEqual({ article: 'tea', left: 1 });
        await fresh.leave();
      });
    } finally {
      clock.restore();
    }
  });
});

test('values arrive as they were sent', async () => {
  stock.handle('echo', (value) => value);
  const value = { at: new Date(0), tags: new Set(['a']), big: 10n, none: undefined, map: new Map([[1, Buffer.from('b')]]) };
  const echoed = await shop.request('stock:echo', value);
  expect(echoed.at.toISOString()).toBe('1970-01-01T00:00:00.000Z');
  expect([...echoed.tags]).toEqual(['a']);
  expect(echoed.big).toBe(10n);
  expect([...echoed.map.keys()]).toEqual([1]);
  expect(Buffer.from(echoed.map.get(1)).toString()).toBe('b');
});
