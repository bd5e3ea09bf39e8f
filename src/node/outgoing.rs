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
    messages: VecDeque<(u32, VecDeque<Bytes>)>,
}

impl Outgoing {
    /// Adds a message for `to` (empty: everyone, or the bridge), as chunks of at most [`CHUNK_LEN`] bytes, and returns
    /// its stream; `None`: too many are open.
    pub fn add(&mut self, to: Rc<str>, chunks: VecDeque<Bytes>) -> Option<u32> {
        if self.open >= MAX_OPEN {
            return None;
        }
        self.open += 1;
        self.last_stream = self.last_stream.wrapping_add(1);
        let message = (self.last_stream, chunks);
        match self.lanes.iter_mut().find(|lane| lane.to == to) {
            Some(lane) => lane.messages.push_back(message),
            None => self.lanes.push_back(Lane { to, messages: [message].into() }),
        }
        Some(self.last_stream)
    }

    /// The next chunk and its stream, each receiver in turn.
    pub fn next_chunk(&mut self) -> Option<(u32, Bytes)> {
        let mut lane = self.lanes.pop_front()?;
        let (stream, chunks) = lane.messages.front_mut()?;
        let chunk = (*stream, chunks.pop_front()?);
        if chunks.is_empty() {
            lane.messages.pop_front();
            self.open -= 1;
        }
        if !lane.messages.is_empty() {
            self.lanes.push_back(lane);
        }
        Some(chunk)
    }

    /// Whether all has been handed out.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }
}
