//! From a stream of reads to frames. A frame that a read cut in two is put together again; a chunk of a large
//! message is handed on in the pieces it comes in, without a copy.

use bytes::{Bytes, BytesMut};

use super::frame::{CHUNK_HEAD_LEN, LENGTH_LEN, RawFrame, decode_chunk, frame_length, kind, malformed};
use crate::error::{Error, Result};

/// What one link keeps between reads.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// The beginning of a frame whose end has not come. At most [`MAX_FRAME`](super::frame::MAX_FRAME) bytes.
    partial: BytesMut,
    /// The chunk in the midst of which the last read ended.
    open: Option<OpenChunk>,
}

#[derive(Clone, Copy, Debug)]
struct OpenChunk {
    stream: u32,
    flags: u8,
    left: usize,
}

/// A frame, or a piece of a chunk.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The frame. Of a CHUNK the payload is only its bytes.
    pub raw: RawFrame<'a>,
    /// Of a CHUNK: its stream.
    pub stream: u32,
    /// Whether the frame ends here: false for all pieces of a chunk but its last.
    pub ends: bool,
    owner: &'a Bytes,
}

impl Arrived<'_> {
    /// `part` of the payload by reference: no copy, but it keeps the whole read in memory.
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.owner.slice_ref(part)
    }
}

/// What one read completed, in order.
#[derive(Debug)]
pub struct Frames {
    items: [Option<Item>; 3],
    item: usize,
    at: usize,
}

#[derive(Debug)]
enum Item {
    /// Frames, one behind the other.
    Whole(Bytes),
    /// A piece of a chunk.
    Piece { stream: u32, flags: u8, bytes: Bytes, ends: bool },
}

impl FrameReader {
    /// Takes what was read and returns what has come with it.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` when a length is out of bounds, or that of a chunk leaves it no stream.
    pub fn push(&mut self, mut input: Bytes) -> Result<Frames> {
        let first = self.continued(&mut input)?;
        let mut rest = input.split_off(whole_frames(&input)?);
        let last = if rest.is_empty() { None } else { self.begun(&mut rest)? };
        Ok(Frames { items: [first, Some(Item::Whole(input)), last], item: 0, at: 0 })
    }

    /// The chunk in the midst of which the last read ended: its stream, and the bytes it still lacks. Whoever puts them
    /// where they belong without [`push`](Self::push) tells [`skip`](Self::skip).
    pub fn open_chunk_left(&self) -> Option<(u32, usize)> {
        self.open.filter(|open| open.flags == 0).map(|open| (open.stream, open.left))
    }

    /// `count` bytes of the open chunk came another way; returns whether it ends with them.
    pub fn skip(&mut self, count: usize) -> bool {
        let Some(OpenChunk { stream, flags, left }) = self.open else { return false };
        let left = left.saturating_sub(count);
        self.open = (left > 0).then_some(OpenChunk { stream, flags, left });
        left == 0
    }

    /// The end, or more, of what an earlier read began.
    fn continued(&mut self, input: &mut Bytes) -> Result<Option<Item>> {
        if self.open.is_some() {
            return Ok(self.piece(input));
        }
        while !self.partial.is_empty() {
            let wanted = wanted(&self.partial)?;
            if self.partial.len() < wanted {
                if input.is_empty() {
                    return Ok(None);
                }
                let more = (wanted - self.partial.len()).min(input.len());
                self.partial.extend_from_slice(&input.split_to(more));
            } else if self.open_chunk()? {
                return Ok(self.piece(input));
            } else {
                return Ok(Some(Item::Whole(self.partial.split().freeze())));
            }
        }
        Ok(None)
    }

    /// The beginning of a frame at the end of a read.
    fn begun(&mut self, rest: &mut Bytes) -> Result<Option<Item>> {
        let head = rest.split_to(rest.len().min(CHUNK_HEAD_LEN));
        self.partial.extend_from_slice(&head);
        if self.partial.len() >= wanted(&self.partial)? && self.open_chunk()? {
            return Ok(self.piece(rest));
        }
        self.partial.extend_from_slice(rest);
        Ok(None)
    }

    /// If `partial` holds the head of a chunk, opens it.
    fn open_chunk(&mut self) -> Result<bool> {
        if self.partial.get(4) != Some(&kind::CHUNK) {
            return Ok(false);
        }
        let length = frame_length(&self.partial)?.unwrap_or_default();
        let left = length.checked_sub(CHUNK_HEAD_LEN).ok_or_else(chunk_without_stream)?;
        let (raw, stream) = (&self.partial[..], &self.partial[6..CHUNK_HEAD_LEN]);
        let stream = u32::from_le_bytes([stream[0], stream[1], stream[2], stream[3]]);
        self.open = Some(OpenChunk { stream, flags: raw[5], left });
        self.partial.clear();
        Ok(true)
    }

    fn piece(&mut self, input: &mut Bytes) -> Option<Item> {
        let OpenChunk { stream, flags, left } = self.open?;
        if input.is_empty() && left > 0 {
            return None;
        }
        let bytes = input.split_to(left.min(input.len()));
        let left = left - bytes.len();
        self.open = (left > 0).then_some(OpenChunk { stream, flags, left });
        Some(Item::Piece { stream, flags, bytes, ends: left == 0 })
    }
}

/// How much of the frame that starts `partial` must be there before something can be done with it.
fn wanted(partial: &[u8]) -> Result<usize> {
    let Some(length) = frame_length(partial)? else { return Ok(4) };
    Ok(match partial.get(4) {
        None => 5,
        Some(&kind::CHUNK) => length.min(CHUNK_HEAD_LEN),
        Some(_) => length,
    })
}

/// Bytes at the front of `input` that are whole frames.
fn whole_frames(input: &[u8]) -> Result<usize> {
    let mut end = 0;
    while let Some(length) = frame_length(&input[end..])? {
        if length > input.len() - end {
            break;
        }
        if length < CHUNK_HEAD_LEN && input[end + LENGTH_LEN] == kind::CHUNK {
            return Err(chunk_without_stream());
        }
        end += length;
    }
    Ok(end)
}

fn chunk_without_stream() -> Error {
    malformed("a chunk without a stream")
}

impl Frames {
    /// What came next.
    // A call would return it through memory, which takes longer than looking at it.
    #[inline(always)]
    pub fn next(&mut self) -> Option<Arrived<'_>> {
        while self.item < self.items.len() {
            match &self.items[self.item] {
                Some(Item::Whole(bytes)) if self.at < bytes.len() => break,
                Some(Item::Piece { .. }) if self.at == 0 => break,
                _ => (self.item, self.at) = (self.item + 1, 0),
            }
        }
        match self.items.get(self.item)?.as_ref()? {
            Item::Whole(owner) => {
                // Neither can fail: `push` has looked.
                let (mut raw, length) = RawFrame::decode(&owner[self.at..]).ok()??;
                self.at += length;
                let mut stream = 0;
                if raw.kind == kind::CHUNK {
                    (stream, raw.payload) = decode_chunk(&raw).ok()?;
                }
                Some(Arrived { raw, stream, ends: true, owner })
            }
            Item::Piece { stream, flags, bytes, ends } => {
                self.at = 1;
                let raw = RawFrame { kind: kind::CHUNK, flags: *flags, payload: bytes };
                Some(Arrived { raw, stream: *stream, ends: *ends, owner: bytes })
            }
        }
    }
}
