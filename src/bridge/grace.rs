//! After a bridge died: the next one does not know who was on the bus, and gives them time to come before it calls
//! anybody unknown. What cannot be delivered meanwhile is owed, broadcasts are not settled, and whoever waits for
//! somebody learns at the end whether he came.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::member::MemberKey;
use super::router::Router;
use super::settling::{Broadcast, InFlight};
use super::symbols::Symbol;
use crate::error::Code;
use crate::wire::control::{Gone, Watch};

/// Ids that are awaited at the most: whatever is said to more is refused, as it is at other times.
const MAX_ABSENT: usize = 65_536;

/// The time in which nodes of another bridge are expected.
#[derive(Debug)]
pub struct Grace {
    /// In router time.
    until: u64,
    /// Broadcasts that late-comers have to get, by sender and number.
    broadcasts: FxHashMap<(MemberKey, u64), Rc<Broadcast>>,
    broadcasters: FxHashSet<MemberKey>,
    /// Who listens for presence, and is to know at the end who is there.
    curious: Vec<MemberKey>,
}

/// Somebody for whom there is something, and who is not there yet.
#[derive(Debug, Default)]
pub struct Absent {
    senders: FxHashSet<MemberKey>,
    /// Those who keep back what is for him, and have not said yet that they begin again.
    keepers: FxHashSet<MemberKey>,
    /// Those who wait for something of him, or of him in one of his sessions; the last word of each counts.
    watchers: FxHashMap<(MemberKey, u64), Watch>,
}

#[cfg(test)]
impl Absent {
    /// How many wait for something of him.
    pub fn watchers(&self) -> usize {
        self.watchers.len()
    }
}

impl Router {
    /// There was a bridge before this one, until a moment ago.
    pub fn succeed(&mut self, now: u64) {
        self.now = now;
        self.begin_grace();
    }

    /// A node of another bridge has come: others may follow.
    pub(super) fn begin_grace(&mut self) {
        if std::mem::replace(&mut self.had_grace, true) || self.limits.resume_timeout == 0 {
            return;
        }
        self.grace = Some(Box::new(Grace {
            until: self.now + u64::from(self.limits.resume_timeout),
            broadcasts: FxHashMap::default(),
            broadcasters: FxHashSet::default(),
            curious: Vec::new(),
        }));
    }

    /// Whether a message for nobody we know can wait: then its sender will be asked to say it again.
    pub(super) fn awaits(&mut self, id: Symbol, sender: MemberKey) -> bool {
        let waits = self.grace.is_some() && self.keeps(sender);
        let Some(absent) = waits.then(|| self.absent(id)).flatten() else { return false };
        absent.senders.insert(sender);
        true
    }

    /// `keeper` keeps back what is for somebody who is not there: should he come, nothing may overtake that.
    pub(super) fn note_kept_back(&mut self, id: Symbol, keeper: MemberKey) {
        if let Some(absent) = self.absent(id) {
            absent.keepers.insert(keeper);
        }
    }

    /// `keeper` keeps nothing back any more.
    pub(super) fn forget_kept_back(&mut self, id: Symbol, keeper: MemberKey) {
        let Some(absent) = self.absent.get_mut(&id) else { return };
        absent.keepers.remove(&keeper);
        if absent.keepers.is_empty() && self.grace.is_none() {
            self.take_absent(id);
        }
    }

    /// A node is gone, and whatever it kept back.
    pub(super) fn forget_keeper(&mut self, keeper: MemberKey) {
        let kept: Vec<Symbol> =
            self.absent.iter().filter(|(_, absent)| absent.keepers.contains(&keeper)).map(|(&id, _)| id).collect();
        kept.into_iter().for_each(|id| self.forget_kept_back(id, keeper));
    }

    /// `watcher` will be told whether `id` comes.
    pub(super) fn await_for(&mut self, id: Symbol, watcher: MemberKey, watch: Watch) {
        match self.absent(id) {
            Some(absent) => drop(absent.watchers.insert((watcher, watch.session), watch)),
            None => self.tell_watcher_gone(watcher, watch),
        }
    }

    fn absent(&mut self, id: Symbol) -> Option<&mut Absent> {
        if self.absent.len() >= MAX_ABSENT && !self.absent.contains_key(&id) {
            return None;
        }
        Some(self.absent.entry(id).or_insert_with(|| {
            self.symbols.retain(id);
            Absent::default()
        }))
    }

    /// A broadcast under way is not settled before all who may yet come have it.
    pub(super) fn extend_broadcast(&mut self, broadcast: &Rc<Broadcast>) {
        let sender = broadcast.watched.sender;
        let keeps = self.keeps(sender);
        if let Some(grace) = self.grace.as_mut().filter(|_| keeps) {
            broadcast.add_receiver();
            grace.broadcasters.insert(sender);
            // An earlier one of the same number went out on an earlier link of its sender, who says all of it again.
            grace.broadcasts.insert((sender, broadcast.watched.seq), broadcast.clone());
        }
    }

    /// The share in a broadcast of somebody who has only just come.
    pub(super) fn late_share(&mut self, sender: MemberKey, seq: u64) -> Option<Rc<Broadcast>> {
        let broadcast = self.grace.as_ref()?.broadcasts.get(&(sender, seq))?;
        broadcast.add_receiver();
        Some(broadcast.clone())
    }

    /// Whether `node` will hear at the end of this time who is there.
    pub(super) fn will_list(&mut self, node: MemberKey) -> bool {
        self.grace.as_mut().map(|grace| grace.curious.push(node)).is_some()
    }

    /// Somebody has joined who may be awaited.
    pub(super) fn welcome_back(&mut self, key: MemberKey) {
        let (id, fresh) = (self.members[key.place as usize].id, self.members[key.place as usize].fresh);
        let Absent { senders, keepers, watchers } = self.take_absent(id);
        let broadcasters = self.grace.as_ref().filter(|_| !fresh).map(|grace| grace.broadcasters.clone());
        for sender in senders.into_iter().chain(broadcasters.into_iter().flatten()) {
            self.owe(sender, key, 0, InFlight::Unwatched);
        }
        for keeper in keepers {
            self.owe(keeper, key, 0, InFlight::Unwatched);
            self.expect_replay(keeper, key);
        }
        for ((watcher, _), watch) in watchers {
            self.watch(watcher, key, watch);
        }
    }

    fn take_absent(&mut self, id: Symbol) -> Absent {
        let absent = self.absent.remove(&id);
        if absent.is_some() {
            self.symbols.release(id);
        }
        absent.unwrap_or_default()
    }

    /// Whoever has not come by now is not there.
    pub(super) fn end_grace_in_time(&mut self) {
        let Some(mut grace) = self.grace.take_if(|grace| grace.until <= self.now) else { return };
        let absent: Vec<Symbol> = self.absent.keys().copied().collect();
        for id in absent {
            // It may have no other reference, and be needed again below.
            self.symbols.retain(id);
            let node = self.symbols.name(id).to_string();
            let Absent { mut senders, keepers, watchers } = self.take_absent(id);
            senders.extend(&keepers);
            keepers.into_iter().for_each(|keeper| self.note_kept_back(id, keeper));
            for sender in senders.into_iter().filter(|&sender| self.is_member(sender)).collect::<Vec<_>>() {
                self.counters.undeliverable.increment();
                let seq = self.members[sender.place as usize].last_seq;
                let code = Code::UnknownNode;
                self.tell_gone(sender, Gone { seq, code, delivered_only: false, session: 0, node: node.clone() });
            }
            for ((watcher, _), watch) in watchers {
                self.tell_watcher_gone(watcher, watch);
            }
            self.symbols.release(id);
        }
        for broadcast in std::mem::take(&mut grace.broadcasts).into_values() {
            self.settlements.frame(InFlight::Share(broadcast));
        }
        for node in std::mem::take(&mut grace.curious) {
            self.list_members(node);
        }
    }
}
