'use strict';

// No bridge can be reached: the error says who is there instead, or why this process cannot host one.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { Bus, LIMIT, barrier } = require('./support/bus');
const { start, startBridge } = require('./support/child');

const LINUX = { ...LIMIT, skip: process.platform !== 'linux' && 'only Linux tells who listens' };

/** The error with which a node fails to connect. */
async function failure(bus, options) {
  const node = bus.createNode({ ...bus.address, ...options });
  node.on('error', () => {}); // `ready` tells
  return node.ready.then(() => assert.fail('it is connected'), (error) => error);
}

/** A listener that accepts and never says a word. */
async function silentListener(t, where) {
  const sockets = new Set();
  const server = net.createServer((socket) => sockets.add(socket.on('error', () => {})));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(where);
  await once(server, 'listening');
  return server;
}

test('a node that cannot host says what is missing', LIMIT, async (t) => {
  const bus = new Bus(t);
  const missing = path.join(bus.dir, 'missing');
  const error = await failure(bus, { path: path.join(missing, 'bus.sock'), bridge: 'auto', maxConnectionAttempts: 2 });
  assert.equal(error.code, 'ERR_NO_BRIDGE');
  assert.match(error.message, /cannot host/);
  assert.ok(error.message.includes(`'${missing}' does not exist`), error.message);
  assert.equal(error.cause.code, 'ENOENT');
});

test('a node that may not host says where not', LIMIT, async (t) => {
  const bus = new Bus(t);
  fs.symlinkSync(path.join(bus.dir, 'elsewhere'), `${bus.path}.lock`);
  const error = await failure(bus, { bridge: 'auto', maxConnectionAttempts: 1 });
  assert.equal(error.code, 'ERR_NO_BRIDGE');
  assert.equal(error.cause.code, 'EEXIST');
  assert.ok(error.message.includes(`${bus.path}.lock`), error.message);
});

test('a node that lost its bridge and cannot host the next says why, while it goes on trying', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  const ann = await bus.node('ann', { bridge: 'auto' });
  fs.rmSync(`${bus.path}.lock`);
  fs.symlinkSync(path.join(bus.dir, 'elsewhere'), `${bus.path}.lock`);
  const told = new Promise((resolve) => {
    ann.on('error.reconnect', (error) => error.code === 'EEXIST' && resolve(error));
  });
  await host.kill();
  assert.ok((await told).message.includes(`${bus.path}.lock`));
  const back = once(ann, 'reconnect');
  fs.rmSync(`${bus.path}.lock`);
  await back;
  assert.equal(ann.hosting, true);
});

test('who accepts and never speaks is no bridge, and is named', LINUX, async (t) => {
  const bus = new Bus(t);
  await silentListener(t, bus.path);
  for (const bridge of ['require', 'auto']) {
    const error = await failure(bus, { bridge });
    assert.equal(error.code, 'ERR_PROTOCOL');
    assert.ok(error.message.includes(`process ${process.pid} (`) && error.message.includes(bus.path), error.message);
  }
});

test('over TCP as well', LINUX, async (t) => {
  const bus = new Bus(t);
  const server = await silentListener(t, { host: '127.0.0.1', port: 0 });
  bus.address = { url: `tcp://127.0.0.1:${server.address().port}` };
  const error = await failure(bus, {});
  assert.equal(error.code, 'ERR_PROTOCOL');
  assert.ok(error.message.includes(`process ${process.pid} (`) && error.message.includes(bus.address.url), error.message);
});

for (const where of ['a Unix socket', 'TCP']) {
  test(`a host that is stopped is named as such: ${where}`, LINUX, async (t) => {
    const bus = new Bus(t);
    const host = await startBridge(t, where === 'TCP' ? { port: 0 } : { path: bus.path });
    bus.address = { url: host.url };
    await host.stop();
    t.after(() => host.process.kill('SIGCONT'));
    const error = await failure(bus, {});
    assert.equal(error.code, 'ERR_NO_BRIDGE');
    assert.equal(error.cause.code, 'ERR_TIMEOUT');
    assert.match(error.message, new RegExp(`process ${host.pid} \\(.*\\) is stopped`));
  });
}

test('a process that is busy while the bridge lets it in has not missed it', LIMIT, async (t) => {
  const bus = new Bus(t);
  await startBridge(t, { path: bus.path });
  const [ann, bob] = ['ann', 'bob'].map((id) => bus.dial(id));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6_000); // longer than anybody waits for a bridge
  await Promise.all([ann.ready, bob.ready]);
  await barrier(ann, bob);
});

test('a node that comes while the bridge of another is starting joins it', LIMIT, async (t) => {
  const bus = new Bus(t);
  const children = Array.from({ length: 6 }, (_, n) => start(t, 'peer.js', { ...bus.address, id: `n${n}`, bridge: 'auto', maxConnectionAttempts: 1 }));
  const hosting = await Promise.all(children.map(async (child) => (await child.next('ready')).hosting));
  assert.equal(hosting.filter(Boolean).length, 1);
});
