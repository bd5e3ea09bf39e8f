'use strict';

// Plays the conversations of docs/PROTOCOL.md against a bridge: what the page has them say is sent, what it has the
// bridge answer must come, byte by byte and nothing else. No line of this knows either wire.

const assert = require('node:assert/strict');
const net = require('node:net');
const { once } = require('node:events');

class Conversation {
  #where;
  #actors = new Map();

  /** `where`: what net.connect takes. The test `t` ends all connections. */
  constructor(t, where) {
    this.#where = where;
    t.after(() => this.#actors.forEach(({ socket }) => socket.destroy()));
  }

  async say(name, bytes) {
    if (!this.#actors.has(name)) this.#actors.set(name, await connect(this.#where));
    this.#actors.get(name).socket.write(bytes);
  }

  /** The next bytes that the bridge sends to `name`, as many as expected; null stands for any byte. Returns them. */
  async hear(name, expected, where) {
    const got = await this.#actors.get(name).take(expected.length);
    const masked = expected.map((byte, i) => byte ?? got[i]);
    assert.equal(hex(got), hex(masked), `bridge → ${name}: ${where}`);
    return got;
  }

  /** The connection breaks, and nothing was said that the page does not have; `name` speaks next on another. */
  breaks(name) {
    const { socket, unread } = this.#actors.get(name);
    assert.equal(hex(unread), '', `bridge → ${name}, unread`);
    socket.destroy();
    this.#actors.delete(name);
  }

  /** The next message that ends with NUL. */
  message(name) {
    return this.#actors.get(name).until(0);
  }

  /** The bridge closes this connection, and says nothing before. */
  async ends(name, where) {
    assert.equal(hex(await this.#actors.get(name).rest()), '', `bridge → ${name}, before it closes: ${where}`);
  }

  /** Nothing was said that the page does not have. */
  done() {
    for (const [name, actor] of this.#actors) assert.equal(hex(actor.unread), '', `bridge → ${name}, unread`);
  }
}

class Actor {
  unread = Buffer.alloc(0);
  #wake = () => {};
  #ended = false;

  constructor(socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.unread = Buffer.concat([this.unread, chunk]);
      this.#wake();
    });
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  async take(count) {
    while (this.unread.length < count && !this.#ended) await this.#news();
    const taken = this.unread.subarray(0, count);
    this.unread = this.unread.subarray(count);
    return taken;
  }

  async until(end) {
    while (!this.unread.includes(end) && !this.#ended) await this.#news();
    return this.take(this.unread.indexOf(end) + 1);
  }

  async rest() {
    while (!this.#ended) await this.#news();
    return this.take(this.unread.length);
  }

  #news() {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

async function connect(where) {
  const socket = net.connect(where);
  const actor = new Actor(socket);
  await once(socket, 'connect');
  return actor;
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

module.exports = { Conversation };
