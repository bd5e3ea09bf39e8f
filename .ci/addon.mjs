// Builds the Rust core as the addon that native.cjs loads: busybody.<triple>.node in the top folder.

import { spawnSync } from 'node:child_process';
import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { explain, root } from './step.mjs';

const { triple } = createRequire(import.meta.url)('../lib/platform.js');

// Cargo's messages list every artifact of every dependency; Node's default of 1 MiB is soon too little for them.
const CARGO_OUTPUT_LIMIT = 64 * 1024 * 1024;

/** @returns {boolean} whether the addon in the top folder is the one of the sources as they are */
export function buildAddon() {
  const library = buildLibrary();
  if (library) install(library, join(root, `busybody.${triple()}.node`));
  return library !== undefined;
}

/** The path of the built library as cargo reports it: the target folder may be anywhere. */
function buildLibrary() {
  const { status, stdout, error } = spawnSync(
    'cargo',
    ['build', '--release', '--message-format=json-render-diagnostics'],
    { cwd: root, encoding: 'utf8', maxBuffer: CARGO_OUTPUT_LIMIT, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (error) console.error(explain('cargo', error));
  if (status !== 0) return undefined;
  const files = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line)).flatMap(libraryFiles);
  if (files.length === 0) console.error('cargo built no shared library: is crate-type = ["cdylib"] still in Cargo.toml?');
  return files[0];
}

function libraryFiles({ reason, target, filenames }) {
  const ours = reason === 'compiler-artifact' && target.name === 'busybody' && target.kind.includes('cdylib');
  return ours ? filenames.filter((file) => /\.(so|dylib|dll)$/.test(file)) : [];
}

/** Copy and rename: a process that has the old addon mapped keeps the old file, none ever sees half of a new one. */
function install(library, addon) {
  const fresh = `${addon}.${process.pid}.tmp`;
  try {
    copyFileSync(library, fresh);
    renameSync(fresh, addon);
  } finally {
    rmSync(fresh, { force: true });
  }
}
