'use strict';

// The platform's name in the file names of native addons, as the napi tools write it.

const fs = require('node:fs');

/** For example linux-x64-gnu, linux-arm64-musl, darwin-arm64. */
function triple() {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') return name;
  const abi = usesMusl() ? 'musl' : 'gnu';
  return process.arch === 'arm' ? `${name}-${abi}eabihf` : `${name}-${abi}`;
}

// A program's ELF header names the loader that started it, and that tells the C library: no process has to be
// started and no report collected to find out.
const ELF_HEADERS = 4096;

function usesMusl() {
  const headers = Buffer.alloc(ELF_HEADERS);
  try {
    const program = fs.openSync(process.execPath, 'r');
    try {
      fs.readSync(program, headers, 0, ELF_HEADERS, 0);
    } finally {
      fs.closeSync(program);
    }
  } catch {
    // An unreadable program: glibc is the better guess.
  }
  return headers.includes('/ld-musl-');
}

module.exports = { triple };
