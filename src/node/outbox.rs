//! What a node has said and is not sure of: every message, by number, until the bridge calls it settled. After a lost
//! link, whatever bridge is there next, these are said again, in order.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;

use super::segments::Place;
use super::terms::Terms;
use crate::wire::control::charge;
use crate::wire::lane::Extent;

/// Whom messages go to, and how many bytes of them are not settled.
#[derive(Debug)]
pub struct Destination {
    /// The receiver's id; empty: everyone, or the bridge.
    pub node: Rc<str>,
    /// Bytes that are not settled.
    pub pending: Cell<u64>,
    /// Those of them that were sent on this link.
    pub sent: Cell<u64>,
    /// Whether `pending` exceeds the window, and has not fallen to half of it since.
    pub full: Cell<bool>,
    /// The first number that is kept back until the receiver has room; `None`: nothing is.
    pub kept_from: Cell<Option<u64>>,
    /// Whether it reads our memory.
    pub terms: Cell<Terms>,
}

/// "node:event".
#[derive(Debug)]
pub struct Route {
    pub event: Rc<str>,
    pub to: Rc<Destination>,
    /// The slots of both names, and the state of the table they belong to.
    pub slots: Cell<(u16, u16)>,
    pub generation: Cell<u32>,
}

/// A message that is not settled.
#[derive(Clone, Debug)]
pub struct Entry {
    pub route: Rc<Route>,
    pub correlation: u32,
    pub kind: u8,
    pub flags: u8,
    pub state: State,
    /// Its body; of a large message see [`Outbox::large`].
    pub place: Place,
}

impl Entry {
    /// It counts as not said on this link; returns whether it did before.
    pub fn forget_sent(&mut self) -> bool {
        let sent = self.state == State::Sent;
        if sent {
            self.state = State::Waiting;
        }
        sent
    }
}

/// What a message was that is settled now.
#[derive(Debug)]
pub struct Settled {
    pub entry: Entry,
    /// Whether it was said on this link.
    pub was_sent: bool,
    /// Its body, if it was a large one.
    pub large: Option<Large>,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not said on this link.
    Waiting,
    /// Said on this link.
    Sent,
    /// No longer of interest.
    Settled,
}

/// Entries for which an idle outbox keeps room: as many as a window of small messages takes, 1 MiB.
const KEPT_ENTRIES: usize = 32 * 1024;

/// Settled entries that may lie behind one that is not, 160 KiB of them, before those in front are put elsewhere.
const MAX_SETTLED: usize = 4096;

/// What a message counts until it is settled.
#[derive(Clone, Copy, Debug)]
pub struct Weight {
    /// Among all that its sender keeps.
    pub total: u64,
    /// Among what is for its receiver.
    pub window: u64,
}

impl Weight {
    /// Of a body that came in one piece.
    pub fn small(len: u32) -> Self {
        let charge = charge(len.into());
        Self { total: charge, window: charge }
    }
}

/// Where the body of a large message lies.
#[derive(Debug)]
pub enum Large {
    /// Here, cut for the way.
    Chunks(VecDeque<Bytes>),
    /// In memory that its receiver may read.
    Shared(Extent),
}

impl Large {
    /// Bytes of the body.
    pub fn len(&self) -> u64 {
        match self {
            Self::Chunks(chunks) => chunks.iter().map(|chunk| chunk.len() as u64).sum(),
            Self::Shared(extent) => extent.len,
        }
    }

    /// What it counts until it is settled. Nobody but its sender keeps what lies in shared memory, and a window of such
    /// bodies has to last while one is written and another is looked at: there they count a quarter.
    pub fn weight(&self) -> Weight {
        let window = match self {
            Self::Chunks(_) => self.len(),
            Self::Shared(extent) => extent.len / 4,
        };
        Weight { total: charge(self.len()), window: charge(window) }
    }
}

/// The messages of one node. Bounded by `max_pending`, by weight.
#[derive(Debug, Default)]
pub struct Outbox {
    entries: VecDeque<Entry>,
    /// Number of the front entry, less one.
    first: u64,
    /// Entries that are settled.
    settled: usize,
    /// Those that were said before the front entry and are not settled, by number: one that waits for long must not keep
    /// all that came after it in memory.
    stragglers: BTreeMap<u64, Entry>,
    large: HashMap<u64, Large>,
}

impl Outbox {
    /// Number of the next message.
    pub fn next_seq(&self) -> u64 {
        self.first + self.entries.len() as u64 + 1
    }

    /// Adds a message; it gets the number that `next_seq` told.
    #[inline]
    pub fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    /// The same for a large one.
    pub fn push_large(&mut self, entry: Entry, body: Large) {
        self.large.insert(self.next_seq(), body);
        self.entries.push_back(entry);
    }

    /// Whether all is settled.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.stragglers.is_empty()
    }

    /// The lowest number that may not be settled.
    pub fn first_seq(&self) -> u64 {
        self.stragglers.first_key_value().map_or(self.first + 1, |(&seq, _)| seq)
    }

    /// A message that is not settled.
    pub fn get(&self, seq: u64) -> Option<&Entry> {
        let Some(index) = self.index(seq) else { return self.stragglers.get(&seq) };
        self.entries.get(index).filter(|entry| entry.state != State::Settled)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let Some(index) = self.index(seq) else { return self.stragglers.get_mut(&seq) };
        self.entries.get_mut(index).filter(|entry| entry.state != State::Settled)
    }

    /// Its place among the entries; `None`: it was said before them.
    fn index(&self, seq: u64) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.first + 1)?).ok()
    }

    /// The body of a large message; `None`: it is a small one.
    pub fn large(&self, seq: u64) -> Option<&Large> {
        if self.large.is_empty() { None } else { self.large.get(&seq) }
    }

    /// What a message weighs that is not settled.
    pub fn weight(&self, seq: u64) -> Weight {
        self.large(seq).map_or_else(|| Weight::small(self.get(seq).map_or(0, |entry| entry.place.len)), Large::weight)
    }

    /// A message is settled. Returns what it was, the first time.
    pub fn settle(&mut self, seq: u64) -> Option<Settled> {
        let Some(index) = self.index(seq) else {
            let entry = self.stragglers.remove(&seq)?;
            return Some(self.what_was(seq, entry));
        };
        let entry = self.entries.get_mut(index).filter(|entry| entry.state != State::Settled)?;
        let was = entry.clone();
        entry.state = State::Settled;
        self.settled += 1;
        if index == 0 {
            self.drop_settled();
        } else if self.settled > MAX_SETTLED && self.settled > self.entries.len() / 2 {
            self.set_stragglers_apart();
        }
        Some(self.what_was(seq, was))
    }

    fn what_was(&mut self, seq: u64, entry: Entry) -> Settled {
        let large = if self.large.is_empty() { None } else { self.large.remove(&seq) };
        Settled { was_sent: entry.state == State::Sent, entry, large }
    }

    /// Takes entries off the front, keeping what is not settled elsewhere, until few of the others are.
    fn set_stragglers_apart(&mut self) {
        while self.settled > self.entries.len() / 4
            && let Some(entry) = self.entries.pop_front()
        {
            self.first += 1;
            if entry.state == State::Settled {
                self.settled -= 1;
            } else {
                self.stragglers.insert(self.first, entry);
            }
        }
        self.drop_settled();
    }

    /// The front message, if it has this number and can only be a small one: most are settled one by one from the front.
    /// Before anything else, [`drop_settled`](Self::drop_settled) is due.
    pub fn settle_front(&mut self, seq: u64) -> Option<Entry> {
        if seq != self.first + 1 || !self.large.is_empty() {
            return None;
        }
        let entry = self.entries.pop_front()?;
        self.first += 1;
        self.settled -= usize::from(entry.state == State::Settled);
        Some(entry)
    }

    /// Forgets what is settled at the front.
    pub fn drop_settled(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.state == State::Settled) {
            self.entries.pop_front();
            self.first += 1;
            self.settled -= 1;
        }
        if self.entries.is_empty() && self.entries.capacity() > KEPT_ENTRIES {
            self.entries = VecDeque::new();
        }
    }

    /// The numbers of all that is not settled, in order.
    pub fn unsettled(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.unsettled_from(0)
    }

    /// The same from `from` on.
    pub fn unsettled_from(&self, from: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let skipped = from.saturating_sub(self.first + 1).min(self.entries.len() as u64);
        let numbered = (self.first + 1 + skipped..).zip(self.entries.range(skipped as usize..));
        let stragglers = self.stragglers.range(from..).map(|(&seq, entry)| (seq, entry));
        stragglers.chain(numbered.filter(|(_, entry)| entry.state != State::Settled))
    }

    /// The link is gone: nothing of it was said on the next one.
    pub fn link_lost(&mut self) {
        let entries = self.stragglers.values_mut().chain(&mut self.entries);
        for entry in entries.filter(|entry| entry.state == State::Sent) {
            entry.state = State::Waiting;
        }
    }
}

/// The destinations of one node, by id.
#[derive(Debug, Default)]
pub struct Destinations {
    by_node: HashMap<Rc<str>, Rc<Destination>>,
    sweep_at: usize,
}

/// Destinations remembered before it is looked which of them are still in use.
const SWEEP_AT: usize = 1024;

impl Destinations {
    /// The destination of this id.
    pub fn get(&mut self, node: &str) -> Rc<Destination> {
        if let Some(destination) = self.by_node.get(node) {
            return destination.clone();
        }
        if self.by_node.len() >= self.sweep_at.max(SWEEP_AT) {
            self.by_node.retain(|_, destination| Rc::strong_count(destination) > 1);
            self.sweep_at = 2 * self.by_node.len();
        }
        let destination = Rc::new(Destination::new(node.into()));
        self.by_node.insert(destination.node.clone(), destination.clone());
        destination
    }

    /// The destination of this id, if anything was ever said to it.
    pub fn find(&self, node: &str) -> Option<&Rc<Destination>> {
        self.by_node.get(node)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Rc<Destination>> {
        self.by_node.values()
    }
}

impl Destination {
    /// A destination to which nothing was said.
    pub fn new(node: Rc<str>) -> Self {
        let (pending, sent, full, kept_from, terms) = Default::default();
        Self { node, pending, sent, full, kept_from, terms }
    }

    /// Whether a message of this weight would exceed what may be under way to it; one may always be.
    pub fn has_no_room(&self, charge: u64, window: u64) -> bool {
        self.sent.get() > 0 && self.sent.get() + charge > window
    }
}

#[cfg(test)]
mod tests;
