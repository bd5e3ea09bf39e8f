// One external command of a script: announced, run with nothing on stdin, its outcome returned.

import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's top folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Runs a command with its output on ours.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: object, title?: string }} [options] title: what to announce instead of the command line
 * @returns {boolean} whether it ended with exit code 0
 */
export function step(command, args, { cwd = root, env = process.env, title } = {}) {
  console.error(`\n> ${title ?? [command, ...args].join(' ')}`);
  const { status, signal, error } = spawnSync(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error) console.error(explain(command, error));
  else if (signal) console.error(`${command} was ended by ${signal}`);
  return status === 0;
}

/**
 * Why a command could not be started, in words that say what to do.
 * @param {string} command
 * @param {Error & { code?: string }} error as spawn gives it
 */
export function explain(command, error) {
  if (error.code !== 'ENOENT') return `${command} could not be started: ${error.message}`;
  if (command !== 'cargo') return `${command} was not found on the PATH`;
  return 'cargo was not found on the PATH: building busybody from source needs Rust 1.89 or newer (https://rustup.rs)';
}
