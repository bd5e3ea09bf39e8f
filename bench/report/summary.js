'use strict';

// From the rounds' figures to what every report shows: medians, spread, ratios against busybody.

const US = 'busybody';

/**
 * [{ name, title, what, figures: [{ key, unit, better, peers: { peer: { median, min, max, values, ratio? } } }],
 *    failures: { peer: [reason] } }]
 * `ratio` is how many times better busybody did: over 1 it did better.
 */
function summarize(results, scenarios) {
  return results.map(({ name, cells }) => {
    const { title, what, figures } = scenarios.find((scenario) => scenario.name === name);
    return {
      name,
      title,
      what,
      figures: figures.map((figure) => ({ ...figure, peers: withRatios(figure, perPeer(figure.key, cells)) })),
      failures: Object.fromEntries(Object.entries(cells).filter(([, { failures }]) => failures.length > 0).map(([peer, { failures }]) => [peer, failures])),
    };
  });
}

function perPeer(key, cells) {
  const measured = Object.entries(cells).filter(([, { figures }]) => figures.length > 0);
  return Object.fromEntries(measured.map(([peer, { figures }]) => [peer, spread(figures.map((figure) => figure[key]))]));
}

function spread(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return { median: median(sorted), min: sorted[0], max: sorted.at(-1), values };
}

function median(sorted) {
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function withRatios({ better }, peers) {
  const ours = peers[US]?.median;
  if (ours === undefined) return peers;
  const ratio = (theirs) => (better === 'lower' ? theirs / ours : ours / theirs);
  return Object.fromEntries(Object.entries(peers).map(([peer, figure]) => [peer, { ...figure, ratio: ratio(figure.median) }]));
}

module.exports = { summarize, US };
