'use strict';

// npm run demo: a village of processes on one bus. This process only directs and narrates:
// the bridge is a process, each villager is one, and they talk to each other over a Unix socket.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Actor } = require('./demo/actor');
const { createNarrator } = require('./demo/narrator');
const { bandwidth, duration, number, perSecond, percentile, spread } = require('./demo/figures');

// It takes five seconds. Whoever waits longer than this deserves to hear why.
const DEADLINE = 18_000;

const MiB = 2 ** 20;
const { title, scene, line, table, success, failure } = createNarrator(process.stdout);
const actors = [];
const summary = [];
let messages = 0;

async function play(directory) {
  const village = await arrive(path.join(directory, 'bus.sock'));
  await askAndAnswer(village);
  await shout(village);
  await callTheBridge(village);
  await sendBytes(village);
  await failInTheOpen(village);
  await blockTheHost(village);
  await dieWithoutAWord(village);
  await sayGoodNight(village);
}

async function arrive(socket) {
  title('Busybody: a bus for the processes of one machine');
  scene('Six processes meet');
  const bridge = enter('bridge.js', 'bridge', socket);
  const url = await bridge.do('listening');
  line(`bridge listens on ${url}`, `pid ${bridge.pid}`);

  const listensFor = { ada: [], ben: ['news'], cleo: ['news'], dora: ['gossip'], eve: [] };
  const villagers = Object.entries(listensFor).map(([id, events]) => enter('villager.js', id, url, ...events));
  for (const villager of villagers) {
    await villager.do('join');
    line(`${villager.id} joins`, `pid ${villager.pid}`);
  }
  return { url, bridge, ...Object.fromEntries(villagers.map((villager) => [villager.id, villager])) };
}

async function askAndAnswer({ ada }) {
  scene('Ask, and get an answer');
  const { value, ms } = await ada.do('ask', 'ben:double', 21);
  assert.equal(value, 42);
  line('ada → ben   double(21)');
  line('ben → ada   42', duration(ms));

  const { times } = await ada.do('chat', 'ben:double', 600);
  line(`ada ⇄ ben   ${number(times.length)} more, one after the other`, spread(times));
  summarize('request and reply', times);

  const { times: crowded, ms: took } = await ada.do('interrogate', 'ben:double', 500, 64);
  line(`ada ⇄ ben   ${number(crowded.length)} more, 64 at a time`, perSecond(crowded.length, took));
  summarize('the same, 64 in flight', crowded);
}

async function shout({ ben, cleo, dora, eve }) {
  scene('Shout: only those who listen are bothered');
  const times = 50_000;
  const start = performance.now();
  const before = await dora.do('effort');
  const listening = Promise.all([ben.do('hear', 'news', times), cleo.do('hear', 'news', times)]);
  await eve.do('shout', 'news', times);
  line(`eve → all   news, ${number(times)} times`);

  assert.deepEqual(await listening, [times, times]);
  const took = performance.now() - start;
  line('ben and cleo listen for news, and heard it all', perSecond(2 * times, took));
  line('dora listens for gossip only, and slept on', `${duration(await dora.do('effort') - before)} of CPU`);
}

async function callTheBridge({ bridge, dora }) {
  scene('Call the process that hosts the bus');
  const { value, ms } = await dora.do('call', 'census');
  assert.deepEqual(value, { pid: bridge.pid, names: ['ada', 'ben', 'cleo', 'dora', 'eve'] });
  line('dora → bridge   census()');
  line(`bridge → dora   ${value.names.join(', ')}`, duration(ms));
}

async function sendBytes({ dora }) {
  scene('Send bytes as bytes');
  const size = 32 * MiB;
  const { same, fingerprint, ms } = await dora.do('parcel', 'eve:fingerprint', size);
  assert.ok(same, 'the parcel arrived damaged');
  line(`dora → eve   a Buffer of ${size / MiB} MiB`, bandwidth(size, ms));
  line(`eve → dora   sha256 ${fingerprint.slice(0, 8)}…, the same at both ends`, 'hashing included');
}

async function failInTheOpen({ ada }) {
  scene('What cannot work says so, at once, with a code to match on');
  const vain = [
    ['zoe:hello', {}, 'ERR_UNKNOWN_NODE', 'no such villager'],
    ['ben:sing', {}, 'ERR_NO_LISTENER', 'ben is deaf to that'],
    ['ben:sulk', { timeout: 150 }, 'ERR_TIMEOUT', 'given 150 ms'],
    ['ben:sulk', { abortAfter: 100 }, 'ABORT_ERR', 'aborted after 100 ms'],
  ];
  for (const [target, options, expected, why] of vain) {
    const { code, ms } = await ada.do('askInVain', target, options);
    assert.equal(code, expected);
    line(`ada → ${target.padEnd(10)} ${code.padEnd(17)} ${why}`, duration(ms));
  }
}

async function blockTheHost({ bridge, ada }) {
  scene('Block the host: the bus does not care');
  const blocked = bridge.do('block', 2_000);
  await bridge.told('blocking');
  line('bridge computes for 2 s; its event loop stands still');

  const { times, from, until } = await ada.do('chat', 'cleo:double', 1_000);
  const block = await blocked;
  assert.ok(block.from <= from && until <= block.until, 'the host was not blocked all the time');
  const slowest = percentile(times, 1);
  assert.ok(slowest < 1_000, `a reply took ${duration(slowest)}: the blocked host held it up`);
  line(`ada ⇄ cleo   ${number(times.length)} round trips meanwhile`, spread(times));
  summarize('while the host is blocked', times);
}

async function dieWithoutAWord(village) {
  const { url, bridge, ada, ben, cleo } = village;
  scene('Kill one, and see what the others see');
  await tally(ben); // its figures would die with it
  const inVain = cleo.do('askInVain', 'ben:ponder');
  await ben.told('pondering');
  line('cleo → ben   ponder()');

  const start = performance.now();
  const since = () => duration(performance.now() - start);
  ben.kill();
  line('ben is killed with SIGKILL', `pid ${ben.pid}`);
  const { signal } = await ben.exited;
  assert.equal(signal, 'SIGKILL');

  const [{ code }, toBridge, toAda] = await Promise.all([inVain, bridge.told('node:leave'), ada.told('node:leave')]);
  assert.deepEqual([code, toBridge.id, toAda], ['ERR_NODE_LEFT', 'ben', 'ben']);
  line(`cleo's question fails with ${code}`, since());
  line(`bridge and ada get 'node:leave': ben (${toBridge.reason})`, since());

  const successor = enter('villager.js', 'ben', url);
  await successor.do('join');
  assert.equal((await cleo.do('ask', 'ben:double', 4)).value, 8);
  line('a new ben joins and answers cleo', `pid ${successor.pid}`);
  village.ben = successor;
}

async function sayGoodNight({ url: _, bridge, ...villagers }) {
  scene('Close the bus');
  const all = Object.values(villagers);
  for (const villager of all) await tally(villager);
  const farewells = Promise.all(all.map((villager) => villager.told('close')));
  await bridge.do('close', 'good night');
  for (const farewell of await farewells) assert.deepEqual(farewell, ['good night']);
  line("bridge closes; all five get 'close': good night");

  const ends = await Promise.all([bridge, ...all].map(({ exited }) => exited));
  assert.deepEqual(new Set(ends.map(({ code }) => code)), new Set([0]));
  line('nothing holds the processes any longer: all six exit by themselves');
}

function enter(script, id, ...args) {
  const actor = new Actor(script, id, ...args);
  actors.push(actor);
  return actor;
}

async function tally(villager) {
  messages += await villager.do('tally');
}

function summarize(what, times) {
  summary.push([what, number(times.length), ...[0.5, 0.99, 1].map((share) => duration(percentile(times, share)))]);
}

function showSummary(start) {
  title('In figures');
  const rows = [['', 'round trips', 'p50', 'p99', 'slowest'], ...summary];
  table(rows.map(([what, ...cells]) => what.padEnd(26) + cells.map((cell) => cell.padStart(13)).join('')));
  success(`${number(messages)} messages and replies, none lost, in ${duration(performance.now() - start)}.`);
}

async function main() {
  const start = performance.now();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'busybody-'));
  try {
    await Promise.race([play(directory), curtain()]);
    showSummary(start);
  } catch (error) {
    failure(error.stack);
    process.exitCode = 1;
  } finally {
    for (const actor of actors) actor.kill();
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

// What ends the play early.
function curtain() {
  return new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`not done after ${duration(DEADLINE)}`)), DEADLINE).unref();
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => reject(new Error(signal)));
    process.stdout.on('error', reject); // nobody is reading any longer
  });
}

main();
