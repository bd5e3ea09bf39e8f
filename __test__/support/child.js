'use strict';

// A program of fixtures/ (or of elsewhere, by its full path) in a process of its own, and the messages it reports ({ kind, … }).

const path = require('node:path');
const { fork } = require('node:child_process');
const { stop } = require('./stopping');

const FIXTURES = path.join(__dirname, '..', 'fixtures');

class Child {
  #inbox = [];
  #waiting = [];
  #over = false;

  constructor(file, settings, env, identity) {
    this.process = fork(path.resolve(FIXTURES, file), [JSON.stringify(settings)], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, ...env },
      ...identity,
    });
    this.pid = this.process.pid;
    this.stdout = '';
    this.stderr = '';
    this.process.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.process.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    this.process.on('message', (message) => this.#deliver(message));
    this.process.on('error', () => {}); // a message to a process that has just ended
    /** { code, signal }, once it has ended and everything it reported is here. */
    this.exited = this.#end();
  }

  /** The next report of this kind; rejects when the process ends without one. */
  next(kind) {
    const at = this.#inbox.findIndex((message) => message.kind === kind);
    if (at >= 0) return Promise.resolve(this.#inbox.splice(at, 1)[0]);
    if (this.#over) return Promise.reject(this.#silence(kind));
    return new Promise((resolve, reject) => this.#waiting.push({ kind, resolve, reject }));
  }

  /** Whether a report of this kind is here and not yet taken. */
  has(kind) {
    return this.#inbox.some((message) => message.kind === kind);
  }

  get alive() {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  send(message) {
    this.process.send(message);
  }

  /** SIGSTOP; when this returns, it does nothing any more. */
  stop() {
    return stop(this.pid);
  }

  async kill(signal = 'SIGKILL') {
    this.process.kill(signal);
    return this.exited;
  }

  #deliver(message) {
    const at = this.#waiting.findIndex(({ kind }) => kind === message.kind);
    if (at < 0) this.#inbox.push(message);
    else this.#waiting.splice(at, 1)[0].resolve(message);
  }

  async #end() {
    const closed = new Promise((resolve) => this.process.on('close', (code, signal) => resolve({ code, signal })));
    const drained = new Promise((resolve) => this.process.on('disconnect', resolve));
    const [status] = await Promise.all([closed, drained]);
    this.#over = true;
    for (const { kind, reject } of this.#waiting.splice(0)) reject(this.#silence(kind, status));
    return status;
  }

  #silence(kind, status) {
    const how = status ? ` (${status.code ?? status.signal})` : '';
    return new Error(`the process ended${how} without reporting '${kind}'\n${this.stderr}`);
  }
}

/** Starts a fixture; it is killed with the test if it still lives. `identity`: { uid, gid } if not this process's. */
function start(t, file, settings = {}, env = {}, identity = {}) {
  const child = new Child(file, settings, env, identity);
  t.after(() => child.kill(), { timeout: 20_000 });
  return child;
}

/** Starts a bridge in a process of its own and waits until it listens. */
async function startBridge(t, options) {
  const child = start(t, 'bridge.js', options);
  const { url } = await child.next('listening');
  return Object.assign(child, { url });
}

/** Starts a node in a process of its own and waits until it is connected. */
async function startPeer(t, options) {
  const child = start(t, 'peer.js', options);
  await child.next('ready');
  return child;
}

module.exports = { start, startBridge, startPeer };
