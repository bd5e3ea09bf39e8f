'use strict';

// Which Node.js the measured processes run on: the bench's own, the newest that is installed beside it, or any binary.

const path = require('node:path');
const { execFileSync } = require('node:child_process');

const runtime = { execPath: process.execPath, version: process.versions.node };

/** `name`: 'newest', or the path of a node binary. Throws with a reason if it does not run. */
function useRuntime(name) {
  const execPath = name === 'newest' ? newest() : path.resolve(name);
  runtime.version = execFileSync(execPath, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();
  runtime.execPath = execPath;
}

function newest() {
  try {
    return path.join(path.dirname(require.resolve(`node-${process.platform}-${process.arch}/package.json`)), 'bin', 'node');
  } catch (cause) {
    throw new Error(`no newer Node.js beside the bench for ${process.platform} ${process.arch}; --node takes the path of one, too`, { cause });
  }
}

module.exports = { runtime, useRuntime };
