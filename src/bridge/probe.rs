//! For tests: what the router remembers, and the types its driver needs.

pub use super::link::{LinkKey, Peer};
pub use super::member::{Departure, MemberKey};
pub use super::registry::{Change, Registration};
use super::router::Router;
use std::collections::BTreeSet;

impl Router {
    /// What is left when everyone has gone: should be nothing.
    pub fn leftovers(&self) -> Vec<(&'static str, usize)> {
        let counts = [
            ("links", self.links.len()),
            ("members", self.members.len()),
            ("ids", self.by_id.len()),
            ("ids in order", self.by_name.len()),
            ("listeners to everything", self.interests.listeners(None).count()),
            ("names", self.symbols.len()),
            ("settlements", usize::from(!self.settlements.is_empty())),
            ("links that others wait for", self.full),
            ("receivers that wait for their senders", self.owed_to.len()),
            ("nodes that are away", self.away),
            ("nodes that are not ready", self.not_ready.len()),
            ("awaited", self.absent.len()),
            ("waiters", self.arrivals.len()),
            ("grace", usize::from(self.grace.is_some())),
            ("dirty links", self.dirty.len()),
            ("events", self.events.len()),
            ("bytes of calls", self.host_pending),
        ];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Who is on the bus.
    pub fn ids(&self) -> BTreeSet<String> {
        self.members.iter().map(|(_, member)| member.info.id.clone()).collect()
    }

    /// The ids of all who are there, those of the bridge before that are about to come included.
    pub fn present_ids(&self) -> BTreeSet<String> {
        self.present_behind("").map(|there| there.info.id).collect()
    }

    /// The id of the node that speaks on a link, if it is on the bus.
    pub fn id_on(&self, link: LinkKey) -> Option<String> {
        let member = self.links[link.0 as usize].member?;
        Some(self.members[member.place as usize].info.id.clone())
    }

    /// Whether anybody may come of whom nobody knows.
    pub fn awaits_anybody(&self) -> bool {
        self.expects_strangers()
    }

    /// Who is leaving while others are expected: they do not get its broadcasts.
    pub fn leaving_early(&self) -> Vec<String> {
        let leaving = self.members.iter().filter(|(_, member)| member.leaving && self.is_taking_over());
        leaving.map(|(_, member)| member.info.id.clone()).collect()
    }

    /// Nodes of which the bridge does not know whether their process lives: those without a link, and those expected.
    pub fn doubtful(&self) -> Vec<(Registration, Option<MemberKey>)> {
        let away = self.members.iter().filter(|(_, member)| member.link.is_none());
        let away = away.map(|(_, member)| (member.registration(), Some(member.key)));
        away.chain(self.about_to_come("").map(|expected| (expected.clone(), None))).collect()
    }

    /// Who owes what to whom, for people to read.
    pub fn debts(&self) -> Vec<String> {
        let members = self.members.iter().filter(|(_, member)| !member.owed.is_empty());
        members.map(|(_, member)| format!("{}: {:?}", member.info.id, member.owed)).collect()
    }

    /// What a node listens for, as the bridge knows it.
    pub fn interests_of(&self, id: &str) -> Vec<String> {
        let member = self.symbols.find(id).and_then(|id| self.find_member(id));
        let interests = member.map(|member| &self.members[member.place as usize].interests);
        interests.into_iter().flatten().map(|&event| self.symbols.name(event).to_string()).collect()
    }

    /// How many nodes wait to hear when the link's node goes.
    pub fn askers_of(&self, link: LinkKey) -> usize {
        let member = self.links[link.0 as usize].member;
        member.map_or(0, |member| self.members[member.place as usize].askers.len())
    }

    /// How many nodes read the memory of the link's node, or wait for the rest of something of it.
    pub fn readers_of(&self, link: LinkKey) -> usize {
        let member = self.links[link.0 as usize].member;
        member.map_or(0, |member| self.members[member.place as usize].unfinished.len())
    }

    /// How many wait to hear of somebody who is not there yet.
    pub fn watchers(&self) -> usize {
        self.absent.values().map(super::grace::Absent::watchers).sum()
    }
}
