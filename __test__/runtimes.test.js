'use strict';

// The same program on every runtime we promise, under each driver that it can have.

const assert = require('node:assert');
const { execFile } = require('node:child_process');
const path = require('node:path');
const test = require('node:test');
const { promisify } = require('node:util');

const smoke = path.join(__dirname, 'fixtures', 'smoke.cjs');

// Far above what it needs: only a program that does not end by itself meets it.
const TIMEOUT = 60_000;

const runtimes = [
  { name: 'node', drivers: ['loop', 'task'], args: [] },
  { name: 'deno', drivers: ['loop', 'task'], args: ['run', '--allow-all', '--quiet'] },
  // Bun ends the process when libuv's poll is called: there is no JS-loop driver.
  { name: 'bun', drivers: ['task'], args: [] },
];

for (const { name, drivers, args } of runtimes) {
  for (const driver of [undefined, ...drivers]) {
    test(`a conversation on ${name}, driver: ${driver ?? 'the default'}`, async (t) => {
      const binary = await find(name);
      if (!binary) return t.skip(`${name} is not to be had here`);
      const { BUSYBODY_DRIVER: _, ...env } = process.env;
      if (driver) env.BUSYBODY_DRIVER = driver;
      const { stdout } = await promisify(execFile)(binary, [...args, smoke], { env, timeout: TIMEOUT });
      assert.strictEqual(stdout.trim(), 'OK');
    });
  }
}

async function find(name) {
  if (name === 'node') return process.execPath;
  const { runtimePath } = await import('../.ci/runtimes.mjs');
  return runtimePath(name);
}
