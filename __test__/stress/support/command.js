'use strict';

// A stress run as a command: flags in, a page and an exit code out.

const { parseArgs } = require('node:util');
const { judgements, painter, passed } = require('./print');
const { scoped } = require('./scope');

const STRICT = { default: false, about: 'limits of time count for the exit code, too' };

class UsageError extends Error {}

/**
 * Runs it if `module` is the program, and not only required.
 * `about`: what it does. `flags`: { name: { default, about } }, numbers, or booleans where the default is one.
 * `run(options, scope)` resolves to a result with `judged` (see print.js); `page(result, paint)` makes its lines.
 */
async function command(module, { name, about, flags, run, page }) {
  if (require.main !== module) return;
  const all = { ...flags, strict: STRICT };
  try {
    const options = parse(all, process.argv.slice(2));
    if (options.help) return console.log(help(name, about, all));
    const result = await scoped((scope) => run({ ...options, progress }, scope));
    process.exitCode = conclude(name, result, page, options.strict);
  } catch (error) {
    console.error(error instanceof UsageError ? `${name}: ${error.message}` : error);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

/** Said on stderr, so that stdout has the verdict alone. */
function progress(text) {
  console.error(painter(process.stderr)('dim', text));
}

function conclude(name, result, page, strict) {
  const paint = painter(process.stdout);
  const well = passed(result.judged, strict);
  const last = well ? paint('green', `✓ ${name}: all is well`) : paint('red', `✗ ${name}: not all is well`);
  console.log(['', ...page(result, paint), '', ...judgements(result.judged, paint), '', last].join('\n'));
  return well ? 0 : 1;
}

function parse(flags, argv) {
  const isSwitch = (flag) => typeof flag.default === 'boolean';
  const spec = Object.entries(flags).map(([flag, settings]) => [flag, { type: isSwitch(settings) ? 'boolean' : 'string' }]);
  let values;
  try {
    ({ values } = parseArgs({ args: argv, options: { ...Object.fromEntries(spec), help: { type: 'boolean' } } }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const read = ([flag, settings]) => [flag, isSwitch(settings) ? values[flag] ?? false : number(flag, values[flag], settings)];
  return { help: values.help, ...Object.fromEntries(Object.entries(flags).map(read)) };
}

function number(flag, text, settings) {
  const value = text === undefined ? settings.default : Number(text);
  if (text?.trim() === '' || !Number.isFinite(value) || value < (settings.least ?? 0)) {
    throw new UsageError(`--${flag} takes a number of ${settings.least ?? 0} or more, not ${JSON.stringify(text)}`);
  }
  return value;
}

function help(name, about, flags) {
  const lines = Object.entries(flags).map(([flag, { about: text, default: usual, unsaid }]) => {
    const shown = typeof usual === 'boolean' ? flag : `${flag} <n>`;
    return `  --${shown.padEnd(16)} ${text}${typeof usual === 'boolean' || unsaid ? '' : ` (default ${usual})`}`;
  });
  return `Usage: npm run ${name} -- [options]\n\n${about}\n\n${lines.join('\n')}\n  --${'help'.padEnd(16)} this text\n`;
}

module.exports = { UsageError, command };
