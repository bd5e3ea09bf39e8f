'use strict';

// A lost link is mended: the node keeps trying, and is what it was when it is back.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { tap } = require('./support/proxy');
const { startBridge } = require('./support/child');

/** A bus of ann, who has a link of her own, and bob, whose link can be cut. */
async function fragile(t) {
  const bus = await openBus(t);
  const wire = await tap(t, bus);
  const ann = await bus.node('ann');
  const bob = await bus.node('bob', { url: undefined, path: wire.path });
  return { bus, wire, ann, bob };
}

test("a cut link: 'disconnect', then 'reconnect', and everything works as before", LIMIT, async (t) => {
  const { wire, ann, bob } = await fragile(t);
  const heard = collect(bob, 'news');
  await announced(bob);
  for (let round = 1; round <= 3; round += 1) {
    const events = [once(bob, 'disconnect'), once(bob, 'reconnect')];
    wire.cut();
    await events[0];
    assert.equal(bob.connected, false);
    await events[1];
    assert.equal(bob.connected, true);
    await announced(bob);
    ann.broadcast('news', round);
    await barrier(ann, bob);
    await barrier(bob, ann);
    assert.equal(heard.values.at(-1), round);
  }
});

test("'connect' and ready are for the first connection only", LIMIT, async (t) => {
  const { wire, bob } = await fragile(t);
  const connects = collect(bob, 'connect');
  const back = once(bob, 'reconnect');
  wire.cut();
  await back;
  await bob.ready;
  await announced(bob);
  assert.equal(connects.values.length, 0);
});

test('a short cut is no leaving: the others are not told', LIMIT, async (t) => {
  const { bus, wire, bob } = await fragile(t);
  const left = collect(bus.bridge, 'node:leave', ({ id }) => id);
  const back = once(bob, 'reconnect');
  wire.cut();
  await back;
  await announced(bob);
  assert.deepEqual(left.values, []);
});

test('a request that is pending when a link is cut settles, once', LIMIT, async (t) => {
  const { wire, ann, bob } = await fragile(t);
  const asked = once(bob, 'ask');
  let settled = 0;
  const outcome = ann.request('bob:ask').catch((err) => err.code).finally(() => (settled += 1));
  const [reply] = await asked;
  const back = once(bob, 'reconnect');
  wire.cut();
  await back;
  reply(null, 'after the cut');
  assert.equal(await outcome, 'after the cut');
  await barrier(ann, bob);
  assert.equal(settled, 1);
});

test('the bridge dies with kill -9 and another one starts: the nodes are back', LIMIT, async (t) => {
  const bus = new Bus(t);
  const first = await startBridge(t, { path: bus.path });
  bus.address = { path: bus.path };
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = collect(bob, 'news');
  await announced(bob);
  const back = [once(ann, 'reconnect'), once(bob, 'reconnect')];
  await first.kill('SIGKILL');
  await startBridge(t, { path: bus.path });
  await Promise.all(back);
  await barrier(ann, bob);
  ann.broadcast('news', 'again');
  await barrier(ann, bob);
  assert.deepEqual(heard.values, ['again']);
});

test('leave() while the bridge is away settles', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  const ann = await bus.node('ann');
  const gone = once(ann, 'disconnect');
  await host.kill('SIGKILL');
  await gone;
  const pending = assert.rejects(ann.request('bob:x'), { code: /^ERR_/ });
  await ann.leave(true);
  await pending;
  assert.equal(ann.connected, false);
});
