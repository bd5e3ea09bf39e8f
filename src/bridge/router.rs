//! The bridge's brain: bytes come in by link, bytes for other links go out. No socket, no clock, no JavaScript.
//!
//! The driver calls [`Router::handle_input`] with what a link brought, writes what [`Router::take_dirty`] names, and
//! polls [`Router::poll_event`] for what concerns the host. Shape after quinn-proto: `handle_*` in, `poll_*` out.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rustc_hash::FxHashMap;
use slab::Slab;

use super::arrivals::Arrivals;
use super::counters::Counters;
use super::grace::{Absent, Grace};
use super::host::Event;
use super::interests::Interests;
use super::link::{Link, LinkKey, Peer, Wire};
use super::member::{Departure, Member, MemberKey};
use super::registry::Change;
use super::runs::Run;
use super::settling::Settlements;
use super::symbols::{Symbol, Symbols};
use crate::error::Code;
use crate::outqueue::Spares;
use crate::senders::Senders;
use crate::wire::control::{Welcome, put_close};
use crate::wire::frame::Encoding;

/// Milliseconds a connection may take to say who it is.
const HANDSHAKE_TIMEOUT: u64 = 10_000;
/// Milliseconds that a node that was cut may take to wake up and read why. It costs a descriptor and a few bytes.
const CUT_PATIENCE: u64 = 300_000;
/// Bytes a node may have unsettled before it should pause: enough to keep a link busy, too little to hurt anybody.
pub const WINDOW: u64 = 2 * 1024 * 1024;

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

/// The state of one bus.
#[derive(Debug)]
pub struct Router {
    pub(super) links: Slab<Link>,
    pub(super) members: Slab<Member>,
    pub(super) by_id: FxHashMap<Symbol, MemberKey>,
    /// The same in order, for those who ask who is there.
    pub(super) by_name: BTreeMap<Rc<str>, MemberKey>,
    pub(super) interests: Interests,
    pub(super) symbols: Symbols,
    pub(super) spares: Spares,
    pub(super) settlements: Settlements,
    /// Empty but while a read is looked at; kept for its memory.
    pub(super) run: Run,
    pub(super) limits: Limits,
    pub(super) counters: Arc<Counters>,
    pub(super) welcome: Welcome,
    pub(super) dirty: Vec<LinkKey>,
    pub(super) resumed: Vec<LinkKey>,
    /// Links that others wait for.
    pub(super) full: usize,
    pub(super) events: VecDeque<Event>,
    /// What the next bridge is to know, and is not noted yet.
    pub(super) changes: Vec<Change>,
    /// Bytes of calls that the host has not taken. Bounded by `max_pending`.
    pub(super) host_pending: usize,
    pub(super) incarnations: u32,
    /// Links there ever were.
    serials: u64,
    /// Messages that the bridge itself ever said.
    pub(super) own_seq: u64,
    /// Nodes whose place is kept.
    pub(super) away: usize,
    /// Receivers that have no room, and to whom something is owed.
    pub(super) owed_to: Vec<MemberKey>,
    /// Nodes of another bridge that have not said yet what they listen for.
    pub(super) not_ready: Vec<MemberKey>,
    /// Whoever is awaited, or has to find what was kept back for him.
    pub(super) absent: FxHashMap<Symbol, Absent>,
    /// Whether the bus ends, so that nobody comes back.
    pub(super) ends: bool,
    /// While nodes of another bridge are expected.
    pub(super) grace: Option<Box<Grace>>,
    pub(super) had_grace: bool,
    /// Those who called the host.
    pub(super) callers: Senders,
    /// Those who wait for nodes that are not there, or do not listen yet.
    pub(super) arrivals: Arrivals,
    /// Where the questions of the latest link of the original's wire begin.
    pub(super) legacy_links: u32,
    /// The time at the driver's last call.
    pub(super) now: u64,
}

impl Router {
    /// A bus without nodes. `epoch` tells this bridge from others, `host` is its process: number and pid
    /// namespace.
    pub fn new(limits: Limits, epoch: u64, (pid, namespace): (u32, u32), counters: Arc<Counters>) -> Self {
        let Limits { max_message, resume_timeout, .. } = limits;
        // A receiver's queue has room for what a few senders may have under way to it.
        let window = WINDOW.min(limits.max_pending as u64 / 2);
        Self {
            links: Slab::new(),
            members: Slab::new(),
            by_id: FxHashMap::default(),
            by_name: BTreeMap::new(),
            interests: Interests::default(),
            symbols: Symbols::default(),
            spares: Spares::default(),
            settlements: Settlements::default(),
            run: Run::default(),
            limits,
            counters,
            welcome: Welcome { epoch, pid, max_message, window, resume_timeout, kept: true, namespace },
            dirty: Vec::new(),
            resumed: Vec::new(),
            full: 0,
            events: VecDeque::new(),
            changes: Vec::new(),
            host_pending: 0,
            incarnations: 0,
            serials: 0,
            own_seq: 0,
            away: 0,
            owed_to: Vec::new(),
            not_ready: Vec::new(),
            absent: FxHashMap::default(),
            ends: false,
            grace: None,
            had_grace: false,
            callers: Senders::default(),
            arrivals: Arrivals::default(),
            legacy_links: epoch as u32,
            now: 0,
        }
    }

    /// A connection was accepted.
    pub fn connect(&mut self, peer: Peer, now: u64) -> LinkKey {
        self.now = now;
        self.serials += 1;
        LinkKey(self.links.insert(Link::new(peer, self.serials, now)) as u32)
    }

    /// The link's peer does not belong here: it is told so, and nothing it says is heard.
    pub fn refuse_stranger(&mut self, link: LinkKey) {
        self.counters.unauthorized.increment();
        self.reject(link, Code::Unauthorized, "this bridge serves its own user only");
    }

    /// A link brought `input`. What is not the protocol ends it, and nobody else.
    pub fn handle_input(&mut self, link: LinkKey, input: Bytes, now: u64) {
        self.now = now;
        if self.link(link).closing {
            return;
        }
        let waited = self.link(link).out.len();
        if let Err(error) = self.read(link, input, now) {
            self.counters.rejected.increment();
            self.reject(link, Code::Protocol, error.message());
        }
        if self.link(link).out.len() > waited {
            self.hold_itself_if_full(link);
        }
        self.tell_settled();
        self.ask_debtors();
    }

    /// A link is over: the other side closed it, or the driver did. Returns its node, if its place is kept.
    pub fn disconnect(&mut self, link: LinkKey, departure: Departure) -> Option<MemberKey> {
        let kept = self.link(link).member.filter(|&member| self.let_go(member, departure));
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
        kept
    }

    /// `count` bytes of the link's queue were written.
    pub fn written(&mut self, link: LinkKey, count: usize, now: u64) {
        self.now = now;
        let state = &mut self.links[link.0 as usize];
        state.out.advance(count, &mut self.spares);
        if let Wire::Legacy(legacy) = &mut state.wire {
            legacy.wrote(count, &mut self.settlements);
        }
        self.let_go_if_room(link);
        self.tell_settled();
        self.ask_debtors();
    }

    /// Time has passed. Needed about once a second while [`needs_ticks`](Self::needs_ticks).
    pub fn tick(&mut self, now: u64) {
        self.now = now;
        for key in 0..self.links.capacity() {
            let Some(link) = self.links.get(key) else { continue };
            let (waited, key) = (now.saturating_sub(link.progress), LinkKey(key as u32));
            if link.closing {
                if waited >= if link.cut { CUT_PATIENCE } else { self.limits.stall_timeout } {
                    self.forget_last_words(key);
                }
            } else if link.member.is_none() && waited >= HANDSHAKE_TIMEOUT {
                self.counters.rejected.increment();
                self.reject(key, Code::Protocol, "it did not say who it is in time");
            } else if waited >= self.limits.stall_timeout && self.is_waited_for(key) {
                self.cut(key);
            }
        }
        self.expire_places();
        self.end_grace_if_over();
        self.tell_settled();
        self.ask_debtors();
    }

    /// Whether anything depends on time.
    pub fn needs_ticks(&self) -> bool {
        let unnamed = self.links.len() > self.members.len() - self.away;
        self.full > 0 || unnamed || self.away > 0 || self.grace.is_some() || !self.owed_to.is_empty()
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

    /// The process of the link's node, if it is on the bus and told.
    pub fn pid_of(&self, link: LinkKey) -> Option<u32> {
        let member = self.links[link.0 as usize].member?;
        self.members[member.place as usize].info.pid
    }

    /// What the host has to be told next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The bus ends: every node gets `body`, then its link is closed.
    pub fn close(&mut self, encoding: Encoding, body: &[u8]) {
        self.ends = true;
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
}
