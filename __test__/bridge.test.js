'use strict';

// The bridge: how it is made, where it says it is, who it says is there, how it ends.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { EventEmitter, once } = require('node:events');
const busybody = require('..');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { answer, collect, spy } = require('./support/watch');
const { start } = require('./support/child');

test('the package offers the names of its contract', () => {
  assert.equal(busybody.awesome(), 'awesome');
  assert.equal(busybody.DEFAULT_PORT, 8221);
  assert.match(busybody.DEFAULT_ADDRESS, /^unix:\/\/\/.+\/default\.sock$/);
  for (const name of ['Bridge', 'Node', 'BusybodyError', 'createBridge', 'createNode']) {
    assert.equal(typeof busybody[name], 'function', name);
  }
});

test('createBridge(options, callback) calls back with no error once it listens', LIMIT, async (t) => {
  const bus = new Bus(t);
  const { fn, calls, called } = spy();
  const bridge = bus.createBridge({ path: bus.path }, fn);
  assert.ok(bridge instanceof busybody.Bridge);
  assert.ok(bridge instanceof EventEmitter);
  const [err] = await called;
  assert.equal(err ?? null, null);
  await bridge.ready;
  await bridge.close();
  assert.equal(calls.length, 1);
});

test("'listening' is emitted once, with url and address known", LIMIT, async (t) => {
  const bus = new Bus(t);
  const bridge = bus.createBridge({ path: bus.path });
  const listening = collect(bridge, 'listening');
  await bridge.ready;
  if (listening.values.length === 0) await once(bridge, 'listening');
  assert.equal(listening.values.length, 1);
  assert.equal(bridge.url, `unix://${bus.path}`);
  assert.deepEqual(bridge.address(), { path: bus.path });
});

test('createBridge(number) listens on that TCP port of 127.0.0.1', LIMIT, async (t) => {
  const bus = new Bus(t);
  const bridge = bus.createBridge(0);
  await bridge.ready;
  const { address, port, family } = bridge.address();
  assert.equal(address, '127.0.0.1');
  assert.equal(family, 'IPv4');
  assert.ok(port > 0);
  assert.equal(bridge.url, `tcp://127.0.0.1:${port}`);
});

test('createBridge(number, callback), as ever', LIMIT, async (t) => {
  const bus = new Bus(t);
  const [err] = await answer((callback) => (bus.bridge = bus.createBridge(0, callback)));
  assert.equal(err ?? null, null);
  assert.ok(bus.bridge.address().port > 0);
});

test('createBridge(string) takes a url or a path of a Unix socket', LIMIT, async (t) => {
  const bus = new Bus(t);
  const byUrl = bus.createBridge(`unix://${bus.path}`);
  const byPath = bus.createBridge(path.join(bus.dir, 'other.sock'));
  const byTcpUrl = bus.createBridge('tcp://127.0.0.1:0');
  await Promise.all([byUrl.ready, byPath.ready, byTcpUrl.ready]);
  assert.deepEqual(byUrl.address(), { path: bus.path });
  assert.deepEqual(byPath.address(), { path: path.join(bus.dir, 'other.sock') });
  assert.match(byTcpUrl.url, /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/);
});

test('a path with a space and a percent sign survives its url', LIMIT, async (t) => {
  const bus = new Bus(t);
  const odd = path.join(bus.dir, '100% odd #1?.sock');
  const bridge = bus.createBridge({ path: odd });
  await bridge.ready;
  assert.deepEqual(bridge.address(), { path: odd });
  const node = bus.createNode({ url: bridge.url, id: 'visitor' });
  await node.ready;
  assert.equal(node.connected, true);
});

test('new Bridge(options) is createBridge(options)', LIMIT, async (t) => {
  const bus = new Bus(t);
  const bridge = new busybody.Bridge({ path: bus.path });
  await bridge.ready;
  assert.equal(bridge.url, `unix://${bus.path}`);
  await bridge.close();
});

test('without an address both ends meet at the user’s own socket', LIMIT, async (t) => {
  const bus = new Bus(t);
  const child = start(t, 'default-address.js', {}, { XDG_RUNTIME_DIR: bus.dir });
  const { url, defaultAddress, reply, modes } = await child.next('met');
  assert.equal(url, `unix://${bus.dir}/busybody/default.sock`);
  assert.equal(defaultAddress, url);
  assert.deepEqual(reply, ['hello']);
  assert.deepEqual(modes, { directory: 0o700, socket: 0o600 });
  assert.equal((await child.exited).code, 0);
});

test('a failed start reaches callback and ready with the same error, and url stays null', LIMIT, async (t) => {
  const bus = await openBus(t);
  const { fn, calls, called } = spy();
  const second = bus.createBridge({ path: bus.path }, fn);
  second.on('error', () => {});
  await assert.rejects(second.ready, { code: 'EADDRINUSE' });
  const [err] = await called;
  assert.equal(err.code, 'EADDRINUSE');
  assert.ok(err instanceof Error);
  assert.equal(second.url, null);
  assert.equal(second.address(), null);
  await second.close();
  assert.equal(calls.length, 1);
});

test('wrong options throw a TypeError at once that names the option', () => {
  const wrong = [
    ['port', { port: -1 }],
    ['port', { port: 65_536 }],
    ['port', { port: 1.5 }],
    ['port', { port: {} }],
    ['host', { host: 7, port: 0 }],
    ['path', { path: 7 }],
    ['path', { path: '' }],
    ['path', { path: 'a\0b' }],
    ['url', { url: 7 }],
    ['url', { url: 'ftp://127.0.0.1' }],
    ['mode', { path: '/nowhere/x', mode: 'rw' }],
    ['mode', { path: '/nowhere/x', mode: 0o1000000 }],
    ['maxMessage', { path: '/nowhere/x', maxMessage: 'big' }],
    ['maxMessage', { path: '/nowhere/x', maxMessage: -1 }],
    ['maxPending', { path: '/nowhere/x', maxPending: NaN }],
    ['stallTimeout', { path: '/nowhere/x', stallTimeout: '1s' }],
    ['resumeTimeout', { path: '/nowhere/x', resumeTimeout: -1 }],
  ];
  for (const [option, options] of wrong) {
    assert.throws(
      () => busybody.createBridge(options).close(),
      (err) => err instanceof TypeError && err.code === 'ERR_INVALID_ARG' && err.message.includes(option),
      JSON.stringify(options),
    );
  }
  for (const argument of [true, Symbol('s'), 7n]) {
    assert.throws(() => busybody.createBridge(argument).close(), { name: 'TypeError', code: 'ERR_INVALID_ARG' });
  }
  assert.throws(() => busybody.createBridge({ path: '/nowhere/x' }, 'no function').close(), { code: 'ERR_INVALID_ARG' });
});

test('an unknown option warns, once', LIMIT, async (t) => {
  const bus = await openBus(t);
  const warnings = [];
  const keep = ({ message }) => warnings.push(message);
  process.on('warning', keep);
  t.after(() => process.off('warning', keep));
  await bus.node('first', { colour: 'red' });
  await bus.node('second', { colour: 'blue' });
  await new Promise(setImmediate); // warnings are emitted on a later tick
  assert.equal(warnings.filter((message) => message.includes('colour')).length, 1);
});

test('nodes() and node:join tell who is there, with the facts', LIMIT, async (t) => {
  const bus = await openBus(t);
  const joined = collect(bus.bridge, 'node:join');
  await bus.nodes('ann', 'bob');
  await joined.reached(2);
  assert.deepEqual(joined.values.map(({ id }) => id).sort(), ['ann', 'bob']);
  const facts = bus.bridge.nodes();
  assert.deepEqual(facts.map(({ id }) => id).sort(), ['ann', 'bob']);
  for (const { pid, uid, since } of facts) {
    assert.equal(pid, process.pid);
    if (process.platform === 'linux') assert.equal(uid, process.getuid());
    assert.equal(typeof since, 'number');
    assert.ok(since > 1.6e12 && since <= Date.now(), `since ${since} is a time of day in milliseconds`);
  }
});

test('node:leave names who left', LIMIT, async (t) => {
  const bus = await openBus(t);
  const left = collect(bus.bridge, 'node:leave');
  const [ann] = await bus.nodes('ann', 'bob');
  await ann.leave();
  const [{ id }] = await left.reached(1);
  assert.equal(id, 'ann');
  assert.deepEqual(bus.bridge.nodes().map((node) => node.id), ['bob']);
});

test("close(data) gives every node 'close' with these values, and ends the bus", LIMIT, async (t) => {
  const bus = await openBus(t);
  const nodes = await bus.nodes('ann', 'bob');
  const farewells = nodes.map((node) => collect(node, 'close', (...data) => data));
  const reconnects = nodes.map((node) => collect(node, 'reconnect'));
  await bus.bridge.close(['maintenance', { until: 'noon' }, 3]);
  for (const { reached } of farewells) {
    assert.deepEqual(await reached(1), [['maintenance', { until: 'noon' }, 3]]);
  }
  for (const node of nodes) {
    assert.equal(node.connected, false);
    await assert.rejects(node.request('bob:barrier'), { code: 'ERR_CLOSED' });
  }
  assert.deepEqual(reconnects.map(({ values }) => values.length), [0, 0]);
  assert.deepEqual(farewells.map(({ values }) => values.length), [1, 1]);
});

test('close() without data, twice, and after the end: one close, all settle', LIMIT, async (t) => {
  const bus = await openBus(t);
  const closed = collect(bus.bridge, 'close');
  const node = await bus.node('ann');
  const farewell = collect(node, 'close', (...data) => data);
  await Promise.all([bus.bridge.close(), bus.bridge.close()]);
  await bus.bridge.close(['late']);
  assert.equal(closed.values.length, 1);
  assert.deepEqual(await farewell.reached(1), [[]]);
  assert.equal(bus.bridge.address(), null);
  assert.deepEqual(bus.bridge.nodes(), []);
});

test('close() before it listens settles, and nothing is left listening', LIMIT, async (t) => {
  const bus = new Bus(t);
  const bridge = bus.createBridge({ path: bus.path });
  const opened = bridge.ready.then(() => null, (err) => err.code);
  await bridge.close();
  assert.ok([null, 'ERR_CLOSED'].includes(await opened));
  await bus.host(); // the path is free
  await bus.node('ann');
});

test('what was sent before close() arrives before it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const seen = [];
  bob.on('tick', (n) => seen.push(n));
  bob.on('close', () => seen.push('close'));
  for (let n = 0; n < 100; n += 1) ann.publish('bob:tick', n);
  await ann.nodes(); // the bridge has them all
  const closed = once(bob, 'close');
  await bus.bridge.close();
  await closed;
  assert.deepEqual(seen, [...Array(100).keys(), 'close']);
});

test('Symbol.asyncDispose closes', LIMIT, async (t) => {
  const bus = await openBus(t);
  await bus.bridge[Symbol.asyncDispose]();
  assert.equal(bus.bridge.address(), null);
});

test('handle, ref and unref return the bridge', LIMIT, async (t) => {
  const { bridge } = await openBus(t);
  assert.equal(bridge.handle('method', () => {}), bridge);
  assert.equal(bridge.unref(), bridge);
  assert.equal(bridge.ref(), bridge);
});

test('two bridges in one process are two buses', LIMIT, async (t) => {
  const [one, two] = [await openBus(t), await openBus(t)];
  const [here] = [await one.node('twin'), await two.node('twin'), await two.node('elsewhere')];
  assert.deepEqual((await here.nodes()).map(({ id }) => id), ['twin']);
  await assert.rejects(here.request('elsewhere:barrier'), { code: 'ERR_UNKNOWN_NODE' });
});
