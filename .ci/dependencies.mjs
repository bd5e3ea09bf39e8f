// Installs what a package-lock.json names.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from './step.mjs';

/**
 * Installs a folder's dependencies, unless that has been done since its lock file changed. Install scripts never run.
 * @param {string} folder relative to the repository
 * @returns {boolean} whether the dependencies are there
 */
export function installDependencies(folder) {
  const cwd = join(root, folder);
  if (isInstalled(cwd)) return true;
  // --include=dev: whoever has NODE_ENV=production in the environment still asked for a build or a test.
  return step('npm', ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd,
    title: `npm ci (in ${folder === '.' ? 'the top folder' : folder})`,
  });
}

function isInstalled(cwd) {
  // npm writes this file at the end of an installation.
  const installed = join(cwd, 'node_modules', '.package-lock.json');
  const lock = join(cwd, 'package-lock.json');
  return existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs;
}
