//! A node as the bridge knows it.

use rustc_hash::FxHashSet;

use super::link::LinkKey;
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
    pub link: LinkKey,
    pub info: NodeInfo,
    /// Events it listens for.
    pub interests: FxHashSet<Symbol>,
    /// Nodes that asked it something: they are told when it is gone.
    pub askers: FxHashSet<MemberKey>,
    /// Bytes of one message that it takes.
    pub max_message: u64,
    /// Number of its last message that was routed.
    pub last_seq: u64,
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
    /// Its link broke: the process ended, or was killed.
    Died,
    /// It did not read while its queue was full.
    Cut,
}

impl Departure {
    /// The reason that 'node:leave' gives.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Died => "died",
            Self::Cut => "cut",
        }
    }
}
