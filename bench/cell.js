'use strict';

// One cell of the table: one scenario with one peer, once. A hub, a receiver and a sender, each a fresh process;
// a warm-up, the measurement, the end. It yields figures or fails with a reason, and never hangs.

const { Actor, freshDirectory, removeDirectory, within } = require('./processes.js');

/** Milliseconds for three processes to start and connect, and for what is in the queues to arrive, on a slow machine. */
const START_TIMEOUT = 15_000;
const DRAIN_TIMEOUT = 15_000;

/** Milliseconds without a message that the receiver has not seen before: then the rest is lost. */
const STALL_TIMEOUT = 4_000;

/** Resolves to the scenario's figures: { rate } or { p50, p99 }. */
async function measure(scenario, driver, { warmUp, duration }) {
  const dir = freshDirectory();
  const hub = new Actor('hub');
  const receiver = new Actor('receiver');
  const sender = new Actor('sender');
  try {
    await within(START_TIMEOUT, connect({ scenario, driver, dir, hub, receiver, sender }), () => 'not connected in time');
    await phase(scenario, { hub, receiver, sender }, warmUp);
    const { sent, received } = await phase(scenario, { hub, receiver, sender }, duration);
    return scenario.result(sent, received);
  } finally {
    for (const actor of [sender, receiver, hub]) actor.end();
    removeDirectory(dir);
  }
}

async function connect({ scenario, driver, dir, hub, receiver, sender }) {
  const names = Array.from({ length: scenario.receivers }, (_, i) => `receiver-${i}`);
  const order = { peer: driver, scenario: scenario.name, names };
  const { address } = await hub.start({ peer: driver, dir, binary: scenario.binary });
  await receiver.start({ ...order, address });
  await sender.start({ ...order, address });
}

async function phase(scenario, { hub, receiver, sender }, ms) {
  const received = scenario.streams ? receiver.hears('received') : null;
  received?.catch(() => {}); // heard of below
  const sending = Promise.race([sender.ask('phase', { ms }, 'sent'), hub.failed, receiver.failed]);
  const sent = await within(ms + DRAIN_TIMEOUT, sending, () => 'the sender was not done in time');
  if (!received) return { sent: sent.result };
  const { result } = await arrival(received, { hub, sender, receiver }, sent.result.sent * scenario.receivers);
  return { sent: sent.result, received: result };
}

/** Waits for the receiver's report as long as messages keep coming in. */
async function arrival(received, { hub, sender, receiver }, expected) {
  const watch = stalled(receiver, expected);
  try {
    return await Promise.race([received, hub.failed, sender.failed, watch.failed]);
  } finally {
    watch.stop();
  }
}

/** `failed` rejects when the receiver's count stands still, or DRAIN_TIMEOUT has passed. */
function stalled(receiver, expected) {
  let timer;
  let seen = -1;
  const deadline = Date.now() + DRAIN_TIMEOUT;
  const failed = new Promise((resolve, reject) => {
    timer = setInterval(async () => {
      const { count } = await receiver.ask('progress', {}, 'progress').catch(() => ({ count: seen }));
      if (count !== seen && Date.now() < deadline) seen = count;
      else reject(new Error(`${expected - count} of ${expected} messages had not come ${count === seen ? 'when the stream stood still' : 'in time'}`));
    }, STALL_TIMEOUT);
  });
  failed.catch(() => {});
  return { failed, stop: () => clearInterval(timer) };
}

module.exports = { measure };
