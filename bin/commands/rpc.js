'use strict';

const { parseValues } = require('../values');
const { usageIfRefused } = require('../exit-codes');
const { withNode } = require('../membership');

module.exports = {
  name: 'rpc',
  synopsis: '<method> [json…]',
  summary: 'Call a method of the process that hosts the bus and print what it returns',
  details: 'Text is printed as it is, bytes as they are, everything else as JSON.',
  options: {},
  arity: [1, Infinity],
  examples: ['rpc uptime', 'rpc configure \'{"verbose": true}\' --json'],
  run,
};

async function run(context) {
  const [method, ...texts] = context.args;
  const values = await parseValues(texts);
  await withNode(context, async (node) => {
    context.output.value(await usageIfRefused(() => node.call(method, ...values)));
  });
}
