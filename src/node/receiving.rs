//! What a node is told: frames become events.

use std::rc::Rc;

use bytes::Bytes;

use super::client::{Client, Phase};
use super::inbox::Held;
use super::requests::Expired;
use crate::error::{Code, Result};
use crate::pool::Lease;
use crate::wire::control::{
    Gone, Settled, Welcome, close_encoding, decode_name, decode_number, decode_reject, put_number,
};
use crate::wire::frame::{
    Encoding, Head, PREAMBLE_LEN, check_preamble, decode_large_head, decode_refusal, flag, kind, malformed,
};
use crate::wire::reader::{Arrived, Frames};

/// Fewer bytes are read with others and copied.
const WORTH_READING_DIRECTLY: usize = 32 * 1024;

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
                self.received += u64::from(frame.ends);
                let abort = frame.raw.flags & flag::ABORT != 0;
                let released = self.inbox.chunk(frame.stream, payload, abort)?;
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
            kind::WELCOME if self.phase == Phase::Greeting => {
                let welcome = Welcome::decode(payload)?;
                self.phase = Phase::Online;
                self.max_message = self.config.max_message.min(welcome.max_message);
                self.window = welcome.window;
                self.need_drain |= self.unsettled > self.high_water();
                Ok(Some(Event::Online(welcome)))
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
                put_number(kind::PONG, decode_number(payload)?, self.out.tail(&mut self.spares));
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
                let released = self.inbox.wait(head, names, body);
                return released.into_iter().try_for_each(|held| self.release(held)).map(|()| None);
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

    fn refused<'a>(&mut self, head: Head, body: Payload<'a>) -> Result<Option<Event<'a>>> {
        let (code, text) = decode_refusal(body.bytes())?;
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
}
