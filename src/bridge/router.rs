//! The bridge's brain: bytes come in by link, bytes for other links go out. No socket, no clock, no JavaScript.
//!
//! The driver calls [`Router::handle_input`] with what a link brought, writes what [`Router::take_dirty`] names, and
//! polls [`Router::poll_event`] for what concerns the host. Shape after quinn-proto: `handle_*` in, `poll_*` out.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use slab::Slab;

use super::counters::Counters;
use super::interests::{Interests, MAX_INTERESTS};
use super::legacy::LegacyLink;
use super::link::{Body, Link, LinkKey, Peer, Wire};
use super::member::{Departure, Member, MemberKey, NodeInfo};
use super::settling::{Broadcast, InFlight, Settlements, Watched};
use super::symbols::{Symbol, Symbols};
use crate::error::{Code, Error, Result};
use crate::outqueue::Spares;
use crate::wire::control::{
    Gone, Hello, Welcome, charge, decode_event, decode_name, decode_number, put_bare, put_close, put_number, put_reject,
};
use crate::wire::frame::{
    Encoding, Head, PREAMBLE_LEN, check_preamble, encode_preamble, flag, kind, malformed, refusal,
};
use crate::wire::reader::Arrived;

/// Milliseconds a connection may take to say who it is.
const HANDSHAKE_TIMEOUT: u64 = 10_000;
/// Bytes a node may have unsettled before it should pause: enough to keep a link busy, too little to hurt anybody.
pub const WINDOW: u64 = 8 * 1024 * 1024;

/// What the host set.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one message.
    pub max_message: u64,
    /// Bytes that may wait for one peer.
    pub max_pending: usize,
    /// Milliseconds a peer may leave a full queue unread.
    pub stall_timeout: u64,
    /// Milliseconds a node that lost its link keeps its place.
    pub resume_timeout: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_message: 64 << 20, max_pending: 64 << 20, stall_timeout: 10_000, resume_timeout: 5_000 }
    }
}

/// What concerns the process that hosts the bridge.
#[derive(Debug)]
pub enum Event {
    /// Somebody calls a method of the host.
    Rpc(RpcCall),
    /// A node is on the bus.
    Joined(NodeInfo),
    /// A node is no longer on the bus.
    Left(NodeInfo, Departure),
}

/// A call of the host's own process.
#[derive(Debug)]
pub struct RpcCall {
    pub caller: Caller,
    /// The caller's id.
    pub from: Rc<str>,
    pub method: Rc<str>,
    pub encoding: Encoding,
    pub body: Bytes,
}

/// Who waits for an answer of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub(super) member: MemberKey,
    /// 0: it does not wait.
    pub correlation: u32,
}

impl Caller {
    /// As numbers, for a host that speaks another language.
    pub const fn to_parts(self) -> [u32; 3] {
        [self.member.place, self.member.incarnation, self.correlation]
    }

    /// From such numbers.
    pub fn from_parts(parts: &[u32]) -> Option<Self> {
        let &[place, incarnation, correlation] = parts else { return None };
        Some(Self { member: MemberKey { place, incarnation }, correlation })
    }
}

/// The state of one bus.
#[derive(Debug)]
pub struct Router {
    pub(super) links: Slab<Link>,
    pub(super) members: Slab<Member>,
    by_id: FxHashMap<Symbol, MemberKey>,
    pub(super) interests: Interests,
    pub(super) symbols: Symbols,
    pub(super) spares: Spares,
    pub(super) settlements: Settlements,
    pub(super) limits: Limits,
    pub(super) counters: Arc<Counters>,
    welcome: Welcome,
    dirty: Vec<LinkKey>,
    resumed: Vec<LinkKey>,
    /// Links that others wait for.
    full: usize,
    pub(super) events: VecDeque<Event>,
    /// Bytes of calls that the host has not taken. Bounded by `max_pending`.
    pub(super) host_pending: usize,
    incarnations: u32,
}

impl Router {
    /// A bus without nodes. `epoch` tells this bridge from others, `pid` is the host's.
    pub fn new(limits: Limits, epoch: u64, pid: u32, counters: Arc<Counters>) -> Self {
        let Limits { max_message, resume_timeout, .. } = limits;
        Self {
            links: Slab::new(),
            members: Slab::new(),
            by_id: FxHashMap::default(),
            interests: Interests::default(),
            symbols: Symbols::default(),
            spares: Spares::default(),
            settlements: Settlements::default(),
            limits,
            counters,
            welcome: Welcome { epoch, pid, max_message, window: WINDOW, resume_timeout },
            dirty: Vec::new(),
            resumed: Vec::new(),
            full: 0,
            events: VecDeque::new(),
            host_pending: 0,
            incarnations: 0,
        }
    }

    /// A connection was accepted.
    pub fn connect(&mut self, peer: Peer, now: u64) -> LinkKey {
        LinkKey(self.links.insert(Link::new(peer, now)) as u32)
    }

    /// A connection was refused because its peer does not belong here.
    pub fn refuse_stranger(&mut self) {
        self.counters.unauthorized.increment();
    }

    /// A link brought `input`. What is not the protocol ends it, and nobody else.
    pub fn handle_input(&mut self, link: LinkKey, input: Bytes, now: u64) {
        if self.link(link).closing {
            return;
        }
        if let Err(error) = self.read(link, input, now) {
            self.counters.rejected.increment();
            self.reject(link, Code::Protocol, error.message());
        }
        self.tell_settled();
    }

    /// A link is over: the other side closed it, or the driver did.
    pub fn disconnect(&mut self, link: LinkKey, departure: Departure) {
        if let Some(member) = self.link(link).member {
            self.remove_member(member, departure);
        }
        self.release_held(link);
        let Link { mut wire, mut out, held_by, .. } = self.links.remove(link.0 as usize);
        if let Some(holder) = held_by.and_then(|holder| self.links.get_mut(holder.0 as usize)) {
            holder.holding.retain(|&held| held != link);
            self.full -= usize::from(holder.holding.is_empty());
        }
        if let Wire::Native(native) = &mut wire {
            native.release_names(&mut self.symbols);
        }
        out.clear(&mut self.spares);
        self.dirty.retain(|&other| other != link);
        self.resumed.retain(|&other| other != link);
        self.tell_settled();
    }

    /// `count` bytes of the link's queue were written.
    pub fn written(&mut self, link: LinkKey, count: usize, now: u64) {
        let half = self.limits.max_pending / 2;
        let state = &mut self.links[link.0 as usize];
        state.out.advance(count, &mut self.spares);
        state.progress = now;
        if state.out.len() <= half {
            self.release_held(link);
        }
    }

    /// Time has passed. Needed about once a second while [`needs_ticks`](Self::needs_ticks).
    pub fn tick(&mut self, now: u64) {
        for key in 0..self.links.capacity() {
            let Some(link) = self.links.get(key) else { continue };
            let (waited, key) = (now.saturating_sub(link.progress), LinkKey(key as u32));
            if link.closing {
                continue;
            }
            if link.member.is_none() && waited >= HANDSHAKE_TIMEOUT {
                self.counters.rejected.increment();
                self.reject(key, Code::Protocol, "it did not say who it is in time");
            } else if !link.holding.is_empty() && waited >= self.limits.stall_timeout {
                self.cut(key);
            }
        }
        self.tell_settled();
    }

    /// Whether anything depends on time.
    pub fn needs_ticks(&self) -> bool {
        self.full > 0 || self.links.len() > self.members.len()
    }

    /// Links that have something to write or are to be closed, each once.
    pub fn take_dirty(&mut self, into: &mut Vec<LinkKey>) {
        into.append(&mut self.dirty);
        for &key in into.iter() {
            self.links[key.0 as usize].dirty = false;
        }
    }

    /// Links that may be read again.
    pub fn take_resumed(&mut self, into: &mut Vec<LinkKey>) {
        into.append(&mut self.resumed);
    }

    /// Whether the link's receivers are full, so that it must not be read.
    pub fn is_held(&self, link: LinkKey) -> bool {
        self.links[link.0 as usize].held_by.is_some()
    }

    /// The link.
    pub fn link(&mut self, link: LinkKey) -> &mut Link {
        &mut self.links[link.0 as usize]
    }

    /// What the host has to be told next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The host has taken a call of so many bytes.
    pub fn host_took(&mut self, bytes: usize) {
        self.host_pending = self.host_pending.saturating_sub(bytes);
    }

    /// The host answers a call; an answer to somebody who left is dropped.
    pub fn answer(&mut self, caller: Caller, encoding: Encoding, body: Bytes) {
        if self.is_member(caller.member) && caller.correlation != 0 {
            self.push_from_bridge(caller.member, kind::REPLY, caller.correlation, None, encoding, body);
        }
    }

    /// The host has no such method, or no room for the call.
    pub fn refuse_call(&mut self, caller: Caller, method: &str, code: Code, text: &str) {
        if self.is_member(caller.member) {
            let method = self.symbols.acquire(method);
            self.refuse(caller.member, (None, Some(method)), caller.correlation, code, text);
            self.symbols.release(method);
        }
    }

    /// The bus ends: every node gets `body`, then its link is closed.
    pub fn close(&mut self, encoding: Encoding, body: &[u8]) {
        for key in 0..self.links.capacity() {
            let Some(link) = self.links.get_mut(key) else { continue };
            match &mut link.wire {
                Wire::Native(_) if link.member.is_some() => put_close(encoding, body, link.out.tail(&mut self.spares)),
                Wire::Legacy(legacy) => legacy.push_close(encoding, body, link.out.tail(&mut self.spares)),
                _ => {}
            }
            self.close_when_written(LinkKey(key as u32));
        }
    }

    /// This bridge ends, the bus does not: links are closed when what they wait for is written.
    pub fn hand_over(&mut self) {
        for key in 0..self.links.capacity() {
            if self.links.contains(key) {
                self.close_when_written(LinkKey(key as u32));
            }
        }
    }

    // ---- input ------------------------------------------------------------------------------------------------

    fn read(&mut self, link: LinkKey, input: Bytes, now: u64) -> Result<()> {
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
            state.wire = Wire::Legacy(Box::default());
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

    fn handle_frames(&mut self, link: LinkKey, mut frames: crate::wire::reader::Frames, now: u64) -> Result<()> {
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
        match self.add_member(link, &hello.id, Some(hello.pid), now) {
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
                self.members[member.place as usize].last_seq = head.seq;
                let body = Body::new(body, |body| frame.share(body));
                self.route(link, member, head, &body)
            }
            kind::CHUNK => self.relay_chunk(link, member, frame),
            kind::ACK => {
                let received = decode_number(payload)?;
                let Wire::Native(native) = &mut self.links[link.0 as usize].wire else { return Ok(()) };
                native.acknowledge(received, &mut self.settlements)
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

    // ---- routing ----------------------------------------------------------------------------------------------

    fn route(&mut self, link: LinkKey, sender: MemberKey, head: Head, body: &Body<'_>) -> Result<()> {
        let names = &self.links[link.0 as usize].native()?.names;
        let event = if head.event == 0 { None } else { Some(*names.get(head.event)?) };
        let peer = if head.peer == 0 { None } else { Some(*names.get(head.peer)?) };
        if head.is_large() {
            return self.open_relay(link, sender, head, (peer, event), body.bytes());
        }
        match (head.kind, peer) {
            (kind::BROADCAST, _) => self.broadcast(sender, head, event, body),
            (kind::RPC, _) => {
                self.settlements.message(watched(sender, &head, body.bytes().len() as u64));
                self.call_host(sender, head, event, Bytes::copy_from_slice(body.bytes()))
            }
            (kind::ROSTER, _) => {
                self.settlements.message(watched(sender, &head, body.bytes().len() as u64));
                self.send_roster(sender, &head);
            }
            (_, None) => return Err(malformed("a directed frame without a receiver")),
            (_, Some(peer)) => self.forward(sender, head, (peer, event), body),
        }
        Ok(())
    }

    /// A directed message, reply or refusal.
    pub(super) fn forward(
        &mut self,
        sender: MemberKey,
        head: Head,
        (peer, event): (Symbol, Option<Symbol>),
        body: &Body<'_>,
    ) {
        let watched = watched(sender, &head, body.bytes().len() as u64);
        match self.by_id.get(&peer).copied() {
            Some(receiver) => self.deliver(sender, receiver, head, event, body, InFlight::Message(watched)),
            None => {
                self.settlements.message(watched);
                self.unknown_node(sender, &head, (peer, event));
            }
        }
    }

    /// Tells the sender of a message that its receiver is not there; who asked and left needs no reply.
    pub(super) fn unknown_node(&mut self, sender: MemberKey, head: &Head, (peer, event): (Symbol, Option<Symbol>)) {
        if head.kind != kind::MESSAGE {
            self.counters.stale_replies.increment();
            return;
        }
        self.counters.undeliverable.increment();
        let text = format!("unknown-node: nobody on the bus has the id '{}'", self.symbols.name(peer));
        self.refuse(sender, (Some(peer), event), head.correlation, Code::UnknownNode, &text);
    }

    pub(super) fn broadcast(&mut self, sender: MemberKey, head: Head, event: Option<Symbol>, body: &Body<'_>) {
        let receivers: Vec<MemberKey> = self.interests.listeners(event).filter(|&other| other != sender).collect();
        let watched = watched(sender, &head, body.bytes().len() as u64);
        if receivers.is_empty() {
            return self.settlements.message(watched);
        }
        let share = Rc::new(Broadcast { watched, receivers_left: receivers.len().into() });
        for receiver in receivers {
            self.deliver(sender, receiver, head, event, body, InFlight::Share(share.clone()));
        }
    }

    fn deliver(
        &mut self,
        sender: MemberKey,
        receiver: MemberKey,
        head: Head,
        event: Option<Symbol>,
        body: &Body<'_>,
        in_flight: InFlight,
    ) {
        self.counters.delivered.increment();
        let from = self.note_asker(sender, receiver, &head);
        let link = self.members[receiver.place as usize].link;
        match self.links[link.0 as usize].wire {
            Wire::Native(_) => self.links[link.0 as usize].push_message(
                head,
                (Some(from), event),
                body,
                in_flight,
                (&mut self.symbols, &mut self.spares),
            ),
            _ => {
                self.settlements.frame(in_flight);
                self.deliver_legacy(sender, receiver, head, event, body.bytes());
            }
        }
        self.mark_dirty(link);
        self.hold_if_full(sender, link);
    }

    /// Remembers that `sender` wants to know when `receiver` goes; returns the sender's id.
    pub(super) fn note_asker(&mut self, sender: MemberKey, receiver: MemberKey, head: &Head) -> Symbol {
        if head.kind == kind::MESSAGE && head.asks() {
            self.members[receiver.place as usize].askers.insert(sender);
        }
        self.members[sender.place as usize].id
    }

    pub(super) fn call_host(&mut self, sender: MemberKey, head: Head, method: Option<Symbol>, body: Bytes) {
        let Some(symbol) = method else { return };
        let method = self.symbols.name(symbol).clone();
        let correlation = if head.asks() { head.correlation } else { 0 };
        let caller = Caller { member: sender, correlation };
        if self.host_pending + body.len() > self.limits.max_pending {
            let text = format!("the bridge's process has not taken {} bytes of calls yet", self.host_pending);
            self.counters.undeliverable.increment();
            return self.refuse_call(caller, &method, Code::QueueFull, &text);
        }
        self.host_pending += body.len();
        let from = self.symbols.name(self.members[sender.place as usize].id).clone();
        self.events.push_back(Event::Rpc(RpcCall { caller, from, method, encoding: head.encoding(), body }));
    }

    fn send_roster(&mut self, asker: MemberKey, head: &Head) {
        let infos: Vec<String> = self.members.iter().map(|(_, member)| member.info.to_json()).collect();
        let body = format!("[null,[{}]]", infos.join(",")).into();
        self.push_from_bridge(asker, kind::REPLY, head.correlation, None, Encoding::Json, body);
    }

    /// A refusal in the bridge's own name.
    pub(super) fn refuse(
        &mut self,
        to: MemberKey,
        names: (Option<Symbol>, Option<Symbol>),
        correlation: u32,
        code: Code,
        text: &str,
    ) {
        let link = self.members[to.place as usize].link;
        let state = &mut self.links[link.0 as usize];
        if let Wire::Legacy(legacy) = &mut state.wire {
            legacy.push_refusal(correlation, text, state.out.tail(&mut self.spares));
        }
        let head = Head { kind: kind::REFUSE, flags: 0, peer: 0, event: 0, correlation, seq: 0 };
        let body = refusal(code, text);
        let stores = (&mut self.symbols, &mut self.spares);
        state.push_routed(head, names, &Body::small(&body), InFlight::Unwatched, stores);
        self.mark_dirty(link);
    }

    /// A message of the bridge's own, cut into chunks if it is large.
    fn push_from_bridge(
        &mut self,
        to: MemberKey,
        kind: u8,
        correlation: u32,
        event: Option<Symbol>,
        encoding: Encoding,
        body: Bytes,
    ) {
        let link = self.members[to.place as usize].link;
        let flags = (encoding as u8) << flag::ENCODING_SHIFT;
        let head = Head { kind, flags, peer: 0, event: 0, correlation, seq: 0 };
        let state = &mut self.links[link.0 as usize];
        let (spares, symbols) = (&mut self.spares, &mut self.symbols);
        match &mut state.wire {
            Wire::Native(_) => {
                let body = Body::new(&body, |bytes| body.slice_ref(bytes));
                state.push_message(head, (None, event), &body, InFlight::Unwatched, (symbols, spares));
            }
            Wire::Legacy(legacy) => {
                let name = event.map(|event| symbols.name(event).as_ref());
                legacy.push_from_bridge(&head, name, &body, state.out.tail(spares));
            }
            Wire::Undecided(_) => {}
        }
        self.mark_dirty(link);
    }

    // ---- members ----------------------------------------------------------------------------------------------

    /// Puts a node on the bus.
    ///
    /// # Errors
    /// `ERR_DUPLICATE_NODE`.
    pub(super) fn add_member(&mut self, link: LinkKey, id: &str, pid: Option<u32>, now: u64) -> Result<MemberKey> {
        if self.symbols.find(id).is_some_and(|id| self.by_id.contains_key(&id)) {
            let text = format!("duplicate-node: the id '{id}' is taken");
            return Err(Error::new(Code::DuplicateNode, text));
        }
        self.incarnations = self.incarnations.wrapping_add(1);
        let place = self.members.vacant_key() as u32;
        let key = MemberKey { place, incarnation: self.incarnations };
        let symbol = self.symbols.acquire(id);
        let state = &mut self.links[link.0 as usize];
        state.member = Some(key);
        state.progress = now;
        let Peer { uid, address, since, .. } = state.peer.clone();
        let info = NodeInfo { id: id.to_owned(), pid: state.peer.pid.or(pid), uid, address, since };
        let (interests, askers) = Default::default();
        self.members.insert(Member { key, id: symbol, link, info, interests, askers, last_seq: 0 });
        self.by_id.insert(symbol, key);
        Ok(key)
    }

    /// Tells everyone that the link's node is there.
    pub(super) fn announce_join(&mut self, link: LinkKey) {
        let Some(key) = self.link(link).member else { return };
        let info = self.members[key.place as usize].info.clone();
        self.announce("node:join", format!("[{}]", info.to_json()), key);
        self.events.push_back(Event::Joined(info));
    }

    pub(super) fn remove_member(&mut self, key: MemberKey, departure: Departure) {
        let member = self.members.remove(key.place as usize);
        self.by_id.remove(&member.id);
        for event in member.interests {
            self.interests.unlisten(key, event, &mut self.symbols);
        }
        self.interests.forget(key);
        self.links[member.link.0 as usize].member = None;
        self.abandon_link(member.link);
        for asker in member.askers {
            self.tell_gone(asker, &member.info.id);
        }
        self.symbols.release(member.id);
        let reason = departure.as_str();
        self.announce("node:leave", format!("[{},\"{reason}\"]", member.info.to_json()), key);
        self.events.push_back(Event::Left(member.info, departure));
    }

    /// What the link's node will never acknowledge is settled; what it had begun to say is taken back.
    fn abandon_link(&mut self, link: LinkKey) {
        let Wire::Native(native) = &mut self.links[link.0 as usize].wire else { return };
        for frame in native.abandon() {
            self.settlements.frame(frame);
        }
        for (_, relay) in std::mem::take(&mut native.relays) {
            self.abort_relay(relay);
        }
    }

    fn tell_gone(&mut self, asker: MemberKey, id: &str) {
        if !self.is_member(asker) {
            return;
        }
        let Member { link, last_seq, .. } = self.members[asker.place as usize];
        let Link { wire, out, .. } = &mut self.links[link.0 as usize];
        let tail = out.tail(&mut self.spares);
        match wire {
            Wire::Legacy(legacy) => legacy.push_gone(id, tail),
            _ => Gone { seq: last_seq, node: id.to_owned() }.encode(tail),
        }
        self.mark_dirty(link);
    }

    /// An event of the bridge's own for those who listen, the one it is about excepted.
    fn announce(&mut self, event: &str, body: String, about: MemberKey) {
        let Some(symbol) = self.symbols.find(event) else { return };
        let listeners: Vec<MemberKey> = self.interests.listeners(Some(symbol)).collect();
        let body = Bytes::from(body);
        for listener in listeners {
            let native = self
                .members
                .get(listener.place as usize)
                .is_some_and(|member| matches!(self.links[member.link.0 as usize].wire, Wire::Native(_)));
            if listener != about && native {
                let body = body.clone();
                self.push_from_bridge(listener, kind::BROADCAST, 0, Some(symbol), Encoding::Json, body);
            }
        }
    }

    pub(super) fn is_member(&self, key: MemberKey) -> bool {
        self.members.get(key.place as usize).is_some_and(|member| member.key == key)
    }

    /// Who has this id.
    pub(super) fn find_member(&self, id: Symbol) -> Option<MemberKey> {
        self.by_id.get(&id).copied()
    }

    // ---- links ------------------------------------------------------------------------------------------------

    /// Tells the other side why, and closes.
    fn reject(&mut self, link: LinkKey, code: Code, text: &str) {
        let state = &mut self.links[link.0 as usize];
        let tail = state.out.tail(&mut self.spares);
        match state.wire {
            Wire::Undecided(_) => {
                encode_preamble(tail);
                put_reject(code, text, tail);
            }
            Wire::Native(_) => put_reject(code, text, tail),
            Wire::Legacy(_) => {}
        }
        if let Some(member) = state.member {
            self.remove_member(member, Departure::Died);
        }
        self.close_when_written(link);
    }

    fn cut(&mut self, link: LinkKey) {
        self.counters.cut.increment();
        if let Some(member) = self.link(link).member {
            self.remove_member(member, Departure::Cut);
        }
        let state = &mut self.links[link.0 as usize];
        state.out.clear(&mut self.spares);
        if matches!(state.wire, Wire::Native(_)) {
            put_reject(
                Code::SlowNode,
                "cut off: it did not read while its queue was full",
                state.out.tail(&mut self.spares),
            );
        }
        self.release_held(link);
        self.close_when_written(link);
    }

    pub(super) fn close_when_written(&mut self, link: LinkKey) {
        self.link(link).closing = true;
        self.mark_dirty(link);
    }

    pub(super) fn mark_dirty(&mut self, link: LinkKey) {
        let state = &mut self.links[link.0 as usize];
        if !state.dirty {
            state.dirty = true;
            self.dirty.push(link);
        }
    }

    /// Stops reading the sender while the receiver's queue is full.
    pub(super) fn hold_if_full(&mut self, sender: MemberKey, receiver: LinkKey) {
        if self.links[receiver.0 as usize].out.len() <= self.limits.max_pending {
            return;
        }
        let sender = self.members[sender.place as usize].link;
        if self.link(sender).held_by.is_none() {
            self.link(sender).held_by = Some(receiver);
            let receiver = &mut self.links[receiver.0 as usize];
            self.full += usize::from(receiver.holding.is_empty());
            receiver.holding.push(sender);
        }
    }

    fn release_held(&mut self, link: LinkKey) {
        let held = std::mem::take(&mut self.links[link.0 as usize].holding);
        self.full -= usize::from(!held.is_empty());
        for sender in held {
            self.link(sender).held_by = None;
            self.resumed.push(sender);
        }
    }

    fn tell_settled(&mut self) {
        if self.settlements.is_empty() {
            return;
        }
        for (sender, settled) in self.settlements.take() {
            let Some(member) = self.members.get(sender.place as usize).filter(|member| member.key == sender) else {
                continue;
            };
            let link = member.link;
            let state = &mut self.links[link.0 as usize];
            if matches!(state.wire, Wire::Native(_)) {
                let settled = crate::wire::control::Settled { window: WINDOW, ..settled };
                settled.encode(state.out.tail(&mut self.spares));
                self.mark_dirty(link);
            }
        }
    }
}

/// What the sender of a message counts until it is settled.
pub(super) fn watched(sender: MemberKey, head: &Head, body_len: u64) -> Watched {
    Watched { sender, seq: head.seq, charge: charge(body_len) }
}
