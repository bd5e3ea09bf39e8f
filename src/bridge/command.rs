//! What passes between a bridge's thread and the process that hosts it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::host::Caller;
use super::member::{Departure, NodeInfo};
use crate::error::{Code, Error};
use crate::wire::frame::Encoding;
use crate::wire::time_left::TimeLeft;

/// What the host's process hears of its bridge, from the bridge's thread.
#[derive(Debug)]
pub enum HostEvent {
    /// Somebody calls a method of the host.
    Call { caller: Caller, from: String, method: String, encoding: Encoding, time_left: TimeLeft, body: Bytes },
    /// A caller does not wait any longer, and why.
    Cancelled { caller: Caller, code: Code },
    /// A node is on the bus.
    Joined(NodeInfo),
    /// A node is no longer on the bus.
    Left(NodeInfo, Departure),
    /// Something went wrong that does not end the bridge.
    Trouble(Error),
    /// The bridge has ended.
    Ended,
}

/// What the host's process tells its bridge.
#[derive(Debug)]
pub enum Command {
    /// The answer to a call.
    Answer { caller: Caller, encoding: Encoding, body: Bytes },
    /// There is no answer to a call.
    Refuse { caller: Caller, method: String, code: Code, text: String },
    /// A call of so many bytes was taken off the queue.
    Took(usize),
    /// The bus ends.
    Close { encoding: Encoding, body: Bytes },
    /// This bridge ends; the bus goes on without it.
    HandOver,
}

/// The nodes of a bus by id, for any thread to read.
pub type Roster = Arc<Mutex<BTreeMap<String, NodeInfo>>>;
