'use strict';

// A bridge that rejects the link for the same frame each time, or a node that does: the frame is given up, whoever waits is
// told, the rest goes on.

const test = require('node:test');
const assert = require('node:assert/strict');
const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { Bus, LIMIT } = require('./support/bus');
const { collect } = require('./support/watch');
const { start } = require('./support/child');
const { KIND, PickyNode } = require('./support/picky-node');

/** A node of a bridge that takes nothing called 'poison', in a process of its own; it is told of nothing yet. */
async function pickedOn(t, { pongs = true } = {}) {
  const bus = new Bus(t);
  const where = path.join(bus.dir, 'picky.sock');
  const bridge = start(t, 'picky-bridge.js', { path: where, pongs });
  await bridge.next('ready');
  const node = bus.createNode({ path: where, id: 'ann' });
  await node.ready;
  return { bridge, node };
}

async function all(bridge, kind, count) {
  const reports = [];
  while (reports.length < count) reports.push(await bridge.next(kind));
  return reports;
}

for (const pongs of [true, false]) {
  test(`what a bridge rejects three times is given up, and the rest arrives; ${pongs ? '' : 'no '}PONG`, LIMIT, async (t) => {
    const { bridge, node } = await pickedOn(t, { pongs });
    const lost = collect(node, 'undeliverable');
    const breaks = collect(node, 'disconnect', ({ code }) => code);
    for (let n = 0; n < 5; n += 1) node.publish('bob:before', n);
    const asked = node.request('bob:poison', 'ask');
    node.publish('bob:poison', 'tell');
    node.broadcast('poison', 'all');
    const called = node.call('poison', 'call');
    for (let n = 0; n < 5; n += 1) node.publish('bob:after', n);
    await assert.rejects(asked, { code: 'ERR_PROTOCOL', message: /rejected/ });
    await assert.rejects(called, { code: 'ERR_PROTOCOL' });
    const heard = (await all(bridge, 'heard', 10)).map(({ event, text }) => event + text);
    assert.deepEqual(heard, ['before', 'after'].flatMap((event) => [0, 1, 2, 3, 4].map((n) => `${event}[${n}]`)));
    assert.deepEqual(lost.values, [
      { target: 'bob:poison', event: 'poison', code: 'ERR_PROTOCOL' },
      { target: 'poison', event: 'poison', code: 'ERR_PROTOCOL' },
    ]);
    const rejected = await all(bridge, 'rejected', 12);
    const each = ['16 ["ask"]', '16 ["tell"]', '17 ["all"]', '18 ["call"]'];
    assert.deepEqual(rejected.map(({ frame }) => frame), each.flatMap((frame) => Array(3).fill(frame)));
    assert.deepEqual(breaks.values, Array(12).fill('ERR_PROTOCOL'));
    node.publish('bob:later');
    assert.equal((await bridge.next('heard')).event, 'later');
    assert.ok(!bridge.has('rejected') && node.connected);
  });
}

test('a large message that a bridge rejects each time is given up, and so is an event it will not hear of', LIMIT, async (t) => {
  const { bridge, node } = await pickedOn(t);
  const lost = collect(node, 'undeliverable');
  node.on('fine', () => {});
  node.publish('bob:poison', 'x'.repeat(1_000_000));
  node.publish('bob:fine', 'y');
  assert.equal((await bridge.next('heard')).event, 'fine');
  node.on('poison', () => {});
  await lost.reached(2);
  assert.deepEqual(lost.values, [
    { target: 'bob:poison', event: 'poison', code: 'ERR_PROTOCOL' },
    { target: 'poison', event: 'poison', code: 'ERR_PROTOCOL' },
  ]);
  if (!node.connected) await once(node, 'reconnect');
  node.publish('bob:fine', 'z');
  assert.equal((await bridge.next('heard')).text, '["z"]');
  const rejected = await all(bridge, 'rejected', 7);
  assert.equal(rejected.filter(({ frame }) => frame === 'LISTEN').length, 4);
  assert.ok(!bridge.has('rejected'));
});

test('what a node rejects three times is not said to it any more, and the rest arrives', LIMIT, async (t) => {
  const bus = new Bus(t);
  await bus.host();
  const [ann, bob] = [await bus.node('ann'), await bus.node('bob')];
  const lost = collect(ann, 'undeliverable');
  const bobs = collect(bob, 'poison');
  await bob.request('ann:barrier');
  const picky = new PickyNode(t, bus.path, 'eve', { events: ['poison', 'all'] });
  await picky.until(() => picky.welcomed > 0);
  for (let n = 0; n < 5; n += 1) ann.publish('eve:before', n);
  const asked = ann.request('eve:poison', 'ask');
  ann.publish('eve:poison', 'tell');
  ann.broadcast('poison', 'all');
  for (let n = 0; n < 5; n += 1) ann.publish('eve:after', n);
  await assert.rejects(asked, { code: 'ERR_PROTOCOL', message: /rejected/ });
  await picky.until(() => picky.heard.length >= 10);
  assert.deepEqual(picky.heard.map(({ event, text }) => event + text), ['before', 'after'].flatMap((event) => [0, 1, 2, 3, 4].map((n) => `${event}[${n}]`)));
  assert.deepEqual(picky.rejected, Array(9).fill('poison'));
  await lost.reached(2);
  assert.deepEqual(lost.values, [
    { target: 'eve:poison', event: 'poison', code: 'ERR_PROTOCOL' },
    { target: 'eve:poison', event: 'poison', code: 'ERR_PROTOCOL' },
  ]);
  assert.deepEqual(bobs.values, ['all']);
  assert.equal(picky.forgotten, 0);
  // Nothing of ann's waits any more.
  ann.publish('eve:later');
  await ann.leave();
  await picky.until(() => picky.heard.length >= 11);
});

for (const at of ['opening', 'chunks']) {
  test(`a large message whose ${at} a node rejects each time is given up`, LIMIT, async (t) => {
    const bus = new Bus(t);
    await bus.host();
    const ann = await bus.node('ann');
    const rejects = (kind, event, begun) => (at === 'opening' ? event === 'poison' : begun === 'poison');
    const picky = new PickyNode(t, bus.path, 'eve', { rejects });
    await picky.until(() => picky.welcomed > 0);
    const asked = ann.request('eve:poison', 'x'.repeat(1_000_000));
    ann.publish('eve:fine');
    await assert.rejects(asked, { code: 'ERR_PROTOCOL' });
    await picky.until(() => picky.heard.length > 0);
    assert.equal(picky.heard[0].event, 'fine');
    assert.deepEqual(picky.rejected, Array(3).fill(at === 'opening' ? 'poison' : KIND.CHUNK));
  });
}

test('an answer that its asker rejects each time becomes a refusal; the bridge\'s own words cost it its place', LIMIT, async (t) => {
  const bus = new Bus(t);
  const bridge = await bus.host();
  bridge.handle('poison', () => 'an answer');
  const picky = new PickyNode(t, bus.path, 'eve', { rejects: (kind) => kind === KIND.REPLY });
  await picky.until(() => picky.welcomed > 0);
  picky.ask('poison');
  await picky.until(() => picky.heard.length > 0);
  assert.deepEqual([picky.heard[0].kind, picky.rejected.length, picky.forgotten], [KIND.REFUSE, 3, 0]);
  const left = once(bridge, 'node:leave');
  const wary = new PickyNode(t, bus.path, 'joe', { events: ['node:join'], rejects: (kind) => kind === 17 });
  await left;
  await wary.until(() => wary.rejected.length >= 6);
  assert.ok(wary.forgotten > 0);
});

test('a node tells its bridge what it has taken, and that the next frame is malformed, before it goes', LIMIT, async (t) => {
  const bus = new Bus(t);
  const where = path.join(bus.dir, 'garbled.sock');
  const number = (bytes, value) => Buffer.from(Array.from({ length: bytes }, (_, i) => Math.floor(value / 256 ** i) % 256));
  const frame = (kind, ...fields) => Buffer.concat([number(4, 2 + Buffer.concat(fields).length), number(1, kind), number(1, 0), ...fields]);
  const said = (slot, seq) => frame(KIND.MESSAGE, number(2, 1), number(2, slot), number(2, 0), number(4, 0), number(8, seq), Buffer.from('[1]'));
  const welcome = frame(KIND.WELCOME, number(8, 7), number(4, 0), number(8, 2 ** 26), number(8, 2 ** 21), number(4, 0), number(1, 1));
  const peer = frame(KIND.PEER, number(2, 1), number(8, 5), Buffer.from('bob'));
  const words = [];
  const server = net.createServer((socket) => {
    let heard = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (bytes) => (heard = Buffer.concat([heard, bytes])));
    socket.on('close', () => words.push(heard.toString('latin1')));
    // Slot 9 is nobody's.
    socket.write(Buffer.concat([Buffer.from('bb62757301000000', 'hex'), welcome, peer, frame(KIND.NAME, number(2, 2), Buffer.from('e')), said(2, 1), said(9, 2)]));
  });
  t.after(() => server.close());
  await once(server.listen(where), 'listening');
  const node = bus.createNode({ path: where, id: 'ann' });
  const heard = collect(node, 'e');
  const [{ code }] = await once(node, 'disconnect');
  await node.leave(true);
  while (words.length === 0) await new Promise(setImmediate);
  const [ack, reject] = [frame(KIND.ACK, number(8, 1)), frame(KIND.REJECT, number(1, 14)).subarray(4, 7)].map((bytes) => bytes.toString('latin1'));
  assert.ok(words[0].includes(ack) && words[0].indexOf(reject) > words[0].indexOf(ack), JSON.stringify(words[0]));
  assert.deepEqual([heard.values, code], [[1], 'ERR_PROTOCOL']);
});
