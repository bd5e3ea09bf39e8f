//! Nodes that wait for others to come: whoever asks for a node that is not there, or does not listen for an event yet, is
//! answered when it is and does.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::member::{Member, MemberKey};
use super::router::Router;
use super::symbols::Symbol;
use crate::error::Code;
use crate::wire::frame::{Encoding, Head, kind, utf8};

/// Nodes that one node may wait for at a time, about 100 bytes each.
const MAX_AWAITED: usize = 4096;

/// Somebody who waits for a node.
#[derive(Debug)]
struct Waiter {
    asker: MemberKey,
    correlation: u32,
    /// The event that it has to listen for; `None`: none.
    event: Option<Rc<str>>,
}

/// All who wait, by the id that they wait for. Bounded by [`MAX_AWAITED`] for each of them.
#[derive(Debug, Default)]
pub struct Arrivals {
    awaited: FxHashMap<Rc<str>, Vec<Waiter>>,
}

impl Arrivals {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.awaited.values().map(Vec::len).sum()
    }

    /// Those who waited for `id`, and for it to listen for nothing but events of which `listens` is true, wait no longer.
    fn take(&mut self, id: &str, listens: impl Fn(&str) -> bool) -> Vec<(MemberKey, u32)> {
        let Some(waiters) = self.awaited.get_mut(id) else { return Vec::new() };
        let mut met = Vec::new();
        waiters.retain(|waiter| {
            let waits = waiter.event.as_deref().is_some_and(|event| !listens(event));
            if !waits {
                met.push((waiter.asker, waiter.correlation));
            }
            waits
        });
        if waiters.is_empty() {
            self.awaited.remove(id);
        }
        met
    }

    fn forget(&mut self, forgets: impl Fn(&Waiter) -> bool) {
        self.awaited.retain(|_, waiters| {
            waiters.retain(|waiter| !forgets(waiter));
            !waiters.is_empty()
        });
    }
}

impl Router {
    /// `asker` asks for the node whose id is the body, listening for `event` if there is one.
    pub(super) fn await_arrival(&mut self, asker: MemberKey, head: &Head, event: Option<Symbol>, body: &[u8]) {
        let Ok(id) = utf8(body) else { return };
        let (id, event): (Rc<str>, _) = (id.into(), event.map(|event| self.symbols.name(event).clone()));
        let waiting = self.arrivals.awaited.values().flatten().filter(|waiter| waiter.asker == asker).count();
        if waiting >= MAX_AWAITED {
            return self.refuse(asker, (None, None), head, Code::QueueFull, "too many nodes are waited for");
        }
        let waiters = self.arrivals.awaited.entry(id.clone()).or_default();
        // A question may be said again, on another link.
        if !waiters.iter().any(|waiter| (waiter.asker, waiter.correlation) == (asker, head.correlation)) {
            waiters.push(Waiter { asker, correlation: head.correlation, event });
        }
        if let Some(awaited) = self.symbols.find(&id).and_then(|id| self.find_member(id)) {
            self.note_arrival(awaited);
        }
    }

    /// A node has joined, or begun to listen for something: those who waited for that are answered.
    pub(super) fn note_arrival(&mut self, key: MemberKey) {
        if self.arrivals.awaited.is_empty() {
            return;
        }
        let everything = self.is_legacy(key);
        let Member { info, interests, .. } = &self.members[key.place as usize];
        let listens =
            |event: &str| everything || self.symbols.find(event).is_some_and(|event| interests.contains(&event));
        let (met, body) = (self.arrivals.take(&info.id, listens), format!("[null,{}]", info.to_json()));
        for (asker, correlation) in met {
            if self.is_member(asker) {
                self.push_from_bridge(asker, kind::REPLY, correlation, None, Encoding::Json, body.clone().into());
            }
        }
    }

    /// `asker` does not wait any longer for what it asked under `correlation`; returns whether it did.
    pub(super) fn cancel_arrival(&mut self, asker: MemberKey, correlation: u32) -> bool {
        let before = self.arrivals.len();
        self.arrivals.forget(|waiter| (waiter.asker, waiter.correlation) == (asker, correlation));
        self.arrivals.len() < before
    }

    /// A node is gone, and waits for nobody.
    pub(super) fn forget_awaited_by(&mut self, asker: MemberKey) {
        self.arrivals.forget(|waiter| waiter.asker == asker);
    }
}
