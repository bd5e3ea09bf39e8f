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
