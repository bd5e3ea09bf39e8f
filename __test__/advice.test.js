'use strict';

// What people are told when something is not as they think.

const test = require('node:test');
const assert = require('node:assert/strict');
const { inspect } = require('node:util');
const { once } = require('node:events');
const { Bus, LIMIT, announced, openBus } = require('./support/bus');
const { startPeer } = require('./support/child');

/** The warnings of this process with this code, from now on. */
function warnings(t, code) {
  const seen = [];
  const note = (warning) => warning.code === code && seen.push(warning.message);
  process.on('warning', note);
  t.after(() => process.off('warning', note));
  return seen;
}

test('who has an id already is named', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await startPeer(t, { ...bus.address, id: 'ann' });
  const second = bus.dial('ann');
  second.on('error', () => {});
  await assert.rejects(second.ready, { code: 'ERR_DUPLICATE_NODE', message: `duplicate-node: the id 'ann' is taken by process ${ann.pid}` });
});

test('over TCP as well', LIMIT, async (t) => {
  const bus = await openBus(t, { port: 0 });
  await bus.node('ann');
  const second = bus.dial('ann');
  second.on('error', () => {});
  await assert.rejects(second.ready, (error) => error.message.endsWith(`by process ${process.pid}`));
});

test('an event that nobody listens for: which node, and what it listens for', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const bob = bus.createNode({ ...bus.address, id: 'bob' });
  await bob.ready;
  const told = (message) => assert.rejects(ann.request('bob:sanp'), { code: 'ERR_NO_LISTENER', message });
  bob.on('drain', () => {});
  await told("nothing listens for 'sanp' in node 'bob', which listens for nothing yet");
  bob.handle('snap', () => {});
  await told("nothing listens for 'sanp' in node 'bob', which listens for 'snap'");
  for (let n = 2; n <= 7; n += 1) bob.on(`event${n}`, () => {});
  await told("nothing listens for 'sanp' in node 'bob', which listens for 'snap', 'event2', 'event3', 'event4', 'event5' and 2 more");
  bob.removeAllListeners();
  bob.on('ü'.repeat(500), () => {});
  await told(`nothing listens for 'sanp' in node 'bob', which listens for '${'ü'.repeat(60)}…'`);
});

test('no reply in time: whether the other side took the message', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann', { replyTimeout: 50 });
  const bob = await bus.node('bob');
  const heard = once(bob, 'silence');
  const taken = assert.rejects(ann.with({ timeout: 1_000 }).request('bob:silence'), {
    code: 'ERR_TIMEOUT', message: "no reply from 'bob' within 1000 ms: it took the message and has not answered",
  });
  await heard;
  await taken;
  // A process that is busy takes nothing.
  const far = await startPeer(t, { ...bus.address, id: 'far' });
  await far.stop();
  t.after(() => far.process.kill('SIGCONT'));
  await assert.rejects(ann.request('far:silence'), { code: 'ERR_TIMEOUT', message: "no reply from 'far' within 50 ms: it has not taken the message yet" });
  await bus.bridge.close().catch(() => {});
});

test('a message that waits for a bridge says so', LIMIT, async (t) => {
  const bus = new Bus(t);
  const ann = bus.dial('ann', { replyTimeout: 50, maxConnectionAttempts: Infinity });
  await assert.rejects(ann.request('bob:x'), { code: 'ERR_TIMEOUT', message: /within 50 ms: the message waits for a connection/ });
});

test("the first message that is lost unheard in a process is a warning; 'undeliverable' is another way to hear of it", LIMIT, async (t) => {
  const seen = warnings(t, 'BUSYBODY_UNDELIVERABLE');
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = once(ann, 'undeliverable');
  ann.publish('nobody:x');
  await heard;
  bob.publish('nobody:x');
  bob.publish('nobody:y');
  await once(process, 'warning');
  await announced(bob);
  assert.equal(seen.length, 1);
  assert.match(seen[0], /node 'bob' to 'nobody:x' was not delivered \(ERR_UNKNOWN_NODE\)/);
});

test('a listener for a name with a star is warned, once', LIMIT, async (t) => {
  const seen = warnings(t, 'BUSYBODY_WILDCARD');
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  ann.on('user.*', (value, reply) => reply(null, value));
  ann.once('**', () => {});
  await once(process, 'warning');
  assert.deepEqual(await bob.request('ann:user.*', 1), 1, 'the name is as good as any');
  assert.equal(seen.length, 1);
  assert.match(seen[0], /'user\.\*'.*no wildcards/);
});

test('inspect shows what a node is about', LIMIT, async (t) => {
  const bus = new Bus(t);
  const node = bus.createNode({ ...bus.address, id: 'ann', bridge: 'auto' });
  const address = `unix://${bus.path}`;
  const shown = (state, hosting) => inspect({ id: 'ann', state, address, hosting, pending: 0, listeners: ['snap', 'error'] });
  node.on('snap', () => {});
  node.on('error', () => {});
  assert.equal(inspect(node), `Node ${shown('connecting', false)}`);
  await node.ready;
  assert.equal(inspect(node), `Node ${shown('online', true)}`);
  assert.equal(inspect({ deep: { er: { node } } }, { depth: 2 }), '{ deep: { er: { node: [Node] } } }');
  await node.leave();
  assert.equal(inspect(node), `Node ${shown('closed', false)}`);
  class Mine extends require('..').Node {}
  const mine = new Mine({ ...bus.address, id: 'mine', maxConnectionAttempts: Infinity });
  assert.match(inspect(mine), /^Mine \{ *\n? *id: 'mine'/);
  await mine.leave(true);
  assert.match(inspect(Mine.prototype), /Mine|Node/, 'no instance: nothing is thrown');
});

test('inspect shows what a bridge is about', LIMIT, async (t) => {
  const bus = new Bus(t);
  const bridge = bus.createBridge({ path: bus.path });
  bridge.handle('version', () => 1);
  assert.match(inspect(bridge), /^Bridge \{\s+state: 'starting',/);
  await bridge.ready;
  bus.address = { url: bridge.url };
  await Promise.all([once(bridge, 'node:join'), bus.node('ann')]);
  const facts = { state: 'listening', address: `unix://${bus.path}`, nodes: ['ann'], methods: ['version'], listeners: [] };
  assert.equal(inspect(bridge), `Bridge ${inspect(facts)}`);
  await bridge.close();
  assert.match(inspect(bridge), /state: 'closed',\s+address: null/);
  const failed = bus.createBridge({ path: bus.dir }, () => {});
  await assert.rejects(failed.ready);
  assert.match(inspect(failed), /state: 'closed'/);
});
