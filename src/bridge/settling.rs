//! Who has to hear what of a message: from "forwarded" to "reached everyone it concerns".

use std::cell::Cell;
use std::rc::Rc;

use super::member::MemberKey;
use super::own::Own;
use super::rejections::Suspect;
use crate::wire::control::Settled;

/// A frame that a receiver's link has not acknowledged.
#[derive(Debug)]
pub enum InFlight {
    /// Nobody waits to hear of it.
    Unwatched,
    /// The last frame of a message.
    Message(Watched),
    /// The last frame of one receiver's share of a broadcast.
    Share(Rc<Broadcast>),
    /// The first frame of a large message: if it is lost, so is what follows it.
    Opening { sender: MemberKey, seq: u64 },
    /// A frame of a message that settles nothing: one in the middle, or all of it when it is settled already.
    Part { suspect: Suspect },
    /// The last frame of something that the bridge itself says: if it is lost, it is said again.
    Own(Box<Own>),
}

impl InFlight {
    /// The node whose message it is.
    pub fn sender(&self) -> Option<MemberKey> {
        match self {
            Self::Unwatched | Self::Part { .. } | Self::Own(_) => None,
            Self::Message(watched) => Some(watched.sender),
            Self::Share(broadcast) => Some(broadcast.watched.sender),
            Self::Opening { sender, .. } => Some(*sender),
        }
    }

    /// The number of the message that it is the last frame of.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Unwatched | Self::Opening { .. } | Self::Part { .. } | Self::Own(_) => None,
            Self::Message(watched) => Some(watched.seq),
            Self::Share(broadcast) => Some(broadcast.watched.seq),
        }
    }

    /// What is to blame if a receiver rejects this frame.
    pub fn suspect(&self) -> Suspect {
        match self {
            Self::Unwatched => Suspect::Unknown,
            Self::Message(Watched { sender, seq, .. }) => Suspect::Message { sender: *sender, seq: *seq },
            Self::Share(broadcast) => Self::Message(broadcast.watched).suspect(),
            Self::Opening { sender, seq } => Suspect::Message { sender: *sender, seq: *seq },
            Self::Part { suspect } => *suspect,
            Self::Own(own) => own.suspect(),
        }
    }

    /// What it weighs among all that its receiver has not acknowledged.
    pub fn weight(&self) -> u64 {
        match self {
            Self::Unwatched | Self::Opening { .. } | Self::Part { .. } => 0,
            Self::Message(watched) => watched.charge,
            Self::Share(broadcast) => broadcast.watched.charge,
            Self::Own(own) => own.weight(),
        }
    }
}

/// A message whose sender counts it until it is settled.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    pub sender: MemberKey,
    pub seq: u64,
    /// By [`charge`](crate::wire::control::charge).
    pub charge: u64,
}

/// A broadcast on its way to several receivers.
#[derive(Debug)]
pub struct Broadcast {
    pub watched: Watched,
    /// The serial of the link on which its sender said it, which tells a saying from an earlier one of the same message.
    pub link: u64,
    pub receivers_left: Cell<usize>,
}

impl Broadcast {
    /// One more has to get it.
    pub fn add_receiver(&self) {
        self.receivers_left.set(self.receivers_left.get() + 1);
    }
}

/// What became settled since senders were last told, in runs.
#[derive(Debug, Default)]
pub struct Settlements {
    runs: Vec<(MemberKey, Settled)>,
}

impl Settlements {
    /// A receiver has this frame, or never will.
    pub fn frame(&mut self, frame: InFlight) {
        match frame {
            InFlight::Unwatched | InFlight::Opening { .. } | InFlight::Part { .. } | InFlight::Own(_) => {}
            InFlight::Message(watched) => self.message(watched),
            InFlight::Share(broadcast) => {
                let left = broadcast.receivers_left.get() - 1;
                broadcast.receivers_left.set(left);
                if left == 0 {
                    self.message(broadcast.watched);
                }
            }
        }
    }

    /// A message is settled.
    pub fn message(&mut self, Watched { sender, seq, charge }: Watched) {
        // The bridge's own messages have no number, and nobody counts them.
        if seq == 0 {
            return;
        }
        if let Some((last_sender, run)) = self.runs.last_mut()
            && *last_sender == sender
            && run.last + 1 == seq
        {
            run.last = seq;
            run.bytes += charge;
            return;
        }
        self.runs.push((sender, Settled { first: seq, last: seq, bytes: charge, window: 0 }));
    }

    /// What senders are to be told now.
    pub fn take(&mut self) -> Vec<(MemberKey, Settled)> {
        std::mem::take(&mut self.runs)
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}
