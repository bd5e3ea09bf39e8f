'use strict';

// The hub that a competent person writes on node:net in an afternoon: JSON lines, routed by the name in `to`.
// Binary has a variant of its own (handwritten-binary.js), since nobody sends 512 KiB as JSON by choice.

const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const binaryVariant = require('./handwritten-binary.js');

module.exports = {
  name: 'handwritten',
  title: 'hand-written node:net hub',
  transport: 'Unix socket',

  unavailable: () => null,

  async startHub({ dir, binary }) {
    const server = binary ? binaryVariant.hub() : hub();
    const address = path.join(dir, 'hub.sock');
    server.listen(address);
    await once(server, 'listening');
    return { address };
  },

  async connect(address, id, { binary }) {
    const socket = net.connect(address);
    await once(socket, 'connect');
    return binary ? binaryVariant.link(socket, id) : link(socket, id);
  },
};

function hub() {
  const sockets = new Map();

  return net.createServer((socket) => {
    eachLine(socket, (line) => {
      const { hello, to } = JSON.parse(line);
      if (hello) {
        sockets.set(hello, socket);
        socket.write('{"event":"welcome"}\n');
      } else if (to === '*') {
        for (const target of sockets.values()) if (target !== socket) forward(socket, target, line);
      } else {
        forward(socket, sockets.get(to), line);
      }
    });
  });
}

/** The line goes on as it came; a target that does not keep up stops its source, not the hub's memory. */
function forward(source, target, line) {
  if (target.write(line + '\n') || source.isPaused()) return;
  source.pause();
  target.once('drain', () => source.resume());
}

async function link(socket, id) {
  const waiting = new Map();
  let lastId = 0;
  let listeners = {};
  const write = (message) => socket.write(JSON.stringify(message) + '\n');

  const welcome = once(socket, 'welcome');
  eachLine(socket, (line) => {
    const { event, from, id: requestId, data } = JSON.parse(line);
    if (event === 'message') {
      listeners.message(data);
    } else if (event === 'request') {
      listeners.request(data, (answer) => write({ to: from, from: id, event: 'reply', id: requestId, data: answer }));
    } else if (event === 'ask') {
      write({ to: from, from: id, event: 'reply', id: requestId, data: listeners.answer(data) });
    } else if (event === 'reply') {
      const callback = waiting.get(requestId);
      waiting.delete(requestId);
      callback(null, data);
    } else {
      socket.emit(event);
    }
  });
  write({ hello: id });
  await welcome;

  return {
    listen(given) {
      listeners = given;
    },
    to: (to) => ({
      send: (data) => write({ to, from: id, event: 'message', data }),
      request(data, callback) {
        waiting.set(++lastId, callback);
        write({ to, from: id, event: 'request', id: lastId, data });
      },
      ask: (data) => new Promise((resolve, reject) => {
        waiting.set(++lastId, (err, value) => (err ? reject(err) : resolve(value)));
        write({ to, from: id, event: 'ask', id: lastId, data });
      }),
    }),
    toAll: () => ({ send: (data) => write({ to: '*', from: id, event: 'message', data }) }),
    drained: () => once(socket, 'drain'),
  };
}

function eachLine(socket, listener) {
  let rest = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) listener(line);
  });
}
