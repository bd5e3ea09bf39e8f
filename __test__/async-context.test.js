'use strict';

// AsyncLocalStorage: what a program is told, it is told in the context that it asked in.

const test = require('node:test');
const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const { once } = require('node:events');
const { LIMIT, announced, barrier, openBus } = require('./support/bus');

const store = new AsyncLocalStorage();

/** The context in which `ask` has its callback called. */
const contextOf = (ask) => new Promise((resolve) => ask(() => resolve(store.getStore())));

async function busOf(t) {
  const bus = await openBus(t);
  bus.bridge.handle('method', () => 1);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  ben.handle('ask', (value) => value).on('silence', () => {});
  return { bus, ann, ben };
}

const QUESTIONS = {
  publish: ({ ann }, reply) => ann.publish('ben:ask', 1, reply),
  'publish to nobody': ({ ann }, reply) => ann.publish('nobody:ask', 1, reply),
  'publish of too much': ({ ann }, reply) => ann.publish('ben:ask', 'x'.repeat(65 * 2 ** 20), reply),
  rpc: ({ ann }, reply) => ann.rpc('method', reply),
  'rpc of no method': ({ ann }, reply) => ann.rpc('none', reply),
  'publish that times out': ({ ann }, reply) => ann.with({ timeout: 1 }).publish('ben:silence', reply),
  'publish that is aborted': ({ ann }, reply) => {
    const stop = new AbortController();
    ann.with({ signal: stop.signal }).publish('ben:silence', reply);
    store.run('other', () => stop.abort());
  },
  'publish that is aborted before': ({ ann }, reply) => ann.with({ signal: AbortSignal.abort() }).publish('ben:ask', reply),
  'publish that ends with its node': ({ ann }, reply) => {
    ann.publish('ben:silence', reply);
    store.run('other', () => ann.leave(true));
  },
};

for (const [name, ask] of Object.entries(QUESTIONS)) {
  test(`the callback of a ${name} runs in the context of the call`, LIMIT, async (t) => {
    const bus = await busOf(t);
    const contexts = ['first', 'second'].map((value) => store.run(value, () => contextOf((reply) => ask(bus, reply))));
    assert.deepEqual(await Promise.all(contexts), ['first', 'second']);
  });
}

test('what follows an awaited request runs in its context, also when it fails', LIMIT, async (t) => {
  const { ann } = await busOf(t);
  await store.run('asked', async () => {
    await ann.request('ben:ask', 1);
    assert.equal(store.getStore(), 'asked');
    await ann.request('nobody:ask').catch(() => {});
    assert.equal(store.getStore(), 'asked');
    await ann.call('method');
    assert.equal(store.getStore(), 'asked');
  });
});

test('a handler runs in the context that it was registered in, and keeps it', LIMIT, async (t) => {
  const { bus, ann, ben } = await busOf(t);
  const contextThen = async () => {
    const before = store.getStore();
    await new Promise((resolve) => setImmediate(resolve));
    return [before ?? null, store.getStore() ?? null];
  };
  store.run('registered', () => {
    ben.handle('inside', contextThen).serve('served', contextThen);
    bus.bridge.handle('inside', contextThen);
  });
  ben.handle('outside', contextThen);
  await store.run('asked', async () => {
    assert.deepEqual(await ann.request('ben:inside'), ['registered', 'registered']);
    assert.deepEqual(await ann.request('ben:served'), ['registered', 'registered']);
    assert.deepEqual(await ann.call('inside'), ['registered', 'registered']);
    assert.deepEqual(await ann.request('ben:outside'), [null, null]);
  });
});

test('what one message enters is not there for the next', LIMIT, async (t) => {
  const { ann, ben } = await busOf(t);
  ben.handle('enter', async (value) => {
    const before = store.getStore() ?? null;
    store.enterWith(value);
    await new Promise((resolve) => setImmediate(resolve));
    return [before, store.getStore()];
  });
  const values = ['first', 'second', 'third'];
  const seen = await Promise.all(values.map((value) => ann.request('ben:enter', value)));
  assert.deepEqual(seen, values.map((value) => [null, value]));
});

test('a handler of an event that is emitted here runs in the context of the emitter', LIMIT, async (t) => {
  const { ben } = await busOf(t);
  let seen;
  store.run('registered', () => ben.handle('local', () => (seen = store.getStore())));
  store.run('emitted', () => ben.emit('local'));
  assert.equal(seen, 'emitted');
});

test('what was put aside does not come in the context of whoever resumes', LIMIT, async (t) => {
  const { ann, ben } = await busOf(t);
  const heard = [];
  ben.on('note', () => heard.push(store.getStore() ?? null));
  ben.handle('last', () => 'heard');
  await announced(ben);
  ben.pause();
  for (let n = 0; n < 3; n += 1) ann.publish('ben:note', n);
  const last = ann.request('ben:last');
  await ann.nodes();
  store.run('resumed', () => ben.resume());
  await last;
  assert.deepEqual(heard, [null, null, null]);
});

test('an event of a node comes in no caller’s context', LIMIT, async (t) => {
  const { ann } = await busOf(t);
  const heard = once(ann, 'undeliverable').then(() => store.getStore() ?? null);
  let inListener;
  ann.on('undeliverable', () => (inListener = store.getStore() ?? null));
  store.run('published', () => ann.publish('nobody:x'));
  assert.equal(await heard, null);
  assert.equal(inListener, null);
  await barrier(ann, 'ben');
});
