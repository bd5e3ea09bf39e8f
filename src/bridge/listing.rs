//! Who is there, told to nodes in parts that each of them takes.

use std::ops::Bound;

use bytes::Bytes;

use super::member::MemberKey;
use super::registry::Registration;
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
    /// Their identities, likewise.
    identities: String,
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
        let Page { nodes, more_behind, .. } = self.page(after, self.room_for_nodes(asker));
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
        let complete = !self.expects_strangers();
        let (mut after, mut part) = (String::new(), 0);
        loop {
            let Page { nodes, identities, more_behind } = self.page(&after, most);
            let body = match (part, &more_behind) {
                (0, None) => format!("[[{nodes}],[{identities}],{complete}]"),
                (part, more) => format!("[[{nodes}],[{identities}],{complete},{part},{}]", more.is_some()),
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
        let (mut nodes, mut identities) = (String::new(), String::new());
        let mut last: Option<String> = None;
        for Registration { identity, info, .. } in self.present_behind(after) {
            let (json, identity) = (info.to_json(), format!("\"{identity:x}\""));
            if last.is_some() {
                if nodes.len() + identities.len() + json.len() + identity.len() + 2 > most {
                    return Page { nodes, identities, more_behind: last };
                }
                nodes.push(',');
                identities.push(',');
            }
            nodes.push_str(&json);
            identities.push_str(&identity);
            last = Some(info.id);
        }
        Page { nodes, identities, more_behind: None }
    }

    /// All who are there whose ids come behind `after`, by id: nodes on the bus, and those of the bridge before that are
    /// about to come.
    pub(super) fn present_behind(&self, after: &str) -> impl Iterator<Item = Registration> {
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let mut members = self.by_name.range::<str, _>(behind).peekable();
        let mut expected = self.about_to_come(after).peekable();
        std::iter::from_fn(move || {
            let first = match (members.peek(), expected.peek()) {
                (Some((id, _)), Some(next)) => ***id < *next.info.id,
                (member, _) => member.is_some(),
            };
            if !first {
                return expected.next().cloned();
            }
            members.next().map(|(_, key)| self.members[key.place as usize].registration())
        })
    }
}
