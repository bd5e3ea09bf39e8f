'use strict';

// The processes of a cell. Each is the leader of a group of its own, which a server that it spawns belongs to, too;
// whatever happens to the bench, no group outlives it.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { fork } = require('node:child_process');
const { runtime } = require('./runtime.js');

const ROLE = path.join(__dirname, 'role.js');

/** Characters of a process's stderr that a reason may quote. */
const QUOTED = 200;

const alive = new Set();
const directories = new Set();
process.on('exit', killAll);

/** A process that plays one role, however it is reached. `failed` rejects when it says so or ends. */
class Player {
  waiting = new Map();

  constructor(role) {
    this.role = role;
  }

  /** The next message of that type. Ask for it before what causes it. */
  hears(type) {
    const heard = new Promise((resolve) => this.waiting.set(type, resolve));
    return Promise.race([heard, this.failed]);
  }

  heard(message) {
    this.waiting.get(message.type)?.(message);
  }

  ask(type, more, answer) {
    const heard = this.hears(answer);
    this.tell(type, more);
    return heard;
  }

  start(order) {
    return this.ask('start', { role: this.role, ...order }, 'ready');
  }
}

/** A process of the bench's own. */
class Actor extends Player {
  constructor(role) {
    super(role);
    this.said = '';
    this.child = fork(ROLE, [], {
      detached: true, stdio: ['ignore', 'ignore', 'pipe', 'ipc'], execArgv: [], execPath: runtime.execPath,
    });
    alive.add(this.child);
    this.child.stderr.setEncoding('utf8').on('data', (text) => {
      this.said = (this.said + text).slice(-4096);
    });
    this.failed = new Promise((resolve, reject) => {
      const fail = (reason) => reject(new Error(`${role}: ${withoutPaths(reason)}`));
      this.child.on('message', (message) => {
        if (message.type === 'failed') fail(message.reason);
        else this.heard(message);
      });
      this.child.once('error', (err) => fail(err.message));
      this.child.once('exit', (code, signal) => fail(`ended with ${signal ?? `code ${code}`} ${this.said.trim().slice(-QUOTED)}`.trim()));
    });
    this.failed.catch(() => {}); // who waits for an answer hears of it
  }

  tell(type, more) {
    this.child.send({ type, ...more }, () => {}); // a process that is gone is heard of through `failed`
  }

  end() {
    alive.delete(this.child);
    killGroup(this.child);
  }
}

/** A child that an Actor forks for itself and hands messages to; it belongs to that one's group. */
class Child extends Player {
  constructor(role, parent) {
    super(role);
    this.parent = parent;
    this.failed = new Promise((resolve, reject) => {
      parent.failed.catch(reject);
      parent.child.on('message', ({ type, message }) => {
        if (type !== 'child') return;
        if (message.type === 'failed') reject(new Error(`${role}: ${withoutPaths(message.reason)}`));
        else this.heard(message);
      });
    });
    this.failed.catch(() => {});
  }

  tell(type, more) {
    this.parent.tell('child', { message: { type, ...more } });
  }

  end() {}
}

/** An empty directory that is gone at the end, for the sockets and files of one hub. */
function freshDirectory() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-'));
  directories.add(directory);
  return directory;
}

function removeDirectory(directory) {
  fs.rmSync(directory, { recursive: true, force: true });
  directories.delete(directory);
}

function killAll() {
  for (const child of alive) killGroup(child);
  for (const directory of [...directories]) removeDirectory(directory);
}

function killGroup(child) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // gone already
  }
}

/** Reports are published: they name no place of the machine they were made on. */
function withoutPaths(text) {
  const root = path.join(__dirname, '..');
  return String(text).replaceAll(root, '.').replaceAll(os.tmpdir(), '<tmp>').replaceAll(os.homedir(), '~').replaceAll(os.hostname(), '<host>');
}

/** Rejects with `reason()` when `promise` has not settled after `ms`. */
async function within(ms, promise, reason) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(async () => reject(new Error(await reason())), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

module.exports = { Actor, Child, freshDirectory, removeDirectory, within };
