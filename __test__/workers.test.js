'use strict';

// Threads are environments of their own: nodes and bridges live in them, and the end of one disturbs no other.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { once } = require('node:events');
const { Worker } = require('node:worker_threads');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { collect } = require('./support/watch');

/** A thread running fixtures/worker.js; `next(kind)` awaits its reports. */
function thread(t, role, options) {
  const worker = new Worker(path.join(__dirname, 'fixtures', 'worker.js'), { workerData: { role, options } });
  const failed = once(worker, 'error').then(([err]) => Promise.reject(err));
  failed.catch(() => {}); // told to whoever waits
  const reports = collect(worker, 'message');
  const next = async (kind) => {
    for (let count = 1; ; count += 1) {
      const values = await Promise.race([reports.reached(count), failed]);
      const found = values.findIndex((report) => report.kind === kind);
      if (found >= 0) return values.splice(found, 1)[0];
      count = values.length;
    }
  };
  t.after(() => worker.terminate(), { timeout: 20_000 });
  return { worker, next, exited: once(worker, 'exit').then(([code]) => code) };
}

test('a node in a thread talks with one in the main thread, both ways', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  ann.handle('triple', (n) => 3 * n);
  const { worker, next } = thread(t, 'node', { ...bus.address, id: 'threaded' });
  await next('ready');
  assert.equal(await ann.request('threaded:double', 21), 42);
  worker.postMessage({ ask: ['ann:triple', 5] });
  assert.equal((await next('answered')).value, 15);
});

test('a bridge in a thread serves the main thread, and closes from there', LIMIT, async (t) => {
  const bus = new Bus(t);
  const { worker, next, exited } = thread(t, 'bridge', { path: bus.path });
  bus.address = { url: (await next('listening')).url };
  const [ann, bob] = await bus.nodes('ann', 'bob');
  await barrier(ann, bob);
  assert.equal(await ann.call('double', 4), 8);
  const farewell = once(ann, 'close');
  worker.postMessage('close');
  assert.deepEqual(await farewell, ['bye']);
  assert.equal(await exited, 0);
});

test('a thread ends by itself when its node has left', LIMIT, async (t) => {
  const bus = await openBus(t);
  const { worker, next, exited } = thread(t, 'node', { ...bus.address, id: 'threaded' });
  await next('ready');
  worker.postMessage({ leave: true });
  assert.equal(await exited, 0);
});

test('terminate() with traffic under way: the others go on, the name is free again', LIMIT, async (t) => {
  const bus = await openBus(t, { resumeTimeout: 20 });
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bob.handle('double', (n) => 2 * n);
  for (let round = 0; round < 8; round += 1) {
    const left = once(bus.bridge, 'node:leave');
    const { worker, next } = thread(t, 'sender', { ...bus.address, id: 'doomed', to: 'bob' });
    await next('busy');
    await worker.terminate();
    assert.equal((await left)[0].id, 'doomed');
    await barrier(ann, bob);
  }
});

test('terminate() of a thread that owes an answer: ERR_NODE_LEFT', LIMIT, async (t) => {
  const bus = await openBus(t, { resumeTimeout: 20 });
  const ann = await bus.node('ann');
  const { worker, next } = thread(t, 'node', { ...bus.address, id: 'doomed' });
  await next('ready');
  const request = assert.rejects(ann.request('doomed:silence'), { code: 'ERR_NODE_LEFT' });
  await next('asked');
  await worker.terminate();
  await request;
});

test('terminate() of a thread that hosts the bridge: its socket is recovered by the next', LIMIT, async (t) => {
  const bus = new Bus(t);
  for (let round = 0; round < 3; round += 1) {
    const { worker, next } = thread(t, 'bridge', { path: bus.path });
    await next('listening');
    const node = bus.createNode({ path: bus.path, id: `visitor-${round}` });
    await node.ready;
    await worker.terminate();
    await node.leave(true);
  }
  await bus.host();
  await bus.node('ann');
});

test('terminate() while connecting', LIMIT, async (t) => {
  const bus = await openBus(t);
  for (let round = 0; round < 5; round += 1) {
    const { worker } = thread(t, 'node', { ...bus.address, id: `hasty-${round}` });
    if (round > 0) await once(worker, 'online');
    await worker.terminate();
  }
  await bus.node('ann');
});

test('several environments at once, each with a bridge and nodes, end in any order', LIMIT, async (t) => {
  const own = await openBus(t);
  const buses = [new Bus(t), new Bus(t), new Bus(t)];
  const hubs = buses.map((bus) => thread(t, 'bridge', { path: bus.path }));
  await Promise.all(hubs.map(({ next }) => next('listening')));
  const peers = buses.map((bus) => thread(t, 'node', { path: bus.path, id: 'threaded' }));
  await Promise.all(peers.map(({ next }) => next('ready')));
  const nodes = await Promise.all(buses.map((bus) => bus.node('ann')));
  assert.deepEqual(await Promise.all(nodes.map((node, n) => node.request('threaded:double', n))), [0, 2, 4]);
  await hubs[1].worker.terminate();
  await peers[0].worker.terminate();
  assert.equal(await nodes[2].request('threaded:double', 7), 14);
  assert.equal(await nodes[0].call('double', 7), 14);
  const [x, y] = await own.nodes('x', 'y');
  await barrier(x, y);
});

test('an id taken by a thread is taken', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const { next } = thread(t, 'node', { ...bus.address, id: 'ann' });
  assert.equal((await next('failed')).code, 'ERR_DUPLICATE_NODE');
  await announced(ann);
});
