'use strict';

// for await over events.on(): however the loop is left, the node flows, unless somebody else has paused it.

const test = require('node:test');
const assert = require('node:assert/strict');
const { on, once } = require('node:events');
const { setImmediate: nextTurn } = require('node:timers/promises');
const { LIMIT, barrier, openBus } = require('./support/bus');
const { collect } = require('./support/watch');

const MARKS = { highWaterMark: 10, lowWaterMark: 2 };
const MANY = 200;

/** ann sends bob many lines; `leave(lines, controller)` iterates and leaves the loop while more has come than the mark. */
async function left(t, leave) {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const controller = new AbortController();
  const lines = on(bob, 'line', { ...MARKS, signal: controller.signal, close: ['end'] });
  for (let n = 0; n < MANY; n += 1) ann.publish('bob:line', n);
  await leave(lines, controller, bob);
  return { ann, bob };
}

const WAYS = {
  async break(lines) {
    for await (const [n] of lines) if (n === 3) break;
  },
  async throw(lines) {
    await assert.rejects(async () => {
      for await (const [n] of lines) if (n === 3) throw new Error('enough');
    }, { message: 'enough' });
  },
  async return(lines) {
    const found = async () => {
      for await (const [n] of lines) if (n === 3) return n;
      return null;
    };
    assert.equal(await found(), 3);
  },
  async 'return() of the iterator'(lines) {
    await lines.next();
    await lines.return();
  },
  async 'throw() of the iterator'(lines) {
    await lines.next();
    lines.throw(new Error('enough'));
  },
  async signal(lines, controller) {
    await lines.next();
    controller.abort();
  },
  async 'an event that closes'(lines, controller, bob) {
    await lines.next();
    bob.emit('end');
  },
  async 'removeAllListeners()'(lines, controller, bob) {
    await lines.next();
    bob.removeAllListeners('line');
  },
};

for (const [way, leave] of Object.entries(WAYS)) {
  test(`a loop left by ${way} leaves the node flowing`, LIMIT, async (t) => {
    const { ann, bob } = await left(t, leave);
    await barrier(ann, bob);
    const heard = collect(bob, 'line');
    ann.publish('bob:line', 'next');
    await barrier(ann, bob);
    assert.deepEqual(heard.values.at(-1), 'next');
    assert.equal(bob.listenerCount('line'), 1);
  });
}

test('what the program has paused itself stays paused, whatever an iterator does', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const heard = collect(bob, 'other');
  const lines = on(bob, 'line', MARKS);
  for (let n = 0; n < 50; n += 1) ann.publish('bob:line', n);
  await lines.next();
  bob.pause();
  await bob.request('ann:barrier');
  ann.publish('bob:other', 1);
  for (let n = 1; n < 9; n += 1) await lines.next(); // it calls resume()
  await lines.return();
  await bob.request('ann:barrier');
  await nextTurn();
  await nextTurn();
  assert.deepEqual(heard.values, []);
  bob.resume();
  await heard.reached(1);
  await barrier(ann, bob);
});

test('an iterator goes on being paused when another is left', LIMIT, async (t) => {
  for (const other of ['line', 'page']) {
    const bus = await openBus(t);
    const [ann, bob] = await bus.nodes('ann', 'bob');
    const [lines, others] = [on(bob, 'line', MARKS), on(bob, other, MARKS)];
    for (let n = 0; n < MANY; n += 1) {
      // Eleven of each come before either has paused.
      ann.publish('bob:line', n);
      if (other !== 'line') ann.publish(`bob:${other}`, n);
    }
    await others.next();
    await others.return();
    await bob.request('ann:barrier');
    await nextTurn();
    assert.ok(ann.pending > 0, 'most is put aside');
    let expected = 0;
    for await (const [n] of lines) {
      assert.equal(n, expected);
      expected += 1;
      if (expected === MANY) break;
    }
    await barrier(ann, bob);
  }
});

test('two iterators get all of it, each in order, at its own pace', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const iterate = async (marks, rest) => {
    const got = [];
    for await (const [n] of on(bob, 'line', marks)) {
      got.push(n);
      if (got.length === MANY) return got;
      if (n % 7 === 0) await rest();
    }
    return got;
  };
  const both = [iterate(MARKS, nextTurn), iterate({ highWaterMark: 3, lowWaterMark: 1 }, () => barrier(bob, ann))];
  for (let n = 0; n < MANY; n += 1) ann.publish('bob:line', n);
  for (const got of await Promise.all(both)) assert.deepEqual(got, [...Array(MANY).keys()]);
  await barrier(ann, bob);
  assert.equal(ann.pending, 0);
});

test('off() and once() find the listeners of iterators as any others', LIMIT, async (t) => {
  const bus = await openBus(t);
  const bob = await bus.node('bob');
  const lines = on(bob, 'line', MARKS);
  assert.equal(bob.listenerCount('line'), 1);
  const next = once(bob, 'line');
  bob.emit('line', 'local');
  assert.deepEqual([(await lines.next()).value, await next], [['local'], ['local']]);
  await lines.return();
  assert.equal(bob.listenerCount('line'), 0);
});
