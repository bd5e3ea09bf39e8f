'use strict';

// The chart for the README: a panel for each scenario, a bar for each peer, a whisker from the lowest to the highest
// round. It brings its own background, so it reads on light and dark pages also where prefers-color-scheme is not known.

const { short } = require('./format.js');
const { US } = require('./summary.js');

const WIDTH = 880;
const MARGIN = 24;
const COLUMNS = 2;
const GAP = 28;
const PANEL_WIDTH = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS;
const LABELS = 96;
const VALUES = 64;
const BARS = PANEL_WIDTH - LABELS - VALUES;
const BAR = 14;
const ROW = 21;
const PANEL_HEAD = 50;
const HEAD = 74;
const FOOT = 34;

const STYLE = `
  text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; font-size: 12px; fill: #24292f }
  .page { fill: #ffffff; stroke: #d0d7de }
  .title { font-size: 18px; font-weight: 600 }
  .panel { font-size: 13.5px; font-weight: 600 }
  .quiet { fill: #57606a }
  .small { font-size: 11px }
  .ours-text { font-weight: 600 }
  .bar { fill: #afb8c1 }
  .ours { fill: #2f81f7 }
  .whisker { stroke: #57606a; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .page { fill: #0d1117; stroke: #30363d }
    .quiet { fill: #9198a1 }
    .bar { fill: #57606a }
    .ours { fill: #388bfd }
    .whisker { stroke: #9198a1 }
  }`;

/** The chart of a report as one SVG document. */
function svg(report) {
  const rows = Math.ceil(report.scenarios.length / COLUMNS);
  const panelHeight = PANEL_HEAD + ROW * Object.keys(report.peers).length + 14;
  const height = HEAD + rows * panelHeight + FOOT;
  const panels = report.scenarios.map((scenario, i) => panel(scenario, report.peers, {
    x: MARGIN + (i % COLUMNS) * (PANEL_WIDTH + GAP),
    y: HEAD + Math.floor(i / COLUMNS) * panelHeight,
  }));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="busybody and its peers, measured">`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="8"/>`,
    text(MARGIN, 36, 'busybody and what people use today', 'title'),
    text(MARGIN, 56, 'Sender, hub and receiver in separate processes. Bars: median of the rounds; whiskers: lowest and highest.', 'quiet'),
    ...panels,
    text(MARGIN, height - 16, foot(report), 'quiet small'),
    '</svg>',
    '',
  ].join('\n');
}

function foot({ machine, settings, skipped }) {
  const missing = skipped.length > 0 ? ` · not there: ${skipped.map(({ name }) => name).join(', ')}` : '';
  const rounds = settings.rounds === 1 ? '1 round' : `${settings.rounds} interleaved rounds`;
  return `${machine.cores} cores (${machine.cpu}), ${machine.platform} ${machine.arch}, node ${machine.node}, ${rounds}${missing}`;
}

function panel(scenario, peers, { x, y }) {
  const [figure] = scenario.figures;
  const measured = Object.values(figure.peers);
  const scale = BARS / Math.max(...measured.map(({ max }) => max), Number.MIN_VALUE);
  const bars = Object.keys(peers).map((peer, i) => bar(peer, figure, scale, { x, y: y + PANEL_HEAD + i * ROW }));
  const name = figure.key === 'rate' ? '' : ` (${figure.key})`;
  return [
    text(x, y + 18, `${scenario.title}${name}`, 'panel'),
    text(x, y + 35, `${figure.unit}, ${figure.better === 'lower' ? 'shorter' : 'longer'} is better`, 'quiet small'),
    ...bars,
  ].join('\n');
}

function bar(peer, { peers }, scale, { x, y }) {
  const ours = peer === US ? ' ours-text' : '';
  const label = text(x + LABELS - 8, y + 11, peer, `small${ours}`, 'end');
  const start = x + LABELS;
  const cell = peers[peer];
  if (!cell) return `${label}\n${text(start, y + 11, 'not measured', 'quiet small')}`;
  const middle = y + BAR / 2;
  return [
    label,
    `<rect class="${peer === US ? 'ours' : 'bar'}" x="${start}" y="${y}" width="${pixels(Math.max(1, cell.median * scale))}" height="${BAR}" rx="2"/>`,
    `<path class="whisker" d="M${pixels(start + cell.min * scale)} ${middle}H${pixels(start + cell.max * scale)}"/>`,
    text(pixels(start + cell.max * scale + 6), y + 11, short(cell.median), `small${ours}`),
  ].join('\n');
}

const pixels = (number) => Number(number.toFixed(1));

function text(x, y, content, style, anchor) {
  return `<text x="${pixels(x)}" y="${pixels(y)}" class="${style}"${anchor ? ` text-anchor="${anchor}"` : ''}>${escape(content)}</text>`;
}

const escape = (content) => content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

module.exports = { svg };
