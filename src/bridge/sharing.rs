//! Nodes that share memory: the bridge passes on what they tell each other of it, and makes sure that a message that
//! lies in shared memory reaches the very process that said it reads it, or comes again in chunks.

use super::link::Wire;
use super::member::{Member, MemberKey};
use super::router::Router;
use super::routing::watched;
use super::settling::InFlight;
use crate::error::Result;
use crate::wire::frame::{Head, kind};
use crate::wire::lane::{LaneFrame, Shared};

impl Router {
    /// An OFFER or an ACCEPT. If it cannot be passed on it is forgotten: then bodies come by socket.
    pub(super) fn pass_on(&mut self, sender: MemberKey, kind: u8, payload: &[u8]) -> Result<()> {
        let LaneFrame { session, node, rest } = LaneFrame::decode(payload)?;
        let Some(receiver) = self.symbols.find(node).and_then(|id| self.find_member(id)) else { return Ok(()) };
        let Member { id, session: own, .. } = self.members[sender.place as usize];
        let other = &self.members[receiver.place as usize];
        let meant = if kind == kind::OFFER { other.lane } else { session == other.session };
        let Some(link) = other.link.filter(|_| meant && own != 0 && receiver != sender) else { return Ok(()) };
        let state = &self.links[link.0 as usize];
        if !matches!(state.wire, Wire::Native(_)) || state.is_full(self.limits.max_pending) {
            return Ok(());
        }
        if kind == kind::ACCEPT {
            // Each is told when the other is gone.
            self.tell_when_gone(sender, receiver);
            self.note_unfinished(receiver, sender, 0);
        }
        let frame = LaneFrame { session: own, node: self.symbols.name(id), rest };
        frame.encode(kind, self.links[link.0 as usize].out.tail(&mut self.spares));
        self.mark_dirty(link);
        Ok(())
    }

    /// Whether a message lies where only another process can read it that had the receiver's id. Then its sender is
    /// asked to say it again, and told why.
    pub(super) fn is_for_another(&mut self, sender: MemberKey, receiver: MemberKey, head: &Head, body: &[u8]) -> bool {
        let Ok(Shared { session, .. }) = Shared::decode(body) else { return false };
        let Member { id, session: own, .. } = self.members[receiver.place as usize];
        if session == own {
            return false;
        }
        if !self.keeps(sender) {
            self.settlements.message(watched(sender, head, body.len() as u64));
            return true;
        }
        if let Some(link) = self.members[sender.place as usize].link {
            let frame = LaneFrame { session: 0, node: self.symbols.name(id), rest: &[0; 8] };
            frame.encode(kind::ACCEPT, self.links[link.0 as usize].out.tail(&mut self.spares));
            self.mark_dirty(link);
        }
        self.owe(sender, receiver, head.seq, InFlight::Unwatched);
        true
    }
}
