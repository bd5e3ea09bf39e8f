//! Order towards those for whom the bridge puts large messages together (the host's process, peers of the original's
//! wire): what a node says behind a large message waits until that is whole.

use std::collections::VecDeque;

use bytes::Bytes;
use rustc_hash::FxHashMap;

use super::link::Wire;
use super::member::{Member, MemberKey};
use super::router::Router;
use super::settling::InFlight;
use super::symbols::Symbol;
use crate::error::Code;
use crate::senders::News;
use crate::wire::control::charge;
use crate::wire::frame::{Encoding, Head, flag, kind, refusal};

/// For whom a message is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reader {
    /// The process that hosts the bridge.
    Host,
    /// A peer of the original's wire.
    Legacy(MemberKey),
}

/// What one node said to such readers, from the first message that is not whole.
#[derive(Debug, Default)]
pub struct Collector {
    queues: FxHashMap<Reader, VecDeque<Waiting>>,
    /// Bytes that wait behind what is not whole. Bounded: see `Router::wait_behind`.
    bytes: u64,
}

/// One message.
#[derive(Debug)]
struct Waiting {
    head: Head,
    event: Option<Symbol>,
    in_flight: InFlight,
    body: Content,
}

#[derive(Debug)]
enum Content {
    /// It comes by this stream.
    Coming(u32),
    Whole(Bytes),
    /// It will not come.
    Never,
}

impl Router {
    /// Whether what `sender` says to `reader` has to wait.
    pub(super) fn has_to_wait(&self, sender: MemberKey, reader: Reader) -> bool {
        let collector = self.members[sender.place as usize].collector.as_ref();
        collector.is_some_and(|collector| collector.queues.contains_key(&reader))
    }

    /// A whole message for `reader`, now or in its turn. False: too much waits already.
    pub(super) fn wait_behind(
        &mut self,
        sender: MemberKey,
        reader: Reader,
        (head, event): (Head, Option<Symbol>),
        body: Bytes,
        in_flight: InFlight,
    ) -> Result<(), InFlight> {
        let most = self.limits.max_message.max(self.limits.max_pending as u64);
        let weight = charge(body.len() as u64);
        if self.collector(sender).bytes + weight > most {
            return Err(in_flight);
        }
        self.collector(sender).bytes += weight;
        self.enqueue(sender, reader, (head, event), Content::Whole(body), in_flight);
        Ok(())
    }

    /// A large message for `reader` begins.
    pub(super) fn begin_collecting(
        &mut self,
        sender: MemberKey,
        reader: Reader,
        (head, event): (Head, Option<Symbol>),
        stream: u32,
        in_flight: InFlight,
    ) {
        self.enqueue(sender, reader, (head, event), Content::Coming(stream), in_flight);
    }

    fn enqueue(
        &mut self,
        sender: MemberKey,
        reader: Reader,
        (head, event): (Head, Option<Symbol>),
        body: Content,
        in_flight: InFlight,
    ) {
        let event = event.map(|event| self.symbols.retain(event));
        let head = Head { flags: head.flags & !flag::LARGE, ..head };
        let queue = self.collector(sender).queues.entry(reader).or_default();
        queue.push_back(Waiting { head, event, in_flight, body });
    }

    fn collector(&mut self, sender: MemberKey) -> &mut Collector {
        self.members[sender.place as usize].collector.get_or_insert_default()
    }

    /// A large message is whole, or will never be (`None`).
    pub(super) fn collected(&mut self, sender: MemberKey, reader: Reader, stream: u32, body: Option<Bytes>) {
        let Some(queue) = self.collector(sender).queues.get_mut(&reader) else { return };
        let Some(waiting) = queue.iter_mut().find(|waiting| waiting.is_coming_by(stream)) else { return };
        let weight = body.as_ref().map_or(0, |body| charge(body.len() as u64));
        waiting.body = body.map_or(Content::Never, Content::Whole);
        self.collector(sender).bytes += weight;
        while let Some(waiting) = self.next_whole(sender, reader) {
            self.release_waiting(sender, reader, waiting);
        }
    }

    fn next_whole(&mut self, sender: MemberKey, reader: Reader) -> Option<Waiting> {
        if !self.is_member(sender) {
            return None;
        }
        let collector = self.members[sender.place as usize].collector.as_mut()?;
        let queue = collector.queues.get_mut(&reader)?;
        let whole = queue.front().is_some_and(|waiting| !matches!(waiting.body, Content::Coming(_)));
        let waiting = if whole { queue.pop_front() } else { None };
        if queue.is_empty() {
            collector.queues.remove(&reader);
        }
        if let Some(Waiting { body: Content::Whole(body), .. }) = &waiting {
            collector.bytes -= charge(body.len() as u64);
        }
        waiting
    }

    fn release_waiting(&mut self, sender: MemberKey, reader: Reader, waiting: Waiting) {
        let Waiting { head, event, in_flight, body } = waiting;
        match body {
            Content::Whole(body) => self.hand_over_whole(sender, reader, (head, event), body, in_flight),
            _ => self.settlements.frame(in_flight),
        }
        event.into_iter().for_each(|event| self.symbols.release(event));
    }

    /// Gives a whole message to its reader, unless he has it.
    pub(super) fn hand_over_whole(
        &mut self,
        sender: MemberKey,
        reader: Reader,
        (head, event): (Head, Option<Symbol>),
        body: Bytes,
        in_flight: InFlight,
    ) {
        let news = self.news_for(sender, reader, head.seq);
        if news != News::New {
            if reader == Reader::Host && head.asks() && head.seq <= self.members[sender.place as usize].unanswered {
                self.refuse_lost_call(sender, &head, event);
            } else if news == News::Late && matches!(head.kind, kind::MESSAGE | kind::RPC) {
                self.refuse_late(sender, reader, &head, event);
            }
            return self.settlements.frame(in_flight);
        }
        match reader {
            Reader::Host => {
                self.settlements.frame(in_flight);
                if head.kind == kind::CANCEL {
                    self.cancel_call(sender, &head, &body);
                } else {
                    self.call_host(sender, head, event, body);
                }
            }
            // The original's wire cannot say that nobody waits.
            Reader::Legacy(_) if head.kind == kind::CANCEL => self.settlements.frame(in_flight),
            Reader::Legacy(receiver) if self.is_member(receiver) => {
                self.deliver_legacy(sender, receiver, head, event, &body, in_flight);
                if let Some(link) = self.members[receiver.place as usize].link.filter(|_| !self.keeps(sender)) {
                    self.hold_if_full(sender, link);
                }
            }
            Reader::Legacy(_) => self.settlements.frame(in_flight),
        }
    }

    /// The host has been called, and its answer went to nobody.
    fn refuse_lost_call(&mut self, caller: MemberKey, head: &Head, method: Option<Symbol>) {
        let body = refusal(Code::NodeLeft, "the call was made, but its answer was lost").into();
        self.push_from_bridge(caller, kind::REFUSE, head.correlation, method, Encoding::Json, body);
    }

    /// A later message has come before this one, whose order is lost. As nodes refuse such, so does the bridge for those
    /// who cannot.
    fn refuse_late(&mut self, sender: MemberKey, reader: Reader, head: &Head, event: Option<Symbol>) {
        self.counters.undeliverable.increment();
        let peer = match reader {
            Reader::Legacy(receiver) if self.is_member(receiver) => Some(self.members[receiver.place as usize].id),
            _ => None,
        };
        self.refuse(
            sender,
            (peer, event),
            head,
            Code::UnknownNode,
            "unknown-node: it was not there when this was said",
        );
    }

    /// Whether a reader got this message before, or a later one: what a node says again is not for those who have it.
    fn news_for(&mut self, sender: MemberKey, reader: Reader, seq: u64) -> News {
        // Who keeps nothing says nothing twice.
        if !self.keeps(sender) {
            return News::New;
        }
        let Member { id, session, .. } = self.members[sender.place as usize];
        let heard = match reader {
            Reader::Host => &mut self.callers,
            Reader::Legacy(receiver) => {
                let link = self.members.get(receiver.place as usize).and_then(|member| member.link);
                let Some(Wire::Legacy(legacy)) = link.map(|link| &mut self.links[link.0 as usize].wire) else {
                    return News::New;
                };
                &mut legacy.senders
            }
        };
        let sender = heard.get(self.symbols.name(id), session);
        let news = sender.news(seq);
        if news == News::New {
            sender.said(seq);
        }
        news
    }

    /// A message that was coming by `stream`, and what waits behind it, will be said again.
    pub(super) fn forget_from(&mut self, sender: MemberKey, reader: Reader, stream: u32) {
        let collector = self.collector(sender);
        let Some(queue) = collector.queues.get_mut(&reader) else { return };
        let Some(at) = queue.iter().position(|waiting| waiting.is_coming_by(stream)) else { return };
        let forgotten = queue.split_off(at);
        if queue.is_empty() {
            collector.queues.remove(&reader);
        }
        for Waiting { event, in_flight, body, .. } in forgotten {
            if let Content::Whole(body) = body {
                self.collector(sender).bytes -= charge(body.len() as u64);
            }
            if let Reader::Legacy(receiver) = reader {
                self.await_again(sender, receiver, in_flight);
            }
            event.into_iter().for_each(|event| self.symbols.release(event));
        }
    }

    /// `reader` is gone: takes what waits for it, whole or not.
    pub(super) fn take_collected(&mut self, sender: MemberKey, reader: Reader) -> Vec<InFlight> {
        let Some(collector) = &mut self.members[sender.place as usize].collector else { return Vec::new() };
        let queue = collector.queues.remove(&reader).unwrap_or_default();
        let whole = queue.iter().filter_map(|waiting| match &waiting.body {
            Content::Whole(body) => Some(charge(body.len() as u64)),
            _ => None,
        });
        collector.bytes -= whole.sum::<u64>();
        for event in queue.iter().filter_map(|waiting| waiting.event) {
            self.symbols.release(event);
        }
        queue.into_iter().map(|waiting| waiting.in_flight).collect()
    }

    /// The sender's link is lost: what had not come to its reader yet it says again, or it is gone.
    pub(super) fn forget_collector(&mut self, sender: MemberKey) {
        let Some(collector) = &mut self.members[sender.place as usize].collector else { return };
        collector.bytes = 0;
        let queues = std::mem::take(&mut collector.queues);
        for waiting in queues.into_values().flatten() {
            waiting.event.into_iter().for_each(|event| self.symbols.release(event));
        }
    }

    /// Whether a member speaks the original's wire.
    pub(super) fn is_legacy(&self, member: MemberKey) -> bool {
        let link = self.members[member.place as usize].link;
        link.is_some_and(|link| matches!(self.links[link.0 as usize].wire, Wire::Legacy(_)))
    }
}

impl Waiting {
    fn is_coming_by(&self, stream: u32) -> bool {
        matches!(self.body, Content::Coming(coming) if coming == stream)
    }
}
