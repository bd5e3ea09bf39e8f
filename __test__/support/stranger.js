'use strict';

// Somebody at the door who does not belong: raw bytes on a connection, and what becomes of it.

const net = require('node:net');
const { once } = require('node:events');
const { endpoint } = require('./legacy');

class Stranger {
  constructor(where) {
    this.socket = net.connect(where);
    this.received = Buffer.alloc(0);
    this.socket.on('data', (chunk) => (this.received = Buffer.concat([this.received, chunk])));
    this.socket.on('error', () => {}); // 'close' follows
    /** Resolves when the connection is over, whoever ended it. */
    this.closed = new Promise((resolve) => this.socket.once('close', resolve));
    this.connected = once(this.socket, 'connect');
  }

  /** Writes, and resolves when the kernel has it or the connection is over. */
  say(bytes) {
    const written = new Promise((resolve) => this.socket.write(bytes, () => resolve()));
    return Promise.race([written, this.closed]);
  }

  /** Says it and hangs up. */
  async leave(bytes) {
    if (bytes !== undefined) await this.say(bytes);
    this.socket.destroy();
    await this.closed;
  }
}

/** A connection to the bus's bridge that has not said anything. */
async function knock(t, bus) {
  const stranger = new Stranger(endpoint(bus.address));
  t.after(() => stranger.socket.destroy());
  await stranger.connected;
  return stranger;
}

/** Numbers below `limit` that look random and are the same in every run. */
function dice(seed) {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

module.exports = { dice, knock };
