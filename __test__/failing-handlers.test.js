'use strict';

// Whatever a handler fails with, and however, whoever asked is told at once, and truly.

const test = require('node:test');
const assert = require('node:assert/strict');
const vm = require('node:vm');
const { once } = require('node:events');
const { Bus, LIMIT, openBus } = require('./support/bus');
const { start, startBridge } = require('./support/child');
const { answer } = require('./support/watch');

const bad = () => {
  throw new Error('looked at');
};
const everyTrap = new Proxy({}, Object.fromEntries(
  ['get', 'has', 'ownKeys', 'getPrototypeOf', 'getOwnPropertyDescriptor', 'set', 'defineProperty'].map((trap) => [trap, bad]),
));
const cyclic = Object.assign(new Error('cyclic'), {});
cyclic.cause = cyclic;
cyclic.self = { cyclic };

/** What is thrown, and what the asker is to learn: its message, and more where there is more. */
const THROWN = {
  'a string': ['no such file', { message: 'no such file' }],
  'an empty string': ['', { message: '' }],
  null: [null, { message: 'null' }],
  undefined: [undefined, { message: 'undefined' }],
  'a number': [42, { message: '42' }],
  'a bigint': [7n, { message: '7n' }],
  'a symbol': [Symbol('odd'), { message: 'Symbol(odd)' }],
  'an object like an error': [{ message: 'like one', code: 'E_LIKE', status: 404 }, { message: 'like one', code: 'E_LIKE', cause: { message: 'like one', code: 'E_LIKE', status: 404 } }],
  'a plain object': [{ status: 404 }, { message: '{ status: 404 }', cause: { status: 404 } }],
  'an object without a prototype': [Object.assign(Object.create(null), { code: 'E_BARE' }), { code: 'E_BARE' }],
  'an array': [[1, 2], { message: '[ 1, 2 ]' }],
  'a function': [function oops() {}, { message: '[Function: oops]' }],
  'a frozen error': [Object.freeze(Object.assign(new RangeError('frozen'), { code: 'E_COLD' })), { name: 'RangeError', message: 'frozen', code: 'E_COLD' }],
  'an error of another realm': [vm.runInNewContext('Object.assign(new TypeError("far"), { code: "E_FAR" })'), { name: 'TypeError', message: 'far', code: 'E_FAR' }],
  'an error without a prototype': [Object.setPrototypeOf(new Error('bare'), null), { message: 'bare' }],
  'an error with getters that throw': [Object.defineProperties(new Error('guarded'), {
    stack: { get: bad }, code: { get: bad, enumerable: true }, name: { get: bad }, more: { get: bad, enumerable: true },
  }), { message: 'guarded' }],
  'an error whose message is a getter that throws': [Object.defineProperty(new Error(), 'message', { get: bad }), {}],
  'an error in a circle': [cyclic, { message: 'cyclic' }],
  'an error with a toJSON that throws': [Object.assign(new Error('written'), { toJSON: bad }), { message: 'written' }],
  'an error with a value that cannot travel': [Object.assign(new Error('laden'), { big: 1n, f() {}, s: Symbol('s') }), { message: 'laden' }],
  'an object that cannot be shown': [{ [Symbol.for('nodejs.util.inspect.custom')]: bad, toString: bad, valueOf: bad, code: 'E_HIDDEN' }, { code: 'E_HIDDEN' }],
  'a proxy that forbids everything': [everyTrap, {}],
  'a revoked proxy': [(() => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  })(), {}],
  'a promise': [Promise.resolve(1), {}],
};

const raise = (thrown) => {
  throw thrown;
};

const WAYS = {
  thrown: (thrown) => raise(thrown),
  rejected: async (thrown) => raise(thrown),
  'rejected by a thenable': (thrown) => ({ then: (resolve, reject) => reject(thrown) }),
  'thrown by a thenable': (thrown) => ({ then: () => raise(thrown) }),
  'thrown by a getter of then': (thrown) => ({ get then() { return raise(thrown); } }),
};

for (const [what, [thrown, expected]] of Object.entries(THROWN)) {
  test(`${what}, thrown or rejected with, is an Error for whoever asked`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, ben] = await bus.nodes('ann', 'ben');
    for (const [way, fail] of Object.entries(WAYS)) {
      ben.handle(way, () => fail(thrown));
      bus.bridge.handle(way, () => fail(thrown));
      const errors = [
        await ann.request(`ben:${way}`).catch((error) => error),
        (await answer((reply) => ann.publish(`ben:${way}`, reply)))[0],
        await ann.call(way).catch((error) => error),
      ];
      for (const error of errors) {
        assert.ok(error instanceof Error, way);
        for (const [key, value] of Object.entries(expected)) assert.deepEqual(error[key], value, `${way}: ${key}`);
      }
    }
  });
}

const promises = {
  'resolves twice': [(resolve) => [resolve(1), resolve(2)], 1],
  'resolves and throws': [(resolve) => [resolve(1), raise(new Error('late'))], 1],
  'resolves to another': [(resolve) => resolve({ then: (inner) => inner('inner') }), 'inner'],
  'resolves later': [(resolve) => setImmediate(resolve, 'later'), 'later'],
};
for (const [what, [then, expected]] of Object.entries(promises)) {
  test(`a thenable that ${what} answers once`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, ben] = await bus.nodes('ann', 'ben');
    ben.handle('ask', () => ({ then }));
    assert.equal(await ann.request('ben:ask'), expected);
    assert.equal(await ann.request('ben:barrier'), 'passed');
  });
}

test('a value that cannot travel is an error that says so, also where it sends on the way', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  const sending = {
    toJSON() {
      ben.publish('ann:note', 'on the way');
      return raise(new Error('made'));
    },
  };
  ben.handle('ask', () => sending);
  const note = once(ann, 'note');
  await assert.rejects(ann.request('ben:ask'), { code: 'ERR_UNSERIALIZABLE', message: /made/ });
  assert.equal((await note)[0], 'on the way');
});

for (const made of ['text', null, undefined, 7, [], {}, Object.create(null)]) {
  test(`Error.prepareStackTrace that makes ${JSON.stringify(made)}: questions settle all the same`, LIMIT, async (t) => {
    const bus = await openBus(t);
    const [ann, ben] = await bus.nodes('ann', 'ben');
    ben.handle('fail', () => raise(new RangeError('as asked')));
    const before = Error.prepareStackTrace;
    Error.prepareStackTrace = () => made;
    t.after(() => (Error.prepareStackTrace = before));
    const failed = await ann.request('ben:fail').catch((error) => error);
    assert.deepEqual([failed.name, failed.message], ['RangeError', 'as asked']);
    assert.equal((await ann.request('nobody:x').catch((error) => error)).code, 'ERR_UNKNOWN_NODE');
    assert.equal((await ann.call('none').catch((error) => error)).code, 'ERR_NO_METHOD');
  });
}

test('with --frozen-intrinsics questions are answered, fail and time out', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  const child = start(t, 'frozen.js', { url: host.url }, { NODE_OPTIONS: '--frozen-intrinsics --no-warnings' });
  assert.deepEqual(await child.next('heard'), {
    kind: 'heard', value: [1, 'two'], name: 'RangeError', message: 'as asked', codes: ['ERR_TIMEOUT', 'ERR_UNKNOWN_NODE', 'ERR_NO_METHOD', 'ABORT_ERR'],
  });
  assert.deepEqual(await child.exited, { code: 0, signal: null }, child.stderr);
});

test('a handler that fails where nobody waits tells handler.error, or warns, and its process lives', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  const failures = { thrown: () => raise(new RangeError('now')), rejected: async () => raise('then') };
  for (const [event, fail] of Object.entries(failures)) {
    ben.handle(event, fail);
    bus.bridge.handle(event, fail);
  }
  await ann.nodes();
  for (const [emitter, say] of [[ben, (event) => ann.publish(`ben:${event}`)], [ben, (event) => ann.broadcast(event)], [bus.bridge, (event) => ann.rpc(event)]]) {
    for (const [event, message] of [['thrown', 'now'], ['rejected', 'then']]) {
      const told = once(emitter, 'handler.error');
      say(event);
      const [error, about] = await told;
      assert.ok(error instanceof Error);
      assert.equal(error.message, message);
      assert.deepEqual(about, { from: 'ann', event });
    }
  }
  const warned = once(process, 'warning');
  ann.publish('ben:thrown');
  const [warning] = await warned;
  assert.equal(warning.code, 'BUSYBODY_HANDLER_FAILED');
  assert.match(warning.message, /'thrown'.*'ann'/);
  assert.match(warning.detail, /RangeError: now\n.*at .*failing-handlers/s);
});

test('a handler that has replied and then fails tells of it, and the reply counts', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, ben] = await bus.nodes('ann', 'ben');
  let before;
  ben.handle('ask', async (value) => value);
  ben.prependListener('ask', (value, reply) => {
    before = reply(null, 'first');
  });
  assert.equal(await ann.request('ben:ask', 'second'), 'first');
  assert.equal(before, true);
});
