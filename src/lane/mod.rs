//! Large bodies between two nodes of one machine, through shared memory: only a small notice travels by socket.
//!
//! A sender has one [`Arena`], a sealed memfd. It writes a body into an [`Extent`] of it and tells the receiver the
//! extent; the receiver copies it out through its [`View`], which it opens once from the sender's [`Offer`]. The
//! sender frees the extent when it knows that nobody will read it any more. Who tells whom, and when, is the
//! caller's: nothing here knows sockets, frames or the clock.
//!
//! Whatever fails (another system, user, machine or container, a full arena) is an error or `None`, and the body
//! travels by socket. The other side is not trusted: an offer or an extent made to crash, block or fool the receiver
//! is an error, and bytes are copied before anything looks at them.
//!
//! `slots` says which memory is free, `memfd` makes and finds the memory, `map` is where memory is touched.

mod arena;
mod layout;
mod shared;
mod slots;
mod view;

#[cfg(target_os = "linux")]
mod map;
#[cfg(target_os = "linux")]
mod memfd;
#[cfg(not(target_os = "linux"))]
#[path = "absent.rs"]
mod memfd;

#[cfg(all(test, target_os = "linux"))]
mod tests;

#[cfg(test)]
use crate::wire::lane::{Extent, Offer};
#[cfg(test)]
use arena::Arena;
#[cfg(feature = "napi")]
pub use shared::SharedMemory;
#[cfg(test)]
use view::View;
