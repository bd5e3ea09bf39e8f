'use strict';

// A ROUTER as the hub, a DEALER for each node, over ipc://. Frames: [peer, event, (request id,) payload].

const path = require('node:path');

/** Sends that wait for their turn (the library takes one at a time) before the sender is asked to wait. */
const QUEUED = 64;
const EVERYBODY = '*';

module.exports = {
  name: 'zeromq',
  title: 'zeromq (ROUTER hub, DEALER nodes)',
  transport: 'Unix socket (ipc://)',
  packages: ['zeromq'],

  unavailable() {
    require('zeromq');
    return null;
  },

  async startHub({ dir }) {
    const { Router } = require('zeromq');
    // No limit towards a receiver: at its limit a ROUTER drops messages, or (mandatory) fails the send.
    const router = new Router({ sendHighWaterMark: 0 });
    const address = `ipc://${path.join(dir, 'zmq.sock')}`;
    await router.bind(address);
    route(router);
    return { address };
  },

  async connect(address, id, { binary, objects }) {
    const { Dealer } = require('zeromq');
    const dealer = new Dealer({ routingId: id });
    dealer.connect(address);
    await dealer.send(['', 'hello']);
    await dealer.receive();
    return link(dealer, codec(binary, objects));
  },
};

async function route(router) {
  const ids = new Map();
  for await (const [from, to, ...rest] of router) {
    if (to.length === 0) {
      ids.set(from.toString(), from);
      await router.send([from, '', 'welcome']);
    } else if (to.length === 1 && to.toString() === EVERYBODY) {
      for (const id of ids.values()) if (!id.equals(from)) await router.send([id, from, ...rest]);
    } else {
      await router.send([to, from, ...rest]);
    }
  }
}

function codec(binary, objects) {
  const asIs = (payload) => payload;
  if (objects) return { write: (payload) => JSON.stringify(payload), read: (frame) => JSON.parse(frame.toString()) };
  return { write: asIs, read: binary ? asIs : (frame) => frame.toString() };
}

function link(dealer, { write, read }) {
  const waiting = new Map();
  let lastId = 0;
  let listeners = {};
  const outbox = serially(dealer);

  const handlers = {
    message: (from, payload) => listeners.message(read(payload)),
    request: (from, id, payload) => listeners.request(read(payload), (answer) => outbox.send([from, 'reply', id, answer])),
    ask: (from, id, payload) => outbox.send([from, 'reply', id, write(listeners.answer(read(payload)))]),
    reply(from, id, payload) {
      const key = id.toString();
      const callback = waiting.get(key);
      waiting.delete(key);
      callback(null, read(payload));
    },
  };
  (async () => {
    for await (const [from, event, ...rest] of dealer) handlers[event.toString()](from, ...rest);
  })();

  return {
    listen(given) {
      listeners = given;
    },
    to: (to) => ({
      send: (payload) => outbox.send([to, 'message', write(payload)]),
      request(payload, callback) {
        const id = String(++lastId);
        waiting.set(id, callback);
        outbox.send([to, 'request', id, payload]);
      },
      ask: (payload) => new Promise((resolve, reject) => {
        const id = String(++lastId);
        waiting.set(id, (err, value) => (err ? reject(err) : resolve(value)));
        outbox.send([to, 'ask', id, write(payload)]);
      }),
    }),
    toAll: () => ({ send: (payload) => outbox.send([EVERYBODY, 'message', write(payload)]) }),
    drained: outbox.drained,
  };
}

/** One send at a time, as the library demands; what comes meanwhile waits in order. */
function serially(socket) {
  const queue = [];
  let running = false;
  let wake = null;

  const run = async () => {
    running = true;
    for (let next = 0; next < queue.length; next++) {
      await socket.send(queue[next]);
    }
    queue.length = 0;
    running = false;
    wake?.();
    wake = null;
  };

  return {
    send(frames) {
      queue.push(frames);
      if (!running) run();
      return queue.length < QUEUED;
    },
    drained: () => new Promise((resolve) => {
      if (running) wake = resolve;
      else resolve();
    }),
  };
}
