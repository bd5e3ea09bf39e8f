'use strict';

// How a node finds its bridge, finds it again, and hosts it when there is none.

const dns = require('node:dns');
const net = require('node:net');
const { BusybodyError, fromNative } = require('./errors.js');
const { clearTimeout, nextTick, random, setTimeout } = require('./time.js');

/** Milliseconds before the first connection is tried again: 100, 200, 400, … so that processes may start in any order. */
const FIRST_DELAY = 100;
/** Milliseconds before a lost connection is tried again, doubling up to the longest. */
const RETRY_DELAY = 10;
const LONGEST_DELAY = 1_000;
/** Milliseconds before an id that is taken is asked for again. */
const TAKEN_DELAY = 100;
/**
 * How often, and after how many milliseconds each time, it is looked whether a bridge has let a node in once it is connected.
 * Between two looks the loop reads: an answer that came while this process was busy, or stopped, is not missed.
 */
const WELCOME_LOOKS = 5;
const WELCOME_PAUSE = 900;
/** Attempts of a node that could host but for a bridge that it cannot reach either: that one is starting, or about to put its socket back. */
const PATIENT_ATTEMPTS = 7;
/** Codes that trying again does not mend. */
const FINAL = new Set(['ERR_DUPLICATE_NODE', 'ERR_UNAUTHORIZED', 'ERR_PROTOCOL', 'ERR_INVALID_ARG', 'ENAMETOOLONG']);
/** Codes with which the bridge itself answers: it is not to be looked for elsewhere. */
const REFUSED = new Set(['ERR_DUPLICATE_NODE', 'ERR_UNAUTHORIZED']);
/** Codes that say that nobody is there, so that somebody may host. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE']);

class Connection {
  #native;
  #turn;
  #options;
  #events;
  #attempts = 0;
  #delay = RETRY_DELAY;
  /** Whether the last link was rejected, or ended because of what came on it: the next may be, too. */
  #doubtful = false;
  #everOnline = false;
  #online = false;
  #over = false;
  #timer = null;
  #patience = null;
  /** The bridge that this process hosts for the node, as of hostBridge(). */
  #hosted = null;
  /** Where the bridge may be that was not tried yet in this attempt, and why it was not where it was tried. */
  #urls = [];
  #misses = [];

  /**
   * `events`: { online(first), lost(error), retrying(error), failed(error), host() -> { bridge, handOver() } }.
   */
  constructor(native, turn, options, events) {
    this.#native = native;
    this.#turn = turn;
    this.#options = options;
    this.#events = events;
  }

  /** Whether this process hosts a bridge for the node. */
  get hosting() {
    return this.#hosted !== null;
  }

  /** Whether the bridge has let us in, on the link there is. */
  get online() {
    return this.#online;
  }

  get everOnline() {
    return this.#everOnline;
  }

  start() {
    this.#timer = null;
    if (this.#over) return;
    this.#attempts += 1;
    resolve(this.#options.url, (error, urls) => {
      if (this.#over) return;
      if (error !== null) return this.#missed(error);
      this.#urls = urls;
      this.#misses = [];
      this.#dial(urls.shift());
    });
  }

  #dial(url) {
    try {
      this.#native.connect(url, this.#turn);
      this.#awaitWelcome(WELCOME_LOOKS);
    } catch (cause) {
      // Never within the caller's own call: it has not had the time to listen.
      nextTick(() => this.lost(fromNative(cause.code, cause.message), false));
    }
  }

  #awaitWelcome(looks) {
    const look = () => (looks > 1 ? this.#awaitWelcome(looks - 1) : this.#unanswered());
    this.#patience = setTimeout(look, WELCOME_PAUSE).unref();
  }

  /** There is a listener, but it does not answer: it is stopped, or no bridge. */
  #unanswered() {
    const peer = this.#native.peer();
    this.#native.disconnect();
    this.lost(silence(this.#options.url, peer), false);
  }

  /** The bridge has let us in. */
  welcomed() {
    clearTimeout(this.#patience);
    const first = !this.#everOnline;
    this.#online = true;
    this.#everOnline = true;
    if (this.#doubtful) this.#bearWith();
    else this.#delay = RETRY_DELAY;
    this.#attempts = 0;
    this.#events.online(first);
  }

  /** After a rejection: a link that lasts is trusted again, and a bridge that answers no PING is waited for no longer. */
  #bearWith() {
    this.#patience = setTimeout(() => {
      if (this.#native.presumeTaken()) return this.#bearWith();
      this.#doubtful = false;
      this.#delay = RETRY_DELAY;
    }, LONGEST_DELAY).unref();
  }

  /** The bridge has said why it will not have us; the link ends after it. */
  rejected(error) {
    this.#native.disconnect();
    if (error.code === 'ERR_REPLACED') this.#fail(error);
    else this.lost(error, this.#online);
  }

  /** The link is gone. */
  lost(error, wasOnline = this.#online) {
    if (this.#over) return;
    clearTimeout(this.#patience);
    this.#online = false;
    if (wasOnline) {
      this.#doubtful = error.code === 'ERR_PROTOCOL';
      // Before the program hears of it, which may well end the node.
      this.#retry();
      this.#events.lost(error);
      return;
    }
    this.#misses.push(error);
    if (this.#urls.length > 0 && !REFUSED.has(error.code)) return this.#dial(this.#urls.shift());
    // Who was there and said something tells more than an address at which nobody is.
    const telling = this.#misses.find(({ code }) => code.startsWith('ERR_'));
    this.#missed(telling ?? this.#misses[0]);
  }

  /** No more attempts; a bridge hosted here is handed over. */
  end() {
    this.#over = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#patience);
    const hosted = this.#hosted;
    this.#hosted = null;
    return hosted?.handOver() ?? Promise.resolve();
  }

  #missed(error) {
    if (error.code === 'ERR_DUPLICATE_NODE' && this.#options.onTaken === 'wait') {
      // There is a bridge: this is no failed attempt.
      this.#attempts = 0;
      return this.#later(TAKEN_DELAY);
    }
    // Of a bridge that has let us in before, bad bytes are an accident.
    if (FINAL.has(error.code) && !(this.#everOnline && error.code === 'ERR_PROTOCOL')) return this.#fail(error);
    const mayHost = this.#options.bridge === 'auto' && NOBODY.has(error.code) && !this.hosting;
    const refusal = mayHost ? this.#host() : null;
    if (!mayHost || refusal !== null) this.#tryLater(error, refusal);
  }

  /** Takes the address and connects to it; or returns why this process cannot. */
  #host() {
    try {
      this.#hosted = this.#events.host();
    } catch (refusal) {
      return refusal;
    }
    this.#hosted.bridge.once('close', () => {
      this.#hosted = null;
    });
    this.#attempts -= 1;
    this.start();
    return null;
  }

  /** `refusal`: why this process cannot host the bridge that it has not found, or null. */
  #tryLater(error, refusal) {
    const taken = refusal?.code === 'EADDRINUSE';
    const most = taken ? Math.max(this.#options.maxConnectionAttempts, PATIENT_ATTEMPTS) : this.#options.maxConnectionAttempts;
    if (this.#everOnline) {
      this.#retry();
      this.#events.retrying(refusal === null || taken ? error : refusal);
    } else if (error.code === 'ERR_TIMEOUT' || this.#attempts >= most) {
      this.#fail(noBridge(this.#options.url, this.#attempts, error, refusal));
    } else {
      this.#later(FIRST_DELAY * 2 ** Math.min(this.#attempts - 1, 5));
    }
  }

  #retry() {
    const jittered = this.#delay * (0.5 + random() / 2);
    this.#delay = Math.min(this.#delay * 2, LONGEST_DELAY);
    this.#later(jittered);
  }

  #later(delay) {
    this.#timer = setTimeout(() => this.start(), delay);
    // The node's keepAlive says whether the process waits.
    this.#timer.unref();
  }

  #fail(error) {
    this.#over = true;
    this.#online = false;
    clearTimeout(this.#patience);
    this.#events.failed(error);
  }
}

function noBridge(url, attempts, error, refusal) {
  const cause = refusal ?? error;
  const unhosted = refusal === null ? '' : ', and this process cannot host one';
  const tried = `no bridge at ${url} after ${attempts} attempt${attempts === 1 ? '' : 's'}${unhosted} (${cause.message})`;
  return new BusybodyError('ERR_NO_BRIDGE', tried, { cause });
}

/** Why a listener that was connected to says nothing. `peer`: { pid, name, stopped }, or null where the system does not tell. */
function silence(url, peer) {
  if (peer === null) {
    return new BusybodyError('ERR_PROTOCOL', `who listens at ${url} accepts connections but says nothing: it is no bridge, or it is stopped`);
  }
  const { pid, name, stopped } = peer;
  if (stopped) {
    return new BusybodyError('ERR_TIMEOUT', `the bridge at ${url} does not answer: its process ${pid} (${name}) is stopped; kill -CONT ${pid} lets it go on`);
  }
  return new BusybodyError('ERR_PROTOCOL', `process ${pid} (${name}) at ${url} accepts connections but says nothing: it is no bridge`);
}

/**
 * Host names are looked up here, where it blocks nobody; the native side gets addresses. A name may have several, and what
 * listens at one need not listen at the others. The one that a bridge takes first is tried first.
 */
function resolve(url, done) {
  const match = /^tcp:\/\/([^[\]:/]+):(\d+)$/i.exec(url);
  if (match === null || net.isIP(match[1]) !== 0) return done(null, [url]);
  const [, host, port] = match;
  dns.lookup(host, { all: true }, (error, found) => {
    if (error !== null) return done(error, []);
    const [first, second] = [[], []];
    for (const { address, family } of found) {
      const each = `tcp://${family === 6 ? `[${address}]` : address}:${port}`;
      (address.startsWith('127.') ? first : second).push(each);
    }
    done(null, [...new Set([...first, ...second])]);
  });
}

module.exports = { Connection };
