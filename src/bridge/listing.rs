//! Who is there, told to nodes in parts that each of them takes.

use bytes::Bytes;

use super::member::MemberKey;
use super::router::Router;
use crate::error::Code;
use crate::wire::frame::{Encoding, Head, kind};

/// Bytes that every node takes of what the bridge says about nodes, even if it says that it takes less: one node must fit
/// in, whose id alone may have 1530 bytes as JSON.
pub const LEAST_TAKEN: u64 = 4096;

/// Room for what stands around the nodes of one part.
const AROUND: u64 = 64;

/// The event by which those who listen for presence learn who is there.
const ROSTER_EVENT: &str = "node:roster";

/// A part of the list.
#[derive(Debug)]
struct Page {
    /// The nodes as JSON, with commas between them.
    nodes: String,
    /// The last of them, if others come behind it.
    more_behind: Option<String>,
}

impl Router {
    /// Answers who is on the bus, from the id behind `after` on: as many as the asker takes.
    pub(super) fn send_roster(&mut self, asker: MemberKey, head: &Head, after: &str) {
        let Some(link) = self.members[asker.place as usize].link else { return };
        // Whom others filled up to the bound may still ask.
        if self.links[link.0 as usize].is_full(2 * self.limits.max_pending) {
            // One read may ask ten thousand times, and each answer is long.
            return self.refuse(asker, (None, None), head, Code::QueueFull, "earlier answers wait");
        }
        let Page { nodes, more_behind } = self.page(after, self.room_for_nodes(asker));
        let more = if more_behind.is_some() { ",true" } else { "" };
        let body = format!("[null,[{nodes}]{more}]").into();
        self.push_from_bridge(asker, kind::REPLY, head.correlation, None, Encoding::Json, body);
    }

    /// Tells a node that listens for presence who is there.
    pub(super) fn list_members(&mut self, to: MemberKey) {
        if !self.is_member(to) {
            return;
        }
        let most = self.room_for_nodes(to);
        let event = self.symbols.acquire(ROSTER_EVENT);
        let (mut after, mut part) = (String::new(), 0);
        loop {
            let Page { nodes, more_behind } = self.page(&after, most);
            let body = match (part, &more_behind) {
                (0, None) => format!("[[{nodes}]]"),
                (part, more) => format!("[[{nodes}],{part},{}]", more.is_some()),
            };
            self.push_from_bridge(to, kind::BROADCAST, 0, Some(event), Encoding::Json, Bytes::from(body));
            part += 1;
            match more_behind {
                Some(last) => after = last,
                None => break,
            }
        }
        self.symbols.release(event);
    }

    /// Bytes of nodes that fit in one part for `to`.
    fn room_for_nodes(&self, to: MemberKey) -> usize {
        let most = self.most_taken_by(to).max(LEAST_TAKEN) - AROUND;
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// The nodes behind `after`, by id, as many as `most` bytes hold; one in any case.
    fn page(&self, after: &str, most: usize) -> Page {
        let mut nodes = String::new();
        let mut last: Option<&str> = None;
        for (id, key) in self.by_name.range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded)) {
            let info = self.members[key.place as usize].info.to_json();
            if let Some(last) = last
                && nodes.len() + 1 + info.len() > most
            {
                return Page { nodes, more_behind: Some(last.to_owned()) };
            }
            if last.is_some() {
                nodes.push(',');
            }
            nodes.push_str(&info);
            last = Some(id);
        }
        Page { nodes, more_behind: None }
    }
}
