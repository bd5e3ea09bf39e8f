'use strict';

// The other end of actor.js, inside the processes of the demo.

/** Does what the director asks for: `deeds` by name, each async, with its arguments. */
function followDirections(deeds) {
  process.once('disconnect', abandon);
  process.on('message', async ({ call, deed, args }) => {
    try {
      process.send({ call, value: await deeds[deed](...args) });
    } catch ({ code, message }) {
      process.send({ call, error: { code, message } });
    }
  });
}

/** Tells the director something unasked; resolves when it is on its way. */
function tell(news, value) {
  return new Promise((resolve) => process.send({ news, value }, resolve));
}

/** Without this channel nothing but the bus keeps the process alive. */
function stopFollowing() {
  process.off('disconnect', abandon);
  process.disconnect();
}

// The director has died: no process of the demo outlives it.
function abandon() {
  process.exit(1);
}

module.exports = { followDirections, stopFollowing, tell };
