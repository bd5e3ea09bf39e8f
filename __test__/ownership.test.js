'use strict';

// Who owns the path of a Unix socket: a live bridge is never robbed of it, a dead one never blocks a start,
// and what is not ours is left alone.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const { Bus, LIMIT, barrier } = require('./support/bus');
const { start, startBridge, startPeer } = require('./support/child');

const isRoot = process.getuid?.() === 0;
/** Root is refused nothing: what others are refused is tried as this user. */
const NOBODY = { uid: 65_534, gid: 65_534 };
const nobodyCanLoad = () => spawnSync(process.execPath, [path.join(__dirname, '..', 'index.js')], NOBODY).status === 0;
const mode = (file) => fs.statSync(file).mode & 0o777;

/** Tries to host at `where` (default: the bus's own path) and returns the error that this must give. */
async function refusal(bus, where = bus.path) {
  let bridge;
  try {
    bridge = bus.createBridge({ path: where });
  } catch (err) {
    return err;
  }
  bridge.on('error', () => {}); // `ready` tells
  return bridge.ready.then(
    () => assert.fail(`it listens at ${where}`),
    (err) => err,
  );
}

/** A file with something in it, and a check that it was left alone. */
function keepsake(file) {
  fs.writeFileSync(file, 'keep me');
  return () => {
    assert.ok(fs.lstatSync(file).isFile());
    assert.equal(fs.readFileSync(file, 'utf8'), 'keep me');
  };
}

/** The socket that a killed bridge leaves behind at the bus's path. */
async function leaveStaleSocket(t, bus) {
  const dead = await startBridge(t, { path: bus.path });
  await dead.kill('SIGKILL');
  assert.ok(fs.lstatSync(bus.path).isSocket(), 'kill -9 leaves the file');
}

test('the socket of a bridge killed with -9 is recovered', LIMIT, async (t) => {
  const bus = new Bus(t);
  for (let round = 0; round < 3; round += 1) await leaveStaleSocket(t, bus);
  await bus.host();
  const [ann, bob] = await bus.nodes('ann', 'bob');
  await barrier(ann, bob);
});

test('a socket file that nobody ever listened on is recovered', LIMIT, async (t) => {
  const bus = new Bus(t);
  const other = path.join(bus.dir, 'other.sock');
  const server = net.createServer().listen(other);
  await once(server, 'listening');
  fs.renameSync(other, bus.path);
  server.close(); // removes `other`, which is elsewhere now
  await once(server, 'close');
  assert.ok(fs.lstatSync(bus.path).isSocket());
  await bus.host();
  await bus.node('ann');
});

test('a live bridge: EADDRINUSE with its pid, and it stays the owner', LIMIT, async (t) => {
  const bus = new Bus(t);
  const live = await startBridge(t, { path: bus.path });
  const peer = await startPeer(t, { path: bus.path, id: 'far' });
  const before = fs.lstatSync(bus.path);
  for (let round = 0; round < 5; round += 1) {
    const err = await refusal(bus);
    assert.equal(err.code, 'EADDRINUSE');
    assert.match(err.message, new RegExp(`\\b${live.pid}\\b`));
    assert.ok(err.message.includes(bus.path));
  }
  assert.equal(fs.lstatSync(bus.path).ino, before.ino);
  bus.address = { url: live.url };
  await barrier(await bus.node('near'), 'far');
  assert.ok(peer.alive && live.alive);
});

test('a second bridge in the same process is refused as any other', LIMIT, async (t) => {
  const bus = new Bus(t);
  await bus.host();
  const err = await refusal(bus);
  assert.equal(err.code, 'EADDRINUSE');
  assert.match(err.message, new RegExp(`\\b${process.pid}\\b`));
  await bus.node('ann');
});

test('a path reached by another name is the same path', LIMIT, async (t) => {
  const bus = new Bus(t);
  await startBridge(t, { path: bus.path });
  fs.mkdirSync(path.join(bus.dir, 'sub'));
  fs.symlinkSync(bus.dir, path.join(bus.dir, 'alias'));
  for (const where of [`${bus.dir}/sub/../bus.sock`, `${bus.dir}/alias/bus.sock`, `${bus.dir}//./bus.sock`]) {
    assert.equal((await refusal(bus, where)).code, 'EADDRINUSE', where);
  }
});

test('a live server that is not a bridge is not robbed either', LIMIT, async (t) => {
  const bus = new Bus(t);
  const server = net.createServer((socket) => socket.on('error', () => {}).end('mine')).listen(bus.path);
  t.after(() => server.close());
  await once(server, 'listening');
  assert.equal((await refusal(bus)).code, 'EADDRINUSE');
  const visitor = net.connect(bus.path).setEncoding('utf8');
  assert.deepEqual(await once(visitor, 'data'), ['mine']);
});

test('a regular file at the path is never deleted', LIMIT, async (t) => {
  const bus = new Bus(t);
  const untouched = keepsake(bus.path);
  const err = await refusal(bus);
  assert.match(String(err.code), /^(E[A-Z]+|ERR_[A-Z_]+)$/);
  assert.ok(err.message.includes(bus.path), err.message);
  untouched();
});

test('a directory, a pipe or a device at the path is left alone', LIMIT, async (t) => {
  const bus = new Bus(t);
  fs.mkdirSync(bus.path);
  assert.match(String((await refusal(bus)).code), /^E/);
  assert.ok(fs.lstatSync(bus.path).isDirectory());
  assert.match(String((await refusal(bus, '/dev/null')).code), /^E/);
  assert.ok(fs.lstatSync('/dev/null').isCharacterDevice());
});

test('a symbolic link at the path is not followed, nor removed with what it points to', LIMIT, async (t) => {
  const bus = new Bus(t);
  const targets = { file: path.join(bus.dir, 'file'), nothing: path.join(bus.dir, 'nothing') };
  const untouched = keepsake(targets.file);
  for (const [name, target] of Object.entries(targets)) {
    const link = path.join(bus.dir, `to-${name}`);
    fs.symlinkSync(target, link);
    assert.match(String((await refusal(bus, link)).code), /^E/, name);
    assert.equal(fs.readlinkSync(link), target);
  }
  untouched();
  assert.equal(fs.existsSync(targets.nothing), false);
});

test('a file where the lock belongs is left as it is', LIMIT, async (t) => {
  const bus = new Bus(t);
  const untouched = keepsake(path.join(bus.dir, 'precious'));
  fs.symlinkSync(path.join(bus.dir, 'precious'), `${bus.path}.lock`);
  await refusal(bus).catch(() => {}); // refused or not: the file at the other end of the link is not ours
  untouched();
});

test('EACCES: a directory that may not be written', LIMIT, async (t) => {
  const bus = new Bus(t);
  if (isRoot && !nobodyCanLoad()) return t.skip('root may write everywhere, and others cannot load the package here');
  fs.chmodSync(bus.dir, 0o500);
  const child = start(t, 'bridge.js', { path: bus.path }, {}, isRoot ? NOBODY : {});
  const { code, message } = await child.next('failed');
  fs.chmodSync(bus.dir, 0o700);
  assert.equal(code, 'EACCES');
  assert.ok(message.includes(bus.path), message);
});

test('ENOENT, ENOTDIR, a path too long: each its own code, at once, and it names the path', LIMIT, async (t) => {
  const bus = new Bus(t);
  keepsake(path.join(bus.dir, 'file'));
  const cases = [
    ['ENOENT', path.join(bus.dir, 'missing', 'bus.sock')],
    ['ENOTDIR', path.join(bus.dir, 'file', 'bus.sock')],
    ['ENAMETOOLONG', path.join(bus.dir, 'x'.repeat(108 - bus.dir.length))],
    ['ENAMETOOLONG', path.join(bus.dir, 'x'.repeat(5000))],
  ];
  for (const [code, where] of cases) {
    const err = await refusal(bus, where);
    assert.equal(err.code, code);
    assert.ok(err.message.includes(where.slice(0, 60)), err.message);
  }
  assert.deepEqual(fs.readdirSync(bus.dir), ['file']);
});

const LINUX = { ...LIMIT, skip: process.platform !== 'linux' && 'other systems are other' };

test('a path of the greatest length works', LINUX, async (t) => {
  const bus = new Bus(t);
  const longest = path.join(bus.dir, 'x'.repeat(107 - bus.dir.length - 1));
  assert.equal(longest.length, 107);
  await bus.host({ path: longest });
  assert.ok(fs.lstatSync(longest).isSocket());
  await bus.node('ann');
});

test('a node says the same about a path it cannot reach', LIMIT, async (t) => {
  const bus = new Bus(t);
  const untouched = keepsake(bus.path);
  const node = bus.createNode({ path: bus.path, maxConnectionAttempts: 1 });
  node.on('error', () => {});
  await assert.rejects(node.ready, (err) => err.code === 'ERR_NO_BRIDGE' && err.message.includes(bus.path));
  untouched();
});

test('the socket has mode 0600, or the one asked for, whatever the umask', LIMIT, async (t) => {
  const bus = new Bus(t);
  const umask = process.umask(0);
  t.after(() => process.umask(umask));
  await bus.host();
  assert.equal(mode(bus.path), 0o600);
  process.umask(0o077);
  const open = path.join(bus.dir, 'open.sock');
  await bus.host({ path: open, mode: 0o666 });
  assert.equal(mode(open), 0o666);
});

test('close removes the socket', LIMIT, async (t) => {
  const bus = new Bus(t);
  await bus.host();
  await bus.bridge.close();
  assert.equal(fs.existsSync(bus.path), false);
  await bus.host(); // and the next may come at once
});

test('close does not remove what took its place', LIMIT, async (t) => {
  const bus = new Bus(t);
  await bus.host();
  bus.bridge.on('error', () => {}); // it may notice before it is closed
  fs.unlinkSync(bus.path);
  const untouched = keepsake(bus.path);
  await bus.bridge.close();
  untouched();
});

test('a live socket is known to the kernel by its own name, so that cleaners of old files spare it', LINUX, async (t) => {
  const bus = new Bus(t);
  await bus.host();
  const names = fs.readFileSync('/proc/net/unix', 'utf8').split('\n').map((line) => line.split(/\s+/)[7]);
  assert.ok(names.includes(bus.path));
});

test('a socket that is taken away is put back: newcomers join, those who are there notice nothing', LIMIT, async (t) => {
  const bus = new Bus(t);
  await bus.host({ mode: 0o640 });
  const [ann, bob] = await bus.nodes('ann', 'bob');
  bus.bridge.on('error', (error) => assert.fail(error));
  for (const event of ['disconnect', 'error']) ann.on(event, (error) => assert.fail(error));
  for (const newcomer of ['carl', 'dora']) {
    fs.rmSync(bus.path);
    fs.rmSync(`${bus.path}.lock`);
    const joined = await bus.node(newcomer);
    assert.equal(mode(bus.path), 0o640);
    await barrier(joined, ann);
    await barrier(ann, bob);
  }
  assert.equal((await refusal(bus)).code, 'EADDRINUSE');
});

test('nodes that would host wait for the socket of a bridge that lives', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await bus.node('host', { bridge: 'auto' });
  fs.rmSync(bus.path);
  const others = await Promise.all(['ann', 'bob'].map((id) => bus.node(id, { bridge: 'auto', maxConnectionAttempts: 1 })));
  assert.deepEqual([host, ...others].map((node) => node.hosting), [true, false, false]);
  await barrier(others[0], host);
});

test('a bridge whose socket cannot be put back says why, once, and goes on; it is back when that is possible', LIMIT, async (t) => {
  const bus = new Bus(t);
  await bus.host();
  const [ann, bob] = await bus.nodes('ann', 'bob');
  const told = once(bus.bridge, 'error');
  fs.rmSync(bus.path);
  const untouched = keepsake(bus.path);
  const [error] = await told;
  assert.equal(error.code, 'ENOTSOCK');
  assert.ok(error.message.includes(bus.path), error.message);
  bus.bridge.on('error', (again) => assert.fail(again));
  await barrier(ann, bob);
  untouched();
  fs.rmSync(bus.path);
  await barrier(await bus.node('carl'), ann);
});

test("root with another user's XDG_RUNTIME_DIR makes nothing there", LIMIT, async (t) => {
  if (!isRoot || !nobodyCanLoad()) return t.skip('needs root, and a package that others can load');
  const bus = new Bus(t);
  fs.chmodSync(bus.dir, 0o755);
  const runtime = path.join(bus.dir, 'run');
  fs.mkdirSync(runtime, { mode: 0o700 });
  fs.chownSync(runtime, NOBODY.uid, NOBODY.gid);
  const root = start(t, 'peer.js', { id: 'root', maxConnectionAttempts: 2 }, { XDG_RUNTIME_DIR: runtime });
  assert.equal((await root.next('failed')).code, 'ERR_NO_BRIDGE');
  assert.deepEqual(fs.readdirSync(runtime), []);
  const owner = start(t, 'default-address.js', {}, { XDG_RUNTIME_DIR: runtime }, NOBODY);
  assert.equal((await owner.next('met')).url, `unix://${runtime}/busybody/default.sock`);
});

test('process.exit removes the socket', LIMIT, async (t) => {
  const bus = new Bus(t);
  const host = await startBridge(t, { path: bus.path });
  host.send({ do: 'exit', code: 7 });
  assert.equal((await host.exited).code, 7);
  assert.equal(fs.existsSync(bus.path), false);
});

test('a default directory that is a symbolic link is refused', LIMIT, async (t) => {
  const bus = new Bus(t);
  const trap = path.join(bus.dir, 'trap');
  fs.mkdirSync(trap);
  fs.symlinkSync(trap, path.join(bus.dir, 'busybody'));
  const child = start(t, 'default-address.js', {}, { XDG_RUNTIME_DIR: bus.dir });
  assert.notEqual((await child.exited).code, 0);
  assert.ok(child.stderr.includes(path.join(bus.dir, 'busybody')), child.stderr);
  assert.deepEqual(fs.readdirSync(trap), []);
});

for (const stale of [false, true]) {
  test(`16 processes at once${stale ? ' over a dead one’s socket' : ''}: exactly one bridge`, LIMIT, async (t) => {
    const bus = new Bus(t);
    if (stale) await leaveStaleSocket(t, bus);
    const settings = { as: 'bridge', options: { path: bus.path } };
    const contenders = Array.from({ length: 16 }, () => start(t, 'contender.js', settings));
    await Promise.all(contenders.map((child) => child.next('loaded')));
    for (const child of contenders) child.send('go');
    const results = await Promise.all(contenders.map((child) => child.next('result')));
    const winners = results.filter(({ won }) => won);
    assert.equal(winners.length, 1);
    for (const { won, code, message } of results) {
      if (won) continue;
      assert.equal(code, 'EADDRINUSE');
      assert.match(message, new RegExp(`\\b${winners[0].pid}\\b`));
    }
    await bus.node('ann');
  });
}
