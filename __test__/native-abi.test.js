'use strict';

// The numbers that JavaScript and the addon share are written down on both sides: here each is compared with the Rust source.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const abi = require('../lib/native-abi.js');

const source = (...file) => fs.readFileSync(path.join(__dirname, '..', 'src', ...file), 'utf8');

/** A part of a Rust source between braces, from a line that begins with `opening`. */
function block(text, opening) {
  const start = text.indexOf(`\n${opening}`) + 1;
  assert.ok(start > 0, `no ${opening} in the Rust source`);
  return text.slice(start, text.indexOf('\n}', start));
}

/** The numbers of `const NAME: type = 1;` in it. */
function constants(text) {
  const found = text.matchAll(/const (\w+): [ui]\d+ = (?:1 << )?(\w+|i32::MIN);/g);
  return Object.fromEntries([...found].map(([, name, value]) => [name, value === 'i32::MIN' ? -(2 ** 31) : Number(value)]));
}

/** The numbers of `Name = 1,` in it, by names as constants have them. */
function variants(text) {
  const found = text.matchAll(/^\s+(\w+) = (\d+),$/gm);
  return Object.fromEntries([...found].map(([, name, value]) => [name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase(), Number(value)]));
}

const binding = source('binding', 'abi.rs');
const dispatch = constants(block(binding, 'pub mod dispatch {'));
const send = constants(block(binding, 'pub mod send {'));

test('kinds of messages are those of the wire', () => {
  const kinds = constants(block(source('wire', 'frame.rs'), 'pub mod kind {'));
  for (const [name, number] of Object.entries(abi.KIND)) assert.equal(number, kinds[name], name);
});

test('encodings are those of the wire', () => {
  const encodings = variants(block(source('wire', 'frame.rs'), 'pub enum Encoding {'));
  for (const [name, number] of Object.entries(abi.ENCODING)) assert.equal(number, encodings[name], name);
});

test('codes of refusals are those of the core', () => {
  const text = source('error.rs');
  const codes = variants(block(text, 'pub enum Code {'));
  for (const [number, [code]] of abi.REFUSALS) {
    const [name] = Object.entries(codes).find(([, each]) => each === number);
    assert.equal(code, `ERR_${name}`);
  }
  assert.equal(abi.TOO_LARGE, codes.TOO_LARGE);
});

test('notices are those of the binding, and all of them', () => {
  assert.deepEqual({ ...abi.NOTICE }, variants(block(source('binding', 'dispatch.rs'), 'pub enum Notice {')));
});

test('forms and encodings of what is sent stand where the binding reads them', () => {
  assert.deepEqual({ ...abi.FORM }, { BYTES: send.FORM_BYTES << send.FORM_SHIFT, STRING: send.FORM_STRING << send.FORM_SHIFT });
  assert.equal(abi.packEncoding(3), 3 << send.ENCODING_SHIFT);
  assert.equal(abi.RETRY, send.RETRY);
});

test('the head of what is delivered is read as the binding packs it', () => {
  const { MESSAGE, BROADCAST, REPLY, NOTICE } = dispatch;
  assert.deepEqual({ ...abi.DISPATCH }, { MESSAGE, BROADCAST, REPLY, NOTICE });
  const pack = (kind, encoding, from, event, plain) => (
    kind | encoding << dispatch.ENCODING_SHIFT | from << dispatch.FROM_SHIFT | event << dispatch.EVENT_SHIFT | plain << dispatch.PLAIN_SHIFT
  );
  const cases = [[MESSAGE, 0, 0, 0, 0], [BROADCAST, 3, 0xfff, 0, 0], [REPLY, 1, 0, 0xfff, 1], [BROADCAST, 2, 0xaaa, 0x555, 1]];
  for (const [kind, encoding, from, event, plain] of cases) {
    const head = pack(kind, encoding, from, event, plain);
    const read = [abi.kindOf(head), abi.encodingOf(head), abi.fromSlot(head), abi.eventSlot(head), abi.isPlain(head)];
    assert.deepEqual(read, [kind, encoding, from, event, plain === 1]);
    assert.equal(abi.flowOf(head), pack(kind, 0, from, event, 0));
  }
  const { UNDELIVERABLE } = abi.NOTICE;
  assert.equal(abi.noticeHead(UNDELIVERABLE), NOTICE | UNDELIVERABLE << dispatch.NOTICE_SHIFT);
  assert.equal(abi.noticeOf(abi.noticeHead(UNDELIVERABLE)), UNDELIVERABLE);
});
