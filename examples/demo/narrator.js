'use strict';

// How the demo speaks: who, what, and what was measured, one line each.

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 };
const VOICES = { bridge: 'bold', ada: 'cyan', ben: 'yellow', cleo: 'magenta', dora: 'green', eve: 'blue' };

const WHAT_WIDTH = 55;

/** A narrator for this stream. Coloured on a terminal; NO_COLOR and FORCE_COLOR are heard. */
function createNarrator(stream, env = process.env) {
  const paint = painter(wantsColor(stream, env));
  const write = (text = '') => stream.write(`${text}\n`);
  // Wherever somebody's name appears, it has their colour.
  const named = (text) => text.replace(/\b(bridge|ada|ben|cleo|dora|eve)\b/g, (name) => paint(VOICES[name], name));
  let scenes = 0;

  return {
    title: (text) => write(`\n${paint('bold', text)}`),
    scene: (text) => write(`\n${paint('dim', `${++scenes}`)}  ${paint('bold', text)}`),
    line: (text, figure = '') => {
      const gap = ' '.repeat(Math.max(1, WHAT_WIDTH - text.length));
      write(`   ${named(text)}${figure && gap + paint('dim', figure)}`.trimEnd());
    },
    table: (rows) => rows.forEach((row, i) => write(`   ${paint(i ? undefined : 'dim', row)}`)),
    success: (text) => write(`\n${paint('green', '✓')} ${text}\n`),
    failure: (text) => write(`\n${paint('red', '✗')} ${text}\n`),
  };
}

function wantsColor(stream, { NO_COLOR, FORCE_COLOR, TERM }) {
  if (NO_COLOR) return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return Boolean(stream.isTTY) && TERM !== 'dumb';
}

function painter(colored) {
  return (style, text) => (colored && style ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text);
}

module.exports = { createNarrator };
