//! The node's brain: what it sends and waits for, what it is told. No socket, no clock, no JavaScript.
//!
//! The driver feeds [`Client::handle_frame`], writes what [`Client::transmit`] holds, and polls
//! [`Client::poll_event`]. Events lead out of the client, so that a listener may call back into it.

use std::collections::{BTreeSet, VecDeque};
use std::hash::RandomState;
use std::rc::Rc;

use bytes::Bytes;

use super::inbox::{Held, Inbox};
use super::outgoing::Outgoing;
use super::requests::Requests;
use crate::error::{Code, Result};
use crate::outqueue::{OutQueue, Spares};
use crate::wire::control::{
    Gone, Hello, Settled, Welcome, charge, close_encoding, decode_name, decode_number, decode_reject, put_ack,
    put_bare, put_interest, put_name, put_number,
};
use crate::wire::frame::{
    Encoding, Head, MAX_INLINE, PREAMBLE_LEN, check_preamble, decode_chunk, decode_large_head, decode_refusal,
    encode_chunk_head, encode_preamble, flag, kind, large_head, malformed, refusal,
};
use crate::wire::names::{IncomingNames, OutgoingNames, Slot};
use crate::wire::reader::{Arrived, FrameReader, Frames};

/// Chunks are added to the queue only below this, so that a small message never waits behind more.
const CHUNKS_BELOW: usize = 256 * 1024;

/// What a node is set up with.
#[derive(Clone, Debug)]
pub struct Config {
    pub id: String,
    /// Random, for the node's life.
    pub session: u64,
    pub pid: u32,
    /// Bytes of one message.
    pub max_message: u64,
    /// Bytes that may wait for the bridge or its receivers.
    pub max_pending: u64,
}

/// Where the node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No link.
    Offline,
    /// HELLO is on its way.
    Greeting,
    /// On the bus.
    Online,
    /// LEAVE goes out behind what was sent before.
    Leaving,
    /// Over.
    Closed,
}

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

/// A body: where it lies in the input, or put together from chunks.
#[derive(Debug)]
pub enum Payload<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
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

#[derive(Debug)]
struct Target {
    node: Rc<str>,
    event: Rc<str>,
    /// The table's state its slots belong to.
    generation: u32,
    slots: (u16, u16),
}

/// One node. Its queue is bounded by `max_pending`, by weight.
#[derive(Debug)]
pub struct Client {
    config: Config,
    phase: Phase,
    max_message: u64,
    window: u64,
    /// Goes before `out`, which waits for the welcome.
    greeting: OutQueue,
    out: OutQueue,
    spares: Spares,
    reader: FrameReader,
    preamble: Option<Vec<u8>>,
    told: OutgoingNames<Rc<str>, RandomState>,
    generation: u32,
    names: IncomingNames<Rc<str>>,
    targets: Vec<Target>,
    interests: BTreeSet<String>,
    requests: Requests,
    outgoing: Outgoing,
    inbox: Inbox,
    last_seq: u64,
    unsettled: u64,
    need_drain: bool,
    received: u64,
    acknowledged: u64,
    leave_sent: bool,
    events: VecDeque<Event<'static>>,
}

impl Client {
    /// A node without a link. What is sent before it has one waits.
    pub fn new(config: Config) -> Self {
        Self {
            max_message: config.max_message,
            config,
            phase: Phase::Offline,
            window: u64::MAX,
            greeting: OutQueue::default(),
            out: OutQueue::default(),
            spares: Spares::default(),
            reader: FrameReader::default(),
            preamble: None,
            told: OutgoingNames::default(),
            generation: 0,
            names: IncomingNames::default(),
            targets: Vec::new(),
            interests: BTreeSet::new(),
            requests: Requests::default(),
            outgoing: Outgoing::default(),
            inbox: Inbox::default(),
            last_seq: 0,
            unsettled: 0,
            need_drain: false,
            received: 0,
            acknowledged: 0,
            leave_sent: false,
            events: VecDeque::new(),
        }
    }

    /// Where the node stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Bytes handed over and not yet settled.
    pub fn pending(&self) -> u64 {
        self.unsettled
    }

    /// Whether the sender should wait for [`Event::Drain`].
    pub fn need_drain(&self) -> bool {
        self.need_drain
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; client time.
    pub fn next_timeout(&self) -> Option<u64> {
        self.requests.next_deadline()
    }

    /// What happened besides what [`handle_frame`](Self::handle_frame) returned.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        self.events.pop_front()
    }

    // ---- the link ---------------------------------------------------------------------------------------------

    /// There is a link: greet.
    pub fn connected(&mut self) {
        self.phase = Phase::Greeting;
        self.preamble = Some(Vec::new());
        let out = self.greeting.tail(&mut self.spares);
        encode_preamble(out);
        let Config { session, pid, max_message, .. } = self.config;
        Hello { session, pid, max_message, id: self.config.id.clone(), token: String::new() }.encode(out);
        for event in &self.interests {
            put_interest(true, event, out);
        }
    }

    /// The link is gone, and with it whatever was on it. Requests fail; what was not yet written is lost.
    pub fn disconnected(&mut self, text: &str) {
        if self.phase == Phase::Closed {
            return;
        }
        let greeted = matches!(self.phase, Phase::Online | Phase::Leaving);
        self.phase = Phase::Offline;
        self.greeting.clear(&mut self.spares);
        self.reader = FrameReader::default();
        self.names = IncomingNames::default();
        self.inbox = Inbox::default();
        (self.received, self.acknowledged) = (0, 0);
        if !greeted {
            return;
        }
        self.out.clear(&mut self.spares);
        self.outgoing = Outgoing::default();
        self.unsettled = 0;
        self.told.clear();
        self.generation += 1;
        self.fail_all(Code::NodeLeft, text);
        self.drained();
    }

    /// It is over: requests fail, nothing more is sent.
    pub fn close(&mut self, text: &str) {
        self.phase = Phase::Closed;
        self.fail_all(Code::Closed, text);
    }

    /// Everything sent before goes out first, then LEAVE; [`Event::Left`] follows.
    pub fn leave(&mut self) {
        if self.phase == Phase::Online {
            self.phase = Phase::Leaving;
        }
    }

    /// What to write next: call it before each write.
    pub fn transmit(&mut self) -> &mut OutQueue {
        if !self.greeting.is_empty() || matches!(self.phase, Phase::Offline | Phase::Greeting) {
            return &mut self.greeting;
        }
        if self.received != self.acknowledged {
            self.acknowledged = self.received;
            put_ack(self.received, self.out.tail(&mut self.spares));
        }
        while self.out.len() < CHUNKS_BELOW
            && let Some((stream, chunk)) = self.outgoing.next_chunk()
        {
            encode_chunk_head(stream, 0, chunk.len(), self.out.tail(&mut self.spares));
            self.out.push_shared(chunk, &mut self.spares);
        }
        if self.phase == Phase::Leaving && self.outgoing.is_empty() && !self.leave_sent {
            self.leave_sent = true;
            put_bare(kind::LEAVE, self.out.tail(&mut self.spares));
        }
        &mut self.out
    }

    /// `count` bytes of what [`transmit`](Self::transmit) returned were written.
    pub fn written(&mut self, count: usize) {
        let queue = if self.greeting.is_empty() { &mut self.out } else { &mut self.greeting };
        queue.advance(count, &mut self.spares);
    }

    /// Whether there is anything to write besides an acknowledgement.
    pub fn has_output(&self) -> bool {
        self.queued() > 0 || !self.outgoing.is_empty()
    }

    /// Whether the bridge is owed an acknowledgement, which the next [`transmit`](Self::transmit) adds.
    pub fn acknowledgement_due(&self) -> bool {
        self.received != self.acknowledged
    }

    /// Bytes that are ready to be written.
    pub fn queued(&self) -> usize {
        self.greeting.len() + self.out.len()
    }

    // ---- sending ----------------------------------------------------------------------------------------------

    /// A number for "node:event", for use in [`Letter`]s; either may be empty. Numbers count up from 0.
    pub fn target(&mut self, node: &str, event: &str) -> u32 {
        let generation = self.generation.wrapping_sub(1);
        self.targets.push(Target { node: node.into(), event: event.into(), generation, slots: (0, 0) });
        self.targets.len() as u32 - 1
    }

    /// Forgets all targets; numbers start from 0 again.
    pub fn clear_targets(&mut self) {
        self.targets.clear();
    }

    /// Sends a body that `write` appends, which must be at most [`MAX_INLINE`] bytes: no copy on the way.
    ///
    /// # Errors
    /// `Closed`, `QueueFull`.
    pub fn send_with(&mut self, letter: Letter, write: impl FnOnce(&mut Vec<u8>)) -> Result<u32, Code> {
        self.check(0)?;
        let head = self.head(letter);
        let out = self.out.tail(&mut self.spares);
        let start = out.len();
        head.encode(0, out);
        let body = out.len();
        write(out);
        let body_len = out.len() - body;
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        self.count(charge(body_len as u64));
        Ok(head.correlation)
    }

    /// Sends a body of any length. Returns the request's correlation, or 0.
    ///
    /// # Errors
    /// `Closed`, `QueueFull`, `TooLarge`.
    pub fn send(&mut self, letter: Letter, body: Bytes) -> Result<u32, Code> {
        if body.len() <= MAX_INLINE {
            return self.send_with(letter, |out| out.extend_from_slice(&body));
        }
        let total = body.len() as u64;
        self.check(total)?;
        let to = self.targets[letter.target as usize].node.clone();
        let stream = self.outgoing.add(to, body).ok_or(Code::QueueFull)?;
        let head = self.head(letter);
        let head = Head { flags: head.flags | flag::LARGE, ..head };
        let opening = large_head(stream, total);
        let out = self.out.tail(&mut self.spares);
        head.encode(opening.len(), out);
        out.extend_from_slice(&opening);
        self.count(charge(total));
        Ok(head.correlation)
    }

    /// Tells the sender of a delivery that it reached nobody.
    pub fn refuse(&mut self, target: u32, correlation: u32, code: Code, text: &str, now: u64) {
        let letter = Letter { kind: kind::REFUSE, target, encoding: Encoding::Json, ask: None, correlation, now };
        // A refusal that does not fit, or comes after the end, helps nobody.
        let _refused = self.send_with(letter, |out| out.extend_from_slice(&refusal(code, text)));
    }

    /// The request is not waited for any longer; its late reply is dropped.
    pub fn cancel(&mut self, correlation: u32) {
        self.requests.cancel(correlation);
    }

    /// Broadcasts of `event` concern this node, or no longer.
    pub fn listen(&mut self, event: &str, listens: bool) {
        let changed = if listens { self.interests.insert(event.to_owned()) } else { self.interests.remove(event) };
        if !changed {
            return;
        }
        match self.phase {
            Phase::Offline | Phase::Closed => {}
            Phase::Greeting => put_interest(listens, event, self.greeting.tail(&mut self.spares)),
            Phase::Online | Phase::Leaving => put_interest(listens, event, self.out.tail(&mut self.spares)),
        }
    }

    fn check(&self, body_len: u64) -> Result<(), Code> {
        if matches!(self.phase, Phase::Leaving | Phase::Closed) {
            Err(Code::Closed)
        } else if body_len > self.max_message {
            Err(Code::TooLarge)
        } else if self.unsettled + body_len > self.config.max_pending {
            Err(Code::QueueFull)
        } else {
            Ok(())
        }
    }

    /// The head of a letter, with its names told, its number taken and its request noted.
    fn head(&mut self, letter: Letter) -> Head {
        let (peer, event) = self.slots(letter.target);
        self.last_seq += 1;
        let mut flags = (letter.encoding as u8) << flag::ENCODING_SHIFT;
        let mut correlation = letter.correlation;
        if let Some(timeout) = letter.ask {
            flags |= flag::ASK;
            let to = self.targets[letter.target as usize].node.clone();
            correlation = self.requests.add(to, self.last_seq, timeout, letter.now);
        }
        Head { kind: letter.kind, flags, peer, event, correlation, seq: self.last_seq }
    }

    fn slots(&mut self, target: u32) -> (u16, u16) {
        let target = &mut self.targets[target as usize];
        if target.generation == self.generation {
            return target.slots;
        }
        if !self.told.make_room(2).is_empty() {
            self.generation += 1;
        }
        let out = self.out.tail(&mut self.spares);
        let mut slot = |name: &Rc<str>| {
            if name.is_empty() {
                return 0;
            }
            match self.told.slot(name.clone()) {
                Slot::Known(slot) => slot,
                Slot::New(slot) => {
                    put_name(slot, name, out);
                    slot
                }
            }
        };
        target.slots = (slot(&target.node), slot(&target.event));
        target.generation = self.generation;
        target.slots
    }

    fn count(&mut self, charge: u64) {
        self.unsettled += charge;
        self.need_drain |= self.unsettled > self.window;
    }

    // ---- receiving --------------------------------------------------------------------------------------------

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

    /// One frame; at most one event comes of it directly, others by [`poll_event`](Self::poll_event).
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
                self.received += 1;
                let (stream, bytes) = decode_chunk(&frame.raw)?;
                let released = self.inbox.chunk(stream, bytes, frame.raw.flags & flag::ABORT != 0)?;
                released.into_iter().try_for_each(|held| self.release(held)).map(|()| None)
            }
            kind::NAME => {
                let (slot, name) = decode_name(payload)?;
                let name: Rc<str> = name.into();
                self.names.define(slot, name.clone())?;
                Ok(Some(Event::Name { slot, name }))
            }
            kind::SETTLED => {
                let settled = Settled::decode(payload)?;
                self.window = settled.window;
                self.unsettled = self.unsettled.saturating_sub(settled.bytes);
                self.drained();
                Ok(None)
            }
            kind::GONE => {
                let Gone { seq, node } = Gone::decode(payload)?;
                for correlation in self.requests.gone(&node, seq) {
                    let text = format!("'{node}' left the bus before it replied");
                    self.events.push_back(Event::Failed { correlation, code: Code::NodeLeft, text });
                }
                Ok(None)
            }
            kind::WELCOME => {
                let welcome = Welcome::decode(payload)?;
                self.phase = Phase::Online;
                self.max_message = self.config.max_message.min(welcome.max_message);
                self.window = welcome.window;
                self.need_drain |= self.unsettled > self.window;
                Ok(Some(Event::Online(welcome)))
            }
            kind::REJECT => {
                let (code, text) = decode_reject(payload)?;
                Ok(Some(Event::Rejected { code, text: text.to_owned() }))
            }
            kind::LEFT => Ok(Some(Event::Left)),
            kind::CLOSE => {
                Ok(Some(Event::Ended { encoding: close_encoding(&frame.raw), body: Payload::Borrowed(payload) }))
            }
            kind::PING => {
                put_number(kind::PONG, decode_number(payload)?, self.out.tail(&mut self.spares));
                Ok(None)
            }
            kind::PONG => Ok(None),
            other => Err(malformed(format!("a frame of kind {other:#04x} is not a bridge's to send"))),
        }
    }

    /// Time has passed: requests whose time is up fail.
    pub fn handle_timeout(&mut self, now: u64) {
        for correlation in self.requests.expire(now) {
            let text = "no reply within the time given".to_owned();
            self.events.push_back(Event::Failed { correlation, code: Code::Timeout, text });
        }
    }

    fn routed<'a>(&mut self, head: Head, body: &'a [u8]) -> Result<Option<Event<'a>>> {
        if head.is_large() {
            let (stream, total) = decode_large_head(body)?;
            let names = self.names_of(&head)?;
            if total > self.config.max_message {
                return Err(malformed("a message larger than this node said it takes"));
            }
            return self.inbox.open(head, names, stream, total).map(|()| None);
        }
        if !self.inbox.is_empty() {
            let names = self.names_of(&head)?;
            if self.inbox.holds(&names.0) {
                self.inbox.wait(head, names, body);
                return Ok(None);
            }
        }
        self.event(head, Payload::Borrowed(body))
    }

    fn event<'a>(&mut self, head: Head, body: Payload<'a>) -> Result<Option<Event<'a>>> {
        let Head { kind, peer, correlation, .. } = head;
        let encoding = head.encoding();
        match kind {
            kind::REPLY => {
                let from = if peer == 0 { "" } else { self.names.get(peer)? };
                let waited_for = self.requests.answer(correlation, from);
                Ok(waited_for.then_some(Event::Reply { correlation, encoding, body }))
            }
            kind::REFUSE => self.refused(head, body),
            _ => {
                let correlation = if head.asks() { correlation } else { 0 };
                Ok(Some(Event::Delivery { kind, from: peer, event: head.event, correlation, encoding, body }))
            }
        }
    }

    fn refused<'a>(&mut self, head: Head, body: Payload<'a>) -> Result<Option<Event<'a>>> {
        let bytes = match &body {
            Payload::Borrowed(bytes) => bytes,
            Payload::Owned(bytes) => &bytes[..],
        };
        let (code, text) = decode_refusal(bytes)?;
        let (node, event) = self.names_of(&head)?;
        if head.correlation == 0 {
            return Ok(Some(Event::Undeliverable { node, event, code }));
        }
        // The bridge may refuse on anybody's behalf, a node only on its own.
        let ended = match head.seq {
            0 => self.requests.cancel(head.correlation),
            _ => self.requests.answer(head.correlation, &node),
        };
        let text = text.to_owned();
        Ok(ended.then_some(Event::Failed { correlation: head.correlation, code, text }))
    }

    /// Delivers what waited, under the names it came with.
    fn release(&mut self, held: Held) -> Result<()> {
        let Held { head, from, event, body, .. } = held;
        let head = Head { flags: head.flags & !flag::LARGE, ..head };
        let mut current = Vec::new();
        for (slot, name) in [(head.peer, from), (head.event, event)] {
            if slot != 0 && *self.names.get(slot)? != name {
                current.extend(self.names.define(slot, name.clone())?.map(|now| (slot, now)));
                self.events.push_back(Event::Name { slot, name });
            }
        }
        let event = self.event(head, Payload::Owned(body))?;
        self.events.extend(event);
        for (slot, name) in current {
            self.names.define(slot, name.clone())?;
            self.events.push_back(Event::Name { slot, name });
        }
        Ok(())
    }

    fn names_of(&self, head: &Head) -> Result<(Rc<str>, Rc<str>)> {
        let name = |slot| if slot == 0 { Ok(Rc::from("")) } else { self.names.get(slot).cloned() };
        Ok((name(head.peer)?, name(head.event)?))
    }

    fn drained(&mut self) {
        if self.need_drain && self.unsettled <= self.window / 2 {
            self.need_drain = false;
            self.events.push_back(Event::Drain);
        }
    }

    fn fail_all(&mut self, code: Code, text: &str) {
        for correlation in self.requests.end_all() {
            self.events.push_back(Event::Failed { correlation, code, text: text.to_owned() });
        }
    }
}
