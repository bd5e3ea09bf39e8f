'use strict';

// The loader of the addon: what it says when there is nothing to load, and that every environment can load it again.

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { Worker } = require('node:worker_threads');
const { triple } = require('../lib/platform.js');

const loader = path.join(__dirname, '..', 'native.cjs');

/** What a copy of the loader without an addon says, with these files beside it. */
function failureBeside(t, files) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'busybody-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  fs.mkdirSync(path.join(folder, 'lib'));
  fs.copyFileSync(loader, path.join(folder, 'native.cjs'));
  fs.copyFileSync(path.join(__dirname, '..', 'lib', 'platform.js'), path.join(folder, 'lib', 'platform.js'));
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
  try {
    require(path.join(folder, 'native.cjs'));
  } catch (err) {
    assert.strictEqual(err.code, 'ERR_NATIVE_ADDON');
    return err.message;
  }
  return assert.fail('it has found an addon');
}

test('without an addon the error says what was tried and what to do', (t) => {
  const message = failureBeside(t, {});
  assert.match(message, new RegExp(`busybody\\.${triple()}\\.node: not there`));
  assert.match(message, new RegExp(`busybody-${triple()}: not there`));
  assert.match(message, /npm run build/);
});

test('what it says to do fits what happened', (t) => {
  const manifest = (optionalDependencies) => JSON.stringify({ name: 'busybody', optionalDependencies });
  const clone = failureBeside(t, { 'package.json': manifest({}), 'Cargo.toml': '' });
  assert.match(clone, /In a clone of the repository: npm run build/);
  assert.doesNotMatch(clone, /optional dependency|omit/);
  const none = failureBeside(t, { 'package.json': manifest({ 'busybody-other-arch': '1.0.0' }) });
  assert.match(none, new RegExp(`has no optional dependency for ${triple()}: installing again does not help`));
  assert.doesNotMatch(none, /omit=optional/);
  const left = failureBeside(t, { 'package.json': manifest({ [`busybody-${triple()}`]: '1.0.0' }) });
  assert.match(left, new RegExp(`busybody-${triple()} is not installed: install again without --omit=optional`));
  assert.doesNotMatch(left, /npm run build/);
  const broken = failureBeside(t, { [`busybody.${triple()}.node`]: 'no library' });
  assert.match(broken, new RegExp(`busybody\\.${triple()}\\.node is there but does not load`));
});

test('an override that does not load is an error, not a fallback', (t) => {
  t.after(() => delete process.env.BUSYBODY_NATIVE);
  process.env.BUSYBODY_NATIVE = __filename.replace(/\.js$/, '.node');
  delete require.cache[loader];
  assert.throws(() => require(loader), { code: 'ERR_NATIVE_ADDON', message: /native\.test\.node: not there/ });
});

test('an environment can load the addon more than once, and so can the next worker', async () => {
  const source = `
    for (let i = 0; i < 3; i++) {
      delete require.cache[${JSON.stringify(loader)}];
      require(${JSON.stringify(loader)});
    }`;
  for (let i = 0; i < 3; i++) {
    const [code] = await once(new Worker(source, { eval: true }), 'exit');
    assert.strictEqual(code, 0);
  }
});

test('linux names its C library', { skip: process.platform !== 'linux' }, () => {
  const { glibcVersionRuntime } = process.report.getReport().header;
  assert.match(triple(), glibcVersionRuntime ? /-gnu/ : /-musl/);
});
