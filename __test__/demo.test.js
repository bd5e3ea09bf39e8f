'use strict';

// npm run demo: what a newcomer sees first.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { LIMIT, freshDir } = require('./support/bus');
const { start } = require('./support/program');

const DEMO = path.join(__dirname, '..', 'examples', 'demo.js');
// eslint-disable-next-line no-control-regex -- escape sequences are the point
const ANSI = /\x1b\[/;

/** The demo with a temporary directory of its own, and nothing said about colours but by `env`. */
function demo(t, env = {}) {
  const dir = freshDir(t);
  const { NO_COLOR: _no, FORCE_COLOR: _force, ...inherited } = process.env;
  // env(1) because start() adds to the environment but cannot take away.
  const program = start(t, 'env', ['-i', ...Object.entries({ ...inherited, TMPDIR: dir, ...env }).map((pair) => pair.join('=')), process.execPath, DEMO]);
  return Object.assign(program, { dir });
}

test('it tells the whole story within 20 seconds, without escape sequences when piped, and cleans up', LIMIT, async (t) => {
  const started = Date.now();
  const program = demo(t);
  const { code, stdout, stderr } = await program.ended;
  assert.deepEqual([code, stderr], [0, ''], stdout);
  assert.ok(Date.now() - started < 20_000);
  assert.doesNotMatch(stdout, ANSI);
  for (const word of [
    'listens on unix:', 'double(21)', '42', 'p50', 'p99', 'census()', 'sha256',
    'ERR_UNKNOWN_NODE', 'ERR_NO_LISTENER', 'ERR_TIMEOUT', 'ABORT_ERR', 'ERR_NODE_LEFT', 'node:leave', 'good night', '✓',
  ]) {
    assert.ok(stdout.includes(word), `"${word}" is missing:\n${stdout}`);
  }
  assert.deepEqual(fs.readdirSync(program.dir), []);
});

for (const [env, colored] of [
  [{ FORCE_COLOR: '1' }, true],
  [{ FORCE_COLOR: '0' }, false],
  [{ FORCE_COLOR: '1', NO_COLOR: '1' }, false],
]) {
  test(`colours with ${JSON.stringify(env)}: ${colored ? 'yes' : 'no'}`, LIMIT, async (t) => {
    const program = demo(t, env);
    await program.wrote(/Six processes meet/);
    assert.equal(ANSI.test(program.stdout), colored);
    await program.interrupt();
  });
}

test('interrupted, it fails, says so, and leaves nothing behind', LIMIT, async (t) => {
  const program = demo(t);
  await program.wrote(/eve joins/);
  const { code, stdout } = await program.interrupt('SIGTERM');
  assert.equal(code, 1);
  assert.match(stdout, /✗ .*SIGTERM/);
  assert.deepEqual(fs.readdirSync(program.dir), []);
});
