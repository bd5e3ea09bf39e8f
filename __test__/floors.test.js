'use strict';

// The house keeps its walls: each file stands on a floor and imports only from floors below, or from its own room; within a
// room nothing imports round. docs/ARCHITECTURE.md draws what is listed here.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { circles, javascript, rust } = require('./support/imports.js');

/** Rust, from the ground up. A room is a file or a folder; the longest name that fits a file is its room. */
const RUST = [
  ['src/error.rs'],
  ['src/address.rs', 'src/wire', 'src/blame.rs', 'src/outqueue.rs', 'src/pool.rs', 'src/senders.rs'],
  ['src/bridge', 'src/node'],
  ['src/transport', 'src/lane'],
  ['src/bridge/server.rs', 'src/node/link_task.rs', 'src/node/link_uv.rs'],
  ['src/binding'],
  ['src/lib.rs'],
];

/** JavaScript, from the ground up. */
const JAVASCRIPT = [
  ['lib/errors.js', 'lib/time.js', 'lib/platform.js', 'lib/native-abi.js', 'lib/inspect.js'],
  ['lib/guard.js', 'native.cjs'],
  ['lib/values', 'lib/options'],
  ['lib/values.js', 'lib/options.js', 'lib/address.js'],
  ['lib'],
  ['lib/bridge.js'],
  ['lib/node.js'],
  ['index.js'],
  ['bin', 'bench', 'examples'],
  ['.ci'],
];

/**
 * Circles that still stand, each as all its files: the bridge's brain before it is cut into machines. A circle that grows, a
 * new one, and one that has shrunk without being noted here fail alike.
 */
const STANDING = [
  [
    'arrivals', 'collecting', 'deferred', 'grace', 'host', 'interests', 'legacy', 'link', 'member', 'membership', 'owing', 'own',
    'registry', 'rejections', 'relay', 'router', 'routing', 'runs', 'settling',
  ].map((name) => `src/bridge/${name}.rs`),
];

/** Compiled for tests only: what they import is their own affair. */
const isRustTest = (file) => /^src\/sim|tests?\b|\/probe\.rs$|\/scratch\.rs$/.test(file);

/** The floor and the room of a file; `undefined` where no room has it. */
function placeOf(file, floors) {
  const rooms = floors.flatMap((names, floor) => names.map((room) => ({ floor, room })));
  const fits = rooms.filter(({ room }) => file === room || file.startsWith(`${room}/`));
  return fits.sort((a, b) => b.room.length - a.room.length)[0];
}

/** What is wrong with the imports of `graph`, in words. */
function faults(graph, floors) {
  const found = [];
  for (const [file, imported] of graph) {
    const place = placeOf(file, floors);
    if (place === undefined) found.push(`${file} is in no room: list it here and in docs/ARCHITECTURE.md`);
    for (const other of place === undefined ? [] : imported) {
      const below = placeOf(other, floors);
      const allowed = below !== undefined && (below.floor < place.floor || below.room === place.room);
      if (!allowed) found.push(`${file} (${place.room}, floor ${place.floor}) imports ${other}, which is not below it`);
    }
  }
  return found;
}

test('Rust imports go down the floors only', () => {
  const graph = rust('src', isRustTest);
  assert.ok(graph.get('src/bridge/router.rs').includes('src/wire/frame.rs'), 'imports are read');
  assert.deepEqual(faults(graph, RUST), []);
});

test('JavaScript imports go down the floors only', () => {
  const graph = javascript('index.js', 'native.cjs', 'lib', 'bin', 'bench', 'examples', '.ci');
  assert.ok(graph.get('lib/node.js').includes('native.cjs'), 'imports are read');
  assert.deepEqual(faults(graph, JAVASCRIPT), []);
});

test('the drawing of the house has all its rooms', () => {
  const page = fs.readFileSync(path.join(__dirname, '..', 'docs', 'ARCHITECTURE.md'), 'utf8');
  const section = page.slice(page.indexOf('### The floors'), page.indexOf('## The parts'));
  const rooms = [...RUST, ...JAVASCRIPT].flat();
  assert.deepEqual(rooms.filter((room) => !section.includes(`\`${room}\``) && !section.includes(`\`${room}/\``)), []);
});

test('every file of the two brains has its line', () => {
  const page = fs.readFileSync(path.join(__dirname, '..', 'docs', 'ARCHITECTURE.md'), 'utf8');
  const files = [...rust('src', isRustTest).keys()];
  for (const [room, title] of [['bridge', '### The bridge'], ['node', '### The node']]) {
    const [, section] = page.split(title);
    const lines = section.slice(0, section.search(/^##/m));
    const own = files.filter((file) => path.dirname(file) === `src/${room}` && !file.endsWith('/mod.rs'));
    assert.deepEqual(own.filter((file) => !lines.includes(`\`${path.basename(file)}\``)), []);
  }
});

test('nothing imports round, but for the circles that are known to stand', () => {
  assert.deepEqual(circles(rust('src', isRustTest)), STANDING);
  assert.deepEqual(circles(javascript('index.js', 'native.cjs', 'lib', 'bin', 'bench', 'examples', '.ci')), []);
});

test('the check sees what it is there for', () => {
  const floors = [['a.rs'], ['b', 'c'], ['d.rs']];
  const sound = new Map([['a.rs', []], ['b/one.rs', ['a.rs', 'b/two.rs']], ['b/two.rs', []], ['d.rs', ['a.rs', 'c/x.rs']], ['c/x.rs', []]]);
  assert.deepEqual(faults(sound, floors), []);
  const wrong = (file, imported) => faults(new Map([...sound, [file, imported]]), floors);
  assert.match(wrong('a.rs', ['d.rs'])[0], /^a\.rs .*imports d\.rs/); // up
  assert.match(wrong('b/two.rs', ['c/x.rs'])[0], /^b\/two\.rs .*imports c\/x\.rs/); // across, into the room beside
  assert.match(wrong('e.rs', [])[0], /^e\.rs is in no room/);
  assert.match(wrong('d.rs', ['e.rs'])[0], /imports e\.rs/);
  assert.deepEqual(circles(new Map([...sound, ['b/two.rs', ['b/one.rs']]])), [['b/one.rs', 'b/two.rs']]);
  assert.deepEqual(circles(new Map([['a', ['b']], ['b', ['c']], ['c', ['a', 'd']], ['d', []]])), [['a', 'b', 'c']]);
});
