//! A node as the bridge knows it.

use std::collections::VecDeque;

use rustc_hash::{FxHashMap, FxHashSet};

use super::collecting::Collector;
use super::link::LinkKey;
use super::owing::Owed;
use super::own::Own;
use super::rejections::Rejections;
use super::symbols::Symbol;

/// A node's place in the bridge's table, and its number among all that ever had that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemberKey {
    pub(super) place: u32,
    pub(super) incarnation: u32,
}

/// A node on the bus.
#[derive(Debug)]
pub struct Member {
    pub key: MemberKey,
    pub id: Symbol,
    /// Its session; 0: it keeps nothing of what it said.
    pub session: u64,
    /// What proves on another link that it is the same.
    pub secret: u64,
    /// Tells this process from any other that ever has its id, also on later bridges.
    pub identity: u64,
    /// `None`: its link is lost, and its place is kept for a while.
    pub link: Option<LinkKey>,
    pub info: NodeInfo,
    /// LISTEN frames that this node has still to send, also on its next link: until then it lacks what is for it.
    pub expected: u32,
    /// Calls of the host up to this number were made before its place was given up: their answers are lost.
    pub unanswered: u64,
    /// Whether it was on no other bridge before: whoever asked its id on an older one asked somebody else.
    pub fresh: bool,
    /// It waits only until what it said is settled, and then is gone.
    pub leaving: bool,
    /// Events it listens for.
    pub interests: FxHashSet<Symbol>,
    /// Nodes that asked it something, or whose memory it reads: they are told when it is gone, and it when they are.
    /// With the number of the first question that came here.
    pub askers: FxHashMap<MemberKey, u64>,
    /// Bytes of one message that it takes.
    pub max_message: u64,
    /// Whether it wants to hear of memory that others share.
    pub lane: bool,
    /// The highest number of its messages that were routed.
    pub last_seq: u64,
    /// What of others did not reach it.
    pub owed: Owed,
    /// Nodes that this one did not reach.
    pub owing: FxHashSet<MemberKey>,
    /// Nodes that have the beginning of large messages of this one, with the number of the last; 0: they only read its memory.
    pub unfinished: FxHashMap<MemberKey, u64>,
    /// While it is away: since when, in router time, and what the bridge itself has to tell it.
    pub away: Option<Box<Away>>,
    /// What it rejected of what was said to it.
    pub rejections: Rejections,
    /// What it said to those for whom the bridge puts messages together.
    pub collector: Option<Box<Collector>>,
}

/// A node without its link.
#[derive(Debug, Default)]
pub struct Away {
    pub since: u64,
    pub own: VecDeque<Own>,
    pub own_bytes: u64,
    /// Whether more was to be told than may wait: its place is lost.
    pub overflown: bool,
}

/// What others may know of a node: `NodeInfo` of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its id.
    pub id: String,
    /// Its process, by the kernel's word on a Unix socket, else by its own.
    pub pid: Option<u32>,
    /// Its user, where the kernel says.
    pub uid: Option<u32>,
    /// Its address, on TCP.
    pub address: Option<String>,
    /// When it joined, in milliseconds since 1970.
    pub since: u64,
}

impl NodeInfo {
    /// As JSON text.
    pub fn to_json(&self) -> String {
        let mut json = serde_json::Map::new();
        json.insert("id".into(), self.id.as_str().into());
        if let Some(pid) = self.pid {
            json.insert("pid".into(), pid.into());
        }
        if let Some(uid) = self.uid {
            json.insert("uid".into(), uid.into());
        }
        if let Some(address) = &self.address {
            json.insert("address".into(), address.as_str().into());
        }
        json.insert("since".into(), self.since.into());
        serde_json::Value::Object(json).to_string()
    }
}

/// Why a node is no longer on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It said goodbye.
    Left,
    /// Its process ended without a word, or was killed; or its link broke, and it keeps nothing.
    Died,
    /// It did not read while its queue was full.
    Cut,
    /// Its link broke, and it did not come back in time.
    TimedOut,
    /// Its link broke, and another process took its id.
    Replaced,
}

impl Departure {
    /// The reason that 'node:leave' gives.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Died => "died",
            Self::Cut => "cut",
            Self::TimedOut => "timeout",
            Self::Replaced => "replaced",
        }
    }
}
