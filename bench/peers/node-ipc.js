'use strict';

// node-ipc with its server as the hub. Exactly 9.2.1: some later versions destroyed their users' files.
// It has no requests, so they carry an id; and no binary, so that travels as base64 inside its JSON.

const path = require('node:path');
const { once } = require('node:events');

const VERSION = '9.2.1';

module.exports = {
  name: 'node-ipc',
  title: `node-ipc ${VERSION}`,
  transport: 'Unix socket',
  packages: ['node-ipc'],

  unavailable() {
    const { version } = require('node-ipc/package.json');
    if (version !== VERSION) return `version ${version} is installed; nothing but ${VERSION} is ever loaded`;
    require('node-ipc');
    return null;
  },

  async startHub({ dir }) {
    const ipc = create('hub');
    const address = path.join(dir, 'node-ipc.sock');
    const sockets = new Map();
    await new Promise((resolve) => {
      ipc.serve(address, resolve);
      ipc.server.start();
    });

    const { server } = ipc;
    server.on('hello', ({ name }, socket) => {
      sockets.set(name, socket);
      server.emit(socket, 'welcome', {});
    });
    for (const event of ['message', 'request', 'ask', 'reply']) {
      server.on(event, (data) => server.emit(sockets.get(data.to), event, data));
    }
    server.on('broadcast', (data) => server.broadcast('message', data));
    return { address };
  },

  async connect(address, id, { binary }) {
    const ipc = create(id);
    await new Promise((resolve) => ipc.connectTo('hub', address, () => ipc.of.hub.on('connect', resolve)));
    const client = ipc.of.hub;
    const welcome = new Promise((resolve) => client.on('welcome', resolve));
    client.emit('hello', { name: id });
    await welcome;
    return link(client, id, binary ? base64 : plain);
  },
};

/** An instance of its own for each link: the module's default one knows only one connection of a name. */
function create(id) {
  const { IPC } = require('node-ipc');
  const ipc = new IPC();
  Object.assign(ipc.config, { id, silent: true, maxConnections: 20_000, maxRetries: 0 });
  return ipc;
}

const plain = { encode: (payload) => payload, decode: (data) => data };
const base64 = { encode: (payload) => payload.toString('base64'), decode: (data) => Buffer.from(data, 'base64') };

function link(client, id, { encode, decode }) {
  const waiting = new Map();
  let lastId = 0;
  const emit = (event, data) => {
    client.emit(event, data);
    return !client.socket.writableNeedDrain;
  };

  client.on('reply', (data) => {
    const callback = waiting.get(data.request);
    waiting.delete(data.request);
    callback(null, data.payload);
  });

  return {
    listen({ message, request, answer }) {
      if (message) client.on('message', (data) => message(decode(data.payload)));
      if (request) {
        client.on('request', (data) => request(data.payload, (payload) => emit('reply', { to: data.from, request: data.request, payload })));
      }
      if (answer) client.on('ask', (data) => emit('reply', { to: data.from, request: data.request, payload: answer(data.payload) }));
    },
    to: (to) => ({
      send: (payload) => emit('message', { to, from: id, payload: encode(payload) }),
      request(payload, callback) {
        waiting.set(++lastId, callback);
        emit('request', { to, from: id, request: lastId, payload });
      },
      ask: (payload) => new Promise((resolve, reject) => {
        waiting.set(++lastId, (err, value) => (err ? reject(err) : resolve(value)));
        emit('ask', { to, from: id, request: lastId, payload });
      }),
    }),
    // The server's broadcast comes back to the sender too, which ignores it: that is how the library does it.
    toAll: () => ({ send: (payload) => emit('broadcast', { from: id, payload }) }),
    drained: () => once(client.socket, 'drain'),
  };
}
