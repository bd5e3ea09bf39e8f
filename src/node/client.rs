//! The node's brain: what it sends and waits for, what it is told. No socket, no clock, no JavaScript.
//!
//! The driver feeds [`Client::handle_frame`], writes what [`Client::transmit`] holds, and polls
//! [`Client::poll_event`]. Events lead out of the client, so that a listener may call back into it.

use std::collections::{BTreeSet, VecDeque};
use std::hash::RandomState;
use std::io::IoSlice;
use std::rc::Rc;

use super::breaker::Breaker;
use super::event::{Event, Name};
use super::inbox::Inbox;
use super::lane::Lane;
use super::outbox::{Destination, Destinations, Outbox, Route};
use super::outgoing::Outgoing;
use super::requests::Requests;
use super::segments::Segments;
use super::untaken::{Released, Untaken};
use crate::error::{Code, Error};
use crate::outqueue::{MAX_SLICES, OutQueue, Spares};
use crate::pool::Pool;
use crate::senders::{Sender, Senders};
use crate::wire::control::{put_ack, put_bare, put_number, put_reject};
use crate::wire::frame::{encode_chunk_head, kind};
use crate::wire::names::{IncomingNames, OutgoingNames};
use crate::wire::reader::FrameReader;

/// Chunks, and what is said again, are added to the queue only below this: a small message never waits behind more.
const CHUNKS_BELOW: usize = 256 * 1024;

/// Frames after which an acknowledgement no longer waits for replies to share its write.
const URGENT: u64 = 512;
/// Bytes of bodies in shared memory after which it does not wait either: their sender fills the next while this node
/// looks at the last.
const URGENT_BYTES: u64 = 512 * 1024;
/// Bytes of large bodies that a node keeps for the next ones when JavaScript is done with them.
const KEPT_BODIES: usize = 16 * 1024 * 1024;

/// Bytes of chunks that a node keeps for the next large messages it sends.
const KEPT_CHUNKS: usize = 8 * 1024 * 1024;

/// What a node is set up with.
#[derive(Clone, Debug)]
pub struct Config {
    pub id: String,
    /// Random, for the node's life; others may know it.
    pub session: u64,
    /// Random, for the node's life; only bridges are told.
    pub secret: u64,
    pub pid: u32,
    /// The pid namespace in which that is its number; 0: unknown.
    pub namespace: u32,
    /// Bytes of one message.
    pub max_message: u64,
    /// Bytes that may wait for the bridge or its receivers.
    pub max_pending: u64,
    /// Whether the id is taken over if another process of the same user has it.
    pub replaces: bool,
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

/// One node. What it keeps is bounded by `max_pending`, by weight.
#[derive(Debug)]
pub struct Client {
    pub(super) config: Config,
    pub(super) phase: Phase,
    pub(super) max_message: u64,
    /// Bytes that may be under way to one destination.
    pub(super) window: u64,
    /// Goes before all else, which waits for the welcome.
    pub(super) greeting: OutQueue,
    pub(super) spares: Spares,
    pub(super) segments: Segments,
    pub(super) outbox: Outbox,
    pub(super) destinations: Destinations,
    /// Whom broadcasts go to, and the bridge: neither is ever kept waiting for room.
    pub(super) everyone: Rc<Destination>,
    pub(super) bridge: Rc<Destination>,
    /// The next message to be said on this link, while there are some that were not.
    pub(super) replay: Option<u64>,
    /// The highest number that was ever said.
    pub(super) said: u64,
    /// The highest number that was said on an earlier link.
    pub(super) said_before: u64,
    /// Destinations that lack what was kept back from them, or lost.
    pub(super) catching_up: VecDeque<Rc<Destination>>,
    /// What is said with care, because a bridge rejected it.
    pub(super) breaker: Breaker,
    pub(super) reader: FrameReader,
    pub(super) preamble: Option<Vec<u8>>,
    pub(super) told: OutgoingNames<Rc<str>, RandomState>,
    pub(super) generation: u32,
    pub(super) names: IncomingNames<Name>,
    pub(super) senders: Senders,
    /// The bridge as somebody who says things. Its session is its epoch; 0: there was none yet.
    pub(super) own: Rc<Sender>,
    pub(super) targets: Vec<Rc<Route>>,
    pub(super) interests: BTreeSet<String>,
    pub(super) requests: Requests,
    pub(super) outgoing: Outgoing,
    pub(super) inbox: Inbox,
    pub(super) pool: Pool,
    /// Memory that is shared with other nodes, where there is any.
    pub(super) lane: Option<Box<dyn Lane>>,
    /// Broadcasts that are not settled, and of which it was told that a session of some node missed them.
    pub(super) missed: BTreeSet<(u64, u64)>,
    pub(super) unsettled: u64,
    /// Destinations to which too much is not settled.
    pub(super) full: usize,
    pub(super) need_drain: bool,
    pub(super) received: u64,
    pub(super) acknowledged: u64,
    /// Bytes of others' memory that were read and not acknowledged.
    pub(super) fetched: u64,
    /// What came and is not taken yet.
    pub(super) untaken: Untaken,
    /// Of the deliveries among `events`, in their order.
    pub(super) released: VecDeque<Released>,
    /// Whether the bridge was told that something on this link is malformed: nothing more is said on it.
    pub(super) rejects: bool,
    pub(super) leaving: bool,
    /// Whether nothing is kept back.
    pub(super) hurries: bool,
    pub(super) leave_sent: bool,
    /// Whether the bridge has answered that.
    pub(super) left: bool,
    /// Whether the bridge knows, on this link, that LEAVE waits for broadcasts only.
    pub(super) leave_announced: bool,
    /// Whether LEAVE waits until all is settled.
    pub(super) patient: bool,
    pub(super) events: VecDeque<Event<'static>>,
    /// Client time when it was last told.
    pub(super) now: u64,
}

impl Client {
    /// A node without a link. What is sent before it has one waits.
    pub fn new(config: Config) -> Self {
        let nobody: Rc<str> = "".into();
        Self {
            max_message: config.max_message,
            window: config.max_pending / 2,
            requests: Requests::new(config.session),
            inbox: Inbox::new(Pool::new(KEPT_BODIES), usize::try_from(config.max_pending).unwrap_or(usize::MAX)),
            config,
            phase: Phase::Offline,
            greeting: OutQueue::default(),
            spares: Spares::default(),
            segments: Segments::default(),
            outbox: Outbox::default(),
            destinations: Destinations::default(),
            everyone: Rc::new(Destination::new(nobody.clone())),
            bridge: Rc::new(Destination::new(nobody.clone())),
            replay: None,
            said: 0,
            said_before: 0,
            catching_up: VecDeque::new(),
            breaker: Breaker::default(),
            reader: FrameReader::default(),
            preamble: None,
            told: OutgoingNames::default(),
            generation: 1,
            names: IncomingNames::default(),
            senders: Senders::default(),
            own: Sender::new(nobody, 0),
            targets: Vec::new(),
            interests: BTreeSet::new(),
            outgoing: Outgoing::default(),
            pool: Pool::new(KEPT_CHUNKS),
            lane: None,
            missed: BTreeSet::new(),
            unsettled: 0,
            full: 0,
            need_drain: false,
            received: 0,
            acknowledged: 0,
            fetched: 0,
            untaken: Untaken::default(),
            released: VecDeque::new(),
            rejects: false,
            leaving: false,
            hurries: false,
            leave_sent: false,
            left: false,
            leave_announced: false,
            patient: true,
            events: VecDeque::new(),
            now: 0,
        }
    }

    /// Large bodies go through shared memory from now on, where their receivers can read it. To be told before there
    /// is a link.
    pub fn use_lane(&mut self, lane: Box<dyn Lane>) {
        self.lane = Some(lane);
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

    /// Bytes of one message that this node and its bridge take.
    pub fn max_message(&self) -> u64 {
        self.max_message
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; client time.
    pub fn next_timeout(&self) -> Option<u64> {
        self.requests.next_deadline()
    }

    /// What happened besides what [`handle_frame`](Self::handle_frame) returned.
    pub fn poll_event(&mut self) -> Option<Event<'static>> {
        let event = self.events.pop_front()?;
        if matches!(event, Event::Delivery(_)) {
            self.hand_out_released();
        }
        Some(event)
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    // ---- the link ---------------------------------------------------------------------------------------------

    /// The end of this node, whatever led to it: it says goodbye if there is a bridge to say it to, its requests fail,
    /// and whoever sent something that may not have arrived is told. What waits is not said any more; the rest of a frame
    /// that was begun, and the goodbye, are [still to be written](Self::transmit).
    pub fn close(&mut self, text: &str) {
        if self.phase == Phase::Closed {
            return;
        }
        self.say_goodbye();
        self.phase = Phase::Closed;
        self.fail_all(Code::Closed, text);
        // Nothing is freed in it: what the bridge has may still be read.
        self.lane = None;
        // Nobody is to wait for what will not come.
        self.need_drain = false;
        self.untaken = Untaken::default();
        let lost: Vec<u64> = self.outbox.unsettled().map(|(seq, _)| seq).collect();
        for seq in lost {
            self.lose(seq, Code::Closed);
        }
    }

    fn say_goodbye(&mut self) {
        match self.phase {
            Phase::Online | Phase::Leaving if !self.leave_sent => {
                let all_written = self.segments.len() == 0;
                self.segments.cut();
                if all_written {
                    // What was taken is, whatever becomes of the rest. Behind words that are cut it could not be understood.
                    self.acknowledge();
                }
                put_bare(kind::LEAVE, self.segments.tail().1);
            }
            // The bridge may have told others of this node already.
            Phase::Greeting => put_bare(kind::LEAVE, self.greeting.tail(&mut self.spares)),
            _ => return,
        }
        self.leave_sent = true;
    }

    /// Everything sent before is settled first, then LEAVE goes out; [`Event::Left`] follows.
    pub fn leave(&mut self) {
        self.leaving = true;
        if self.phase == Phase::Online {
            self.phase = Phase::Leaving;
        }
    }

    /// Leaves without waiting any longer: what the bridge has it still delivers.
    pub fn insist_on_leaving(&mut self) {
        self.patient = false;
    }

    /// The process is about to end: nothing is kept back any more, whoever has no room for it.
    pub fn hurry(&mut self) {
        self.hurries = true;
        self.breaker.trust();
        let kept: Vec<_> = self.destinations.iter().filter(|to| to.kept_from.get().is_some()).cloned().collect();
        kept.iter().for_each(|to| self.catch_up(to));
    }

    /// Whether the bridge has still to hear, or to answer, that this node leaves.
    pub fn says_goodbye(&self) -> bool {
        self.leave_sent && !self.left
    }

    fn leave_due(&self) -> bool {
        let said = self.replay.is_none() && self.catching_up.is_empty() && self.outgoing.is_empty();
        let settled = self.unsettled == 0 || (!self.patient && said);
        self.phase == Phase::Leaving && !self.leave_sent && settled
    }

    /// Something that came on this link is malformed, behind `received` frames that were not: the bridge is told so, and
    /// nothing more is said to it before the link [is lost](Self::disconnected).
    pub(super) fn reject(&mut self, received: u64, error: &Error) {
        if self.rejects || !matches!(self.phase, Phase::Online | Phase::Leaving) {
            return;
        }
        self.received = received;
        // What is not taken of it is said again, and the first of that is to blame.
        self.acknowledge();
        put_reject(Code::Protocol, error.message(), self.segments.tail().1);
        self.rejects = true;
    }

    /// Whether a [rejection](Self::reject) is still to be written, behind what waits.
    pub fn rejects(&self) -> bool {
        self.rejects
    }

    /// What to write next. Call it before each write.
    pub fn transmit<'a>(&'a mut self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        if !self.greeting.is_empty() || matches!(self.phase, Phase::Offline | Phase::Greeting) {
            return self.greeting.slices(slices);
        }
        if self.phase == Phase::Closed || self.rejects {
            return self.segments.slices(slices);
        }
        self.acknowledge();
        while self.segments.len() < CHUNKS_BELOW && self.say_more() {}
        while self.segments.len() < CHUNKS_BELOW
            && let Some((stream, chunk)) = self.outgoing.next_chunk()
        {
            encode_chunk_head(stream, 0, chunk.len(), self.segments.tail().1);
            self.segments.push_shared(chunk);
        }
        if self.outgoing.is_empty()
            && let Some(token) = self.breaker.take_ping()
        {
            put_number(kind::PING, token, self.segments.tail().1);
        }
        if self.phase == Phase::Leaving && !self.leave_announced && self.everyone.pending.get() > 0 {
            self.leave_announced = true;
            put_bare(kind::LEAVING, self.segments.tail().1);
        }
        if self.leave_due() {
            self.leave_sent = true;
            put_bare(kind::LEAVE, self.segments.tail().1);
        }
        self.segments.slices(slices)
    }

    fn acknowledge(&mut self) {
        if self.acknowledgement_due() {
            self.untaken.encode(self.acknowledged, self.received, self.segments.tail().1);
            (self.acknowledged, self.fetched) = (self.received, 0);
            put_ack(self.received, self.segments.tail().1);
        }
    }

    /// `count` bytes of what [`transmit`](Self::transmit) returned were written.
    pub fn written(&mut self, count: usize) {
        if self.greeting.is_empty() {
            self.segments.advance(count);
        } else {
            self.greeting.advance(count, &mut self.spares);
        }
    }

    /// Whether there is anything to write besides an acknowledgement.
    pub fn has_output(&self) -> bool {
        let online = matches!(self.phase, Phase::Online | Phase::Leaving);
        let more = self.replay.is_some() || !self.catching_up.is_empty() || !self.outgoing.is_empty();
        let more = more || self.breaker.has_interests();
        self.queued() > 0 || (online && more) || self.leave_due()
    }

    /// Whether the bridge is owed an acknowledgement, which the next [`transmit`](Self::transmit) adds.
    pub fn acknowledgement_due(&self) -> bool {
        self.received != self.acknowledged || self.untaken.has_taken()
    }

    /// Whether so much is unacknowledged that the senders may be waiting for it.
    pub fn acknowledgement_urgent(&self) -> bool {
        self.received - self.acknowledged >= URGENT
    }

    /// Whether so much of others' memory was read that they may be waiting to fill it again, even before the rest of a
    /// read is looked at.
    pub fn should_free_shared(&self) -> bool {
        self.fetched >= URGENT_BYTES
    }

    /// Bytes that are ready to be written.
    pub fn queued(&self) -> usize {
        self.greeting.len() + self.segments.len()
    }

    pub(super) fn fail_all(&mut self, code: Code, text: &str) {
        for correlation in self.requests.end_all() {
            self.events.push_back(Event::Failed { correlation, code, text: text.to_owned() });
        }
    }
}
