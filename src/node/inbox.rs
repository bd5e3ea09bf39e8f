//! Large messages on their way in. What one sender sends behind a large message waits for it, so that its order
//! holds; everybody else's messages pass.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::error::Result;
use crate::pool::{Lease, Pool};
use crate::wire::control::charge;
use crate::wire::frame::{Head, malformed};

/// A message with the names its slots stood for when it came.
#[derive(Debug)]
pub struct Held {
    pub head: Head,
    pub from: Rc<str>,
    pub event: Rc<str>,
    pub body: Lease,
    stream: u32,
    left: u64,
    total: u64,
}

/// A body gets room for no more than this before more of it has come: announcing costs nothing, memory does.
const FIRST_ROOM: usize = 1024 * 1024;

/// Messages that are incomplete, or wait behind one that is.
///
/// What waits behind a sender's unfinished message is bounded: beyond, the unfinished one is given up, for its sender
/// keeps announcing and not sending.
#[derive(Debug)]
pub struct Inbox {
    pool: Pool,
    senders: HashMap<Rc<str>, VecDeque<Held>>,
    streams: HashMap<u32, Rc<str>>,
    /// Bytes that wait behind unfinished messages.
    waiting: usize,
    most_waiting: usize,
    /// Streams that were given up, and the bytes that may still come of them.
    given_up: HashMap<u32, u64>,
}

impl Inbox {
    /// An empty one, whose bodies come from `pool`, and in which at most so many bytes wait.
    pub fn new(pool: Pool, most_waiting: usize) -> Self {
        let (senders, streams, given_up) = Default::default();
        Self { pool, senders, streams, waiting: 0, most_waiting, given_up }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.senders.clear();
        self.streams.clear();
        self.given_up.clear();
        self.waiting = 0;
    }

    /// Whether no sender has anything here: the common case, in which nothing need be looked up.
    pub fn is_empty(&self) -> bool {
        self.senders.is_empty()
    }

    /// Whether messages of `from` have to wait.
    pub fn holds(&self, from: &str) -> bool {
        self.senders.contains_key(from)
    }

    /// A large message begins.
    pub fn open(&mut self, head: Head, (from, event): (Rc<str>, Rc<str>), stream: u32, total: u64) -> Result<()> {
        if total == 0 || self.streams.insert(stream, from.clone()).is_some() {
            return Err(malformed("a large message that is empty or open already"));
        }
        let held = Held { head, from: from.clone(), event, body: self.pool.lease(0), stream, left: total, total };
        self.senders.entry(from).or_default().push_back(held);
        Ok(())
    }

    /// A message that waits behind a large one; returns what has become deliverable, because too much waits.
    pub fn wait(&mut self, head: Head, (from, event): (Rc<str>, Rc<str>), body: &[u8]) -> Vec<Held> {
        let mut copy = self.pool.lease(body.len());
        copy.bytes_mut().extend_from_slice(body);
        let held = Held { head, from: from.clone(), event, body: copy, stream: 0, left: 0, total: 0 };
        self.waiting += held.weight();
        self.senders.entry(from.clone()).or_default().push_back(held);
        if self.waiting > self.most_waiting { self.give_up(&from) } else { Vec::new() }
    }

    /// The body of an open large message and how many bytes it still lacks, to be read into directly.
    pub fn body(&mut self, stream: u32) -> Option<(&mut Vec<u8>, usize)> {
        let queue = self.senders.get_mut(self.streams.get(&stream)?)?;
        let held = queue.iter_mut().find(|held| held.left > 0 && held.stream == stream)?;
        held.make_room(1, &self.pool);
        let left = usize::try_from(held.left).ok()?;
        Some((held.body.bytes_mut(), left))
    }

    /// `count` bytes were read into it; returns what has become deliverable.
    pub fn filled(&mut self, stream: u32, count: usize) -> Vec<Held> {
        let Some(from) = self.streams.get(&stream).cloned() else { return Vec::new() };
        let Some(queue) = self.senders.get_mut(&from) else { return Vec::new() };
        let Some(held) = queue.iter_mut().find(|held| held.left > 0 && held.stream == stream) else {
            return Vec::new();
        };
        held.left -= count as u64;
        if held.left > 0 {
            return Vec::new();
        }
        self.waiting += held.weight();
        self.streams.remove(&stream);
        self.release(&from)
    }

    /// More of a large message; returns what has become deliverable.
    pub fn chunk(&mut self, stream: u32, bytes: &[u8], abort: bool) -> Result<Vec<Held>> {
        if let Some(left) = self.given_up.get_mut(&stream) {
            *left = left.saturating_sub(bytes.len() as u64);
            if *left == 0 || abort {
                self.given_up.remove(&stream);
            }
            return Ok(Vec::new());
        }
        let unknown = || malformed("a chunk of a large message that is not open");
        let from = self.streams.get(&stream).ok_or_else(unknown)?.clone();
        let queue = self.senders.get_mut(&from).ok_or_else(unknown)?;
        let at = queue.iter().position(|held| held.left > 0 && held.stream == stream).ok_or_else(unknown)?;
        let held = &mut queue[at];
        held.left = held.left.checked_sub(bytes.len() as u64).ok_or_else(|| malformed("more bytes than announced"))?;
        held.make_room(bytes.len(), &self.pool);
        held.body.bytes_mut().extend_from_slice(bytes);
        if abort {
            queue.remove(at);
        } else if held.left > 0 {
            return Ok(Vec::new());
        } else {
            self.waiting += held.weight();
        }
        self.streams.remove(&stream);
        Ok(self.release(&from))
    }

    fn release(&mut self, from: &Rc<str>) -> Vec<Held> {
        let Some(queue) = self.senders.get_mut(from) else { return Vec::new() };
        let whole = queue.iter().take_while(|held| held.left == 0).count();
        let released: Vec<Held> = queue.drain(..whole).collect();
        if queue.is_empty() {
            self.senders.remove(from);
        }
        self.waiting -= released.iter().map(Held::weight).sum::<usize>();
        released
    }

    /// Forgets the sender's unfinished messages, and returns what waited behind them.
    fn give_up(&mut self, from: &Rc<str>) -> Vec<Held> {
        let (whole, unfinished): (Vec<Held>, Vec<Held>) =
            self.senders.remove(from).unwrap_or_default().into_iter().partition(|held| held.left == 0);
        for held in unfinished {
            self.streams.remove(&held.stream);
            self.given_up.insert(held.stream, held.left);
        }
        self.waiting -= whole.iter().map(Held::weight).sum::<usize>();
        whole
    }
}

impl Held {
    /// What it counts while it waits, once it is whole.
    fn weight(&self) -> usize {
        if self.left == 0 { charge(self.body.bytes().len() as u64) as usize } else { 0 }
    }

    /// Room for `more` bytes, growing with what really came towards what was announced.
    fn make_room(&mut self, more: usize, pool: &Pool) {
        let body = self.body.bytes_mut();
        let (used, room) = (body.len(), body.capacity());
        if room - used >= more {
            return;
        }
        let announced = usize::try_from(self.total).unwrap_or(usize::MAX);
        let wanted = (2 * room).max(FIRST_ROOM).min(announced).max(used + more);
        let mut larger = pool.lease(wanted);
        larger.bytes_mut().extend_from_slice(self.body.bytes());
        self.body = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::kind;

    fn head(seq: u64) -> Head {
        Head { kind: kind::MESSAGE, flags: 0, peer: 1, event: 2, correlation: 0, seq }
    }

    fn names() -> (Rc<str>, Rc<str>) {
        ("ann".into(), "news".into())
    }

    fn seqs(released: &[Held]) -> Vec<u64> {
        released.iter().map(|held| held.head.seq).collect()
    }

    #[test]
    fn announcing_costs_no_memory() {
        let mut inbox = Inbox::new(Pool::new(0), usize::MAX);
        for stream in 1..=1000 {
            inbox.open(head(u64::from(stream)), names(), stream, 1 << 36).unwrap();
            assert!(inbox.chunk(stream, b"x", false).unwrap().is_empty());
            assert!(inbox.body(stream).unwrap().0.capacity() <= FIRST_ROOM);
        }
    }

    #[test]
    fn a_body_that_grows_is_whole() {
        let mut inbox = Inbox::new(Pool::new(1 << 30), usize::MAX);
        let bytes: Vec<u8> = (0..5_000_000u32).map(|n| n as u8).collect();
        inbox.open(head(1), names(), 7, bytes.len() as u64).unwrap();
        let released: Vec<Held> =
            bytes.chunks(100_000).flat_map(|chunk| inbox.chunk(7, chunk, false).unwrap()).collect();
        assert_eq!(seqs(&released), [1]);
        assert_eq!(released[0].body.bytes(), &bytes[..]);
        assert_eq!(inbox.waiting, 0);
    }

    #[test]
    fn what_waits_for_an_endless_message_is_bounded_and_not_lost() {
        let mut inbox = Inbox::new(Pool::new(0), 10_000);
        inbox.open(head(1), names(), 7, 1000).unwrap();
        let mut released = Vec::new();
        let mut sent = 1;
        while released.is_empty() {
            sent += 1;
            released = inbox.wait(head(sent), names(), &[0; 1000]);
        }
        assert_eq!(seqs(&released), (2..=sent).collect::<Vec<_>>());
        assert!(inbox.is_empty() && inbox.waiting == 0);
        assert!(inbox.chunk(7, &[0; 1000], false).unwrap().is_empty(), "its late bytes harm nobody");
        assert!(inbox.chunk(7, b"more", false).is_err(), "but it has ended with them");
    }
}
