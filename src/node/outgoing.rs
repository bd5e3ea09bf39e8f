//! Large messages on their way out: one chunk at a time, in turn, so that none holds up another receiver's.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;

#[cfg(doc)]
use crate::wire::frame::CHUNK_LEN;

/// Large messages one node may have open; the bridge accepts no more on a link.
pub const MAX_OPEN: usize = 1000;

/// What is left of each large message, by receiver: to one receiver they go one after the other.
#[derive(Debug, Default)]
pub struct Outgoing {
    lanes: VecDeque<Lane>,
    open: usize,
    last_stream: u32,
}

#[derive(Debug)]
struct Lane {
    to: Rc<str>,
    messages: VecDeque<Large>,
}

/// What is left of one message.
#[derive(Debug)]
struct Large {
    stream: u32,
    seq: u64,
    chunks: VecDeque<Bytes>,
}

impl Outgoing {
    /// Whether no more can be opened now.
    pub fn is_full(&self) -> bool {
        self.open >= MAX_OPEN
    }

    /// Adds message `seq` for `to` (empty: everyone, or the bridge), as chunks of at most [`CHUNK_LEN`] bytes, and returns
    /// its stream. It must not be [full](Self::is_full).
    pub fn add(&mut self, to: Rc<str>, seq: u64, chunks: VecDeque<Bytes>) -> u32 {
        self.open += 1;
        self.last_stream = self.last_stream.wrapping_add(1);
        let large = Large { stream: self.last_stream, seq, chunks };
        match self.lanes.iter_mut().find(|lane| lane.to == to) {
            Some(lane) => lane.messages.push_back(large),
            None => self.lanes.push_back(Lane { to, messages: [large].into() }),
        }
        self.last_stream
    }

    /// The next chunk and its stream, each receiver in turn.
    pub fn next_chunk(&mut self) -> Option<(u32, Bytes)> {
        let mut lane = self.lanes.pop_front()?;
        let large = lane.messages.front_mut()?;
        let chunk = (large.stream, large.chunks.pop_front()?);
        if large.chunks.is_empty() {
            lane.messages.pop_front();
            self.open -= 1;
        }
        if !lane.messages.is_empty() {
            self.lanes.push_back(lane);
        }
        Some(chunk)
    }

    /// Forgets what is left of some messages to `to`, by their numbers; returns their streams.
    pub fn cancel(&mut self, to: &str, is_meant: impl Fn(u64) -> bool) -> Vec<u32> {
        let mut streams = Vec::new();
        for lane in self.lanes.iter_mut().filter(|lane| &*lane.to == to) {
            lane.messages.retain(|large| {
                let meant = is_meant(large.seq);
                streams.extend(meant.then_some(large.stream));
                !meant
            });
        }
        self.lanes.retain(|lane| !lane.messages.is_empty());
        self.open -= streams.len();
        streams
    }

    /// Whether all has been handed out.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}
