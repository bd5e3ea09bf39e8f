//! For tests: what the router remembers, and the types its driver needs.

pub use super::link::{LinkKey, Peer};
pub use super::member::Departure;
use super::router::Router;

impl Router {
    /// What is left when everyone has gone: should be nothing.
    pub fn leftovers(&self) -> Vec<(&'static str, usize)> {
        let counts = [
            ("links", self.links.len()),
            ("members", self.members.len()),
            ("ids", self.by_id.len()),
            ("listeners to everything", self.interests.listeners(None).count()),
            ("names", self.symbols.len()),
            ("settlements", usize::from(!self.settlements.is_empty())),
            ("links that others wait for", self.full),
            ("dirty links", self.dirty.len()),
            ("events", self.events.len()),
            ("bytes of calls", self.host_pending),
        ];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Whether others wait for this link.
    pub fn holds_others(&self, link: LinkKey) -> bool {
        !self.links[link.0 as usize].holding.is_empty()
    }

    /// How many nodes wait to hear when the link's node goes.
    pub fn askers_of(&self, link: LinkKey) -> usize {
        let member = self.links[link.0 as usize].member;
        member.map_or(0, |member| self.members[member.place as usize].askers.len())
    }
}
