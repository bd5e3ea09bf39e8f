'use strict';

// What a process holds, as the kernel counts it (Linux).

const fs = require('node:fs');

/** Bytes in memory now. */
function resident(pid) {
  return statusBytes(pid, 'VmRSS');
}

/** The most bytes that were in memory at any time since the process began. */
function residentPeak(pid) {
  return statusBytes(pid, 'VmHWM');
}

function descriptors(pid) {
  return fs.readdirSync(`/proc/${pid}/fd`).length;
}

/** Descriptors that a process of Node.js may open: it raises its soft limit to the hard one when it starts. */
function descriptorLimit() {
  const [, hard] = /^Max open files\s+\S+\s+(\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'));
  return hard === 'unlimited' ? Infinity : Number(hard);
}

function statusBytes(pid, field) {
  const [, kib] = new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(kib) * 1024;
}

module.exports = { descriptorLimit, descriptors, resident, residentPeak };
