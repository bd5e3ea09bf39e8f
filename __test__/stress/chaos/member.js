'use strict';

// One node under load: it tells, asks and broadcasts, and everything is in its journal.

const { createNode } = require('../../..');
const { Journal } = require('../support/journal');
const { monotonic } = require('../support/time');

/** Of a thousand messages, how many are what. The others are directed events. */
const BROADCASTS = 50;
const QUESTIONS = 250;

/** Of a hundred questions, how many have no time limit: nothing but a reply, or the end of who was asked, settles them. */
const UNLIMITED = 20;

/** Sizes of bodies, and how many of a thousand messages have it: most are small, some travel in chunks. */
const SIZES = [[100_000, 1], [4_000, 10]];
const FILLERS = new Map([0, ...SIZES.map(([size]) => size)].map((size) => [size, 'x'.repeat(size)]));

/** Bytes that may be pending: so few that a stopped bridge makes senders wait for 'drain'. */
const MAX_PENDING = 256 * 1024;

class Member {
  #random;
  #report;
  #others = [];
  /** Who hears the broadcasts to a group, by its number. */
  #groups = [];
  #unlimited;
  #credit = 0;
  #lostAt = null;

  /** `report(kind, facts)` goes to the supervising process. */
  constructor(id, { path, bridge, replyTimeout }, random, report) {
    this.id = id;
    this.journal = new Journal(id);
    /** Calls of publish and broadcast. */
    this.sent = 0;
    this.#random = random;
    this.#report = report;
    this.node = createNode({ id, path, bridge, replyTimeout, maxConnectionAttempts: Infinity, maxPending: MAX_PENDING });
    this.#unlimited = this.node.with({ timeout: 0 });
    this.#listen(groupOf(id));
  }

  /** From now on these are all there are to talk to. */
  meet(ids) {
    this.#others = ids.filter((id) => id !== this.id);
    this.#groups = [];
    this.journal.met(this.#others);
    for (const id of this.#others) (this.#groups[groupOf(id)] ??= []).push(id);
  }

  /** Sends that many messages (fractions add up), unless those before are still waiting. */
  speak(due) {
    this.#credit = Math.min(this.#credit + due, due + 1);
    for (; this.#credit >= 1 && !this.journal.drainDue; this.#credit -= 1) {
      this.#say();
      if (this.node.needDrain) this.journal.drainDue = true;
    }
  }

  #say() {
    const dice = this.#random.below(1000);
    this.sent += 1;
    if (dice < BROADCASTS) this.#broadcast(this.#random.below(this.#groups.length));
    else if (dice < BROADCASTS + QUESTIONS) this.#ask(this.#random.pick(this.#others));
    else this.#tell(this.#random.pick(this.#others));
  }

  #tell(to) {
    this.node.publish(`${to}:note`, this.id, this.journal.tell(to), this.#filler());
  }

  #ask(to) {
    const number = this.journal.tell(to);
    const question = this.journal.ask(to);
    const asker = this.#random.below(100) < UNLIMITED ? this.#unlimited : this.node;
    asker.publish(`${to}:ask`, this.id, number, this.#filler(), question, (error, echo) => {
      if (error) return this.journal.failed(to, number, question, error.code ?? error.message);
      if (echo !== question) this.journal.damaged += 1;
      this.journal.answered(to, echo);
      this.#moved();
    });
  }

  /** One message for all of a group: each finds its own number in it. */
  #broadcast(group) {
    const numbers = Object.fromEntries((this.#groups[group] ?? []).map((id) => [id, this.journal.tell(id)]));
    this.node.broadcast(`news-${group}`, this.id, numbers);
  }

  #filler() {
    let dice = this.#random.below(1000);
    for (const [size, share] of SIZES) {
      if (dice < share) return FILLERS.get(size);
      dice -= share;
    }
    return '';
  }

  #listen(group) {
    const { node } = this;
    node.on('note', (from, number, filler, reply) => this.#hear(from, number, filler, reply));
    node.serve('ask', (context, from, number, filler, question) => {
      this.#hear(from, number, filler, context);
      return question;
    });
    node.on(`news-${group}`, (from, numbers, reply) => {
      // A node that has joined a moment ago is not known to all yet: then the broadcast was not for it.
      if (this.id in numbers) this.#hear(from, numbers[this.id], '', reply);
    });
    node.on('undeliverable', ({ target, event, code }) => this.#denied(target, event, code));
    node.on('drain', () => (this.journal.drainDue = false));
    node.on('node:join', ({ id }) => this.journal.presence(id, true));
    node.on('node:leave', ({ id }) => this.journal.presence(id, false));
    node.on('disconnect', () => (this.#lostAt = monotonic()));
    for (const event of ['error', 'close']) node.on(event, (error) => this.#trouble(event, error));
  }

  #hear(from, number, filler, reply) {
    if (filler !== FILLERS.get(filler.length) || reply.from !== from) this.journal.damaged += 1;
    this.journal.hear(from, number);
  }

  #denied(target, event, code) {
    const [to] = target.split(':');
    const receivers = target === event ? this.#groups[groupOf(event)] ?? [] : [to];
    for (const id of receivers) this.journal.denied(id, code);
  }

  /** The first reply since the link was lost: what it came by is there. */
  #moved() {
    if (this.#lostAt === null) return;
    this.#report('moved', { id: this.id, lostAt: this.#lostAt, at: monotonic() });
    this.#lostAt = null;
  }

  #trouble(event, error) {
    this.#report('trouble', { text: `${this.id}: '${event}' ${error?.code ?? ''} ${error?.message ?? ''}`.trimEnd() });
  }
}

/** Of a node's id, or of the event that its group listens for. */
function groupOf(name) {
  return Number(/-(\d+)/.exec(name)[1]);
}

module.exports = { Member };
