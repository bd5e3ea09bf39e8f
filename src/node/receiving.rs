//! What a node is told: frames become events.

use std::rc::Rc;

use bytes::Bytes;

use super::client::{Client, Phase};
use super::event::{Event, Name, Payload};
use super::inbox::End;
use super::outbox::{Entry, State};
use super::requests::Expired;
use crate::error::{Code, Result};
use crate::senders::Sender;
use crate::wire::control::{
    Gone, Settled, Watch, Welcome, close_encoding, decode_about, decode_name, decode_number, decode_peer,
    decode_reject, put_number,
};
use crate::wire::frame::{Head, PREAMBLE_LEN, check_preamble, flag, kind, malformed};
use crate::wire::reader::{Arrived, Frames};

/// Broadcasts of which it is remembered that a node missed them, so that it is told once: as many small ones as the default
/// `maxPending` takes, 32 MiB to remember.
const MAX_MISSED: usize = 1 << 20;

/// Fewer bytes are read with others and copied.
const WORTH_READING_DIRECTLY: usize = 32 * 1024;

impl Client {
    /// The frames of a read; each goes to [`handle_frame`](Self::handle_frame).
    ///
    /// # Errors
    /// `ERR_PROTOCOL`: the other side is no bridge of ours. The link must be closed.
    pub fn frames(&mut self, mut input: Bytes) -> Result<Frames> {
        if let Some(preamble) = &mut self.preamble {
            let wanted = (PREAMBLE_LEN - preamble.len()).min(input.len());
            preamble.extend_from_slice(&input.split_to(wanted));
            if check_preamble(preamble)?.is_some() {
                self.preamble = None;
            }
        }
        self.reader.push(input)
    }

    /// Whether a large message is under way.
    pub fn is_receiving(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Where the next bytes of the link belong, if they are many of one large message: its body, and how many they are
    /// at the most. Read there, they are not copied again; [`filled`](Self::filled) says how many came.
    pub fn body_to_fill(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        let (stream, left) = self.reader.open_chunk_left().filter(|&(_, left)| left >= WORTH_READING_DIRECTLY)?;
        let (body, lacking) = self.inbox.body(stream)?;
        let room = body.capacity() - body.len();
        Some((body, left.min(lacking).min(room)))
    }

    /// `count` bytes were read into that body.
    ///
    /// # Errors
    /// As [`frames`](Self::frames).
    pub fn filled(&mut self, count: usize) -> Result<()> {
        let Some((stream, _)) = self.reader.open_chunk_left() else { return Ok(()) };
        self.received += u64::from(self.reader.skip(count));
        let released = self.inbox.filled(stream, count, self.received);
        self.defer_what_waits();
        released.into_iter().try_for_each(|held| self.release(held))
    }

    /// One frame; at most one event comes of it directly, others before it by [`poll_event`](Self::poll_event).
    ///
    /// # Errors
    /// As [`frames`](Self::frames).
    pub fn handle_frame<'a>(&mut self, frame: &Arrived<'a>) -> Result<Option<Event<'a>>> {
        if let Some(delivery) = self.plain_delivery(frame) {
            return Ok(Some(Event::Delivery(delivery)));
        }
        let before = self.received;
        let event = self.understand(frame);
        if let Err(error) = &event {
            self.reject(before, error);
        }
        event
    }

    fn understand<'a>(&mut self, frame: &Arrived<'a>) -> Result<Option<Event<'a>>> {
        let payload = frame.raw.payload;
        match frame.raw.kind {
            kind::MESSAGE | kind::BROADCAST | kind::REPLY | kind::REFUSE | kind::CANCEL => {
                self.received += 1;
                let (head, body) = Head::decode(&frame.raw)?;
                self.routed(head, body)
            }
            kind::CHUNK => {
                self.received += u64::from(frame.ends);
                let end = match frame.raw.flags {
                    flags if flags & flag::LOST != 0 => Some(End::Lost),
                    flags if flags & flag::ABORT != 0 => Some(End::Aborted),
                    _ => None,
                };
                let released = self.inbox.chunk(frame.stream, payload, end, self.received)?;
                self.defer_what_waits();
                if let Some((sender, seq)) = self.inbox.passed_over() {
                    self.came_again(&sender, seq);
                }
                released.into_iter().try_for_each(|held| self.release(held)).map(|()| None)
            }
            kind::NAME => {
                let (slot, text) = decode_name(payload)?;
                self.name(slot, Name { text: text.into(), sender: None })
            }
            kind::PEER => {
                let (slot, session, id) = decode_peer(payload)?;
                let text: Rc<str> = id.into();
                let sender = self.senders.get(&text, session);
                self.name(slot, Name { text, sender: Some(sender) })
            }
            kind::SETTLED => {
                let Settled { first, last, window, .. } = Settled::decode(payload)?;
                self.window = window.min(self.config.max_pending / 2);
                self.settle_all(first, last);
                Ok(None)
            }
            kind::GONE => {
                self.received += 1;
                self.gone(&Gone::decode(payload)?).map(|()| None)
            }
            kind::WATCH => {
                self.received += 1;
                self.watched(Watch::decode(payload)?);
                Ok(None)
            }
            kind::UNHEARD => {
                self.received += 1;
                self.not_continued(&Watch::decode(payload)?).map(|()| None)
            }
            kind::RESEND => {
                let (from, node) = decode_about(payload)?;
                self.resend(from, node);
                Ok(None)
            }
            kind::OFFER => self.offered(payload).map(|()| None),
            kind::ACCEPT => self.accepted(payload).map(|()| None),
            kind::WELCOME if self.phase == Phase::Greeting => {
                let welcome = Welcome::decode(payload)?;
                self.events.push_back(Event::Online(welcome.clone()));
                self.welcomed(&welcome).map(|()| None)
            }
            kind::REJECT => {
                let (code, text) = decode_reject(payload)?;
                if code == Code::Protocol && matches!(self.phase, Phase::Online | Phase::Leaving) {
                    self.rejected(text);
                }
                Ok(Some(Event::Rejected { code, text: text.to_owned() }))
            }
            kind::LEFT if self.leave_sent => {
                self.left = true;
                Ok(Some(Event::Left))
            }
            kind::CLOSE => {
                Ok(Some(Event::Ended { encoding: close_encoding(&frame.raw), body: Payload::Borrowed(payload) }))
            }
            kind::PING => {
                put_number(kind::PONG, decode_number(payload)?, self.segments.tail().1);
                Ok(None)
            }
            kind::PONG => {
                self.breaker.answered(decode_number(payload)?);
                Ok(None)
            }
            other => Err(malformed(format!("a frame of kind {other:#04x} is not a bridge's to send"))),
        }
    }

    /// Time has passed: requests whose time is up fail.
    pub fn handle_timeout(&mut self, now: u64) {
        self.now = now;
        for Expired { correlation, to, timeout, seq } in self.requests.expire(now) {
            let whose = if to.is_empty() { "the bridge".to_owned() } else { format!("'{to}'") };
            let progress = self.progress_of(seq);
            let text = format!("no reply from {whose} within {timeout} ms: {progress}");
            self.give_up(&to, correlation, Code::Timeout);
            self.events.push_back(Event::Failed { correlation, code: Code::Timeout, text });
        }
    }

    /// How far a message has come that nobody answered.
    fn progress_of(&self, seq: u64) -> &'static str {
        match self.outbox.get(seq).map(|entry| entry.state) {
            None | Some(State::Settled) => "it took the message and has not answered",
            Some(_) if self.phase() != Phase::Online => "the message waits for a connection to the bridge",
            Some(_) => "it has not taken the message yet",
        }
    }

    fn name<'a>(&mut self, slot: u16, name: Name) -> Result<Option<Event<'a>>> {
        let (text, session) = (name.text.clone(), name.session());
        self.names.define(slot, name)?;
        Ok(Some(Event::Name { slot, name: text, session }))
    }

    /// Somebody is gone: what went to it, up to a number, is lost, and what it had begun to say.
    fn gone(&mut self, gone: &Gone) -> Result<()> {
        let Gone { seq, code, delivered_only, session, ref node, ref missed } = *gone;
        if let Some(to) = self.destinations.find(node) {
            to.forget_terms();
        }
        if let Some(lane) = &mut self.lane {
            lane.forget_dead(Some(node));
        }
        let passed_on = self.end_questions_to(gone);
        if !delivered_only {
            self.lose_all_to(node, seq, code);
        }
        passed_on.into_iter().for_each(|(to, correlation)| self.give_up(&to, correlation, Code::Aborted));
        if !missed.is_empty() {
            self.broadcasts_missed(node, session, code, missed);
        }
        let ends = |begun: u64| if session == 0 { !delivered_only } else { begun == session };
        let released = self.inbox.gone(|sender| *sender.id == **node && ends(sender.session));
        released.into_iter().try_for_each(|held| self.release(held))?;
        if ends(session) || (seq == 0 && code == Code::UnknownNode) {
            self.senders.give_up(&node.as_str().into(), session);
        }
        if ends(session) {
            self.events.push_back(Event::Departed { node: node.as_str().into(), session });
        }
        Ok(())
    }

    /// Questions to somebody who is gone fail. Returns those, by receiver and correlation, that were said again on this link:
    /// whoever has the id now may have got them.
    fn end_questions_to(&mut self, gone: &Gone) -> Vec<(Rc<str>, u32)> {
        let Gone { seq, code, delivered_only, ref node, .. } = *gone;
        let mut passed_on = Vec::new();
        if seq == 0 {
            return passed_on;
        }
        let (outbox, said_before) = (&self.outbox, self.said_before);
        let lost =
            |to: &str, number| to == &**node && number <= seq && !(delivered_only && outbox.get(number).is_some());
        let ended = self.requests.end_where(|request| {
            let lost = lost(&request.to, request.seq);
            if lost && request.seq <= said_before {
                let said_again = outbox.get(request.seq).filter(|entry| entry.state == State::Sent);
                passed_on.extend(said_again.map(|entry| (request.to.clone(), entry.correlation)));
            }
            lost
        });
        for correlation in ended {
            let text = match code {
                Code::UnknownNode => format!("unknown-node: nobody on the bus has the id '{node}'"),
                _ => format!("'{node}' left the bus before it replied"),
            };
            self.events.push_back(Event::Failed { correlation, code, text });
        }
        passed_on
    }

    /// No rest will come of what a node had begun to say up to message `oldest`: it was told that this one is gone, or this one
    /// listens for it no longer, or rejects it. What waits behind goes on, up to what is lacking next: of that it is asked.
    fn not_continued(&mut self, &Watch { oldest, session, ref node, .. }: &Watch) -> Result<()> {
        let is_sender = |sender: &Sender| *sender.id == **node && sender.session == session;
        let released = self.inbox.not_continued(is_sender, oldest);
        if let Some((_, oldest)) = self.inbox.awaited_of(node, session) {
            let watch = Watch { seq: self.outbox.next_seq() - 1, oldest, session, node: node.clone() };
            watch.encode(kind::WATCH, self.segments.tail().1);
        }
        released.into_iter().try_for_each(|held| self.release(held))
    }

    /// Broadcasts in runs of numbers did not reach `node`. The bridge may say so twice; whoever sent them is told once.
    fn broadcasts_missed(&mut self, node: &str, session: u64, code: Code, runs: &[(u64, u64)]) {
        let (oldest, newest) = (self.outbox.first_seq(), self.outbox.next_seq() - 1);
        for seq in runs.iter().flat_map(|&(first, last)| first.max(oldest)..=last.min(newest)) {
            let Some(entry) = self.outbox.get(seq).filter(|entry| entry.kind == kind::BROADCAST) else { continue };
            let event = entry.route.event.clone();
            if self.is_newly_missed(seq, session) {
                self.events.push_back(Event::Undeliverable { node: node.into(), event, code });
            }
        }
    }

    /// Whether it was not told yet that broadcast `seq` was missed by whom `receiver` stands for: a session, or an id's hash.
    pub(super) fn is_newly_missed(&mut self, seq: u64, receiver: u64) -> bool {
        let oldest = self.outbox.first_seq();
        if self.missed.first().is_some_and(|&(first, _)| first < oldest) {
            self.missed = self.missed.split_off(&(oldest, 0));
        }
        self.missed.len() >= MAX_MISSED || self.missed.insert((seq, receiver))
    }

    fn lose_all_to(&mut self, node: &str, last: u64, code: Code) {
        let Some(destination) = self.destinations.find(node).cloned() else { return };
        let unsettled = self.outbox.unsettled().take_while(|(seq, _)| *seq <= last);
        // The question that is not said to be given up may have gone to whoever has the id by now.
        let kept = |entry: &Entry| entry.kind == kind::CANCEL && entry.state == State::Waiting;
        let lost = unsettled.filter(|(_, entry)| {
            entry.kind != kind::BROADCAST && Rc::ptr_eq(&entry.route.to, &destination) && !kept(entry)
        });
        let lost: Vec<u64> = lost.map(|(seq, _)| seq).collect();
        self.take_back(&destination, 0, last, flag::ABORT);
        lost.into_iter().for_each(|seq| self.lose(seq, code));
        // Whoever has its id next gets the rest, or it is refused.
        if destination.kept_from.get().is_some() {
            self.catch_up(&destination);
        }
    }
}
