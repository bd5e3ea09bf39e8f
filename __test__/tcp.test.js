'use strict';

// The same bus over TCP.

const test = require('node:test');
const assert = require('node:assert/strict');
const net = require('node:net');
const os = require('node:os');
const { once } = require('node:events');
const { createBridge } = require('..');
const { Bus, LIMIT, announced, openBus } = require('./support/bus');
const { startBridge, startPeer } = require('./support/child');

const hasIPv6 = Object.values(os.networkInterfaces()).flat().some(({ address }) => address === '::1');

/** Every kind of message once, between three nodes. */
async function converse(bus) {
  const [ann, bob, eve] = await bus.nodes('ann', 'bob', 'eve');
  bob.handle('double', (n) => 2 * n);
  const heard = [once(bob, 'news'), once(eve, 'news')];
  await announced(bob, eve);
  ann.broadcast('news', 'today');
  assert.deepEqual((await Promise.all(heard)).map(([text]) => text), ['today', 'today']);
  assert.equal(await ann.request('bob:double', 21), 42);
  const bytes = Buffer.alloc(3_000_000, 'busybody');
  eve.handle('size', (buffer) => buffer.equals(bytes) && buffer.length);
  assert.equal(await ann.request('eve:size', bytes), bytes.length);
  await assert.rejects(ann.request('nobody:x'), { code: 'ERR_UNKNOWN_NODE' });
  bus.bridge.handle('echo', (value) => value);
  assert.equal(await ann.call('echo', 'rpc'), 'rpc');
}

test('IPv4, any free port', LIMIT, async (t) => {
  const bus = await openBus(t, { host: '127.0.0.1', port: 0 });
  const { address, port, family } = bus.bridge.address();
  assert.deepEqual([address, family], ['127.0.0.1', 'IPv4']);
  assert.equal(bus.bridge.url, `tcp://127.0.0.1:${port}`);
  await converse(bus);
});

test('IPv6, any free port', { ...LIMIT, skip: !hasIPv6 && 'this machine has no IPv6' }, async (t) => {
  const bus = await openBus(t, { host: '::1', port: 0 });
  const { address, port, family } = bus.bridge.address();
  assert.deepEqual([address, family], ['::1', 'IPv6']);
  assert.equal(bus.bridge.url, `tcp://[::1]:${port}`);
  await converse(bus);
});

test('host and port, a number, a url, a name: all find the bridge', LIMIT, async (t) => {
  const bus = await openBus(t, { port: 0 });
  const { port } = bus.bridge.address();
  const forms = [
    { host: '127.0.0.1', port },
    { port },
    { url: `tcp://127.0.0.1:${port}` },
    { url: `tcp://localhost:${port}` },
    { host: 'localhost', port },
  ];
  for (const [n, form] of forms.entries()) await bus.createNode({ id: `by-${n}`, ...form }).ready;
  await bus.createNode(port).ready;
  const ids = (await (await bus.node('ann')).nodes()).map(({ id }) => id);
  assert.equal(ids.length, forms.length + 2);
});

const LINUX = { ...LIMIT, skip: process.platform !== 'linux' && 'only Linux has them all' };

test('another loopback address of this machine will do', LINUX, async (t) => {
  const bus = await openBus(t, { host: '127.0.0.2', port: 0 });
  assert.match(bus.bridge.url, /^tcp:\/\/127\.0\.0\.2:\d+$/);
  await bus.node('ann');
});

test('a taken port: EADDRINUSE, and its owner lives on', LIMIT, async (t) => {
  const bus = await openBus(t, { port: 0 });
  const { port } = bus.bridge.address();
  const second = bus.createBridge({ port });
  second.on('error', () => {});
  await assert.rejects(second.ready, (err) => err.code === 'EADDRINUSE' && err.message.includes(String(port)));
  await bus.node('ann');
});

test('a port taken by another server: EADDRINUSE', LIMIT, async (t) => {
  const bus = new Bus(t);
  const server = net.createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const bridge = bus.createBridge(server.address().port);
  bridge.on('error', () => {});
  await assert.rejects(bridge.ready, { code: 'EADDRINUSE' });
});

test('a port is free again after close', LIMIT, async (t) => {
  const bus = await openBus(t, { port: 0 });
  const { port } = bus.bridge.address();
  await bus.node('ann'); // leaves a connection in TIME_WAIT
  await bus.bridge.close();
  await bus.host({ port });
  assert.equal(bus.bridge.address().port, port);
});

for (const host of ['0.0.0.0', '::', '0', '::ffff:0.0.0.0', '::0']) {
  test(`listening beyond this machine is refused: ${host}`, LIMIT, async (t) => {
    const bus = new Bus(t);
    const attempt = async () => {
      const bridge = bus.createBridge({ host, port: 0 });
      bridge.on('error', () => {});
      await bridge.ready;
    };
    const plain = ['0.0.0.0', '::', '::0'].includes(host);
    await assert.rejects(attempt, plain ? { code: 'ERR_INSECURE' } : (err) => typeof err.code === 'string');
  });
}

test('this machine’s own outward address is refused too', LIMIT, async (t) => {
  const addresses = Object.values(os.networkInterfaces()).flat();
  const outward = addresses.find(({ internal, family }) => !internal && family === 'IPv4');
  if (!outward) return t.skip('this machine has no outward address');
  const bus = new Bus(t);
  const bridge = bus.createBridge({ host: outward.address, port: 0 });
  bridge.on('error', () => {});
  await assert.rejects(bridge.ready, { code: 'ERR_INSECURE' });
});

test('nobody at the port: ERR_NO_BRIDGE, and it says where', LIMIT, async (t) => {
  const bus = await openBus(t, { port: 0 });
  const { port } = bus.bridge.address();
  await bus.bridge.close();
  const node = bus.createNode({ port, maxConnectionAttempts: 1 });
  node.on('error', () => {});
  await assert.rejects(node.ready, (err) => err.code === 'ERR_NO_BRIDGE' && err.message.includes(String(port)));
});

test('a bridge on both: one process, a Unix socket and TCP, two buses', LIMIT, async (t) => {
  const [local, tcp] = [await openBus(t), await openBus(t, { port: 0 })];
  await converse(local);
  await converse(tcp);
});

test('between processes', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { port: 0 });
  bus.address = { url: host.url };
  const far = await startPeer(t, { ...bus.address, id: 'far' });
  const ann = await bus.node('ann');
  assert.equal(await ann.request('far:pid'), far.pid);
  assert.equal(await ann.call('pid'), host.pid);
});

test('a url with nonsense in it is refused at once', () => {
  for (const url of ['tcp://127.0.0.1:port', 'tcp://127.0.0.1:70000', 'tcp://', 'unix://', 'http://127.0.0.1:1', '://']) {
    assert.throws(() => createBridge({ url }).close(), { name: 'TypeError', code: 'ERR_INVALID_ARG' }, url);
  }
});
