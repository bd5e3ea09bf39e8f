'use strict';

// The report on the terminal.

const { short, times } = require('./format.js');
const { US } = require('./summary.js');

/** The whole report as text. `colour`: whether the terminal shows it. */
function table(report, { colour }) {
  const paint = painter(colour);
  const parts = [
    heading(report, paint),
    ...report.scenarios.map((scenario) => section(scenario, report.peers, paint)),
    memory(report.memory, paint),
    skipped(report.skipped, paint),
    verdict(report.verdict, paint),
  ];
  return `${parts.filter(Boolean).join('\n\n')}\n`;
}

function painter(colour) {
  const code = (number) => (text) => (colour ? `\u001b[${number}m${text}\u001b[0m` : text);
  return { bold: code(1), dim: code(2), red: code(31), green: code(32), yellow: code(33) };
}

function heading({ machine, settings, warnings }, paint) {
  const line = `${machine.cores} cores (${machine.cpu}), ${machine.platform} ${machine.arch}, node ${machine.node}`;
  const rounds = `${settings.rounds} round${settings.rounds === 1 ? '' : 's'} of ${settings.duration} ms after ${settings.warmUp} ms of warm-up: medians (lowest – highest)`;
  return [paint.dim(line), paint.dim(rounds), ...warnings.map((warning) => paint.yellow(`! ${warning}`))].join('\n');
}

function section(scenario, peers, paint) {
  const [main] = scenario.figures;
  const header = ['', ...scenario.figures.map(({ key, unit }) => (key === 'rate' ? unit : `${key} ${unit}`)), 'spread', 'busybody is'];
  const rows = Object.keys(peers)
    .filter((peer) => main.peers[peer] || scenario.failures[peer])
    .map((peer) => row(scenario, peer));
  const lines = align([header, ...rows]).map((line, i) => {
    if (i === 0) return paint.dim(line);
    return rows[i - 1][0] === US ? paint.bold(line) : line;
  });
  const failures = Object.entries(scenario.failures).map(([peer, reasons]) => paint.red(`  ${peer} failed: ${[...new Set(reasons)].join(' | ')}`));
  return [`${paint.bold(scenario.title)}  ${paint.dim(scenario.what)}`, ...lines, ...failures].join('\n');
}

function row({ figures }, peer) {
  const [main] = figures;
  const cell = main.peers[peer];
  if (!cell) return [peer, ...figures.map(() => 'failed'), '', ''];
  const ratio = peer === US || cell.ratio === undefined ? '' : `${times(cell.ratio)} ${main.better === 'lower' ? 'as quick' : 'as fast'}`;
  return [peer, ...figures.map(({ peers }) => short(peers[peer].median)), `${short(cell.min)} – ${short(cell.max)}`, ratio];
}

/** First column to the left, the others to the right. */
function align(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  return rows.map((cells) => `  ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')}`.trimEnd());
}

function memory(results, paint) {
  if (!results) return null;
  const lines = results.map(({ peer, error, nodes, kibPerNode, residentKiB, cpu }) => (error
    ? paint.red(`  ${peer} failed: ${error}`)
    : `  ${peer}: ${kibPerNode.toFixed(2)} KiB per node (${nodes} nodes, hub ${(residentKiB.before / 1024).toFixed(1)} → ${(residentKiB.after / 1024).toFixed(1)} MiB), `
      + `idle CPU: hub ${cpu.bridge.toFixed(3)} %, all nodes ${cpu.nodes.toFixed(3)} %`));
  return [paint.bold('Idle bus'), ...lines].join('\n');
}

function skipped(list, paint) {
  if (list.length === 0) return null;
  return [paint.bold('Skipped'), ...list.map(({ name, reason }) => paint.yellow(`  ${name}: ${reason}`))].join('\n');
}

function verdict(judged, paint) {
  if (judged.length === 0) return null;
  const lines = judged.map(({ target, measured, unit, passed }) => {
    const said = measured === null ? 'not measured' : `${measured} ${unit}`;
    if (passed === null) return paint.dim(`  –     ${target}: ${said}`);
    return passed ? `  ${paint.green('pass')}  ${target}: ${said}` : `  ${paint.red('MISS')}  ${target}: ${said}`;
  });
  return [paint.bold('Targets'), ...lines].join('\n');
}

module.exports = { table };
