'use strict';

// Where the bus is: whatever the caller wrote becomes the URL that the native side parses, or null for the default.

const net = require('node:net');
const path = require('node:path');
const { invalidArg } = require('../errors.js');

const DEFAULT_PORT = 8221;
const LOOPBACK = '127.0.0.1';
const URL_FORM = /^(?:unix:\/\/|unix:(?!\/\/)|tcp:\/\/|tls:\/\/|nats:\/\/)[^\0]+$/i;
const UNIX_URL = /^unix:(?:\/\/)?/i;
const PATH = /^\.{0,2}\//; // absolute, or of this directory or the one above
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
function urlOfText(string, leastPort = 0) {
  if (/^\d+$/.test(string)) return urlOfPort(Number(string), leastPort);
  return urlOfAddress(string, leastPort) ?? urlOfPath(string);
}

/** Same, of a string that may also be a node's id, and then null: ids have no ":", and a path of a node's begins as one. */
function urlOfAddress(string, leastPort) {
  if (string.includes('://') || UNIX_URL.test(string)) return leastPort > 0 ? checkTargetUrl(string, 'url') : checkUrl(string, 'url');
  const [, bracketed, plain, port] = HOST_AND_PORT.exec(string) ?? [];
  if (port !== undefined) return urlOfPort(Number(port), leastPort, bracketed ?? plain);
  return PATH.test(string) ? urlOfPath(string) : null;
}

function urlOfPort(port, leastPort, host = LOOPBACK) {
  if (!Number.isInteger(port) || port < leastPort || port > 65_535) {
    throw invalidArg('port', `an integer from ${leastPort} to 65535`, port);
  }
  return `tcp://${hostInUrl(host)}:${port}`;
}

function checkUrl(url, name) {
  if (typeof url === 'string' && URL_FORM.test(url) && url.isWellFormed()) return resolved(url);
  throw invalidArg(name, 'a unix://, tcp://, tls:// or nats:// URL', url);
}

/** Same, for those who connect: nobody listens on port 0. */
function checkTargetUrl(url, name) {
  const checked = checkUrl(url, name);
  if (/^(tcp|tls|nats):.*:0+$/i.test(checked)) throw invalidArg(name, 'a URL with a port other than 0', url);
  return checked;
}

/** A relative path means the working directory of now, wherever the process goes later. */
function resolved(url) {
  if (!UNIX_URL.test(url)) return url;
  const written = url.replace(UNIX_URL, '');
  // What names no file, or is wrong in another way, is for the native side to complain about.
  if (/[?#]|(?:^|\/)\.{0,2}$/.test(written)) return url;
  try {
    const file = decodeURIComponent(written);
    return file.includes('\0') ? url : urlOfPath(file);
  } catch {
    // Bytes that are no text.
    return written.startsWith('/') ? url : `${urlOfPath('.')}/${written}`;
  }
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

module.exports = { DEFAULT_PORT, addressOf, checkTargetUrl, checkUrl, urlOfAddress, urlOfPort, urlOfText };
