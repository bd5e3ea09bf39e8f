'use strict';

// Sentences that help whoever is surprised.

const { RESERVED_EVENTS } = require('./errors.js');
const { warn } = require('./guard.js');
const { isEventName } = require('./options.js');

/** Names that are listed of those that a node listens for, and how much of each is shown. */
const MAX_LISTED = 5;
const MAX_SHOWN = 60;

/** What whoever sent `event` to `node`, which does not listen for it, is to know. */
function noListener(node, event) {
  const names = node.eventNames().filter((name) => isEventName(name) && !RESERVED_EVENTS.has(name));
  return `nothing listens for ${quoted(event)} in node ${quoted(node.id)}, which listens for ${listed(names)}`;
}

function listed(names) {
  if (names.length === 0) return 'nothing yet';
  const rest = names.length - MAX_LISTED;
  return names.slice(0, MAX_LISTED).map(quoted).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

function quoted(name) {
  return `'${name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN).toWellFormed()}…` : name}'`;
}

let warnedOfUndeliverable = false;
let warnedOfWildcard = false;

/** A message was lost and nobody hears of it: the first time in a process, that is told, unless the bus was closed. */
function warnOfUndeliverable(id, { target, code }) {
  if (warnedOfUndeliverable || code === 'ERR_CLOSED') return;
  warnedOfUndeliverable = true;
  warn(
    `A message of node ${quoted(id)} to ${quoted(target)} was not delivered (${code}). `
      + "Listen for 'undeliverable' on the node to hear of each such message, or send it with a callback or request().",
    { code: 'BUSYBODY_UNDELIVERABLE' },
  );
}

/** Event names mean themselves. Those who come from other emitters may expect more of a star. */
function warnOfWildcard(event) {
  if (warnedOfWildcard || typeof event !== 'string' || !event.includes('*')) return;
  warnedOfWildcard = true;
  warn(
    `A listener for ${quoted(event)} hears events of exactly that name: busybody has no wildcards. Listen for each event.`,
    { code: 'BUSYBODY_WILDCARD' },
  );
}

module.exports = { noListener, warnOfUndeliverable, warnOfWildcard };
