'use strict';

// The process that hosts the bridge is busy: its event loop stands still for five seconds. The bus does not.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { Bus, LIMIT, announced, barrier } = require('./support/bus');
const { collect } = require('./support/watch');
const { startBridge, startPeer } = require('./support/child');
const { joinLegacy } = require('./support/legacy');

test('a host whose event loop is blocked for 5 s delays nobody else’s traffic', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  bus.address = { url: host.url };
  const far = await startPeer(t, { ...bus.address, id: 'far' });
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const news = collect(bob, 'news');
  await announced(bob);

  const done = path.join(bus.dir, 'the block has ended');
  host.send({ do: 'block', milliseconds: 5000, done });
  await host.next('blocking');
  const call = ann.call('pid'); // only the host's own JavaScript has to wait

  for (let n = 0; n < 1000; n += 1) await barrier(ann, 'far');
  const copy = (await ann.request('far:echo', Buffer.alloc(5_000_000, 1)))[0];
  assert.equal(copy.length, 5_000_000);
  for (let n = 0; n < 100; n += 1) ann.broadcast('news', n);
  await barrier(ann, bob);
  assert.equal(news.values.length, 100);
  const newcomer = await bus.node('newcomer'); // joins, is seen, leaves
  await barrier(newcomer, ann);
  assert.equal((await ann.nodes()).length, 4);
  await newcomer.leave();
  await assert.rejects(ann.request('newcomer:x'), { code: 'ERR_UNKNOWN_NODE' });
  const old = await joinLegacy(t, bus, 'old');
  assert.deepEqual(await old.ack(old.send('PUBLISH', ['far', 'barrier', []])), [null, 'passed']);
  const dying = assert.rejects(ann.request('far:silence'), { code: 'ERR_NODE_LEFT' });
  await far.next('asked');
  far.send({ do: 'leave', force: true });
  await dying;

  assert.equal(fs.existsSync(done), false, 'all that was over before the block was');
  await host.next('unblocked');
  assert.equal(await call, host.pid);
});
