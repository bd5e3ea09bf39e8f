'use strict';

// The contestants, in the order of the table. One file each, all with the same driver:
//
//   name, title, transport      what it is called, what it is, what its bytes travel on
//   packages                    its npm packages, for the report's versions
//   unavailable()               null, or why it cannot run here; called in a process of its own
//   unable(scenario)            null, or why it is not measured there (default: it always is)
//   startHub({ dir, binary })   -> { address, pid? }: the hub of this process (or of the server it spawned: pid)
//   connect(address, id, { binary, objects })  -> link, in the sender's and in each receiver's process
//   forks                       whether there is no hub, and the sender forks the receiver (child-process.js)
//
//   link.listen({ message(payload), request(payload, reply), answer(payload) -> payload })   what arrives for this id
//   link.to(id)  -> { send(payload): boolean, request(payload, callback(err, payload)), ask(payload): Promise of a payload }
//   link.toAll() -> { send(payload): boolean }                   everybody but the sender
//   link.drained() -> Promise                                    after a send said false
//
// A payload is a string, a Buffer where the scenario is `binary`, a plain object where it says `objects`. `request` is
// answered by `request`, `ask` by `answer`: callbacks at both ends, or promises and a handler that returns. `send` says false when the peer's own
// backpressure asks the sender to wait. Each driver uses its library as that library's documentation teaches,
// with the settings that suit it best, and nothing is delayed on purpose.

const NAMES = ['busybody', 'handwritten', 'nats', 'redis', 'node-ipc', 'zeromq', 'socket.io', 'child-process'];

/** The driver called `name`. Loads the peer's module only when the driver is used, so a missing one is no error here. */
function peer(name) {
  if (!NAMES.includes(name)) throw new Error(`no such peer: ${name}`);
  return require(`./${name}.js`);
}

module.exports = { NAMES, peer };
