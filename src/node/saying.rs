//! Saying what waits: after a welcome everything that is not settled, then to each destination what it lacks.

use std::rc::Rc;

use super::breaker::Unit;
use super::client::{Client, Phase};
use super::outbox::{Destination, Large, Route, State};
use super::segments::Place;
use crate::wire::control::{put_about, put_interest, put_name};
use crate::wire::frame::{Head, flag, kind, large_head};
use crate::wire::lane::Shared;
use crate::wire::names::Slot;
use crate::wire::time_left::TimeLeft;

/// What became of a message that waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    Yes,
    /// Its receiver has no room, or is kept waiting already.
    KeptBack,
    /// Too many large messages are under way.
    NotNow,
}

impl Client {
    /// Whether anything waits that is not kept back on purpose. New messages wait behind it.
    pub(super) fn is_behind(&self) -> bool {
        self.replay.is_some() || !matches!(self.phase, Phase::Online | Phase::Leaving)
    }

    /// Says the next of what waits; false when there is nothing to be said now.
    pub(super) fn say_more(&mut self) -> bool {
        if self.breaker.is_careful() && self.waits_for_the_bridge() {
            return false;
        }
        let Some(seq) = self.replay else { return self.say_kept() };
        let Some(seq) = self.outbox.unsettled_from(seq).next().map(|(seq, _)| seq) else {
            self.replay = None;
            self.trust_again();
            return true;
        };
        match self.say(seq) {
            Said::NotNow => return false,
            Said::Yes if self.breaker.suspects(seq) => self.breaker.said(Unit::Message(seq)),
            Said::Yes | Said::KeptBack => {}
        }
        self.replay = Some(seq + 1);
        true
    }

    /// Whether nothing may be said before the bridge has taken what was said last. What this node listens for comes first.
    fn waits_for_the_bridge(&mut self) -> bool {
        if let Some(Unit::Message(seq)) = self.breaker.out()
            && self.outbox.get(*seq).is_none()
        {
            // It has reached its receiver: no PONG says more.
            self.breaker.taken();
        }
        while !self.breaker.is_waiting()
            && let Some((event, listens)) = self.breaker.next_interest()
        {
            put_interest(listens, &event, self.segments.tail().1);
        }
        self.breaker.is_waiting()
    }

    /// Ends all caution if nothing that was suspected is kept back.
    fn trust_again(&mut self) {
        let waits = |to: &Rc<Destination>| to.kept_from.get().is_some_and(|from| self.breaker.suspects(from));
        if self.breaker.is_careful() && !self.destinations.iter().any(waits) {
            self.breaker.trust();
        }
    }

    /// Says one message, if its receiver has room.
    pub(super) fn say(&mut self, seq: u64) -> Said {
        let Some(entry) = self.outbox.get(seq) else { return Said::Yes };
        let destination = self.destination(entry.kind, &entry.route).clone();
        if destination.kept_from.get().is_some() {
            return Said::KeptBack;
        }
        if self.takes_chunks(seq, &destination) && self.outgoing.is_full() {
            return Said::NotNow;
        }
        let weight = self.outbox.weight(seq).window;
        if self.has_no_room(&destination, weight) {
            self.keep_back(&destination, seq);
            return Said::KeptBack;
        }
        self.encode(seq, None);
        Said::Yes
    }

    /// From message `seq` on, nothing is said to the destination until it has room.
    pub(super) fn keep_back(&mut self, destination: &Destination, seq: u64) {
        destination.kept_from.set(Some(seq));
        put_about(kind::SKIP, seq, &destination.node, self.segments.tail().1);
    }

    /// Says to one destination what it lacks, as much as may be under way to it.
    fn say_kept(&mut self) -> bool {
        let Some(destination) = self.catching_up.pop_front() else { return false };
        let Some(from) = destination.kept_from.take() else { return true };
        put_about(kind::REPLAY, from, &destination.node, self.segments.tail().1);
        let lacking = self.outbox.unsettled_from(from).filter(|(_, entry)| {
            entry.kind == kind::BROADCAST
                || (Rc::ptr_eq(&entry.route.to, &destination) && entry.state == State::Waiting)
        });
        let lacking: Vec<u64> = lacking.map(|(seq, _)| seq).collect();
        let mut said = 0;
        for seq in lacking {
            let weight = self.outbox.weight(seq).window;
            let large = self.takes_chunks(seq, &destination);
            let too_much = said > 0 && said + weight > self.window && !self.hurries;
            let too_much = too_much || self.breaker.is_waiting();
            if too_much || self.has_no_room(&destination, weight) || (large && self.outgoing.is_full()) {
                self.keep_back(&destination, seq);
                break;
            }
            said += weight;
            let broadcast = self.outbox.get(seq).is_some_and(|entry| entry.kind == kind::BROADCAST);
            self.encode(seq, broadcast.then_some(&destination.node));
            if self.breaker.suspects(seq) {
                self.breaker.said(Unit::Message(seq));
                // What is sent from now on waits until the bridge has taken this.
                self.replay = self.replay.or(Some(self.outbox.next_seq()));
            }
        }
        true
    }

    /// Appends a message to what is written. A broadcast may go to one node `only`.
    fn encode(&mut self, seq: u64, only: Option<&Rc<str>>) {
        let Some(entry) = self.outbox.get(seq) else { return };
        let (route, place, old) = (entry.route.clone(), entry.place, entry.state);
        let (kind, flags, correlation) = (entry.kind, entry.flags, entry.correlation);
        if only.is_some() {
            self.make_room_for_names();
        }
        let (mut peer, event) = self.slots(&route);
        if let Some(node) = only {
            peer = self.known_slot(node);
        }
        let asks = flags & flag::ASK != 0;
        let time_left = if asks { self.requests.time_left(correlation, self.now) } else { TimeLeft::NONE };
        let head = Head { kind, flags, peer, event, time_left, correlation, seq };
        let shared = match self.outbox.large(seq) {
            Some(&Large::Shared(extent)) => Some(extent),
            _ => None,
        };
        if let Some(extent) = shared
            && let Some(session) = self.reader_of(&extent, &route.to)
        {
            let out = self.segments.tail().1;
            Head { flags: flags | flag::SHARED, ..head }.encode(Shared::LEN, out);
            Shared { session, extent }.encode(out);
            return self.note_sent(seq, place, old);
        }
        let chunks = match (shared, self.outbox.large(seq)) {
            (Some(extent), _) => Some(self.copied_chunks(extent)),
            (None, Some(Large::Chunks(chunks))) => Some(chunks.clone()),
            _ => None,
        };
        let Some(chunks) = chunks else {
            head.encode(place.len as usize, self.segments.tail().1);
            let now = self.segments.append_from(place);
            if only.is_none() {
                self.segments.keep(now.segment);
                self.segments.release(place.segment);
                self.note_sent(seq, now, old);
            }
            return;
        };
        self.offer_lane(kind, &route.to);
        let total = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let to = only.unwrap_or(&route.to.node).clone();
        let stream = self.outgoing.add(to, seq, chunks);
        let opening = large_head(stream, total);
        let out = self.segments.tail().1;
        Head { flags: flags | flag::LARGE, ..head }.encode(opening.len(), out);
        out.extend_from_slice(&opening);
        if only.is_none() {
            self.note_sent(seq, place, old);
        }
    }

    fn note_sent(&mut self, seq: u64, place: Place, before: State) {
        let weight = self.outbox.weight(seq).window;
        self.said = self.said.max(seq);
        let Some(entry) = self.outbox.get_mut(seq) else { return };
        (entry.place, entry.state) = (place, State::Sent);
        let (kind, route) = (entry.kind, entry.route.clone());
        if before == State::Waiting {
            let destination = self.destination(kind, &route);
            destination.sent.set(destination.sent.get() + weight);
        }
    }

    /// Whom a message of this kind goes to.
    pub(super) fn destination<'a>(&'a self, kind: u8, route: &'a Route) -> &'a Rc<Destination> {
        match kind {
            kind::BROADCAST => &self.everyone,
            _ if route.to.node.is_empty() => &self.bridge,
            _ => &route.to,
        }
    }

    /// The slots of a route's names on this link.
    pub(super) fn slots(&mut self, route: &Route) -> (u16, u16) {
        if route.generation.get() == self.generation {
            return route.slots.get();
        }
        self.make_room_for_names();
        let slots = (self.known_slot(&route.to.node), self.known_slot(&route.event));
        route.slots.set(slots);
        route.generation.set(self.generation);
        slots
    }

    fn make_room_for_names(&mut self) {
        if !self.told.make_room(3).is_empty() {
            self.generation += 1;
        }
    }

    fn known_slot(&mut self, name: &Rc<str>) -> u16 {
        if name.is_empty() {
            return 0;
        }
        match self.told.slot(name.clone()) {
            Slot::Known(slot) => slot,
            Slot::New(slot) => {
                put_name(slot, name, self.segments.tail().1);
                slot
            }
        }
    }
}
