'use strict';

// However an address is written, it means one place: names with several addresses, relative paths, deep directories,
// $BUSYBODY_ADDRESS.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { once } = require('node:events');
const busybody = require('..');
const { Bus, LIMIT, barrier, freshDir } = require('./support/bus');
const { startPeer } = require('./support/child');

const LINUX = { ...LIMIT, skip: process.platform !== 'linux' && 'only Linux leads to a socket through its directory' };
const ROOT = { ...LIMIT, skip: process.getuid?.() !== 0 && 'only root has a file system of its own' };

/** The working directory of this process until the test ends. */
function enter(t, dir) {
  const before = process.cwd();
  process.chdir(dir);
  t.after(() => process.chdir(before));
}

/** $BUSYBODY_ADDRESS until the test ends. */
function setAddress(t, text) {
  const before = process.env.BUSYBODY_ADDRESS;
  process.env.BUSYBODY_ADDRESS = text;
  t.after(() => {
    if (before === undefined) delete process.env.BUSYBODY_ADDRESS;
    else process.env.BUSYBODY_ADDRESS = before;
  });
}

const forms = {
  "{ path: 'app.sock' }": [{ path: 'app.sock' }],
  "{ url: 'unix://app.sock' }": [{ url: 'unix://app.sock' }],
  "'unix:app.sock'": ['unix:app.sock'],
  "'unix://sub/../app.sock'": ['unix://sub/../app.sock'],
  "'./app.sock'": ['./app.sock'],
};

for (const [name, form] of Object.entries(forms)) {
  test(`${name} means the directory in which it was written, wherever the process goes`, LIMIT, async (t) => {
    const bus = new Bus(t);
    enter(t, bus.dir);
    const file = path.join(process.cwd(), 'app.sock');
    const host = await startPeer(t, { path: file, id: 'host', bridge: 'auto' });
    const node = bus.createNode(...form);
    await node.ready;
    process.chdir(os.tmpdir());
    const back = once(node, 'reconnect');
    await host.kill();
    await bus.host({ path: file });
    await back;
  });

  test(`a bridge at ${name} finds its socket again, to remove it`, LIMIT, async (t) => {
    const bus = new Bus(t);
    enter(t, bus.dir);
    const file = path.join(process.cwd(), 'app.sock');
    const bridge = bus.createBridge(...form);
    process.chdir(os.tmpdir());
    await bridge.ready;
    assert.deepEqual(bridge.address(), { path: file });
    await bridge.close();
    assert.equal(fs.existsSync(file), false);
  });
}

test('an absolute path is a path for createNode, too, and others of its arguments may stand beside it', LIMIT, async (t) => {
  const bus = new Bus(t);
  await bus.host();
  const node = bus.createNode(bus.path, 'ann');
  await node.ready;
  assert.equal(node.id, 'ann');
});

test('a short name in a deep directory works', LINUX, async (t) => {
  const bus = new Bus(t);
  const deep = path.join(bus.dir, 'deep'.repeat(30), 'deeper'.repeat(20));
  fs.mkdirSync(deep, { recursive: true });
  enter(t, deep);
  const bridge = await bus.host({ path: 'app.sock' });
  assert.deepEqual(bridge.address(), { path: path.join(process.cwd(), 'app.sock') });
  assert.equal(fs.lstatSync('app.sock').mode & 0o777, 0o600);
  const [ann, bob] = [bus.dial('ann', { url: 'unix://app.sock' }), bus.dial('bob', { url: bridge.url })];
  await Promise.all([ann.ready, bob.ready]);
  await barrier(ann, bob);
  const second = bus.createBridge({ path: './app.sock' }, () => {});
  await assert.rejects(second.ready, { code: 'EADDRINUSE' });
  await bridge.close();
  assert.equal(fs.existsSync('app.sock'), false);
});

test('$BUSYBODY_ADDRESS is the default address, and nodes there host as they do at the other', LIMIT, async (t) => {
  const bus = new Bus(t);
  for (const text of [bus.path, `unix://${path.join(bus.dir, 'other.sock')}`]) {
    setAddress(t, text);
    assert.equal(busybody.DEFAULT_ADDRESS, text.startsWith('unix:') ? text : `unix://${text}`);
    const first = bus.createNode('first');
    await first.ready;
    assert.equal(first.hosting, true);
    const second = bus.createNode('second');
    await second.ready;
    assert.deepEqual((await second.nodes()).map(({ id }) => id).sort(), ['first', 'second']);
    assert.ok(fs.existsSync(text.replace('unix://', '')));
    await second.leave();
    await first.leave();
  }
});

test('a relative $BUSYBODY_ADDRESS means the directory in which the process began', LIMIT, async (t) => {
  const bus = new Bus(t);
  const program = `const bus = require(${JSON.stringify(path.resolve(__dirname, '..'))});
    process.chdir('/');
    const node = bus.createNode('n');
    node.ready.then(() => { console.log(bus.DEFAULT_ADDRESS); return node.leave(); });`;
  const env = { ...process.env, BUSYBODY_ADDRESS: 'app.sock' };
  const run = spawnSync(process.execPath, ['-e', program], { cwd: bus.dir, env, encoding: 'utf8' });
  assert.equal(run.stdout.trim(), `unix://${path.join(fs.realpathSync(bus.dir), 'app.sock')}`, run.stderr);
});

test('an empty $BUSYBODY_ADDRESS is none, and one that is no address is named where it is needed', LIMIT, (t) => {
  const bus = new Bus(t);
  setAddress(t, '');
  assert.match(busybody.DEFAULT_ADDRESS, /default\.sock$/);
  for (const wrong of ['http://localhost', 'tcp://', 'unix:///a?b', 'localhost:70000']) {
    setAddress(t, wrong);
    const named = { name: 'TypeError', code: 'ERR_INVALID_ARG', message: /BUSYBODY_ADDRESS/ };
    assert.throws(() => busybody.createNode(), named);
    assert.throws(() => busybody.createBridge(), named);
    assert.throws(() => busybody.DEFAULT_ADDRESS, named);
  }
  bus.dial('others need none').leave(true);
});

/** What fixtures/localhost.js says where /etc/hosts is `hosts`. */
function runWithHosts(t, hosts) {
  const file = path.join(freshDir(t), 'hosts');
  fs.writeFileSync(file, hosts);
  const inside = 'mount --bind "$1" /etc/hosts && exec "$2" "$3"';
  const fixture = path.join(__dirname, 'fixtures', 'localhost.js');
  const run = spawnSync('unshare', ['-m', 'sh', '-c', inside, 'sh', file, process.execPath, fixture], { encoding: 'utf8' });
  return { ...run, unusable: run.error !== undefined || /unshare|mount/.test(run.stderr) };
}

for (const hosts of [['127.0.0.1', '::1'], ['::1', '127.0.0.1'], ['127.0.0.1', '127.0.0.2']]) {
  test(`bridges and nodes at a host that is ${hosts} meet, and only one of them hosts`, ROOT, (t) => {
    const run = runWithHosts(t, hosts.map((address) => `${address} localhost\n`).join(''));
    if (run.unusable) return t.skip('no mount namespaces here');
    assert.equal(run.stderr, '');
    assert.deepEqual(JSON.parse(run.stdout), { reached: true, atSecond: true, hosting: [true, false], known: ['first', 'second'] });
  });
}
