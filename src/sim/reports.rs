//! What senders were told of broadcasts that somebody missed. A report names the receiver and the event, but not which of
//! several that are alike: so at the end there have to be as many reports as there are broadcasts missing.

use std::collections::BTreeMap;

use crate::error::Code;
use crate::wire::frame::MAX_INLINE;

/// Whose broadcasts, to which id, of which event.
type Kind = (usize, String, String);

/// Reports, or broadcasts that are missing, of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    /// Reports that can only mean a large broadcast, or large broadcasts.
    large: usize,
    /// Reports that can mean any, or small broadcasts.
    other: usize,
}

/// All reports of a run.
#[derive(Debug, Default)]
pub struct Reports(BTreeMap<Kind, Count>);

/// Broadcasts that are missing at the end of a run, and the last of each kind for the message of a failure.
#[derive(Debug, Default)]
pub struct Missing(BTreeMap<Kind, (Count, usize)>);

impl Reports {
    /// The sender in that life hears that `to` missed a broadcast of `event`. Only a large one is given up at a receiver
    /// that is there.
    pub fn note(&mut self, sender: usize, to: &str, event: &str, code: Code) {
        let count = self.0.entry((sender, to.to_owned(), event.to_owned())).or_default();
        if code == Code::QueueFull { count.large += 1 } else { count.other += 1 }
    }

    /// The last broadcast of a kind of which more are missing than were reported.
    pub fn untold(&self, missing: &Missing) -> Option<usize> {
        let untold = missing.0.iter().find(|&(kind, (missing, _))| {
            let told = self.0.get(kind).copied().unwrap_or_default();
            missing.other > told.other || missing.large + missing.other > told.large + told.other
        });
        untold.map(|(_, &(_, number))| number)
    }
}

impl Missing {
    /// Broadcast `number` of so many bytes is due at `to` and never came.
    pub fn note(&mut self, (sender, to, event): (usize, &str, &str), number: usize, len: usize) {
        let (count, last) = self.0.entry((sender, to.to_owned(), event.to_owned())).or_default();
        if len > MAX_INLINE {
            count.large += 1
        } else {
            count.other += 1
        }
        *last = number;
    }
}
