//! What links bring: which wire they speak, and what each frame asks for.

use bytes::{Bytes, BytesMut};

use super::interests::MAX_INTERESTS;
use super::legacy::LegacyLink;
use super::link::{Body, Link, LinkKey, Wire};
use super::member::{Departure, MemberKey};
use super::membership::Newcomer;
use super::router::Router;
use crate::error::{Code, Result};
use crate::wire::control::{Hello, decode_event, decode_name, decode_number, put_bare, put_number};
use crate::wire::frame::{Head, PREAMBLE_LEN, check_preamble, decode_refusal, encode_preamble, kind, malformed};
use crate::wire::reader::{Arrived, Frames};

impl Router {
    pub(super) fn read(&mut self, link: LinkKey, input: Bytes, now: u64) -> Result<()> {
        match &mut self.links[link.0 as usize].wire {
            Wire::Native(native) => {
                let frames = native.reader.push(input)?;
                self.handle_frames(link, frames, now)
            }
            Wire::Legacy(_) => self.read_legacy(link, input),
            Wire::Undecided(first) => {
                first.extend_from_slice(&input);
                let first = std::mem::take(first);
                self.decide(link, first, now)
            }
        }
    }

    fn decide(&mut self, link: LinkKey, mut first: BytesMut, now: u64) -> Result<()> {
        let state = &mut self.links[link.0 as usize];
        if LegacyLink::recognizes(&first) {
            // Consecutive links start far apart: the golden ratio's multiples spread evenly.
            self.legacy_links = self.legacy_links.wrapping_add(0x9E37_79B9);
            state.wire = Wire::Legacy(Box::new(LegacyLink::new(self.legacy_links)));
        } else if check_preamble(&first)?.is_some() {
            let _preamble = first.split_to(PREAMBLE_LEN);
            state.wire = Wire::Native(Box::default());
            encode_preamble(state.out.tail(&mut self.spares));
        } else {
            state.wire = Wire::Undecided(first);
            return Ok(());
        }
        self.read(link, first.freeze(), now)
    }

    fn handle_frames(&mut self, link: LinkKey, mut frames: Frames, now: u64) -> Result<()> {
        while let Some(frame) = frames.next()? {
            match self.links[link.0 as usize].member {
                Some(member) => self.handle_frame(link, member, &frame)?,
                None => self.handle_hello(link, &frame, now)?,
            }
            if self.link(link).closing {
                break;
            }
        }
        Ok(())
    }

    fn handle_hello(&mut self, link: LinkKey, frame: &Arrived<'_>, now: u64) -> Result<()> {
        if frame.raw.kind != kind::HELLO {
            return Err(malformed("the first frame is not HELLO"));
        }
        let hello = Hello::decode(frame.raw.payload)?;
        let newcomer = Newcomer { id: &hello.id, pid: Some(hello.pid), max_message: hello.max_message };
        match self.add_member(link, &newcomer, now) {
            Ok(_) => {
                let Link { out, .. } = &mut self.links[link.0 as usize];
                self.welcome.encode(out.tail(&mut self.spares));
                self.mark_dirty(link);
                self.announce_join(link);
            }
            Err(error) => self.reject(link, Code::DuplicateNode, error.message()),
        }
        Ok(())
    }

    fn handle_frame(&mut self, link: LinkKey, member: MemberKey, frame: &Arrived<'_>) -> Result<()> {
        let payload = frame.raw.payload;
        match frame.raw.kind {
            kind::MESSAGE | kind::BROADCAST | kind::RPC | kind::REPLY | kind::REFUSE | kind::ROSTER => {
                let (head, body) = Head::decode(&frame.raw)?;
                check_routed(&head, body)?;
                self.members[member.place as usize].last_seq = head.seq;
                let body = Body::new(body, |body| frame.share(body));
                self.route(link, member, head, &body)
            }
            kind::CHUNK => self.relay_chunk(link, member, frame),
            kind::ACK => {
                let received = decode_number(payload)?;
                let Wire::Native(native) = &mut self.links[link.0 as usize].wire else { return Ok(()) };
                let news = native.acknowledge(received, &mut self.settlements)?;
                // Whose queue is full has to read it: acknowledging is no progress then.
                if news > 0 && self.links[link.0 as usize].out.len() <= self.limits.max_pending {
                    self.let_go_if_room(link);
                }
                Ok(())
            }
            kind::NAME => {
                let (slot, name) = decode_name(payload)?;
                let symbol = self.symbols.acquire(name);
                let before = self.links[link.0 as usize].native()?.names.define(slot, symbol);
                let unused = match before {
                    Ok(before) => before,
                    Err(error) => {
                        self.symbols.release(symbol);
                        return Err(error);
                    }
                };
                unused.into_iter().for_each(|unused| self.symbols.release(unused));
                Ok(())
            }
            kind::LISTEN => self.listen(member, decode_event(payload)?),
            kind::UNLISTEN => {
                self.unlisten(member, decode_event(payload)?);
                Ok(())
            }
            kind::PING => {
                let token = decode_number(payload)?;
                put_number(kind::PONG, token, self.links[link.0 as usize].out.tail(&mut self.spares));
                self.mark_dirty(link);
                Ok(())
            }
            kind::PONG => Ok(()),
            kind::LEAVE => {
                self.remove_member(member, Departure::Left);
                put_bare(kind::LEFT, self.links[link.0 as usize].out.tail(&mut self.spares));
                self.close_when_written(link);
                Ok(())
            }
            other => Err(malformed(format!("a frame of kind {other:#04x} is not a node's to send"))),
        }
    }

    fn listen(&mut self, member: MemberKey, event: &str) -> Result<()> {
        let interests = &mut self.members[member.place as usize].interests;
        if interests.len() >= MAX_INTERESTS {
            return Err(malformed(format!("more than {MAX_INTERESTS} events listened for")));
        }
        let symbol = self.symbols.acquire(event);
        if interests.insert(symbol) {
            self.interests.listen(member, symbol);
        } else {
            self.symbols.release(symbol);
        }
        Ok(())
    }

    fn unlisten(&mut self, member: MemberKey, event: &str) {
        let Some(symbol) = self.symbols.find(event) else { return };
        if self.members[member.place as usize].interests.remove(&symbol) {
            self.interests.unlisten(member, symbol, &mut self.symbols);
        }
    }
}

/// What the bridge would forward unread, but a receiver could not make sense of: it ends at the sender.
fn check_routed(head: &Head, body: &[u8]) -> Result<()> {
    let names_event = matches!(head.kind, kind::MESSAGE | kind::BROADCAST | kind::RPC);
    if head.seq == 0 || (names_event && head.event == 0) {
        return Err(malformed("a routed frame without a number, or without an event"));
    }
    if head.kind == kind::REFUSE {
        if head.is_large() {
            return Err(malformed("a refusal in chunks"));
        }
        decode_refusal(body)?;
    }
    Ok(())
}
