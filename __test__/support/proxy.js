'use strict';

// A wire tap: stands between nodes and a bridge, counts and records what passes, and can cut the link.

const net = require('node:net');
const path = require('node:path');
const { once } = require('node:events');
const { endpoint } = require('./legacy');

class Tap {
  #server;
  #pairs = new Set();
  #upstream;

  constructor(server, upstream, where) {
    this.#server = server;
    this.#upstream = upstream;
    /** Where nodes connect to pass through the tap. */
    this.path = where;
    /** Bytes so far, from the nodes to the bridge and back. */
    this.toBridge = 0;
    this.toNode = 0;
    this.connections = 0;
    this.recorded = { toBridge: [], toNode: [] };
    server.on('connection', (socket) => this.#join(socket));
  }

  /** Ends every connection at once, as a network failure would. */
  cut() {
    for (const [near, far] of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** Lets nothing through for now, as a stalled process would; `resume()` ends that. */
  pause() {
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  resume() {
    for (const pair of this.#pairs) for (const socket of pair) socket.resume();
  }

  close() {
    this.cut();
    this.#server.close();
  }

  #join(near) {
    this.connections += 1;
    const far = net.connect(this.#upstream);
    const pair = [near, far];
    this.#pairs.add(pair);
    near.on('close', () => this.#pairs.delete(pair));
    this.#pump(near, far, 'toBridge');
    this.#pump(far, near, 'toNode');
  }

  #pump(from, to, direction) {
    from.on('data', (chunk) => {
      this[direction] += chunk.length;
      if (this[direction] <= 65_536) this.recorded[direction].push(chunk);
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => from.resume());
    from.on('error', () => {}); // 'close' follows
    from.on('end', () => to.end());
    from.on('close', () => to.destroy());
  }
}

/** A tap in front of the bus's bridge. */
async function tap(t, bus) {
  const where = path.join(bus.dir, `tap-${Math.random().toString(36).slice(2, 8)}.sock`);
  const server = net.createServer();
  server.listen(where);
  await once(server, 'listening');
  const wire = new Tap(server, endpoint(bus.address), where);
  t.after(() => wire.close());
  return wire;
}

module.exports = { tap };
