'use strict';

// Anything may come from a socket: it is turned away, the bridge lives on, and nobody else notices.

const test = require('node:test');
const assert = require('node:assert/strict');
const { Bus, LIMIT, announced, barrier } = require('./support/bus');
const { collect } = require('./support/watch');
const { dialLegacy, joinLegacy } = require('./support/legacy');
const { dice, knock } = require('./support/stranger');
const { startBridge, startPeer } = require('./support/child');

const MAX_MESSAGE = 1 << 20;

/** A bridge and a node in processes of their own, and a node here that talks to it. */
async function neighbourhood(t, where) {
  const bus = new Bus(t);
  bus.host = await startBridge(t, { ...(where ?? { path: bus.path }), maxMessage: MAX_MESSAGE });
  bus.address = { url: bus.host.url };
  bus.far = await startPeer(t, { ...bus.address, id: 'far' });
  bus.ann = await bus.node('ann');
  return bus;
}

/** The old nodes still talk, a new one can join, and both processes live. */
async function unharmed(bus) {
  await barrier(bus.ann, 'far');
  const newcomer = await bus.node('newcomer');
  await barrier(newcomer, bus.ann);
  await newcomer.leave();
  assert.ok(bus.host.alive && bus.far.alive);
}

const nested = (depth) => '['.repeat(depth) + ']'.repeat(depth);
const ident = (nodeName) => `${JSON.stringify({ id: 'x', method: 'IDENT', nodeName })}\0`;

const JUNK = {
  'zeros': Buffer.alloc(10_000),
  'ones': Buffer.alloc(10_000, 0xff),
  'every byte': Buffer.from(Array.from({ length: 4096 }, (_, n) => n & 255)),
  'an HTTP GET': 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n',
  'an HTTP POST': 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n',
  'a TLS hello': Buffer.from('1603010200010001fc0303', 'hex'),
  'no JSON': '{"method": \0',
  'JSON that is no object': '{}[]7"x"\0',
  'text that begins like PING': 'PINK\0',
  'a method nobody knows': `${ident('guest')}{"id":"1","method":"EXPLODE","data":[]}\0`,
  'data of the wrong type': `${ident('guest')}{"id":"1","method":"PUBLISH","data":"far"}\0`,
  'a message before its IDENT': '{"id":"1","method":"PUBLISH","data":["far","note",[1]],"nodeName":"far"}\0',
  'invalid UTF-8': Buffer.from('{"id":"1","method":"IDENT","nodeName":"\xff\xfe"}\0', 'latin1'),
  'an id with a colon': ident('a:b'),
  'an empty id': ident(''),
  'an id of 256 bytes': ident('x'.repeat(256)),
  'an id that is no string': ident({ toString: 'x' }),
  'an event of 2000 bytes': `${ident('guest')}{"id":"1","method":"PUBLISH","data":["far","${'x'.repeat(2000)}",[]]}\0`,
  'data half a million levels deep': `${ident('guest')}{"id":"1","method":"PUBLISH","data":${nested(500_000)}}\0`,
};

/** Junk that cannot be the beginning of anything we speak. */
const FOREIGN = [
  'zeros', 'ones', 'every byte', 'an HTTP GET', 'an HTTP POST', 'a TLS hello', 'no JSON', 'text that begins like PING',
];

test('junk is turned away, or without effect', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  for (const [name, bytes] of Object.entries(JUNK)) {
    await t.test(name, async () => {
      const stranger = await knock(t, bus);
      await stranger.say(bytes);
      await unharmed(bus);
      assert.equal(bus.far.has('note'), false);
      stranger.socket.end();
      await stranger.closed;
      await unharmed(bus);
    });
  }
});

test('what cannot be the beginning of anything is hung up on', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  for (const name of FOREIGN) {
    await t.test(name, async () => {
      const stranger = await knock(t, bus);
      await stranger.say(JUNK[name]);
      await stranger.closed;
      await unharmed(bus);
    });
  }
});

test('a web page cannot speak through a browser: messages in the body of an HTTP POST are not heard', LIMIT, async (t) => {
  const bus = await neighbourhood(t, { port: 0 });
  const note = '{"id":"1","method":"PUBLISH","data":["far","note",["from a web page"]]}';
  const body = `\0${ident('page')}${note}\0`;
  for (const head of ['POST / HTTP/1.1', 'PUT / HTTP/1.1', 'PING / HTTP/1.1', 'PINGPOST / HTTP/1.1']) {
    const stranger = await knock(t, bus);
    await stranger.say(`${head}\r\nHost: 127.0.0.1\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    await stranger.closed;
    await barrier(bus.ann, 'far');
    assert.equal(bus.far.has('note'), false, head);
    assert.equal((await bus.ann.nodes()).some(({ id }) => id === 'page'), false, head);
  }
});

test('a legacy message without an end is cut off at maxMessage', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  for (const beginning of ['{"id":"', `${ident('guest')}{"id":"`]) {
    const stranger = await knock(t, bus);
    await stranger.say(beginning);
    const megabyte = Buffer.alloc(MAX_MESSAGE, 'x');
    while (!stranger.socket.destroyed) await stranger.say(megabyte);
    await unharmed(bus);
  }
});

test('connections that say nothing, half a word, or hang up at once', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const silent = await knock(t, bus);
  const half = await knock(t, bus);
  await half.say('{"id":"1","meth');
  const closing = await knock(t, bus);
  closing.socket.end();
  await closing.closed;
  await (await knock(t, bus)).leave();
  await unharmed(bus);
  silent.socket.end();
  half.socket.end();
  await Promise.all([silent.closed, half.closed]);
  await unharmed(bus);
});

test('a flood of connections', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const flood = await Promise.all(Array.from({ length: 300 }, () => knock(t, bus)));
  await unharmed(bus);
  await Promise.all(flood.map((stranger, n) => (n % 2 ? stranger.leave('{') : stranger.leave(Buffer.alloc(100, n)))));
  await unharmed(bus);
  for (let n = 0; n < 500; n += 1) await (await knock(t, bus)).leave();
  await unharmed(bus);
});

test('random bytes of any length', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const roll = dice(1);
  for (let round = 0; round < 200; round += 1) {
    const bytes = Buffer.from(Array.from({ length: roll(300) }, () => roll(256)));
    if (round % 4 === 0 && bytes.length > 0) bytes[0] = '{P'.charCodeAt(roll(2));
    await (await knock(t, bus)).leave(bytes);
  }
  await unharmed(bus);
});

test("'error' and its kind from a remote are never emitted here", LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const intruder = await joinLegacy(t, bus, 'intruder');
  const reserved = [
    'error', 'close', 'connect', 'disconnect', 'reconnect', 'drain', 'leave.force', 'error.reconnect',
    'undeliverable', 'node:join', 'node:leave', 'newListener', 'removeListener',
  ];
  const forged = [];
  for (const event of reserved) {
    bus.ann.on(event, (first) => first === 'forged' && forged.push(event));
    intruder.send('BROADCAST', [event, 'forged']);
    intruder.send('PUBLISH', ['ann', event, ['forged']]);
    intruder.send('PUBLISH', ['far', event, ['forged']]);
  }
  await intruder.ack(intruder.send('PUBLISH', ['ann', 'barrier', []]));
  await intruder.ack(intruder.send('PUBLISH', ['far', 'barrier', []]));
  assert.deepEqual(forged, []);
  assert.equal(bus.far.has('error'), false);
  assert.equal(bus.far.has('close'), false);
  await unharmed(bus);
});

test('__proto__ as id, event, method and key', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const proto = await joinLegacy(t, bus, '__proto__');
  const constructor = await joinLegacy(t, bus, 'constructor');
  proto.send('BROADCAST', ['__proto__', { polluted: 1 }]);
  proto.raw('{"id":"p","method":"PUBLISH","data":["far","note",[{"__proto__":{"polluted":1}}]],"__proto__":{"method":"x"}}\0');
  assert.deepEqual(Object.keys((await bus.far.next('note')).value), ['__proto__']);
  assert.ok((await proto.ack(proto.send('PUBLISH', ['far', '__proto__', []])))[0], 'nobody listens');
  assert.ok((await proto.ack(proto.send('RPC', ['__proto__', []])))[0], 'no such method');
  assert.deepEqual(await proto.ack(proto.send('PUBLISH', ['toString', 'x', []])), ['unknown-node']);
  const sent = constructor.send('PUBLISH', ['__proto__', 'hasOwnProperty', []]);
  const { data: [from, id] } = await proto.next('PUBLISH');
  proto.send('ACK', [from, id, ['fine']]);
  assert.deepEqual(await constructor.ack(sent), ['fine']);
  assert.equal({}.polluted, undefined);
  await unharmed(bus);
});

test('a peer cannot speak for another', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const mallory = await joinLegacy(t, bus, 'mallory');
  bus.ann.serve('who', ({ from }) => from);
  assert.deepEqual(await mallory.ack(mallory.send('PUBLISH', ['ann', 'who', []], 'far')), [null, 'mallory']);
  const heard = collect(bus.ann, 'news', (text, reply) => reply.from);
  await announced(bus.ann);
  mallory.send('BROADCAST', ['news', 'forged'], 'far');
  assert.deepEqual(await heard.reached(1), ['mallory']);
  mallory.send('LEAVE', undefined, 'far'); // at most itself
  await unharmed(bus);
});

test('a peer cannot answer what another was asked', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const [honest, victim] = [await joinLegacy(t, bus, 'honest'), await joinLegacy(t, bus, 'victim')];
  const mallory = await joinLegacy(t, bus, 'mallory');
  const request = bus.ann.request('honest:ask');
  const { data: [from, id] } = await honest.next('PUBLISH');
  const sent = victim.send('PUBLISH', ['honest', 'ask', []]);
  const { data: [, victimsId] } = await honest.next('PUBLISH');
  for (const ticket of [id, victimsId, sent, 0, 1, 2, 3, 4, 5, '1', -1, 2 ** 32, null, {}]) {
    mallory.send('ACK', ['ann', ticket, [null, 'forged']]);
    mallory.send('ACK', ['victim', ticket, [null, 'forged']]);
  }
  const stillThere = mallory.ack(mallory.send('PUBLISH', ['far', 'barrier', []])).catch(() => 'hung up on');
  await Promise.race([stillThere, mallory.closed]);
  honest.send('ACK', [from, id, [null, 'genuine']]);
  honest.send('ACK', ['victim', victimsId, [null, 'genuine']]);
  assert.equal(await request, 'genuine');
  assert.deepEqual(await victim.ack(sent), [null, 'genuine']);
  await unharmed(bus);
});

test('JSON too deep for a stack, as arguments: whoever gets them lives', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const guest = dialLegacy(t, bus, 'guest');
  await guest.join();
  const deep = nested(100_000);
  guest.raw(`{"id":"1","method":"PUBLISH","data":["far","note",[${deep}]],"nodeName":"guest"}\0`);
  guest.raw(`{"id":"2","method":"BROADCAST","data":["note",${deep}],"nodeName":"guest"}\0`);
  await unharmed(bus);
});

test('a second IDENT on one connection changes nothing for others', LIMIT, async (t) => {
  const bus = await neighbourhood(t);
  const guest = await joinLegacy(t, bus, 'guest');
  guest.send('IDENT', undefined, 'far');
  guest.send('IDENT', undefined, 'other');
  await unharmed(bus);
  assert.equal(await bus.ann.request('far:pid'), bus.far.pid);
});
