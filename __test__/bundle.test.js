'use strict';

// Programs that are bundled, as for a container or a lambda: the addon comes along, or the error says what to do.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const esbuild = require('esbuild');
const { LIMIT, freshDir } = require('./support/bus');
const { triple } = require('../lib/platform.js');

const ROOT = path.join(__dirname, '..');
const PROGRAM = `
  const { createNode } = require(${JSON.stringify(ROOT)});
  const node = createNode({ path: process.argv[2], bridge: 'auto', id: 'n' });
  node.handle('x', () => 'works');
  node.ready.then(() => node.request('n:x')).then((word) => { console.log(word); return node.leave(); });`;

/** The program, bundled into a directory of its own. */
function bundle(t, options) {
  const dir = freshDir(t);
  fs.writeFileSync(path.join(dir, 'app.js'), PROGRAM);
  const { warnings } = esbuild.buildSync({
    entryPoints: [path.join(dir, 'app.js')], outdir: path.join(dir, 'dist'), bundle: true, platform: 'node', logLevel: 'silent', ...options,
  });
  return { dir, warnings, files: fs.readdirSync(path.join(dir, 'dist')) };
}

/** What it prints. */
function run({ dir }, env) {
  const args = [path.join(dir, 'dist', 'app.js'), path.join(dir, 'bus.sock')];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: dir, encoding: 'utf8', env: { ...process.env, ...env } });
  return stdout + stderr;
}

test('with a loader for .node files the addon comes along, and no other is missed', LIMIT, (t) => {
  const bundled = bundle(t, { loader: { '.node': 'copy' } });
  assert.deepEqual(bundled.warnings, []);
  assert.equal(bundled.files.filter((file) => file.startsWith(`busybody.${triple()}`) && file.endsWith('.node')).length, 1);
  assert.equal(run(bundled, { BUSYBODY_NATIVE: '' }), 'works\n');
});

test('without the addon the error says so, and BUSYBODY_NATIVE helps', LIMIT, (t) => {
  const bundled = bundle(t, { external: ['*.node'] });
  const said = run(bundled, { BUSYBODY_NATIVE: '' });
  assert.match(said, /ERR_NATIVE_ADDON/);
  assert.match(said, /This program is bundled.*loader.*BUSYBODY_NATIVE/);
  assert.doesNotMatch(said, /npm run build|--omit=optional/);
  assert.equal(run(bundled, { BUSYBODY_NATIVE: path.join(ROOT, `busybody.${triple()}.node`) }), 'works\n');
});
