//! A body on its way out, cut into chunks as it is written, in buffers that are used again.

use std::collections::VecDeque;

use bytes::Bytes;

use super::lane::Sink;
use crate::pool::{Lease, Pool};
use crate::wire::frame::CHUNK_LEN;

/// A body being written.
#[derive(Debug)]
pub struct BodyWriter {
    pool: Pool,
    full: VecDeque<Bytes>,
    last: Lease,
    len: usize,
}

impl BodyWriter {
    /// An empty body, whose buffers come from `pool`.
    pub fn new(pool: &Pool) -> Self {
        Self { pool: pool.clone(), full: VecDeque::new(), last: pool.lease(0), len: 0 }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends a copy of `bytes`.
    pub fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = CHUNK_LEN - self.last.as_ref().len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.reserve(now.len());
            self.last.bytes_mut().extend_from_slice(now);
            self.len += now.len();
            bytes = later;
            if self.last.as_ref().len() == CHUNK_LEN {
                let full = std::mem::replace(&mut self.last, self.pool.lease(0));
                self.full.push_back(full.freeze());
            }
        }
    }

    /// Appends zeros up to the next multiple of `alignment`.
    pub fn pad(&mut self, alignment: usize) {
        const ZEROS: [u8; 16] = [0; 16];
        self.write(&ZEROS[..self.len.next_multiple_of(alignment) - self.len]);
    }

    /// The body, in chunks of at most [`CHUNK_LEN`] bytes.
    pub fn into_chunks(mut self) -> VecDeque<Bytes> {
        if !self.last.as_ref().is_empty() {
            self.full.push_back(self.last.freeze());
        }
        self.full
    }

    /// A chunk's worth at the second write, not at the first: most bodies are small.
    fn reserve(&mut self, more: usize) {
        let used = self.last.as_ref().len();
        if self.last.bytes_mut().capacity() < used + more {
            let mut larger = self.pool.lease(if used == 0 { more } else { CHUNK_LEN });
            larger.bytes_mut().extend_from_slice(self.last.as_ref());
            self.last = larger;
        }
    }
}

impl Sink for BodyWriter {
    fn write(&mut self, bytes: &[u8]) {
        BodyWriter::write(self, bytes);
    }

    fn pad(&mut self, alignment: usize) {
        BodyWriter::pad(self, alignment);
    }
}
