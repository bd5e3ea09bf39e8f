'use strict';

// A node of few lines, by docs/PROTOCOL.md, that finds fault with whatever is called 'poison': it acknowledges what it took,
// rejects the link for it, each time, and comes back.

const net = require('node:net');

const PREAMBLE = Buffer.from('bb62757301000000', 'hex');
const KIND = { HELLO: 1, WELCOME: 2, REJECT: 3, NAME: 4, LISTEN: 5, ACK: 7, GONE: 14, PEER: 15, MESSAGE: 16, REPLY: 19, REFUSE: 20, REPLAY: 23, CHUNK: 24, WATCH: 26, UNHEARD: 29 };
const [SESSION, SECRET, LARGE, PROTOCOL] = [0x5e5510n, 0x5ec2e7n, 2, 14];
/** What ACK counts. */
const COUNTED = (kind) => (kind >= KIND.MESSAGE && kind <= KIND.REFUSE) || [KIND.GONE, KIND.CHUNK, KIND.WATCH, KIND.UNHEARD, 30].includes(kind);

function le(bytes, value) {
  const field = Buffer.alloc(8);
  field.writeBigUInt64LE(BigInt(value));
  return field.subarray(0, bytes);
}

function frame(kind, ...fields) {
  const payload = Buffer.concat(fields);
  return Buffer.concat([le(4, 2 + payload.length), le(1, kind), le(1, 0), payload]);
}

class PickyNode {
  /** Texts of the messages taken, and how often a link was rejected for what. */
  heard = [];
  rejected = [];
  /** WELCOMEs, and those of them that said that its place was given up. */
  welcomed = 0;
  forgotten = 0;
  /** Whether it finds fault: rejects(kind, event, begun), of a chunk with the event of its message. */
  #rejects;
  #path;
  #id;
  #events;
  #epoch = Buffer.alloc(8);
  #seq = 0;
  #over = false;
  #socket = null;
  #news = () => {};

  /** `events`: what it listens for. The test `t` ends it. */
  constructor(t, path, id, { events = [], rejects = (kind, event) => event === 'poison' } = {}) {
    [this.#path, this.#id, this.#events, this.#rejects] = [path, id, events, rejects];
    t.after(() => {
      this.#over = true;
      this.#socket.destroy();
    });
    this.#connect();
  }

  /** Resolves as soon as `holds()`. */
  async until(holds) {
    while (!holds()) await new Promise((resolve) => (this.#news = resolve));
  }

  /** Asks another node; the answer is heard. */
  ask(event, kind = 18) {
    this.#seq += 1;
    const name = frame(KIND.NAME, le(2, 1), Buffer.from(event));
    const head = Buffer.concat([le(4, 2 + 18 + 2), le(1, kind), le(1, 1), le(2, 0), le(2, 1), le(2, 0), le(4, 77), le(8, this.#seq), Buffer.from('[]')]);
    this.#socket.write(Buffer.concat([name, head]));
  }

  #connect() {
    if (this.#over) return;
    const socket = net.connect(this.#path);
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('close', () => setTimeout(() => this.#connect(), 5));
    const text = (string) => Buffer.concat([le(2, string.length), Buffer.from(string)]);
    const hello = [le(8, SESSION), le(4, process.pid), le(8, 2 ** 24), text(this.#id), text(''), le(8, SECRET), this.#epoch, le(8, 0), le(4, this.#events.length)];
    socket.write(Buffer.concat([PREAMBLE, frame(KIND.HELLO, ...hello), ...this.#events.map((event) => frame(KIND.LISTEN, Buffer.from(event)))]));
    let [unread, greeted, over] = [Buffer.alloc(0), false, false];
    const link = { names: [''], streams: new Map(), received: 0, say: (...bytes) => socket.write(Buffer.concat(bytes)) };
    socket.on('data', (bytes) => {
      unread = Buffer.concat([unread, bytes]);
      if (!greeted && unread.length < PREAMBLE.length) return;
      if (!greeted) unread = unread.subarray(PREAMBLE.length);
      greeted = true;
      while (!over && unread.length >= 4 && unread.length >= 4 + unread.readUInt32LE(0)) {
        const end = 4 + unread.readUInt32LE(0);
        const [kind, flags, payload] = [unread[4], unread[5], unread.subarray(6, end)];
        unread = unread.subarray(end);
        over = !this.#takes(link, kind, flags, payload);
        this.#news();
      }
      if (!over) link.say(frame(KIND.ACK, le(8, link.received)));
    });
  }

  #takes(link, kind, flags, payload) {
    if (kind === KIND.WELCOME) {
      this.welcomed += 1;
      this.#epoch = Buffer.from(payload.subarray(0, 8));
      this.forgotten += payload[32] === 0 ? 1 : 0;
    }
    if (kind === KIND.NAME) link.names[payload.readUInt16LE(0)] = payload.toString('utf8', 2);
    if (kind === 22) link.say(frame(KIND.REPLAY, payload)); // nothing to say again
    if (!COUNTED(kind)) return true;
    const event = kind >= KIND.MESSAGE && kind <= KIND.REFUSE ? link.names[payload.readUInt16LE(2)] : undefined;
    const stream = kind === KIND.CHUNK ? payload.readUInt32LE(0) : undefined;
    if (this.#rejects(kind, event, link.streams.get(stream))) {
      this.rejected.push(event ?? kind);
      link.say(frame(KIND.ACK, le(8, link.received)), frame(KIND.REJECT, le(1, PROTOCOL), Buffer.from('not with me')));
      return false;
    }
    link.received += 1;
    if (flags & LARGE) link.streams.set(payload.readUInt32LE(18), event);
    else if (event !== undefined) this.heard.push({ kind, event, text: payload.toString('utf8', 18) });
    return true;
  }
}

module.exports = { KIND, PickyNode };
