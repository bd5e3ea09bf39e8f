//! What the bridge itself says to its nodes: answers of its host, who came and went. Kept until they have it, as what
//! nodes say is kept by them.

use std::rc::Rc;

use bytes::Bytes;

use super::link::{About, Body, Link, Wire};
use super::member::{Member, MemberKey};
use super::rejections::Suspect;
use super::router::Router;
use super::settling::InFlight;
use super::symbols::Symbol;
use crate::wire::control::{Gone, Watch, charge};
use crate::wire::frame::{Encoding, Head, flag, kind};
use crate::wire::time_left::TimeLeft;

/// Something that the bridge itself says to one node.
#[derive(Clone, Debug)]
pub enum Own {
    /// A message, a reply or a refusal.
    Routed { head: Head, event: Option<Rc<str>>, body: Bytes },
    /// A node is gone.
    Gone(Gone),
    /// A node waits for an answer.
    Watch(Watch),
    /// A node will not say the rest of what it had begun.
    Unheard(Watch),
}

impl Own {
    /// What it weighs in bounds.
    pub fn weight(&self) -> u64 {
        match self {
            Self::Routed { body, .. } => charge(body.len() as u64),
            Self::Gone(gone) => gone.weight(),
            Self::Watch(Watch { node, .. }) | Self::Unheard(Watch { node, .. }) => charge(node.len() as u64),
        }
    }

    /// What is to blame if a node rejects it.
    pub fn suspect(&self) -> Suspect {
        match self {
            Self::Routed { head, .. } if matches!(head.kind, kind::REPLY | kind::REFUSE) => Suspect::Answer(head.seq),
            _ => Suspect::Unknown,
        }
    }

    /// Whether a node that has got the bridge's messages up to `heard` has this one.
    fn was_heard(&self, heard: u64) -> bool {
        matches!(self, Self::Routed { head, .. } if head.seq <= heard)
    }
}

impl Router {
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
        self.own_seq += 1;
        let flags = (encoding as u8) << flag::ENCODING_SHIFT | flag::BRIDGE | flag::OWN;
        let head = Head { kind, flags, peer: 0, event: 0, time_left: TimeLeft::NONE, correlation, seq: self.own_seq };
        let event = event.map(|event| self.symbols.name(event).clone());
        self.tell(to, Own::Routed { head, event, body });
    }

    /// Tells a node that what it sent to `node` up to its last message is lost.
    pub(super) fn tell_gone(&mut self, to: MemberKey, gone: Gone) {
        if self.is_member(to) {
            self.tell(to, Own::Gone(gone));
        }
    }

    /// Says something now, or when the node is back.
    pub(super) fn tell(&mut self, to: MemberKey, own: Own) {
        let Member { link, away, .. } = &mut self.members[to.place as usize];
        if let Some(away) = away {
            away.own_bytes += own.weight();
            // One message may be larger than all that may wait.
            away.overflown |= !away.own.is_empty() && away.own_bytes > self.limits.max_pending as u64;
            if !away.overflown {
                away.own.push_back(own);
            }
            return;
        }
        let Some(link) = *link else { return };
        let Link { wire, out, .. } = &mut self.links[link.0 as usize];
        match (wire, own) {
            (Wire::Native(_), own) => self.push_own(to, own),
            (Wire::Legacy(legacy), Own::Routed { head, body, .. }) => {
                legacy.push_from_bridge(&head, &body, out.tail(&mut self.spares));
            }
            // It keeps nothing that others could wait for.
            (Wire::Legacy(_), Own::Watch(_) | Own::Unheard(_)) => {}
            (Wire::Legacy(legacy), Own::Gone(gone)) => legacy.push_gone(&gone.node, out.tail(&mut self.spares)),
            (Wire::Undecided(_), _) => {}
        }
        self.mark_dirty(link);
    }

    fn push_own(&mut self, to: MemberKey, own: Own) {
        let Some(link) = self.members[to.place as usize].link else { return };
        let state = &mut self.links[link.0 as usize];
        match &own {
            Own::Gone(gone) => gone.encode(state.out.tail(&mut self.spares)),
            Own::Watch(watch) => watch.encode(kind::WATCH, state.out.tail(&mut self.spares)),
            Own::Unheard(unheard) => unheard.encode(kind::UNHEARD, state.out.tail(&mut self.spares)),
            Own::Routed { head, event, body } => {
                let event = event.as_deref().map(|event| self.symbols.acquire(event));
                let (head, bytes) = (*head, body.clone());
                let body = Body::new(&bytes, |part| bytes.slice_ref(part));
                let stores = (&mut self.symbols, &mut self.spares);
                state.push_message(head, (About::Bridge, event), &body, InFlight::Own(Box::new(own)), stores);
                event.into_iter().for_each(|event| self.symbols.release(event));
                return;
            }
        }
        if let Wire::Native(native) = &mut state.wire {
            native.expect(InFlight::Own(Box::new(own)));
        }
    }

    /// Says again what a node did not get before it lost its link.
    pub(super) fn tell_again(&mut self, to: MemberKey, own: impl IntoIterator<Item = Own>, heard: u64) {
        for own in own.into_iter().filter(|own| !own.was_heard(heard)) {
            self.tell(to, own);
        }
    }

    /// An event of the bridge's own for those who listen, the one it is about excepted.
    pub(super) fn announce(&mut self, event: &str, body: String, about: Option<MemberKey>) {
        let Some(symbol) = self.symbols.find(event) else { return };
        let listeners: Vec<MemberKey> = self.interests.listeners(Some(symbol)).collect();
        let body = Bytes::from(body);
        for listener in listeners {
            if about == Some(listener) || !self.is_member(listener) || !self.speaks_our_wire(listener) {
                continue;
            }
            self.push_from_bridge(listener, kind::BROADCAST, 0, Some(symbol), Encoding::Json, body.clone());
            if let Some(link) = self.members[listener.place as usize].link {
                self.hold_itself_if_full(link);
            }
        }
    }

    fn speaks_our_wire(&self, member: MemberKey) -> bool {
        let link = self.members[member.place as usize].link;
        link.is_none_or(|link| matches!(self.links[link.0 as usize].wire, Wire::Native(_)))
    }
}
