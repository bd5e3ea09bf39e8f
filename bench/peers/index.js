'use strict';

// The contestants, in the order of the table. One file each, all with the same driver:
//
//   name, title, transport      what it is called, what it is, what its bytes travel on
//   packages                    its npm packages, for the report's versions
//   unavailable()               null, or why it cannot run here; called in a process of its own
//   startHub({ dir, binary })   -> { address, pid? }: the hub of this process (or of the server it spawned: pid)
//   connect(address, id, { binary })  -> link, in the sender's and in each receiver's process
//
//   link.listen({ message(payload), request(payload, reply) })   what arrives for this id
//   link.to(id)  -> { send(payload): boolean, request(payload, callback(err, payload)) }
//   link.toAll() -> { send(payload): boolean }                   everybody but the sender
//   link.drained() -> Promise                                    after a send said false
//
// A payload is a string, or a Buffer where the scenario is `binary`. `send` says false when the peer's own
// backpressure asks the sender to wait. Each driver uses its library as that library's documentation teaches,
// with the settings that suit it best, and nothing is delayed on purpose.

const NAMES = ['busybody', 'handwritten', 'nats', 'redis', 'node-ipc', 'zeromq', 'socket.io'];

/** The driver called `name`. Loads the peer's module only when the driver is used, so a missing one is no error here. */
function peer(name) {
  if (!NAMES.includes(name)) throw new Error(`no such peer: ${name}`);
  return require(`./${name}.js`);
}

module.exports = { NAMES, peer };
