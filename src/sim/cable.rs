//! What lies between a node and its bridge: two pipes that deliver late, in pieces, or not at all.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};

use super::ledger::Op;
use crate::bridge::probe::LinkKey;
use crate::outqueue::{MAX_SLICES, OutQueue};

/// Bytes a pipe takes before a write would block, as a kernel's buffer.
const CAPACITY: usize = 200 * 1024;

/// One direction.
#[derive(Debug, Default)]
pub struct Pipe {
    pieces: VecDeque<Bytes>,
    len: usize,
    /// Nothing more will come.
    pub ended: bool,
}

impl Pipe {
    /// Bytes on their way.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Moves at most `most` bytes from the queue's front; returns how many.
    pub fn write(&mut self, queue: &OutQueue, most: usize) -> usize {
        let mut room = most.min(CAPACITY.saturating_sub(self.len));
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (count, before) = (queue.slices(&mut slices), self.len);
        for slice in &slices[..count] {
            let part = room.min(slice.len());
            self.push(&slice[..part]);
            room -= part;
        }
        self.len - before
    }

    /// Adds bytes, however many.
    pub fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.pieces.push_back(Bytes::copy_from_slice(bytes));
        }
    }

    /// Takes at most `most` bytes.
    pub fn read(&mut self, most: usize) -> Bytes {
        let mut taken = BytesMut::new();
        while taken.len() < most
            && let Some(front) = self.pieces.front_mut()
        {
            taken.extend_from_slice(&front.split_to(front.len().min(most - taken.len())));
            if front.is_empty() {
                self.pieces.pop_front();
            }
        }
        self.len -= taken.len();
        taken.freeze()
    }

    /// The wire breaks: only `kept` bytes still arrive.
    pub fn cut(&mut self, kept: usize) {
        let kept = self.read(kept);
        self.pieces.clear();
        self.len = 0;
        self.push(&kept);
        self.ended = true;
    }
}

/// What a node said on a link, by the place of its last byte: the bridge has heard it when it has read that far.
#[derive(Debug, Default)]
pub struct Said {
    /// Bytes of the greeting, which goes before everything else.
    pub greeting_len: u64,
    pub greeting: VecDeque<(u64, Op)>,
    /// Bytes queued behind the greeting.
    pub rest_len: u64,
    pub rest: VecDeque<(u64, Op)>,
}

impl Said {
    /// The next thing that lies within the first `read` bytes.
    pub fn next(&mut self, read: u64) -> Option<Op> {
        if let Some((end, _)) = self.greeting.front() {
            return if *end <= read { self.greeting.pop_front().map(|(_, op)| op) } else { None };
        }
        let (end, _) = self.rest.front()?;
        if self.greeting_len + *end <= read { self.rest.pop_front().map(|(_, op)| op) } else { None }
    }

    /// Whether the bridge has yet to hear something.
    pub fn is_empty(&self) -> bool {
        self.greeting.is_empty() && self.rest.is_empty()
    }
}

/// A connection, from the moment it is accepted to the moment both sides have let go of it.
#[derive(Debug)]
pub struct Cable {
    pub key: LinkKey,
    /// Its number among all connections ever: one stay of a node on the bus.
    pub epoch: usize,
    pub up: Pipe,
    pub down: Pipe,
    /// The bridge holds its end.
    pub at_bridge: bool,
    /// The node holds its end.
    pub at_node: bool,
    pub said: Said,
    /// Bytes the bridge has read.
    pub read: u64,
    /// The router named this link: there is something to write.
    pub wants_write: bool,
    /// The router said not to read it, and has not taken that back.
    pub held: bool,
    /// Since when somebody waits for this link's queue.
    pub full_since: Option<u64>,
}

impl Cable {
    /// A fresh connection.
    pub fn new(key: LinkKey, epoch: usize) -> Self {
        Self {
            key,
            epoch,
            up: Pipe::default(),
            down: Pipe::default(),
            at_bridge: true,
            at_node: true,
            said: Said::default(),
            read: 0,
            wants_write: false,
            held: false,
            full_since: None,
        }
    }
}
