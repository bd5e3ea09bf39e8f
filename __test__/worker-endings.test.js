'use strict';

// Threads that end in the midst of their work: nobody else notices more than that they are gone.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { Worker } = require('node:worker_threads');
const { Bus, LIMIT, barrier, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { start, startBridge } = require('./support/child');

function thread(t, scenario, options) {
  const worker = new Worker(path.join(__dirname, 'fixtures', 'worker-endings.js'), { workerData: { scenario, options } });
  t.after(() => worker.terminate(), { timeout: 20_000 });
  return worker;
}

/** Has terminated the thread once it is `loaded`. */
async function terminateLoaded(worker) {
  await once(worker, 'message');
  assert.equal(await worker.terminate(), 1);
}

for (const scenario of ['queued, and not yet written', 'queued, and the loop turns']) {
  test(`terminate() with 10 000 messages and 100 requests ${scenario}`, LIMIT, async (t) => {
    const bus = await openBus(t, { resumeTimeout: 20 });
    const [ann, bob] = await bus.nodes('ann', 'bob');
    const notes = collect(ann, 'note');
    ann.on('silence', () => {});
    for (let round = 0; round < 3; round += 1) {
      const left = once(bus.bridge, 'node:leave');
      await terminateLoaded(thread(t, scenario, { ...bus.address, id: 'doomed' }));
      assert.equal((await left)[0].id, 'doomed');
      await barrier(bob, ann);
      // What arrived is a beginning of what was sent, without a gap.
      assert.deepEqual(notes.values, [...notes.values.keys()]);
      notes.values.length = 0;
    }
  });
}

test('terminate() with 10 000 messages for a bridge that has stopped reading', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  t.after(() => host.process.kill('SIGCONT'));
  const worker = thread(t, 'queued, and the loop turns', { path: bus.path, id: 'doomed' });
  await once(worker, 'message');
  await host.stop();
  assert.equal(await worker.terminate(), 1);
  host.process.kill('SIGCONT');
  const [ann, bob] = await bus.nodes('ann', 'bob');
  await barrier(ann, bob);
});

test('terminate() with 10 000 messages for a bridge that is not there', LIMIT, async (t) => {
  const bus = new Bus(t);
  await terminateLoaded(thread(t, 'queued for a bridge that is not there', { path: bus.path }));
  assert.deepEqual(fs.readdirSync(bus.dir), []);
});

test('terminate() of a bridge and its nodes with everything queued: the address can be had again', LIMIT, async (t) => {
  const bus = new Bus(t);
  for (let round = 0; round < 10; round += 1) {
    await terminateLoaded(thread(t, 'hosts, with everything queued', { path: bus.path }));
    // At once: whoever sees the thread end must not find its place taken.
    await (await bus.host()).close();
  }
  await bus.host();
  const [ann, bob] = await bus.nodes('ann', 'bob');
  await barrier(ann, bob);
});

test('process.exit ends the thread alone, and what it had published arrives', LIMIT, async (t) => {
  const bus = await openBus(t);
  const notes = collect(await bus.node('ann'), 'note');
  const [code] = await once(thread(t, 'process.exit', { ...bus.address, id: 'threaded' }), 'exit');
  assert.equal(code, 3);
  assert.deepEqual(await notes.reached(100), [...Array(100).keys()]);
});

test('process.exit in a thread that hosts removes the socket', LIMIT, async (t) => {
  const bus = new Bus(t);
  const [code] = await once(thread(t, 'hosts, and process.exit', { path: bus.path }), 'exit');
  assert.equal(code, 3);
  assert.equal(fs.existsSync(bus.path), false);
  await bus.host();
});

test('an error that nobody catches ends the thread alone, and what it had published arrives', LIMIT, async (t) => {
  const bus = await openBus(t);
  const notes = collect(await bus.node('ann'), 'note');
  const worker = thread(t, 'throws', { ...bus.address, id: 'threaded' });
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  assert.equal((await once(worker, 'error'))[0].message, 'nobody catches this');
  assert.equal(await exited, 1);
  assert.deepEqual(await notes.reached(100), [...Array(100).keys()]);
});

test('unref: the thread ends by itself', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [code] = await once(thread(t, 'unref', { ...bus.address, id: 'threaded' }), 'exit');
  assert.equal(code, 0);
});

for (const how of ['by itself', 'terminated', 'exit', 'throw']) {
  test(`the addon in a worker only, which ends ${how}: the process goes on, loads it again, and ends well`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const hellos = [];
    (await bus.node('ann')).handle('hello', (round) => void hellos.push(round));
    const child = start(t, 'worker-only.js', { how, options: bus.address });
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr);
    assert.deepEqual(hellos, [0, 1, 2]);
  });
}
