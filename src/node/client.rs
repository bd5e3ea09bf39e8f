//! The node's brain: what it sends and waits for, what it is told. No socket, no clock, no JavaScript.
//!
//! The driver feeds [`Client::handle_frame`], writes what [`Client::transmit`] holds, and polls
//! [`Client::poll_event`]. Events lead out of the client, so that a listener may call back into it.

use std::collections::{BTreeSet, VecDeque};
use std::hash::RandomState;
use std::rc::Rc;

use super::inbox::Inbox;
use super::outgoing::Outgoing;
use super::receiving::Event;
use super::requests::Requests;
use super::sending::Target;
use crate::error::Code;
use crate::outqueue::{OutQueue, Spares};
use crate::pool::Pool;
use crate::wire::control::{Hello, put_ack, put_bare, put_interest};
use crate::wire::frame::{encode_chunk_head, encode_preamble, kind};
use crate::wire::names::{IncomingNames, OutgoingNames};
use crate::wire::reader::FrameReader;

/// Chunks are added to the queue only below this, so that a small message never waits behind more.
const CHUNKS_BELOW: usize = 256 * 1024;

/// Frames after which an acknowledgement no longer waits for replies to share its write.
const URGENT: u64 = 512;
/// Bytes of large bodies that a node keeps for the next ones when JavaScript is done with them.
const KEPT_BODIES: usize = 16 * 1024 * 1024;

/// Bytes of chunks that a node keeps for the next large messages it sends.
const KEPT_CHUNKS: usize = 8 * 1024 * 1024;

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

/// One node. Its queue is bounded by `max_pending`, by weight.
#[derive(Debug)]
pub struct Client {
    pub(super) config: Config,
    pub(super) phase: Phase,
    pub(super) max_message: u64,
    pub(super) window: u64,
    /// Goes before `out`, which waits for the welcome.
    pub(super) greeting: OutQueue,
    pub(super) out: OutQueue,
    pub(super) spares: Spares,
    pub(super) reader: FrameReader,
    pub(super) preamble: Option<Vec<u8>>,
    pub(super) told: OutgoingNames<Rc<str>, RandomState>,
    pub(super) generation: u32,
    pub(super) names: IncomingNames<Rc<str>>,
    pub(super) targets: Vec<Target>,
    pub(super) interests: BTreeSet<String>,
    pub(super) requests: Requests,
    pub(super) outgoing: Outgoing,
    pub(super) inbox: Inbox,
    pub(super) pool: Pool,
    pub(super) last_seq: u64,
    pub(super) unsettled: u64,
    pub(super) need_drain: bool,
    pub(super) received: u64,
    pub(super) acknowledged: u64,
    pub(super) leave_sent: bool,
    /// Whether LEAVE waits until all is settled.
    pub(super) patient: bool,
    pub(super) events: VecDeque<Event<'static>>,
}

impl Client {
    /// A node without a link. What is sent before it has one waits.
    pub fn new(config: Config) -> Self {
        Self {
            max_message: config.max_message,
            requests: Requests::new(config.session),
            inbox: Inbox::new(Pool::new(KEPT_BODIES), usize::try_from(config.max_pending).unwrap_or(usize::MAX)),
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
            outgoing: Outgoing::default(),
            pool: Pool::new(KEPT_CHUNKS),
            last_seq: 0,
            unsettled: 0,
            need_drain: false,
            received: 0,
            acknowledged: 0,
            leave_sent: false,
            patient: true,
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
        self.events.pop_front()
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
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
        self.inbox.clear();
        (self.received, self.acknowledged) = (0, 0);
        self.leave_sent = false;
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

    /// Everything sent before is settled first, then LEAVE goes out; [`Event::Left`] follows.
    pub fn leave(&mut self) {
        if self.phase == Phase::Online {
            self.phase = Phase::Leaving;
        }
    }

    /// Leaves without waiting any longer: what the bridge has it still delivers.
    pub fn insist_on_leaving(&mut self) {
        self.patient = false;
    }

    fn leave_due(&self) -> bool {
        let settled = self.unsettled == 0 || !self.patient;
        self.phase == Phase::Leaving && !self.leave_sent && self.outgoing.is_empty() && settled
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
        if self.leave_due() {
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
        self.queued() > 0 || !self.outgoing.is_empty() || self.leave_due()
    }

    /// Whether the bridge is owed an acknowledgement, which the next [`transmit`](Self::transmit) adds.
    pub fn acknowledgement_due(&self) -> bool {
        self.received != self.acknowledged
    }

    /// Whether so much is unacknowledged that the senders may be waiting for it.
    pub fn acknowledgement_urgent(&self) -> bool {
        self.received - self.acknowledged >= URGENT
    }

    /// Bytes that are ready to be written.
    pub fn queued(&self) -> usize {
        self.greeting.len() + self.out.len()
    }

    /// Above this the sender should pause: the bridge's window, or half of what may wait at all.
    pub(super) fn high_water(&self) -> u64 {
        self.window.min(self.config.max_pending / 2)
    }

    pub(super) fn drained(&mut self) {
        if self.need_drain && self.unsettled <= self.high_water() / 2 {
            self.need_drain = false;
            self.events.push_back(Event::Drain);
        }
    }

    pub(super) fn fail_all(&mut self, code: Code, text: &str) {
        for correlation in self.requests.end_all() {
            self.events.push_back(Event::Failed { correlation, code, text: text.to_owned() });
        }
    }
}
