'use strict';

// Handlers get what was sent, and served ones learn who asks and whether the answer is still waited for.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { setTimeout: later } = require('node:timers/promises');
const { Bus, LIMIT, announced, barrier, openBus } = require('./support/bus');
const { startPeer } = require('./support/child');

/** Serves `event` with a handler that never answers; resolves with the contexts it gets, in turn. */
function stuck(served, event) {
  const waiting = [];
  const contexts = [];
  served.serve(event, (context) => {
    if (waiting.length > 0) waiting.shift()(context);
    else contexts.push(context);
    return new Promise(() => {});
  });
  return () => (contexts.length > 0 ? Promise.resolve(contexts.shift()) : new Promise((resolve) => waiting.push(resolve)));
}

async function aborted({ signal }) {
  if (!signal.aborted) await once(signal, 'abort');
  return signal.reason.code;
}

const WAYS = {
  node: { ask: (asker, name, ...args) => asker.request(`bob:${name}`, ...args), served: (bus) => bus.node('bob') },
  bridge: { ask: (asker, name, ...args) => asker.call(name, ...args), served: async (bus) => bus.bridge },
};

for (const [name, { ask, served }] of Object.entries(WAYS)) {
  test(`${name}: handle gets exactly the arguments`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, bob] = [await bus.node('ann'), await served(bus)];
    bob.handle('args', (...args) => args);
    for (const args of [[], [1], ['text'], [{ a: 1 }, [2]], [1, 2, 3, 4]]) {
      assert.deepEqual(await ask(ann, 'args', ...args), args);
    }
    bob.handle('default', (size = 5) => size);
    assert.equal(await ask(ann, 'default'), 5);
    bob.handle('count', function () {
      return [arguments.length, this === bob];
    });
    assert.deepEqual(await ask(ann, 'count', 'x'), [1, true]);
  });

  test(`${name}: serve gets the context first, then the arguments`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, bob] = [await bus.node('ann'), await served(bus)];
    let context;
    bob.serve('args', (first, ...args) => {
      context = first;
      return args;
    });
    const before = Date.now();
    assert.deepEqual(await ask(ann.with({ timeout: 20_000 }), 'args', 1, { b: 2 }), [1, { b: 2 }]);
    assert.deepEqual([context.from, context.event, context.broadcast], ['ann', 'args', false]);
    assert.ok(context.deadline >= before + 20_000 && context.deadline <= Date.now() + 20_000 * 1.001 + 1, `${context.deadline - before}`);
    assert.equal(context.signal.aborted, false, 'an answered question is not given up');
    await ask(ann.with({ timeout: 0 }), 'args');
    assert.equal(context.deadline, null);
    assert.throws(() => bob.serve('args', () => {}), { code: 'ERR_INVALID_ARG' });
    assert.throws(() => bob.handle('args', () => {}), { code: 'ERR_INVALID_ARG' });
    assert.throws(() => bob.serve('more', 'no function'), { code: 'ERR_INVALID_ARG', message: /"handler"/ });
  });

  test(`${name}: the signal aborts when the asker gives up, whether it was looked at before or not`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, bob] = [await bus.node('ann'), await served(bus)];
    const next = stuck(bob, 'slow');
    for (const early of [true, false]) {
      const stop = new AbortController();
      const question = ask(ann.with({ signal: stop.signal }), 'slow');
      const context = await next();
      if (early) assert.equal(context.signal.aborted, false);
      stop.abort();
      await assert.rejects(question, { code: 'ABORT_ERR' });
      if (!early) await announced(ann);
      assert.equal(await aborted(context), 'ABORT_ERR');
      assert.ok(context.signal.reason instanceof Error);
    }
  });

  test(`${name}: the signal aborts when the asker's time is up`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, bob] = [await bus.node('ann'), await served(bus)];
    const next = stuck(bob, 'slow');
    const question = ask(ann.with({ timeout: 40 }), 'slow');
    question.catch(() => {});
    const context = await next();
    assert.equal(await aborted(context), 'ERR_TIMEOUT');
    assert.ok(Date.now() >= context.deadline - 41);
    await assert.rejects(question, { code: 'ERR_TIMEOUT' });
  });

  test(`${name}: the signal aborts when the asker leaves or dies`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const bob = await served(bus);
    const next = stuck(bob, 'slow');
    const ann = await bus.node('ann');
    ask(ann, 'slow').catch(() => {});
    const left = await next();
    assert.equal(left.signal.aborted, false);
    await ann.leave(true);
    assert.equal(await aborted(left), 'ERR_NODE_LEFT');
    const peer = await startPeer(t, { ...bus.address, id: 'peer' });
    const ben = await bus.node('ben');
    ask(ben, 'slow').catch(() => {});
    const other = await next();
    peer.send({ do: 'ask', ...(name === 'node' ? { request: 'bob:slow' } : { call: 'slow' }) });
    const died = await next();
    await peer.kill();
    assert.equal(await aborted(died), 'ERR_NODE_LEFT');
    assert.equal(other.signal.aborted, false, 'another asker is still there');
  });

  test(`${name}: the signal aborts when the served side ends`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, bob] = [await bus.node('ann'), await served(bus)];
    const next = stuck(bob, 'slow');
    ask(ann, 'slow').catch(() => {});
    const context = await next();
    await (name === 'node' ? bob.leave(true) : bob.close());
    assert.equal(await aborted(context), 'ERR_CLOSED');
  });
}

test('a bridge that dies with the asker in it: the next tells who is gone', LIMIT, async (t) => {
  const bus = new Bus(t);
  const settings = { ...bus.address, bridge: 'auto' };
  const host = await startPeer(t, { ...settings, id: 'host' });
  const bob = await bus.node('bob', settings);
  const ben = await bus.node('ben', settings);
  const next = stuck(bob, 'slow');
  host.send({ do: 'ask', request: 'bob:slow' });
  const died = await next();
  ben.request('bob:slow').catch(() => {});
  const lives = await next();
  const back = once(bob, 'reconnect');
  await host.kill();
  await back;
  assert.equal(await aborted(died), 'ERR_NODE_LEFT');
  assert.equal(lives.signal.aborted, false);
  await ben.leave(true);
  assert.equal(await aborted(lives), 'ERR_NODE_LEFT', 'the new bridge knows who asked on the old one');
});

test('nobody waits for the answer to a broadcast, or to what was published without a callback', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const contexts = [];
  bob.serve('news', (context, text) => contexts.push([context, text]));
  await announced(bob);
  ann.broadcast('news', 'all').publish('bob:news', 'one');
  await barrier(ann, bob);
  await ann.leave();
  assert.deepEqual(contexts.map(([{ from, broadcast, deadline }, text]) => [from, broadcast, deadline, text]), [
    ['ann', true, null, 'all'], ['ann', false, null, 'one'],
  ]);
  await announced(bob);
  for (const [{ signal }] of contexts) assert.equal(signal.aborted, false);
});

test('a local emit of a handled event works, with whatever arguments', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const seen = [];
  const callback = () => {};
  ann.handle('handled', (...args) => seen.push(args));
  ann.serve('served', ({ from, event, broadcast, deadline, signal }, ...args) => {
    seen.push([from, event, broadcast, deadline, signal.aborted, ...args]);
  });
  assert.equal(ann.emit('handled'), true);
  ann.emit('handled', 1, callback);
  ann.emit('served', 2);
  assert.deepEqual(seen, [[], [1, callback], ['ann', 'served', false, null, false, 2]]);
});

test('listeners of on go on getting the reply behind the arguments, beside a handler', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = [];
  bob.on('ask', (...args) => heard.push([args.length, args.at(-1).from]));
  bob.serve('ask', (context, n) => n + 1);
  assert.equal(await ann.request('bob:ask', 1), 2);
  assert.deepEqual(heard, [[2, 'ann']]);
});

test('a handler that is taken off is no longer asked, whichever way', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const handler = (context, n) => [context.event, n];
  const ways = [
    () => bob.off('ask', handler), () => bob.removeListener('ask', handler),
    () => bob.removeAllListeners('ask'), () => bob.removeAllListeners().handle('barrier', () => 'passed'),
  ];
  for (const takeOff of ways) {
    bob.serve('ask', handler);
    assert.deepEqual(await ann.request('bob:ask', 1), ['ask', 1]);
    takeOff();
    await assert.rejects(ann.request('bob:ask', 1), { code: 'ERR_NO_LISTENER' });
  }
  bob.handle('ask', (n) => n);
  assert.equal(await ann.request('bob:ask', 3), 3);
});

test('a question that was put aside and given up reaches its handler aborted; the others keep their deadline', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const next = stuck(bob, 'slow');
  bob.pause();
  const stop = new AbortController();
  const givenUp = ann.with({ signal: stop.signal }).request('bob:slow');
  const asked = Date.now();
  ann.with({ timeout: 25_000 }).request('bob:slow').catch(() => {});
  stop.abort();
  await assert.rejects(givenUp, { code: 'ABORT_ERR' });
  await announced(ann, bob);
  await later(30);
  bob.resume();
  const [first, second] = [await next(), await next()];
  assert.equal(await aborted(first), 'ABORT_ERR');
  assert.equal(second.signal.aborted, false);
  assert.ok(second.deadline >= asked + 25_000 && second.deadline < Date.now() + 25_000);
});
