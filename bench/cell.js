'use strict';

// One cell of the table: one scenario with one peer, once. A hub, receivers and a sender, each a fresh process;
// a warm-up, the measurement, the end. It yields figures or fails with a reason, and never hangs.

const { peer } = require('./peers/index.js');
const { Actor, Child, freshDirectory, removeDirectory, within } = require('./processes.js');

/** Milliseconds for the processes to start and connect, and for what is in the queues to arrive, on a slow machine. */
const START_TIMEOUT = 15_000;
const DRAIN_TIMEOUT = 15_000;

/** Milliseconds without a message that no receiver has seen before: then the rest is lost. */
const STALL_TIMEOUT = 4_000;

/** Resolves to the scenario's figures: { rate } or { p50, p99 }. `driver` is the peer's name. */
async function measure(scenario, driver, { warmUp, duration }) {
  const dir = freshDirectory();
  const cast = castOf(scenario, driver);
  try {
    await within(START_TIMEOUT, connect({ scenario, driver, dir, ...cast }), () => 'not connected in time');
    await phase(scenario, cast, warmUp);
    const { sent, received } = await phase(scenario, cast, duration);
    return scenario.result(sent, received);
  } finally {
    for (const player of [cast.sender, ...cast.receivers, cast.hub]) player?.end();
    removeDirectory(dir);
  }
}

/** { hub, sender, receivers, failed }; no hub where the sender forks its receiver. */
function castOf({ processes = 1 }, driver) {
  const sender = new Actor('sender');
  const forks = peer(driver).forks === true;
  const receivers = forks ? [new Child('receiver', sender)] : Array.from({ length: processes }, () => new Actor('receiver'));
  const hub = forks ? null : new Actor('hub');
  const failed = Promise.race([sender, ...receivers, hub].filter(Boolean).map((player) => player.failed));
  failed.catch(() => {}); // heard of below
  return { hub, sender, receivers, failed };
}

async function connect({ scenario, driver, dir, hub, receivers, sender }) {
  const { binary } = scenario;
  const names = Array.from({ length: scenario.receivers }, (_, i) => `receiver-${i}`);
  const order = { peer: driver, scenario: scenario.name };
  if (hub === null) await sender.ask('fork', { peer: driver, binary }, 'forked');
  const { address } = hub === null ? {} : await hub.start({ peer: driver, dir, binary });
  const share = names.length / receivers.length;
  await Promise.all(receivers.map((receiver, i) => (
    receiver.start({ ...order, address, names: names.slice(i * share, (i + 1) * share) })
  )));
  await sender.start({ ...order, address, names });
}

async function phase(scenario, cast, ms) {
  const { sender, receivers, failed } = cast;
  const received = scenario.streams ? Promise.all(receivers.map((receiver) => receiver.hears('received'))) : null;
  received?.catch(() => {}); // heard of below
  const sending = Promise.race([sender.ask('phase', { ms }, 'sent'), failed]);
  const sent = await within(ms + DRAIN_TIMEOUT, sending, () => 'the sender was not done in time');
  if (!received) return { sent: sent.result };
  const reports = await arrival(received, cast, sent.result.sent * scenario.receivers);
  return { sent: sent.result, received: scenario.merge(reports.map(({ result }) => result)) };
}

/** Waits for the receivers' reports as long as messages keep coming in. */
async function arrival(received, { receivers, failed }, expected) {
  const watch = stalled(receivers, expected);
  try {
    return await Promise.race([received, failed, watch.failed]);
  } finally {
    watch.stop();
  }
}

/** `failed` rejects when the receivers' count stands still, or DRAIN_TIMEOUT has passed. */
function stalled(receivers, expected) {
  let timer;
  let seen = -1;
  const deadline = Date.now() + DRAIN_TIMEOUT;
  const failed = new Promise((resolve, reject) => {
    timer = setInterval(async () => {
      const count = await progress(receivers).catch(() => seen);
      if (count !== seen && Date.now() < deadline) seen = count;
      else reject(new Error(`${expected - count} of ${expected} messages had not come ${count === seen ? 'when the stream stood still' : 'in time'}`));
    }, STALL_TIMEOUT);
  });
  failed.catch(() => {});
  return { failed, stop: () => clearInterval(timer) };
}

async function progress(receivers) {
  const counts = await Promise.all(receivers.map((receiver) => receiver.ask('progress', {}, 'progress')));
  return counts.reduce((sum, { count }) => sum + count, 0);
}

module.exports = { measure };
