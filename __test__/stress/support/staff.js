'use strict';

// Worker processes of a stress run, and orders to them. The other side is orders.js.

const path = require('node:path');
const { start } = require('../../support/child');
const { within } = require('./time');

const WORKERS = path.join(__dirname, '..', 'workers');

/** Milliseconds for an answer: only a process that hangs meets it. */
const PATIENCE = 60_000;

/** Starts a program of workers/ with its settings; it ends with the scope. */
function hire(scope, file, settings) {
  return start(scope, path.join(WORKERS, file), settings);
}

/** A process that has nothing but a bridge, once it listens. */
async function hireBridge(scope, options) {
  const bridge = hire(scope, 'bridge.js', options);
  await within(PATIENCE, bridge.next('listening'), 'the bridge does not listen');
  return bridge;
}

/** Gives an order and resolves with the answer to it. */
function ask(worker, order, details = {}) {
  const answer = worker.next(order);
  worker.send({ do: order, ...details });
  return within(PATIENCE, answer, `process ${worker.pid} does not answer '${order}'`);
}

/** The same order to many at once. */
function askAll(workers, order, details) {
  return Promise.all(workers.map((worker) => ask(worker, order, details)));
}

module.exports = { ask, askAll, hire, hireBridge };
