'use strict';

// The program's own code runs while we make a message of its values, and may do whatever it likes there.

const test = require('node:test');
const assert = require('node:assert/strict');
const { EventEmitter, getEventListeners, once } = require('node:events');
const { LIMIT, announced, barrier, openBus } = require('./support/bus');
const { tap } = require('./support/proxy');
const { answer } = require('./support/watch');

/** A value that does something when it is looked at, and travels as `json`. */
const looking = (act, json = 'looked at') => ({
  toJSON() {
    act();
    return json;
  },
});

test('a question whose arguments abort its signal is over, and answered by nobody', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  ben.handle('ask', () => 'answer');
  const stop = new AbortController();
  const scoped = ann.with({ signal: stop.signal });
  await assert.rejects(scoped.request('ben:ask', looking(() => stop.abort('enough'))), { code: 'ABORT_ERR', cause: 'enough' });
  await assert.rejects(scoped.request('ben:ask'), { code: 'ABORT_ERR' });
  assert.equal(await ann.request('ben:ask'), 'answer');
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
});

test('a question whose arguments make the node leave fails, and so does one that cannot be sent', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  const stop = new AbortController();
  const scoped = ann.with({ signal: stop.signal });
  await assert.rejects(scoped.request('ben:ask', Symbol('stays here')), { code: 'ERR_UNSERIALIZABLE' });
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0, 'it waits no longer');
  await assert.rejects(scoped.request('ben:ask', looking(() => ann.leave(true))), { code: 'ERR_CLOSED' });
  await barrier(ben, ben);
});

test('a reply whose values reply, too, is the one that counts', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  let inner;
  ben.on('ask', (reply) => reply(null, looking(() => (inner = reply(null, 'inner')), 'outer')));
  assert.deepEqual(await answer((reply) => ann.publish('ben:ask', reply)), [null, 'outer']);
  assert.equal(inner, false);
  ben.on('again', (reply) => {
    assert.throws(() => reply(null, looking(() => {
      reply(null, 'inner');
      throw new Error('cannot travel');
    })), /cannot travel/);
    reply(null, 'something else');
  });
  assert.deepEqual(await answer((reply) => ann.publish('ben:again', reply)), [null, 'something else']);
});

test('a bridge that is closed by the values of its close() is closed once', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const closed = once(ann, 'close');
  let inner;
  const outer = bus.bridge.close([looking(() => (inner ??= bus.bridge.close(['inner'])))]);
  assert.equal(outer, inner);
  await Promise.all([outer, inner]);
  assert.deepEqual(await closed, ['inner']);
});

test('a call that is made by the callback of one that ends with its node ends, too', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  ben.on('ask', () => {});
  const first = answer((reply) => ann.publish('ben:ask', reply));
  const second = first.then(([error]) => [error.code, answer((reply) => ann.publish('ben:ask', reply))]);
  await ann.leave(true);
  const [code, late] = await second;
  assert.equal(code, 'ERR_CLOSED');
  assert.equal((await late)[0].code, 'ERR_CLOSED');
});

test('a listener that is taken off by one that throws is taken off at the bridge, too', LIMIT, async (t) => {
  const bus = await openBus(t);
  const wire = await tap(t, bus);
  const [ann, ben] = await Promise.all([bus.node('ann'), bus.node('ben', { url: undefined, path: wire.path })]);
  const listener = () => {};
  ben.on('news', listener);
  ben.on('removeListener', () => {
    throw new Error('as removed');
  });
  assert.throws(() => ben.off('news', listener), /as removed/);
  ben.on('other', listener);
  assert.throws(() => ben.removeAllListeners('other'), /as removed/);
  EventEmitter.prototype.removeAllListeners.call(ben, 'removeListener');
  await announced(ben);
  const before = wire.toNode;
  for (let n = 0; n < 100; n += 1) ann.broadcast('news', 'x'.repeat(1000)).broadcast('other', 'x'.repeat(1000));
  await barrier(ann, ben);
  assert.ok(wire.toNode - before < 1000, `it got ${wire.toNode - before} bytes`);
});

test('calls that share a signal share one listener of it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  ben.on('silence', () => {}).handle('ask', () => 'answer');
  const stop = new AbortController();
  const [here, there] = [ann.with({ signal: stop.signal }), ben.with({ signal: stop.signal })];
  const waiting = [];
  for (let n = 0; n < 100; n += 1) waiting.push(here.request('ben:silence'), there.request('ann:barrier'));
  waiting.push(answer((reply) => here.publish('ben:silence', reply)).then(([error]) => Promise.reject(error)));
  const outcomes = Promise.allSettled(waiting);
  assert.equal(getEventListeners(stop.signal, 'abort').length, 1);
  assert.equal(await here.request('ben:ask'), 'answer');
  stop.abort(new Error('enough'));
  const codes = (await outcomes).map(({ value, reason }) => value ?? reason.code);
  assert.equal(codes.filter((code) => code === 'ABORT_ERR').length + codes.filter((value) => value === 'passed').length, 201);
  assert.equal(codes.filter((code) => code === 'ABORT_ERR').length >= 101, true);
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
});
