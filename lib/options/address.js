'use strict';

// Where the bus is: whatever the caller wrote becomes the URL that the native side parses, or null for the default.

const net = require('node:net');
const path = require('node:path');
const { invalidArg } = require('../errors.js');

const DEFAULT_PORT = 8221;
const LOOPBACK = '127.0.0.1';
const URL_FORM = /^(unix|tcp|tls|nats):\/\/[^\0]+$/i;
const HOST_AND_PORT = /^(?:\[([^\][]+)\]|([^\s:/\][]+)):(\d{1,5})$/;
const HOST_NAME = /^[\w.-]+$/; // as the native side reads it: ASCII

/** From the options url, path, host and port, checked one by one before. `leastPort` is 0 for those who listen. */
function addressOf({ url, path: file, host, port }, leastPort) {
  const others = [file, host, port].filter((each) => each !== undefined);
  if (url !== undefined && others.length > 0) throw invalidArg('url', 'given without path, host and port', url);
  if (file !== undefined && others.length > 1) throw invalidArg('path', 'given without host and port', file);
  if (url !== undefined) return url;
  if (file !== undefined) return urlOfPath(file);
  if (host === undefined && port === undefined) return null;
  return urlOfPort(port ?? DEFAULT_PORT, leastPort, host);
}

/** A string in place of a bridge's options: a url, a port in digits, "host:port", or a Unix socket's path. */
function urlOfText(string) {
  if (string.includes('://')) return checkUrl(string, 'url');
  if (/^\d+$/.test(string)) return urlOfPort(Number(string), 0);
  const [, bracketed, plain, port] = HOST_AND_PORT.exec(string) ?? [];
  if (port !== undefined) return urlOfPort(Number(port), 0, bracketed ?? plain);
  return urlOfPath(string);
}

function urlOfPort(port, leastPort, host = LOOPBACK) {
  if (!Number.isInteger(port) || port < leastPort || port > 65_535) {
    throw invalidArg('port', `an integer from ${leastPort} to 65535`, port);
  }
  return `tcp://${hostInUrl(host)}:${port}`;
}

function checkUrl(url, name) {
  if (typeof url === 'string' && URL_FORM.test(url) && url.isWellFormed()) return url;
  throw invalidArg(name, 'a unix://, tcp://, tls:// or nats:// URL', url);
}

/** Same, for those who connect: nobody listens on port 0. */
function checkTargetUrl(url, name) {
  if (/^(tcp|tls|nats):.*:0+$/i.test(checkUrl(url, name))) throw invalidArg(name, 'a URL with a port other than 0', url);
  return url;
}

function urlOfPath(file) {
  if (file === '' || file.includes('\0') || !file.isWellFormed()) {
    throw invalidArg('path', 'a non-empty string without NUL', file);
  }
  return `unix://${path.resolve(file).split(path.sep).map(encodeURIComponent).join('/')}`;
}

function hostInUrl(host) {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (net.isIPv6(bare)) return `[${bare}]`;
  if (HOST_NAME.test(host)) return host;
  throw invalidArg('host', 'a host name or an IP address', host);
}

module.exports = { DEFAULT_PORT, addressOf, checkTargetUrl, checkUrl, urlOfPort, urlOfText };
