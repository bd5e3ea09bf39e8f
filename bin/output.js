'use strict';

/**
 * What the commands write: results on stdout, errors and notes on stderr.
 * With --json each is one line of JSON, without it what a person or a shell script would like.
 */
function createOutput({ json = false }) {
  return {
    json,
    line: (text) => write(process.stdout, text),
    record: (object) => write(process.stdout, toJson(object)),
    value: (value) => (json ? write(process.stdout, toJson(value)) : writePlain(value)),
    table: (header, rows) => write(process.stdout, layOut([header, ...rows])),
    note: (text) => write(process.stderr, json ? toJson({ note: text }) : `busybody: ${printable(text)}`),
    error: (error) => write(process.stderr, json ? toJson({ error: facts(error) }) : describe(error)),
  };
}

function write(stream, text) {
  stream.write(`${text}\n`);
}

// Text as it is, bytes as they are (`> file`), nothing for nothing, the rest as JSON.
function writePlain(value) {
  if (value === undefined || value === null) return;
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) process.stdout.write(bytesOf(value));
  else if (typeof value === 'string') write(process.stdout, process.stdout.isTTY ? printable(value) : value);
  else write(process.stdout, toJson(value));
}

function describe(error) {
  const text = printable(String(error?.message ?? error));
  return error?.code ? `busybody: ${printable(String(error.code))}: ${text}` : `busybody: ${text}`;
}

function facts(error) {
  return error instanceof Error ? { code: error.code, message: error.message } : { message: error };
}

/** JSON for what JSON lacks, too: bytes as {"base64": …}, errors by their facts, Map and Set as arrays. */
function toJson(value) {
  return JSON.stringify(value, plain) ?? 'null';
}

function plain(key, converted) {
  const value = this[key]; // Before toJSON, which turns a Buffer into an array of numbers.
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return { base64: bytesOf(value).toString('base64') };
  if (value instanceof Error) return { name: value.name, ...facts(value) };
  if (value instanceof Map || value instanceof Set) return [...value];
  if (typeof value === 'bigint') return String(value);
  return converted;
}

function bytesOf(value) {
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

function layOut(rows) {
  const cells = rows.map((row) => row.map((cell) => printable(String(cell ?? '-'))));
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  return cells.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd()).join('\n');
}

// Names and texts come from other processes: none of them gets to drive this terminal.
function printable(text) {
  // eslint-disable-next-line no-control-regex -- control characters are the point
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

module.exports = { createOutput };
