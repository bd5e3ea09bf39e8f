//! Large messages on their way through the bridge: forwarded chunk by chunk, collected only for those who cannot
//! take chunks (the host's own process, and peers of the original's wire).

use std::rc::Rc;

use bytes::Bytes;

use super::collecting::Reader;
use super::link::{Body, LinkKey, Wire};
use super::member::MemberKey;
use super::owing::Way;
use super::rejections::Suspect;
use super::router::Router;
use super::routing::{Route, watched};
use super::settling::{Broadcast, InFlight, Watched};
use super::symbols::Symbol;
use crate::error::{Code, Result};
use crate::wire::frame::{Head, decode_large_head, flag, kind, large_head, malformed};
use crate::wire::reader::Arrived;

/// Large messages one link may have open at a time.
pub const MAX_RELAYS: usize = 1024;

/// One large message whose opening has come and whose end has not.
#[derive(Debug)]
pub struct Relay {
    stream: u32,
    /// Body bytes in all.
    pub total: u64,
    /// Those still to come.
    pub left: u64,
    /// The message's number, its sender's.
    seq: u64,
    /// Who gets the chunks.
    pub to: Vec<Leg>,
    pub fate: Fate,
    pub collected: Option<Collected>,
}

/// One receiver of chunks.
#[derive(Clone, Copy, Debug)]
pub struct Leg {
    pub receiver: MemberKey,
    /// The link that got the opening: on another one, the rest would make no sense.
    serial: u64,
    /// The message's number there.
    stream: u32,
}

/// What its last chunk settles.
#[derive(Clone, Debug)]
pub enum Fate {
    /// A directed message.
    Directed(Watched),
    /// A broadcast.
    Shared(Rc<Broadcast>),
    /// Nothing: it is settled, and said again to somebody who lacks it.
    Settled { sender: MemberKey, seq: u64 },
    /// Nothing: it was settled when it was refused, or nobody counts it.
    Ignored,
}

impl Fate {
    /// What a receiver's last chunk carries.
    pub fn in_flight(&self) -> InFlight {
        match self {
            Self::Directed(watched) => InFlight::Message(*watched),
            Self::Shared(broadcast) => InFlight::Share(broadcast.clone()),
            &Self::Settled { sender, seq } => InFlight::Part { suspect: Suspect::Message { sender, seq } },
            Self::Ignored => InFlight::Unwatched,
        }
    }

    /// What a chunk before the last one carries.
    fn part(&self) -> InFlight {
        InFlight::Part { suspect: self.in_flight().suspect() }
    }
}

/// A large message that is put together here.
#[derive(Debug)]
pub struct Collected {
    /// Grows with what really comes, never by what was announced.
    body: Vec<u8>,
    readers: Vec<Reader>,
}

/// A large message's opening, and who sent it.
#[derive(Clone, Copy, Debug)]
struct Opening {
    sender: MemberKey,
    head: Head,
    peer: Option<Symbol>,
    event: Option<Symbol>,
    stream: u32,
    total: u64,
}

impl Router {
    /// The opening of a large message.
    ///
    /// # Errors
    /// `ERR_PROTOCOL`; what merely cannot be delivered is refused to its sender, and its chunks are passed over.
    pub(super) fn open_relay(
        &mut self,
        link: LinkKey,
        sender: MemberKey,
        head: Head,
        (peer, event): (Option<Symbol>, Option<Symbol>),
        opening: &[u8],
    ) -> Result<()> {
        let (stream, total) = decode_large_head(opening)?;
        let relays = &self.links[link.0 as usize].native()?.relays;
        if total == 0 || relays.len() >= MAX_RELAYS || relays.contains_key(&stream) {
            return Err(malformed("a large message that is empty, open already, or one too many"));
        }
        let collecting: u64 = relays.values().filter(|relay| relay.collected.is_some()).map(|relay| relay.total).sum();
        let opening = Opening { sender, head, peer, event, stream, total };
        let relay = if total > self.limits.max_message {
            self.too_large(sender, &head, (peer, event), total, self.limits.max_message);
            self.settlements.message(watched(sender, &head, total));
            Relay::ignored(&opening)
        } else {
            self.begin_relay(&opening, collecting)?
        };
        self.link(link).native()?.relays.insert(stream, relay);
        Ok(())
    }

    fn begin_relay(&mut self, opening: &Opening, collecting: u64) -> Result<Relay> {
        let &Opening { sender, ref head, peer, event, total, .. } = opening;
        let watched = watched(sender, head, total);
        let (receivers, fate) = match (head.kind, peer) {
            (kind::ROSTER, _) => return Err(malformed("a question for the roster that is large")),
            (kind::RPC, _) => {
                return Ok(self.collect(opening, vec![Reader::Host], Fate::Directed(watched), collecting));
            }
            (kind::BROADCAST, None) => {
                let receivers = self.receivers(sender, head, event, total);
                self.end_unfinished(sender, head.seq, &receivers);
                let broadcast = self.new_broadcast(watched, receivers.len());
                (receivers, Fate::Shared(broadcast))
            }
            (kind::BROADCAST, Some(peer)) => match self.late_receiver(sender, *head, peer, event) {
                Some((receiver, Some(share))) => (vec![receiver], Fate::Shared(share)),
                Some((receiver, None)) => (vec![receiver], Fate::Settled { sender, seq: head.seq }),
                None => return Ok(Relay::ignored(opening)),
            },
            (_, None) => return Err(malformed("a directed frame without a receiver")),
            (_, Some(peer)) => match self.receiver(sender, head, (peer, event), total) {
                Route::To(receiver) => (vec![receiver], Fate::Directed(watched)),
                Route::Later => return Ok(Relay::ignored(opening)),
                Route::Refused => {
                    self.settlements.message(watched);
                    return Ok(Relay::ignored(opening));
                }
            },
        };
        if let (true, Fate::Shared(broadcast)) = (receivers.is_empty(), &fate) {
            self.settle_if_for_nobody(broadcast);
            return Ok(Relay::ignored(opening));
        }
        let (legacy, native): (Vec<_>, Vec<_>) = receivers.into_iter().partition(|&receiver| self.is_legacy(receiver));
        let mut readers = Vec::new();
        for receiver in legacy {
            if let Way::Open(..) = self.way(sender, receiver, head.seq, fate.in_flight()) {
                readers.push(Reader::Legacy(receiver));
            }
        }
        let mut relay = self.collect(opening, readers, fate, collecting);
        for receiver in native {
            self.counters.delivered.increment();
            relay.to.extend(self.open_leg(opening, receiver, &relay.fate));
        }
        Ok(relay)
    }

    fn open_leg(&mut self, opening: &Opening, receiver: MemberKey, fate: &Fate) -> Option<Leg> {
        let &Opening { sender, head, event, total, .. } = opening;
        let from = self.note_asker(sender, receiver, &head);
        // Whoever is gone before it has all is no secret to the sender.
        self.tell_when_gone(receiver, sender);
        match self.way(sender, receiver, head.seq, fate.in_flight()) {
            Way::Open(_, in_flight) if self.rejects(sender, receiver, head.seq) => {
                self.end_rejected((sender, receiver), (&head, event), in_flight);
                None
            }
            Way::Open(link, _) => {
                let state = &mut self.links[link.0 as usize];
                let Wire::Native(native) = &mut state.wire else { return None };
                let stream = native.next_stream();
                let bytes = large_head(stream, total);
                let stores = (&mut self.symbols, &mut self.spares);
                let opening = InFlight::Opening { sender, seq: head.seq };
                state.push_routed(head, (from, event), &Body::small(&bytes), opening, stores);
                let serial = state.serial;
                self.mark_dirty(link);
                Some(Leg { receiver, serial, stream })
            }
            Way::Owed => None,
            Way::Lost(in_flight) => {
                self.settlements.frame(in_flight);
                self.tell_lost(sender, receiver);
                None
            }
        }
    }

    /// A message that is put together for `readers`, if there are any. What is collected is bounded for each sender:
    /// beyond, it is told so, and the chunks are passed over.
    fn collect(&mut self, opening: &Opening, readers: Vec<Reader>, fate: Fate, collecting: u64) -> Relay {
        let &Opening { sender, ref head, peer, event, stream, total } = opening;
        let mut relay = Relay { stream, total, left: total, seq: head.seq, to: Vec::new(), fate, collected: None };
        if readers.is_empty() {
            return relay;
        }
        let most = self.limits.max_message.max(self.limits.max_pending as u64);
        if collecting + total > most {
            self.counters.undeliverable.increment();
            let text = format!("{collecting} bytes of large messages are on their way to peers that take no chunks");
            self.refuse_collecting(sender, head, (peer, event), &readers, &text);
            readers.iter().for_each(|_| self.settlements.frame(relay.fate.in_flight()));
            return relay;
        }
        for &reader in &readers {
            if let Reader::Legacy(receiver) = reader {
                self.counters.delivered.increment();
                // Whoever is gone before it has all is no secret to the sender.
                self.tell_when_gone(receiver, sender);
            }
            self.begin_collecting(sender, reader, (*head, event), stream, relay.fate.in_flight());
        }
        relay.collected = Some(Collected { body: Vec::new(), readers });
        relay
    }

    fn refuse_collecting(
        &mut self,
        sender: MemberKey,
        head: &Head,
        names: (Option<Symbol>, Option<Symbol>),
        readers: &[Reader],
        text: &str,
    ) {
        match head.kind {
            kind::REPLY => {
                for reader in readers {
                    if let &Reader::Legacy(asker) = reader {
                        let in_flight = InFlight::Unwatched;
                        self.refuse_reply(sender, asker, head, (Code::QueueFull, text), in_flight);
                    }
                }
            }
            kind::REFUSE => {}
            _ => self.refuse(sender, names, head, Code::QueueFull, text),
        }
    }

    /// More of a large message.
    pub(super) fn relay_chunk(&mut self, link: LinkKey, sender: MemberKey, frame: &Arrived<'_>) -> Result<()> {
        let (stream, bytes) = (frame.stream, frame.raw.payload);
        let relays = &mut self.links[link.0 as usize].native()?.relays;
        let Some(mut relay) = relays.remove(&stream) else {
            return Err(malformed("a chunk of a large message that is not open"));
        };
        if frame.raw.flags & flag::LOST != 0 {
            self.await_relay(sender, relay);
            return Ok(());
        }
        if frame.raw.flags & flag::ABORT != 0 {
            self.take_back(sender, relay);
            return Ok(());
        }
        let Some(left) = relay.left.checked_sub(bytes.len() as u64) else {
            self.take_back(sender, relay);
            return Err(malformed("more bytes than announced"));
        };
        relay.left = left;
        let body = Body::new(bytes, |bytes| frame.share(bytes));
        self.pass_chunk(sender, &mut relay, &body);
        if let Some(collected) = &mut relay.collected {
            collected.body.extend_from_slice(bytes);
        }
        if relay.left > 0 {
            self.links[link.0 as usize].native()?.relays.insert(stream, relay);
        } else {
            self.finish_collected(sender, relay);
        }
        Ok(())
    }

    fn pass_chunk(&mut self, sender: MemberKey, relay: &mut Relay, chunk: &Body<'_>) {
        let (left, fate) = (relay.left, &relay.fate);
        relay.to.retain(|leg| {
            let in_flight = if left == 0 { fate.in_flight() } else { fate.part() };
            match self.link_of(leg) {
                Some(link) => {
                    self.links[link.0 as usize].push_chunk(leg.stream, 0, chunk, in_flight, &mut self.spares);
                    self.mark_dirty(link);
                    self.hold_if_full(sender, link);
                    true
                }
                // It got the beginning on a link that is gone. Of those who are gone themselves, no leg is left.
                None => {
                    self.owe(sender, leg.receiver, 0, fate.in_flight());
                    false
                }
            }
        });
    }

    /// The link that got the opening, if it is still its receiver's.
    fn link_of(&self, leg: &Leg) -> Option<LinkKey> {
        let member = self.members.get(leg.receiver.place as usize).filter(|member| member.key == leg.receiver)?;
        member.link.filter(|link| self.links[link.0 as usize].serial == leg.serial)
    }

    fn finish_collected(&mut self, sender: MemberKey, relay: Relay) {
        let Some(Collected { body, readers }) = relay.collected else { return };
        let body = Bytes::from(body);
        for reader in readers {
            self.collected(sender, reader, relay.stream, Some(body.clone()));
        }
    }

    /// The sender gave up: receivers forget what came.
    fn take_back(&mut self, sender: MemberKey, mut relay: Relay) {
        if let Some(Collected { readers, .. }) = relay.collected.take() {
            for reader in readers {
                self.collected(sender, reader, relay.stream, None);
            }
        }
        self.abort_relay(relay);
    }

    /// The sender gave up, or is gone: receivers forget what came.
    pub(super) fn abort_relay(&mut self, relay: Relay) {
        for leg in &relay.to {
            match self.link_of(leg) {
                Some(link) => self.push_abort(link, leg.stream, flag::ABORT, relay.fate.in_flight()),
                None => self.settlements.frame(relay.fate.in_flight()),
            }
        }
    }

    /// The sender is about to say all of it again: receivers wait for that.
    fn await_relay(&mut self, sender: MemberKey, mut relay: Relay) {
        for reader in relay.collected.take().into_iter().flat_map(|collected| collected.readers) {
            self.forget_from(sender, reader, relay.stream);
        }
        for leg in &relay.to {
            self.await_again(sender, leg.receiver, relay.fate.in_flight());
        }
        self.suspend_relay(sender, relay);
    }

    /// The sender lost its link, and will say all of it again: receivers wait for that.
    pub(super) fn suspend_relay(&mut self, sender: MemberKey, relay: Relay) {
        for leg in &relay.to {
            if let Some(link) = self.link_of(leg) {
                self.push_abort(link, leg.stream, flag::ABORT | flag::LOST, InFlight::Unwatched);
                self.note_unfinished(sender, leg.receiver, relay.seq);
            }
        }
    }

    fn push_abort(&mut self, link: LinkKey, stream: u32, flags: u8, in_flight: InFlight) {
        self.links[link.0 as usize].push_chunk(stream, flags, &Body::small(&[]), in_flight, &mut self.spares);
        self.mark_dirty(link);
    }
}

impl Relay {
    fn ignored(opening: &Opening) -> Self {
        let &Opening { head, stream, total, .. } = opening;
        Self { stream, total, left: total, seq: head.seq, to: Vec::new(), fate: Fate::Ignored, collected: None }
    }
}
