//! One connection: its wire, its names, what waits to be written to it.

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use rustc_hash::{FxHashMap, FxHasher};

use super::deferred::Deferred;
use super::legacy::LegacyLink;
use super::member::MemberKey;
use super::rejections::Suspect;
use super::relay::Relay;
use super::settling::{InFlight, Settlements};
use super::symbols::{Symbol, Symbols};
use crate::error::Result;
use crate::outqueue::{OutQueue, Spares};
use crate::wire::control::{put_name, put_peer};
use crate::wire::frame::{CHUNK_LEN, Head, MAX_INLINE, encode_chunk_head, flag, large_head, malformed};
use crate::wire::names::{IncomingNames, OutgoingNames, Slot};
use crate::wire::reader::FrameReader;

/// A link's place in the router's table. Its driver is told when it is over, and must not use it afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkKey(pub u32);

/// What the transport knows of the other side.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Its process, by the kernel's word.
    pub pid: Option<u32>,
    /// Its user, by the kernel's word.
    pub uid: Option<u32>,
    /// Its address, on TCP.
    pub address: Option<String>,
    /// When it connected, in milliseconds since 1970.
    pub since: u64,
}

/// A body of at least this many bytes is queued by reference: a copy would cost more than the reference, and the
/// read buffer that it keeps in memory is not much larger.
const SHARE_AT: usize = 32 * 1024;

/// Frames a peer may have read without saying so: more than any socket buffer holds, about 10 MiB to remember.
const MAX_UNACKNOWLEDGED: usize = 1 << 18;

/// A name on its way down a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameKey {
    /// An event, or a node's id without more.
    Bare(Symbol),
    /// A node in one of its sessions: another process with its id is another name.
    Node(MemberKey),
}

/// Who a frame on its way down comes from, or is about.
#[derive(Clone, Copy, Debug)]
pub enum About {
    /// The bridge.
    Bridge,
    /// Whoever has this id.
    Id(Symbol),
    /// A node.
    Node { key: MemberKey, id: Symbol, session: u64 },
}

/// One connection.
#[derive(Debug)]
pub struct Link {
    pub peer: Peer,
    pub wire: Wire,
    pub out: OutQueue,
    pub member: Option<MemberKey>,
    /// It is to be closed as soon as `out` is written.
    pub closing: bool,
    /// Its node was cut, and may read why when it wakes up.
    pub cut: bool,
    /// When it connected, became full, last took bytes, or was told its last words; router time.
    pub progress: u64,
    /// Links that are not read until this one's queue has room again.
    pub holding: Vec<LinkKey>,
    /// The link whose full queue keeps this one from being read.
    pub held_by: Option<LinkKey>,
    /// Whether the driver has been told of bytes to write.
    pub dirty: bool,
    /// Tells it from every other link there ever was.
    pub serial: u64,
}

/// What the other side speaks.
#[derive(Debug)]
pub enum Wire {
    /// Its first bytes will tell.
    Undecided(BytesMut),
    /// Ours.
    Native(Box<Native>),
    /// The original's.
    Legacy(Box<LegacyLink>),
}

/// The state of a link that speaks our wire.
#[derive(Debug, Default)]
pub struct Native {
    pub reader: FrameReader,
    pub names: IncomingNames<Symbol>,
    told: OutgoingNames<NameKey, BuildHasherDefault<FxHasher>>,
    /// Frames sent and not acknowledged. Senders wait above [`MAX_UNACKNOWLEDGED`].
    in_flight: VecDeque<InFlight>,
    /// What they weigh.
    weight: u64,
    acknowledged: u64,
    /// What came and was put aside.
    pub deferred: Deferred,
    /// The last sender and event that were told, and their slots: most messages are like the one before.
    last_told: [Option<(NameKey, u16)>; 2],
    /// Large messages on their way up.
    pub relays: FxHashMap<u32, Relay>,
    last_stream: u32,
}

/// A body on its way to one or more links.
#[derive(Clone, Debug)]
pub struct Body<'a> {
    bytes: &'a [u8],
    shared: Option<Bytes>,
}

impl<'a> Body<'a> {
    /// `share` is asked for a reference when the body is large enough.
    pub fn new(bytes: &'a [u8], share: impl FnOnce(&'a [u8]) -> Bytes) -> Self {
        Self { bytes, shared: (bytes.len() >= SHARE_AT).then(|| share(bytes)) }
    }

    /// A body that is copied into every queue.
    pub fn small(bytes: &'a [u8]) -> Self {
        Self { bytes, shared: None }
    }

    /// The bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The last chunk, and those before it.
    fn chunks(&self) -> (Self, impl Iterator<Item = Self>) {
        let last = (self.bytes.len() - 1) / CHUNK_LEN * CHUNK_LEN;
        let part = |range: Range<usize>| Self {
            bytes: &self.bytes[range.clone()],
            shared: self.shared.as_ref().map(|shared| shared.slice(range)),
        };
        let before = (0..last).step_by(CHUNK_LEN).map(move |start| part(start..start + CHUNK_LEN));
        (part(last..self.bytes.len()), before)
    }
}

impl Link {
    /// A fresh connection.
    pub fn new(peer: Peer, serial: u64, now: u64) -> Self {
        Self {
            peer,
            serial,
            wire: Wire::Undecided(BytesMut::new()),
            out: OutQueue::default(),
            member: None,
            closing: false,
            cut: false,
            progress: now,
            holding: Vec::new(),
            held_by: None,
            dirty: false,
        }
    }

    /// Whether nothing more is queued for it: its senders keep what they say, and are asked for it later.
    pub fn is_full(&self, max_pending: usize) -> bool {
        self.unacknowledged_bytes() > max_pending as u64 || self.is_clogged(max_pending)
    }

    /// Whether those whose messages cannot be dropped have to wait.
    pub fn is_clogged(&self, max_pending: usize) -> bool {
        self.out.len() > max_pending || self.unacknowledged() > MAX_UNACKNOWLEDGED
    }

    /// Whether so much is put aside that those who keep nothing have to wait: whoever keeps what it says has a window.
    pub fn has_put_aside(&self, max_pending: usize) -> bool {
        let Wire::Native(native) = &self.wire else { return false };
        native.deferred.weight() > max_pending as u64 || native.deferred.len() > MAX_UNACKNOWLEDGED
    }

    /// Whether they may go on.
    pub fn has_room(&self, max_pending: usize) -> bool {
        self.out.len() <= max_pending / 2 && self.unacknowledged() <= MAX_UNACKNOWLEDGED / 2
    }

    /// Whether a sender may say again what it said from message `from` on, as far as what is put aside of it goes: that
    /// weighs `most` at the most, or waits for what is to be said again.
    pub fn has_room_of(&self, sender: MemberKey, from: u64, most: u64) -> bool {
        let Wire::Native(native) = &self.wire else { return true };
        native.deferred.weight_of(sender) <= most || native.deferred.follows(sender, from)
    }

    /// Frames that were sent and neither acknowledged nor put aside.
    pub fn unacknowledged(&self) -> usize {
        match &self.wire {
            Wire::Native(native) => native.unacknowledged(),
            Wire::Legacy(legacy) => legacy.unwritten(),
            Wire::Undecided(_) => 0,
        }
    }

    /// Grows with every frame that is acknowledged or taken; on the original's wire, with bytes that are written.
    pub fn progressed(&self) -> u64 {
        match &self.wire {
            Wire::Native(native) => native.acknowledged + native.deferred.taken(),
            Wire::Legacy(legacy) => legacy.written(),
            Wire::Undecided(_) => 0,
        }
    }

    /// Bytes of messages that were sent and neither acknowledged nor put aside, wherever they are.
    pub fn unacknowledged_bytes(&self) -> u64 {
        match &self.wire {
            Wire::Native(native) => native.weight,
            _ => self.out.len() as u64,
        }
    }

    /// The state of our wire.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` on any other.
    pub fn native(&mut self) -> Result<&mut Native> {
        match &mut self.wire {
            Wire::Native(native) => Ok(native),
            _ => Err(malformed("a frame on a link without frames")),
        }
    }

    /// Appends a message, in chunks if it is large.
    pub fn push_message(
        &mut self,
        head: Head,
        names: (About, Option<Symbol>),
        body: &Body<'_>,
        in_flight: InFlight,
        (symbols, spares): (&mut Symbols, &mut Spares),
    ) {
        if head.is_large() || body.bytes.len() <= MAX_INLINE {
            return self.push_routed(head, names, body, in_flight, (symbols, spares));
        }
        let Wire::Native(native) = &mut self.wire else { return };
        let stream = native.next_stream();
        let opening = large_head(stream, body.bytes.len() as u64);
        let large = Head { flags: head.flags | flag::LARGE, ..head };
        let suspect = in_flight.suspect();
        let begun = match (in_flight.sender(), suspect) {
            (Some(sender), Suspect::Message { seq, .. }) => InFlight::Opening { sender, seq },
            _ => InFlight::Part { suspect },
        };
        self.push_routed(large, names, &Body::small(&opening), begun, (symbols, &mut *spares));
        let (last, before) = body.chunks();
        for chunk in before {
            self.push_chunk(stream, 0, &chunk, InFlight::Part { suspect }, spares);
        }
        self.push_chunk(stream, 0, &last, in_flight, spares);
    }

    /// Appends a routed frame; names the other side does not know go before it.
    pub fn push_routed(
        &mut self,
        head: Head,
        (about, event): (About, Option<Symbol>),
        body: &Body<'_>,
        in_flight: InFlight,
        (symbols, spares): (&mut Symbols, &mut Spares),
    ) {
        let Wire::Native(native) = &mut self.wire else { return };
        let (peer, event) = native.slots(about, event, symbols, self.out.tail(spares));
        self.push_framed(Head { peer, event, ..head }, body, in_flight, spares);
    }

    /// The same with slots that the other side knows.
    pub fn push_framed(&mut self, head: Head, body: &Body<'_>, in_flight: InFlight, spares: &mut Spares) {
        let Wire::Native(native) = &mut self.wire else { return };
        native.expect(in_flight);
        // Names may have filled the tail: it must not change between a frame's beginning and its end.
        head.encode(body.bytes.len(), self.out.tail(spares));
        self.push_body(body, spares);
    }

    /// Appends a chunk of a large message.
    pub fn push_chunk(&mut self, stream: u32, flags: u8, body: &Body<'_>, in_flight: InFlight, spares: &mut Spares) {
        let Wire::Native(native) = &mut self.wire else { return };
        native.expect(in_flight);
        encode_chunk_head(stream, flags, body.bytes.len(), self.out.tail(spares));
        self.push_body(body, spares);
    }

    fn push_body(&mut self, body: &Body<'_>, spares: &mut Spares) {
        match &body.shared {
            Some(shared) => self.out.push_shared(shared.clone(), spares),
            None => self.out.same_tail().extend_from_slice(body.bytes),
        }
    }
}

impl Native {
    /// A frame goes out that the other side will acknowledge.
    pub fn expect(&mut self, frame: InFlight) {
        self.weight += frame.weight();
        self.in_flight.push_back(frame);
    }

    /// A number for the next large message to this link.
    pub fn next_stream(&mut self) -> u32 {
        self.last_stream = self.last_stream.wrapping_add(1);
        self.last_stream
    }

    /// The other side has `received` frames of ours in all; returns how many more than it said before.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` when it says it has more than were sent, or fewer than it said before.
    pub fn acknowledge(&mut self, received: u64, settlements: &mut Settlements) -> Result<usize> {
        let news = received.checked_sub(self.acknowledged).and_then(|news| usize::try_from(news).ok());
        let Some(news) = news.filter(|&news| news <= self.in_flight.len()) else {
            return Err(malformed("an acknowledgement of what was never sent"));
        };
        self.acknowledged = received;
        for frame in self.in_flight.drain(..news) {
            self.weight -= frame.weight();
            settlements.frame(frame);
        }
        if self.in_flight.is_empty() && self.in_flight.capacity() > 256 {
            self.in_flight = VecDeque::new();
        }
        Ok(news)
    }

    /// Frames that were acknowledged, or passed over by an ACK because they are put aside.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Frames after those.
    pub fn unacknowledged(&self) -> usize {
        self.in_flight.len()
    }

    /// What is to blame if the other side rejects this link: it has taken, or put aside, all that was said before.
    pub fn suspect(&self) -> Suspect {
        let aside = |index: usize| self.deferred.contains(self.acknowledged + 1 + index as u64);
        let first = self.in_flight.iter().enumerate().find(|&(index, _)| !aside(index));
        first.map_or(Suspect::Unknown, |(_, frame)| frame.suspect())
    }

    /// Takes the frame at `index` behind those acknowledged out of what an ACK settles.
    pub fn set_aside(&mut self, index: usize) -> InFlight {
        let frame = std::mem::replace(&mut self.in_flight[index], InFlight::Unwatched);
        self.weight -= frame.weight();
        frame
    }

    /// Takes what will never be acknowledged or taken, in the order in which it was sent.
    pub fn abandon(&mut self) -> VecDeque<InFlight> {
        self.weight = 0;
        let mut in_flight = std::mem::take(&mut self.in_flight);
        let mut earlier = VecDeque::new();
        for (number, frame) in self.deferred.abandon() {
            match number.checked_sub(self.acknowledged + 1) {
                Some(index) => in_flight[index as usize] = frame,
                None => earlier.push_back(frame),
            }
        }
        earlier.append(&mut in_flight);
        earlier
    }

    /// Gives the names' references back.
    pub fn release_names(&mut self, symbols: &mut Symbols) {
        self.told.clear().into_iter().for_each(|name| name.release(symbols));
        for &symbol in self.names.iter() {
            symbols.release(symbol);
        }
        self.names = IncomingNames::default();
    }

    /// The slots of both names, telling the other side those it does not know.
    pub fn slots(
        &mut self,
        about: About,
        event: Option<Symbol>,
        symbols: &mut Symbols,
        out: &mut Vec<u8>,
    ) -> (u16, u16) {
        let forgotten = self.told.make_room(2);
        if !forgotten.is_empty() {
            self.last_told = [None; 2];
            forgotten.into_iter().for_each(|name| name.release(symbols));
        }
        let peer = match about {
            About::Bridge => 0,
            About::Id(id) => self.bare_slot(id, symbols, out),
            About::Node { key, id, session } => {
                self.remembered(0, NameKey::Node(key), |native, name| match native.told.slot(name) {
                    Slot::Known(slot) => slot,
                    Slot::New(slot) => {
                        put_peer(slot, session, symbols.name(id), out);
                        slot
                    }
                })
            }
        };
        let event = event.map_or(0, |event| {
            self.remembered(1, NameKey::Bare(event), |native, _| native.bare_slot(event, symbols, out))
        });
        (peer, event)
    }

    fn remembered(&mut self, at: usize, name: NameKey, slot: impl FnOnce(&mut Self, NameKey) -> u16) -> u16 {
        if let Some((last, slot)) = self.last_told[at]
            && last == name
        {
            return slot;
        }
        let slot = slot(self, name);
        self.last_told[at] = Some((name, slot));
        slot
    }

    fn bare_slot(&mut self, symbol: Symbol, symbols: &mut Symbols, out: &mut Vec<u8>) -> u16 {
        match self.told.slot(NameKey::Bare(symbol)) {
            Slot::Known(slot) => slot,
            Slot::New(slot) => {
                symbols.retain(symbol);
                put_name(slot, symbols.name(symbol), out);
                slot
            }
        }
    }
}

impl NameKey {
    /// Gives back the reference that a slot held.
    fn release(self, symbols: &mut Symbols) {
        if let Self::Bare(symbol) = self {
            symbols.release(symbol);
        }
    }
}
