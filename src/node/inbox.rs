//! Large messages on their way in. What one sender sends behind a large message waits for it, so that its order
//! holds; everybody else's messages pass.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use crate::error::Result;
use crate::pool::{Lease, Pool};
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

/// Messages that are incomplete, or wait behind one that is. Bounded by the senders' windows.
#[derive(Debug)]
pub struct Inbox {
    pool: Pool,
    senders: HashMap<Rc<str>, VecDeque<Held>>,
    streams: HashMap<u32, Rc<str>>,
}

impl Inbox {
    /// An empty one, whose bodies come from `pool`.
    pub fn new(pool: Pool) -> Self {
        Self { pool, senders: HashMap::new(), streams: HashMap::new() }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.senders.clear();
        self.streams.clear();
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

    /// A message that waits behind a large one.
    pub fn wait(&mut self, head: Head, (from, event): (Rc<str>, Rc<str>), body: &[u8]) {
        let mut copy = self.pool.lease(body.len());
        copy.bytes_mut().extend_from_slice(body);
        let held = Held { head, from: from.clone(), event, body: copy, stream: 0, left: 0, total: 0 };
        self.senders.entry(from).or_default().push_back(held);
    }

    /// The body of an open large message and how many bytes it still lacks, to be read into directly.
    pub fn body(&mut self, stream: u32) -> Option<(&mut Vec<u8>, usize)> {
        let queue = self.senders.get_mut(self.streams.get(&stream)?)?;
        let held = queue.iter_mut().find(|held| held.left > 0 && held.stream == stream)?;
        let left = usize::try_from(held.left).ok()?;
        if held.body.bytes().is_empty() {
            held.body = self.pool.lease(usize::try_from(held.total).ok()?);
        }
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
        self.streams.remove(&stream);
        self.release(&from)
    }

    /// More of a large message; returns what has become deliverable.
    pub fn chunk(&mut self, stream: u32, bytes: &[u8], abort: bool) -> Result<Vec<Held>> {
        let unknown = || malformed("a chunk of a large message that is not open");
        let from = self.streams.get(&stream).ok_or_else(unknown)?.clone();
        let queue = self.senders.get_mut(&from).ok_or_else(unknown)?;
        let at = queue.iter().position(|held| held.left > 0 && held.stream == stream).ok_or_else(unknown)?;
        let held = &mut queue[at];
        held.left = held.left.checked_sub(bytes.len() as u64).ok_or_else(|| malformed("more bytes than announced"))?;
        if held.body.as_ref().is_empty() {
            // Only now that bytes really come, and never beyond what the caller checked.
            held.body = self.pool.lease(usize::try_from(held.total).unwrap_or_default());
        }
        held.body.bytes_mut().extend_from_slice(bytes);
        if abort {
            queue.remove(at);
        } else if held.left > 0 {
            return Ok(Vec::new());
        }
        self.streams.remove(&stream);
        Ok(self.release(&from))
    }

    fn release(&mut self, from: &Rc<str>) -> Vec<Held> {
        let Some(queue) = self.senders.get_mut(from) else { return Vec::new() };
        let whole = queue.iter().take_while(|held| held.left == 0).count();
        let released = queue.drain(..whole).collect();
        if queue.is_empty() {
            self.senders.remove(from);
        }
        released
    }
}
