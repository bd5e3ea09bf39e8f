'use strict';

const { parseArgs } = require('node:util');
const commands = require('./commands');
const { UsageError } = require('./exit-codes');
const { isOriginal, parseOriginal } = require('./original-flags');
const { isJson } = require('./values');

/** The options of every command. `hint` and `help` are for the help text, the rest for parseArgs. */
const GLOBAL_OPTIONS = {
  address: { type: 'string', short: 'e', hint: 'where', help: 'url, socket path, host:port or port' },
  id: { type: 'string', hint: 'name', help: 'the name to join under (default: a UUID)' },
  timeout: { type: 'string', hint: 'ms', help: 'how long to wait for a reply; 0: for ever (default 30000)' },
  json: { type: 'boolean', help: 'write JSON, one line each, errors too' },
  help: { type: 'boolean', short: 'h', help: 'explain the program or one command' },
  version: { type: 'boolean', help: 'print the version' },
};

/** argv → { command, args, options }: the command's name (if any), its arguments, what options say. */
function parseCommandLine(argv) {
  const line = isOriginal(argv)
    ? parseOriginal(argv, GLOBAL_OPTIONS, parseStrictly)
    : parseCommand(argv);
  return { ...line, options: { ...line.options, timeout: parseTimeout(line.options.timeout) } };
}

function parseCommand(argv) {
  const own = Object.assign({}, ...commands.map(({ options }) => options));
  const { values, positionals } = parseStrictly(argv, { ...own, ...GLOBAL_OPTIONS });
  const [name, ...args] = positionals;
  const command = commands.find((candidate) => candidate.name === name);
  for (const option of Object.keys(values)) {
    if (!command || option in GLOBAL_OPTIONS || option in command.options) continue;
    throw new UsageError(`${name} has no option --${option}`);
  }
  return { command: name, args, options: values };
}

// -5 is an argument, not a flag: JSON allows the blank that hides its sign from parseArgs.
function parseStrictly(argv, options) {
  const args = argv.map((arg) => (/^-\d/.test(arg) && isJson(arg) ? ` ${arg}` : arg));
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(error.message.split(/\. |\n/)[0]);
  }
}

function parseTimeout(text) {
  if (text === undefined) return undefined;
  const milliseconds = Number(text);
  if (text.trim() && Number.isInteger(milliseconds) && milliseconds >= 0) return milliseconds;
  throw new UsageError(`--timeout takes whole milliseconds, not "${text}"`);
}

module.exports = { GLOBAL_OPTIONS, parseCommandLine };
