//! Who is on the bus, for the next bridge to read should this one die: each node as it joins, and as it goes.

use super::link::LinkKey;
use super::member::{Member, NodeInfo};
use super::router::Router;

/// A node as bridges know it over a takeover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Tells this process from any other that ever has the id.
    pub identity: u64,
    /// Its session; 0: it keeps nothing of what it said, and ends with its bridge.
    pub session: u64,
    pub info: NodeInfo,
}

impl Registration {
    /// The node is not on the bus any more.
    pub(super) fn gone(&self) -> Change {
        Change::Gone { id: self.info.id.clone(), identity: self.identity }
    }

    /// Whether the node outlives its bridge.
    pub fn is_reliable(&self) -> bool {
        self.session != 0
    }
}

/// What is to be noted for the next bridge.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// The node of this link is on the bus.
    Joined(LinkKey, Registration),
    /// The node that had this id under this identity is not; another may have the id.
    Gone { id: String, identity: u64 },
}

impl Router {
    /// What is to be noted before anything more is written to a link, in this order.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// An identity for a node of this session.
    pub(super) fn identity_of(&self, session: u64) -> u64 {
        let unique = self.welcome.epoch ^ u64::from(self.incarnations).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if session == 0 { unique } else { session }
    }
}

impl Member {
    /// As the next bridge is to know it.
    pub(super) fn registration(&self) -> Registration {
        Registration { identity: self.identity, session: self.session, info: self.info.clone() }
    }
}
