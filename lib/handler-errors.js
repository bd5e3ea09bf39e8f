'use strict';

// Failures of handlers that nobody waits for. The sender is not to blame for having asked for no answer, and another process
// must not be able to end this one: the program hears of it by 'handler.error', or else by a warning.

const { tell, warn } = require('./guard.js');

/** Warnings of one event: a sender may go on for ever. */
const MAX_WARNINGS = 10;
/** Events whose warnings are counted; handlers have few. */
const MAX_EVENTS = 1024;

class HandlerErrors {
  #emitter;
  #warnings = new Map();

  constructor(emitter) {
    this.#emitter = emitter;
  }

  /** `from` is empty for an event that was emitted in this process. */
  told = (error, { from, event }) => {
    const about = { from: from || this.#emitter.id, event };
    if (this.#emitter.listenerCount('handler.error') > 0) tell(this.#emitter, 'handler.error', error, about);
    else this.#warn(error, about);
  };

  #warn(error, { from, event }) {
    const count = (this.#warnings.get(event) ?? 0) + 1;
    if (count > MAX_WARNINGS) return;
    if (this.#warnings.size >= MAX_EVENTS) this.#warnings.clear();
    this.#warnings.set(event, count);
    const last = count === MAX_WARNINGS ? ' Further failures of this handler are not warned of.' : '';
    warn(
      `The handler of '${event}' failed for a message from '${from}', and nobody waited for its reply. `
      + `Listen for 'handler.error' to hear of it.${last}`,
      { type: 'BusybodyWarning', code: 'BUSYBODY_HANDLER_FAILED', detail: detailOf(error) },
    );
  }
}

/** The stack, which a program can make anything of. */
function detailOf(error) {
  try {
    return String(error.stack ?? error);
  } catch {
    return 'The error cannot be looked at.';
  }
}

module.exports = { HandlerErrors };
