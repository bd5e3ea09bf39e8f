'use strict';

// All processes of a chaos run, as the supervising process sees them. A crew is one process: { place, wire, worker, ids }.

const { setTimeout: sleep } = require('node:timers/promises');
const { tap } = require('../../support/proxy');
const { ask, askAll, hire } = require('../support/staff');
const { monotonic, within } = require('../support/time');

/** Of so many processes one has its nodes behind a proxy: its links can be cut, and it never hosts. */
const ONE_BEHIND_PROXY = 3;

/** Milliseconds between two looks at something that nobody announces. */
const LOOK = 25;

/** Looks in a row without any change, after which nothing more is expected. */
const STILL = 20;

/** Milliseconds after which the bus is said to be stuck. */
const PATIENCE = 30_000;

/** Nodes wait so long for a reply: less than it takes to be called stuck. */
const REPLY_TIMEOUT = 10_000;

class Fleet {
  #scope;
  #settings;
  #random;
  #dir;
  #crews = [];
  #lives = 0;
  #watchers = [];
  /** Journals of nodes that were killed, as they were shortly before. */
  #estate = [];
  #sentByTheDead = 0;
  /** What went wrong besides messages, a line each. */
  troubles = [];

  /** `settings`: { processes, nodes, rate }. */
  constructor(scope, settings, random) {
    this.#scope = scope;
    this.#settings = settings;
    this.#random = random;
    this.#dir = scope.directory();
    this.path = `${this.#dir}/bus.sock`;
  }

  /** Starts all processes, and their load once everybody knows everybody. */
  async launch() {
    const places = Array.from({ length: this.#settings.processes }, (_, place) => place);
    const proxied = (place) => place % ONE_BEHIND_PROXY === ONE_BEHIND_PROXY - 1;
    await Promise.all(places.filter((place) => !proxied(place)).map((place) => this.#man(place, null)));
    for (const place of places.filter(proxied)) await this.#man(place, await this.#proxy());
    await this.#introduce();
    await askAll(this.#workers, 'load');
  }

  /** The process that hosts the bridge; there must be exactly one. */
  async host() {
    let hosts = [];
    for (const until = monotonic() + PATIENCE; hosts.length !== 1; await sleep(LOOK)) {
      if (monotonic() > until) throw new Error(`${hosts.length} processes host the bridge`);
      const crews = this.#crews.filter(({ stopped }) => !stopped);
      const answers = await askAll(crews.map(({ worker }) => worker), 'hosting');
      hosts = crews.filter((_, i) => answers[i].hosting);
    }
    return hosts[0];
  }

  /** All but that one. */
  others(crew) {
    return this.#crews.filter((other) => other !== crew);
  }

  /** Those whose links can be cut. */
  get proxied() {
    return this.#crews.filter(({ wire }) => wire !== null);
  }

  /** kill -9, `delay` milliseconds after it was last asked for its journals. Returns the moment. */
  async kill(crew, delay) {
    const { journals, sent } = await ask(crew.worker, 'journals');
    await sleep(delay);
    crew.doomed = true;
    const at = monotonic();
    crew.worker.process.kill('SIGKILL');
    this.#crews = this.others(crew);
    this.#estate.push(...journals.map((journal) => ({ ...journal, lived: false, absent: crew.absent })));
    this.#sentByTheDead += sent;
    return at;
  }

  /** SIGSTOP of a process, whose nodes are away for so long that they are given up. */
  suspend(crew) {
    [crew.absent, crew.stopped] = [true, true];
    crew.worker.process.kill('SIGSTOP');
  }

  resume(crew) {
    crew.stopped = false;
    crew.worker.process.kill('SIGCONT');
  }

  /** New nodes, with new names, in the place of those that were killed. */
  async replace({ place, wire }) {
    const { worker } = await this.#man(place, wire);
    await this.#introduce();
    await ask(worker, 'load');
  }

  /**
   * Milliseconds from the moment `since`, when a host was killed, until a survivor has a reply to a question again: `first`
   * for the first of them, `last` for the last. null when that does not come.
   */
  async moves(since) {
    const survivors = this.#crews.flatMap(({ ids }) => ids);
    const watcher = { since, waiting: new Set(survivors), first: null };
    const all = new Promise((resolve) => (watcher.resolve = resolve));
    this.#watchers.push(watcher);
    const last = await within(PATIENCE, all, '').catch(() => null);
    if (last === null) {
      this.troubles.push(`${watcher.waiting.size} of ${survivors.length} nodes had no reply for ${PATIENCE} ms after their host was killed`);
    }
    return { first: watcher.first, last };
  }

  /** Ends the load and waits until nothing is under way any more. */
  async settle() {
    await askAll(this.#workers, 'quiet');
    let [before, still] = ['', 0];
    for (const until = monotonic() + PATIENCE; still < STILL; await sleep(LOOK)) {
      const pulse = await this.#pulse();
      if (monotonic() > until) return this.troubles.push(`it did not settle: ${pulse.pending} bytes pending, ${pulse.open} questions open`);
      const now = JSON.stringify(pulse);
      still = now === before && pulse.pending === 0 && pulse.open === 0 ? still + 1 : 0;
      before = now;
    }
  }

  /** Calls of publish and broadcast so far. */
  async sent() {
    return (await this.#pulse()).sent + this.#sentByTheDead;
  }

  /** Of all nodes that ever were, with what verdict.js needs to know. */
  async journals() {
    const answers = await askAll(this.#workers, 'journals');
    const living = answers.flatMap(({ journals }, i) => {
      const { absent } = this.#crews[i];
      return journals.map((journal) => ({ ...journal, lived: !absent, absent, settles: true }));
    });
    return [...living, ...this.#estate];
  }

  get #workers() {
    return this.#crews.map(({ worker }) => worker);
  }

  /** A process with its share of the nodes, once they are connected and the bridge knows what they listen for. */
  async #man(place, wire) {
    const { nodes, processes, rate } = this.#settings;
    const life = this.#lives++;
    const size = Math.floor(nodes / processes) + Number(place < nodes % processes);
    const ids = Array.from({ length: size }, (_, group) => `${place}-${group}.${life}`);
    const where = wire === null ? { path: this.path, bridge: 'auto' } : { path: wire.path, bridge: 'require' };
    const settings = { ids, ...where, rate, replyTimeout: REPLY_TIMEOUT, seed: this.#random.seed() };
    const crew = { place, wire, worker: hire(this.#scope, 'chaos.js', settings), ids, doomed: false, absent: false, stopped: false };
    this.#watch(crew);
    await ask(crew.worker, 'ready');
    this.#crews.push(crew);
    return crew;
  }

  async #introduce() {
    await askAll(this.#crews.filter(({ stopped }) => !stopped).map(({ worker }) => worker), 'roster', { ids: this.#crews.flatMap(({ ids }) => ids) });
  }

  #proxy() {
    return tap(this.#scope, { dir: this.#dir, address: { path: this.path } });
  }

  async #pulse() {
    const pulses = await askAll(this.#workers, 'pulse');
    const total = (key) => pulses.reduce((sum, pulse) => sum + pulse[key], 0);
    return { pending: total('pending'), open: total('open'), heard: total('heard'), sent: total('sent') };
  }

  /** Heeds what a process reports of itself, until it ends. */
  #watch(crew) {
    const { worker } = crew;
    const heed = async (kind, act) => {
      for (;;) act(await worker.next(kind));
    };
    heed('moved', (report) => this.#moved(report)).catch(() => {});
    heed('trouble', ({ text }) => this.troubles.push(text)).catch(() => {});
    worker.exited.then(({ code, signal }) => {
      if (!crew.doomed) this.troubles.push(`a process ended by itself: ${signal ?? `code ${code}`} ${worker.stderr.slice(-500)}`);
    });
  }

  /** Node `id` lost its link, and has a reply by another. */
  #moved({ id, lostAt, at }) {
    for (const watcher of this.#watchers.filter(({ since }) => lostAt > since)) {
      watcher.first ??= at - watcher.since;
      watcher.waiting.delete(id);
      if (watcher.waiting.size === 0) watcher.resolve(at - watcher.since);
    }
    this.#watchers = this.#watchers.filter(({ waiting }) => waiting.size > 0);
  }
}

module.exports = { Fleet };
