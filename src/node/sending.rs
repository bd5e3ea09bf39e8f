//! What a node says: letters become frames, and count until they are settled.

use std::rc::Rc;

use super::body::BodyWriter;
use super::client::{Client, Phase};
use super::event::Event;
use super::outbox::{Destination, Entry, Large, Route, Settled, State, Weight};
use super::segments::Place;
use crate::error::Code;
use crate::wire::control::{charge, put_interest};
use crate::wire::frame::{Encoding, Head, MAX_INLINE, ROUTED_LEN, flag, kind, refusal};
use crate::wire::time_left::TimeLeft;

/// What a message is, apart from its body.
#[derive(Clone, Copy, Debug)]
pub struct Letter {
    /// MESSAGE, BROADCAST, RPC, REPLY or ROSTER.
    pub kind: u8,
    /// From [`Client::target`].
    pub target: u32,
    pub encoding: Encoding,
    /// Milliseconds to wait for a reply, 0: for ever; `None`: none is wanted.
    pub ask: Option<u32>,
    /// Of a REPLY: what it answers.
    pub correlation: u32,
    /// Client time, in milliseconds.
    pub now: u64,
}

impl Client {
    /// A number for "node:event", for use in [`Letter`]s; either may be empty. Numbers count up from 0.
    pub fn target(&mut self, node: &str, event: &str) -> u32 {
        let route = self.route(node, event);
        self.targets.push(route);
        self.targets.len() as u32 - 1
    }

    pub(super) fn route(&mut self, node: &str, event: &str) -> Rc<Route> {
        let to = self.destinations.get(node);
        let (slots, generation) = Default::default();
        Rc::new(Route { event: event.into(), to, slots, generation })
    }

    /// Forgets all targets; numbers start from 0 again.
    pub fn clear_targets(&mut self) {
        self.targets.clear();
    }

    /// Sends a body that `write` appends, which must be at most [`MAX_INLINE`] bytes: no copy on the way.
    ///
    /// # Errors
    /// `Closed`, `QueueFull`, `TooLarge`.
    pub fn send_with(&mut self, letter: Letter, write: impl FnOnce(&mut Vec<u8>)) -> Result<u32, Code> {
        self.send_if(letter, |out| {
            write(out);
            true
        })
    }

    /// The same, unless `write` says that it is not to be: then nothing happened, and 0 is returned.
    pub fn send_if(&mut self, letter: Letter, write: impl FnOnce(&mut Vec<u8>) -> bool) -> Result<u32, Code> {
        self.check(0)?;
        let route = self.targets[letter.target as usize].clone();
        let waits = self.is_behind() || route.to.kept_from.get().is_some();
        let slots = if waits { (0, 0) } else { self.slots(&route) };
        let (segment, out) = if waits { self.segments.aside() } else { self.segments.tail() };
        let start = out.len();
        // The head is written over these zeros when the body's length is known, and with it that it may go.
        let head_len = if waits { 0 } else { ROUTED_LEN };
        out.resize(start + head_len, 0);
        let wanted = write(out);
        let body_len = out.len() - start - head_len;
        let allowed = self.check(body_len as u64);
        if !wanted || allowed.is_err() {
            self.segments.truncate(segment, start);
            return allowed.map(|()| 0);
        }
        let place = Place { segment, start: (start + head_len) as u32, len: body_len as u32 };
        let (flags, correlation) = self.note_request(&letter, &route);
        let kind = letter.kind;
        if waits {
            self.keep(Entry { route, correlation, kind, flags, state: State::Waiting, place });
        } else if self.has_no_room(&route.to, charge(body_len as u64)) {
            self.keep_unsaid(Entry { route, correlation, kind, flags, state: State::Waiting, place });
        } else {
            let (peer, event) = slots;
            let time_left = letter.ask.filter(|&ask| ask > 0).map_or(TimeLeft::NONE, TimeLeft::from_millis);
            let head = Head { kind, flags, peer, event, time_left, correlation, seq: self.outbox.next_seq() };
            head.encode_at(body_len, self.segments.bytes_mut(segment, start));
            self.keep(Entry { route, correlation, kind, flags, state: State::Sent, place });
        }
        Ok(correlation)
    }

    /// The entry of a message that is not said yet, with its request noted.
    fn entry(&mut self, letter: Letter, route: Rc<Route>, place: Place) -> Entry {
        let (flags, correlation) = self.note_request(&letter, &route);
        Entry { route, correlation, kind: letter.kind, flags, state: State::Waiting, place }
    }

    /// The flags and the correlation of a message, which waits for a reply if it asks for one.
    fn note_request(&mut self, letter: &Letter, route: &Route) -> (u8, u32) {
        let flags = (letter.encoding as u8) << flag::ENCODING_SHIFT;
        let Some(timeout) = letter.ask else { return (flags, letter.correlation) };
        self.now = letter.now;
        let correlation = self.requests.add(route.to.node.clone(), self.outbox.next_seq(), timeout, letter.now);
        (flags | flag::ASK, correlation)
    }

    /// Keeps a small message until it is settled, and counts it.
    // A call would have the entry copied through memory, which takes as long as all the rest.
    #[inline(always)]
    fn keep(&mut self, entry: Entry) {
        self.segments.keep(entry.place.segment);
        self.count(entry.kind, entry.state, &entry.route, Weight::small(entry.place.len));
        self.outbox.push(entry);
    }

    /// The same for one whose receiver has no room: it is taken off again from what is written.
    #[cold]
    fn keep_unsaid(&mut self, entry: Entry) {
        let place = self.segments.move_aside(entry.place, ROUTED_LEN);
        self.keep_back(&entry.route.to, self.outbox.next_seq());
        self.keep(Entry { place, ..entry });
    }

    /// Whether a destination that can be kept waiting has to be.
    pub(super) fn has_no_room(&self, to: &Destination, charge: u64) -> bool {
        // Whoever waits for 'drain' never gets there.
        to.has_no_room(charge, 2 * self.window) && !to.node.is_empty() && !self.hurries
    }

    /// A body to be written and then sent.
    pub fn body(&self) -> BodyWriter {
        BodyWriter::new(&self.pool)
    }

    /// Sends a body of any length. Returns the request's correlation, or 0.
    ///
    /// # Errors
    /// `Closed`, `QueueFull`, `TooLarge`.
    pub fn send(&mut self, letter: Letter, body: BodyWriter) -> Result<u32, Code> {
        if body.len() <= MAX_INLINE {
            return self
                .send_with(letter, |out| body.into_chunks().iter().for_each(|part| out.extend_from_slice(part)));
        }
        if self.outgoing.is_full() {
            return Err(Code::QueueFull);
        }
        self.send_large(letter, Large::Chunks(body.into_chunks()))
    }

    /// Sends a large body that is written.
    pub(super) fn send_large(&mut self, letter: Letter, body: Large) -> Result<u32, Code> {
        let total = body.len();
        if let Err(code) = self.check(total) {
            self.discard(body);
            return Err(code);
        }
        let route = self.targets[letter.target as usize].clone();
        let nowhere = Place { segment: u32::MAX, start: 0, len: 0 };
        let entry = self.entry(letter, route, nowhere);
        let (correlation, seq) = (entry.correlation, self.outbox.next_seq());
        self.count(entry.kind, entry.state, &entry.route, body.weight());
        self.outbox.push_large(entry, body);
        if !self.is_behind() {
            self.say(seq);
        }
        Ok(correlation)
    }

    /// Nobody needs this body any more.
    fn discard(&mut self, body: Large) {
        if let (Large::Shared(extent), Some(lane)) = (body, &mut self.lane) {
            lane.free(extent);
        }
    }

    /// Tells the sender of a delivery that it reached nobody.
    pub fn refuse(&mut self, target: u32, correlation: u32, code: Code, text: &str) {
        let route = self.targets[target as usize].clone();
        self.refuse_by(&route, correlation, code, text);
    }

    /// The same, by name.
    pub(super) fn refuse_to(&mut self, node: &str, event: &str, correlation: u32, code: Code, text: &str) {
        let route = self.route(node, event);
        self.refuse_by(&route, correlation, code, text);
    }

    pub(super) fn refuse_by(&mut self, route: &Rc<Route>, correlation: u32, code: Code, text: &str) {
        self.say_aside(kind::REFUSE, route, correlation, &refusal(code, text));
    }

    /// Says few bytes that somebody waits for, even when the queue is full.
    pub(super) fn say_aside(&mut self, kind: u8, route: &Rc<Route>, correlation: u32, body: &[u8]) {
        if self.phase == Phase::Closed || self.leave_sent {
            return;
        }
        let (segment, out) = self.segments.aside();
        let place = Place { segment, start: out.len() as u32, len: body.len() as u32 };
        out.extend_from_slice(body);
        let letter = Letter { kind, target: 0, encoding: Encoding::Json, ask: None, correlation, now: 0 };
        let (entry, seq) = (self.entry(letter, route.clone(), place), self.outbox.next_seq());
        self.keep(entry);
        if !self.is_behind() {
            self.say(seq);
        }
    }

    /// Broadcasts of `event` concern this node, or no longer.
    pub fn listen(&mut self, event: &str, listens: bool) {
        let changed = if listens { self.interests.insert(event.to_owned()) } else { self.interests.remove(event) };
        if !changed {
            return;
        }
        match self.phase {
            Phase::Offline | Phase::Closed => {}
            _ if self.breaker.is_careful() => self.breaker.listen(event, listens),
            Phase::Greeting => put_interest(listens, event, self.greeting.tail(&mut self.spares)),
            Phase::Online | Phase::Leaving => put_interest(listens, event, self.segments.tail().1),
        }
    }

    fn check(&self, body_len: u64) -> Result<(), Code> {
        if self.leaving || self.phase == Phase::Closed {
            Err(Code::Closed)
        } else if body_len > self.max_message {
            Err(Code::TooLarge)
        } else if self.unsettled + charge(body_len) > self.config.max_pending {
            Err(Code::QueueFull)
        } else {
            Ok(())
        }
    }

    /// A message is about to be kept: it weighs on its destination until it is settled.
    fn count(&mut self, kind: u8, state: State, route: &Route, weight: Weight) {
        // By field, for this is done for every message.
        let to = match kind {
            kind::BROADCAST => &self.everyone,
            _ if route.to.node.is_empty() => &self.bridge,
            _ => &route.to,
        };
        if state == State::Sent {
            self.said = self.outbox.next_seq();
            to.sent.set(to.sent.get() + weight.window);
        }
        self.unsettled += weight.total;
        to.pending.set(to.pending.get() + weight.window);
        if to.pending.get() > self.window && !to.full.replace(true) {
            self.full += 1;
        }
        self.need_drain |= self.full > 0 || self.unsettled > self.config.max_pending / 2;
    }

    /// These messages have reached everyone they concern.
    pub(super) fn settle_all(&mut self, first: u64, last: u64) {
        for seq in first.max(self.outbox.first_seq())..=last.min(self.outbox.next_seq() - 1) {
            match self.outbox.settle_front(seq) {
                Some(entry) if entry.state == State::Settled => {}
                Some(entry) => {
                    self.segments.release(entry.place.segment);
                    self.uncount(&entry, Weight::small(entry.place.len), entry.state == State::Sent);
                }
                None => drop(self.settle(seq)),
            }
        }
        self.outbox.drop_settled();
        self.drained();
    }

    /// A message is settled, or will never be, and who waits for 'drain' is told if it is due. Returns what it was, the
    /// first time. With [`settle_all`](Self::settle_all), which does the same for many, the only end of a message.
    pub(super) fn settle(&mut self, seq: u64) -> Option<Entry> {
        let Settled { entry, was_sent, large } = self.outbox.settle(seq)?;
        let weight = match large {
            Some(body) => {
                let weight = body.weight();
                self.discard(body);
                weight
            }
            None => {
                self.segments.release(entry.place.segment);
                Weight::small(entry.place.len)
            }
        };
        self.uncount(&entry, weight, was_sent);
        self.drained();
        Some(entry)
    }

    /// A message is not kept any longer.
    fn uncount(&mut self, entry: &Entry, weight: Weight, was_sent: bool) {
        self.unsettled -= weight.total;
        let to = match entry.kind {
            kind::BROADCAST => &self.everyone,
            _ if entry.route.to.node.is_empty() => &self.bridge,
            _ => &entry.route.to,
        };
        to.pending.set(to.pending.get() - weight.window);
        if was_sent {
            to.sent.set(to.sent.get() - weight.window);
        }
        if to.full.get() && to.pending.get() <= self.window / 2 {
            to.full.set(false);
            self.full -= 1;
        }
    }

    /// A message will not arrive: whoever sent it without waiting for an answer is told.
    pub(super) fn lose(&mut self, seq: u64, code: Code) {
        let Some(Entry { route, kind, flags, .. }) = self.settle(seq) else { return };
        let asks = flags & flag::ASK != 0;
        if !asks && matches!(kind, kind::MESSAGE | kind::BROADCAST | kind::RPC) {
            let (node, event) = (route.to.node.clone(), route.event.clone());
            self.events.push_back(Event::Undeliverable { node, event, code });
        }
    }

    fn drained(&mut self) {
        if self.need_drain && self.full == 0 && self.unsettled <= self.config.max_pending / 4 {
            self.need_drain = false;
            self.events.push_back(Event::Drain);
        }
    }
}
