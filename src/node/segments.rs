//! The bytes a node says: frames lie one behind the other in segments, are written from there, and stay there until
//! nobody needs them any more. So keeping a message until it is settled costs no copy.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::Range;

use bytes::Bytes;
use slab::Slab;

use crate::outqueue::MAX_SLICES;

/// No frame is begun in a segment of this size: a link that never runs dry does not grow one for ever.
const SEAL_AT: usize = 64 * 1024;
/// An idle node keeps no more than this.
const KEEP: usize = 1024;
/// Room of the next segment of a busy node: it is sealed with the frame that reaches [`SEAL_AT`].
const BUSY: usize = SEAL_AT + 16 * 1024;
/// Buffers kept for the next segments of a busy one, as many as a full window takes.
const MAX_SPARES: usize = 40;

/// Where the body of a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub segment: u32,
    pub start: u32,
    pub len: u32,
}

impl Place {
    fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

#[derive(Debug, Default)]
struct Segment {
    bytes: Vec<u8>,
    /// Messages in it that are kept.
    kept: u32,
    /// Whether it is in the queue, or open for what is not to be written yet.
    in_use: bool,
}

#[derive(Debug)]
enum Piece {
    Segment(u32),
    /// Part of a large message, behind its head.
    Shared(Bytes),
}

/// All segments of one node, and the queue of what is to be written. Its bound is that of the messages in it.
#[derive(Debug, Default)]
pub struct Segments {
    segments: Slab<Segment>,
    queue: VecDeque<Piece>,
    /// Bytes of the queue, those of its last segment not counted.
    sealed: usize,
    /// Bytes of the queue's front that are written.
    written: usize,
    /// The queue's last piece, if frames can be appended to it.
    tail: Option<u32>,
    /// The segment for what is not to be written yet.
    aside: Option<u32>,
    spares: Vec<Vec<u8>>,
}

impl Segments {
    /// Bytes that wait to be written.
    pub fn len(&self) -> usize {
        self.sealed + self.tail.map_or(0, |tail| self.segments[tail as usize].bytes.len()) - self.written
    }

    /// The buffer to append frames to, and its segment.
    pub fn tail(&mut self) -> (u32, &mut Vec<u8>) {
        let tail = match self.tail {
            Some(tail) if self.segments[tail as usize].bytes.len() < SEAL_AT => tail,
            _ => self.open_tail(),
        };
        let bytes = &mut self.segments[tail as usize].bytes;
        if bytes.capacity() == 0 {
            *bytes = self.spares.pop().unwrap_or_default();
        }
        (tail, bytes)
    }

    fn open_tail(&mut self) -> u32 {
        let busy = self.tail.is_some();
        self.seal();
        let tail = self.new_segment(busy);
        self.queue.push_back(Piece::Segment(tail));
        self.tail = Some(tail);
        tail
    }

    /// Nothing more is appended to the last segment.
    fn seal(&mut self) {
        let Some(tail) = self.tail.take() else { return };
        self.sealed += self.segments[tail as usize].bytes.len();
        self.drop_written();
    }

    /// Appends the rest of a frame by reference.
    pub fn push_shared(&mut self, bytes: Bytes) {
        self.seal();
        self.sealed += bytes.len();
        self.queue.push_back(Piece::Shared(bytes));
    }

    /// The buffer for messages that are not to be written yet, and its segment.
    pub fn aside(&mut self) -> (u32, &mut Vec<u8>) {
        let aside = match self.aside {
            Some(aside) if self.segments[aside as usize].bytes.len() < SEAL_AT => aside,
            full => {
                let fresh = self.new_segment(full.is_some());
                self.aside = Some(fresh);
                full.into_iter().for_each(|full| self.leave(full));
                fresh
            }
        };
        (aside, &mut self.segments[aside as usize].bytes)
    }

    /// Whoever has filled one segment fills the next.
    fn new_segment(&mut self, busy: bool) -> u32 {
        let bytes = self.spares.pop().unwrap_or_else(|| Vec::with_capacity(if busy { BUSY } else { 0 }));
        self.segments.insert(Segment { bytes, kept: 0, in_use: true }) as u32
    }

    /// Bytes of an open segment from `start` on.
    pub fn bytes_mut(&mut self, segment: u32, start: usize) -> &mut [u8] {
        &mut self.segments[segment as usize].bytes[start..]
    }

    /// Takes back what was appended to an open segment behind `len` bytes.
    pub fn truncate(&mut self, segment: u32, len: usize) {
        self.segments[segment as usize].bytes.truncate(len);
    }

    /// A message in this segment is kept until it is [released](Self::release).
    pub fn keep(&mut self, segment: u32) {
        self.segments[segment as usize].kept += 1;
    }

    /// A message in this segment is not needed any more.
    pub fn release(&mut self, segment: u32) {
        let state = &mut self.segments[segment as usize];
        state.kept -= 1;
        if state.kept > 0 {
            return;
        }
        if !state.in_use {
            self.free(segment);
        } else if self.aside == Some(segment) {
            state.bytes.clear();
        } else if self.tail == Some(segment) && self.queue.len() == 1 && self.written == state.bytes.len() {
            self.rest(segment);
        }
    }

    /// The bytes of a message that is kept.
    pub fn bytes(&self, place: Place) -> &[u8] {
        &self.segments[place.segment as usize].bytes[place.range()]
    }

    /// Appends a copy of the bytes of a message to the tail, behind the head that was appended just now; returns where the
    /// copy is. No frame goes over the end of a segment but by [`push_shared`](Self::push_shared).
    pub fn append_from(&mut self, place: Place) -> Place {
        let segment = self.tail.unwrap_or_else(|| self.tail().0);
        let mut tail = std::mem::take(&mut self.segments[segment as usize].bytes);
        let start = tail.len() as u32;
        if segment == place.segment {
            tail.extend_from_within(place.range());
        } else {
            tail.extend_from_slice(self.bytes(place));
        }
        self.segments[segment as usize].bytes = tail;
        Place { segment, start, ..place }
    }

    /// Moves the message at the end of the tail aside, and takes the `head` bytes before it off; returns where it is now.
    pub fn move_aside(&mut self, place: Place, head: usize) -> Place {
        let mut tail = std::mem::take(&mut self.segments[place.segment as usize].bytes);
        let (segment, aside) = self.aside();
        let start = aside.len() as u32;
        aside.extend_from_slice(&tail[place.range()]);
        tail.truncate(place.start as usize - head);
        self.segments[place.segment as usize].bytes = tail;
        Place { segment, start, ..place }
    }

    /// What to write next, as slices for a vectored write.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let mut skip = self.written;
        let mut count = 0;
        for piece in self.queue.iter().take(MAX_SLICES) {
            let bytes = &self.piece(piece)[std::mem::take(&mut skip)..];
            if !bytes.is_empty() {
                slices[count] = IoSlice::new(bytes);
                count += 1;
            }
        }
        count
    }

    fn piece<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        match piece {
            Piece::Segment(segment) => &self.segments[*segment as usize].bytes,
            Piece::Shared(bytes) => bytes,
        }
    }

    /// Takes `count` bytes off the front: they were written.
    pub fn advance(&mut self, count: usize) {
        self.written += count;
        self.drop_written();
        if let (Some(tail), 1) = (self.tail, self.queue.len()) {
            let state = &self.segments[tail as usize];
            if state.kept == 0 && self.written == state.bytes.len() {
                self.rest(tail);
            }
        }
    }

    /// Forgets pieces that are written; the last stays while it is open.
    fn drop_written(&mut self) {
        while let Some(front) = self.queue.front() {
            let (len, segment) = match front {
                Piece::Segment(segment) => (self.segments[*segment as usize].bytes.len(), Some(*segment)),
                Piece::Shared(bytes) => (bytes.len(), None),
            };
            if self.written < len || (segment.is_some() && segment == self.tail) {
                return;
            }
            self.written -= len;
            self.sealed -= len;
            self.queue.pop_front();
            segment.into_iter().for_each(|segment| self.leave(segment));
        }
    }

    /// Nothing of the queue is to be written any more but the rest of a frame that was begun. What is kept is gone, too.
    pub fn cut(&mut self) {
        let begun = match self.queue.front() {
            Some(Piece::Segment(segment)) => self.cut_segment(*segment),
            // The head of this frame was written.
            Some(Piece::Shared(_)) => 1,
            None => 0,
        };
        self.tail = None;
        for piece in self.queue.split_off(begun) {
            if let Piece::Segment(segment) = piece {
                self.leave(segment);
            }
        }
        self.sealed = self.queue.iter().map(|piece| self.piece(piece).len()).sum();
        self.drop_written();
    }

    /// Cuts the front segment behind the frame that was begun; returns how many pieces that frame ends in.
    fn cut_segment(&mut self, segment: u32) -> usize {
        let bytes = &mut self.segments[segment as usize].bytes;
        let mut end = 0;
        // Each frame begins with the length of what follows.
        while end < self.written
            && let Some(len) = bytes[end..].first_chunk::<4>()
        {
            end += len.len() + u32::from_le_bytes(*len) as usize;
        }
        let pieces = if end > bytes.len() { 2 } else { 1 };
        bytes.truncate(end);
        pieces
    }

    /// The link is gone: nothing is to be written. What is kept stays.
    pub fn clear_queue(&mut self) {
        self.tail = None;
        (self.sealed, self.written) = (0, 0);
        for piece in std::mem::take(&mut self.queue) {
            if let Piece::Segment(segment) = piece {
                self.leave(segment);
            }
        }
        let aside = self.aside.take();
        aside.into_iter().for_each(|aside| self.leave(aside));
    }

    /// The segment is neither in the queue nor open any more.
    fn leave(&mut self, segment: u32) {
        let state = &mut self.segments[segment as usize];
        state.in_use = false;
        if state.kept == 0 {
            self.free(segment);
        }
    }

    fn free(&mut self, segment: u32) {
        let mut bytes = self.segments.remove(segment as usize).bytes;
        if self.spares.len() < MAX_SPARES && (KEEP..=4 * SEAL_AT).contains(&bytes.capacity()) {
            bytes.clear();
            self.spares.push(bytes);
        }
    }

    /// The only segment is written and nothing in it is kept: it is used again from its start.
    fn rest(&mut self, segment: u32) {
        self.written = 0;
        let bytes = &mut self.segments[segment as usize].bytes;
        bytes.clear();
        if bytes.capacity() > KEEP {
            // One is enough to go on with: what a burst left is given back.
            self.spares.truncate(1);
            self.spares.push(std::mem::take(bytes));
        }
    }
}
