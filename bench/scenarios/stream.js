'use strict';

// A stream in one direction: the sender sends for a while, as fast as the peer's backpressure lets it; the rate is
// taken at the receiver, between the marker before the first message and the one after the last, which says how many
// there must have been. The markers travel as messages do, so they cannot overtake any.

const { setImmediate: nextTurn } = require('node:timers/promises');
const { performance } = require('node:perf_hooks');

/**
 * @param payloads  what is sent, by turns (payloads.js)
 * @param receivers how many links get every message
 * @param processes over how many processes these links are spread
 * @param perTurn   messages sent before the event loop has its turn again, when the peer never says stop
 */
function stream({ payloads, receivers = 1, processes = 1, perTurn, ...scenario }) {
  return {
    ...scenario,
    receivers,
    processes,
    streams: true,
    send: (link, names, ms) => send(receivers === 1 ? link.to(names[0]) : link.toAll(), link, payloads, perTurn, ms),
    createReceiver: (links, report) => createReceiver(links, payloads, report),
    merge,
  };
}

async function send(target, link, payloads, perTurn, ms) {
  const end = performance.now() + ms;
  let sent = 0;
  target.send(payloads.marker('start'));
  while (performance.now() < end) {
    let room = true;
    for (let i = 0; i < perTurn && room; i++) room = target.send(payloads.at(sent++));
    // The event loop turns even if drained() needs no I/O; and drained() is called at once, or its event could be missed.
    await Promise.all([room || link.drained(), nextTurn()]);
  }
  target.send(payloads.marker(`end ${sent}`));
  return { sent };
}

function createReceiver(links, payloads, report) {
  const ended = [];
  let failed = false;
  let thorough = true;
  const fail = (reason) => {
    if (!failed) report(new Error(reason));
    failed = true;
  };

  const counters = links.map((link) => counter(link, payloads, () => thorough, fail, (result) => {
    ended.push(result);
    if (ended.length < links.length) return;
    report(merge(ended.splice(0)));
    thorough = false; // the warm-up is over
  }));
  return { progress: () => counters.reduce((sum, count) => sum + count(), 0) };
}

/** Counts and checks what one link gets. Returns a function that tells the count. */
function counter(link, payloads, isThorough, fail, done) {
  let count = 0;
  let started = 0;

  const onMarker = (text, payload) => {
    if (text === 'start') {
      started = now();
      count = 0;
      return;
    }
    const expected = text === null ? null : Number(text.replace('end ', ''));
    if (expected === null) fail(`message ${count} was lost or spoiled, in its place came ${describe(payload)}`);
    else if (expected !== count) fail(`${expected - count} of ${expected} messages were lost`);
    else done({ count, started, ended: now() });
  };

  link.listen({
    message(payload) {
      if (payloads.matches(count, payload, isThorough())) count++;
      else onMarker(payloads.readMarker(payload), payload);
    },
  });
  return () => count;
}

/** Milliseconds on a clock that the processes of one machine share. */
const now = () => performance.timeOrigin + performance.now();

/** What several links, or several processes, counted, as one. */
function merge(results) {
  const started = Math.min(...results.map((result) => result.started));
  const ended = Math.max(...results.map((result) => result.ended));
  return { count: results.reduce((sum, { count }) => sum + count, 0), started, ended, seconds: (ended - started) / 1000 };
}

function describe(payload) {
  if (typeof payload === 'string') return JSON.stringify(payload.slice(0, 40));
  return Buffer.isBuffer(payload) ? `a Buffer of ${payload.length} bytes` : `a ${typeof payload}`;
}

module.exports = { stream };
