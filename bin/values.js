'use strict';

const { isUtf8 } = require('node:buffer');
const { UsageError } = require('./exit-codes');

/** What is JSON is that value; everything else is a string. */
function parseValue(text) {
  return isJson(text) ? JSON.parse(text) : text;
}

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The values to send. One of them may be `-`: all of stdin, as JSON, as text, or else as bytes. */
async function parseValues(texts) {
  if (texts.filter((text) => text === '-').length > 1) {
    throw new UsageError('stdin can be read only once: one "-" is enough');
  }
  return Promise.all(texts.map((text) => (text === '-' ? readStdin() : parseValue(text))));
}

async function readStdin() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  // The newline that ends a line of `echo` belongs to the terminal, not to the text.
  return isUtf8(bytes) ? parseValue(bytes.toString().replace(/\r?\n$/, '')) : bytes;
}

module.exports = { isJson, parseValue, parseValues };
