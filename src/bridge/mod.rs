//! The bridge: a pure router, and the thread that drives it.

pub mod counters;
mod interests;
mod legacy;
mod link;
mod member;
mod relay;
pub mod router;
pub mod server;
mod settling;
mod symbols;
