//! What lies between a node and its bridge: two pipes that deliver late, in pieces, or not at all.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Bytes, BytesMut};

use super::censor::Censor;
use crate::bridge::probe::LinkKey;

/// Bytes a pipe takes before a write would block, as a kernel's buffer.
const CAPACITY: usize = 200 * 1024;

/// One direction.
#[derive(Debug, Default)]
pub struct Pipe {
    pieces: VecDeque<Bytes>,
    len: usize,
    /// Nothing more will come.
    pub ended: bool,
    /// Who spoils what passes.
    pub censor: Option<Censor>,
}

impl Pipe {
    /// Bytes on their way.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Moves at most `most` bytes; returns how many.
    pub fn write(&mut self, slices: &[IoSlice<'_>], most: usize) -> usize {
        let mut room = most.min(CAPACITY.saturating_sub(self.len));
        let before = self.len;
        for slice in slices {
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
            let mut bytes = BytesMut::from(bytes);
            self.censor.iter_mut().for_each(|censor| censor.look_at(&mut bytes));
            self.pieces.push_back(bytes.freeze());
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
        // What still arrives has passed the censor.
        let censor = self.censor.take();
        self.push(&kept);
        self.censor = censor;
        self.ended = true;
    }
}

/// A connection, from the moment it is accepted to the moment both sides have let go of it.
#[derive(Debug)]
pub struct Cable {
    pub key: LinkKey,
    pub up: Pipe,
    pub down: Pipe,
    /// The bridge holds its end.
    pub at_bridge: bool,
    /// The node holds its end.
    pub at_node: bool,
    /// The router named this link: there is something to write.
    pub wants_write: bool,
    /// The router said not to read it, and has not taken that back.
    pub held: bool,
}

impl Cable {
    /// A fresh connection.
    pub fn new(key: LinkKey) -> Self {
        let (up, down) = Default::default();
        Self { key, up, down, at_bridge: true, at_node: true, wants_write: false, held: false }
    }
}
