'use strict';

const { DEFAULT_ADDRESS } = require('..');
const { GLOBAL_OPTIONS } = require('./arguments');
const commands = require('./commands');
const { EXIT_MEANINGS } = require('./exit-codes');

/** `busybody --help`: everything at one glance. */
function overview() {
  return [
    'busybody: a message bus for the processes of one machine',
    '',
    'usage: busybody <command> [arguments] [options]',
    '',
    ...section('commands', commands.map(({ name, synopsis, summary }) => [`${name} ${synopsis}`, summary])),
    ...section('options', optionRows(GLOBAL_OPTIONS)),
    `  The address when none is given: ${DEFAULT_ADDRESS}`,
    '',
    'An argument that is JSON is that value, any other is a string; - is what stdin holds.',
    '',
    ...section('exit codes', EXIT_MEANINGS),
    ...section('the flags of the original still work', [
      ['-b, --bridge [address]', 'as bridge'],
      ['-e, --endpoint <address>', 'as --address'],
      ['-a, --action <action>', 'publish (or tell), broadcast (or shout), rpc'],
      ['-n, --node <node:event>', 'to whom; the event for broadcast, the method for rpc'],
      ['-m, --message <json>', 'what'],
    ]),
    'busybody help <command> says more about one command.',
  ].join('\n');
}

/** `busybody help <command>`. */
function helpFor({ name, synopsis, summary, details, options, examples }) {
  return [
    `usage: busybody ${name} ${synopsis} [options]`,
    '',
    ...wrapped(`${summary}. ${details}`),
    '',
    ...section('options', optionRows({ ...options, ...GLOBAL_OPTIONS })),
    'examples',
    ...examples.map((example) => `  busybody ${example}`),
  ].join('\n');
}

function section(title, rows) {
  const width = Math.max(...rows.map(([term]) => String(term).length));
  return [title, ...rows.map(([term, text]) => `  ${String(term).padEnd(width)}  ${text}`), ''];
}

function optionRows(options) {
  return Object.entries(options).map(([name, { short, hint, help }]) => {
    const dashed = short ? `-${short}, --${name}` : `    --${name}`;
    return [hint ? `${dashed} <${hint}>` : dashed, help];
  });
}

function wrapped(text, width = 80) {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`.trimStart();
    if (line.length > width) lines.push(word);
    else lines[lines.length - 1] = line;
  }
  return lines;
}

module.exports = { helpFor, overview };
