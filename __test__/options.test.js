'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { describe, test } = require('node:test');
const { inspect } = require('node:util');
const { RESERVED_EVENTS } = require('../lib/errors.js');
const { checkEvent, parseBridgeOptions, parseCallOptions, parseNodeOptions, parseTarget } = require('../lib/options.js');

const callback = () => {};
const invalid = (name) => ({
  name: 'TypeError', code: 'ERR_INVALID_ARG', message: new RegExp(`^The "${name}" (option|argument) must be .*Received `),
});

describe('createBridge arguments', () => {
  const forms = [
    [[], null],
    [[undefined, undefined], null],
    [[{}], null],
    [[9003], 'tcp://127.0.0.1:9003'],
    [[0], 'tcp://127.0.0.1:0'],
    [['9003'], 'tcp://127.0.0.1:9003'],
    [['localhost:9003'], 'tcp://localhost:9003'],
    [['[::1]:9003'], 'tcp://[::1]:9003'],
    [['/run/a b/ü:1?.sock'], 'unix:///run/a%20b/%C3%BC%3A1%3F.sock'],
    [['unix:///run/app.sock'], 'unix:///run/app.sock'],
    [['tcp://127.0.0.1:0'], 'tcp://127.0.0.1:0'],
    [[{ url: 'tls://host:8221' }], 'tls://host:8221'],
    [[{ path: '/run/app.sock' }], 'unix:///run/app.sock'],
    [[{ host: 'example.org' }], 'tcp://example.org:8221'],
    [[{ port: 0 }], 'tcp://127.0.0.1:0'],
    [[{ host: '::1', port: 5 }], 'tcp://[::1]:5'],
    [[{ host: '[::]', port: 5 }], 'tcp://[::]:5'],
    [[{ host: undefined, port: 5, path: undefined }], 'tcp://127.0.0.1:5'],
  ];
  for (const [args, url] of forms) {
    test(`${JSON.stringify(args)} is ${url}`, () => {
      const alone = parseBridgeOptions(args);
      const called = parseBridgeOptions([...args.filter((each) => each !== undefined), callback]);
      assert.deepEqual([alone.url, alone.callback], [url, null]);
      assert.deepEqual({ ...called }, { ...alone, callback });
    });
  }

  test('a relative path is of the working directory', () => {
    const relative = [
      'app.sock', { path: './x/../app.sock' }, { url: 'unix://app.sock' }, 'unix:app.sock', 'UNIX://x/../app.sock', 'unix://%61pp.sock',
    ];
    for (const form of relative) assert.equal(parseBridgeOptions([form]).url, `unix://${path.resolve('app.sock')}`);
    assert.equal(parseBridgeOptions(['unix://%FF.sock']).url, `unix://${path.resolve('.')}/%FF.sock`, 'bytes that are no text');
    assert.equal(parseBridgeOptions(['unix:///%FF']).url, 'unix:///%FF');
  });

  test('defaults are filled in and the result is frozen', () => {
    const options = parseBridgeOptions([]);
    assert.deepEqual({ ...options }, {
      url: null, maxMessage: 67_108_864, maxPending: 67_108_864, stallTimeout: 10_000, resumeTimeout: 5_000, mode: 0o600,
      callback: null,
    });
    assert.ok(Object.isFrozen(options));
  });

  test('what is given is kept', () => {
    const given = { url: 'tcp://h:1', maxMessage: 1, maxPending: 2 ** 40, stallTimeout: 1, resumeTimeout: 0, mode: 0o666 };
    assert.deepEqual({ ...parseBridgeOptions([given]) }, { ...given, callback: null });
  });

  const wrong = [
    ['port', [-1]], ['port', [65_536]], ['port', [1.5]], ['port', [NaN]], ['port', ['65536']], ['port', [{ port: '9003' }]],
    ['port', [{ port: null }]], ['path', ['']], ['path', ['a\0b']], ['path', [{ path: '' }]], ['path', [{ path: 5 }]],
    ['host', [{ host: '' }]], ['host', [{ host: 'a b' }]], ['host', [{ host: 'a:b' }]], ['host', [{ host: 'a/b' }]],
    ['host', [{ host: 7 }]],
    ['url', ['http://x']], ['url', [{ url: '/run/app.sock' }]], ['url', [{ url: 5 }]], ['url', [{ url: 'unix://' }]],
    ['url', [{ url: 'tcp://h:1', path: '/x' }]], ['url', [{ url: 'tcp://h:1', port: 1 }]],
    ['path', [{ path: '/x', host: 'h' }]],
    ['path', [{ path: '/x', port: 1 }]], ['maxMessage', [{ maxMessage: 0 }]], ['maxMessage', [{ maxMessage: 1.5 }]],
    ['maxMessage', [{ maxMessage: '1' }]], ['maxPending', [{ maxPending: -1 }]], ['maxPending', [{ maxPending: Infinity }]],
    ['stallTimeout', [{ stallTimeout: 0 }]], ['stallTimeout', [{ stallTimeout: 2 ** 31 }]],
    ['resumeTimeout', [{ resumeTimeout: -1 }]],
    ['resumeTimeout', [{ resumeTimeout: NaN }]], ['mode', [{ mode: '600' }]], ['mode', [{ mode: 0o1000 }]],
    ['options', [true]], ['options', [[]]], ['options', [1n]], ['options', [{}, {}]], ['callback', [callback, callback]],
    ['url', [1, 2]], ['url', [{}, 9003]],
  ];
  for (const [name, args] of wrong) {
    test(`wrong ${name} is named: ${describeArgs(args)}`, () => assert.throws(() => parseBridgeOptions(args), invalid(name)));
  }
});

describe('createNode arguments', () => {
  test('id, port and callback come in any order', () => {
    const parts = ['id', 9003, callback];
    for (const [a, b, c] of [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]) {
      const options = parseNodeOptions([parts[a], parts[b], parts[c]]);
      assert.deepEqual([options.id, options.url, options.onConnect], ['id', 'tcp://127.0.0.1:9003', callback]);
    }
  });

  test('any of them may be missing', () => {
    assert.deepEqual([parseNodeOptions(['id', callback]).id, parseNodeOptions(['id', callback]).url], ['id', null]);
    assert.equal(parseNodeOptions([callback]).onConnect, callback);
    assert.equal(parseNodeOptions([9003]).url, 'tcp://127.0.0.1:9003');
    assert.equal(parseNodeOptions([undefined, null, callback]).onConnect, callback);
    assert.equal(parseNodeOptions(['tcp://[::1]:5', 'id']).url, 'tcp://[::1]:5');
    assert.equal(parseNodeOptions(['localhost:5', 'id']).url, 'tcp://localhost:5');
    assert.equal(parseNodeOptions(['unix:/run/app.sock', 'id']).url, 'unix:///run/app.sock');
    assert.equal(parseNodeOptions(['/run/app.sock', 'id']).url, 'unix:///run/app.sock');
    for (const file of ['./app.sock', '../app.sock']) {
      const { id, url } = parseNodeOptions([file, 'id']);
      assert.deepEqual([id, url], ['id', `unix://${path.resolve(file)}`]);
    }
    for (const id of ['app.sock', 'a/b', '.hidden', '8221']) {
      assert.deepEqual([parseNodeOptions([id]).id, parseNodeOptions([id]).url], [id, null], 'not a path, for a node');
    }
  });

  test('defaults are filled in and the result is frozen', () => {
    const { id, ...rest } = parseNodeOptions([]);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    assert.notEqual(parseNodeOptions([]).id, id);
    assert.deepEqual(rest, {
      url: null, onConnect: null, maxConnectionAttempts: 5, onTaken: 'fail', bridge: 'auto', replyTimeout: 30_000, serialization: 'values',
      maxMessage: 67_108_864, maxPending: 67_108_864, stallTimeout: 10_000,
    });
    assert.ok(Object.isFrozen(parseNodeOptions([])));
  });

  test('what is given is kept', () => {
    const given = {
      url: 'unix:///x', id: 'ü', onConnect: callback, maxConnectionAttempts: 1, onTaken: 'wait', bridge: 'auto', replyTimeout: 0,
      serialization: 'advanced', maxMessage: 5, maxPending: 6, stallTimeout: 7,
    };
    assert.deepEqual({ ...parseNodeOptions([given]) }, given);
  });

  test('without an address the bus is hosted when it must be, with one only on request', () => {
    assert.equal(parseNodeOptions(['id']).bridge, 'auto');
    assert.equal(parseNodeOptions(['id', 9003]).bridge, 'require');
    assert.equal(parseNodeOptions([{ path: '/x' }]).bridge, 'require');
    assert.equal(parseNodeOptions([{ bridge: 'require' }]).bridge, 'require');
  });

  test('a callback beside onConnect: both are called', () => {
    const calls = [];
    const note = (who) => (error) => calls.push([who, error]);
    parseNodeOptions([{ onConnect: note('option') }, note('callback')]).onConnect(null);
    assert.deepEqual(calls, [['option', null], ['callback', null]]);
  });

  test('for ever is a number of attempts, and fractions of milliseconds are rounded up', () => {
    assert.equal(parseNodeOptions([{ maxConnectionAttempts: Infinity }]).maxConnectionAttempts, 2 ** 32 - 1);
    assert.equal(parseNodeOptions([{ replyTimeout: 0.25 }]).replyTimeout, 1);
  });

  test('an id may have 255 bytes', () => {
    assert.equal(parseNodeOptions(['x'.repeat(255)]).id.length, 255);
    assert.equal(parseNodeOptions([`${'ü'.repeat(127)}x`]).id.length, 128);
  });

  const wrong = [
    ['id', ['']], ['id', ['a:b']], ['id', ['x'.repeat(256)]], ['id', ['ü'.repeat(128)]], ['id', ['\ud800']], ['id', ['a\0']],
    ['id', [{ id: 5 }]], ['id', [{ id: '' }]], ['id', ['a', 'b']], ['id', [{}, 'a']], ['port', [0]], ['port', [{ port: 0 }]],
    ['url', ['tcp://h:0']], ['port', ['localhost:0']], ['url', ['unix:']], ['url', ['/a', '/b']], ['url', [{ url: 'tcp://h:00' }]], ['onConnect', [{ onConnect: 5 }]],
    ['maxConnectionAttempts', [{ maxConnectionAttempts: 0 }]], ['maxConnectionAttempts', [{ maxConnectionAttempts: '5' }]],
    ['bridge', [{ bridge: true }]], ['bridge', [{ bridge: 'always' }]], ['replyTimeout', [{ replyTimeout: -1 }]],
    ['replyTimeout', [{ replyTimeout: Infinity }]], ['replyTimeout', [{ replyTimeout: '1' }]],
    ['serialization', [{ serialization: 'xml' }]],
    ['maxMessage', [{ maxMessage: 2 ** 32 }]], ['maxPending', [{ maxPending: 0 }]], ['stallTimeout', [{ stallTimeout: null }]],
  ];
  for (const [name, args] of wrong) {
    test(`wrong ${name} is named: ${describeArgs(args)}`, () => assert.throws(() => parseNodeOptions(args), invalid(name)));
  }

  test('the message says what was expected and what came', () => {
    assert.throws(() => parseNodeOptions([{ replyTimeout: 'soon' }]), {
      message: 'The "replyTimeout" option must be a number of milliseconds from 0 to 2147483647. Received type string (\'soon\')',
    });
    assert.throws(() => parseNodeOptions([{ id: new Map() }]), { message: /Received an instance of Map$/ });
  });
});

describe('option objects', () => {
  test('without a prototype or with getters are read, each option once', () => {
    let reads = 0;
    const options = Object.create(null, { port: { enumerable: true, get: () => 9000 + ++reads } });
    assert.equal(parseBridgeOptions([options]).url, 'tcp://127.0.0.1:9001');
  });

  test('inherited options were not asked for', (t) => {
    Object.defineProperty(Object.prototype, 'port', { value: 1, configurable: true, enumerable: true });
    t.after(() => delete Object.prototype.port);
    assert.equal(parseBridgeOptions([{}]).url, null);
    assert.equal(parseBridgeOptions([Object.create({ path: '/x' })]).url, null);
  });

  test('an unknown option warns once', async () => {
    const warnings = [];
    const listener = (warning) => warnings.push(warning);
    process.on('warning', listener);
    parseNodeOptions([{ replyTimout: 5 }]);
    parseNodeOptions([{ replyTimout: 6 }]);
    parseBridgeOptions([JSON.parse('{"__proto__": {"port": 1}}')]);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', listener);
    assert.deepEqual(warnings.map((each) => each.code), ['BUSYBODY_UNKNOWN_OPTION', 'BUSYBODY_UNKNOWN_OPTION']);
    assert.match(warnings[0].message, /"replyTimout"/);
  });
});

describe('targets and events', () => {
  test('a target is split at its first colon', () => {
    assert.deepEqual({ ...parseTarget('node:event') }, { node: 'node', event: 'event' });
    assert.deepEqual({ ...parseTarget('node:a:b') }, { node: 'node', event: 'a:b' });
    assert.deepEqual({ ...parseTarget('__proto__:constructor') }, { node: '__proto__', event: 'constructor' });
    assert.equal(parseTarget('node:event'), parseTarget('node:event'));
  });

  test('what is no target is a TypeError', () => {
    const wrong = [
      undefined, null, 5, {}, '', 'node', ':', 'node:', ':event', `${'x'.repeat(256)}:e`, `n:${'x'.repeat(1025)}`,
      'n:\ud800', '\ud800:e', 'a\0:e',
    ];
    const expected = { name: 'TypeError', code: 'ERR_INVALID_TARGET' };
    for (const target of wrong) assert.throws(() => parseTarget(target), expected, String(target));
  });

  test('sizes are in bytes and their limits allowed', () => {
    assert.equal(parseTarget(`${'x'.repeat(255)}:${'ü'.repeat(512)}`).event.length, 512);
    checkEvent('x'.repeat(1024));
    assert.throws(() => checkEvent('ü'.repeat(513)), invalid('event'));
  });

  test('reserved events are refused, as often as they are tried', () => {
    for (const event of [...RESERVED_EVENTS, ...RESERVED_EVENTS]) {
      assert.throws(() => checkEvent(event), { name: 'TypeError', code: 'ERR_RESERVED_EVENT' });
      assert.throws(() => parseTarget(`node:${event}`), { name: 'TypeError', code: 'ERR_RESERVED_EVENT' });
    }
  });

  test('an event is a non-empty string', () => {
    const wrong = ['', 5, null, undefined, Symbol('e'), {}, '\udc00'];
    for (const event of wrong) assert.throws(() => checkEvent(event), invalid('event'));
    for (const event of ['a', '__proto__', 'data', 'a:b', ' ']) checkEvent(event);
  });

  test('more names than are remembered are all still right', () => {
    for (let i = 0; i < 5000; i++) {
      assert.deepEqual({ ...parseTarget(`n${i}:e${i}`) }, { node: `n${i}`, event: `e${i}` });
      checkEvent(`e${i}`);
    }
  });
});

describe('with() options', () => {
  test('are a timeout, a signal, a wait, all or none', () => {
    const { signal } = new AbortController();
    assert.deepEqual({ ...parseCallOptions({ timeout: 1.5, signal, wait: 9 }) }, { timeout: 2, signal, wait: 9 });
    assert.deepEqual({ ...parseCallOptions({}) }, { timeout: undefined, signal: undefined, wait: undefined });
    assert.equal(parseCallOptions({ timeout: 0 }).timeout, 0);
    assert.equal(parseCallOptions({ timeout: 2 ** 31 - 1 }).timeout, 2 ** 31 - 1);
  });

  const wrong = [
    ['timeout', { timeout: -1 }], ['timeout', { timeout: 2 ** 31 }], ['timeout', { timeout: '5' }],
    ['signal', { signal: {} }], ['signal', { signal: null }], ['options', undefined], ['options', 5],
  ];
  for (const [name, options] of wrong) {
    test(`wrong ${name} is named: ${describeArgs([options])}`, () => {
      assert.throws(() => parseCallOptions(options), invalid(name));
    });
  }
});

function describeArgs(args) {
  return inspect(args, { depth: 2, breakLength: Infinity }).slice(0, 60);
}
