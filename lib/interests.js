'use strict';

// Which events a node listens for, as far as the bridge is concerned: it is told of each one, once when it begins and once
// when it ends, and lets a node listen for so many.

const { warnOfWildcard } = require('./advice.js');
const { PRESENCE_EVENTS, RESERVED_EVENTS, invalidArg } = require('./errors.js');
const { isEventName } = require('./options.js');

/** Events that one node may listen for: the bridge remembers no more of anybody. */
const MAX_INTERESTS = 10_000;

class Interests {
  #events = new Set();
  #listen;
  #presenceUnheard;

  /** `listen(event, listens)` tells the bridge; `presenceUnheard()` is called when nothing listens for presence any more. */
  constructor(listen, presenceUnheard) {
    this.#listen = listen;
    this.#presenceUnheard = presenceUnheard;
  }

  /** The events, as they are now. */
  list() {
    return [...this.#events];
  }

  /** Throws before anything is registered if the bridge would not let this node listen for one more event. */
  check(event) {
    const few = this.#events.size < MAX_INTERESTS - PRESENCE_EVENTS.size;
    if (few || this.#events.has(event) || !isInterest(event)) return;
    const after = new Set(this.#events).add(event);
    // Of presence the bridge is always told both sides.
    if ([...PRESENCE_EVENTS].some((each) => after.has(each))) PRESENCE_EVENTS.forEach((each) => after.add(each));
    if (after.size <= MAX_INTERESTS) return;
    throw invalidArg('event', `one of the ${MAX_INTERESTS} that a node may listen for`, event, 'argument');
  }

  /** Something `listens` for `event` from now on, or nothing does. Returns whether that is news for the bridge. */
  update(event, listens) {
    if (listens === this.#events.has(event) || !isInterest(event)) return false;
    if (listens) warnOfWildcard(event);
    if (listens) this.#events.add(event);
    else this.#events.delete(event);
    if (PRESENCE_EVENTS.has(event)) this.#updatePresence();
    else this.#listen(event, listens);
    return true;
  }

  /** A node that hears of one side of presence hears of both, or could not tell what changed while there was no bridge. */
  #updatePresence() {
    const listens = [...PRESENCE_EVENTS].some((event) => this.#events.has(event));
    for (const event of PRESENCE_EVENTS) this.#listen(event, listens);
    if (!listens) this.#presenceUnheard();
  }
}

/**
 * Whether the bridge is told of listeners for it. Presence comes as broadcasts of the bridge: listening for it is an
 * interest like any other. What no peer can send needs none: the listener is for events emitted in this process.
 */
function isInterest(event) {
  return RESERVED_EVENTS.has(event) ? PRESENCE_EVENTS.has(event) : isEventName(event);
}

module.exports = { Interests };
