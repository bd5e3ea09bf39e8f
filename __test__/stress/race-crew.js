'use strict';

// The processes of a race: forked once, used for many rounds, replaced when a round has killed them.

const fs = require('node:fs');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { start } = require('../support/child');

const CONTENDER = path.join('..', 'stress', 'race-contender.js');

/** One process, and the part it has in the current round. */
class Contender {
  #scope;
  #settings;
  #forks = 0;

  constructor(scope, settings, name) {
    this.#scope = scope;
    this.#settings = settings;
    this.name = name;
    this.#fork();
  }

  get pid() {
    return this.child.pid;
  }

  get id() {
    return `${this.name}.${this.#forks}`;
  }

  get isNode() {
    return this.as === 'node';
  }

  /** Takes part as 'bridge' or 'node': at once, or when the gate opens. */
  async enter(as, order = 'enter') {
    await this.loaded;
    this.as = as;
    this.child.send({ order, as, id: this.id });
    this.result = this.child.next('result');
    this.result.catch(() => {}); // it may be killed before; whoever waits is told
    if (order === 'race') await this.child.next('armed');
  }

  async look() {
    this.child.send({ order: 'look' });
    return this.child.next('seen');
  }

  async end() {
    this.child.send({ order: 'end' });
    await this.child.next('ended');
  }

  /** kill -9; another process takes its place in later rounds. */
  async kill() {
    await this.child.kill('SIGKILL');
    this.#fork();
    this.as = null;
  }

  #fork() {
    this.#forks += 1;
    this.child = start(this.#scope, CONTENDER, this.#settings);
    this.loaded = this.child.next('loaded');
    this.loaded.catch(() => {}); // told to whoever has it race
    this.as = null;
  }
}

/** All of them, and the directory they race in. `scope` ends them: { after(cleanup) }, such as a test. */
class Crew {
  #gate;
  /** Our end of the gate, which is shut while this is open. */
  #bar = null;

  constructor(scope, dir, processes) {
    this.dir = dir;
    this.path = path.join(dir, 'bus', 'bus.sock');
    fs.mkdirSync(path.dirname(this.path));
    this.#gate = path.join(dir, 'gate');
    execFileSync('mkfifo', [this.#gate]);
    const settings = { path: this.path, gate: this.#gate };
    this.contenders = Array.from({ length: processes }, (_, n) => new Contender(scope, settings, `contender-${n}`));
    /** Who is there before the others come, in scenarios that want somebody. */
    this.incumbent = new Contender(scope, settings, 'incumbent');
  }

  get everybody() {
    return [...this.contenders, this.incumbent];
  }

  /** Those with a part in this round. */
  get active() {
    return this.everybody.filter(({ as }) => as != null);
  }

  get nodes() {
    return this.active.filter(({ isNode }) => isNode);
  }

  /** Has all contenders wait at the gate, each as what `parts` says. */
  async line(parts) {
    // For reading too: else it would wait for the first who reads.
    this.#bar = fs.openSync(this.#gate, 'r+');
    await Promise.all(this.contenders.map((contender, n) => contender.enter(parts[n], 'race')));
  }

  /** Opens the gate; resolves, when each has entered or failed or was killed, with the outcomes. */
  open() {
    fs.closeSync(this.#bar);
    return Promise.allSettled(this.contenders.map(({ result }) => result));
  }

  /** Nodes first, then bridges: the end of a bus would be news to nodes, not an end in peace. */
  async dismiss() {
    for (const isNode of [true, false]) {
      await Promise.all(this.active.filter((one) => one.isNode === isNode).map((one) => one.end()));
    }
    for (const one of this.everybody) one.as = null;
  }

  /** Whom the lock file names, if it lives. */
  owner() {
    const noted = Number.parseInt(fs.readFileSync(`${this.path}.lock`, 'utf8'), 10); // its pid namespace follows
    return this.active.find(({ pid }) => pid === noted);
  }

  files() {
    return fs.readdirSync(path.dirname(this.path));
  }
}

module.exports = { Crew };
