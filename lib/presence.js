'use strict';

// Who is on the bus, for a node that listens for it: each process joins once and leaves once, whatever bridges come and
// go, and whatever happened while this node had none.

class Presence {
  #emit;
  /** { info, identity } by id; null until the bridge has told. */
  #known = null;
  /** [info, identity] of the parts of a list of which more is to come. */
  #listed = [];

  /** Whether the bridge is in our own pid namespace: elsewhere its numbers of processes are nobody's, or somebody else's. */
  near = true;

  /** `emit(event, …)` tells the program. */
  constructor(emit) {
    this.#emit = emit;
  }

  /** Nobody listens any more: what changes from now on is not missed. */
  forget() {
    this.#known = null;
    this.#listed = [];
  }

  /**
   * The bridge's own word: 'node:roster' (infos, identities, complete, part, more), 'node:join' (info, fresh, identity)
   * or 'node:leave' (info, reason, identity). An identity is that of a process, whatever bridge it is on.
   */
  handle(event, args) {
    if (event === 'node:roster') return this.#list(...args);
    // Before the first roster this node was not listening yet, as far as the bridge knew.
    if (this.#known === null) return undefined;
    const [info, ...rest] = args;
    return event === 'node:join' ? this.#join(this.shown(info), ...rest) : this.#leave(this.shown(info), ...rest);
  }

  /** A NodeInfo as it is true in this process. */
  shown(info) {
    if (this.near) return info;
    const { pid, ...rest } = info;
    return rest;
  }

  /** Who is there, in parts; the first one begins anew, for a bridge that is no more may have left its list unfinished. */
  #list(infos, identities, complete, part = 0, more = false) {
    const listed = infos.map((info, i) => [info.id, { info: this.shown(info), identity: identities[i] }]);
    this.#listed = part === 0 ? listed : this.#listed.concat(listed);
    if (more) return;
    const now = new Map(this.#listed);
    this.#listed = [];
    this.#compare(now, complete);
  }

  /**
   * All who are there (others may come of whom nobody knows, unless it is complete): what changed went unseen. The first
   * list is no news.
   */
  #compare(now, complete) {
    const [before, isFirst] = [this.#known ?? new Map(), this.#known === null];
    const gone = [];
    for (const [id, was] of before) {
      const is = now.get(id);
      if (is === undefined ? complete : is.identity !== was.identity) gone.push(was.info);
      else if (is === undefined) now.set(id, was);
    }
    const come = isFirst ? [] : [...now.values()].filter(({ info, identity }) => before.get(info.id)?.identity !== identity);
    this.#known = now;
    for (const info of gone) this.#emit('node:leave', info, 'died');
    for (const { info } of come) this.#emit('node:join', info);
  }

  /** A process that comes over from another bridge is news where this node was not told of it. */
  #join(info, _fresh, identity) {
    const before = this.#known.get(info.id);
    this.#known.set(info.id, { info, identity });
    if (before?.identity === identity) return;
    if (before !== undefined) this.#emit('node:leave', before.info, 'died');
    this.#emit('node:join', info);
  }

  #leave(info, reason, identity) {
    if (this.#known.get(info.id)?.identity !== identity) return;
    this.#known.delete(info.id);
    this.#emit('node:leave', info, reason);
  }
}

module.exports = { Presence };
