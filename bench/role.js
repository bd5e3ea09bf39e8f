'use strict';

// One process of a cell: the hub, a receiver or the sender, or a crowd of idle nodes for the memory figures.
// Told what to do by the process that forked it; never outlives it.
//
//   gets  { type: 'start', … }  says { type: 'ready', … }
//   gets  { type: 'phase', ms } says { type: 'sent' | 'received', result }
//   gets  { type: 'progress' }  says { type: 'progress', count }
//   gets  { type: 'fork', … }   says { type: 'forked' }: the sender has a receiver of its own, for peers without a hub;
//   gets  { type: 'child', message } for that one, says { type: 'child', message } of it
//   says  { type: 'failed', reason } at any time

const fs = require('node:fs');
const { peer } = require('./peers/index.js');
const { scenario } = require('./scenarios/index.js');

/** Links opened at the same time by a crowd: below any listen backlog. */
const AT_ONCE = 50;

const say = (type, more) => process.send({ type, ...more });
const fail = (err) => say('failed', { reason: err?.message ? String(err.message) : String(err) });

let run = null;
let directory = null; // the hub's
let child = null; // the sender's, for peers without a hub
const commands = {
  async start(order) {
    run = await ROLES[order.role](peer(order.peer), order);
  },
  async phase({ ms }) {
    say('sent', { result: await run.phase(ms) });
  },
  async progress() {
    say('progress', { count: run?.progress?.() ?? 0 });
  },
  async fork({ peer: name, binary }) {
    child = peer(name).fork({ binary });
    child.on('message', (message) => {
      if (message.type !== undefined) say('child', { message });
    });
    child.once('exit', (code, signal) => fail(`the child ended with ${signal ?? `code ${code}`}`));
    say('forked');
  },
  async child({ message }) {
    child.send(message);
  },
};

const ROLES = {
  async probe(driver) {
    say('ready', { reason: driver.unavailable() });
  },

  async hub(driver, { dir, binary }) {
    directory = dir;
    const { address, pid = process.pid } = await driver.startHub({ dir, binary });
    say('ready', { address, pid });
  },

  async receiver(driver, { address, names, scenario: name }) {
    const { binary, objects, createReceiver } = scenario(name);
    const links = await Promise.all(names.map((id) => driver.connect(address, id, { binary, objects })));
    const listening = [];
    const receiver = createReceiver(links.map((link) => ({ listen: (given) => listening.push(link.listen(given)) })), (result) => {
      if (result instanceof Error) fail(result);
      else say('received', { result });
    });
    await Promise.all(listening);
    say('ready', { pid: process.pid });
    return receiver;
  },

  async sender(driver, { address, names, scenario: name }) {
    const { binary, objects, send } = scenario(name);
    const link = await driver.connect(address, 'sender', { binary, objects });
    say('ready', { pid: process.pid });
    return { phase: (ms) => send(link, names, ms) };
  },

  async crowd(driver, { address, first, count }) {
    const links = [];
    while (links.length < count) {
      const batch = Math.min(AT_ONCE, count - links.length);
      const ids = Array.from({ length: batch }, (_, i) => `idle-${first + links.length + i}`);
      links.push(...await Promise.all(ids.map((id) => driver.connect(address, id, {}))));
      for (const link of links.slice(-batch)) await link.listen({ message() {} });
    }
    say('ready', { pid: process.pid });
    return { links };
  },
};

// What has no type is a message of the peer that uses this very channel.
process.on('message', (message) => commands[message.type]?.(message).catch(fail));
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);
// The parent is gone, however it went: end this process and the server it may have started (its whole group).
process.on('disconnect', () => {
  if (directory) fs.rmSync(directory, { recursive: true, force: true });
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    process.exit(1); // a child, in its parent's group
  }
});
