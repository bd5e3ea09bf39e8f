//! A node and its links, which come and go: what is greeted with, what is left when one is lost, and what is said again
//! on the next.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::breaker::Unit;
use super::client::{Client, Phase};
use super::event::Event;
use super::outbox::{Destination, Entry};
use super::outgoing::Outgoing;
use super::requests::Request;
use crate::error::{Code, Result};
use crate::senders::Sender;
use crate::wire::control::{Hello, Watch, Welcome, put_interest};
use crate::wire::frame::{encode_chunk_head, encode_preamble, flag, kind};
use crate::wire::names::IncomingNames;
use crate::wire::reader::FrameReader;

impl Client {
    /// There is a link: greet.
    pub fn connected(&mut self) {
        self.phase = Phase::Greeting;
        self.preamble = Some(Vec::new());
        let out = self.greeting.tail(&mut self.spares);
        encode_preamble(out);
        let hello = Hello {
            session: self.config.session,
            pid: self.config.pid,
            namespace: self.config.namespace,
            max_message: self.config.max_message,
            id: self.config.id.clone(),
            token: String::new(),
            secret: self.config.secret,
            epoch: self.own.session,
            heard: self.own.last(),
            listens: self.interests.len() as u32,
            lane: self.lane.is_some(),
            replaces: self.config.replaces,
        };
        hello.encode(out);
        let briefly = self.breaker.greets_briefly();
        for event in &self.interests {
            if briefly {
                self.breaker.listen(event, true);
            } else {
                put_interest(true, event, out);
            }
        }
    }

    /// The bridge has not answered a PING for long: what waits for it goes on, as it does to a bridge that is trusted.
    pub fn presume_taken(&mut self) {
        self.breaker.presume_taken();
    }

    /// Whether something waits until the bridge has answered a PING.
    pub fn is_careful(&self) -> bool {
        self.breaker.is_careful()
    }

    /// A bridge rejects this link, because of something that this node said. What is rejected each time is given up.
    pub(super) fn rejected(&mut self, text: &str) {
        match self.breaker.rejected(self.said) {
            Some(Unit::Message(seq)) => self.give_message_up(seq, text),
            Some(Unit::Interest { event, listens: true }) => {
                self.interests.remove(&event);
                let (node, event, code) = ("".into(), event.into(), Code::Protocol);
                self.events.push_back(Event::Undeliverable { node, event, code });
            }
            _ => {}
        }
    }

    /// No bridge takes this message: whoever waits for its outcome is told.
    fn give_message_up(&mut self, seq: u64, text: &str) {
        let Some(&Entry { ref route, kind, flags, correlation, .. }) = self.outbox.get(seq) else { return };
        let (route, asks) = (route.clone(), flags & flag::ASK != 0);
        self.lose(seq, Code::Protocol);
        let text = format!("the bridge rejected this message each time: {text}");
        if kind == kind::REPLY {
            self.refuse_by(&route, correlation, Code::Protocol, &text);
        } else if asks && self.requests.cancel(correlation) {
            self.events.push_back(Event::Failed { correlation, code: Code::Protocol, text });
        }
    }

    /// The link is gone. What is not settled will be said again on the next.
    pub fn disconnected(&mut self) {
        if self.phase == Phase::Closed {
            return;
        }
        let greeted = matches!(self.phase, Phase::Online | Phase::Leaving);
        (self.phase, self.rejects) = (Phase::Offline, false);
        self.greeting.clear(&mut self.spares);
        self.breaker.link_lost();
        self.reader = FrameReader::default();
        self.names = IncomingNames::default();
        self.untaken.link_lost();
        self.released.iter_mut().for_each(|released| released.frames.clear());
        for held in self.inbox.link_lost() {
            // A refusal that cannot be read ends nothing.
            drop(self.release(held));
        }
        (self.received, self.acknowledged, self.fetched) = (0, 0, 0);
        if !greeted {
            return;
        }
        (self.leave_sent, self.leave_announced) = (false, false);
        self.said_before = self.said;
        self.segments.clear_queue();
        self.outgoing = Outgoing::default();
        self.told.clear();
        self.generation += 1;
        self.outbox.link_lost();
        self.replay = None;
        self.catching_up.clear();
        for destination in self.destinations.iter().chain([&self.everyone, &self.bridge]) {
            destination.sent.set(0);
            destination.kept_from.set(None);
            destination.forget_terms();
        }
    }

    /// The bridge has let us in.
    pub(super) fn welcomed(&mut self, welcome: &Welcome) -> Result<()> {
        self.phase = if self.leaving { Phase::Leaving } else { Phase::Online };
        self.max_message = self.config.max_message.min(welcome.max_message);
        self.window = welcome.window.min(self.config.max_pending / 2);
        let before = self.own.session;
        if before != welcome.epoch {
            self.own = Sender::new("".into(), welcome.epoch);
        }
        if before != welcome.epoch || !welcome.kept {
            // What the bridge had begun to say itself is not said again by another, nor to whom it had given up.
            let released = self.inbox.gone(|sender| sender.id.is_empty());
            released.into_iter().try_for_each(|held| self.release(held))?;
        }
        if !welcome.kept {
            self.inbox.forget_questions();
        }
        if let Some(lane) = &mut self.lane {
            // Who went meanwhile is not told any more.
            lane.forget_dead(None);
        }
        if before != 0 {
            self.give_up_answers(welcome.kept, before != welcome.epoch);
            self.watch();
        }
        let careful = self.breaker.is_careful();
        if careful {
            self.breaker.said(Unit::Greeting);
        }
        self.replay = (careful || !self.outbox.is_empty()).then(|| self.outbox.first_seq());
        Ok(())
    }

    /// Questions that may have been heard, and whose answers will not come: those to the other bridge's own process, and
    /// all if this node had been given up.
    fn give_up_answers(&mut self, kept: bool, another_bridge: bool) {
        let (outbox, said) = (&self.outbox, self.said);
        let lost = |to: &str, seq| {
            let host_is_gone = another_bridge && to.is_empty() && outbox.get(seq).is_none();
            host_is_gone || (!kept && seq <= said)
        };
        let mut given_up = Vec::new();
        for correlation in self.requests.end_where(|request| {
            let lost = lost(&request.to, request.seq);
            given_up.extend(lost.then_some(request.seq));
            lost
        }) {
            let text = "the bridge was lost before the reply came".to_owned();
            self.events.push_back(Event::Failed { correlation, code: Code::NodeLeft, text });
        }
        // Nobody is to hear them now who did not before.
        given_up.into_iter().for_each(|seq| drop(self.settle(seq)));
    }

    /// Asks to be told of the absence of all of whom something is awaited.
    fn watch(&mut self) {
        let seq = self.outbox.next_seq() - 1;
        let mut oldest = BTreeMap::new();
        for Request { to, seq: asked, .. } in self.requests.iter().filter(|request| !request.to.is_empty()) {
            let oldest = oldest.entry(to.clone()).or_insert(0);
            if self.outbox.get(*asked).is_none() && (*oldest == 0 || asked < oldest) {
                *oldest = *asked;
            }
        }
        for (id, oldest) in oldest {
            let watch = Watch { seq, oldest, session: 0, node: id.to_string() };
            watch.encode(kind::WATCH, self.segments.tail().1);
        }
        let awaited = self.inbox.awaited().map(|(sender, oldest)| (sender.id.clone(), sender.session, oldest));
        let awaited: BTreeSet<_> = awaited.filter(|(id, ..)| !id.is_empty()).collect();
        for (id, session, oldest) in awaited {
            let watch = Watch { seq, oldest, session, node: id.to_string() };
            watch.encode(kind::WATCH, self.segments.tail().1);
        }
    }

    /// Somebody waits for an answer to what somebody who had our id before may have got; or, with 0, for the rest of
    /// something that we had begun to say.
    pub(super) fn watched(&mut self, watch: Watch) {
        let unheard = if watch.seq == 0 {
            self.last_over(&watch).map(|oldest| Watch { oldest, ..watch })
        } else {
            self.first_unheard(&watch).map(|seq| Watch { seq, ..watch })
        };
        if let Some(unheard) = unheard {
            unheard.encode(kind::UNHEARD, self.segments.tail().1);
        }
    }

    /// If message `oldest` is not kept any more, and so will not be said again: the last number up to which that is so of all
    /// that may be for `node`. True for ever, however late it is heard.
    fn last_over(&self, Watch { oldest, node, .. }: &Watch) -> Option<u64> {
        let may_be_for_it = |entry: &Entry| entry.kind == kind::BROADCAST || *entry.route.to.node == **node;
        let kept = self.outbox.unsettled_from(*oldest).find(|(_, entry)| may_be_for_it(entry));
        let last = kept.map_or(self.outbox.next_seq().max(oldest + 1), |(seq, _)| seq) - 1;
        (last >= *oldest).then_some(last)
    }

    /// Up to which number whoever waits gets no answer: nothing up to it has come, or a bridge that it missed gave it up
    /// since, and what it was answered then is lost.
    fn first_unheard(&self, watch: &Watch) -> Option<u64> {
        let Watch { session, ref node, .. } = *watch;
        let node: Rc<str> = node.as_str().into();
        // What waits for the rest of a large message is acknowledged, and not noted yet.
        let waits = self.inbox.first_of(&node, session);
        let Some(first) = self.senders.first_of(&node, session).into_iter().chain(waits).min() else {
            return Some(watch.seq);
        };
        let unanswered = self.senders.given_up(&node, session).max(first.saturating_sub(1));
        (unanswered >= watch.oldest).then_some(unanswered)
    }

    /// What `node` was sent from `from` on did not reach it.
    pub(super) fn resend(&mut self, from: u64, node: &str) {
        let destination = self.destinations.get(node);
        let stopped = destination.kept_from.get().unwrap_or(self.outbox.next_seq());
        let from = from.min(stopped);
        self.take_back(&destination, from, u64::MAX, flag::ABORT | flag::LOST);
        destination.kept_from.set(Some(from));
        self.catch_up(&destination);
    }

    /// Messages to a destination in a range of numbers count as not said; what is left of large ones is not said either.
    pub(super) fn take_back(&mut self, destination: &Rc<Destination>, from: u64, to: u64, flags: u8) {
        let sent = self.outbox.unsettled_from(from).take_while(|(seq, _)| *seq <= to);
        let sent: Vec<u64> =
            sent.filter(|(_, entry)| Rc::ptr_eq(&entry.route.to, destination)).map(|(seq, _)| seq).collect();
        for seq in sent {
            let weight = self.outbox.weight(seq).window;
            if let Some(entry) = self.outbox.get_mut(seq)
                && entry.forget_sent()
            {
                destination.sent.set(destination.sent.get() - weight);
            }
        }
        for stream in self.outgoing.cancel(&destination.node, |seq| (from..=to).contains(&seq)) {
            encode_chunk_head(stream, flags, 0, self.segments.tail().1);
        }
    }

    /// What is kept back from a destination is to be said.
    pub(super) fn catch_up(&mut self, destination: &Rc<Destination>) {
        if !self.catching_up.iter().any(|other| Rc::ptr_eq(other, destination)) {
            self.catching_up.push_back(destination.clone());
        }
    }
}
