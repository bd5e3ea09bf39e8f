'use strict';

const { UsageError } = require('./exit-codes');

// Before there were commands there were flags:
//   --bridge [address]
//   --endpoint <address> --action <action> --node <node:event> --message <json or text>
// Scripts still use them. They end up as the same commands as everything else.

const ORIGINAL_OPTIONS = {
  bridge: { type: 'string', short: 'b' },
  endpoint: { type: 'string' }, // -e is the short form of --address, which says the same.
  node: { type: 'string', short: 'n' },
  action: { type: 'string', short: 'a' },
  message: { type: 'string', short: 'm' },
};

const ACTIONS = { publish: 'publish', tell: 'publish', broadcast: 'broadcast', shout: 'broadcast', rpc: 'rpc' };

/** The first word decides: a command's line never starts with one of the original's own flags. */
function isOriginal(argv) {
  const flags = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
  return /^-/.test(argv[0]) && flags.some((arg) => /^(-[bna]|--(bridge|node|action)(=.*)?)$/.test(arg));
}

function parseOriginal(argv, globalOptions, parse) {
  const { values, positionals } = parse(withBridgeValue(argv), { ...globalOptions, ...ORIGINAL_OPTIONS });
  if (positionals.length) throw new UsageError(`"${positionals[0]}" is one argument too many`);

  const { bridge, endpoint, node, action, message, ...options } = values;
  options.address ??= endpoint;
  if (bridge !== undefined) return { command: 'bridge', args: bridge ? [bridge] : [], options };
  return { command: commandFor(action), args: argsFor(node, message), options };
}

// The address after --bridge may be missing, and parseArgs knows no such option.
function withBridgeValue(argv) {
  return argv.flatMap((arg, i) => {
    const next = argv[i + 1];
    const bare = (arg === '--bridge' || arg === '-b') && (next === undefined || next.startsWith('-'));
    return bare ? ['--bridge='] : [arg];
  });
}

function commandFor(action = 'publish') {
  if (!Object.hasOwn(ACTIONS, action)) {
    throw new UsageError(`--action is one of ${Object.keys(ACTIONS).join(', ')}, not "${action}"`);
  }
  return ACTIONS[action];
}

function argsFor(node, message) {
  if (!node) throw new UsageError('--node says where to: node:event, an event to broadcast, or an rpc method');
  return message === undefined ? [node] : [node, message];
}

module.exports = { isOriginal, parseOriginal };
