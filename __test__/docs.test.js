'use strict';

// The documentation is true: its examples run and print what they say, its dumps are the wire, its lists are complete.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { once } = require('node:events');
const { LIMIT, freshDir, openBus } = require('./support/bus');
const { Conversation } = require('./support/conversation');
const { FORMATS, decode } = require('../lib/values.js');
const { join } = require('./support/journey');
const { PAGES, ROOT, anchors, blocks, links, read } = require('./support/pages');
const { start } = require('./support/program');

// ---- examples --------------------------------------------------------------------------------------------------
// A block that begins with `// name.js` is a file. The files of a section run side by side: each is started when the
// one before has printed all it promises, and the last must end by itself. Any other block is the inside of an async
// function, and a page may begin with a block of lines that all of these share. `//=> text` is a line that is printed.

const SHARED = /^\/\/ Shared by the examples/;
const FILE = /^\/\/ ([\w-]+\.m?js)\n/;

for (const page of PAGES) {
  const examples = blocks(page, 'js');
  const shared = examples.find(({ text }) => SHARED.test(text))?.text ?? '';
  const programs = bySection(examples.filter(({ text }) => FILE.test(text)));

  for (const [heading, parts] of programs) {
    test(`${page}: ${heading}: ${parts.map(({ text }) => FILE.exec(text)[1]).join(', ')}`, LIMIT, async (t) => {
      const dir = workshop(t);
      const [last, ...others] = parts.map(({ text }) => text).reverse();
      for (const text of others.reverse()) {
        await run(t, dir, FILE.exec(text)[1], text).wrote(new RegExp(`^${promised(text).map(escape).join('\n')}$`, 'm'));
      }
      await kept(run(t, dir, FILE.exec(last)[1], last), promised(last));
    });
  }
  for (const { text, line } of examples.filter((example) => !FILE.test(example.text) && !SHARED.test(example.text))) {
    test(`${page}:${line}: ${text.split('\n')[0]}`, LIMIT, async (t) => {
      const source = `process.chdir(__dirname);\n(async () => {\n${shared}${text}})().then(() => process.exit(), (error) => { throw error; });\n`;
      await kept(run(t, workshop(t), 'example.js', source), promised(text));
    });
  }
}

/** A folder in which require('busybody') finds this package. */
function workshop(t) {
  const dir = freshDir(t);
  fs.mkdirSync(path.join(dir, 'node_modules'));
  fs.symlinkSync(ROOT, path.join(dir, 'node_modules', 'busybody'), 'dir');
  return dir;
}

function run(t, dir, name, source) {
  const file = path.join(dir, name);
  fs.writeFileSync(file, source);
  // A bus of its own: the examples use the default address.
  return start(t, process.execPath, [file], { env: { XDG_RUNTIME_DIR: dir } });
}

function promised(text) {
  return [...text.matchAll(/\/\/=> (.*)$/gm)].map(([, line]) => line);
}

async function kept(program, lines) {
  const { code, stdout, stderr } = await program.ended;
  assert.deepEqual([code, stderr], [0, ''], stdout);
  assert.deepEqual(stdout.split('\n').slice(0, -1), lines);
}

function bySection(examples) {
  const sections = new Map();
  for (const example of examples) sections.set(example.heading, [...(sections.get(example.heading) ?? []), example]);
  return sections;
}

function escape(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

// ---- the wire --------------------------------------------------------------------------------------------------

const CLOSE = 0x0d;

test('docs/PROTOCOL.md: the conversation on the binary wire, byte by byte', LIMIT, async (t) => {
  const bus = await openBus(t);
  bus.bridge.handle('add', (a, b) => a + b);
  const conversation = new Conversation(t, { path: bus.path });
  const dumps = blocks('docs/PROTOCOL.md', 'wire').map(parseDump);
  assert.ok(dumps.length > 30);
  let epoch; // of the bridge: the one thing that a node says and that differs each time
  for (const { from, to, rows, bytes, ends, breaks, line } of dumps) {
    if (bytes[4] === CLOSE) bus.bridge.close(['good night']); // the one thing that nobody says on the wire
    if (breaks) conversation.breaks(from);
    else if (from !== 'bridge') await conversation.say(from, Buffer.from(rows.flatMap((row) => (row.bytes[0] === null ? epoch : row.bytes))));
    else {
      const got = await conversation.hear(to, bytes, `the dump at line ${line}`);
      const row = rows.findIndex(({ note }) => note === 'epoch');
      const at = rows.slice(0, row).flatMap((before) => before.bytes).length;
      if (row !== -1) epoch = [...got.subarray(at, at + 8)];
    }
    if (ends) await conversation.ends(to, `the dump at line ${line}`);
  }
  conversation.done();
});

test('docs/PROTOCOL.md: the conversation on the original’s wire, message by message', LIMIT, async (t) => {
  const bus = await openBus(t);
  const ben = bus.createNode({ ...bus.address, id: 'ben' }); // listens for nothing but what the page says
  await ben.ready;
  const conversation = new Conversation(t, { path: bus.path });
  const [{ text }] = blocks('docs/PROTOCOL.md', 'nul');
  const outcomes = [];
  let id; // what stands as ID in the page: a number of ben's, which it begins to count anywhere
  for (const line of text.split('\n').filter(Boolean)) {
    const [, action, value] = /^# (.+?)(?: is (.+))?$/.exec(line) ?? [];
    const [, from, to, message] = /^(\w+) → (\w+) {2}(.+)$/.exec(line) ?? [];
    if (action !== undefined) {
      const result = new Function('ben', 'bridge', 'once', `return ${action}`)(ben, bus.bridge, once);
      if (value !== undefined) outcomes.push(result.then((got) => assert.equal(String([got].flat()[0]), value, action)));
      if (action.startsWith('once')) await ben.nodes(); // what ben listens for is known from here on
    } else if (message === undefined) await conversation.ends(/ to (\w+)\)$/.exec(line)[1], line);
    else if (to === 'bridge') await conversation.say(from, Buffer.from(message.replace('ID,', `${id},`).replace('␀', '\0')));
    else if (message.includes('ID,')) {
      const said = (await conversation.message(to)).toString();
      id = /"ben",([1-9]\d*),/.exec(said)?.[1];
      assert.equal(said, message.replace('ID,', `${id},`).replace('␀', '\0'), line);
    }
    else await conversation.hear(to, [...Buffer.from(message.replace('␀', '\0'))], line);
  }
  await Promise.all(outcomes);
  assert.equal(outcomes.length, 2);
  conversation.done();
});

test('docs/PROTOCOL.md: in its notes, quoted text and numbers are what the bytes say', () => {
  for (const { rows, line } of blocks('docs/PROTOCOL.md', 'wire').map(parseDump)) {
    rows.forEach(({ bytes, note }, i) => {
      const where = `${note}, in the dump at line ${line}`;
      const [, quoted] = /("(?:[^"\\]|\\.)*")$/.exec(note) ?? [];
      if (quoted !== undefined && !/^(peer|event) /.test(note)) {
        const all = Buffer.from([bytes, ...followers(rows, i)].flat()).toString();
        assert.ok(all.endsWith(JSON.parse(quoted)), where);
      }
      const [, number] = /^[\w ]+ (\d+)(?::.*)?$/.exec(note) ?? [];
      if (number !== undefined) assert.equal(little(bytes), Number(number), where);
    });
  }
});

test('docs/PROTOCOL.md: the packed message is what we write and read', () => {
  const { rows } = blocks('docs/PROTOCOL.md', 'wire').map(parseDump).find((dump) => dump.rows.some(({ note }) => note === 'kind 18'));
  const body = Buffer.from(rows.slice(rows.findIndex(({ note }) => note.startsWith('attachments'))).flatMap(({ bytes }) => bytes));
  const sent = [Buffer.from([1, 2, 3]), new Date(5), new Map([['a', undefined]])];
  assert.deepEqual(decode(1, body), sent);
  assert.deepEqual(join(FORMATS.values.pack(sent)), body);
});

/** The dump's rows: { bytes, note }; a byte that differs each time is null. */
function parseDump({ text, line }) {
  const [title, ...lines] = text.trimEnd().split('\n');
  const [, from, to] = /^(\w+) → (\w+)$/.exec(title);
  const ends = lines.at(-1).includes('(the bridge closes the connection)');
  const breaks = lines.at(-1).includes('(the connection breaks)');
  const rows = lines.slice(0, ends || breaks ? -1 : undefined).map((row) => {
    const [, hex, note = ''] = /^ {2}((?:(?:[0-9a-f]{2}|xx) ?)+?)(?: {2,}(.+))?$/.exec(row);
    return { bytes: hex.trim().split(' ').map((byte) => (byte === 'xx' ? null : parseInt(byte, 16))), note };
  });
  return { from, to, rows, ends, breaks, line, bytes: rows.flatMap(({ bytes }) => bytes) };
}

/** Rows without a note go on with the row above. */
function followers(rows, i) {
  const next = rows.findIndex(({ note }, at) => at > i && note !== '');
  return rows.slice(i + 1, next === -1 ? undefined : next).map(({ bytes }) => bytes);
}

function little(bytes) {
  return bytes.reduceRight((number, byte) => number * 256 + byte, 0);
}

// ---- what must be complete -------------------------------------------------------------------------------------

const typings = fs.readFileSync(path.join(ROOT, 'index.d.ts'), 'utf8');

/** The names that an interface of index.d.ts has. */
function members(name) {
  const [, body] = new RegExp(`export (?:interface|class) ${name}\\b[^{]*\\{([^]*?)^\\}`, 'm').exec(typings);
  return [...body.matchAll(/^ {2}(?:readonly )?'?([\w:.]+)'?\??(?:<[^>]*>)?[(:]/gm)].map(([, member]) => member);
}

for (const [what, names] of [
  ['error code', typings.match(/'(ERR_\w+|ABORT_ERR)'/g).map((code) => code.slice(1, -1))],
  ['option', ['Address', 'Limits', 'BridgeOptions', 'NodeOptions', 'CallOptions'].flatMap(members)],
  ['event', ['BridgeEvents', 'NodeEvents'].flatMap(members)],
  ['member', ['Bridge', 'Node', 'Reply', 'NodeInfo', 'RpcCall', 'Undeliverable'].flatMap(members)],
]) {
  test(`docs/API.md names every ${what} of index.d.ts`, () => {
    assert.ok(names.length > 5, names.join());
    const page = read('docs/API.md');
    const missing = names.filter((name) => name !== 'constructor' && !new RegExp(`\`(?:\\w+\\.)?${escape(name)}\\b`).test(page));
    assert.deepEqual([...new Set(missing)], []);
  });
}

test('docs/API.md has no error code that the package has not', () => {
  const known = typings.match(/(ERR_\w+|ABORT_ERR)/g);
  const named = PAGES.flatMap((page) => read(page).match(/\b(ERR_[A-Z_]+|ABORT_ERR)\b/g) ?? []);
  assert.deepEqual([...new Set(named)].filter((code) => !known.includes(code)), ['ERR_NATIVE_ADDON']);
});

test('docs/OPERATIONS.md names every environment variable and every counter', async (t) => {
  const page = read('docs/OPERATIONS.md');
  const sources = ['native.cjs', ...fs.readdirSync(path.join(ROOT, 'lib'), { recursive: true }).map((file) => path.join('lib', file))];
  const text = sources.filter((file) => /\.c?js$/.test(file)).map((file) => fs.readFileSync(path.join(ROOT, file), 'utf8')).join('');
  const variables = [...text.matchAll(/process\.env\.(\w+)/g)].map(([, name]) => name);
  const { bridge } = await openBus(t);
  for (const name of [...variables, 'XDG_RUNTIME_DIR', ...Object.keys(bridge.stats())]) assert.ok(page.includes(`\`${name}\``), name);
});

test('docs/OPERATIONS.md names every command and every exit code', () => {
  const page = read('docs/OPERATIONS.md');
  for (const { name, synopsis } of require('../bin/commands')) assert.ok(page.includes(`busybody ${name} ${synopsis}`.trim()), name);
  for (const code of Object.values(require('../bin/exit-codes').EXIT)) assert.match(page, new RegExp(`^\\| ${code} \\| `, 'm'));
});

test('every link within the repository leads somewhere', () => {
  for (const page of PAGES) {
    for (const { file, anchor } of links(page)) {
      assert.ok(fs.existsSync(path.join(ROOT, file)), `${page}: ${file}`);
      if (anchor !== undefined) assert.ok(anchors(file).includes(anchor), `${page}: ${file}#${anchor}`);
    }
  }
});
