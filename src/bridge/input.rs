//! What links bring: which wire they speak, and what each frame asks for.

use bytes::{Bytes, BytesMut};

use super::grace::Arrival;
use super::interests::MAX_INTERESTS;
use super::legacy::LegacyLink;
use super::link::{Body, Link, LinkKey, Wire};
use super::member::{Departure, Member, MemberKey};
use super::membership::Newcomer;
use super::router::Router;
use crate::error::{Code, Result};
use crate::wire::control::{
    FrameRun, Gone, Hello, Watch, Welcome, check_id, decode_about, decode_event, decode_name, decode_number,
    decode_reject, put_bare, put_number,
};
use crate::wire::frame::{
    Head, PREAMBLE_LEN, check_preamble, decode_refusal, encode_preamble, flag, kind, malformed, utf8,
};
use crate::wire::lane::Shared;
use crate::wire::reader::{Arrived, Frames};

/// Events by which nodes learn who comes and goes. Whoever begins to listen for one is told who is there.
const PRESENCE_EVENTS: [&str; 2] = ["node:join", "node:leave"];

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
        let mut run = std::mem::take(&mut self.run);
        run.forget();
        let mut outcome = Ok(());
        while let Some(frame) = frames.next() {
            let member = self.links[link.0 as usize].member;
            outcome = match member {
                Some(member) if self.run_on(&mut run, link, member, &frame) => continue,
                Some(member) => self.handle_frame(link, member, &frame),
                None => self.handle_hello(link, &frame, now),
            };
            if outcome.is_err() || self.link(link).closing {
                break;
            }
        }
        self.run = run;
        outcome
    }

    fn handle_hello(&mut self, link: LinkKey, frame: &Arrived<'_>, now: u64) -> Result<()> {
        if frame.raw.kind != kind::HELLO {
            return Err(malformed("the first frame is not HELLO"));
        }
        let hello = Hello::decode(frame.raw.payload)?;
        self.end_grace_if_over();
        let same = self.symbols.find(&hello.id).and_then(|id| self.find_member(id));
        let same = same.filter(|key| {
            let Member { session, secret, .. } = self.members[key.place as usize];
            session != 0 && secret != 0 && (session, secret) == (hello.session, hello.secret)
        });
        same.into_iter().for_each(|key| self.leave_old_link(key));
        match same {
            Some(key) if self.has_lost_its_place(key) => self.remove_member(key, Departure::TimedOut),
            Some(key) => {
                self.resume(key, link, &hello);
                return Ok(());
            }
            None => {}
        }
        let from_elsewhere = hello.epoch != 0 && hello.epoch != self.welcome.epoch;
        if from_elsewhere {
            // Others may follow.
            self.begin_grace(None);
        }
        let newcomer = Newcomer {
            id: &hello.id,
            session: hello.session,
            secret: hello.secret,
            process: Some((hello.pid, hello.namespace)),
            max_message: hello.max_message,
            lane: hello.lane,
            fresh: hello.epoch == 0,
            replaces: hello.replaces,
        };
        match self.add_member(link, &newcomer, now) {
            Ok(key) => {
                let arrival = self.arrive(key);
                // Whoever comes back too late was given up, here or on the bridge before.
                self.welcome(link, hello.epoch == 0 || (from_elsewhere && arrival != Arrival::New));
                if hello.epoch == self.welcome.epoch {
                    let caller =
                        self.callers.get(self.symbols.name(self.members[key.place as usize].id), hello.session);
                    self.members[key.place as usize].unanswered = caller.last();
                }
                if from_elsewhere && hello.listens > 0 {
                    self.members[key.place as usize].expected = hello.listens;
                    self.not_ready.push(key);
                }
                self.welcome_back(key, arrival);
                // Of whoever was on this bridge before, this bridge has told the end.
                let fresh = hello.epoch == 0 || hello.epoch == self.welcome.epoch;
                self.announce_join(link, arrival != Arrival::Expected, fresh);
                self.note_arrival(key);
                self.end_grace_if_over();
            }
            Err(error) => self.reject(link, Code::DuplicateNode, error.message()),
        }
        Ok(())
    }

    pub(super) fn welcome(&mut self, link: LinkKey, kept: bool) {
        let Link { out, .. } = &mut self.links[link.0 as usize];
        Welcome { kept, ..self.welcome.clone() }.encode(out.tail(&mut self.spares));
        self.mark_dirty(link);
    }

    fn handle_frame(&mut self, link: LinkKey, member: MemberKey, frame: &Arrived<'_>) -> Result<()> {
        let payload = frame.raw.payload;
        match frame.raw.kind {
            kind::MESSAGE
            | kind::BROADCAST
            | kind::RPC
            | kind::REPLY
            | kind::REFUSE
            | kind::ROSTER
            | kind::CANCEL
            | kind::AWAIT => {
                let (mut head, body) = Head::decode(&frame.raw)?;
                head.flags &= !(flag::BRIDGE | flag::OWN);
                check_routed(&head, body)?;
                // What is said again has lower numbers.
                let last_seq = &mut self.members[member.place as usize].last_seq;
                *last_seq = head.seq.max(*last_seq);
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
            kind::DEFER => self.handle_defer(link, FrameRun::decode(payload)?),
            kind::TAKEN => self.handle_taken(link, FrameRun::decode(payload)?),
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
            kind::REJECT => {
                let (code, _) = decode_reject(payload)?;
                self.handle_reject(link, member, code);
                Ok(())
            }
            kind::OFFER | kind::ACCEPT => self.pass_on(member, frame.raw.kind, payload),
            kind::REPLAY | kind::SKIP => self.handle_about(member, frame.raw.kind, payload),
            kind::WATCH => {
                self.handle_watch(member, Watch::decode(payload)?);
                Ok(())
            }
            kind::UNHEARD => {
                self.handle_unheard(member, &Watch::decode(payload)?);
                Ok(())
            }
            kind::LEAVING => {
                self.begin_to_leave(member);
                Ok(())
            }
            kind::LEAVE => {
                self.remove_member(member, Departure::Left);
                put_bare(kind::LEFT, self.links[link.0 as usize].out.tail(&mut self.spares));
                self.close_when_written(link);
                Ok(())
            }
            other => Err(malformed(format!("a frame of kind {other:#04x} is not a node's to send"))),
        }
    }

    /// What a node says about another.
    fn handle_about(&mut self, member: MemberKey, kind: u8, payload: &[u8]) -> Result<()> {
        let (seq, id) = decode_about(payload)?;
        let symbol = self.symbols.acquire(id);
        match (kind, self.find_member(symbol)) {
            (kind::REPLAY, Some(other)) => self.replay(member, other, seq),
            (kind::SKIP, Some(other)) => self.skip(member, other, seq),
            (kind::REPLAY, None) => self.forget_kept_back(symbol, member),
            (kind::SKIP, None) if self.may_come(symbol) => self.note_kept_back(symbol, member),
            (kind::SKIP, None) => {
                self.note_kept_back(symbol, member);
                let code = Code::NodeLeft;
                self.tell_gone(
                    member,
                    Gone { seq: 0, code, delivered_only: false, session: 0, node: id.to_owned(), missed: Vec::new() },
                );
            }
            _ => {}
        }
        self.symbols.release(symbol);
        Ok(())
    }

    fn listen(&mut self, member: MemberKey, event: &str) -> Result<()> {
        if let Some(left) = self.members[member.place as usize].expected.checked_sub(1) {
            self.members[member.place as usize].expected = left;
            if left == 0 {
                self.not_ready.retain(|&other| other != member);
            }
        }
        let interests = &mut self.members[member.place as usize].interests;
        if interests.len() >= MAX_INTERESTS {
            return Err(malformed(format!("more than {MAX_INTERESTS} events listened for")));
        }
        let symbol = self.symbols.acquire(event);
        if !interests.insert(symbol) {
            self.symbols.release(symbol);
            return Ok(());
        }
        self.interests.listen(member, symbol);
        self.note_arrival(member);
        if PRESENCE_EVENTS.contains(&event) && !self.knew_who_is_there(member, event) {
            self.list_members(member);
            self.list_again(member);
        }
        Ok(())
    }

    /// Whether a node that begins to listen for one event of presence listens for another already.
    fn knew_who_is_there(&self, member: MemberKey, event: &str) -> bool {
        let interests = &self.members[member.place as usize].interests;
        let others = PRESENCE_EVENTS.iter().filter(|&&other| other != event);
        others.filter_map(|other| self.symbols.find(other)).any(|other| interests.contains(&other))
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
    if head.kind == kind::AWAIT {
        if head.is_large() || !head.asks() {
            return Err(malformed("waiting for a node, in chunks or without a correlation"));
        }
        check_id(utf8(body)?)?;
    }
    if head.is_shared() {
        let directed = matches!(head.kind, kind::MESSAGE | kind::REPLY);
        if !directed || head.is_large() || Shared::decode(body)?.session == 0 {
            return Err(malformed("a body in shared memory, of a frame that can have none, or for nobody"));
        }
    }
    if matches!(head.kind, kind::REFUSE | kind::CANCEL) {
        if head.is_large() {
            return Err(malformed("a refusal or a cancellation in chunks"));
        }
        decode_refusal(body)?;
    }
    Ok(())
}
