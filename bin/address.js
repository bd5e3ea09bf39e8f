'use strict';

const { isIP } = require('node:net');
const { UsageError } = require('./exit-codes');

/**
 * Where the bus is, as people write it: a url, a port, host:port, a host, else the path of a Unix
 * socket. Returns the part of the options that says so; nothing given: the default address.
 */
function parseAddress(text) {
  if (text === undefined) return {};
  if (text === '') throw new UsageError('the address is empty');
  if (text.includes('://') || /^unix:/i.test(text)) return { url: text };
  if (/^\d+$/.test(text)) return { port: parsePort(text) };

  const [, host, port] = /^(\[[^\]]+\]|[^:/]+):(\d+)$/.exec(text) ?? [];
  if (port !== undefined) return { host: host.replace(/^\[|\]$/g, ''), port: parsePort(port) };
  if (text === 'localhost' || isIP(text)) return { host: text };
  return { path: text };
}

function parsePort(digits) {
  const port = Number(digits);
  if (port > 65535) throw new UsageError(`${digits} is no port: they end at 65535`);
  return port;
}

module.exports = { parseAddress };
