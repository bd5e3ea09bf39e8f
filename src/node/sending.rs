//! What a node says: letters become frames, and count until they are settled.

use std::rc::Rc;

use super::body::BodyWriter;
use super::client::{Client, Phase};
use crate::error::Code;
use crate::wire::control::{charge, put_interest, put_name};
use crate::wire::frame::{Encoding, Head, MAX_INLINE, ROUTED_LEN, flag, kind, large_head, refusal};
use crate::wire::names::Slot;

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

/// "node:event", and the slots it has on this link.
#[derive(Debug)]
pub(super) struct Target {
    node: Rc<str>,
    event: Rc<str>,
    /// The table's state its slots belong to.
    generation: u32,
    slots: (u16, u16),
}

impl Client {
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
        let slots = self.slots(letter.target);
        let out = self.out.tail(&mut self.spares);
        let start = out.len();
        // The head is written over these zeros when the body's length is known, and with it that it may go.
        out.resize(start + ROUTED_LEN, 0);
        let wanted = write(out);
        let body_len = out.len() - start - ROUTED_LEN;
        let allowed = self.check(body_len as u64);
        if !wanted || allowed.is_err() {
            self.out.same_tail().truncate(start);
            return allowed.map(|()| 0);
        }
        let head = self.head(letter, slots);
        head.encode_at(body_len, &mut self.out.same_tail()[start..]);
        self.count(charge(body_len as u64));
        Ok(head.correlation)
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
        let total = body.len() as u64;
        self.check(total)?;
        let to = self.targets[letter.target as usize].node.clone();
        let stream = self.outgoing.add(to, body.into_chunks()).ok_or(Code::QueueFull)?;
        let slots = self.slots(letter.target);
        let head = self.head(letter, slots);
        let head = Head { flags: head.flags | flag::LARGE, ..head };
        let opening = large_head(stream, total);
        let out = self.out.tail(&mut self.spares);
        head.encode(opening.len(), out);
        out.extend_from_slice(&opening);
        self.count(charge(total));
        Ok(head.correlation)
    }

    /// Tells the sender of a delivery that it reached nobody.
    pub fn refuse(&mut self, target: u32, correlation: u32, code: Code, text: &str) {
        if self.phase == Phase::Closed || self.leave_sent {
            return;
        }
        // Few bytes, and somebody waits for them: they go even when the queue is full.
        let body = refusal(code, text);
        let slots = self.slots(target);
        let letter = Letter { kind: kind::REFUSE, target, encoding: Encoding::Json, ask: None, correlation, now: 0 };
        let head = self.head(letter, slots);
        let out = self.out.tail(&mut self.spares);
        head.encode(body.len(), out);
        out.extend_from_slice(&body);
        self.count(charge(body.len() as u64));
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
        } else if self.unsettled + charge(body_len) > self.config.max_pending {
            Err(Code::QueueFull)
        } else {
            Ok(())
        }
    }

    /// The head of a letter, with its number taken and its request noted.
    fn head(&mut self, letter: Letter, (peer, event): (u16, u16)) -> Head {
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
        self.need_drain |= self.unsettled > self.high_water();
    }
}
