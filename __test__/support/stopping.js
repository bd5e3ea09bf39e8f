'use strict';

// Stopping a process that lives on.

const fs = require('node:fs');

/**
 * Sends SIGSTOP to process `pid` and returns when none of its threads runs any more. The signal goes to one thread, which
 * stops the others when it is scheduled: until then a bridge's thread may let somebody in.
 */
async function stop(pid) {
  process.kill(pid, 'SIGSTOP');
  if (!fs.existsSync('/proc/self/task')) return;
  const threads = fs.readdirSync(`/proc/${pid}/task`).map((id) => `/proc/${pid}/task/${id}/stat`);
  // The state stands behind the name, which is in parentheses.
  const runs = (file) => !fs.readFileSync(file, 'utf8').includes(') T ');
  while (threads.some(runs)) await new Promise(setImmediate);
}

module.exports = { stop };
