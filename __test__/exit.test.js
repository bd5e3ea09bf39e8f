'use strict';

// A process ends when it should, and not before: with everything it had accepted delivered.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { once } = require('node:events');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { start, startBridge } = require('./support/child');

const run = (t, scenario, options) => start(t, 'exit.js', { scenario, ...options });

/** The process has ended by itself, with this status. */
async function ends(child, code = 0) {
  assert.deepEqual(await child.exited, { code, signal: null }, child.stderr);
}

test('a connected node keeps its process alive until it has left', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const child = run(t, 'node leaves when told', { ...bus.address, id: 'child' });
  await child.next('ready');
  for (let n = 0; n < 20; n += 1) assert.equal(await ann.request('child:ping'), 'pong');
  assert.equal(child.has('drained'), false);
  ann.publish('child:go');
  await ends(child);
});

test('a listening bridge keeps its process alive until it is closed, and installs no signal handlers', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'bridge closes when told', { path: bus.path });
  const { signals } = await child.next('ready');
  assert.equal(signals, 0);
  const ann = await bus.node('ann');
  for (let n = 0; n < 20; n += 1) assert.equal(await ann.call('ping'), 'pong');
  assert.equal(child.has('drained'), false);
  ann.rpc('go', () => {});
  await ends(child);
  assert.equal(fs.existsSync(bus.path), false);
});

for (const scenario of ['node unref', 'node unref at once', 'unref, with a request under way']) {
  test(`${scenario}: the process ends`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const ann = await bus.node('ann');
    ann.on('silence', () => {});
    await ends(run(t, scenario, { ...bus.address, id: 'child' }));
  });
}

test('bridge unref: the process ends and its socket with it', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'bridge unref', { path: bus.path });
  await child.next('ready');
  await ends(child);
  assert.equal(fs.existsSync(bus.path), false);
});

test('an unref’d node that has lost its bridge for good does not keep the process', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  const child = run(t, 'unref, and the bridge dies', { path: bus.path, id: 'child' });
  await child.next('ready');
  await host.kill('SIGKILL');
  await ends(child);
});

test('ref undoes unref, however often that was said', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const child = run(t, 'unref and ref', { ...bus.address, id: 'child' });
  await child.next('ready');
  for (let n = 0; n < 20; n += 1) assert.equal(await ann.request('child:ping'), 'pong');
  assert.equal(child.has('drained'), false);
  ann.publish('child:go');
  await ends(child);
});

for (const [scenario, count, code] of [
  ['publish and leave, nothing awaited', 1000, 0],
  ['publish and leave before the connection', 100, 0],
  ['publish and process.exit', 100, 3],
]) {
  test(`${scenario}: everything accepted is delivered`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const ann = await bus.node('ann');
    const notes = collect(ann, 'note');
    const child = run(t, scenario, { ...bus.address, id: 'child' });
    await ends(child, code);
    assert.deepEqual(await notes.reached(count), [...Array(count).keys()]);
  });
}

test('process.exit inside a listener ends the process; the others are told', LIMIT, async (t) => {
  const bus = await openBus(t, { resumeTimeout: 20 });
  const ann = await bus.node('ann');
  const left = once(bus.bridge, 'node:leave');
  const child = run(t, 'process.exit inside a listener', { ...bus.address, id: 'child' });
  await child.next('ready');
  ann.publish('child:go');
  await ends(child, 4);
  assert.equal((await left)[0].id, 'child');
});

test('process.exit ends the process even when the bridge has stopped reading', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  const child = run(t, 'process.exit, and the bridge does not read', { path: bus.path, id: 'child' });
  await child.next('ready');
  await host.stop();
  t.after(() => host.process.kill('SIGCONT'));
  child.send('stopped');
  await ends(child, 5);
});

test('nodes that cannot write share the time that an end may take, and one that can writes all', LIMIT, async (t) => {
  const bus = new Bus(t);
  const elsewhere = await openBus(t);
  const ann = await elsewhere.node('ann');
  const notes = collect(ann, 'note', (bytes) => bytes.length);
  const host = await startBridge(t, { path: bus.path });
  const child = run(t, 'several nodes send much and exit', { path: bus.path, elsewhere: elsewhere.path });
  await child.next('ready');
  await host.stop();
  t.after(() => host.process.kill('SIGCONT'));
  child.send('stopped');
  // Within the time of this test, which is less than two seconds for each of 24.
  await ends(child, 5);
  assert.deepEqual(await notes.reached(6), [...Array(5).fill(1_000_000), 1]);
});

test('nodes of a worker share the time that its end may take', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  const child = run(t, 'a worker with several nodes sends much and ends', { path: bus.path });
  await child.next('ready');
  await host.stop();
  t.after(() => host.process.kill('SIGCONT'));
  child.send('stopped');
  assert.equal((await child.next('over')).code, 6);
  await ends(child);
});

test('a node that leaves without ever having connected says what was lost, and ends nothing', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'publish and leave, nobody is there', { path: bus.path });
  assert.deepEqual(await child.next('undeliverable'), { kind: 'undeliverable', target: 'ann:note', code: 'ERR_CLOSED' });
  assert.equal((await child.next('answered')).code, 'ERR_NO_BRIDGE');
  await child.next('left');
  await ends(child);
});

test('a cause that a rejected call has told does not end the process, too', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'a request told, nobody is there', { path: bus.path });
  assert.equal((await child.next('rejected')).code, 'ERR_NO_BRIDGE');
  await ends(child);
});

test('a cause that nobody is told ends the process', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'nobody is there, nobody is told', { path: bus.path });
  await ends(child, 1);
  assert.match(child.stderr, /ERR_NO_BRIDGE/);
});

test('a first connection that fails for good ends the waiting', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'nobody there', { path: bus.path });
  assert.equal((await child.next('failed')).code, 'ERR_NO_BRIDGE');
  await ends(child);
});

test('leave ends the attempts to connect', LIMIT, async (t) => {
  const bus = new Bus(t);
  await ends(run(t, 'leave while nobody is there', { path: bus.path }));
});

test('the end of the bus ends a process that had nothing else to do', LIMIT, async (t) => {
  const bus = await openBus(t);
  const child = run(t, 'the bus is closed', { ...bus.address, id: 'child' });
  await child.next('ready');
  await bus.bridge.close(['over']);
  await ends(child);
});

test('a whole bus in one process ends with it', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'bridge and nodes in one process', { path: bus.path });
  assert.equal((await child.next('value')).value, 8);
  await ends(child);
});

test('a listener that throws is an uncaughtException, and the remaining messages are delivered', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const child = run(t, 'a listener throws', { ...bus.address, id: 'child' });
  await child.next('ready');
  for (let n = 0; n < 10; n += 1) ann.publish('child:note', n);
  ann.publish('child:note', 'last');
  assert.deepEqual((await child.next('seen')).seen, [...Array(10).keys(), 'last']);
  for (const n of [0, 3, 6, 9]) {
    const { message, stack } = await child.next('uncaught');
    assert.equal(message, `note ${n}`);
    assert.match(stack, /listenerAtFault/);
  }
  ann.publish('child:go');
  await ends(child);
});

test('nobody catches it: the process dies as Node.js lets it, with the stack', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const child = run(t, 'a listener throws, nobody catches', { ...bus.address, id: 'child' });
  await child.next('ready');
  ann.publish('child:note');
  await ends(child, 1);
  assert.match(child.stderr, /nobody catches this[\s\S]*listenerAtFault/);
});

test('a callback that throws is an uncaughtException too, and the next one is called', LIMIT, async (t) => {
  const bus = await openBus(t);
  await bus.node('ann');
  const child = run(t, 'a callback throws', { ...bus.address, id: 'child' });
  assert.equal((await child.next('uncaught')).message, 'thrown by the callback');
  await ends(child);
});

test('onConnect that throws is an uncaughtException, and the node is connected all the same', LIMIT, async (t) => {
  const bus = await openBus(t);
  const child = run(t, 'onConnect throws', { ...bus.address, id: 'child' });
  assert.equal((await child.next('uncaught')).message, 'thrown by onConnect');
  await ends(child);
});

test('SIGTERM ends a bridge’s process as it would any other; the path can be had again', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = run(t, 'bridge closes when told', { path: bus.path });
  await child.next('ready');
  assert.deepEqual(await child.kill('SIGTERM'), { code: null, signal: 'SIGTERM' });
  await bus.host();
  await bus.node('ann');
});

test('SIGTERM ends a node’s process; the others are told', LIMIT, async (t) => {
  const bus = await openBus(t, { resumeTimeout: 20 });
  const left = once(bus.bridge, 'node:leave');
  const child = run(t, 'node leaves when told', { ...bus.address, id: 'child' });
  await child.next('ready');
  assert.equal((await child.kill('SIGTERM')).signal, 'SIGTERM');
  assert.equal((await left)[0].id, 'child');
});

test('what was published before process.exit arrives, however much it is', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const seen = collect(ann, 'note', (n) => n);
  const done = run(t, 'publish much and exit', { ...bus.address, id: 'child' });
  assert.equal((await done.exited).code, 0);
  assert.deepEqual(await seen.reached(8000), [...Array(8000).keys()]);
});
