'use strict';

// What one node has sent and what reached it, kept by the process of the node. Everything a node tells another (directed
// events, questions and broadcasts alike) has the next number of this pair: 1, 2, 3, …; questions have one of their own
// beside it, which comes back with the reply.

const { note } = require('./runs');

class Journal {
  #peers = new Map();
  #presence = new Map();
  #met = new Set();
  /** Questions whose callback was not called yet; never below zero unless one was called twice. */
  open = 0;
  sent = 0;
  heard = 0;
  /** Whether a 'drain' is due: the node said that it needs one, and none came since. */
  drainDue = false;
  /** Messages that are not what was sent. */
  damaged = 0;

  constructor(id) {
    this.id = id;
  }

  /** The number of the next message to `to`. */
  tell(to) {
    this.sent += 1;
    return (this.#peer(to).told += 1);
  }

  /** The number of the next question to `to`. */
  ask(to) {
    this.open += 1;
    return (this.#peer(to).asked += 1);
  }

  hear(from, number) {
    this.heard += 1;
    note(this.#peer(from).heard, number);
  }

  answered(from, question) {
    this.open -= 1;
    note(this.#peer(from).answers, question);
  }

  /** The callback of a question got an error instead of a reply. */
  failed(to, number, question, code) {
    this.open -= 1;
    this.#peer(to).failed.push([number, question, code]);
  }

  /** A message was reported undeliverable; nobody says which. */
  denied(to, code) {
    const { denied } = this.#peer(to);
    denied[code] = (denied[code] ?? 0) + 1;
  }

  /** This node was told that another one joined, or left. */
  presence(id, joined) {
    (this.#presence.get(id) ?? this.#presence.set(id, []).get(id)).push(joined);
  }

  /** These are there, and this node listens for who comes and goes. */
  met(ids) {
    for (const id of ids) this.#met.add(id);
  }

  /** As plain data: see verdict.js. */
  toJSON() {
    const presence = Object.fromEntries(this.#presence);
    return { id: this.id, damaged: this.damaged, drainDue: this.drainDue, peers: Object.fromEntries(this.#peers), presence, met: [...this.#met] };
  }

  #peer(id) {
    let peer = this.#peers.get(id);
    if (peer === undefined) {
      peer = { told: 0, asked: 0, heard: [], answers: [], failed: [], denied: {} };
      this.#peers.set(id, peer);
    }
    return peer;
  }
}

module.exports = { Journal };
