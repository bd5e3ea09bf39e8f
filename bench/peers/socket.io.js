'use strict';

// socket.io with its server as the hub, websocket only (no long polling first), on the loopback: its clients
// have no Unix sockets. Requests are its acknowledgements, handed on by the hub.

/** Packets waiting in the client before the sender is asked to wait; the library itself never asks. */
const BUFFERED = 256;

module.exports = {
  name: 'socket.io',
  title: 'socket.io (websocket)',
  transport: 'TCP loopback',
  packages: ['socket.io', 'socket.io-client'],

  unavailable() {
    require('socket.io');
    require('socket.io-client');
    return null;
  },

  async startHub() {
    const { createServer } = require('node:http');
    const { Server } = require('socket.io');
    const http = createServer();
    const io = new Server(http, { transports: ['websocket'], serveClient: false, maxHttpBufferSize: 64 * 1024 * 1024 });
    const sockets = new Map();
    io.on('connection', (socket) => {
      sockets.set(socket.handshake.auth.id, socket);
      socket.on('message', (to, payload) => sockets.get(to).emit('message', payload));
      socket.on('request', (to, payload, reply) => sockets.get(to).emit('request', payload, reply));
      socket.on('ask', (to, payload, reply) => sockets.get(to).emit('ask', payload, reply));
      socket.on('broadcast', (payload) => socket.broadcast.emit('message', payload));
    });
    await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve));
    return { address: `http://127.0.0.1:${http.address().port}` };
  },

  async connect(address, id) {
    const { io } = require('socket.io-client');
    const socket = io(address, { transports: ['websocket'], auth: { id }, forceNew: true, reconnection: false });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
    return link(socket);
  },
};

function link(socket) {
  const { engine } = socket.io;
  const emit = (...args) => {
    socket.emit(...args);
    return engine.writeBuffer.length < BUFFERED;
  };
  return {
    listen({ message, request, answer }) {
      if (message) socket.on('message', message);
      if (request) socket.on('request', request);
      if (answer) socket.on('ask', (payload, reply) => reply(answer(payload)));
    },
    to: (to) => ({
      send: (payload) => emit('message', to, payload),
      request: (payload, callback) => socket.emit('request', to, payload, (answer) => callback(null, answer)),
      ask: (payload) => socket.emitWithAck('ask', to, payload),
    }),
    toAll: () => ({ send: (payload) => emit('broadcast', payload) }),
    drained: () => new Promise((resolve) => engine.once('drain', resolve)),
  };
}
