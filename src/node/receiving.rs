//! What a node is told: frames become events.

use std::rc::Rc;

use bytes::Bytes;

use super::client::{Client, Phase};
use super::inbox::{End, Held};
use super::requests::Expired;
use crate::error::{Code, Result};
use crate::pool::Lease;
use crate::senders::{News, Sender};
use crate::wire::control::{
    Gone, Settled, Welcome, close_encoding, decode_about, decode_name, decode_number, decode_peer, decode_reject,
    put_number,
};
use crate::wire::frame::{
    Encoding, Head, PREAMBLE_LEN, check_preamble, decode_large_head, decode_refusal, flag, kind, malformed,
};
use crate::wire::names::MAX_SLOT;
use crate::wire::reader::{Arrived, Frames};

/// Fewer bytes are read with others and copied.
const WORTH_READING_DIRECTLY: usize = 32 * 1024;

/// Slots that no bridge uses, for messages that waited: the slots they came with may stand for others by now.
const WAITED_FROM: u16 = MAX_SLOT + 1;
const WAITED_EVENT: u16 = MAX_SLOT + 2;

/// A body: where it lies in the input, or put together from chunks.
#[derive(Debug)]
pub enum Payload<'a> {
    Borrowed(&'a [u8]),
    Owned(Lease),
}

impl Payload<'_> {
    /// The bytes, wherever they lie.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Borrowed(bytes) => bytes,
            Payload::Owned(bytes) => bytes.bytes(),
        }
    }
}

/// What a slot stands for: an event, or somebody who says things.
#[derive(Clone, Debug)]
pub struct Name {
    pub text: Rc<str>,
    /// Of a node in one of its sessions.
    pub sender: Option<Rc<Sender>>,
}

/// What the node's process is to be told.
#[derive(Debug)]
pub enum Event<'a> {
    /// The bridge knows us.
    Online(Welcome),
    /// The bridge does not want us, or not any longer.
    Rejected { code: Code, text: String },
    /// From now on a slot of deliveries stands for this name.
    Name { slot: u16, name: Rc<str> },
    /// A MESSAGE or BROADCAST; slots as named before, 0 the bridge.
    Delivery { kind: u8, from: u16, event: u16, correlation: u32, encoding: Encoding, body: Payload<'a> },
    /// The reply to a request.
    Reply { correlation: u32, encoding: Encoding, body: Payload<'a> },
    /// A request ended without a reply.
    Failed { correlation: u32, code: Code, text: String },
    /// A message that nobody waits for could not be delivered.
    Undeliverable { node: Rc<str>, event: Rc<str>, code: Code },
    /// Sending may go on.
    Drain,
    /// The bridge has forwarded all we said before we left.
    Left,
    /// The bus ended, with the values of `bridge.close`.
    Ended { encoding: Encoding, body: Payload<'a> },
}

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
        self.inbox.filled(stream, count).into_iter().try_for_each(|held| self.release(held))
    }

    /// One frame; at most one event comes of it directly, others before it by [`poll_event`](Self::poll_event).
    ///
    /// # Errors
    /// As [`frames`](Self::frames).
    pub fn handle_frame<'a>(&mut self, frame: &Arrived<'a>) -> Result<Option<Event<'a>>> {
        let payload = frame.raw.payload;
        match frame.raw.kind {
            kind::MESSAGE | kind::BROADCAST | kind::REPLY | kind::REFUSE => {
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
                let released = self.inbox.chunk(frame.stream, payload, end)?;
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
                Ok(Some(Event::Rejected { code, text: text.to_owned() }))
            }
            kind::LEFT if self.leave_sent => Ok(Some(Event::Left)),
            kind::CLOSE => {
                Ok(Some(Event::Ended { encoding: close_encoding(&frame.raw), body: Payload::Borrowed(payload) }))
            }
            kind::PING => {
                put_number(kind::PONG, decode_number(payload)?, self.segments.tail().1);
                Ok(None)
            }
            kind::PONG => Ok(None),
            other => Err(malformed(format!("a frame of kind {other:#04x} is not a bridge's to send"))),
        }
    }

    /// Time has passed: requests whose time is up fail.
    pub fn handle_timeout(&mut self, now: u64) {
        for Expired { correlation, to, timeout } in self.requests.expire(now) {
            let whose = if to.is_empty() { "the bridge".to_owned() } else { format!("'{to}'") };
            let text = format!("no reply from {whose} within {timeout} ms");
            self.events.push_back(Event::Failed { correlation, code: Code::Timeout, text });
        }
    }

    fn name<'a>(&mut self, slot: u16, name: Name) -> Result<Option<Event<'a>>> {
        let text = name.text.clone();
        self.names.define(slot, name)?;
        Ok(Some(Event::Name { slot, name: text }))
    }

    /// Somebody is gone: what went to it, up to a number, is lost, and what it had begun to say.
    fn gone(&mut self, gone: &Gone) -> Result<()> {
        let Gone { seq, code, delivered_only, ref node } = *gone;
        if let Some(to) = self.destinations.find(node) {
            to.forget_terms();
        }
        if let Some(lane) = &mut self.lane {
            lane.forget_dead(Some(node));
        }
        let outbox = &self.outbox;
        let lost =
            |to: &str, number| to == &**node && number <= seq && !(delivered_only && outbox.get(number).is_some());
        for correlation in self.requests.end_where(|request| lost(&request.to, request.seq)) {
            let text = match code {
                Code::UnknownNode => format!("unknown-node: nobody on the bus has the id '{node}'"),
                _ => format!("'{node}' left the bus before it replied"),
            };
            self.events.push_back(Event::Failed { correlation, code, text });
        }
        if !delivered_only {
            self.lose_all_to(node, seq, code);
        }
        self.inbox
            .gone(delivered_only, |sender| *sender.id == **node)
            .into_iter()
            .try_for_each(|held| self.release(held))
    }

    fn lose_all_to(&mut self, node: &str, last: u64, code: Code) {
        let Some(destination) = self.destinations.find(node).cloned() else { return };
        self.take_back(&destination, 0, last, flag::ABORT);
        let lost = self.outbox.unsettled().take_while(|(seq, _)| *seq <= last);
        let lost = lost.filter(|(_, entry)| entry.kind != kind::BROADCAST && Rc::ptr_eq(&entry.route.to, &destination));
        let lost: Vec<u64> = lost.map(|(seq, _)| seq).collect();
        lost.into_iter().for_each(|seq| self.lose(seq, code));
        // Whoever has its id next gets the rest, or it is refused.
        if destination.kept_from.get().is_some() {
            self.catch_up(&destination);
        }
        self.drained();
    }

    fn routed<'a>(&mut self, head: Head, body: &'a [u8]) -> Result<Option<Event<'a>>> {
        if self.inbox.is_empty() && self.is_plain_news(&head)? {
            return self.event(head, Payload::Borrowed(body));
        }
        if !self.inbox.is_empty() {
            self.pass_over(&head)?;
        }
        let news = self.sender_of(&head)?.map_or(News::New, |sender| sender.news(head.seq));
        if head.is_large() {
            self.open_large(head, body, news)?;
        }
        if news == News::Late {
            self.refuse_late(&head)?;
        }
        if head.is_large() || news != News::New {
            return Ok(None);
        }
        let mut body = Payload::Borrowed(body);
        if head.is_shared() {
            let Some(fetched) = self.fetch(&head, body.bytes())? else { return Ok(None) };
            body = Payload::Owned(fetched);
        }
        if let Some(sender) = self.sender_of(&head)? {
            if !self.inbox.is_empty() && self.inbox.holds(sender) {
                let names = self.names_of(&head)?;
                let released = self.inbox.wait(head, names, body);
                return released.into_iter().try_for_each(|held| self.release(held)).map(|()| None);
            }
            sender.said(head.seq);
        }
        self.event(head, body)
    }

    /// A message was said when this node was not there, and comes behind later ones: its order is lost, so it is refused.
    fn refuse_late(&mut self, head: &Head) -> Result<()> {
        if head.kind == kind::MESSAGE {
            let (from, event) = self.names_of(head)?;
            let text = format!("unknown-node: '{}' was not there when this was said", self.config.id);
            self.refuse_to(&from.text, &event.text, head.correlation, Code::UnknownNode, &text);
        }
        Ok(())
    }

    /// The common case: a small message of another node that is new, and is noted.
    fn is_plain_news(&self, head: &Head) -> Result<bool> {
        if head.peer == 0 || head.flags & (flag::LARGE | flag::SHARED | flag::OWN | flag::BRIDGE) != 0 {
            return Ok(false);
        }
        let Some(sender) = &self.names.get(head.peer)?.sender else { return Ok(true) };
        let is_new = sender.news(head.seq) == News::New;
        if is_new {
            sender.said(head.seq);
        }
        Ok(is_new)
    }

    /// Who says a message that is numbered; `None`: it is not.
    pub(super) fn sender_of(&self, head: &Head) -> Result<Option<&Rc<Sender>>> {
        Ok(if head.flags & flag::OWN != 0 {
            Some(&self.own)
        } else if head.flags & flag::BRIDGE != 0 || head.peer == 0 {
            None
        } else {
            self.names.get(head.peer)?.sender.as_ref()
        })
    }

    fn pass_over(&mut self, head: &Head) -> Result<()> {
        let Some(sender) = self.sender_of(head)?.cloned() else { return Ok(()) };
        let released = self.inbox.pass(&sender, head.seq);
        released.into_iter().try_for_each(|held| self.release(held))
    }

    fn open_large(&mut self, head: Head, opening: &[u8], news: News) -> Result<()> {
        let (stream, total) = decode_large_head(opening)?;
        if total > self.config.max_message {
            return Err(malformed("a message larger than this node said it takes"));
        }
        if news != News::New {
            self.inbox.ignore(stream, total);
            return Ok(());
        }
        let names = self.names_of(&head)?;
        self.inbox.open(head, names, stream, total)
    }

    fn event<'a>(&mut self, head: Head, body: Payload<'a>) -> Result<Option<Event<'a>>> {
        let Head { kind, peer, correlation, .. } = head;
        let encoding = head.encoding();
        match kind {
            kind::REPLY => {
                let from = self.names_of(&head)?.0.text;
                Ok(self.replied(&from, correlation, encoding, body))
            }
            kind::REFUSE => {
                let names = self.names_of(&head)?;
                self.refused(head, names, body)
            }
            _ => {
                // Names must be known before JavaScript is told to use them; 0, the bridge, has none.
                if peer != 0 {
                    self.names.get(peer)?;
                }
                self.names.get(head.event)?;
                let correlation = if head.asks() { correlation } else { 0 };
                Ok(Some(Event::Delivery { kind, from: peer, event: head.event, correlation, encoding, body }))
            }
        }
    }

    fn replied<'a>(
        &mut self,
        from: &str,
        correlation: u32,
        encoding: Encoding,
        body: Payload<'a>,
    ) -> Option<Event<'a>> {
        let waited_for = self.requests.answer(correlation, from);
        waited_for.then_some(Event::Reply { correlation, encoding, body })
    }

    fn refused<'a>(&mut self, head: Head, (node, event): (Name, Name), body: Payload<'_>) -> Result<Option<Event<'a>>> {
        let (code, text) = decode_refusal(body.bytes())?;
        let (node, event, text) = (node.text, event.text, text.to_owned());
        let by_bridge = head.flags & flag::BRIDGE != 0;
        if by_bridge && head.flags & flag::OWN == 0 && !self.refused_by_bridge(head.seq) {
            return Ok(None);
        }
        if head.correlation == 0 {
            return Ok(Some(Event::Undeliverable { node, event, code }));
        }
        // The bridge may refuse on anybody's behalf, a node only on its own.
        let ended = match by_bridge {
            true => self.requests.cancel(head.correlation),
            false => self.requests.answer(head.correlation, &node),
        };
        Ok(ended.then_some(Event::Failed { correlation: head.correlation, code, text }))
    }

    /// The bridge refused a message; returns whether that is news. A broadcast goes on to others.
    fn refused_by_bridge(&mut self, seq: u64) -> bool {
        let Some(entry) = self.outbox.get(seq) else { return false };
        if entry.kind != kind::BROADCAST {
            self.settle(seq);
            self.drained();
        }
        true
    }

    /// Delivers what waited. Its slots may stand for others by now.
    pub(super) fn release(&mut self, held: Held) -> Result<()> {
        let Held { head, from, event, body, .. } = held;
        from.sender.iter().for_each(|sender| sender.said(head.seq));
        let (encoding, body) = (head.encoding(), Payload::Owned(body));
        let event = match head.kind {
            kind::REPLY => self.replied(&from.text, head.correlation, encoding, body),
            kind::REFUSE => self.refused(head, (from, event), body)?,
            kind => {
                self.events.push_back(Event::Name { slot: WAITED_EVENT, name: event.text });
                let from = if head.peer == 0 {
                    0
                } else {
                    self.events.push_back(Event::Name { slot: WAITED_FROM, name: from.text });
                    WAITED_FROM
                };
                let correlation = if head.asks() { head.correlation } else { 0 };
                Some(Event::Delivery { kind, from, event: WAITED_EVENT, correlation, encoding, body })
            }
        };
        self.events.extend(event);
        Ok(())
    }

    fn names_of(&self, head: &Head) -> Result<(Name, Name)> {
        let nobody = || Name { text: "".into(), sender: (head.flags & flag::OWN != 0).then(|| self.own.clone()) };
        let name = |slot| if slot == 0 { Ok(nobody()) } else { self.names.get(slot).cloned() };
        Ok((name(head.peer)?, name(head.event)?))
    }
}
