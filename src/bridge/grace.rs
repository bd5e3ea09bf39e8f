//! After a bridge ended: the next one gives those who were on the bus time to come before it calls them unknown. What
//! cannot be delivered meanwhile is owed, broadcasts are not settled, and whoever waits for a node learns whether it came.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::member::{Departure, Member, MemberKey};
use super::registry::Registration;
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
    /// Those who were on the bus and have not come yet, by id. When there are none, the time is over. `None`: nobody knows
    /// who was there, and anybody may come.
    expected: Option<BTreeMap<String, Registration>>,
    /// Broadcasts that late-comers have to get, by sender and number.
    broadcasts: FxHashMap<(MemberKey, u64), Rc<Broadcast>>,
    broadcasters: FxHashSet<MemberKey>,
    /// Listeners for presence that were told who is there when others could still come.
    curious: Vec<MemberKey>,
}

impl Grace {
    fn is_over(&self, now: u64) -> bool {
        self.until <= now || self.expected.as_ref().is_some_and(BTreeMap::is_empty)
    }
}

/// What a node is to a bridge that took over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It was on the bridge before, and is waited for.
    Expected,
    /// It may have been on the bridge before: who was is not known.
    Possible,
    /// It was not there, or its place was given up.
    New,
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
    /// There was a bridge before this one. `before`: who was on it, as far as they may live; `None`: nobody knows.
    pub fn take_over(&mut self, before: Option<Vec<Registration>>, now: u64) {
        self.now = now;
        let expected = before.map(|before| {
            let mut expected: BTreeMap<String, Registration> = BTreeMap::new();
            for node in before {
                let identity = node.identity;
                let other = expected.insert(node.info.id.clone(), node).filter(|other| other.identity != identity);
                self.changes.extend(other.map(|other| other.gone()));
            }
            expected
        });
        self.begin_grace(expected);
    }

    /// Nodes of another bridge are about to come, those `expected` or anybody.
    pub(super) fn begin_grace(&mut self, expected: Option<BTreeMap<String, Registration>>) {
        if std::mem::replace(&mut self.had_grace, true) {
            return;
        }
        self.grace = Some(Box::new(Grace {
            until: self.now + u64::from(self.limits.resume_timeout),
            expected,
            broadcasts: FxHashMap::default(),
            broadcasters: FxHashSet::default(),
            curious: Vec::new(),
        }));
        self.end_grace_if_over();
    }

    /// Whether nodes of another bridge are still expected.
    pub fn is_taking_over(&self) -> bool {
        self.grace.is_some()
    }

    /// Whether a node that is not there may be about to come over.
    pub(super) fn may_come(&self, id: Symbol) -> bool {
        let Some(grace) = &self.grace else { return false };
        grace.expected.as_ref().is_none_or(|expected| expected.contains_key(&**self.symbols.name(id)))
    }

    /// Whether nodes may come of which nobody knows.
    pub(super) fn expects_strangers(&self) -> bool {
        self.grace.as_ref().is_some_and(|grace| grace.expected.is_none())
    }

    /// Those whose ids come behind `after` who are waited for, and were not forgotten with the bridge before.
    pub(super) fn about_to_come(&self, after: &str) -> impl Iterator<Item = &Registration> {
        let expected = self.grace.as_ref().and_then(|grace| grace.expected.as_ref());
        let behind = (Bound::Excluded(after), Bound::Unbounded);
        let expected = expected.into_iter().flat_map(move |expected| expected.range::<str, _>(behind));
        expected.map(|(_, node)| node).filter(|node| node.is_reliable())
    }

    /// The process of a node that is waited for has ended.
    pub fn process_ended(&mut self, id: &str, identity: u64, now: u64) {
        self.now = now;
        let expected = self.grace.as_mut().and_then(|grace| grace.expected.as_mut());
        let Some(expected) = expected.filter(|expected| expected.get(id).is_some_and(|it| it.identity == identity))
        else {
            return;
        };
        let gone = expected.remove(id);
        gone.into_iter().for_each(|gone| self.does_not_come(&gone, Departure::Died));
        self.end_grace_if_over();
        self.tell_settled();
    }

    /// Whether a message for nobody we know can wait: then its sender will be asked to say it again.
    pub(super) fn awaits(&mut self, id: Symbol, sender: MemberKey) -> bool {
        let waits = self.may_come(id) && self.keeps(sender);
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
        if absent.keepers.is_empty() && !self.may_come(id) {
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
        let keeps = self.keeps(sender) && !self.members[sender.place as usize].leaving;
        if let Some(grace) = self.grace.as_mut().filter(|_| keeps) {
            broadcast.add_receiver();
            grace.broadcasters.insert(sender);
            // An earlier one of the same number went out on an earlier link of its sender, who says all of it again.
            grace.broadcasts.insert((sender, broadcast.watched.seq), broadcast.clone());
        }
    }

    /// A node is about to leave: its broadcasts wait for no late-comers.
    pub(super) fn begin_to_leave(&mut self, leaving: MemberKey) {
        self.members[leaving.place as usize].leaving = true;
        let Some(grace) = &mut self.grace else { return };
        grace.broadcasters.remove(&leaving);
        let (of_it, others) =
            std::mem::take(&mut grace.broadcasts).into_iter().partition(|((of, _), _)| *of == leaving);
        grace.broadcasts = others;
        let of_it: FxHashMap<_, _> = of_it;
        of_it.into_values().for_each(|broadcast| self.settlements.frame(InFlight::Share(broadcast)));
    }

    /// The share in a broadcast of somebody who has only just come.
    pub(super) fn late_share(&mut self, sender: MemberKey, seq: u64) -> Option<Rc<Broadcast>> {
        let broadcast = self.grace.as_ref()?.broadcasts.get(&(sender, seq))?;
        broadcast.add_receiver();
        Some(broadcast.clone())
    }

    /// `node` hears again who is there when nobody can come of whom it was not told.
    pub(super) fn list_again(&mut self, node: MemberKey) {
        let grace = self.grace.as_mut().filter(|grace| grace.expected.is_none());
        grace.into_iter().for_each(|grace| grace.curious.push(node));
    }

    /// Somebody has joined who may be expected.
    pub(super) fn arrive(&mut self, key: MemberKey) -> Arrival {
        let Member { identity, fresh, ref info, .. } = self.members[key.place as usize];
        let Some(grace) = &mut self.grace else { return Arrival::New };
        let Some(expected) = &mut grace.expected else {
            return if fresh { Arrival::New } else { Arrival::Possible };
        };
        match expected.remove(&info.id) {
            Some(before) if before.identity == identity => {
                self.members[key.place as usize].info.since = before.info.since;
                Arrival::Expected
            }
            Some(before) => {
                if before.is_reliable() {
                    self.announce_leave(&before, Departure::Replaced);
                } else {
                    self.changes.push(before.gone());
                }
                Arrival::New
            }
            None => Arrival::New,
        }
    }

    /// What others had for a node before it came is asked for.
    pub(super) fn welcome_back(&mut self, key: MemberKey, arrival: Arrival) {
        let Absent { senders, keepers, watchers } = self.take_absent(self.members[key.place as usize].id);
        senders.into_iter().for_each(|sender| self.owe(sender, key, 0, InFlight::Unwatched));
        if arrival != Arrival::New {
            self.owe_broadcasts(key);
        }
        for keeper in keepers {
            self.owe(keeper, key, 0, InFlight::Unwatched);
            self.expect_replay(keeper, key);
        }
        for ((watcher, _), watch) in watchers {
            self.watch(watcher, key, watch);
        }
    }

    /// A late-comer gets its share of each broadcast that is not settled: the others may all have come a moment later.
    fn owe_broadcasts(&mut self, receiver: MemberKey) {
        let Some(grace) = &self.grace else { return };
        let (broadcasters, broadcasts) = (grace.broadcasters.clone(), grace.broadcasts.clone());
        broadcasters.into_iter().for_each(|sender| self.owe(sender, receiver, 0, InFlight::Unwatched));
        for ((sender, seq), broadcast) in broadcasts {
            if self.is_member(sender) {
                broadcast.add_receiver();
                self.owe(sender, receiver, seq, InFlight::Share(broadcast));
            }
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
    pub(super) fn end_grace_if_over(&mut self) {
        let now = self.now;
        let Some(grace) = self.grace.take_if(|grace| grace.is_over(now)) else { return };
        let grace = *grace;
        match grace.expected {
            Some(expected) => {
                expected.values().for_each(|gone| self.does_not_come(gone, Departure::TimedOut));
            }
            None => {
                let absent: Vec<Symbol> = self.absent.keys().copied().collect();
                absent.into_iter().for_each(|id| self.give_up_absent(id, Code::UnknownNode));
            }
        }
        for broadcast in grace.broadcasts.into_values() {
            self.settlements.frame(InFlight::Share(broadcast));
        }
        grace.curious.into_iter().for_each(|node| self.list_members(node));
    }

    fn does_not_come(&mut self, gone: &Registration, departure: Departure) {
        if gone.is_reliable() {
            self.announce_leave(gone, departure);
        } else {
            self.changes.push(gone.gone());
        }
        let id = self.symbols.find(&gone.info.id).filter(|id| self.absent.contains_key(id));
        id.into_iter().for_each(|id| self.give_up_absent(id, Code::NodeLeft));
    }

    /// All that waits for `id` is told that it will not come.
    fn give_up_absent(&mut self, id: Symbol, code: Code) {
        // It may have no other reference, and be needed again below.
        self.symbols.retain(id);
        let node = self.symbols.name(id).to_string();
        let Absent { mut senders, keepers, watchers } = self.take_absent(id);
        senders.extend(&keepers);
        keepers.into_iter().for_each(|keeper| self.note_kept_back(id, keeper));
        for sender in senders.into_iter().filter(|&sender| self.is_member(sender)).collect::<Vec<_>>() {
            self.counters.undeliverable.increment();
            let seq = self.members[sender.place as usize].last_seq;
            self.tell_gone(
                sender,
                Gone { seq, code, delivered_only: false, session: 0, node: node.clone(), missed: Vec::new() },
            );
        }
        for ((watcher, _), watch) in watchers {
            self.tell_watcher_gone(watcher, watch);
        }
        self.symbols.release(id);
    }
}
