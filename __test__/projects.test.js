'use strict';

// Projects of people who use busybody, each with its own test runner or compiler: the package is installed into them
// as it would be published, and their `npm test` has to pass and end by itself.

const assert = require('node:assert');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const test = require('node:test');
const { promisify } = require('node:util');
const { blocks } = require('./support/pages');

const run = promisify(execFile);
const root = path.join(__dirname, '..');
const projects = path.join(__dirname, 'projects');

/** Milliseconds, far above what a project needs: a bus that keeps a test runner from ending meets it. */
const LIMIT = 120_000;

const folderOfPackage = fs.mkdtempSync(path.join(os.tmpdir(), 'packed-'));
let packed;

test.after(() => fs.rmSync(folderOfPackage, { recursive: true, force: true }));
test.before(async () => {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folderOfPackage], { cwd: root });
  packed = path.join(folderOfPackage, JSON.parse(stdout)[0].filename);
});

for (const name of fs.readdirSync(projects).sort()) {
  test(`a project with ${name}`, { timeout: 2 * LIMIT }, async (t) => {
    const folder = path.join(projects, name);
    const { installDependencies } = await import('../.ci/dependencies.mjs');
    if (!installDependencies(path.relative(root, folder))) return t.skip(`the dependencies of the project "${name}" are not to be had here`);
    await install(path.join(folder, 'node_modules', 'busybody'));
    const { stdout, stderr } = await run('npm', ['test'], { cwd: folder, timeout: LIMIT, env: environment() });
    assert.doesNotMatch(stdout + stderr, /did not exit|force exited|hanging|open handle/i, 'nothing of ours holds the runner');
  });
}

test('docs/TESTING.md shows what these projects do', () => {
  for (const [language, folder] of [['cjs', 'jest'], ['mjs', 'vitest']]) {
    const shown = blocks('docs/TESTING.md', language);
    const sources = fs.readdirSync(path.join(projects, folder)).filter((file) => file.endsWith('.js'));
    const text = sources.map((file) => fs.readFileSync(path.join(projects, folder, file), 'utf8')).join('');
    assert.ok(shown.length > 0);
    for (const block of shown) assert.ok(text.includes(block.text), `line ${block.line} is not in the project with ${folder}`);
  }
});

/** Unpacks the package where npm would have put it. */
async function install(target) {
  fs.rmSync(target, { recursive: true, force: true });
  fs.mkdirSync(target, { recursive: true });
  await run('tar', ['-xzf', packed, '-C', target, '--strip-components=1']);
}

/** As in a terminal: nothing of the runner that runs this. */
function environment() {
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  return env;
}
