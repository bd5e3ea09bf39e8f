'use strict';

// Broadcasts reach the nodes that listen for the event, and only them: counted where it counts, on the wire.

const test = require('node:test');
const assert = require('node:assert/strict');
const { on, once } = require('node:events');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { collect } = require('./support/watch');
const { tap } = require('./support/proxy');
const { startBridge, startPeer } = require('./support/child');

test('every other node that listens gets it, with arguments and a reply that knows its origin', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob, eve] = await bus.nodes('ann', 'bob', 'eve');
  const own = collect(ann, 'news');
  const heard = [once(bob, 'news'), once(eve, 'news')];
  await announced(bob, eve);
  ann.broadcast('news', 'today', { n: 1 }, Buffer.from([1, 2]));
  for (const args of await Promise.all(heard)) {
    const reply = args.pop();
    assert.deepEqual(args, ['today', { n: 1 }, Buffer.from([1, 2])]);
    assert.deepEqual([reply.from, reply.event, reply.broadcast], ['ann', 'news', true]);
    reply('nobody waits for this'); // and nothing happens
  }
  await barrier(ann, bob);
  assert.deepEqual(own.values, [], 'the sender does not hear itself');
});

test('a broadcast nobody listens for is no error', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const lost = collect(ann, 'undeliverable');
  ann.broadcast('unheard', 1);
  await barrier(ann, bob);
  assert.deepEqual(lost.values, []);
});

test('a node that does not listen gets not one byte of it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [toListener, toDeaf] = [await tap(t, bus), await tap(t, bus)];
  const ann = await bus.node('ann');
  const listener = await bus.node('listener', { url: undefined, path: toListener.path });
  const deaf = await bus.node('deaf', { url: undefined, path: toDeaf.path });
  deaf.on('other', () => {});
  const heard = collect(listener, 'news', (text) => text.length);
  await announced(listener, deaf);
  const before = toDeaf.toNode;
  for (let n = 0; n < 1000; n += 1) ann.broadcast('news', 'x'.repeat(1000));
  await heard.reached(1000);
  await barrier(ann, deaf);
  assert.ok(toListener.toNode > 1_000_000, `the listener got ${toListener.toNode} bytes`);
  assert.ok(toDeaf.toNode - before < 1000, `the deaf node got ${toDeaf.toNode - before} bytes`);
});

test('the sender sends it once, however many listen', LIMIT, async (t) => {
  const bus = await openBus(t);
  const wire = await tap(t, bus);
  const ann = await bus.node('ann', { url: undefined, path: wire.path });
  const nodes = await bus.nodes('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
  const heard = nodes.map((node) => once(node, 'news'));
  await announced(...nodes);
  const before = wire.toBridge;
  ann.broadcast('news', 'x'.repeat(50_000));
  await Promise.all(heard);
  assert.ok(wire.toBridge - before < 60_000, `${wire.toBridge - before} bytes for one broadcast of 50 000`);
});

// Each way to start and to stop listening, and whether the node listens afterwards.
const WAYS = {
  'on': (node, fn) => node.on('news', fn),
  'addListener': (node, fn) => node.addListener('news', fn),
  'prependListener': (node, fn) => node.prependListener('news', fn),
  'once': (node, fn) => node.once('news', fn),
  'prependOnceListener': (node, fn) => node.prependOnceListener('news', fn),
  'handle': (node, fn) => node.handle('news', fn),
};
const ENDS = {
  'off': (node, fn) => node.off('news', fn),
  'removeListener': (node, fn) => node.removeListener('news', fn),
  'removeAllListeners(event)': (node) => node.removeAllListeners('news'),
};

for (const [way, listen] of Object.entries(WAYS)) {
  test(`${way} makes the node hear broadcasts, also when it was there before the connection`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const ann = await bus.node('ann');
    for (const id of ['before', 'after']) {
      const node = bus.dial(id);
      if (id === 'after') await node.ready;
      let heard = 0;
      listen(node, () => void (heard += 1));
      await node.ready;
      await announced(node);
      ann.broadcast('news', 1);
      await barrier(ann, node);
      assert.equal(heard, 1, id);
    }
  });
}

for (const [end, stop] of Object.entries(ENDS)) {
  test(`${end} makes the node deaf again: on the wire too`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const wire = await tap(t, bus);
    const ann = await bus.node('ann');
    const bob = await bus.node('bob', { url: undefined, path: wire.path });
    const heard = [];
    const listener = (n) => heard.push(n);
    bob.on('news', listener);
    await announced(bob);
    ann.broadcast('news', 1);
    await barrier(ann, bob);
    stop(bob, listener);
    await announced(bob);
    const before = wire.toNode;
    ann.broadcast('news', 2, 'x'.repeat(10_000));
    await barrier(ann, bob);
    assert.deepEqual(heard, [1]);
    assert.ok(wire.toNode - before < 1000, `${wire.toNode - before} bytes came nevertheless`);
    bob.on('news', listener);
    await announced(bob);
    ann.broadcast('news', 3);
    await barrier(ann, bob);
    assert.deepEqual(heard, [1, 3]);
  });
}

test('removeAllListeners() ends every interest', LIMIT, async (t) => {
  const bus = await openBus(t);
  const wire = await tap(t, bus);
  const ann = await bus.node('ann');
  const bob = await bus.node('bob', { url: undefined, path: wire.path });
  for (let n = 0; n < 5; n += 1) bob.on(`news-${n}`, () => assert.fail('heard'));
  await announced(bob);
  bob.removeAllListeners();
  await announced(bob);
  const before = wire.toNode;
  for (let n = 0; n < 5; n += 1) ann.broadcast(`news-${n}`, 'x'.repeat(10_000));
  bob.handle('barrier', () => 'passed');
  await announced(bob);
  await barrier(ann, bob);
  assert.ok(wire.toNode - before < 1000);
  bob.on('news-1', () => {}); // interests are watched still
  const heard = once(bob, 'news-1');
  await announced(bob);
  ann.broadcast('news-1', 'again');
  assert.equal((await heard)[0], 'again');
});

test('once hears once, and its interest ends with it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const wire = await tap(t, bus);
  const ann = await bus.node('ann');
  const bob = await bus.node('bob', { url: undefined, path: wire.path });
  const heard = [];
  bob.once('news', (n) => heard.push(n));
  await announced(bob);
  ann.broadcast('news', 1);
  await barrier(ann, bob);
  await announced(bob);
  const before = wire.toNode;
  ann.broadcast('news', 2, 'x'.repeat(10_000));
  await barrier(ann, bob);
  assert.deepEqual(heard, [1]);
  assert.ok(wire.toNode - before < 1000);
});

test('one of two listeners goes: the other still hears', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const staying = collect(bob, 'news');
  const going = () => {};
  bob.on('news', going);
  bob.once('news', () => {});
  await announced(bob);
  bob.off('news', going);
  ann.broadcast('news', 1);
  await barrier(ann, bob);
  ann.broadcast('news', 2);
  await barrier(ann, bob);
  assert.deepEqual(staying.values, [1, 2]);
});

test('on and off in one tick leave the node as it ends up', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = [];
  const listener = (n) => heard.push(n);
  for (let n = 0; n < 10; n += 1) bob.on('news', listener).off('news', listener);
  await announced(bob);
  ann.broadcast('news', 'deaf');
  await barrier(ann, bob);
  for (let n = 0; n < 10; n += 1) bob.off('news', listener).on('news', listener);
  await announced(bob);
  ann.broadcast('news', 'hears');
  await barrier(ann, bob);
  assert.deepEqual(heard, ['hears']);
});

test('once and on from node:events work', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const first = once(bob, 'news');
  await announced(bob);
  ann.broadcast('news', 'first');
  assert.equal((await first)[0], 'first');

  const { signal, abort } = abortable();
  const seen = [];
  const stream = on(bob, 'tick', { signal });
  await announced(bob);
  for (let n = 0; n < 5; n += 1) ann.broadcast('tick', n);
  await assert.rejects(async () => {
    for await (const [n] of stream) {
      seen.push(n);
      if (seen.length === 5) abort();
    }
  }, { name: 'AbortError' });
  assert.deepEqual(seen, [0, 1, 2, 3, 4]);
});

function abortable() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}

test('the listeners a user sees are the user’s own', LIMIT, async (t) => {
  const bus = await openBus(t);
  const bob = bus.createNode({ ...bus.address, id: 'bob' });
  await bob.ready;
  const listener = () => {};
  bob.on('news', listener);
  assert.equal(bob.listenerCount('news'), 1);
  assert.deepEqual(bob.listeners('news'), [listener]);
  assert.ok(bob.eventNames().includes('news'));
});

test('local emit stays local', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const far = collect(bob, 'news');
  const near = collect(ann, 'news');
  await announced(ann, bob);
  ann.emit('news', 1);
  await barrier(ann, bob);
  assert.deepEqual([near.values, far.values], [[1], []]);
});

test('a broadcast wants an event name', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  for (const event of ['', undefined, null, 7, {}, 'é'.repeat(513)]) {
    assert.throws(() => ann.broadcast(event, 1), { name: 'TypeError', code: /^ERR_INVALID_(ARG|TARGET)$/ }, String(event));
  }
});

test('a thousand interests are a thousand interests', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = new Set();
  for (let n = 0; n < 1000; n += 1) bob.on(`topic-${n}`, () => heard.add(n));
  await announced(bob);
  for (let n = 0; n < 1000; n += 1) ann.broadcast(`topic-${n}`);
  await barrier(ann, bob);
  assert.equal(heard.size, 1000);
});

test('interests hold between processes', LIMIT, async (t) => {
  const bus = new Bus(t);
  bus.address = { url: (await startBridge(t, { path: bus.path })).url };
  const [ann, ...peers] = await Promise.all([
    bus.node('ann'),
    startPeer(t, { ...bus.address, id: 'far-1' }),
    startPeer(t, { ...bus.address, id: 'far-2' }),
  ]);
  await Promise.all(peers.map((_, n) => ann.request(`far-${n + 1}:barrier`)));
  ann.broadcast('note', 'to all');
  for (const peer of peers) assert.equal((await peer.next('note')).value, 'to all');
});
