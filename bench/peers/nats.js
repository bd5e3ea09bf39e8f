'use strict';

// nats-server with @nats-io/transport-node, over TCP on the loopback: NATS has no Unix socket.

const fs = require('node:fs');
const path = require('node:path');
const { find, start } = require('./external-server.js');

/** Bytes published between two flushes, and flushes under way at once: the client itself has no backpressure. */
const FLUSH_BYTES = 1024 * 1024;
const FLUSHES = 4;

// One way traffic must not be cut off as a "slow consumer" while the receiver is busy: that would be a lost message.
const CONFIG = `
listen: "127.0.0.1:-1"
max_pending: 1GB
write_deadline: "30s"
`;

module.exports = {
  name: 'nats',
  title: 'NATS (nats-server, @nats-io/transport-node)',
  transport: 'TCP loopback',
  packages: ['@nats-io/transport-node'],

  unavailable() {
    require('@nats-io/transport-node');
    return find('nats-server') ? null : 'nats-server is not installed (Debian: apt-get install nats-server)';
  },

  async startHub({ dir }) {
    const config = path.join(dir, 'nats.conf');
    fs.writeFileSync(config, CONFIG);
    const { pid, match } = await start('nats-server', ['-c', config], /client connections on (127\.0\.0\.1:\d+)[^]*Server is ready/);
    return { address: match[1], pid };
  },

  async connect(address, id, { binary, objects }) {
    const { connect } = require('@nats-io/transport-node');
    // Without async traces: a stack per request is a debugging aid that costs.
    const connection = await connect({ servers: address, name: id, noAsyncTraces: true, noEcho: true });
    return link(connection, id, codec(binary, objects));
  },
};

/** How a payload is written and read, as the client's documentation teaches for each. */
function codec(binary, objects) {
  const asIs = (payload) => payload;
  if (objects) return { write: (payload) => JSON.stringify(payload), read: (message) => message.json() };
  if (!binary) return { write: asIs, read: (message) => message.string() };
  return { write: asIs, read: ({ data }) => Buffer.from(data.buffer, data.byteOffset, data.length) };
}

function link(connection, id, { write, read }) {
  const flushes = [];
  let unflushed = 0;

  const publish = (subject, value) => {
    const payload = write(value);
    connection.publish(subject, payload);
    unflushed += payload.length;
    if (unflushed < FLUSH_BYTES) return true;
    unflushed = 0;
    flushes.push(connection.flush());
    return flushes.length < FLUSHES;
  };

  return {
    listen({ message, request, answer }) {
      const callback = (err, received) => message(read(received));
      if (message) for (const subject of [`${id}.message`, 'all.message']) connection.subscribe(subject, { callback });
      if (request) {
        connection.subscribe(`${id}.request`, {
          callback: (err, received) => request(read(received), (value) => received.respond(value)),
        });
      }
      if (answer) {
        connection.subscribe(`${id}.ask`, { callback: (err, received) => received.respond(write(answer(read(received)))) });
      }
      return connection.flush();
    },
    to: (to) => ({
      send: (payload) => publish(`${to}.message`, payload),
      request(payload, callback) {
        connection.request(`${to}.request`, payload, { timeout: 30_000 }).then((reply) => callback(null, read(reply)), callback);
      },
      ask: async (payload) => read(await connection.request(`${to}.ask`, write(payload), { timeout: 30_000 })),
    }),
    toAll: () => ({ send: (payload) => publish('all.message', payload) }),
    drained: () => flushes.shift(),
  };
}
