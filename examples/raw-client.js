'use strict';

// Joins the bus on its binary wire without this package: docs/PROTOCOL.md turned into code, and nothing else.
// Start hello/ben.js first. This asks him, tells whoever listens, answers one raw:add, and leaves. It keeps nothing of
// what it said, and says so with session 0.

const net = require('node:net');
const KIND = {
  HELLO: 0x01, WELCOME: 0x02, REJECT: 0x03, NAME: 0x04, ACK: 0x07, PING: 0x09, PONG: 0x0a, LEAVE: 0x0b,
  GONE: 0x0e, PEER: 0x0f, MESSAGE: 0x10, BROADCAST: 0x11, REPLY: 0x13, REFUSE: 0x14, CHUNK: 0x18,
};
const [ASK, LARGE, NO_LISTENER, TOO_LARGE] = [1, 2, 3, 10];
const PREAMBLE = Buffer.from([0xbb, 0x62, 0x75, 0x73, 1, 0, 0, 0]); // magic, version 1
const socket = net.connect(process.argv[2] ?? '/tmp/busybody-example.sock');
const [ours, theirs] = [new Map(), ['']]; // slots of names, one table for each direction; slot 0 is nobody
let [greeted, answered, seq, received, unread] = [false, false, 0, 0, Buffer.alloc(0)];

const le = (bytes, n) => Buffer.from(Array.from({ length: bytes }, (_, i) => Math.floor(n / 256 ** i) % 256));
const text = (string) => Buffer.concat([le(2, Buffer.byteLength(string)), Buffer.from(string)]);
const json = (args) => Buffer.from(JSON.stringify(args));

function send(kind, flags, ...fields) {
  const payload = Buffer.concat(fields);
  socket.write(Buffer.concat([le(4, 2 + payload.length), le(1, kind), le(1, flags), payload]));
}

function slotOf(name) {
  if (name === '') return 0;
  if (!ours.has(name)) {
    ours.set(name, ours.size + 1);
    send(KIND.NAME, 0, le(2, ours.get(name)), Buffer.from(name));
  }
  return ours.get(name);
}

function sendRouted(kind, flags, node, event, correlation, body) {
  const slots = [le(2, slotOf(node)), le(2, slotOf(event)), le(2, 0)]; // before the frame that uses them
  send(kind, flags, ...slots, le(4, correlation), le(8, ++seq), body);
}

function receive(kind, flags, payload) {
  if (kind === KIND.WELCOME) return sendRouted(KIND.MESSAGE, ASK, 'ben', 'hello', 1, json(['raw socket']));
  if (kind === KIND.REJECT) throw new Error(payload.toString('utf8', 1));
  if (kind === KIND.NAME) theirs[payload.readUInt16LE(0)] = payload.toString('utf8', 2);
  if (kind === KIND.PEER) theirs[payload.readUInt16LE(0)] = payload.toString('utf8', 10); // behind slot and session
  if (kind === KIND.PING) send(KIND.PONG, 0, payload);
  if (kind < KIND.MESSAGE && kind !== KIND.GONE) return undefined;
  send(KIND.ACK, 0, le(8, ++received)); // one for many would do
  if (kind === KIND.GONE && !answered) throw new Error('ben is gone');
  return kind === KIND.GONE || kind === KIND.CHUNK ? undefined : receiveRouted(kind, flags, payload);
}

function receiveRouted(kind, flags, payload) {
  const [from, event] = [theirs[payload.readUInt16LE(0)], theirs[payload.readUInt16LE(2)]];
  const [correlation, body] = [payload.readUInt32LE(6), payload.subarray(18)];
  if (kind === KIND.REFUSE) throw new Error(body.toString('utf8', 1));
  if (kind === KIND.REPLY) {
    const [error, value] = JSON.parse(body);
    answered = true;
    console.log(error ?? value);
    sendRouted(KIND.BROADCAST, 0, '', 'news', 0, json(['a raw socket was here']));
    console.log('waiting for raw:add');
  } else if (kind === KIND.MESSAGE && (event !== 'add' || flags & LARGE)) {
    const code = flags & LARGE ? TOO_LARGE : NO_LISTENER;
    sendRouted(KIND.REFUSE, 0, from, event, correlation, Buffer.concat([le(1, code), Buffer.from('not here')]));
  } else if (kind === KIND.MESSAGE) {
    const [a, b] = JSON.parse(body);
    sendRouted(KIND.REPLY, 0, from, '', correlation, json([null, a + b]));
    send(KIND.LEAVE, 0); // LEFT comes, then the bridge closes the connection
  }
}

socket.on('data', (bytes) => {
  unread = Buffer.concat([unread, bytes]);
  if (!greeted && unread.length < PREAMBLE.length) return;
  if (!greeted) unread = unread.subarray(PREAMBLE.length); // a bridge of another version says so in a REJECT
  greeted = true;
  while (unread.length >= 4 && unread.length >= 4 + unread.readUInt32LE(0)) {
    const end = 4 + unread.readUInt32LE(0);
    const frame = unread.subarray(4, end);
    unread = unread.subarray(end);
    receive(frame[0], frame[1], frame.subarray(2));
  }
});

socket.write(PREAMBLE);
send(KIND.HELLO, 0, le(8, 0), le(4, process.pid), le(8, 65_536), text('raw'), text(''));
