'use strict';

// leave() and close() drain: what is being worked on is finished, and the answers arrive.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { LIMIT, openBus } = require('./support/bus');

/** A handler that begins, and ends when it is told: { handler, begun, finish }. */
function workshop(value) {
  let finish;
  let begin;
  const begun = new Promise((resolve) => (begin = resolve));
  const done = new Promise((resolve) => (finish = resolve));
  const handler = async () => {
    begin();
    await done;
    return typeof value === 'function' ? value() : value;
  };
  return { handler, begun, finish };
}

const WAYS = {
  'node.leave()': { ask: (ann, name) => ann.request(`bob:${name}`), served: (bus) => bus.node('bob'), end: (bob) => bob.leave() },
  'bridge.close()': { ask: (ann, name) => ann.call(name), served: async (bus) => bus.bridge, end: (bridge) => bridge.close() },
};

for (const [name, { ask, served, end }] of Object.entries(WAYS)) {
  test(`${name} lets handlers finish, and their answers arrive; new questions are refused`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, bob] = [await bus.node('ann'), await served(bus)];
    const work = workshop('done');
    bob.handle('work', work.handler).handle('other', () => 'heard');
    const answer = ask(ann, 'work');
    await work.begun;
    let ended = false;
    const left = end(bob).then(() => (ended = true));
    await assert.rejects(ask(ann, 'other'), { code: 'ERR_NODE_LEFT' });
    await assert.rejects(ask(ann, 'work'), { code: 'ERR_NODE_LEFT' });
    assert.equal(ended, false);
    work.finish();
    assert.equal(await answer, 'done');
    await left;
  });

  test(`${name} in a handler: its answer arrives`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, bob] = [await bus.node('ann'), await served(bus)];
    const work = workshop('stopping');
    let left;
    bob.handle('stop', () => {
      left = end(bob);
      return work.handler();
    });
    const answer = ask(ann, 'stop');
    await work.begun;
    work.finish();
    assert.equal(await answer, 'stopping');
    await left;
  });

  // The time that handlers are given is longer.
  test(`${name} awaited in a handler does not wait for that handler`, { timeout: 4_000 }, async (t) => {
    const bus = await openBus(t);
    const [ann, bob] = [await bus.node('ann'), await served(bus)];
    const stopped = new Promise((resolve) => {
      bob.handle('stop', async () => {
        await end(bob);
        resolve();
      });
    });
    await assert.rejects(ask(ann, 'stop'), { code: /ERR_NODE_LEFT|ERR_CLOSED/ });
    await stopped;
  });
}

test('a handler that finishes may still send, and ask', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob, cora] = await bus.nodes('ann', 'bob', 'cora');
  cora.handle('add', (a, b) => a + b);
  const noted = once(ann, 'note');
  const work = workshop(async () => {
    bob.publish('ann:note', 'sent');
    return bob.request('cora:add', 1, 2);
  });
  bob.handle('work', work.handler);
  const answer = ann.request('bob:work');
  await work.begun;
  const left = bob.leave();
  work.finish();
  assert.equal(await answer, 3);
  assert.equal((await noted)[0], 'sent');
  await left;
  assert.throws(() => bob.publish('no target'), { code: 'ERR_INVALID_TARGET' });
  await assert.rejects(bob.request('cora:add', 1, 2), { code: 'ERR_CLOSED' });
});

test('what needs no answer is still delivered while handlers finish', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const work = workshop('done');
  bob.handle('work', work.handler);
  const answer = ann.request('bob:work');
  await work.begun;
  ann.publish('bob:note', 1);
  const noted = once(bob, 'note');
  const left = bob.leave();
  assert.equal((await noted)[0], 1);
  work.finish();
  await Promise.all([answer, left]);
});

test('leave({ timeout }) bounds the wait, and says so to those who ask', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const began = new Promise((resolve) => {
    bob.serve('stuck', ({ signal }) => {
      resolve(signal);
      return new Promise(() => {});
    });
  });
  const answer = assert.rejects(ann.request('bob:stuck'), { code: 'ERR_NODE_LEFT' });
  const signal = await began;
  await bob.leave({ timeout: 30 });
  await answer;
  assert.equal(signal.reason.code, 'ERR_CLOSED');
});

test('leave(true) waits for nobody, even when handlers are being let finish', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const work = workshop('done');
  bob.handle('work', work.handler);
  const answer = assert.rejects(ann.request('bob:work'), { code: 'ERR_NODE_LEFT' });
  await work.begun;
  const left = bob.leave();
  await bob.leave(true);
  await left;
  await answer;
});

test('leave wants true, false or a time', LIMIT, async (t) => {
  const bus = await openBus(t);
  const bob = await bus.node('bob');
  for (const wrong of ['now', 1, null, { timeout: -1 }, { timeout: '1' }]) {
    assert.throws(() => bob.leave(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG' });
  }
  assert.equal(bob.connected, true);
  await bob.leave({});
  await bob.leave({ timeout: 1 });
});
