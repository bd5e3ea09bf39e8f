//! Messages on their way from one node to others.

use std::rc::Rc;

use bytes::Bytes;

use super::collecting::Reader;
use super::link::{About, Body, LinkKey, Wire};
use super::member::{Member, MemberKey};
use super::owing::Way;
use super::rejections::Suspect;
use super::router::Router;
use super::settling::{Broadcast, InFlight, Watched};
use super::symbols::Symbol;
use crate::error::{Code, Result};
use crate::wire::control::{Gone, charge};
use crate::wire::frame::{Head, flag, kind, malformed, refusal};
use crate::wire::time_left::TimeLeft;

/// Nodes to be told of one's end, among them some that are gone themselves, before those are looked for.
pub(super) const FEW_TO_TELL: usize = 64;
/// Of somebody who asked nothing: the number of its first question.
pub(super) const NO_QUESTION: u64 = u64::MAX;

/// What becomes of a directed message.
#[derive(Debug)]
pub enum Route {
    /// It goes to this member.
    To(MemberKey),
    /// Its receiver is awaited: the sender will be asked to say it again.
    Later,
    /// It reaches nobody, and whoever waits was told.
    Refused,
}

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
            self.too_large(sender, &head, (peer, event), body_len, self.limits.max_message);
            self.settlements.message(watched(sender, &head, body_len));
            return Ok(());
        }
        match (head.kind, peer) {
            (kind::BROADCAST, None) => self.broadcast(sender, head, event, body),
            (kind::BROADCAST, Some(peer)) => self.broadcast_to(sender, head, (peer, event), body),
            (kind::RPC, _) | (kind::CANCEL, None) => self.collect_small(sender, Reader::Host, (head, event), body),
            (kind::ROSTER, _) => {
                self.settlements.message(watched(sender, &head, body_len));
                let after = event.map(|event| self.symbols.name(event).clone()).unwrap_or_default();
                self.send_roster(sender, &head, &after);
            }
            (kind::AWAIT, _) => {
                self.settlements.message(watched(sender, &head, body_len));
                self.await_arrival(sender, &head, event, body.bytes());
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
            Route::To(receiver) if head.is_shared() && self.is_for_another(sender, receiver, &head, body.bytes()) => {}
            Route::To(receiver) => self.deliver(sender, receiver, head, event, body, InFlight::Message(watched)),
            Route::Later => {}
            Route::Refused => self.settlements.message(watched),
        }
    }

    /// Who gets a directed message of this length.
    pub(super) fn receiver(
        &mut self,
        sender: MemberKey,
        head: &Head,
        (peer, event): (Symbol, Option<Symbol>),
        body_len: u64,
    ) -> Route {
        let Some(receiver) = self.find_member(peer) else {
            if self.awaits(peer, sender) {
                return Route::Later;
            }
            self.unknown_node(sender, head, (peer, event));
            return Route::Refused;
        };
        let most = self.members[receiver.place as usize].max_message;
        if body_len <= most {
            return Route::To(receiver);
        }
        if head.kind == kind::REPLY {
            // The refusal takes the reply's place, also among what is to be settled.
            let text = too_large_text(body_len, most);
            self.counters.undeliverable.increment();
            let in_flight = InFlight::Message(watched(sender, head, body_len));
            self.refuse_reply(sender, receiver, head, (Code::TooLarge, &text), in_flight);
            return Route::Later;
        }
        self.too_large(sender, head, (Some(peer), event), body_len, most);
        Route::Refused
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
        // Whoever has not said yet what it listens for will be asked about this one when it has.
        if !self.not_ready.is_empty() && self.keeps(sender) {
            let others = self.not_ready.iter().filter(|&&other| other != sender && !receivers.contains(&other));
            let others: Vec<MemberKey> = others.copied().collect();
            receivers.extend(others);
        }
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
        let text = too_large_text(body_len, most);
        let asker = peer.filter(|_| head.kind == kind::REPLY).and_then(|asker| self.find_member(asker));
        match (head.kind, asker) {
            (kind::REPLY, Some(asker)) => {
                self.refuse_reply(sender, asker, head, (Code::TooLarge, &text), InFlight::Unwatched);
            }
            (kind::REPLY | kind::REFUSE | kind::CANCEL, _) => {}
            _ => self.refuse(sender, (peer, event), head, Code::TooLarge, &text),
        }
    }

    /// Tells the sender of a message that its receiver is not there; who asked and left needs no reply.
    pub(super) fn unknown_node(&mut self, sender: MemberKey, head: &Head, (peer, event): (Symbol, Option<Symbol>)) {
        match head.kind {
            kind::MESSAGE => {}
            kind::CANCEL => return,
            _ => return self.stale_reply(sender, peer),
        }
        self.counters.undeliverable.increment();
        let text = format!("unknown-node: nobody on the bus has the id '{}'", self.symbols.name(peer));
        self.refuse(sender, (Some(peer), event), head, Code::UnknownNode, &text);
    }

    /// Who asked is not there to hear the reply. Should it have asked elsewhere, or have been given up when `replier` was, and
    /// come to another bridge before it learns that, only `replier` can tell it that no reply will come.
    fn stale_reply(&mut self, replier: MemberKey, asker: Symbol) {
        self.counters.stale_replies.increment();
        if self.keeps(replier) && !self.members[replier.place as usize].fresh {
            let node = self.symbols.name(asker).to_string();
            self.tell_gone(replier, Gone { code: Code::UnknownNode, ..Gone::of_begun(0, node) });
        }
    }

    pub(super) fn broadcast(&mut self, sender: MemberKey, head: Head, event: Option<Symbol>, body: &Body<'_>) {
        let body_len = body.bytes().len() as u64;
        let receivers = self.receivers(sender, &head, event, body_len);
        let broadcast = self.new_broadcast(watched(sender, &head, body_len), receivers.len());
        if receivers.is_empty() {
            return self.settle_if_for_nobody(&broadcast);
        }
        for receiver in receivers {
            self.deliver(sender, receiver, head, event, body, InFlight::Share(broadcast.clone()));
        }
    }

    /// A broadcast to so many receivers, and to those who may yet come.
    pub(super) fn new_broadcast(&mut self, watched: Watched, receivers: usize) -> Rc<Broadcast> {
        let link = self.members[watched.sender.place as usize].link;
        let link = link.map_or(0, |link| self.links[link.0 as usize].serial);
        let broadcast = Rc::new(Broadcast { watched, link, receivers_left: receivers.into() });
        self.extend_broadcast(&broadcast);
        broadcast
    }

    /// A broadcast that has no receivers, and for which none are awaited.
    pub(super) fn settle_if_for_nobody(&mut self, broadcast: &Rc<Broadcast>) {
        if broadcast.receivers_left.get() == 0 {
            self.settlements.message(broadcast.watched);
        }
    }

    /// A broadcast said again for one receiver that lacks it.
    fn broadcast_to(
        &mut self,
        sender: MemberKey,
        head: Head,
        (peer, event): (Symbol, Option<Symbol>),
        body: &Body<'_>,
    ) {
        if let Some((receiver, share)) = self.late_receiver(sender, head, peer, event) {
            let settled = InFlight::Part { suspect: Suspect::Message { sender, seq: head.seq } };
            let in_flight = share.map_or(settled, InFlight::Share);
            self.deliver(sender, receiver, head, event, body, in_flight);
        }
    }

    /// Who gets a broadcast that is said again for `peer`, and its share in it, if that is not settled.
    pub(super) fn late_receiver(
        &mut self,
        sender: MemberKey,
        head: Head,
        peer: Symbol,
        event: Option<Symbol>,
    ) -> Option<(MemberKey, Option<Rc<Broadcast>>)> {
        let seq = head.seq;
        let Some(receiver) = self.find_member(peer) else {
            self.awaits(peer, sender);
            return None;
        };
        let share = self.owed_share(sender, receiver, seq).or_else(|| self.late_share(sender, seq));
        let listens = event.is_some_and(|event| self.members[receiver.place as usize].interests.contains(&event));
        if !listens {
            share.into_iter().for_each(|share| self.settlements.frame(InFlight::Share(share)));
            if head.is_large() && !self.members[receiver.place as usize].owed.is_blocked(sender) {
                self.tell_not_continued(sender, receiver, seq);
            }
            return None;
        }
        Some((receiver, share))
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
        match self.way(sender, receiver, head.seq, in_flight) {
            Way::Owed => {}
            Way::Lost(in_flight) => {
                self.settlements.frame(in_flight);
                self.tell_lost(sender, receiver);
            }
            Way::Open(_, in_flight) if self.rejects(sender, receiver, head.seq) => {
                self.end_rejected((sender, receiver), (&head, event), in_flight);
            }
            Way::Open(link, in_flight) => {
                let state = &mut self.links[link.0 as usize];
                if let Wire::Native(_) = state.wire {
                    let stores = (&mut self.symbols, &mut self.spares);
                    state.push_message(head, (from, event), body, in_flight, stores);
                    self.mark_dirty(link);
                    if !self.keeps(sender) {
                        self.hold_if_full(sender, link);
                    }
                } else {
                    self.collect_from(sender, Reader::Legacy(receiver), (head, event), body, in_flight);
                }
            }
        }
    }

    fn collect_small(
        &mut self,
        sender: MemberKey,
        reader: Reader,
        (head, event): (Head, Option<Symbol>),
        body: &Body<'_>,
    ) {
        let in_flight = InFlight::Message(watched(sender, &head, body.bytes().len() as u64));
        self.collect_from(sender, reader, (head, event), body, in_flight);
    }

    /// A whole message for somebody for whom the bridge puts large ones together.
    fn collect_from(
        &mut self,
        sender: MemberKey,
        reader: Reader,
        (head, event): (Head, Option<Symbol>),
        body: &Body<'_>,
        in_flight: InFlight,
    ) {
        let bytes = Bytes::copy_from_slice(body.bytes());
        if !self.has_to_wait(sender, reader) {
            return self.hand_over_whole(sender, reader, (head, event), bytes, in_flight);
        }
        if let Err(in_flight) = self.wait_behind(sender, reader, (head, event), bytes, in_flight) {
            self.settlements.frame(in_flight);
            self.counters.undeliverable.increment();
            let text = "too much waits already behind a large message that is not whole";
            if !matches!(head.kind, kind::REPLY | kind::REFUSE | kind::CANCEL) {
                self.refuse(sender, (None, event), &head, Code::QueueFull, text);
            }
        }
    }

    /// Remembers that `sender` wants to know when `receiver` goes, and the other way round; returns the sender's name.
    pub(super) fn note_asker(&mut self, sender: MemberKey, receiver: MemberKey, head: &Head) -> About {
        if head.kind == kind::MESSAGE && head.asks() {
            self.note_asked(receiver, sender, head.seq);
        }
        let Member { key, id, session, .. } = self.members[sender.place as usize];
        About::Node { key, id, session }
    }

    /// `other` is to be told when `key` is gone.
    pub(super) fn tell_when_gone(&mut self, key: MemberKey, other: MemberKey) {
        self.note_asked(key, other, NO_QUESTION);
    }

    fn note_asked(&mut self, key: MemberKey, other: MemberKey, seq: u64) {
        let few = FEW_TO_TELL + 2 * self.members.len();
        let askers = &mut self.members[key.place as usize].askers;
        let first = askers.entry(other).or_insert(seq);
        *first = seq.min(*first);
        if askers.len() > few {
            let mut askers = std::mem::take(askers);
            askers.retain(|&other, _| self.is_member(other));
            self.members[key.place as usize].askers = askers;
        }
    }

    /// A refusal in the bridge's own name. Whoever is away says again what is refused, and is refused again.
    pub(super) fn refuse(
        &mut self,
        to: MemberKey,
        (peer, event): (Option<Symbol>, Option<Symbol>),
        refused: &Head,
        code: Code,
        text: &str,
    ) {
        let Some(link) = self.members[to.place as usize].link else { return };
        let state = &mut self.links[link.0 as usize];
        let correlation = refused.correlation;
        if let Wire::Legacy(legacy) = &mut state.wire {
            legacy.push_refusal(correlation, text, state.out.tail(&mut self.spares));
        }
        let head = refusal_head(flag::BRIDGE, correlation, refused.seq);
        let body = refusal(code, text);
        let stores = (&mut self.symbols, &mut self.spares);
        let about = peer.map_or(About::Bridge, About::Id);
        state.push_routed(head, (about, event), &Body::small(&body), InFlight::Unwatched, stores);
        self.mark_dirty(link);
    }

    /// Tells an asker that a reply will not reach it. Like the reply, it counts only if it comes from whom was asked:
    /// so it goes out under the replier's name and number.
    pub(super) fn refuse_reply(
        &mut self,
        replier: MemberKey,
        asker: MemberKey,
        reply: &Head,
        (code, text): (Code, &str),
        in_flight: InFlight,
    ) {
        let correlation = reply.correlation;
        let Member { key, id, session, .. } = self.members[replier.place as usize];
        let (link, in_flight) = match self.way(replier, asker, reply.seq, in_flight) {
            Way::Open(link, in_flight) => (link, in_flight),
            Way::Owed => return,
            Way::Lost(in_flight) => return self.settlements.frame(in_flight),
        };
        let state = &mut self.links[link.0 as usize];
        if let Wire::Legacy(legacy) = &mut state.wire {
            if legacy.asked(self.symbols.name(id), correlation) {
                legacy.push_refusal(correlation, text, state.out.tail(&mut self.spares));
            }
            self.settlements.frame(in_flight);
        } else {
            let head = refusal_head(0, correlation, reply.seq);
            let body = refusal(code, text);
            let stores = (&mut self.symbols, &mut self.spares);
            let about = About::Node { key, id, session };
            state.push_routed(head, (about, None), &Body::small(&body), in_flight, stores);
        }
        self.mark_dirty(link);
    }
}

fn refusal_head(flags: u8, correlation: u32, seq: u64) -> Head {
    Head { kind: kind::REFUSE, flags, peer: 0, event: 0, time_left: TimeLeft::NONE, correlation, seq }
}

pub(super) fn too_large_text(body_len: u64, most: u64) -> String {
    format!("a message of {body_len} bytes, where {most} are taken at the most")
}

/// What the sender of a message counts until it is settled.
pub(super) fn watched(sender: MemberKey, head: &Head, body_len: u64) -> Watched {
    Watched { sender, seq: head.seq, charge: charge(body_len) }
}
