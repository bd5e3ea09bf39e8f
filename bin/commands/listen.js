'use strict';

const { once } = require('node:events');
const { parseValue } = require('../values');
const { UsageError } = require('../exit-codes');
const { withNode } = require('../membership');

module.exports = {
  name: 'listen',
  synopsis: '<event…>',
  summary: 'Print a line of JSON for each event that arrives',
  details:
    'A line has event, from, broadcast and args. node:join and node:leave tell who comes and goes. ' +
    'Without --reply a sender that waits for one waits in vain. Ends on Ctrl-C, after --count events, ' +
    'or when the bus is closed.',
  options: {
    reply: { type: 'string', hint: 'json', help: 'what to reply to each directed event' },
    count: { type: 'string', hint: 'n', help: 'end after n events' },
  },
  arity: [1, Infinity],
  examples: ['listen news', 'listen order --id kitchen --reply \'"coming up"\'', 'listen node:join node:leave'],
  endless: true,
  run,
};

const PRESENCE = ['node:join', 'node:leave'];

// These speak of the listener itself and never come from another process.
const OWN_EVENTS = [
  'error', 'close', 'connect', 'disconnect', 'reconnect', 'drain', 'leave.force', 'error.reconnect',
  'undeliverable', 'handler.error', 'newListener', 'removeListener',
];

async function run(context) {
  const { args, options, output } = context;
  const events = new Set(args);
  const own = OWN_EVENTS.find((event) => events.has(event));
  if (own) throw new UsageError(`no other process can send "${own}"`, 'ERR_RESERVED_EVENT');
  const count = parseCount(options.count);

  await withNode(context, async (node) => {
    const closed = once(node, 'close');
    const counted = new Promise((resolve) => subscribe(node, events, options, printer(output, count, resolve)));
    reportLink(node, output);
    await node.ready;
    output.note(`listening for ${args.join(', ')} as ${node.id}`);
    await Promise.race([counted, closed.then(() => output.note('the bus was closed'))]);
  });
}

function parseCount(text = 'Infinity') {
  const count = Number(text);
  if (count >= 1) return count;
  throw new UsageError(`--count takes a number from 1, not "${text}"`);
}

function printer(output, count, done) {
  let left = count;
  return (line) => {
    if (left-- > 0) output.record(line);
    if (left <= 0) done();
  };
}

function subscribe(node, events, { reply: answer }, print) {
  for (const event of events) {
    if (PRESENCE.includes(event)) {
      node.on(event, ({ id, ...facts }, ...reason) => print({ event, from: id, broadcast: true, args: [facts, ...reason] }));
      continue;
    }
    node.on(event, (...args) => {
      const reply = args.pop();
      if (answer !== undefined && !reply.broadcast) reply(null, parseValue(answer));
      print({ event, from: reply.from, broadcast: reply.broadcast, args });
    });
  }
}

function reportLink(node, output) {
  node.on('disconnect', () => output.note('the connection is lost; trying again'));
  node.on('reconnect', () => output.note('connected again'));
}
