'use strict';

const { buffers } = require('./payloads.js');
const { stream } = require('./stream.js');

const KIB = 1024;

const payloads = buffers(512 * KIB);

module.exports = stream({
  name: 'binary',
  title: '512 KiB binary',
  what: 'Buffers of 512 KiB without replies; node-ipc, which has no binary, sends them as base64.',
  figures: [{ key: 'rate', unit: 'MB/s', better: 'higher' }],
  binary: true,
  payloads,
  perTurn: 8,
  result: (sent, { count, seconds }) => ({ rate: (count * payloads.bytes) / 1e6 / seconds }),
});
