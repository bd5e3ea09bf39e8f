'use strict';

// Worker threads are nodes like any other: the same code shares work among threads or processes.

const { once } = require('node:events');
const { Worker, isMainThread, parentPort, threadId, workerData } = require('node:worker_threads');
const { createBridge, createNode } = require('busybody');

const RANGE = 50_000;
const WORKERS = 3;

if (isMainThread) main(process.argv[2] ?? '/tmp/busybody-example.sock');
else work(workerData);

async function main(path) {
  const bridge = createBridge({ path });
  await bridge.ready;
  const threads = Array.from({ length: WORKERS }, (_, i) => new Worker(__filename, { workerData: { path, id: `worker${i}` } }));
  const ended = Promise.all(threads.map((thread) => once(thread, 'exit')));
  await Promise.all(threads.map((thread) => once(thread, 'message')));

  const boss = createNode({ path, id: 'boss' });
  const shares = await Promise.all(threads.map((_, i) => boss.request(`worker${i}:count`, i * RANGE, (i + 1) * RANGE)));
  for (const { primes, by } of shares) console.log(`${by} found ${primes} primes`);
  console.log(`${shares.reduce((sum, { primes }) => sum + primes, 0)} primes below ${WORKERS * RANGE}`);

  // Nothing else holds the threads: when the bus closes, they end.
  await bridge.close();
  await ended;
}

function work({ path, id }) {
  const node = createNode({ path, id });
  node.handle('count', (from, to) => ({ primes: countPrimes(from, to), by: `${id} (thread ${threadId})` }));
  node.ready.then(() => parentPort.postMessage('ready'));
}

function countPrimes(from, to) {
  let primes = 0;
  for (let n = Math.max(2, from); n < to; n++) if (isPrime(n)) primes += 1;
  return primes;
}

function isPrime(n) {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false;
  return true;
}
