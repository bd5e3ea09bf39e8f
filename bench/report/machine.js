'use strict';

// What a reader needs to judge the figures, and nothing that tells whose machine it was.

const os = require('node:os');
const { runtime } = require('../runtime.js');

function machine() {
  const cpus = os.cpus();
  return {
    cores: os.availableParallelism(),
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: process.platform,
    arch: process.arch,
    node: runtime.version,
  };
}

/** What makes the figures doubtful. Called before anything is measured. */
function warnings() {
  const [load] = os.loadavg();
  const cores = os.availableParallelism();
  const found = [];
  if (load > cores / 4) found.push(`others are using this machine (load ${load.toFixed(1)} on ${cores} cores before the start): the figures are doubtful`);
  if (cores < 3) found.push(`${cores} cores for three processes and more: hub, sender and receivers take turns`);
  return found;
}

module.exports = { machine, warnings };
