'use strict';

// Joins the bus without this package: JSON objects, each ended by a NUL byte, on a plain socket.
// Start hello/ben.js first. This asks him, tells whoever listens, and leaves.

const net = require('node:net');
const socket = net.connect(process.argv[2] ?? '/tmp/busybody-example.sock').setEncoding('utf8');

const waiting = new Map();
let count = 0;
let unread = '';

function send(method, data) {
  const id = `old-${++count}`;
  socket.write(`${JSON.stringify({ id, method, data, nodeName: 'old' })}\0`);
  return new Promise((resolve) => waiting.set(id, resolve));
}

socket.on('data', (text) => {
  const messages = (unread + text).split('\0');
  unread = messages.pop(); // what follows the last NUL is not complete yet
  for (const { method, data } of messages.map((message) => JSON.parse(message))) {
    if (method === 'ACK') waiting.get(data[0])?.(data[1]); // [id, [error, value]]
  }
});

async function main() {
  await send('IDENT');
  const [error, answer] = await send('PUBLISH', ['ben', 'hello', ['old friend']]);
  console.log(error ?? answer);
  send('BROADCAST', ['news', 'an old friend was here']);
  await send('LEAVE');
  socket.end();
}

main();
