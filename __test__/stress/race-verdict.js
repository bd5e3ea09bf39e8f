'use strict';

// What must be true after every start race, seen from outside: one bridge, everybody on its bus, nothing left behind.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { createNode } = require('../..');

/** `__SO_ACCEPTCON`, the flag of a listening socket in /proc/net/unix. */
const LISTENING = 0x10000;

/** Joins the bus as a guest, who never hosts, and sees to it that there is one bridge with all nodes of `crew` on it. */
async function oneBus(crew) {
  const guest = createNode({ path: crew.path, id: 'guest', bridge: 'require', maxConnectionAttempts: Infinity });
  try {
    await guest.ready;
    const expected = ['guest', ...crew.nodes.map(({ id }) => id)].sort();
    await gathered(guest, expected);
    const reports = await Promise.all(crew.nodes.map(({ id }) => guest.request(`${id}:report`)));
    for (const { ids } of reports) assert.deepEqual(ids, expected, 'a node sees another bus');
    const owner = await onlyOwner(crew);
    const bridge = owner.isNode ? null : owner.pid;
    for (const report of reports) assert.equal(report.bridge, bridge, 'a node has another bridge');
    for (const { pid, hosting } of reports) assert.equal(hosting, owner.isNode && pid === owner.pid);
    return owner;
  } finally {
    await guest.leave();
  }
}

/** Resolves once exactly these are on the bus. Who was killed may be on its roster a moment longer. */
async function gathered(guest, expected) {
  let tell;
  for (const event of ['node:join', 'node:leave', 'reconnect']) guest.on(event, () => tell());
  for (;;) {
    const news = new Promise((resolve) => (tell = resolve));
    const infos = await guest.nodes().catch(() => []);
    lastSeen.ids = infos.map(({ id }) => id).sort();
    if (lastSeen.ids.join() === expected.join()) return;
    await news;
  }
}

/** What the last guest saw, for the message of a round that takes for ever. */
const lastSeen = { ids: [] };

/** The one member that hosts: by its own word, by the lock, and by the kernel's list of listening sockets. */
async function onlyOwner(crew) {
  const looks = await Promise.all(crew.active.map(async (one) => ({ one, ...(await look(one)) })));
  const owners = looks.filter(({ hosting }) => hosting).map(({ one }) => one);
  assert.equal(owners.length, 1, `${owners.length} bridges: ${owners.map(({ id }) => id)}`);
  assert.equal(crew.owner()?.id, owners[0].id, 'the lock names another');
  assertListensAlone(crew, owners[0].pid);
  return owners[0];
}

/** A bridge hosts if its start succeeded; a node may come to host later. */
async function look(one) {
  return one.isNode ? one.look() : one.result;
}

/** Skipped where there is no /proc. */
function assertListensAlone({ path: bus }, pid) {
  const inodes = listeners(path.dirname(bus));
  if (inodes === null) return;
  assert.equal(inodes.length, 1, `${inodes.length} sockets listen there`);
  assert.ok(descriptors(pid).includes(`socket:[${inodes[0]}]`), 'another process listens');
}

/** Inodes of the sockets that listen under a name in `dir`: that of the path, or the one it was bound to before. */
function listeners(dir) {
  if (!fs.existsSync('/proc/net/unix')) return null;
  const lines = fs.readFileSync('/proc/net/unix', 'utf8').split('\n');
  const sockets = lines.map((line) => line.trim().split(/\s+/)).filter((fields) => fields[7]?.startsWith(`${dir}/`));
  return sockets.filter((fields) => Number.parseInt(fields[3], 16) & LISTENING).map((fields) => fields[6]);
}

function descriptors(pid) {
  const dir = `/proc/${pid}/fd`;
  return fs.readdirSync(dir).map((fd) => readLink(path.join(dir, fd)));
}

/** A descriptor may be closed between two looks. */
function readLink(file) {
  try {
    return fs.readlinkSync(file);
  } catch {
    return '';
  }
}

/** The losers among bridges were told so, and by whom; nobody else failed. */
function assertLosersKnow(results, owner, bus) {
  const noted = fs.readFileSync(`${bus}.lock`, 'utf8').trim();
  for (const { entered, code, message } of results.filter((result) => !result.entered)) {
    assert.equal(code, 'EADDRINUSE', `entered: ${entered}, ${message}`);
    const named = new RegExp(`\\b${owner.pid}\\b`);
    assert.match(message, named, `the loser of ${owner.pid} was told '${message}'; the lock names ${noted}`);
  }
}

/**
 * The lock file stays by design. So does the roster of a host that left when others had not yet: all leave at once here.
 * Nothing else may.
 */
function assertNothingLeft(crew) {
  const roster = `${path.basename(crew.path)}.roster`;
  assert.deepEqual(crew.files().filter((file) => file !== roster), [`${path.basename(crew.path)}.lock`]);
}

module.exports = { assertLosersKnow, assertNothingLeft, lastSeen, oneBus, onlyOwner };
