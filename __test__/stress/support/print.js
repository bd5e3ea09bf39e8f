'use strict';

// How a stress command speaks: a table, what was judged, one last line.

const STYLES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 };

/** paint(style, text): coloured on a terminal; NO_COLOR and FORCE_COLOR are heard. */
function painter(stream, { NO_COLOR, FORCE_COLOR, TERM } = process.env) {
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  const coloured = !NO_COLOR && (forced || (FORCE_COLOR === undefined && Boolean(stream.isTTY) && TERM !== 'dumb'));
  return (style, text) => (coloured ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text);
}

/** Rows of texts, the first row dim; the first column to the left, the others to the right. */
function table(rows, paint) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const line = (cells) => `  ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')}`;
  return rows.map((cells, i) => (i === 0 ? paint('dim', line(cells)) : line(cells)));
}

/**
 * What was judged: { what, said, ok, strict }. Where `strict` is true a miss counts only for those who are strict.
 */
function judgements(list, paint) {
  return list.map(({ what, said, ok, strict }) => {
    const word = strict ? ['missed', 'met   '] : ['FAILED', 'ok    '];
    const style = ok ? 'green' : strict ? 'yellow' : 'red';
    return `  ${paint(style, word[Number(ok)])}  ${what}: ${said}`;
  });
}

/** Whether all is well, for those who are strict or not. */
function passed(list, strict) {
  return list.every(({ ok, strict: lenient }) => ok || (lenient && !strict));
}

module.exports = { judgements, painter, passed, table };
