'use strict';

// The stress commands, short: what they judge here is correctness and bounds of memory, never time.

const test = require('node:test');
const assert = require('node:assert/strict');
const { chaos } = require('./stress/chaos');
const { crowd } = require('./stress/crowd');
const { flood } = require('./stress/flood');
const { soak } = require('./stress/soak');
const { scoped } = require('./stress/support/scope');

/** A safety net: each takes some seconds. */
const LIMIT = { timeout: 150_000 };
const LINUX = { ...LIMIT, skip: process.platform !== 'linux' && 'memory and descriptors are read from /proc' };

/** Runs it and says what it should not have found. */
async function passes(t, run, options) {
  const result = await scoped((scope) => run({ ...options, progress: (text) => t.diagnostic(text) }, scope));
  const failed = result.judged.filter(({ ok, strict }) => !ok && !strict).map(({ what, said }) => `${what}: ${said}`);
  assert.deepEqual([...failed, ...(result.verdict?.examples ?? [])], []);
}

test('chaos: hosts and nodes are killed, stopped and cut off, and every message arrives once and in order', LIMIT, (t) =>
  passes(t, chaos, { rounds: 12, seed: 20, nodes: 12, rate: 200, processes: 4 }));

test('flood: a receiver that is busy half of its time costs the bridge no memory, and loses nothing', LINUX, (t) =>
  passes(t, flood, { seconds: 2 }));

test('soak: who comes and goes leaves nothing behind', LINUX, (t) => passes(t, soak, { minutes: 0.1 }));

test('crowd: hundreds of nodes join, one broadcast reaches each once, the bridge stays small', LINUX, (t) =>
  passes(t, crowd, { nodes: 600, processes: 2, settle: 0 }));
