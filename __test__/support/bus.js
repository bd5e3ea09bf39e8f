'use strict';

// A bus of its own for one test: a fresh directory, its socket in it, and everything ended with the test.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { createBridge, createNode } = require('../..');

/** A safety net, not an assertion: a test that hangs is ended and named. */
const LIMIT = { timeout: 30_000 };

class Bus {
  #bridges = [];
  #nodes = [];
  /** Lets a test that waits for ever meet its limit, where an empty event loop would end the whole file. */
  #awake = setInterval(() => {}, 60_000);

  constructor(t) {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'bus-'));
    this.path = path.join(this.dir, 'bus.sock');
    this.address = { path: this.path };
    this.bridge = null;
    t.after(() => this.#end(), { timeout: 20_000 });
  }

  /** Hosts the bridge in this process: on the bus's own Unix socket unless `options` say where. */
  async host(options = {}) {
    const elsewhere = ['url', 'path', 'host', 'port'].some((key) => key in options);
    this.bridge = this.createBridge({ ...(elsewhere ? {} : this.address), ...options });
    await this.bridge.ready;
    this.address = { url: this.bridge.url };
    return this.bridge;
  }

  /** createBridge, closed when the test ends. */
  createBridge(...args) {
    const bridge = createBridge(...args);
    this.#bridges.push(bridge);
    return bridge;
  }

  /** createNode, made to leave when the test ends. */
  createNode(...args) {
    const node = createNode(...args);
    this.#nodes.push(node);
    return node;
  }

  /** A node of this bus, not necessarily connected yet. It answers `barrier`. */
  dial(id, options = {}) {
    const node = this.createNode({ ...this.address, id, ...options });
    return node.handle('barrier', () => 'passed');
  }

  /** A connected node of this bus. */
  async node(id, options) {
    const node = this.dial(id, options);
    await node.ready;
    return node;
  }

  /** Connected nodes of this bus, one for each id. */
  nodes(...ids) {
    return Promise.all(ids.map((id) => this.node(id)));
  }

  async #end() {
    await Promise.allSettled(this.#nodes.map((node) => node.leave(true)));
    await Promise.allSettled(this.#bridges.map((bridge) => bridge.close()));
    fs.rmSync(this.dir, { recursive: true, force: true });
    clearInterval(this.#awake);
  }
}

/** A bus whose bridge lives in this process. */
async function openBus(t, options) {
  const bus = new Bus(t);
  await bus.host(options);
  return bus;
}

/** A fresh directory, removed with the test. */
function freshDir(t) {
  return new Bus(t).dir;
}

/**
 * What `from` sent to `to` before this call has been dispatched there once this resolves,
 * and what `to` had sent to `from` by then has been dispatched here: messages keep their order.
 */
async function barrier(from, to) {
  await from.request(`${to.id ?? to}:barrier`);
}

/** The bridge knows what `node` listens for (and whatever else it told it) once this resolves. */
async function announced(...nodes) {
  await Promise.all(nodes.map((node) => node.nodes()));
}

module.exports = { Bus, LIMIT, announced, barrier, freshDir, openBus };
