//! For tests: what a client keeps.

use std::rc::Rc;

use super::client::Client;
use super::outbox::{Destination, Entry, State};
use crate::wire::frame::kind;

impl Client {
    /// A destination to which more is under way than its window allows: one message always is.
    pub fn over_window(&self) -> Option<String> {
        let over = |to: &&Rc<Destination>| !to.node.is_empty() && to.sent.get() > 2 * self.window;
        let sent_to = |to: &Rc<Destination>| {
            let to_it = |entry: &Entry| entry.state == State::Sent && Rc::ptr_eq(&entry.route.to, to);
            self.outbox.unsettled().filter(|(_, entry)| entry.kind != kind::BROADCAST && to_it(entry)).count()
        };
        let over = self.destinations.iter().filter(over).find(|to| sent_to(to) > 1);
        over.map(|to| format!("{} bytes are under way to '{}'", to.sent.get(), to.node))
    }

    /// Whether somebody waits for a 'drain' that is due.
    pub fn drain_is_overdue(&self) -> bool {
        self.need_drain && self.full == 0 && self.unsettled <= self.config.max_pending / 4
    }

    /// What is left when all is settled and all has come: should be nothing.
    pub fn leftovers(&self) -> Vec<(&'static str, u64)> {
        let to = || self.destinations.iter().chain([&self.everyone, &self.bridge]);
        let counts = [
            ("messages", self.outbox.unsettled().count() as u64),
            ("bytes not settled", self.unsettled),
            ("full destinations", self.full as u64),
            ("bytes of destinations", to().map(|to| to.pending.get() + to.sent.get()).sum()),
            ("destinations kept waiting", to().filter(|to| to.kept_from.get().is_some()).count() as u64),
            ("destinations catching up", self.catching_up.len() as u64),
            ("streams", u64::from(!self.outgoing.is_empty())),
            ("what waits behind large messages", u64::from(!self.inbox.is_empty())),
            ("whoever waits for 'drain'", u64::from(self.need_drain)),
        ];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Whether all that it listens for, or no longer, is on its way.
    pub fn has_told_its_interests(&self) -> bool {
        self.queued() == 0 && !self.breaker.has_interests()
    }

    /// What is not settled, for people to read.
    pub fn unsettled(&self) -> Vec<String> {
        let kept = self.outbox.unsettled();
        kept.map(|(seq, entry)| {
            let (kind, to, state) = (entry.kind, &entry.route.to, entry.state);
            format!(
                "{seq}: {kind:#x} to '{}' ({}), {state:?}, kept from {:?}",
                to.node,
                entry.route.event,
                to.kept_from.get()
            )
        })
        .collect()
    }
}
