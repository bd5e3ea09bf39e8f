'use strict';

// Loads the native addon: what BUSYBODY_NATIVE names, else the one built beside this file, else the platform's package.
//
// Each file is named literally, in a `try` of its own: that is how bundlers find the addon of the platform they bundle for,
// and how they know that the others may be missing.

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { triple } = require('./lib/platform.js');

const platform = triple();
const attempts = [];

module.exports = load();

function load() {
  // An override that does not load is an error: falling back would run other code than was asked for.
  const addon = process.env.BUSYBODY_NATIVE ? loadFrom(path.resolve(process.env.BUSYBODY_NATIVE)) : find();
  if (addon === undefined) throw failure();
  return addon;
}

function find() {
  return isSingleExecutable() ? loadBeside(process.execPath) : loadPlatform() ?? loadUnlisted();
}

function loadPlatform() {
  switch (platform) {
    case 'linux-x64-gnu':
      try { return require('./busybody.linux-x64-gnu.node'); } catch (error) { note('./busybody.linux-x64-gnu.node', error); }
      try { return require('busybody-linux-x64-gnu'); } catch (error) { note('busybody-linux-x64-gnu', error); }
      break;
    case 'linux-x64-musl':
      try { return require('./busybody.linux-x64-musl.node'); } catch (error) { note('./busybody.linux-x64-musl.node', error); }
      try { return require('busybody-linux-x64-musl'); } catch (error) { note('busybody-linux-x64-musl', error); }
      break;
    case 'linux-arm64-gnu':
      try { return require('./busybody.linux-arm64-gnu.node'); } catch (error) { note('./busybody.linux-arm64-gnu.node', error); }
      try { return require('busybody-linux-arm64-gnu'); } catch (error) { note('busybody-linux-arm64-gnu', error); }
      break;
    case 'linux-arm64-musl':
      try { return require('./busybody.linux-arm64-musl.node'); } catch (error) { note('./busybody.linux-arm64-musl.node', error); }
      try { return require('busybody-linux-arm64-musl'); } catch (error) { note('busybody-linux-arm64-musl', error); }
      break;
    case 'darwin-x64':
      try { return require('./busybody.darwin-x64.node'); } catch (error) { note('./busybody.darwin-x64.node', error); }
      try { return require('busybody-darwin-x64'); } catch (error) { note('busybody-darwin-x64', error); }
      break;
    case 'darwin-arm64':
      try { return require('./busybody.darwin-arm64.node'); } catch (error) { note('./busybody.darwin-arm64.node', error); }
      try { return require('busybody-darwin-arm64'); } catch (error) { note('busybody-darwin-arm64', error); }
      break;
  }
  return undefined;
}

/** On a platform without a package: one that was built here. */
function loadUnlisted() {
  return attempts.length > 0 ? undefined : loadFrom(path.join(__dirname, `busybody.${platform}.node`));
}

/** A single executable can require nothing that was bundled. Beside it lies the addon, with a hash in its name as bundlers give it or without. */
function loadBeside(program) {
  const folder = path.dirname(program);
  const name = `busybody.${platform}`;
  const found = fs.readdirSync(folder).filter((file) => file.startsWith(name) && /^(-\w+)?\.node$/.test(file.slice(name.length)));
  return loadFrom(path.join(folder, found[0] ?? `${name}.node`));
}

/** By a `require` of our own: that of a bundle knows only what was bundled. */
function loadFrom(file) {
  try {
    return createRequire(file)(file);
  } catch (error) {
    note(file, error);
    return undefined;
  }
}

function isSingleExecutable() {
  try {
    return require('node:sea').isSea();
  } catch {
    return false; // Node.js 20.0 to 20.11, and others
  }
}

function note(file, error) {
  // Relative to this file, which may be a bundle.
  attempts.push({ file: file.startsWith('./') ? path.join(__dirname, file) : file, error });
}

function failure() {
  const error = new Error([
    `busybody found no native addon that loads on ${platform} (${runtime()}). Tried:`,
    ...attempts.map(({ file, error: cause }) => `  ${file}: ${reason(cause)}`),
    advice(),
  ].join('\n'));
  error.code = 'ERR_NATIVE_ADDON';
  error.cause = attempts[0].error;
  return error;
}

/** What helps depends on how this file came here. */
function advice() {
  if (process.env.BUSYBODY_NATIVE) return 'BUSYBODY_NATIVE names that file: correct it, or unset it to load the one that came with the package.';
  const there = attempts.find(({ error }) => !isMissing(error));
  if (there !== undefined) {
    return `${there.file} is there but does not load: it was built for another system, for example one with a newer C library.`;
  }
  if (isSingleExecutable()) return `Put busybody.${platform}.node beside the executable, or name it with BUSYBODY_NATIVE.`;
  if (path.basename(__filename) !== 'native.cjs') {
    return 'This program is bundled, and the bundle has no addon. Bundle again with a loader for .node files '
      + "(esbuild: loader { '.node': 'copy' }; webpack: node-loader), leave busybody out of the bundle (external), "
      + 'or name the addon with BUSYBODY_NATIVE.';
  }
  const { optionalDependencies } = ownPackage();
  const built = 'In a clone of the repository: npm run build (needs Rust). BUSYBODY_NATIVE=<path> names an addon built elsewhere.';
  if (fs.existsSync(path.join(__dirname, 'Cargo.toml'))) return built;
  if (optionalDependencies?.[`busybody-${platform}`] === undefined) {
    return `This version of busybody has no optional dependency for ${platform}: installing again does not help. ${built}`;
  }
  return `The optional dependency busybody-${platform} is not installed: install again without --omit=optional, `
    + 'on this platform, and without a node_modules from another. BUSYBODY_NATIVE=<path> names an addon built elsewhere.';
}

/** The package.json beside this file. */
function ownPackage() {
  try {
    return JSON.parse(fs.readFileSync(path.join(__dirname, 'package.json'), 'utf8'));
  } catch {
    return {};
  }
}

function reason(error) {
  // The first line is for people; what follows is the stack of our own requires.
  return isMissing(error) ? 'not there' : String(error.message).split('\n')[0];
}

function isMissing({ code }) {
  return code === 'MODULE_NOT_FOUND';
}

function runtime() {
  const name = ['bun', 'deno'].find((other) => process.versions[other]) ?? 'node';
  return `${name} ${process.versions[name]}`;
}
