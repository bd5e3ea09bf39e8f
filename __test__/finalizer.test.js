'use strict';

// How a node is held, let go, and seen off: lib/finalizer.js by itself, with a native side that only takes notes.

const test = require('node:test');
const assert = require('node:assert/strict');
const v8 = require('node:v8');
const vm = require('node:vm');
const { HELD, WeakHandle, watch } = require('../lib/finalizer.js');
const { DISPATCH, NOTICE, noticeHead } = require('../lib/native-abi.js');
const { LIMIT } = require('./support/bus');

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');

async function collect() {
  await new Promise(setImmediate);
  gc();
}

/** Collects until `done`; a finalizer runs some turns after its object is gone. */
async function collectUntil(done) {
  while (!done()) await collect();
}

/** A connected node that nobody refers to, and what is known of it from outside. */
function forgettable({ leaves = true, id = 'ann' } = {}) {
  const notes = [];
  const note = (word, result) => () => {
    notes.push(word);
    return result;
  };
  const node = {};
  const inbound = { node, dispatch: note('dispatch'), turn: note('turn') };
  const weakHandle = new WeakHandle(node, inbound);
  const native = { leave: note('leave', leaves), insistOnLeaving: note('insist') };
  const [functions, keepAlive] = [{ turn: note('farewell turn') }, { stop: note('end') }];
  watch(node, { id, native, functions, weakHandle, keepAlive, release: note('close') });
  return { weakHandle, notes, node: new WeakRef(node) };
}

test('a weak handle passes calls on and holds while there is a reason', LIMIT, async () => {
  const { weakHandle, notes, node } = forgettable();
  weakHandle.set(HELD.LISTENED, true);
  weakHandle.set(HELD.CONNECTING, false);
  for (let n = 0; n < 5; n += 1) await collect();
  weakHandle.dispatch(0, 0, '');
  weakHandle.turn();
  assert.deepEqual(notes, ['dispatch', 'turn']);
  weakHandle.set(HELD.LISTENED, false);
  await collectUntil(() => node.deref() === undefined);
});

test('a reason that comes back in time holds again', LIMIT, async () => {
  const { weakHandle, notes } = forgettable();
  weakHandle.set(HELD.CONNECTING, false);
  weakHandle.set(HELD.WAITING, true);
  for (let n = 0; n < 5; n += 1) await collect();
  assert.deepEqual(notes, []);
});

test('a forgotten node says goodbye, reads on until that is heard, and is freed', LIMIT, async () => {
  const { weakHandle, notes } = forgettable();
  weakHandle.set(HELD.CONNECTING, false);
  await collectUntil(() => notes.length > 0);
  assert.deepEqual(notes, ['leave']);
  weakHandle.turn();
  weakHandle.dispatch(DISPATCH.MESSAGE, 0, '');
  weakHandle.dispatch(noticeHead(NOTICE.DRAIN), 0, '');
  assert.deepEqual(notes, ['leave', 'farewell turn']);
  weakHandle.dispatch(noticeHead(NOTICE.LEFT), 0, '');
  await collectUntil(() => notes.length > 2);
  assert.deepEqual(notes, ['leave', 'farewell turn', 'close', 'end']);
});

test('a forgotten node whose link is gone is freed at once', LIMIT, async () => {
  const { weakHandle, notes } = forgettable({ leaves: false });
  weakHandle.set(HELD.CONNECTING, false);
  await collectUntil(() => notes.length > 2);
  assert.deepEqual(notes, ['leave', 'close', 'end']);
});

test('a node that has left is let go, whatever listens to it, and nothing is said', LIMIT, async () => {
  const { weakHandle, notes, node } = forgettable();
  weakHandle.set(HELD.LISTENED, true);
  weakHandle.end();
  weakHandle.set(HELD.LISTENED, true);
  await collectUntil(() => node.deref() === undefined);
  for (let n = 0; n < 5; n += 1) await collect();
  assert.deepEqual(notes, []);
});

test('the warning comes once, names the node and says what to do', LIMIT, async (t) => {
  // In a process that has not warned yet.
  delete require.cache[require.resolve('../lib/finalizer.js')];
  const fresh = require('../lib/finalizer.js');
  const warnings = [];
  const take = (warning) => warnings.push(warning);
  process.on('warning', take);
  t.after(() => process.off('warning', take));
  let ended = 0;
  for (const id of ['bob', 'carl']) {
    const native = { leave: () => false };
    const weakHandle = new fresh.WeakHandle({}, {});
    fresh.watch({}, { id, native, functions: {}, weakHandle, keepAlive: { stop: () => (ended += 1) }, release() {} });
  }
  await collectUntil(() => ended === 2);
  await new Promise(setImmediate);
  assert.equal(warnings.length, 1);
  assert.equal(warnings[0].code, 'BUSYBODY_DROPPED');
  assert.match(warnings[0].message, /'(bob|carl)'.*leave\(\)/);
});
