//! Messages on their way from one node to others.

use std::rc::Rc;

use bytes::Bytes;

use super::link::{Body, LinkKey, Wire};
use super::member::{Member, MemberKey};
use super::router::Router;
use super::settling::{Broadcast, InFlight, Watched};
use super::symbols::Symbol;
use crate::error::{Code, Result};
use crate::wire::control::charge;
use crate::wire::frame::{Encoding, Head, flag, kind, malformed, refusal};

impl Router {
    pub(super) fn route(&mut self, link: LinkKey, sender: MemberKey, head: Head, body: &Body<'_>) -> Result<()> {
        let names = &self.links[link.0 as usize].native()?.names;
        let event = if head.event == 0 { None } else { Some(*names.get(head.event)?) };
        let peer = if head.peer == 0 { None } else { Some(*names.get(head.peer)?) };
        if head.is_large() {
            return self.open_relay(link, sender, head, (peer, event), body.bytes());
        }
        let body_len = body.bytes().len() as u64;
        if body_len > self.limits.max_message {
            self.settlements.message(watched(sender, &head, body_len));
            self.too_large(sender, &head, (peer, event), body_len, self.limits.max_message);
            return Ok(());
        }
        match (head.kind, peer) {
            (kind::BROADCAST, _) => self.broadcast(sender, head, event, body),
            (kind::RPC, _) => {
                self.settlements.message(watched(sender, &head, body_len));
                self.call_host(sender, head, event, Bytes::copy_from_slice(body.bytes()))
            }
            (kind::ROSTER, _) => {
                self.settlements.message(watched(sender, &head, body_len));
                self.send_roster(sender, &head);
            }
            (_, None) => return Err(malformed("a directed frame without a receiver")),
            (_, Some(peer)) => self.forward(sender, head, (peer, event), body),
        }
        Ok(())
    }

    /// A directed message, reply or refusal.
    pub(super) fn forward(
        &mut self,
        sender: MemberKey,
        head: Head,
        (peer, event): (Symbol, Option<Symbol>),
        body: &Body<'_>,
    ) {
        let body_len = body.bytes().len() as u64;
        let watched = watched(sender, &head, body_len);
        match self.receiver(sender, &head, (peer, event), body_len) {
            Some(receiver) => self.deliver(sender, receiver, head, event, body, InFlight::Message(watched)),
            None => self.settlements.message(watched),
        }
    }

    /// Who gets a directed message of this length; `None`: nobody, and whoever waits was told.
    pub(super) fn receiver(
        &mut self,
        sender: MemberKey,
        head: &Head,
        (peer, event): (Symbol, Option<Symbol>),
        body_len: u64,
    ) -> Option<MemberKey> {
        let Some(receiver) = self.find_member(peer) else {
            self.unknown_node(sender, head, (peer, event));
            return None;
        };
        let most = self.members[receiver.place as usize].max_message;
        if body_len > most {
            self.too_large(sender, head, (Some(peer), event), body_len, most);
            return None;
        }
        Some(receiver)
    }

    /// Who gets a broadcast of this length; of those who cannot take it the sender is told.
    pub(super) fn receivers(
        &mut self,
        sender: MemberKey,
        head: &Head,
        event: Option<Symbol>,
        body_len: u64,
    ) -> Vec<MemberKey> {
        let mut receivers: Vec<MemberKey> = self.interests.listeners(event).filter(|&other| other != sender).collect();
        receivers.retain(|receiver| {
            let Member { id, max_message, .. } = self.members[receiver.place as usize];
            let fits = body_len <= max_message;
            if !fits {
                self.too_large(sender, head, (Some(id), event), body_len, max_message);
            }
            fits
        });
        receivers
    }

    /// A message exceeds what the bridge or its receiver takes: whoever waits is told.
    pub(super) fn too_large(
        &mut self,
        sender: MemberKey,
        head: &Head,
        (peer, event): (Option<Symbol>, Option<Symbol>),
        body_len: u64,
        most: u64,
    ) {
        self.counters.undeliverable.increment();
        let text = format!("a message of {body_len} bytes, where {most} are taken at the most");
        let asker = peer.filter(|_| head.kind == kind::REPLY).and_then(|asker| self.find_member(asker));
        match (head.kind, asker) {
            (kind::REPLY, Some(asker)) => {
                self.refuse_reply(sender, asker, head, Code::TooLarge, &text);
            }
            (kind::REPLY | kind::REFUSE, _) => {}
            _ => self.refuse(sender, (peer, event), head.correlation, Code::TooLarge, &text),
        }
    }

    /// Tells the sender of a message that its receiver is not there; who asked and left needs no reply.
    pub(super) fn unknown_node(&mut self, sender: MemberKey, head: &Head, (peer, event): (Symbol, Option<Symbol>)) {
        if head.kind != kind::MESSAGE {
            self.counters.stale_replies.increment();
            return;
        }
        self.counters.undeliverable.increment();
        let text = format!("unknown-node: nobody on the bus has the id '{}'", self.symbols.name(peer));
        self.refuse(sender, (Some(peer), event), head.correlation, Code::UnknownNode, &text);
    }

    pub(super) fn broadcast(&mut self, sender: MemberKey, head: Head, event: Option<Symbol>, body: &Body<'_>) {
        let body_len = body.bytes().len() as u64;
        let receivers = self.receivers(sender, &head, event, body_len);
        let watched = watched(sender, &head, body_len);
        if receivers.is_empty() {
            return self.settlements.message(watched);
        }
        let share = Rc::new(Broadcast { watched, receivers_left: receivers.len().into() });
        for receiver in receivers {
            self.deliver(sender, receiver, head, event, body, InFlight::Share(share.clone()));
        }
    }

    fn deliver(
        &mut self,
        sender: MemberKey,
        receiver: MemberKey,
        head: Head,
        event: Option<Symbol>,
        body: &Body<'_>,
        in_flight: InFlight,
    ) {
        self.counters.delivered.increment();
        let from = self.note_asker(sender, receiver, &head);
        let link = self.members[receiver.place as usize].link;
        match self.links[link.0 as usize].wire {
            Wire::Native(_) => self.links[link.0 as usize].push_message(
                head,
                (Some(from), event),
                body,
                in_flight,
                (&mut self.symbols, &mut self.spares),
            ),
            _ => self.deliver_legacy(sender, receiver, head, event, body.bytes(), in_flight),
        }
        self.mark_dirty(link);
        self.hold_if_full(sender, link);
    }

    /// Remembers that `sender` wants to know when `receiver` goes; returns the sender's id.
    pub(super) fn note_asker(&mut self, sender: MemberKey, receiver: MemberKey, head: &Head) -> Symbol {
        if head.kind == kind::MESSAGE && head.asks() {
            self.members[receiver.place as usize].askers.insert(sender);
            self.forget_dead_askers(receiver);
        }
        self.members[sender.place as usize].id
    }

    /// Now and then, so that a node does not remember everyone who ever asked it.
    fn forget_dead_askers(&mut self, key: MemberKey) {
        if self.members[key.place as usize].askers.len() > 64 + 2 * self.members.len() {
            let mut askers = std::mem::take(&mut self.members[key.place as usize].askers);
            askers.retain(|&asker| self.is_member(asker));
            self.members[key.place as usize].askers = askers;
        }
    }

    /// A refusal in the bridge's own name.
    pub(super) fn refuse(
        &mut self,
        to: MemberKey,
        names: (Option<Symbol>, Option<Symbol>),
        correlation: u32,
        code: Code,
        text: &str,
    ) {
        let link = self.members[to.place as usize].link;
        let state = &mut self.links[link.0 as usize];
        if let Wire::Legacy(legacy) = &mut state.wire {
            legacy.push_refusal(correlation, text, state.out.tail(&mut self.spares));
        }
        let head = Head { kind: kind::REFUSE, flags: 0, peer: 0, event: 0, correlation, seq: 0 };
        let body = refusal(code, text);
        let stores = (&mut self.symbols, &mut self.spares);
        state.push_routed(head, names, &Body::small(&body), InFlight::Unwatched, stores);
        self.mark_dirty(link);
    }

    /// Tells an asker that a reply will not reach it. Like the reply, it counts only if it comes from whom was asked:
    /// so it goes out under the replier's name and number.
    pub(super) fn refuse_reply(&mut self, replier: MemberKey, asker: MemberKey, reply: &Head, code: Code, text: &str) {
        let (correlation, from) = (reply.correlation, self.members[replier.place as usize].id);
        let link = self.members[asker.place as usize].link;
        let state = &mut self.links[link.0 as usize];
        if let Wire::Legacy(legacy) = &mut state.wire
            && legacy.asked(self.symbols.name(from), correlation)
        {
            legacy.push_refusal(correlation, text, state.out.tail(&mut self.spares));
        }
        let head = Head { kind: kind::REFUSE, flags: 0, peer: 0, event: 0, correlation, seq: reply.seq };
        let body = refusal(code, text);
        let stores = (&mut self.symbols, &mut self.spares);
        state.push_routed(head, (Some(from), None), &Body::small(&body), InFlight::Unwatched, stores);
        self.mark_dirty(link);
    }

    /// A message of the bridge's own, cut into chunks if it is large.
    pub(super) fn push_from_bridge(
        &mut self,
        to: MemberKey,
        kind: u8,
        correlation: u32,
        event: Option<Symbol>,
        encoding: Encoding,
        body: Bytes,
    ) {
        let link = self.members[to.place as usize].link;
        let flags = (encoding as u8) << flag::ENCODING_SHIFT;
        let head = Head { kind, flags, peer: 0, event: 0, correlation, seq: 0 };
        let state = &mut self.links[link.0 as usize];
        let (spares, symbols) = (&mut self.spares, &mut self.symbols);
        match &mut state.wire {
            Wire::Native(_) => {
                let body = Body::new(&body, |bytes| body.slice_ref(bytes));
                state.push_message(head, (None, event), &body, InFlight::Unwatched, (symbols, spares));
            }
            Wire::Legacy(legacy) => {
                let name = event.map(|event| symbols.name(event).as_ref());
                legacy.push_from_bridge(&head, name, &body, state.out.tail(spares));
            }
            Wire::Undecided(_) => {}
        }
        self.mark_dirty(link);
    }
}

/// What the sender of a message counts until it is settled.
pub(super) fn watched(sender: MemberKey, head: &Head, body_len: u64) -> Watched {
    Watched { sender, seq: head.seq, charge: charge(body_len) }
}
