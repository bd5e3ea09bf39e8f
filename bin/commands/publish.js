'use strict';

const { parseValues } = require('../values');
const { usageIfRefused } = require('../exit-codes');
const { withNode } = require('../membership');
const { sendAndSettle } = require('../settling');

module.exports = {
  name: 'publish',
  synopsis: '<node:event> [json…]',
  summary: 'Send an event to one node and print its reply',
  details:
    'Text is printed as it is, bytes as they are, everything else as JSON. ' +
    'With --no-reply it ends as soon as the bus has the event: that nobody has that name ' +
    'is an error still, that the node does not listen goes unnoticed.',
  options: { 'no-reply': { type: 'boolean', help: 'do not wait for a reply' } },
  arity: [1, Infinity],
  examples: [
    'publish kitchen:order \'{"dish": "ramen"}\' 4',
    'publish printer:page - < page.pdf',
    'publish ada:nudge --no-reply',
  ],
  run,
};

async function run(context) {
  const [target, ...texts] = context.args;
  const values = await parseValues(texts);
  await withNode(context, async (node) => {
    if (context.options['no-reply']) return sendAndSettle(node, () => node.publish(target, ...values));
    context.output.value(await usageIfRefused(() => node.request(target, ...values)));
  });
}
