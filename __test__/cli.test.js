'use strict';

// The command line, as a shell sees it: what goes in, what comes out, and the exit code.

const test = require('node:test');
const assert = require('node:assert/strict');
const path = require('node:path');
const { once } = require('node:events');
const { Bus, LIMIT, freshDir, openBus } = require('./support/bus');
const { start } = require('./support/program');
const { parseAddress } = require('../bin/address');
const { RESERVED_EVENTS } = require('../lib/errors');
const { version } = require('../package.json');

const BIN = path.join(__dirname, '..', 'bin', 'busybody.js');
const COMMANDS = ['bridge', 'publish', 'broadcast', 'rpc', 'listen', 'nodes'];

function launch(t, args, options) {
  return start(t, process.execPath, [BIN, ...args], options);
}

function run(t, args, options) {
  return launch(t, args, { input: '', ...options }).ended;
}

/** A bus hosted by this process, with `busybody` for its command line. */
async function commandLine(t) {
  const bus = await openBus(t);
  const there = ([command, ...args]) => [command, '--address', bus.path, ...args];
  return {
    bus,
    busybody: (...args) => run(t, there(args)),
    pipe: (input, ...args) => run(t, there(args), { input }),
    launch: (...args) => launch(t, there(args)),
  };
}

/** A running `busybody listen`, once the bridge knows what it listens for. */
async function listener(busybody, ...args) {
  const program = busybody.launch('listen', ...args);
  await program.wrote(/listening for .+ as (.+)\n/);
  return program;
}

const linesOf = (text) => text.trim().split('\n').map((line) => JSON.parse(line));

test('--help tells all commands, options and exit codes; every command has a help of its own', LIMIT, async (t) => {
  const { code, stdout } = await run(t, ['--help']);
  assert.equal(code, 0);
  for (const word of [...COMMANDS, '--address', '--id', '--timeout', '--json', '--version', 'exit codes', '--endpoint']) {
    assert.ok(stdout.includes(word), word);
  }
  for (const command of COMMANDS) {
    const help = await run(t, [command, '--help']);
    assert.deepEqual([help.code, help.stderr], [0, '']);
    assert.match(help.stdout, new RegExp(`^usage: busybody ${command}`));
    assert.equal((await run(t, ['help', command])).stdout, help.stdout);
  }
});

test('--version is the version of the package', LIMIT, async (t) => {
  const { code, stdout } = await run(t, ['--version']);
  assert.deepEqual([code, stdout], [0, `${version}\n`]);
});

for (const [why, args, complaint] of [
  ['no command', [], /usage: busybody <command>/],
  ['an unknown command', ['dance'], /no command "dance"/],
  ['an unknown option', ['nodes', '--loud'], /--loud/],
  ['an option of another command', ['nodes', '--reply', '1'], /nodes has no option --reply/],
  ['an option without its value', ['nodes', '--id'], /--id/],
  ['too few arguments', ['publish'], /arguments is wrong: busybody publish </],
  ['too many arguments', ['nodes', 'all'], /arguments is wrong: busybody nodes\n/],
  ['a target that is none', ['publish', 'kitchen'], /ERR_INVALID_TARGET/],
  ['a timeout that is none', ['rpc', 'x', '--timeout', 'soon'], /--timeout/],
  ['a negative timeout', ['rpc', 'x', '--timeout', '-5'], /--timeout/],
  ['a count that is none', ['listen', 'x', '--count', '0'], /--count/],
  ['a port that is none', ['nodes', '--address', '70000'], /70000/],
  ['a url of no known kind', ['nodes', '--address', 'gopher://x'], /gopher/],
  ['an empty address', ['nodes', '--address', ''], /address/],
  ['an id with a colon', ['nodes', '--id', 'a:b'], /id/],
  ['stdin twice', ['broadcast', 'x', '-', '-'], /stdin/],
  ['an address twice', ['bridge', '/tmp/a.sock', '--address', '/tmp/b.sock'], /twice/],
  ['an unknown action', ['-a', 'sing', '-n', 'a:b'], /sing/],
  ['an action without its node', ['-a', 'publish', '-m', '1'], /--node/],
]) {
  test(`wrong usage, exit code 2: ${why}`, LIMIT, async (t) => {
    const { code, stdout, stderr } = await run(t, args);
    assert.deepEqual([code, stdout], [2, '']);
    assert.match(stderr, complaint);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });
}

test('an address is a url, a port, host:port, a host or a path', () => {
  for (const [text, expected] of [
    [undefined, {}],
    ['unix:///run/app.sock', { url: 'unix:///run/app.sock' }],
    ['tcp://127.0.0.1:8221', { url: 'tcp://127.0.0.1:8221' }],
    ['8221', { port: 8221 }],
    ['127.0.0.1:8221', { host: '127.0.0.1', port: 8221 }],
    ['localhost:0', { host: 'localhost', port: 0 }],
    ['[::1]:8221', { host: '::1', port: 8221 }],
    ['::1', { host: '::1' }],
    ['localhost', { host: 'localhost' }],
    ['/run/app.sock', { path: '/run/app.sock' }],
    ['/run/odd:1', { path: '/run/odd:1' }],
    ['app.sock', { path: 'app.sock' }],
  ]) {
    assert.deepEqual(parseAddress(text), expected, text);
  }
});

for (const [kind, address, url] of [
  ['a path', (dir) => path.join(dir, 'b.sock'), /^unix:\/\/.*b\.sock$/],
  ['a url', (dir) => `unix://${path.join(dir, 'b.sock')}`, /^unix:\/\/.*b\.sock$/],
  ['host:port', () => '127.0.0.1:0', /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/],
  ['a port', () => '0', /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/],
]) {
  test(`bridge on ${kind} prints its url, serves, and ends cleanly on SIGINT`, LIMIT, async (t) => {
    const bus = new Bus(t);
    const bridge = launch(t, ['bridge', address(bus.dir)]);
    const [, printed] = await bridge.wrote(/^listening on (\S+)\n/);
    assert.match(printed, url);
    const node = bus.createNode({ url: printed });
    const closed = once(node, 'close');
    await node.ready;
    const { code, stderr } = await bridge.interrupt('SIGINT');
    assert.deepEqual([code, stderr], [0, '']);
    await closed;
  });
}

test('bridge --json says so in JSON; SIGTERM ends it, too', LIMIT, async (t) => {
  const socket = path.join(freshDir(t), 'b.sock');
  const bridge = launch(t, ['bridge', '--address', socket, '--json']);
  await bridge.wrote(/\n/);
  const { code, stdout } = await bridge.interrupt('SIGTERM');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), { event: 'listening', url: `unix://${socket}`, pid: bridge.process.pid });
});

test('bridge at the address of a live one fails with EADDRINUSE', LIMIT, async (t) => {
  const { bus } = await commandLine(t);
  const { code, stderr } = await run(t, ['bridge', bus.path]);
  assert.equal(code, 1);
  assert.match(stderr, /^busybody: EADDRINUSE: /);
});

test('publish sends JSON as values and everything else as text, and prints the reply', LIMIT, async (t) => {
  const { bus, busybody } = await commandLine(t);
  const ann = await bus.node('ann');
  ann.handle('echo', (...args) => args);
  ann.handle('first', (value) => value);
  ann.serve('who', ({ from }) => from);
  const all = await busybody('publish', 'ann:echo', '1', '-2.5', '{"a":[null]}', 'true', 'plain text', '"quoted"', '-', '--', '--id');
  assert.deepEqual([all.code, JSON.parse(all.stdout)], [0, [1, -2.5, { a: [null] }, true, 'plain text', 'quoted', '', '--id']]);
  assert.equal((await busybody('publish', 'ann:first', 'hi there')).stdout, 'hi there\n');
  assert.equal((await busybody('publish', 'ann:first', 'hi there', '--json')).stdout, '"hi there"\n');
  assert.equal((await busybody('publish', 'ann:first', 'null')).stdout, '');
  assert.equal((await busybody('publish', 'ann:first', 'null', '--json')).stdout, 'null\n');
  assert.equal((await busybody('publish', 'ann:who', '--id', 'me')).stdout, 'me\n');
});

test('- is what stdin holds: JSON, text or bytes', LIMIT, async (t) => {
  const { bus, pipe } = await commandLine(t);
  const ann = await bus.node('ann');
  ann.handle('describe', (value) => [Buffer.isBuffer(value) ? 'bytes' : typeof value, value.length ?? value.n]);
  ann.handle('first', (value) => value);
  assert.equal((await pipe('{"n":5}\n', 'publish', 'ann:describe', '-')).stdout, '["object",5]\n');
  assert.equal((await pipe('text\n', 'publish', 'ann:describe', '-')).stdout, '["string",4]\n');
  const bytes = Buffer.from([0xff, 0, 0xfe, 10]);
  assert.equal((await pipe(bytes, 'publish', 'ann:describe', '-')).stdout, '["bytes",4]\n');
  assert.deepEqual((await pipe(bytes, 'publish', 'ann:first', '-')).bytes, bytes);
  assert.deepEqual(JSON.parse((await pipe(bytes, 'publish', 'ann:first', '-', '--json')).stdout), { base64: bytes.toString('base64') });
});

test('an error is the reply: exit code 1, its code and message on stderr', LIMIT, async (t) => {
  const { bus, busybody } = await commandLine(t);
  const ann = await bus.node('ann');
  ann.handle('boom', () => {
    throw Object.assign(new Error('no luck\x1b[2J'), { code: 'ERR_TIMEOUT' });
  });
  const plain = await busybody('publish', 'ann:boom');
  assert.deepEqual([plain.code, plain.stdout, plain.stderr], [1, '', 'busybody: ERR_TIMEOUT: no luck\\u001b[2J\n']);
  const json = await busybody('publish', 'ann:boom', '--json');
  assert.deepEqual(JSON.parse(json.stderr), { error: { code: 'ERR_TIMEOUT', message: 'no luck\x1b[2J' } });
});

test('nobody there, nobody listening: exit code 1', LIMIT, async (t) => {
  const { bus, busybody } = await commandLine(t);
  await bus.node('ann');
  for (const [code, ...args] of [
    ['ERR_UNKNOWN_NODE', 'publish', 'nobody:x'],
    ['ERR_UNKNOWN_NODE', 'publish', 'nobody:x', '--no-reply'],
    ['ERR_NO_LISTENER', 'publish', 'ann:x'],
  ]) {
    const failed = await busybody(...args);
    assert.equal(failed.code, 1, args.join(' '));
    assert.match(failed.stderr, new RegExp(`^busybody: ${code}: .*(nobody|x)`));
  }
});

test('no reply in time: exit code 4; --no-reply does not wait for one', LIMIT, async (t) => {
  const { bus, busybody } = await commandLine(t);
  const ann = await bus.node('ann');
  ann.on('mute', () => {});
  const { code, stderr } = await busybody('publish', 'ann:mute', '--timeout', '100');
  assert.equal(code, 4);
  assert.match(stderr, /^busybody: ERR_TIMEOUT: /);
  const heard = once(ann, 'mute');
  assert.equal((await busybody('publish', 'ann:mute', '7', '--no-reply')).code, 0);
  assert.equal((await heard)[0], 7);
});

for (const args of [['publish', 'a:b'], ['broadcast', 'b'], ['rpc', 'b'], ['listen', 'b'], ['nodes']]) {
  test(`no bridge: ${args[0]} fails soon, exit code 3`, LIMIT, async (t) => {
    const started = Date.now();
    const { code, stdout, stderr } = await run(t, [...args, '--address', path.join(freshDir(t), 'none.sock')]);
    assert.deepEqual([code, stdout], [3, '']);
    assert.match(stderr, /^busybody: ERR_NO_BRIDGE: /);
    assert.ok(Date.now() - started < 10_000);
  });
}

test('a taken --id is an error, exit code 1', LIMIT, async (t) => {
  const { bus, busybody } = await commandLine(t);
  await bus.node('ann');
  const { code, stderr } = await busybody('nodes', '--id', 'ann');
  assert.equal(code, 1);
  assert.match(stderr, /^busybody: ERR_DUPLICATE_NODE: /);
});

test('Ctrl-C while waiting for a reply: the node leaves, exit code 130', LIMIT, async (t) => {
  const { bus, launch: begin } = await commandLine(t);
  const ann = await bus.node('ann');
  const asked = once(ann, 'mute');
  const left = once(bus.bridge, 'node:leave');
  const program = begin('publish', 'ann:mute', '--id', 'asker');
  await asked;
  assert.equal((await program.interrupt('SIGINT')).code, 130);
  assert.equal((await left)[0].id, 'asker');
});

test('the bus closes while waiting for a reply: exit code 3', LIMIT, async (t) => {
  const { bus, launch: begin } = await commandLine(t);
  const ann = await bus.node('ann');
  const asked = once(ann, 'mute');
  const program = begin('publish', 'ann:mute');
  await asked;
  await bus.bridge.close();
  const { code, stderr } = await program.ended;
  assert.equal(code, 3);
  assert.match(stderr, /^busybody: ERR_CLOSED: /);
});

test('broadcast reaches those who listen and prints nothing', LIMIT, async (t) => {
  const { bus, busybody } = await commandLine(t);
  const ann = await bus.node('ann');
  const heard = once(ann, 'news');
  await ann.nodes();
  const { code, stdout, stderr } = await busybody('broadcast', 'news', '{"n":1}', 'two', '--id', 'me');
  assert.deepEqual([code, stdout, stderr], [0, '', '']);
  const [first, second, { from, broadcast }] = await heard;
  assert.deepEqual([first, second, from, broadcast], [{ n: 1 }, 'two', 'me', true]);
});

test('rpc prints what the bridge’s process returns', LIMIT, async (t) => {
  const { bus, busybody } = await commandLine(t);
  bus.bridge.handle('sum', (a, b) => ({ sum: a + b }));
  assert.equal((await busybody('rpc', 'sum', '1', '2')).stdout, '{"sum":3}\n');
  const { code, stderr } = await busybody('rpc', 'product');
  assert.equal(code, 1);
  assert.match(stderr, /^busybody: ERR_NO_METHOD: /);
});

test('listen prints a line of JSON for each event; Ctrl-C ends it, exit code 0', LIMIT, async (t) => {
  const cli = await commandLine(t);
  const ann = await cli.bus.node('ann');
  const listening = await listener(cli, 'news', 'order', '--id', 'ear');
  ann.broadcast('news', 'hot', { n: 1 });
  ann.broadcast('other', 1);
  ann.publish('ear:order', Buffer.from('abc'));
  await listening.wrote(/\n.*\n/);
  const { code, stdout } = await listening.interrupt();
  assert.equal(code, 0);
  assert.deepEqual(linesOf(stdout), [
    { event: 'news', from: 'ann', broadcast: true, args: ['hot', { n: 1 }] },
    { event: 'order', from: 'ann', broadcast: false, args: [{ base64: 'YWJj' }] },
  ]);
});

test('listen --reply answers directed events; --count ends it', LIMIT, async (t) => {
  const cli = await commandLine(t);
  const ann = await cli.bus.node('ann');
  const listening = await listener(cli, 'order', '--id', 'ear', '--reply', '{"ok":true}', '--count', '2');
  assert.deepEqual(await ann.request('ear:order', 1), { ok: true });
  assert.deepEqual(await ann.request('ear:order', 2), { ok: true });
  const { code, stdout } = await listening.ended;
  assert.deepEqual([code, linesOf(stdout).map(({ args }) => args)], [0, [[1], [2]]]);
});

test('listen node:join node:leave tells who comes and goes', LIMIT, async (t) => {
  const cli = await commandLine(t);
  const listening = await listener(cli, 'node:join', 'node:leave', '--count', '2');
  await (await cli.bus.node('ann')).leave();
  const { stdout } = await listening.ended;
  assert.deepEqual(linesOf(stdout).map(({ event, from }) => [event, from]), [['node:join', 'ann'], ['node:leave', 'ann']]);
});

test('listen ends when the bus is closed, exit code 0', LIMIT, async (t) => {
  const cli = await commandLine(t);
  const listening = await listener(cli, 'news');
  await cli.bus.bridge.close();
  const { code, stderr } = await listening.ended;
  assert.equal(code, 0);
  assert.match(stderr, /the bus was closed/);
});

test('listen refuses the events that no other process can send', LIMIT, async (t) => {
  for (const event of RESERVED_EVENTS) {
    if (event.startsWith('node:')) continue;
    const { code, stderr } = await run(t, ['listen', 'news', event]);
    assert.equal(code, 2, event);
    assert.match(stderr, /ERR_RESERVED_EVENT/);
  }
  assert.equal((await run(t, ['broadcast', 'error'])).code, 2);
});

test('a reader that has read enough ends listen, quietly', LIMIT, async (t) => {
  const cli = await commandLine(t);
  const ann = await cli.bus.node('ann');
  const left = once(cli.bus.bridge, 'node:leave');
  const listening = await listener(cli, 'tick', '--reply', '1', '--id', 'ear');
  listening.process.stdout.destroy();
  // The first may find the pipe open still; one of them does not, and ear is gone.
  while (await ann.request('ear:tick').catch(() => false));
  const { code, stderr } = await listening.ended;
  assert.equal(code, 0);
  assert.doesNotMatch(stderr, /EPIPE/);
  assert.equal((await left)[0].id, 'ear');
});

test('nodes prints a table, or with --json a line each, without itself', LIMIT, async (t) => {
  const { bus, busybody } = await commandLine(t);
  await bus.nodes('ann', 'bob');
  const table = (await busybody('nodes')).stdout.trim().split('\n');
  assert.match(table[0], /^ID +PID +UID +ADDRESS +FOR$/);
  assert.deepEqual(table.slice(1).map((row) => row.split(/ +/).slice(0, 2)).sort(), [['ann', `${process.pid}`], ['bob', `${process.pid}`]]);
  const nodes = linesOf((await busybody('nodes', '--json')).stdout);
  assert.deepEqual(nodes.map(({ id, pid }) => [id, pid]).sort(), [['ann', process.pid], ['bob', process.pid]]);
});

test('the flags of the original: --bridge, and the actions under their old and new names', LIMIT, async (t) => {
  const socket = path.join(freshDir(t), 'b.sock');
  const bridge = launch(t, ['--bridge', socket]);
  await bridge.wrote(/listening on unix:/);
  const listening = launch(t, ['listen', 'event', '--id', 'node1', '--reply', '"yes"', '--count', '4', '--address', socket]);
  await listening.wrote(/listening for/);
  const publish = await run(t, ['-e', socket, '-a', 'publish', '-n', 'node1:event', '-m', '{ "msg": "hi" }']);
  assert.deepEqual([publish.code, publish.stdout], [0, 'yes\n']);
  assert.equal((await run(t, ['--endpoint', socket, '--action=tell', '--node', 'node1:event', '--message', 'text'])).stdout, 'yes\n');
  assert.equal((await run(t, ['-e', socket, '-a', 'broadcast', '-n', 'event', '-m', '3'])).code, 0);
  assert.equal((await run(t, ['-e', socket, '-a', 'shout', '-n', 'event'])).code, 0);
  assert.deepEqual(linesOf((await listening.ended).stdout).map(({ args }) => args), [[{ msg: 'hi' }], ['text'], [3], []]);
  const rpc = await run(t, ['-e', socket, '-a', 'rpc', '-n', 'method']);
  assert.equal(rpc.code, 1);
  assert.match(rpc.stderr, /ERR_NO_METHOD/);
  assert.equal((await bridge.interrupt()).code, 0);
});

test('--bridge and -b without an address: the default address', LIMIT, async (t) => {
  const env = { XDG_RUNTIME_DIR: freshDir(t) };
  const bridge = launch(t, ['-b'], { env });
  await bridge.wrote(/listening on unix:/);
  assert.equal((await run(t, ['nodes'], { env })).code, 0);
  const again = await run(t, ['--bridge'], { env });
  assert.match(again.stderr, /EADDRINUSE/);
  assert.equal((await bridge.interrupt()).code, 0);
});
