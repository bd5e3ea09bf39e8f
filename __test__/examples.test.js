'use strict';

// Every example runs, and shows what it says it shows.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { LIMIT, freshDir } = require('./support/bus');
const { start } = require('./support/program');

const EXAMPLES = path.join(__dirname, '..', 'examples');
const CLI = path.join(__dirname, '..', 'bin', 'busybody.js');
const hasPython = spawnSync('python3', ['--version']).status === 0;

// The examples that need nobody else: what they print, line by line.
const ALONE = {
  'requests.js': ['bread: 3', 'pie: SOLD_OUT no pie today', 'order: 2 cake for customer'],
  'broadcast.js': [
    'farmer hears from station: 12 mm of rain',
    'sailor hears: storm, force 9',
    'farmer: the bus is closed, "end of the forecast"',
  ],
  'rpc.js': ["{ value: 1, for: 'printer' }", "{ value: 2, for: 'till' }", 'ERR_NO_METHOD'],
  'binary.js': ['sunset.raw: 8388608 bytes, a Buffer and a Float32Array', 'stored byte for byte', 'sea and sun'],
  'workers.js': [
    /^worker0 \(thread \d+\) found 5133 primes$/,
    /^worker1 \(thread \d+\) found 4459 primes$/,
    /^worker2 \(thread \d+\) found 4256 primes$/,
    '13848 primes below 150000',
  ],
  'deadlines.js': [
    'own deadline: ERR_TIMEOUT',
    'shorter: ERR_TIMEOUT',
    'given up: ABORT_ERR',
    'nobody there: ERR_UNKNOWN_NODE',
    'not listened for: ERR_NO_LISTENER',
    'it left: ERR_NODE_LEFT',
  ],
  'presence.js': [
    'bridge: doorman joined from this process',
    'bridge: guest joined from this process',
    'doorman: welcome, guest',
    'here now: doorman, guest',
    'impostor: ERR_DUPLICATE_NODE',
    'doorman: goodbye, guest',
  ],
  'modules.mjs': ['12:30', 'wake up', 'tick 1', 'tick 2', 'tick 3'],
};

const TOGETHER = ['hello/ada.js', 'hello/ben.js', 'legacy/client.js', 'legacy/client.py', 'raw-client.js'];
const THE_DEMO = /^demo(\.js$|\/)/; // demo.test.js

for (const [file, expected] of Object.entries(ALONE)) {
  test(`examples/${file}`, LIMIT, async (t) => {
    const { code, stdout, stderr } = await example(t, file, path.join(freshDir(t), 'bus.sock')).ended;
    assert.deepEqual([code, stderr], [0, '']);
    sameLines(stdout, expected);
  });
}

test('examples/hello: ada asks ben', LIMIT, async (t) => {
  const { socket, ben } = await hello(t);
  const ada = await example(t, 'hello/ada.js', socket).ended;
  assert.deepEqual([ada.code, ada.stderr, ada.stdout], [0, '', `Hello Ada, this is process ${ben.process.pid}.\n`]);
});

test('examples/legacy/client.js asks ben without the package', LIMIT, async (t) => {
  const { socket } = await hello(t);
  const { code, stdout, stderr } = await example(t, 'legacy/client.js', socket).ended;
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^Hello old friend, this is process \d+\.\n$/);
});

test('examples/legacy/client.py asks ben and answers the command line', { ...LIMIT, skip: !hasPython && 'python3 is not to be had here' }, async (t) => {
  const { socket } = await hello(t);
  const python = start(t, 'python3', [path.join(EXAMPLES, 'legacy/client.py'), socket]);
  await python.wrote(/waiting for python:add/);
  const asked = await start(t, process.execPath, [CLI, 'publish', 'python:add', '1', '2', '--address', socket]).ended;
  assert.equal(asked.stdout, '3\n');
  const { code, stdout, stderr } = await python.ended;
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^Hello Python, this is process \d+\.\n/);
});

test('examples/raw-client.js speaks the binary wire without the package: asks ben, answers the command line', LIMIT, async (t) => {
  const { socket } = await hello(t);
  const raw = example(t, 'raw-client.js', socket);
  await raw.wrote(/waiting for raw:add/);
  const publish = (...words) => start(t, process.execPath, [CLI, 'publish', ...words, '--address', socket]).ended;
  assert.match((await publish('raw:subtract', '1', '2')).stderr, /ERR_NO_LISTENER/);
  assert.equal((await publish('raw:add', '1', '2')).stdout, '3\n');
  const { code, stdout, stderr } = await raw.ended;
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^Hello raw socket, this is process \d+\.\n/);
});

test('every example is run by these tests', () => {
  const files = fs.readdirSync(EXAMPLES, { recursive: true })
    .filter((file) => /\.(js|mjs|py|ts)$/.test(file) && !THE_DEMO.test(file));
  assert.deepEqual(files.sort(), [...Object.keys(ALONE), ...TOGETHER].sort());
});

function example(t, file, socket) {
  return start(t, process.execPath, [path.join(EXAMPLES, file), socket]);
}

async function hello(t) {
  const socket = path.join(freshDir(t), 'bus.sock');
  const ben = example(t, 'hello/ben.js', socket);
  await ben.wrote(/ben is here/);
  return { socket, ben };
}

// Each speaker (a line's first word) in order; who of two is heard first is up to the scheduler.
function sameLines(text, expected) {
  const lines = bySpeaker(text.trimEnd().split('\n'));
  const patterns = bySpeaker(expected);
  assert.equal(lines.length, patterns.length, text);
  lines.forEach((line, i) => {
    if (patterns[i] instanceof RegExp) assert.match(line, patterns[i]);
    else assert.equal(line, patterns[i]);
  });
}

function bySpeaker(lines) {
  const speaker = (line) => /\w*/.exec(String(line).replace(/^\/\^/, ''))[0];
  return lines.toSorted((a, b) => speaker(a).localeCompare(speaker(b)));
}
