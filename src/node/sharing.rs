//! Large bodies through shared memory: a node offers its memory to whom it has something large to say, and once the
//! other has accepted, a small frame says where the body lies.
//!
//! An acceptance is of one process, which the bridge makes sure of, and is forgotten with the link it came by: what was
//! written for it is then said in chunks, copied from the memory in which it stays until it is settled.

use std::collections::VecDeque;

use bytes::Bytes;

use super::client::Client;
use super::lane::{Copied, Sink};
use super::outbox::{Destination, Large};
use super::sending::Letter;
use super::terms::Terms;
use crate::error::{Code, Result};
use crate::pool::Lease;
use crate::wire::frame::{Head, MAX_INLINE, kind, malformed};
use crate::wire::lane::{Extent, LaneFrame, Offer, Shared};

impl Client {
    /// Sends a body of any length that `write` appends, at most `most` bytes: straight to where its receiver reads it,
    /// if that can be. `write` may be called twice, and has to write the same.
    ///
    /// # Errors
    /// `Closed`, `QueueFull`, `TooLarge`.
    pub fn send_written(
        &mut self,
        letter: Letter,
        most: usize,
        mut write: impl FnMut(&mut dyn Sink),
    ) -> std::result::Result<u32, Code> {
        if most > MAX_INLINE
            && let Some(extent) = self.write_shared(&letter, most, &mut write)
        {
            return self.send_large(letter, Large::Shared(extent));
        }
        let mut body = self.body();
        write(&mut body);
        self.send(letter, body)
    }

    fn write_shared(&mut self, letter: &Letter, most: usize, write: &mut dyn FnMut(&mut dyn Sink)) -> Option<Extent> {
        let to = &self.targets[letter.target as usize].to;
        if !goes_to_one(letter.kind) || to.terms.get().session == 0 {
            return None;
        }
        let terms = to.terms.get();
        let lane = self.lane.as_mut()?;
        let extent = lane.write(most, write)?;
        if extent.len > terms.most {
            // The bridge knows what to say to that.
            lane.free(extent);
            return None;
        }
        Some(extent)
    }

    /// Whether a message has to go in chunks, and not as one small frame.
    pub(super) fn takes_chunks(&self, seq: u64, to: &Destination) -> bool {
        match self.outbox.large(seq) {
            None => false,
            Some(Large::Chunks(_)) => true,
            Some(Large::Shared(extent)) => self.reader_of(extent, to).is_none(),
        }
    }

    /// The session that can be told where a body of ours is.
    pub(super) fn reader_of(&self, extent: &Extent, to: &Destination) -> Option<u64> {
        let Terms { session, most, .. } = to.terms.get();
        (session != 0 && extent.len <= most.min(self.max_message)).then_some(session)
    }

    /// A copy of what lies in our memory, for whom cannot read it there.
    pub(super) fn copied_chunks(&mut self, extent: Extent) -> VecDeque<Bytes> {
        let mut body = self.body();
        if let Some(lane) = &mut self.lane {
            lane.read(extent, &mut body);
        }
        body.into_chunks()
    }

    /// Says where our memory is to whom a large message is about to be said, once on each link.
    pub(super) fn offer_lane(&mut self, kind: u8, to: &Destination) {
        let terms = to.terms.get();
        if terms.offered || !goes_to_one(kind) || to.node.is_empty() {
            return;
        }
        let Some(lane) = &mut self.lane else { return };
        to.terms.set(Terms { offered: true, ..terms });
        if let Some(offer) = lane.offer() {
            let mut rest = Vec::with_capacity(Offer::LEN);
            offer.encode(&mut rest);
            let frame = LaneFrame { session: 0, node: &to.node, rest: &rest };
            frame.encode(kind::OFFER, self.segments.tail().1);
        }
    }

    /// Somebody offers its memory.
    pub(super) fn offered(&mut self, payload: &[u8]) -> Result<()> {
        let LaneFrame { session, node, rest } = LaneFrame::decode(payload)?;
        let offer = Offer::decode(rest)?;
        let Some(lane) = &mut self.lane else { return Ok(()) };
        if session != 0 && lane.open(node, session, &offer) {
            let rest = &self.config.max_message.to_le_bytes();
            LaneFrame { session, node, rest }.encode(kind::ACCEPT, self.segments.tail().1);
        }
        Ok(())
    }

    /// Somebody reads our memory from now on; or, with 0 bytes, it was another process that did.
    pub(super) fn accepted(&mut self, payload: &[u8]) -> Result<()> {
        let LaneFrame { session, node, rest } = LaneFrame::decode(payload)?;
        let most = rest.try_into().map(u64::from_le_bytes).map_err(|_| malformed("an ACCEPT of another length"))?;
        let Some(to) = self.destinations.find(node) else { return Ok(()) };
        if most == 0 {
            to.forget_terms();
        } else if to.terms.get().offered {
            to.terms.set(Terms { offered: true, session, most });
        }
        Ok(())
    }

    /// The body of a new message, which lies in its sender's memory: copied now, for later it may be gone. `None`: there
    /// is nothing to be delivered.
    pub(super) fn fetch(&mut self, head: &Head, body: &[u8]) -> Result<Option<Lease>> {
        let Shared { extent, .. } = Shared::decode(body)?;
        let Some(sender) = self.sender_of(head)?.cloned() else { return Err(malformed("a bridge shares no memory")) };
        if extent.len > self.config.max_message {
            return Err(malformed("a message larger than this node said it takes"));
        }
        let mut lease = self.inbox.lease(extent.len as usize);
        let copied = match &mut self.lane {
            Some(lane) => lane.copy(&sender.id, sender.session, extent, lease.bytes_mut()),
            None => Copied::Unreadable,
        };
        self.fetched += extent.len;
        if copied == Copied::Unreadable {
            // No honest sender's doing.
            let text = "what was sent is not where its sender says it is";
            let event = self.names_of(head)?.1;
            self.not_delivered(head, &sender.id, &event.text, Code::Protocol, text);
        }
        Ok((copied == Copied::Whole).then_some(lease))
    }
}

impl Destination {
    /// Nobody there has accepted anything.
    pub fn forget_terms(&self) {
        self.terms.take();
    }
}

/// Whether a message of this kind has one receiver, which is no bridge.
fn goes_to_one(kind: u8) -> bool {
    matches!(kind, kind::MESSAGE | kind::REPLY)
}
