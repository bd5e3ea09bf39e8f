//! Dialogues with a router, frame by frame: what it answers, to whom, and what it does not put up with.

mod awaiting;
mod bus;
mod cancelling;
mod deferring;
mod ending;
mod flow;
mod forging;
mod joining;
mod large;
mod listing;
mod reaching;
mod rejecting;
mod resuming;
mod runs;
mod takeover;
mod watching;
