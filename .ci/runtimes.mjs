// Where Bun and Deno are on this machine, for the tests that run busybody on them.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { installDependencies } from './dependencies.mjs';
import { root } from './step.mjs';

const folder = join('.ci', 'runtimes');

const packaged = {
  bun: '@oven/bun-linux-x64/bin/bun',
  deno: '@deno/linux-x64-glibc/deno',
};

/** Fetches the binaries; without them (another platform, no network) the tests that need one are skipped by name. */
export function installRuntimes() {
  if (!installDependencies(folder)) console.error('Bun and Deno could not be fetched');
}

/**
 * @param {'bun' | 'deno'} name
 * @returns {string | undefined} a binary that runs here: the pinned one, else the one on the PATH
 */
export function runtimePath(name) {
  return [join(root, folder, 'node_modules', packaged[name]), name].find(runs);
}

function runs(binary) {
  return spawnSync(binary, ['--version'], { stdio: 'ignore' }).status === 0;
}
