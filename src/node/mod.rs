//! A node: a pure client, and what drives it.

pub mod body;
mod breaker;
mod cancel;
pub mod client;
mod delivering;
pub mod event;
mod inbox;
pub mod lane;
pub mod link;
pub mod link_task;
#[cfg(feature = "napi")]
pub mod link_uv;
mod outbox;
mod outgoing;
#[cfg(test)]
mod probe;
mod receiving;
mod requests;
mod resuming;
mod saying;
mod segments;
pub mod sending;
mod sharing;
mod terms;
mod untaken;
