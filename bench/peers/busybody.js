'use strict';

// The package itself, as its users get it: from the root of this repository.

const path = require('node:path');
const { once } = require('node:events');

const busybody = () => require('../..');

module.exports = {
  name: 'busybody',
  title: 'busybody',
  transport: 'Unix socket',

  unavailable() {
    busybody();
    return null;
  },

  async startHub({ dir }) {
    const bridge = busybody().createBridge({ path: path.join(dir, 'bus.sock') });
    await bridge.ready;
    return { address: bridge.address().path };
  },

  async connect(address, id) {
    const node = busybody().createNode({ path: address, id, bridge: 'require' });
    await node.ready;
    return link(node);
  },
};

function link(node) {
  return {
    listen({ message, request, answer }) {
      if (message) node.on('message', message);
      if (request) node.on('request', (payload, reply) => request(payload, (value) => reply(null, value)));
      if (answer) node.handle('ask', answer);
    },
    to(id) {
      const message = `${id}:message`;
      const request = `${id}:request`;
      const ask = `${id}:ask`;
      return {
        send(payload) {
          node.publish(message, payload);
          return !node.needDrain;
        },
        request(payload, callback) {
          node.publish(request, payload, callback);
        },
        ask: (payload) => node.request(ask, payload),
      };
    },
    toAll: () => ({
      send(payload) {
        node.broadcast('message', payload);
        return !node.needDrain;
      },
    }),
    drained: () => once(node, 'drain'),
  };
}
