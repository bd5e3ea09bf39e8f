'use strict';

// busybody: a message bus for the processes of one machine. The promises are in index.d.ts.

const native = require('./native.cjs');
const { Bridge } = require('./lib/bridge.js');
const { BusybodyError } = require('./lib/errors.js');
const { Node } = require('./lib/node.js');

module.exports = {
  DEFAULT_PORT: native.defaultPort(),
  // Looked up when asked for: it names a directory of this user, which a program with its own address never needs.
  get DEFAULT_ADDRESS() {
    return native.defaultAddress();
  },
  awesome: () => 'awesome',
  BusybodyError,
  Bridge,
  Node,
  createBridge: (...args) => new Bridge(...args),
  createNode: (...args) => new Node(...args),
};
