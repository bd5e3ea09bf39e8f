//! The bridge: a pure router, and the thread that drives it.

mod absence;
mod alertness;
mod arrivals;
mod collecting;
pub mod command;
pub mod counters;
mod deferred;
mod flow;
mod grace;
pub mod host;
mod input;
mod interests;
mod legacy;
mod link;
mod listing;
mod member;
mod membership;
mod owing;
mod own;
pub mod registry;
mod rejections;
mod relay;
pub mod router;
mod routing;
mod runs;
pub mod server;
mod settling;
mod sharing;
mod symbols;
mod undelivered;
mod unfinished;
mod watching;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub mod probe;
#[cfg(test)]
mod router_tests;
