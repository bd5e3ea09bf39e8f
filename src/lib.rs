//! busybody: a message bus for the processes of one machine.
//!
//! The rooms, floor by floor; a file imports only from floors below its own (`__test__/floors.test.js` holds it, and
//! `docs/ARCHITECTURE.md` draws it).
//!
//! - 0 `error`: what can go wrong, with stable codes
//! - 1 `address`, `blame`, `wire`, `outqueue`, `pool`, `senders`: values and bytes
//! - 2 `bridge::{symbols, router, …}`, `node::{client, …}`: the two brains, without socket, clock or JavaScript
//! - 3 `transport`: sockets, who owns a path, who may come in; `lane`: large bodies through shared memory
//! - 4 `bridge::server`, `node::link_*`: what drives the brains
//! - 5 `binding`: the only place that knows Node.js

// Without the binding nothing calls the core but its tests.
#![cfg_attr(not(feature = "napi"), allow(dead_code))]

mod address;
mod blame;
mod bridge;
mod error;
mod lane;
mod node;
mod outqueue;
mod pool;
mod senders;
mod transport;
mod wire;

#[cfg(feature = "napi")]
mod binding;

#[cfg(test)]
mod operations_doc_tests;
#[cfg(test)]
mod sim;
