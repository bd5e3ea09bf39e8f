'use strict';

// A peer that speaks the original's wire: JSON objects, each ended by NUL, over plain node:net.

const net = require('node:net');

class LegacyPeer {
  #socket;
  #rest = '';
  #inbox = [];
  #waiting = [];
  #count = 0;

  constructor(where, name) {
    this.name = name;
    this.#socket = net.connect(where);
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (text) => this.#read(text));
    this.#socket.on('error', () => {}); // 'close' follows
    /** Resolves when the connection is over, whoever ended it. */
    this.closed = new Promise((resolve) => this.#socket.once('close', resolve)).then(() => this.#stop());
  }

  /** Sends one message and returns its id. */
  send(method, data, nodeName = this.name) {
    const id = `${this.name}-${++this.#count}`;
    this.raw(JSON.stringify({ id, method, data, nodeName }) + '\0');
    return id;
  }

  raw(bytes) {
    this.#socket.write(bytes);
  }

  /** Joins the bus; resolves with the arguments of the acknowledgement. */
  async join() {
    return this.ack(this.send('IDENT'));
  }

  /** Arguments of the acknowledgement of message `id`. */
  async ack(id) {
    const { data } = await this.next((message) => message.method === 'ACK' && message.data[0] === id);
    return data[1];
  }

  /** The next message that `wanted` (a method's name or a predicate) fits; others stay. */
  next(wanted) {
    const fits = typeof wanted === 'function' ? wanted : ({ method }) => method === wanted;
    const at = this.#inbox.findIndex(fits);
    if (at >= 0) return Promise.resolve(this.#inbox.splice(at, 1)[0]);
    return new Promise((resolve, reject) => this.#waiting.push({ fits, resolve, reject }));
  }

  /** Messages that have arrived and nobody asked for. */
  get unread() {
    return [...this.#inbox];
  }

  /** Stops reading, as a stalled process would. */
  pause() {
    this.#socket.pause();
  }

  resume() {
    this.#socket.resume();
  }

  end() {
    this.#socket.end();
  }

  destroy() {
    this.#socket.destroy();
  }

  #read(text) {
    const parts = (this.#rest + text).split('\0');
    this.#rest = parts.pop();
    for (const part of parts) this.#deliver(part.startsWith('{') ? JSON.parse(part) : part);
    // `pong` is bare text: it comes with no object around it, and maybe no NUL behind it.
    if (this.#rest === 'pong') this.#deliver(this.#rest, (this.#rest = ''));
  }

  #deliver(message) {
    const at = this.#waiting.findIndex(({ fits }) => fits(message));
    if (at < 0) this.#inbox.push(message);
    else this.#waiting.splice(at, 1)[0].resolve(message);
  }

  #stop() {
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('the connection ended'));
  }
}

/** Where node:net connects for an address of the bus. */
function endpoint(address) {
  if (address.path) return { path: address.path };
  const url = new URL(address.url);
  if (url.protocol === 'unix:') return { path: decodeURIComponent(url.pathname) };
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) };
}

/** A peer on the bus's socket that has not said anything yet. */
function dialLegacy(t, bus, name) {
  const peer = new LegacyPeer(endpoint(bus.address), name);
  t.after(() => peer.destroy());
  return peer;
}

/** A peer that has joined. */
async function joinLegacy(t, bus, name) {
  const peer = dialLegacy(t, bus, name);
  const [error] = await peer.join();
  if (error) throw new Error(error);
  return peer;
}

module.exports = { dialLegacy, endpoint, joinLegacy };
