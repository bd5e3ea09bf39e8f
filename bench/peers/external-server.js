'use strict';

// For the peers whose hub is a program to install: find it, run it, wait until it says that it listens.

const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');

/** Debian puts servers into sbin, which is not on every user's PATH. */
const SYSTEM_DIRECTORIES = ['/usr/local/sbin', '/usr/sbin', '/usr/local/bin', '/usr/bin'];

/** Full path of `program`, or null. */
function find(program) {
  const directories = [...(process.env.PATH ?? '').split(path.delimiter), ...SYSTEM_DIRECTORIES];
  return directories.filter(Boolean).map((directory) => path.join(directory, program)).find(isExecutable) ?? null;
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/**
 * Runs `program` in this process's group (which the bench kills as a whole) until its output matches `ready`.
 * Resolves to { pid, match }.
 */
function start(program, args, ready) {
  return new Promise((resolve, reject) => {
    const server = spawn(find(program), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const listen = (text) => {
      said += text;
      const match = ready.exec(said);
      if (!match) return;
      // Go on reading: a server blocked on a full pipe would be a strange contestant.
      for (const stream of [server.stdout, server.stderr]) stream.off('data', listen).resume();
      resolve({ pid: server.pid, match });
    };
    server.stdout.setEncoding('utf8').on('data', listen);
    server.stderr.setEncoding('utf8').on('data', listen);
    server.once('error', reject);
    server.once('exit', (code) => reject(new Error(`${program} ended with code ${code}: ${said.trim().slice(-300)}`)));
  });
}

module.exports = { find, start };
