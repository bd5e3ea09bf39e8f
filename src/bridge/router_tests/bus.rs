//! A router and hand-made peers: each says bytes, and hears frames.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;

use crate::bridge::counters::Counters;
use crate::bridge::host::Event;
use crate::bridge::link::{LinkKey, Peer};
use crate::bridge::member::Departure;
use crate::bridge::router::{Limits, Router};
use crate::error::Code;
use crate::node::client::{Client, Config};
use crate::node::event::Event as Told;
use crate::outqueue::MAX_SLICES;
use crate::wire::control::{Hello, decode_reject, put_interest, put_name};
use crate::wire::frame::{
    CHUNK_HEAD_LEN, Head, PREAMBLE_LEN, RawFrame, check_preamble, encode_chunk_head, encode_preamble, kind, large_head,
};
use crate::wire::time_left::TimeLeft;

/// Room for a read's worth of anything in queues that tests fill.
pub const PENDING: usize = 100_000;

/// A frame that a peer was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub kind: u8,
    pub flags: u8,
    pub payload: Vec<u8>,
}

impl Heard {
    /// Of a routed frame: its head and body.
    pub fn routed(&self) -> (Head, Vec<u8>) {
        let raw = RawFrame { kind: self.kind, flags: self.flags, payload: &self.payload };
        let (head, body) = Head::decode(&raw).unwrap();
        (head, body.to_vec())
    }
}

pub struct Bus {
    pub router: Router,
    pub counters: Arc<Counters>,
    pub now: u64,
    greeted: HashSet<LinkKey>,
}

impl Bus {
    pub fn new() -> Self {
        Self::with(Limits { max_pending: PENDING, ..Limits::default() })
    }

    pub fn with(limits: Limits) -> Self {
        Self::with_epoch(limits, 9)
    }

    /// A bridge of its own.
    pub fn with_epoch(limits: Limits, epoch: u64) -> Self {
        let counters = Arc::new(Counters::default());
        Self { router: Router::new(limits, epoch, (1, 1), counters.clone()), counters, now: 0, greeted: HashSet::new() }
    }

    /// Somebody connects, and has said nothing yet.
    pub fn connect(&mut self) -> LinkKey {
        self.router.connect(Peer::default(), self.now)
    }

    /// A node joins and has read its welcome.
    pub fn join(&mut self, id: &str) -> LinkKey {
        let key = self.connect();
        self.say(key, &greeting(id));
        assert_eq!(self.hear(key)[0].kind, kind::WELCOME);
        key
    }

    /// A peer of the original's wire joins.
    pub fn join_legacy(&mut self, id: &str) -> LinkKey {
        let key = self.connect();
        self.say(key, format!("{{\"id\":\"1\",\"method\":\"IDENT\",\"nodeName\":\"{id}\"}}\0").as_bytes());
        assert!(self.hear_text(key).contains("[\"1\",[null]]"));
        key
    }

    pub fn say(&mut self, key: LinkKey, bytes: &[u8]) {
        self.router.handle_input(key, Bytes::copy_from_slice(bytes), self.now);
    }

    /// Says frames, one behind the other.
    pub fn tell(&mut self, key: LinkKey, frames: &[Vec<u8>]) {
        self.say(key, &frames.concat());
    }

    /// Everything that waits for a peer, as it lies in the queue.
    pub fn hear_bytes(&mut self, key: LinkKey, most: usize) -> Vec<u8> {
        let mut heard = Vec::new();
        while heard.len() < most {
            let mut slices = [std::io::IoSlice::new(&[]); MAX_SLICES];
            let count = self.router.link(key).out.slices(&mut slices);
            if count == 0 {
                break;
            }
            let before = heard.len();
            slices[..count].iter().for_each(|slice| heard.extend_from_slice(slice));
            heard.truncate(most);
            let written = heard.len() - before;
            self.router.written(key, written, self.now);
        }
        heard
    }

    /// All frames that wait for a peer.
    pub fn hear(&mut self, key: LinkKey) -> Vec<Heard> {
        let bytes = self.hear_bytes(key, usize::MAX);
        let mut rest = &bytes[..];
        if self.greeted.insert(key) && !rest.is_empty() {
            assert_eq!(check_preamble(rest), Ok(Some(())));
            rest = &rest[PREAMBLE_LEN..];
        }
        frames(rest)
    }

    pub fn hear_text(&mut self, key: LinkKey) -> String {
        String::from_utf8(self.hear_bytes(key, usize::MAX)).unwrap()
    }

    /// The frames of one kind that wait for a peer; the others are forgotten.
    pub fn hear_only(&mut self, key: LinkKey, kind: u8) -> Vec<Heard> {
        self.hear(key).into_iter().filter(|heard| heard.kind == kind).collect()
    }

    /// Why a peer is about to be closed.
    pub fn reason(&mut self, key: LinkKey) -> Code {
        assert!(self.router.link(key).closing);
        let heard = self.hear(key);
        let last = heard.last().expect("a reason");
        assert_eq!(last.kind, kind::REJECT, "{heard:?}");
        decode_reject(&last.payload).unwrap().0
    }

    pub fn lose(&mut self, key: LinkKey) {
        self.router.disconnect(key, Departure::Died);
        self.greeted.remove(&key);
    }

    pub fn wait(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        self.router.tick(self.now);
    }

    pub fn resumed(&mut self) -> Vec<LinkKey> {
        let mut resumed = Vec::new();
        self.router.take_resumed(&mut resumed);
        resumed
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.router.poll_event()).collect()
    }

    /// Everyone goes; nothing may be left of them.
    pub fn empty(mut self, keys: &[LinkKey]) {
        keys.iter().for_each(|&key| self.lose(key));
        // Nobody's place is kept longer than this.
        self.wait(10_000);
        self.events();
        assert_eq!(self.router.leftovers(), []);
    }
}

pub fn frames(mut bytes: &[u8]) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Some((raw, length)) = RawFrame::decode(bytes).unwrap() {
        heard.push(Heard { kind: raw.kind, flags: raw.flags, payload: raw.payload.to_vec() });
        bytes = &bytes[length..];
    }
    assert!(bytes.is_empty(), "half a frame at the end: {bytes:?}");
    heard
}

pub fn greeting(id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_preamble(&mut bytes);
    bytes.extend(hello(id));
    bytes
}

pub fn hello(id: &str) -> Vec<u8> {
    hello_of(id, 1 << 26)
}

/// HELLO of a node that takes messages of so many bytes.
pub fn hello_of(id: &str, max_message: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_hello(0, id, max_message, &mut bytes);
    bytes
}

fn encode_hello(session: u64, id: &str, max_message: u64, bytes: &mut Vec<u8>) {
    Hello { max_message, secret: 0, ..hello_from(session, id) }.encode(bytes);
}

/// HELLO of a node that keeps what it says, if its session is not 0.
pub fn hello_from(session: u64, id: &str) -> Hello {
    let (id, token, secret) = (id.into(), String::new(), session);
    Hello {
        session,
        pid: 2,
        namespace: 1,
        max_message: 1 << 26,
        id,
        token,
        secret,
        epoch: 0,
        heard: 0,
        listens: 0,
        lane: true,
        replaces: false,
    }
}

/// All that a node says to join.
pub fn joining(hello: &Hello) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_preamble(&mut bytes);
    hello.encode(&mut bytes);
    bytes
}

pub fn name(slot: u16, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_name(slot, name, &mut bytes);
    bytes
}

pub fn listen(event: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_interest(true, event, &mut bytes);
    bytes
}

pub fn number(kind: u8, number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    crate::wire::control::put_number(kind, number, &mut bytes);
    bytes
}

pub fn routed(head: Head, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    head.encode(body.len(), &mut bytes);
    bytes.extend_from_slice(body);
    bytes
}

/// A head with slot 1 for the receiver, if it has one, and slot 2 for the event.
pub fn head(kind: u8, flags: u8, seq: u64) -> Head {
    let peer = if kind == crate::wire::frame::kind::BROADCAST { 0 } else { 1 };
    Head { kind, flags, peer, event: 2, time_left: TimeLeft::NONE, correlation: 0, seq }
}

/// The opening of a large message.
pub fn opening(head: Head, stream: u32, total: u64) -> Vec<u8> {
    let head = Head { flags: head.flags | crate::wire::frame::flag::LARGE, ..head };
    routed(head, &large_head(stream, total))
}

pub fn chunk(stream: u32, flags: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(CHUNK_HEAD_LEN + bytes.len());
    encode_chunk_head(stream, flags, bytes.len(), &mut frame);
    frame.extend_from_slice(bytes);
    frame
}

/// A client on the bus, whose driver hands over everything at once.
pub struct Driven {
    pub client: Client,
    pub key: LinkKey,
}

impl Bus {
    pub fn drive(&mut self, id: &str, session: u64) -> Driven {
        self.drive_as(id, session, 7)
    }

    pub fn drive_as(&mut self, id: &str, session: u64, secret: u64) -> Driven {
        self.drive_with(Config {
            id: id.into(),
            session,
            secret,
            pid: 3,
            namespace: 1,
            max_message: 1 << 26,
            max_pending: 1 << 26,
            replaces: false,
        })
    }

    pub fn drive_with(&mut self, config: Config) -> Driven {
        let mut driven = Driven { client: Client::new(config), key: self.connect() };
        driven.client.connected();
        self.carry(&mut driven);
        self.carry(&mut driven);
        driven
    }

    /// Moves what both sides have to say, and returns what the client's program is told, as text.
    ///
    /// Panics when the client finds fault with what it hears.
    pub fn carry(&mut self, driven: &mut Driven) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            let up = take(&mut driven.client);
            if !up.is_empty() {
                self.say(driven.key, &up);
            }
            let down = self.hear_bytes(driven.key, usize::MAX);
            if up.is_empty() && down.is_empty() {
                return told;
            }
            let mut frames = driven.client.frames(down.into()).expect("frames");
            while let Some(frame) = frames.next() {
                let event = driven.client.handle_frame(&frame).expect("frames that a bridge may send");
                if let Some(Told::Delivery(delivery)) = &event {
                    driven.client.note_delivery(delivery.from);
                }
                told.extend(event.map(|event| format!("{event:?}")));
                told.extend(std::iter::from_fn(|| driven.client.poll_event()).map(|event| format!("{event:?}")));
            }
        }
    }
}

pub fn take(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let mut slices = [std::io::IoSlice::new(&[]); MAX_SLICES];
        let count = client.transmit(&mut slices);
        if count == 0 {
            return bytes;
        }
        let before = bytes.len();
        slices[..count].iter().for_each(|slice| bytes.extend_from_slice(slice));
        let written = bytes.len() - before;
        client.written(written);
    }
}
