//! Frames that a receiver has put aside, because its program has paused or they wait behind a large message: they came, and
//! are settled when they are taken, or not at all if the receiver ends before.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::link::{LinkKey, Native};
use super::member::MemberKey;
use super::router::Router;
use super::settling::InFlight;
use crate::error::Result;
use crate::wire::control::FrameRun;
use crate::wire::frame::malformed;

/// Those of one link. Of one sender they weigh no more than two windows, for it keeps back what exceeds that, and one more if
/// they wait for a large message that was lost: it is asked to say that again.
#[derive(Debug, Default)]
pub struct Deferred {
    /// By their number among all frames of the link.
    frames: BTreeMap<u64, InFlight>,
    weight: u64,
    by_sender: FxHashMap<MemberKey, OfSender>,
    /// How many have been taken.
    taken: u64,
}

/// Those of one sender.
#[derive(Debug, Default)]
struct OfSender {
    weight: u64,
    /// Numbers of its messages, each with that of the frame: the same message may come twice.
    messages: BTreeSet<(u64, u64)>,
}

impl Deferred {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether the link's frame of this number is among them.
    pub fn contains(&self, number: u64) -> bool {
        self.frames.contains_key(&number)
    }

    /// What they weigh.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// What those of one sender weigh.
    pub fn weight_of(&self, sender: MemberKey) -> u64 {
        self.by_sender.get(&sender).map_or(0, |of_sender| of_sender.weight)
    }

    /// Whether `sender` said all that is put aside of it after its message `seq`: then that may be what all of it waits for.
    pub fn follows(&self, sender: MemberKey, seq: u64) -> bool {
        let first = self.by_sender.get(&sender).and_then(|of_sender| of_sender.messages.first());
        first.is_none_or(|&(first, _)| first > seq)
    }

    /// How many there were that were taken.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    fn add(&mut self, number: u64, frame: InFlight) {
        let weight = frame.weight();
        self.weight += weight;
        if let Some(sender) = frame.sender() {
            let of_sender = self.by_sender.entry(sender).or_default();
            of_sender.weight += weight;
            of_sender.messages.extend(frame.seq().map(|seq| (seq, number)));
        }
        self.frames.insert(number, frame);
    }

    fn take(&mut self, number: u64) -> Option<InFlight> {
        let frame = self.frames.remove(&number)?;
        let weight = frame.weight();
        self.weight -= weight;
        self.taken += 1;
        if let Some(sender) = frame.sender()
            && let Some(of_sender) = self.by_sender.get_mut(&sender)
        {
            of_sender.weight -= weight;
            frame.seq().map(|seq| of_sender.messages.remove(&(seq, number)));
            if of_sender.weight == 0 {
                self.by_sender.remove(&sender);
            }
        }
        Some(frame)
    }

    /// All of them, by number: they will not be taken any more.
    pub fn abandon(&mut self) -> BTreeMap<u64, InFlight> {
        std::mem::take(self).frames
    }
}

impl Native {
    /// The other side puts these aside. An ACK passes over them.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` for what was never sent, was acknowledged, or is put aside already.
    pub fn defer(&mut self, frames: FrameRun) -> Result<()> {
        let never = || malformed("put aside what was never sent, or is acknowledged");
        let skipped = frames.first.checked_sub(self.acknowledged() + 1).ok_or_else(never)?;
        let last = frames.last - self.acknowledged();
        if last > self.unacknowledged() as u64
            || self.deferred.frames.range(frames.first..=frames.last).next().is_some()
        {
            return Err(never());
        }
        for index in skipped..last {
            let frame = self.set_aside(index as usize);
            self.deferred.add(self.acknowledged() + 1 + index, frame);
        }
        Ok(())
    }
}

impl Router {
    /// The link's node has put these aside.
    pub(super) fn handle_defer(&mut self, link: LinkKey, frames: FrameRun) -> Result<()> {
        self.links[link.0 as usize].native()?.defer(frames)
    }

    /// The link's node has taken these.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` for what is not put aside.
    pub(super) fn handle_taken(&mut self, link: LinkKey, frames: FrameRun) -> Result<()> {
        let deferred = &mut self.links[link.0 as usize].native()?.deferred;
        if frames.last - frames.first >= deferred.len() as u64 {
            return Err(malformed("taken what was not put aside"));
        }
        for number in frames.first..=frames.last {
            let frame = deferred.take(number).ok_or_else(|| malformed("taken what was not put aside"))?;
            self.settlements.frame(frame);
        }
        self.let_go_if_room(link);
        Ok(())
    }
}
