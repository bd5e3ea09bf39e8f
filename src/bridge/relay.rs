//! Large messages on their way through the bridge: forwarded chunk by chunk, collected only for those who cannot
//! take chunks (the host's own process, and peers of the original's wire).

use std::rc::Rc;

use super::link::{Body, LinkKey, Wire};
use super::member::MemberKey;
use super::router::Router;
use super::routing::watched;
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
    /// Body bytes in all.
    pub total: u64,
    /// Those still to come.
    pub left: u64,
    /// Who gets the chunks, and the stream's number on their links.
    pub to: Vec<(MemberKey, u32)>,
    pub fate: Fate,
    pub collected: Option<Collected>,
}

/// What its last chunk settles.
#[derive(Clone, Debug)]
pub enum Fate {
    /// A directed message.
    Directed(Watched),
    /// A broadcast.
    Shared(Rc<Broadcast>),
    /// Nothing: it was settled when it was refused, or nobody counts it.
    Ignored,
}

impl Fate {
    /// What a receiver's last chunk carries.
    pub fn in_flight(&self) -> InFlight {
        match self {
            Self::Directed(watched) => InFlight::Message(*watched),
            Self::Shared(broadcast) => InFlight::Share(broadcast.clone()),
            Self::Ignored => InFlight::Unwatched,
        }
    }
}

/// A large message that is put together here.
#[derive(Debug)]
pub struct Collected {
    pub head: Head,
    pub event: Option<Symbol>,
    /// Grows with what really comes, never by what was announced.
    pub body: Vec<u8>,
    pub readers: Readers,
}

/// For whom.
#[derive(Debug)]
pub enum Readers {
    /// The process that hosts the bridge.
    Host,
    /// Peers of the original's wire.
    Legacy(Vec<MemberKey>),
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
        let watched = watched(sender, &head, total);
        let collecting: u64 = relays.values().filter(|relay| relay.collected.is_some()).map(|relay| relay.total).sum();
        let relay = if total > self.limits.max_message {
            self.settlements.message(watched);
            self.too_large(sender, &head, (peer, event), total, self.limits.max_message);
            Relay::ignored(total)
        } else {
            self.begin_relay(sender, head, (peer, event), watched, total)?
        };
        let relay = self.bound_collection(sender, &head, (peer, event), relay, collecting);
        self.link(link).native()?.relays.insert(stream, relay);
        Ok(())
    }

    /// What is collected here is bounded for each sender: beyond, it is told so, and its chunks are passed over.
    fn bound_collection(
        &mut self,
        sender: MemberKey,
        head: &Head,
        names: (Option<Symbol>, Option<Symbol>),
        mut relay: Relay,
        collecting: u64,
    ) -> Relay {
        let most = self.limits.max_message.max(self.limits.max_pending as u64);
        if relay.collected.is_none() || collecting + relay.total <= most {
            return relay;
        }
        self.counters.undeliverable.increment();
        let text = format!("{collecting} bytes of large messages are on their way to peers that take no chunks");
        match (head.kind, &relay.collected) {
            (kind::REPLY, Some(Collected { readers: Readers::Legacy(askers), .. })) => {
                for &asker in askers {
                    self.refuse_reply(sender, asker, head, Code::QueueFull, &text);
                }
            }
            (kind::REFUSE, _) => {}
            _ => self.refuse(sender, names, head.correlation, Code::QueueFull, &text),
        }
        self.forget_collected(&mut relay);
        relay
    }

    fn begin_relay(
        &mut self,
        sender: MemberKey,
        head: Head,
        (peer, event): (Option<Symbol>, Option<Symbol>),
        watched: Watched,
        total: u64,
    ) -> Result<Relay> {
        let receivers: Vec<MemberKey> = match (head.kind, peer) {
            (kind::RPC, _) => {
                let event = event.map(|event| self.symbols.retain(event));
                return Ok(Relay::collecting(head, event, Readers::Host, watched, total));
            }
            (kind::BROADCAST, _) => self.receivers(sender, &head, event, total),
            (kind::ROSTER, _) => return Err(malformed("a question for the roster that is large")),
            (_, None) => return Err(malformed("a directed frame without a receiver")),
            (_, Some(peer)) => self.receiver(sender, &head, (peer, event), total).into_iter().collect(),
        };
        if receivers.is_empty() {
            self.settlements.message(watched);
            return Ok(Relay::ignored(total));
        }
        let fate = match head.kind {
            kind::BROADCAST => Fate::Shared(Rc::new(Broadcast { watched, receivers_left: receivers.len().into() })),
            _ => Fate::Directed(watched),
        };
        Ok(self.open_to(sender, receivers, head, event, fate, total))
    }

    fn open_to(
        &mut self,
        sender: MemberKey,
        receivers: Vec<MemberKey>,
        head: Head,
        event: Option<Symbol>,
        fate: Fate,
        total: u64,
    ) -> Relay {
        let (mut to, mut legacy) = (Vec::new(), Vec::new());
        for receiver in receivers {
            self.counters.delivered.increment();
            let from = self.note_asker(sender, receiver, &head);
            let link = self.members[receiver.place as usize].link;
            let state = &mut self.links[link.0 as usize];
            let Wire::Native(native) = &mut state.wire else {
                legacy.push(receiver);
                continue;
            };
            let stream = native.next_stream();
            let opening = large_head(stream, total);
            let stores = (&mut self.symbols, &mut self.spares);
            state.push_routed(head, (Some(from), event), &Body::small(&opening), InFlight::Unwatched, stores);
            self.mark_dirty(link);
            to.push((receiver, stream));
        }
        let collected = (!legacy.is_empty()).then(|| Collected {
            head,
            event: event.map(|event| self.symbols.retain(event)),
            body: Vec::new(),
            readers: Readers::Legacy(legacy),
        });
        Relay { total, left: total, to, fate, collected }
    }

    /// More of a large message.
    pub(super) fn relay_chunk(&mut self, link: LinkKey, sender: MemberKey, frame: &Arrived<'_>) -> Result<()> {
        let (stream, bytes) = (frame.stream, frame.raw.payload);
        let relays = &mut self.links[link.0 as usize].native()?.relays;
        let Some(mut relay) = relays.remove(&stream) else {
            return Err(malformed("a chunk of a large message that is not open"));
        };
        if frame.raw.flags & flag::ABORT != 0 {
            self.abort_relay(relay);
            return Ok(());
        }
        let Some(left) = relay.left.checked_sub(bytes.len() as u64) else {
            self.abort_relay(relay);
            return Err(malformed("more bytes than announced"));
        };
        relay.left = left;
        let body = Body::new(bytes, |bytes| frame.share(bytes));
        self.pass_chunk(sender, &relay, &body);
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

    fn pass_chunk(&mut self, sender: MemberKey, relay: &Relay, chunk: &Body<'_>) {
        for &(receiver, stream) in &relay.to {
            let in_flight = if relay.left == 0 { relay.fate.in_flight() } else { InFlight::Unwatched };
            if !self.is_member(receiver) {
                self.settlements.frame(in_flight);
                continue;
            }
            let link = self.members[receiver.place as usize].link;
            self.links[link.0 as usize].push_chunk(stream, 0, chunk, in_flight, &mut self.spares);
            self.mark_dirty(link);
            self.hold_if_full(sender, link);
        }
    }

    fn finish_collected(&mut self, sender: MemberKey, relay: Relay) {
        let Some(Collected { head, event, body, readers }) = relay.collected else { return };
        let head = Head { flags: head.flags & !flag::LARGE, ..head };
        match readers {
            Readers::Host => {
                self.settlements.frame(relay.fate.in_flight());
                self.call_host(sender, head, event, body.into());
            }
            Readers::Legacy(receivers) => {
                for receiver in receivers {
                    let in_flight = relay.fate.in_flight();
                    if !self.is_member(receiver) {
                        self.settlements.frame(in_flight);
                        continue;
                    }
                    self.deliver_legacy(sender, receiver, head, event, &body, in_flight);
                    let link = self.members[receiver.place as usize].link;
                    self.hold_if_full(sender, link);
                }
            }
        }
        event.into_iter().for_each(|event| self.symbols.release(event));
    }

    /// The sender gave up, or is gone: receivers forget what came.
    pub(super) fn abort_relay(&mut self, mut relay: Relay) {
        for (receiver, stream) in std::mem::take(&mut relay.to) {
            if self.is_member(receiver) {
                let link = self.members[receiver.place as usize].link;
                let nothing = Body::small(&[]);
                let in_flight = relay.fate.in_flight();
                self.links[link.0 as usize].push_chunk(stream, flag::ABORT, &nothing, in_flight, &mut self.spares);
                self.mark_dirty(link);
            } else {
                self.settlements.frame(relay.fate.in_flight());
            }
        }
        self.forget_collected(&mut relay);
    }

    /// Those who would have got it whole will not.
    fn forget_collected(&mut self, relay: &mut Relay) {
        let Some(Collected { event, readers, .. }) = relay.collected.take() else { return };
        let readers = match readers {
            Readers::Host => 1,
            Readers::Legacy(readers) => readers.len(),
        };
        for _ in 0..readers {
            self.settlements.frame(relay.fate.in_flight());
        }
        event.into_iter().for_each(|event| self.symbols.release(event));
    }
}

impl Relay {
    fn ignored(total: u64) -> Self {
        Self { total, left: total, to: Vec::new(), fate: Fate::Ignored, collected: None }
    }

    fn collecting(head: Head, event: Option<Symbol>, readers: Readers, watched: Watched, total: u64) -> Self {
        let collected = Some(Collected { head, event, body: Vec::new(), readers });
        Self { total, left: total, to: Vec::new(), fate: Fate::Directed(watched), collected }
    }
}
