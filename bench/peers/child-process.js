'use strict';

// What Node.js has built in: process.send and child.send, between a parent and the child that it forked. There is no
// hub: the sender is the parent, the receiver its child.

const { fork } = require('node:child_process');
const path = require('node:path');

const ROLE = path.join(__dirname, '..', 'role.js');

/** Messages that the channel has not written yet, before the sender is asked to wait; its own limit is 64 KiB. */
const UNWRITTEN = 1024;

let child = null;

module.exports = {
  name: 'child-process',
  title: 'child_process (parent and child, no hub)',
  transport: 'its own channel (a socket pair)',
  forks: true,

  unavailable: () => null,

  unable: ({ receivers }) => (receivers > 1 ? 'a parent has no broadcast' : null),

  /** The process of the receiver, forked by the sender; `binary` asks for structured clones, since JSON spoils Buffers. */
  fork({ binary }) {
    const serialization = binary ? 'advanced' : 'json';
    child = fork(ROLE, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [], serialization });
    return child;
  },

  async connect() {
    return link(child ?? process);
  },
};

function link(peer) {
  const waiting = new Map();
  let lastId = 0;
  let listeners = {};
  let unwritten = 0;
  let wake = null;
  const written = () => {
    unwritten--;
    if (wake === null || unwritten > UNWRITTEN / 2) return;
    wake();
    wake = null;
  };

  peer.on('message', ({ event, id, data }) => {
    if (event === 'message') {
      listeners.message(data);
    } else if (event === 'request') {
      listeners.request(data, (answer) => peer.send({ event: 'reply', id, data: answer }));
    } else if (event === 'ask') {
      peer.send({ event: 'reply', id, data: listeners.answer(data) });
    } else if (event === 'reply') {
      const callback = waiting.get(id);
      waiting.delete(id);
      callback(null, data);
    }
  });

  return {
    listen(given) {
      listeners = given;
    },
    to: () => ({
      send(data) {
        unwritten++;
        peer.send({ event: 'message', data }, written);
        return unwritten < UNWRITTEN;
      },
      request(data, callback) {
        waiting.set(++lastId, callback);
        peer.send({ event: 'request', id: lastId, data });
      },
      ask: (data) => new Promise((resolve, reject) => {
        waiting.set(++lastId, (err, value) => (err ? reject(err) : resolve(value)));
        peer.send({ event: 'ask', id: lastId, data });
      }),
    }),
    drained: () => new Promise((resolve) => {
      wake = resolve;
    }),
  };
}
