'use strict';

// The bridge's process is killed, or leaves: another process hosts the bus, and nothing that was said is lost.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const { once } = require('node:events');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { startPeer } = require('./support/child');

const auto = (bus, id, options) => bus.node(id, { bridge: 'auto', ...options });
const numbers = (count) => [...Array(count).keys()];

/** A bus that a process of its own hosts. */
async function hosted(t) {
  const bus = new Bus(t);
  const host = await startPeer(t, { path: bus.path, id: 'host', bridge: 'auto' });
  return { bus, host };
}

for (const [how, end] of [['killed with -9', (host) => host.kill('SIGKILL')], ['leaves in peace', (host) => host.send({ do: 'leave' })]]) {
  test(`the host is ${how} under load: every message and reply arrives once, in order`, LIMIT, async (t) => {
    const { bus, host } = await hosted(t);
    const [ann, bob] = await Promise.all([auto(bus, 'ann'), auto(bus, 'bob')]);
    const trouble = collect(ann, 'undeliverable');
    const [direct, news] = [collect(bob, 'direct'), collect(bob, 'news')];
    bob.handle('double', (n) => 2 * n);
    await announced(ann, bob);
    const replies = [];
    const back = [once(ann, 'reconnect'), once(bob, 'reconnect')];
    for (let n = 0; n < 3000; n += 1) {
      ann.publish('bob:direct', n);
      ann.broadcast('news', n);
      replies.push(ann.request('bob:double', n));
      if (n === 1000) end(host);
      if (n % 50 === 0) await new Promise(setImmediate);
    }
    await Promise.all(back);
    assert.deepEqual(await Promise.all(replies), numbers(3000).map((n) => 2 * n));
    await Promise.all([direct.reached(3000), news.reached(3000)]);
    await barrier(ann, bob);
    assert.deepEqual(direct.values, numbers(3000));
    assert.deepEqual(news.values, numbers(3000));
    assert.deepEqual(trouble.values, []);
    assert.equal([ann, bob].filter(({ hosting }) => hosting).length, 1);
  });
}

test('large messages under way when the host is killed arrive whole', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const [ann, bob] = await Promise.all([auto(bus, 'ann'), auto(bus, 'bob')]);
  const sizes = collect(bob, 'bytes', (bytes) => [bytes.length, bytes.every((byte) => byte === bytes.length % 251)]);
  const expected = numbers(30).map((n) => 300_000 + n * 70_001);
  for (const length of expected) ann.publish('bob:bytes', Buffer.alloc(length, length % 251));
  await sizes.reached(3);
  await host.kill('SIGKILL');
  await sizes.reached(30);
  assert.deepEqual(sizes.values, expected.map((length) => [length, true]));
});

test('a request to a node that died with the host fails; one to a survivor is answered', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const [ann, bob] = await Promise.all([auto(bus, 'ann'), auto(bus, 'bob')]);
  const asked = once(bob, 'later');
  const pending = ann.request('bob:later');
  const [reply] = await asked;
  const lost = ann.request('host:silence');
  await host.next('asked');
  await host.kill('SIGKILL');
  await assert.rejects(lost, { code: /^ERR_(NODE_LEFT|UNKNOWN_NODE)$/ });
  reply(null, 'here it is');
  assert.equal(await pending, 'here it is');
});

test('presence over a takeover: who is gone is told, who stayed is not', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const [ann, bob] = await Promise.all([auto(bus, 'ann'), auto(bus, 'bob')]);
  const [joins, leaves] = [collect(ann, 'node:join', ({ id }) => id), collect(ann, 'node:leave', ({ id }) => id)];
  await announced(ann);
  const back = [once(ann, 'reconnect'), once(bob, 'reconnect')];
  await host.kill('SIGKILL');
  await Promise.all(back);
  await leaves.reached(1);
  assert.deepEqual(leaves.values, ['host']);
  assert.deepEqual(joins.values, []);
  assert.deepEqual((await ann.nodes()).map(({ id }) => id).sort(), ['ann', 'bob']);
});

test('leave() while the bus changes hosts still delivers what was accepted', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const [ann, bob] = await Promise.all([auto(bus, 'ann'), auto(bus, 'bob')]);
  const heard = collect(bob, 'n');
  host.kill('SIGKILL');
  for (let n = 0; n < 500; n += 1) ann.publish('bob:n', n);
  await ann.leave();
  await heard.reached(500);
  assert.deepEqual(heard.values, numbers(500));
});

test('a takeover over TCP', LIMIT, async (t) => {
  const probe = await openBus(t, { port: 0 });
  const { port } = probe.bridge.address();
  await probe.bridge.close();
  const bus = new Bus(t);
  bus.address = { port };
  const host = await startPeer(t, { port, id: 'host', bridge: 'auto' });
  const [ann, bob] = await Promise.all([auto(bus, 'ann'), auto(bus, 'bob')]);
  const heard = collect(bob, 'n');
  for (let n = 0; n < 500; n += 1) ann.publish('bob:n', n);
  await host.kill('SIGKILL');
  for (let n = 500; n < 1000; n += 1) ann.publish('bob:n', n);
  await heard.reached(1000);
  assert.deepEqual(heard.values, numbers(1000));
});

test("a crashed node's id is free at once, and whoever waits for it is told", LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  for (let round = 0; round < 5; round += 1) {
    const peer = await startPeer(t, { ...bus.address, id: 'peer' });
    const lost = assert.rejects(ann.request('peer:silence'), { code: 'ERR_NODE_LEFT' });
    await peer.next('asked');
    await peer.kill('SIGKILL');
    const next = await startPeer(t, { ...bus.address, id: 'peer' });
    assert.equal(await ann.request('peer:pid'), next.pid);
    await lost;
    await next.kill('SIGKILL');
  }
});

test('a node that is stopped while the host is killed is waited for; nobody else is', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const [mute, ann] = [await startPeer(t, { path: bus.path, id: 'mute', bridge: 'auto' }), await auto(bus, 'ann')];
  await mute.stop();
  fs.utimesSync(`${bus.path}.lock`, 0, 0); // how old a file looks decides nothing
  const back = once(ann, 'reconnect');
  await host.kill('SIGKILL');
  await back;
  const fresh = await bus.node('fresh');
  const answer = fresh.request('mute:pid');
  // Were they called unknown at the end of a fixed time, mute would be, too.
  await assert.rejects(fresh.request('nobody:pid'), { code: 'ERR_UNKNOWN_NODE' });
  await assert.rejects(ann.request('host:pid'), { code: /^ERR_(NODE_LEFT|UNKNOWN_NODE)$/ });
  assert.deepEqual((await fresh.nodes()).map(({ id }) => id).sort(), ['ann', 'fresh', 'mute']);
  mute.process.kill('SIGCONT');
  assert.equal(await answer, mute.pid);
});

test('presence over two takeovers, for a node that begins to listen between them: each process once', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const peer = (id, bridge) => startPeer(t, { path: bus.path, id, bridge });
  const [second, mute, doomed] = [await peer('second', 'auto'), await peer('mute', 'require'), await peer('doomed', 'require')];
  const ann = await bus.node('ann', { bridge: 'require' });
  await mute.stop(); // for it the second bridge waits
  let back = once(ann, 'reconnect');
  await host.kill('SIGKILL');
  await Promise.all([back, doomed.next('reconnect')]);
  const [joins, leaves] = ['node:join', 'node:leave'].map((event) => collect(ann, event, ({ id }) => id));
  await announced(ann);
  back = once(ann, 'reconnect');
  await Promise.all([second.kill('SIGKILL'), doomed.kill('SIGKILL')]);
  await peer('third', 'auto');
  await back;
  await leaves.reached(2);
  mute.process.kill('SIGCONT');
  await mute.next('reconnect');
  await barrier(ann, 'mute');
  assert.deepEqual(leaves.values.sort(), ['doomed', 'second']);
  assert.deepEqual(joins.values, ['third']);
});

test('a host that leaves names those who stay, and one that leaves alone nobody', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const ann = await auto(bus, 'ann');
  const back = once(ann, 'reconnect');
  host.send({ do: 'leave' });
  await back;
  const [joins, leaves] = ['node:join', 'node:leave'].map((event) => collect(ann, event, ({ id }) => id));
  await announced(ann);
  assert.deepEqual((await ann.nodes()).map(({ id }) => id), ['ann']);
  await assert.rejects(ann.request('host:pid'), { code: 'ERR_UNKNOWN_NODE' });
  assert.deepEqual([joins.values, leaves.values], [[], []]);
  await ann.leave();
  assert.deepEqual(fs.readdirSync(bus.dir), ['bus.sock.lock']);
});

test('the list of who was there is for its user alone, and whatever became of it, the bus goes on', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const roster = `${bus.path}.roster`;
  assert.equal(fs.statSync(roster).mode & 0o777, 0o600);
  const [ann, bob] = [await auto(bus, 'ann'), await auto(bus, 'bob')];
  const back = [once(ann, 'reconnect'), once(bob, 'reconnect')];
  const garbage = [...Array(64)].map((_, n) => String.fromCharCode(n)).join('').repeat(100);
  fs.truncateSync(roster, 70); // under the bridge's feet
  fs.appendFileSync(roster, garbage);
  assert.equal(await ann.request('bob:barrier'), 'passed');
  await host.kill('SIGKILL');
  assert.equal(await ann.request('bob:barrier'), 'passed');
  await Promise.all(back);
});

test('leave() does not wait for those who may yet come', LIMIT, async (t) => {
  const { bus, host } = await hosted(t);
  const mute = await startPeer(t, { path: bus.path, id: 'mute', bridge: 'auto' });
  const [ann, bob] = [await bus.node('ann', { bridge: 'require' }), await auto(bus, 'bob')];
  const news = collect(bob, 'news');
  await mute.stop();
  const back = [once(ann, 'reconnect'), once(bob, 'reconnect')];
  await host.kill('SIGKILL');
  await Promise.all(back);
  await announced(bob);
  ann.broadcast('news', 1);
  await ann.leave();
  await news.reached(1);
  // Had ann waited until nobody is expected, mute would be given up by now.
  const answer = bob.request('mute:pid');
  mute.process.kill('SIGCONT');
  assert.equal(await answer, mute.pid);
});
