'use strict';

// Who is on the bus, for a node that listens for it: so that it can be told what changed while it had no bridge.

class Presence {
  #emit;
  /** NodeInfo by id; null until the bridge has told. */
  #known = null;
  /** NodeInfo of the parts of a list of which more is to come. */
  #listed = [];

  /** `emit(event, …)` tells the program. */
  constructor(emit) {
    this.#emit = emit;
  }

  /** Nobody listens any more: what changes from now on is not missed. */
  forget() {
    this.#known = null;
    this.#listed = [];
  }

  /** The bridge's own word: 'node:join' (info, fresh), 'node:leave' (info, reason) or 'node:roster' (infos, part, more). */
  heed(event, args) {
    switch (event) {
      case 'node:roster': return this.#list(...args);
      case 'node:join': return this.#join(...args);
      case 'node:leave': return this.#leave(...args);
    }
  }

  /** Who is there, in parts; the first one begins anew, for a bridge that is no more may have left its list unfinished. */
  #list(infos, part = 0, more = false) {
    this.#listed = part === 0 ? infos : this.#listed.concat(infos);
    if (more) return;
    const all = this.#listed;
    this.#listed = [];
    this.#compare(all);
  }

  /** All who are there: whoever was not, or is not any more, came or went unseen. */
  #compare(infos) {
    const before = this.#known;
    this.#known = new Map(infos.map((info) => [info.id, info]));
    if (before === null) return;
    for (const [id, info] of before) if (!this.#known.has(id)) this.#emit('node:leave', info, 'died');
    for (const [id, info] of this.#known) if (!before.has(id)) this.#emit('node:join', info);
  }

  /** A node that comes over from the bridge before was there all the time, unless it is another process. */
  #join(info, fresh) {
    const before = this.#known?.get(info.id);
    this.#known?.set(info.id, info);
    if (before !== undefined && !fresh) return;
    if (before !== undefined) this.#emit('node:leave', before, 'died');
    this.#emit('node:join', info);
  }

  #leave(info, reason) {
    this.#known?.delete(info.id);
    this.#emit('node:leave', info, reason);
  }
}

module.exports = { Presence };
