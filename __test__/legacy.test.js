'use strict';

// Old friends still talk: peers on the original's wire, JSON ended by NUL, join the same bus.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { execFile, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { promisify } = require('node:util');
const { LIMIT, announced, barrier, openBus } = require('./support/bus');
const { answer, collect } = require('./support/watch');
const { dialLegacy, joinLegacy } = require('./support/legacy');

const hasPython = spawnSync('python3', ['--version']).status === 0;

const PYTHON = { ...LIMIT, skip: !hasPython && 'python3 is not to be had here' };

test('Python’s standard library joins, publishes, replies, broadcasts, calls rpc and leaves', PYTHON, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  ann.serve('double', ({ from }, n) => ({ double: 2 * n, from }));
  bus.bridge.handle('sum', (a, b) => a + b);
  const left = once(bus.bridge, 'node:leave');
  const ready = once(ann, 'ready');
  await announced(ann);
  const program = promisify(execFile)('python3', [path.join(__dirname, 'fixtures', 'legacy_peer.py'), bus.path]);
  assert.deepEqual((await ready)[0], { from: 'python' });
  ann.broadcast('news', 'from ann', { n: 1 });
  assert.deepEqual(await ann.request('python:add', 1, 2, 3), { event: 'add', sum: 6 });
  const { stdout } = await program;
  const { asked, ...learned } = JSON.parse(stdout);
  assert.deepEqual(learned, {
    ident: [null],
    reply: [null, { double: 42, from: 'python' }],
    unknown: ['unknown-node'],
    rpc: [null, 5],
    broadcast: ['news', 'from ann', { n: 1 }],
    leave: [],
    end: '',
  });
  assert.deepEqual([asked[0], asked[2], asked[3]], ['ann', 'add', [1, 2, 3]]);
  assert.equal((await left)[0].id, 'python');
});

for (const where of ['unix', 'tcp']) {
  test(`PING is answered with pong, before and after joining (${where})`, LIMIT, async (t) => {
    const bus = await openBus(t, where === 'tcp' ? { port: 0 } : {});
    const peer = dialLegacy(t, bus, 'old');
    peer.raw('PING\0');
    assert.equal(await peer.next((message) => message === 'pong'), 'pong');
    assert.deepEqual(await peer.join(), [null]);
    peer.raw('PING\0');
    assert.equal(await peer.next((message) => message === 'pong'), 'pong');
  });
}

test('IDENT: a free name is acknowledged, a taken one refused, and its holder is not disturbed', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const old = await joinLegacy(t, bus, 'old');
  assert.deepEqual(await dialLegacy(t, bus, 'ann').join(), ['duplicate-node']);
  assert.deepEqual(await dialLegacy(t, bus, 'old').join(), ['duplicate-node']);
  await barrier(bob, ann);
  assert.deepEqual(await old.ack(old.send('PUBLISH', ['bob', 'barrier', []])), [null, 'passed']);
  const newcomer = bus.createNode({ ...bus.address, id: 'old' });
  newcomer.on('error', () => {});
  await assert.rejects(newcomer.ready, { code: 'ERR_DUPLICATE_NODE' });
});

test('a legacy peer is a node like others for presence', LIMIT, async (t) => {
  const bus = await openBus(t);
  const joined = collect(bus.bridge, 'node:join', ({ id }) => id);
  const left = collect(bus.bridge, 'node:leave', ({ id }) => id);
  const ann = await bus.node('ann');
  const leaving = await joinLegacy(t, bus, 'leaving');
  const dying = await joinLegacy(t, bus, 'dying');
  await joined.reached(3);
  assert.deepEqual((await ann.nodes()).map(({ id }) => id).sort(), ['ann', 'dying', 'leaving']);
  assert.deepEqual(await leaving.ack(leaving.send('LEAVE')), []);
  dying.destroy();
  await left.reached(2);
  assert.deepEqual(left.values.sort(), ['dying', 'leaving']);
  assert.deepEqual(await dialLegacy(t, bus, 'dying').join(), [null], 'its name is free again');
});

test('PUBLISH to a node: its listener gets the arguments, its reply is the acknowledgement', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const old = await joinLegacy(t, bus, 'old');
  ann.once('ask', (...args) => {
    const reply = args.pop();
    reply(null, args, reply.from);
  });
  const args = ['text', 1.5, null, true, { deep: [{}] }, '\u0000 "\\" 日本'];
  assert.deepEqual(await old.ack(old.send('PUBLISH', ['ann', 'ask', args])), [null, args, 'old']);
});

test('PUBLISH from a node: reply travels as ACK [toNode, id, args]', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const old = await joinLegacy(t, bus, 'old');
  const answered = answer((cb) => ann.publish('old:ask', 'what', { n: 1 }, cb));
  const { data: [from, id, event, args] } = await old.next('PUBLISH');
  assert.deepEqual([from, event, args], ['ann', 'ask', ['what', { n: 1 }]]);
  old.send('ACK', [from, id, [null, 'this', { and: 'that' }]]);
  assert.deepEqual(await answered, [null, 'this', { and: 'that' }]);
});

test('without a callback a node’s event still reaches the peer, and its acknowledgement disturbs nobody', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const lost = collect(ann, 'undeliverable');
  const old = await joinLegacy(t, bus, 'old');
  ann.publish('old:tell', 1);
  const { data: [from, id] } = await old.next('PUBLISH');
  old.send('ACK', [from, id, ['nobody asked']]);
  old.send('ACK', [from, 'no such id', ['nobody asked']]);
  old.send('ACK', ['no such node', 'no such id', []]);
  await old.ack(old.send('PUBLISH', ['ann', 'barrier', []]));
  assert.deepEqual(lost.values, []);
});

test('between two legacy peers: PUBLISH and its ACK', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [one, two] = [await joinLegacy(t, bus, 'one'), await joinLegacy(t, bus, 'two')];
  const sent = one.send('PUBLISH', ['two', 'ask', [1, 'x']]);
  const { data: [from, id, event, args] } = await two.next('PUBLISH');
  assert.deepEqual([from, event, args], ['one', 'ask', [1, 'x']]);
  two.send('ACK', [from, id, [null, 'fine']]);
  assert.deepEqual(await one.ack(sent), [null, 'fine']);
});

test('PUBLISH that cannot be delivered is acknowledged with the reason', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const old = await joinLegacy(t, bus, 'old');
  assert.deepEqual(await old.ack(old.send('PUBLISH', ['nobody', 'event', []])), ['unknown-node']);
  const unheard = await old.ack(old.send('PUBLISH', ['ann', 'unheard', []]));
  assert.equal(unheard.length, 1);
  assert.ok(unheard[0], 'an acknowledgement that is no success');
  ann.on('silence', () => {});
  const pending = old.send('PUBLISH', ['ann', 'silence', []]);
  await barrier(ann, ann);
  await ann.leave(true);
  assert.ok((await old.ack(pending))[0], 'told when the other side has left');
});

test('an Error in a reply reaches a legacy peer as something readable', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const old = await joinLegacy(t, bus, 'old');
  ann.handle('fail', () => {
    throw new Error('out of ideas');
  });
  const [err] = await old.ack(old.send('PUBLISH', ['ann', 'fail', []]));
  assert.match(JSON.stringify(err), /out of ideas/);
});

test('a Buffer for a legacy peer is what JSON.stringify makes of it', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const old = await joinLegacy(t, bus, 'old');
  const bytes = Buffer.from([0, 1, 254, 255]);
  ann.publish('old:bytes', { bytes });
  const { data } = await old.next('PUBLISH');
  assert.deepEqual(data[3], [{ bytes: bytes.toJSON() }]);
});

test('a peer without JSON for it gets a reason, not silence: structured clone to a legacy peer', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann', { serialization: 'advanced' });
  const old = await joinLegacy(t, bus, 'old');
  const failed = assert.rejects(ann.request('old:ask', new Map([[1, 2]])), { code: /^ERR_/ });
  const served = old.next('PUBLISH').then(({ data: [from, id] }) => old.send('ACK', [from, id, [new Error('no')]]));
  await Promise.race([failed, served]);
});

test('BROADCAST from a peer reaches nodes that listen and every other peer, not itself', LIMIT, async (t) => {
  const bus = await openBus(t);
  const [ann, deaf] = await bus.nodes('ann', 'deaf');
  const [one, two] = [await joinLegacy(t, bus, 'one'), await joinLegacy(t, bus, 'two')];
  const heard = once(ann, 'news');
  await announced(ann, deaf);
  one.send('BROADCAST', ['news', 'today', { n: 1 }]);
  const args = await heard;
  const reply = args.pop();
  assert.deepEqual([args, reply.from, reply.broadcast], [['today', { n: 1 }], 'one', true]);
  assert.deepEqual((await two.next('BROADCAST')).data, ['news', 'today', { n: 1 }]);
  await one.ack(one.send('PUBLISH', ['ann', 'barrier', []]));
  assert.deepEqual(one.unread, []);
});

test('BROADCAST from a node reaches every peer', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const peers = [await joinLegacy(t, bus, 'one'), await joinLegacy(t, bus, 'two')];
  ann.broadcast('news', 'today', [1, 2]);
  for (const peer of peers) assert.deepEqual((await peer.next('BROADCAST')).data, ['news', 'today', [1, 2]]);
});

test('RPC reaches the bridge’s process; an unknown method is acknowledged with a reason', LIMIT, async (t) => {
  const bus = await openBus(t);
  bus.bridge.serve('sum', ({ from }, a, b) => [a + b, from]);
  const old = await joinLegacy(t, bus, 'old');
  assert.deepEqual(await old.ack(old.send('RPC', ['sum', [2, 3]])), [null, [5, 'old']]);
  assert.ok((await old.ack(old.send('RPC', ['unknown', []])))[0]);
});

test('LEAVE is acknowledged, and the connection ends', LIMIT, async (t) => {
  const bus = await openBus(t);
  const old = await joinLegacy(t, bus, 'old');
  assert.deepEqual(await old.ack(old.send('LEAVE')), []);
  await old.closed;
});

test('CLOSE brings the values of bridge.close', LIMIT, async (t) => {
  const bus = await openBus(t);
  const old = await joinLegacy(t, bus, 'old');
  const farewell = old.next('CLOSE');
  await bus.bridge.close(['maintenance', { until: 'noon' }]);
  assert.deepEqual((await farewell).data, ['maintenance', { until: 'noon' }]);
  await old.closed;
});

test('messages may come in pieces, together, and with newlines between them', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const seen = collect(ann, 'note');
  const old = await joinLegacy(t, bus, 'old');
  const text = (n) => JSON.stringify({ id: `m${n}`, method: 'PUBLISH', data: ['ann', 'note', [`é${n}`]] });
  const bytes = Buffer.from(`${text(0)}\0\n${text(1)}\0${text(2)}\0\0\n\n${text(3)}\0`);
  for (const byte of bytes) old.raw(Buffer.from([byte]));
  old.raw(Buffer.concat([bytes, bytes, bytes]));
  await seen.reached(16);
  assert.deepEqual(seen.values, Array.from({ length: 16 }, (_, n) => `é${n % 4}`));
});

test('what a peer sent before it closed its side is delivered', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const seen = collect(ann, 'note');
  const old = await joinLegacy(t, bus, 'old');
  for (let n = 0; n < 100; n += 1) old.send('PUBLISH', ['ann', 'note', [n]]);
  old.end();
  assert.deepEqual(await seen.reached(100), [...Array(100).keys()]);
});

test('ids may be numbers, as a client may count them', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  ann.handle('ask', () => 'answer');
  const old = await joinLegacy(t, bus, 'old');
  old.raw(`${JSON.stringify({ id: 77, method: 'PUBLISH', data: ['ann', 'ask', []], nodeName: 'old' })}\0`);
  const { data } = await old.next((message) => message.method === 'ACK');
  assert.deepEqual(data, [77, [null, 'answer']]);
});

const HASTY = `
import json, socket, sys
def say(method, data):
    return json.dumps({"id": method, "method": method, "data": data, "nodeName": "hasty"}).encode() + b"\\0"
peer = socket.socket(socket.AF_UNIX)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
peer.connect(sys.argv[1])
peer.sendall(say("IDENT", []) + b"PING" * 600000 + say("PUBLISH", ["ann", "note", ["last words"]]))
peer.close()
`;

test('what a peer said before it hung up arrives, though nothing can be written to it any more', PYTHON, async (t) => {
  const bus = await openBus(t);
  const ann = await bus.node('ann');
  const notes = collect(ann, 'note', (text) => text);
  // Many reads' worth of questions: the answers to the first cannot be written any more when the last word is read.
  await promisify(execFile)('python3', ['-c', HASTY, bus.path]);
  assert.deepEqual(await notes.reached(1), ['last words']);
});
