'use strict';

// What a paused node has put aside is not lost in silence, whatever ends the node.

const test = require('node:test');
const assert = require('node:assert/strict');
const { once } = require('node:events');
const { Bus, LIMIT, barrier, openBus } = require('./support/bus');
const { startPeer } = require('./support/child');
const { collect } = require('./support/watch');

/** ann has sent three notes and a question to a process that has paused, and has put them aside. */
async function putAside(t, opened = openBus(t)) {
  const bus = await opened;
  const peer = await startPeer(t, { ...bus.address, id: 'peer' });
  const ann = await bus.node('ann');
  const lost = collect(ann, 'undeliverable', ({ target, code }) => `${target} ${code}`);
  await barrier(ann, 'peer');
  peer.send({ do: 'pause' });
  await peer.next('paused');
  for (let n = 0; n < 3; n += 1) ann.publish('peer:note', n);
  const answer = ann.request('peer:echo', 'heard').catch(({ code }) => code);
  peer.send({ do: 'sync', to: 'ann' });
  await peer.next('synced');
  assert.ok(ann.pending > 0, 'it is not acknowledged');
  return { bus, peer, ann, lost, answer };
}

const ENDS = {
  'leave()': (peer) => peer.send({ do: 'leave' }),
  'leave(true)': (peer) => peer.send({ do: 'leave', force: true }),
  'process.exit()': (peer) => peer.send({ do: 'exit' }),
  'kill -9': (peer) => peer.kill(),
};

for (const [what, end] of Object.entries(ENDS)) {
  test(`${what} while messages are put aside: their senders learn that they reached nobody`, LIMIT, async (t) => {
    const { peer, ann, lost, answer } = await putAside(t);
    end(peer);
    await peer.exited;
    await lost.reached(3);
    assert.deepEqual(lost.values, Array(3).fill('peer:note ERR_NODE_LEFT'));
    assert.equal(await answer, 'ERR_NODE_LEFT');
    assert.equal(ann.pending, 0);
    assert.equal(peer.has('note'), false);
  });
}

test('the bus closes while messages are put aside: their senders learn it', LIMIT, async (t) => {
  const { bus, peer, ann, lost, answer } = await putAside(t);
  const closed = once(ann, 'close');
  await bus.bridge.close();
  await closed;
  assert.deepEqual(lost.values, Array(3).fill('peer:note ERR_CLOSED'));
  assert.equal(await answer, 'ERR_CLOSED');
  await peer.next('close');
  assert.equal(peer.has('note'), false);
});

test('what was put aside is emitted and settled after another bridge has taken over', LIMIT, async (t) => {
  const opened = new Bus(t);
  const host = await opened.node('host', { bridge: 'auto' });
  const { bus, peer, ann, lost, answer } = await putAside(t, opened);
  const back = once(ann, 'reconnect');
  const again = peer.next('reconnect');
  await host.leave();
  await bus.host();
  await Promise.all([back, again]);
  peer.send({ do: 'sync', to: 'ann' });
  await peer.next('synced');
  assert.ok(ann.pending > 0, 'it is not acknowledged to this one either');
  peer.send({ do: 'resume' });
  for (let n = 0; n < 3; n += 1) assert.equal((await peer.next('note')).value, n);
  assert.deepEqual(await answer, ['heard']);
  await barrier(ann, 'peer');
  while (ann.pending > 0) await barrier(ann, 'peer');
  assert.deepEqual(lost.values, []);
  assert.equal(peer.has('note'), false, 'once');
});
