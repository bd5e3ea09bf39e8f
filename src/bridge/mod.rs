//! The bridge: a pure router, and the thread that drives it.

pub mod counters;
mod flow;
pub mod host;
mod input;
mod interests;
mod legacy;
mod link;
mod member;
mod membership;
mod relay;
pub mod router;
mod routing;
pub mod server;
mod settling;
mod symbols;
