'use strict';

// The hand-written hub's variant for binary: u32 length of what follows, u8 length of the target's name, the name, the
// body. A name alone is the hello. Chunks are collected once, the hub forwards what it received without a further copy.

const net = require('node:net');
const { once } = require('node:events');

const LENGTH = 4;

function hub() {
  const sockets = new Map();

  return net.createServer((socket) => {
    eachFrame(socket, (frame) => {
      const { name, body } = parse(frame);
      if (body.length === 0) {
        sockets.set(name, socket);
        socket.write(Buffer.from([0, 0, 0, 1, 0]));
        return;
      }
      const target = sockets.get(name);
      if (write(target, name, body) || socket.isPaused()) return;
      socket.pause();
      target.once('drain', () => socket.resume());
    });
  });
}

async function link(socket, id) {
  let listeners = {};
  const welcome = once(socket, 'welcome');
  eachFrame(socket, (frame) => {
    const { name, body } = parse(frame);
    if (name === '') socket.emit('welcome');
    else listeners.message(body);
  });
  write(socket, id, Buffer.alloc(0));
  await welcome;

  return {
    listen(given) {
      listeners = given;
    },
    to: (to) => ({ send: (body) => write(socket, to, body) }),
    drained: () => once(socket, 'drain'),
  };
}

/** Head and body in one writev. */
function write(socket, name, body) {
  const head = Buffer.allocUnsafe(LENGTH + 1 + name.length);
  head.writeUInt32BE(1 + name.length + body.length);
  head[LENGTH] = name.length;
  head.write(name, LENGTH + 1, 'latin1');
  socket.cork();
  socket.write(head);
  const room = socket.write(body);
  socket.uncork();
  return room;
}

function parse(frame) {
  const end = 1 + frame[0];
  return { name: frame.latin1Slice(1, end), body: frame.subarray(end) };
}

function eachFrame(socket, listener) {
  let chunks = [];
  let size = 0;
  let needed = LENGTH;

  socket.on('data', (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    if (size < needed) return;
    let bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks, size);
    needed = LENGTH;
    while (bytes.length >= LENGTH) {
      needed = LENGTH + bytes.readUInt32BE(0);
      if (bytes.length < needed) break;
      listener(bytes.subarray(LENGTH, needed));
      bytes = bytes.subarray(needed);
      needed = LENGTH;
    }
    chunks = [bytes];
    size = bytes.length;
  });
}

module.exports = { hub, link };
