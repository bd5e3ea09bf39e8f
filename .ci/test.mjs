// Every test there is: the core in Rust, then the JavaScript suite under each driver of a node's link.
// All parts run even if one fails; the last lines are the summary of node's test runner.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { installRuntimes } from './runtimes.mjs';
import { root, step } from './step.mjs';

// For one file of tests: far above what any needs, so that only a test that hangs meets it.
const FILE_TIMEOUT = 180_000;

// Those of the projects are run by these projects' own runners, from projects.test.js.
const projects = `projects${sep}`;
const tests = readdirSync(join(root, '__test__'), { recursive: true })
  .filter((file) => file.endsWith('.test.js') && !file.startsWith(projects))
  .map((file) => join('__test__', file))
  .sort();

/** @param {string} title @param {string[]} files @param {object} driver what the environment says about the driver */
function suite(title, files, driver) {
  // Default addresses end up in a folder of our own: tests never meet the bus of whoever runs them.
  const runtimeDir = mkdtempSync(join(tmpdir(), 'busybody-'));
  const { BUSYBODY_DRIVER: _, ...env } = process.env;
  try {
    return step(process.execPath, ['--test', '--test-reporter=spec', `--test-timeout=${FILE_TIMEOUT}`, ...files], {
      env: { ...env, XDG_RUNTIME_DIR: runtimeDir, ...driver },
      title: `the JavaScript tests, ${title}`,
    });
  } finally {
    rmSync(runtimeDir, { recursive: true, force: true });
  }
}

// The tests of Bun and Deno choose their drivers themselves, and the projects of users none: once is enough.
const underEachDriver = tests.filter((file) => !/(runtimes|projects)\.test\.js$/.test(file));

installRuntimes();
const failed = [
  // Without the binding: a test binary has no Node.js to take N-API's symbols from, and the core must not need any.
  step('cargo', ['test', '--no-default-features']) || 'the Rust tests',
  suite('driver: task', underEachDriver, { BUSYBODY_DRIVER: 'task' }) || 'the JavaScript tests, driver: task',
  suite('driver: the default', tests, {}) || 'the JavaScript tests, driver: the default',
].filter((outcome) => outcome !== true);

if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join('; ')}`);
  process.exitCode = 1;
}
