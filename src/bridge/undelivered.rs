//! What was on its way to a node that is gone. Each sender learns once, by GONE, what of it is lost; only then does it
//! hear that the rest is settled.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::collecting::Reader;
use super::link::{LinkKey, Wire};
use super::member::{Departure, Member, MemberKey};
use super::relay::Fate;
use super::router::Router;
use super::settling::{Broadcast, InFlight};
use crate::error::Code;
use crate::wire::control::Gone;

/// Runs of broadcasts that one GONE tells of: 64 KiB.
const MAX_RUNS: usize = 4096;

/// What one node will never get.
#[derive(Debug, Default)]
pub struct Undelivered {
    /// Those who sent it something, or asked it, or wait for something of it.
    pub senders: FxHashSet<MemberKey>,
    /// Its shares of broadcasts.
    pub shares: Vec<Rc<Broadcast>>,
}

impl Undelivered {
    /// A frame that the node will not acknowledge; false: its sender is nobody who is told by GONE.
    fn note(&mut self, frame: &InFlight, keeps: impl Fn(MemberKey) -> bool) -> bool {
        match frame {
            InFlight::Message(watched) if keeps(watched.sender) => {
                self.senders.insert(watched.sender);
            }
            InFlight::Share(share) => self.shares.push(share.clone()),
            _ => return false,
        }
        true
    }

    /// The numbers of the broadcasts that it missed, by sender, in runs.
    fn missed(&self) -> FxHashMap<MemberKey, Vec<(u64, u64)>> {
        let mut numbers: Vec<(MemberKey, u64)> =
            self.shares.iter().map(|share| (share.watched.sender, share.watched.seq)).collect();
        numbers.sort_unstable_by_key(|&(sender, seq)| (sender.place, sender.incarnation, seq));
        let mut missed: FxHashMap<MemberKey, Vec<(u64, u64)>> = FxHashMap::default();
        for (sender, seq) in numbers {
            let runs = missed.entry(sender).or_default();
            match runs.last_mut() {
                Some((_, last)) if *last + 1 >= seq => *last = seq,
                _ => runs.push((seq, seq)),
            }
        }
        missed
    }
}

impl Router {
    /// Takes all that others had for `member`, which is not on the bus any more, from where it waits.
    pub(super) fn take_undelivered(&mut self, member: &mut Member) -> Undelivered {
        let senders = std::mem::take(&mut member.askers).into_keys().collect();
        let mut lost = Undelivered { senders, ..Undelivered::default() };
        lost.senders.extend(member.owed.senders());
        for sender in lost.senders.iter().copied().collect::<Vec<_>>() {
            if self.is_member(sender) {
                self.take_unfinished(sender, member.key, &mut lost);
            }
        }
        if let Some(link) = member.link {
            self.take_unacknowledged(link, &mut lost);
        }
        lost.shares.extend(std::mem::take(&mut member.owed).into_shares());
        lost
    }

    /// What the link's node will never acknowledge.
    fn take_unacknowledged(&mut self, link: LinkKey, lost: &mut Undelivered) {
        let frames = match &mut self.links[link.0 as usize].wire {
            Wire::Native(native) => native.abandon(),
            Wire::Legacy(legacy) => legacy.abandon().collect(),
            Wire::Undecided(_) => return,
        };
        for frame in frames {
            if !lost.note(&frame, |sender| self.keeps(sender)) {
                self.settlements.frame(frame);
            }
        }
    }

    /// What `sender` had begun to say to `receiver`, and what waits behind that.
    fn take_unfinished(&mut self, sender: MemberKey, receiver: MemberKey, lost: &mut Undelivered) {
        if let Some(link) = self.members[sender.place as usize].link
            && let Wire::Native(native) = &mut self.links[link.0 as usize].wire
        {
            for relay in native.relays.values_mut() {
                let legs = relay.to.len();
                relay.to.retain(|leg| leg.receiver != receiver);
                if let (true, Fate::Shared(share)) = (relay.to.len() < legs, &relay.fate) {
                    lost.shares.push(share.clone());
                }
            }
        }
        for frame in self.take_collected(sender, Reader::Legacy(receiver)) {
            if !lost.note(&frame, |sender| self.keeps(sender)) {
                self.settlements.frame(frame);
            }
        }
    }

    /// Tells everyone whom the end of `member` concerns what is lost of what it was sent, then settles that. A node that
    /// said goodbye listened for nothing any more. Returns who was told.
    pub(super) fn tell_undelivered(
        &mut self,
        member: &Member,
        departure: Departure,
        lost: Undelivered,
    ) -> FxHashSet<MemberKey> {
        let mut missed = if departure == Departure::Left { FxHashMap::default() } else { lost.missed() };
        let Undelivered { mut senders, shares } = lost;
        senders.extend(missed.keys());
        senders.retain(|&sender| self.is_member(sender));
        for &sender in &senders {
            let missed = missed.remove(&sender).unwrap_or_default();
            self.counters.undeliverable.add(missed.iter().map(|(first, last)| last - first + 1).sum());
            let (mut runs, seq) = (missed.chunks(MAX_RUNS), self.members[sender.place as usize].last_seq);
            let gone = |seq, delivered_only, missed: &[(u64, u64)]| {
                let (session, node) = (member.session, member.info.id.clone());
                Gone { seq, code: Code::NodeLeft, delivered_only, session, node, missed: missed.to_vec() }
            };
            self.tell_gone(sender, gone(seq, false, runs.next().unwrap_or_default()));
            runs.for_each(|runs| self.tell_gone(sender, gone(0, true, runs)));
        }
        shares.into_iter().for_each(|share| self.settlements.frame(InFlight::Share(share)));
        senders
    }
}
