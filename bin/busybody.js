#!/usr/bin/env node
'use strict';

const { version } = require('../package.json');
const { parseCommandLine } = require('./arguments');
const commands = require('./commands');
const { EXIT, UsageError, exitCodeOf } = require('./exit-codes');
const { helpFor, overview } = require('./help');
const { Interrupted, watchInterruptions } = require('./interruption');
const { createOutput } = require('./output');

main(process.argv.slice(2)).then(exit);

/** Runs one command line; resolves with its exit code. */
async function main(argv) {
  let output = createOutput({ json: argv.includes('--json') });
  try {
    const line = parseCommandLine(argv);
    output = createOutput(line.options);
    return await run(line, output);
  } catch (error) {
    output.error(error);
    if (error instanceof UsageError) output.note('see busybody --help');
    return exitCodeOf(error);
  }
}

async function run({ command: name, args, options }, output) {
  if (options.version) return output.line(version);
  if (options.help || name === 'help') return output.line(help(name === 'help' ? args[0] : name));
  if (!name) {
    process.stderr.write(`${overview()}\n`);
    return EXIT.USAGE;
  }

  const command = commandNamed(name);
  checkCount(command, args);
  const interruption = watchInterruptions();
  try {
    return await command.run({ args, options, output, interruption });
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    return command.endless ? EXIT.OK : error.exitCode;
  }
}

function help(name) {
  return name ? helpFor(commandNamed(name)) : overview();
}

function commandNamed(name) {
  const command = commands.find((candidate) => candidate.name === name);
  if (!command) throw new UsageError(`there is no command "${name}"`);
  return command;
}

function checkCount({ name, synopsis, arity: [least, most] }, { length }) {
  if (length < least || length > most) {
    throw new UsageError(`the number of arguments is wrong: busybody ${name} ${synopsis}`.trimEnd());
  }
}

// A pipe still holds what was written last: exiting before it is empty would cut the output short.
function exit(code) {
  process.stdout.write('', () => process.exit(code || EXIT.OK));
}
