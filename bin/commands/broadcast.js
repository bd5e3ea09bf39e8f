'use strict';

const { parseValues } = require('../values');
const { withNode } = require('../membership');
const { sendAndSettle } = require('../settling');

module.exports = {
  name: 'broadcast',
  synopsis: '<event> [json…]',
  summary: 'Send an event to every node that listens for it',
  details: 'Prints nothing: a broadcast has no reply.',
  options: {},
  arity: [1, Infinity],
  examples: ['broadcast news "the oven is hot"', 'broadcast plan - < plan.json'],
  run,
};

async function run(context) {
  const [event, ...texts] = context.args;
  const values = await parseValues(texts);
  await withNode(context, (node) => sendAndSettle(node, () => node.broadcast(event, ...values)));
}
