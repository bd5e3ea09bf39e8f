'use strict';

// Redis pub/sub over its Unix socket with ioredis: a channel for each node, replies on a channel of the asker's.

const path = require('node:path');
const { find, start } = require('./external-server.js');

/** Publishes that Redis has not answered yet, at most: the promise of publish() is the only backpressure there is. */
const UNANSWERED = { text: 1024, binary: 8 };

module.exports = {
  name: 'redis',
  title: 'Redis pub/sub (redis-server, ioredis)',
  transport: 'Unix socket',
  packages: ['ioredis'],

  unavailable() {
    require('ioredis');
    return find('redis-server') ? null : 'redis-server is not installed (Debian: apt-get install redis-server)';
  },

  async startHub({ dir }) {
    const address = path.join(dir, 'redis.sock');
    const { pid } = await start('redis-server', [
      '--port', '0', '--unixsocket', address, '--dir', dir, '--save', '', '--appendonly', 'no',
      // Otherwise Redis cuts a subscriber that is 32 MiB behind, and its messages are lost.
      '--client-output-buffer-limit', 'pubsub', '0', '0', '0',
    ], /ready to accept connections/i);
    return { address, pid };
  },

  async connect(address, id, { binary, objects }) {
    const { Redis } = require('ioredis');
    const publisher = new Redis({ path: address, lazyConnect: true });
    const subscriber = new Redis({ path: address, lazyConnect: true });
    await Promise.all([publisher.connect(), subscriber.connect()]);
    return link(publisher, subscriber, id, { binary, ...(objects ? JSON_TEXT : AS_IS) });
  },
};

const AS_IS = { write: (payload) => payload, read: (payload) => payload };
const JSON_TEXT = { write: JSON.stringify, read: JSON.parse };

async function link(publisher, subscriber, id, { binary, write, read }) {
  const waiting = new Map();
  let lastId = 0;
  let listeners = {};
  const sender = withWindow(publisher, binary ? UNANSWERED.binary : UNANSWERED.text);

  const channels = {
    [`${id}:message`]: (payload) => listeners.message(read(payload)),
    'all:message': (payload) => listeners.message(read(payload)),
    [`${id}:ask`](text) {
      const { from, id: requestId, data } = JSON.parse(text);
      publisher.publish(`${from}:reply`, JSON.stringify({ id: requestId, data: listeners.answer(data) }));
    },
    [`${id}:request`](text) {
      const { from, id: requestId, data } = JSON.parse(text);
      const reply = (answer) => publisher.publish(`${from}:reply`, JSON.stringify({ id: requestId, data: answer }));
      listeners.request(data, reply);
    },
    [`${id}:reply`](text) {
      const { id: requestId, data } = JSON.parse(text);
      const callback = waiting.get(requestId);
      waiting.delete(requestId);
      callback(null, data);
    },
  };
  subscriber.on(binary ? 'messageBuffer' : 'message', (channel, payload) => channels[channel](payload));
  await subscriber.subscribe(`${id}:request`, `${id}:ask`, `${id}:reply`);

  return {
    async listen(given) {
      listeners = given;
      // A sender that subscribed to 'all:message' would be sent its own broadcasts.
      if (given.message) await subscriber.subscribe(`${id}:message`, 'all:message');
    },
    to: (to) => ({
      send: (payload) => sender.publish(`${to}:message`, write(payload)),
      request(data, callback) {
        waiting.set(++lastId, callback);
        publisher.publish(`${to}:request`, JSON.stringify({ from: id, id: lastId, data })).catch(callback);
      },
      ask: (data) => new Promise((resolve, reject) => {
        waiting.set(++lastId, (err, value) => (err ? reject(err) : resolve(value)));
        publisher.publish(`${to}:ask`, JSON.stringify({ from: id, id: lastId, data })).catch(reject);
      }),
    }),
    toAll: () => ({ send: (payload) => sender.publish('all:message', write(payload)) }),
    drained: sender.drained,
  };
}

/** publish() that says false while `limit` publishes are unanswered, and drained() for when half of them are answered. */
function withWindow(redis, limit) {
  let unanswered = 0;
  let wake = null;
  const answered = () => {
    unanswered--;
    if (!wake || unanswered > limit / 2) return;
    wake();
    wake = null;
  };
  return {
    publish(channel, payload) {
      unanswered++;
      redis.publish(channel, payload, answered);
      return unanswered < limit;
    },
    drained: () => new Promise((resolve) => {
      wake = resolve;
    }),
  };
}
