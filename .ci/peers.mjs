// The servers that the bench compares with, from Debian's packages. Where they cannot be had the bench names them as skipped.

import { spawnSync } from 'node:child_process';
import { step } from './step.mjs';

const servers = ['nats-server', 'redis-server'];

const onPath = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;

function installPeers(missing) {
  const why = whyNot();
  if (why) return why;
  // Noninteractive: nobody is there to answer. The packages' names are the programs' names.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const installed =
    step('apt-get', ['-qq', 'update'], { env }) &&
    step('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', ...missing], { env });
  return installed ? undefined : 'apt-get failed';
}

function whyNot() {
  if (!onPath('apt-get')) return 'this machine has no apt-get';
  if (process.getuid?.() !== 0) return 'installing packages needs root';
  return undefined;
}

const missing = servers.filter((server) => !onPath(server));
const why = missing.length > 0 ? installPeers(missing) : undefined;
if (why) console.error(`the bench goes without ${missing.join(' and ')}: ${why}`);
