'use strict';

// busybody: a message bus for the processes of one machine. The promises are in index.d.ts.

const native = require('./native.cjs');
const { defaultAddress } = require('./lib/address.js');
const { Bridge } = require('./lib/bridge.js');
const { BusybodyError } = require('./lib/errors.js');
const { Node } = require('./lib/node.js');

const DEFAULT_PORT = native.defaultPort();

function awesome() {
  return 'awesome';
}

function createBridge(...args) {
  return new Bridge(...args);
}

function createNode(...args) {
  return new Node(...args);
}

// Shorthand names only, and the one shape of a getter below: what Node.js can read as names for `import { … }`.
module.exports = { Bridge, BusybodyError, DEFAULT_PORT, Node, awesome, createBridge, createNode };

// Looked up when asked for: it names a directory of this user, which a program with its own address never needs.
const lazy = {
  get address() {
    return defaultAddress();
  },
};
Object.defineProperty(module.exports, 'DEFAULT_ADDRESS', { enumerable: true, get() { return lazy.address; } });
