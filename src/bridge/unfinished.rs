//! Who has the beginning of a large message of whom: its sender may never say the rest, because it is gone, or because the
//! receiver listens for that no longer.

use super::link::{Link, Wire};
use super::member::{Member, MemberKey};
use super::rejections::Suspect;
use super::router::Router;
use super::routing::FEW_TO_TELL;
use super::settling::InFlight;
use crate::wire::control::Watch;
use crate::wire::frame::kind;

/// Of a node that has the beginning of a message whose number is not known.
pub(super) const ANY: u64 = u64::MAX;

impl Router {
    /// `reader` waits for the rest of message `seq` of `key`; with 0 it only reads the memory of `key`. Now and then the dead
    /// are forgotten, so that a node does not remember every reader it ever had.
    pub(super) fn note_unfinished(&mut self, key: MemberKey, reader: MemberKey, seq: u64) {
        let few = FEW_TO_TELL + 2 * self.members.len();
        let unfinished = &mut self.members[key.place as usize].unfinished;
        let last = unfinished.entry(reader).or_insert(seq);
        *last = seq.max(*last);
        if unfinished.len() > few {
            let mut unfinished = std::mem::take(unfinished);
            unfinished.retain(|&reader, _| self.is_member(reader));
            self.members[key.place as usize].unfinished = unfinished;
        }
    }

    /// `sender` says its large broadcast `seq`, perhaps again, to `receivers` only: who has the beginning of it and is not
    /// among them waits for no rest any more.
    pub(super) fn end_unfinished(&mut self, sender: MemberKey, seq: u64, receivers: &[MemberKey]) {
        let waits = |&(reader, &last): &(&MemberKey, &u64)| last >= seq && !receivers.contains(reader);
        let readers = self.members[sender.place as usize].unfinished.iter().filter(waits);
        let readers: Vec<MemberKey> = readers.map(|(&reader, _)| reader).collect();
        for reader in readers {
            // What it lacks is said again to it alone, perhaps from before this one on, and this one with it.
            if self.is_member(reader) && !self.members[reader.place as usize].owed.lacks_of(sender) {
                self.tell_not_continued(sender, reader, seq);
            }
        }
    }

    /// `receiver`, which does not listen for it or rejects it, may have the beginning of message `seq` of `sender`: no rest will come of it,
    /// nor of any before.
    pub(super) fn tell_not_continued(&mut self, sender: MemberKey, receiver: MemberKey, seq: u64) {
        let Member { session, info, .. } = &self.members[sender.place as usize];
        let unheard = Watch { seq: 0, oldest: seq, session: *session, node: info.id.clone() };
        // Not kept for another link: by then the sender may have begun again what it said before this one.
        let Some(link) = self.members[receiver.place as usize].link else { return };
        let Link { wire: Wire::Native(native), out, .. } = &mut self.links[link.0 as usize] else { return };
        unheard.encode(kind::UNHEARD, out.tail(&mut self.spares));
        native.expect(InFlight::Part { suspect: Suspect::Message { sender, seq } });
        self.mark_dirty(link);
    }
}
