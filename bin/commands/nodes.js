'use strict';

const { withNode } = require('../membership');

module.exports = {
  name: 'nodes',
  synopsis: '',
  summary: 'Say who is on the bus',
  details: 'A table, or with --json a line each. This program itself is left out.',
  options: {},
  arity: [0, 0],
  examples: ['nodes', 'nodes --json | jq .id'],
  run,
};

async function run(context) {
  const { output } = context;
  await withNode(context, async (node) => {
    const others = (await node.nodes()).filter(({ id }) => id !== node.id);
    if (output.json) return others.forEach(output.record);
    const rows = others.map(({ id, pid, uid, address, since }) => [id, pid, uid, address, age(since)]);
    output.table(['ID', 'PID', 'UID', 'ADDRESS', 'FOR'], rows);
  });
}

// The largest unit says enough: nobody reads the seconds of a node that joined last week.
function age(since) {
  const seconds = Math.max(0, Math.round((Date.now() - since) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}
