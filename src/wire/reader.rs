//! From a stream of reads to frames, copying only the one frame that a read cut in two.

use bytes::{Bytes, BytesMut};

use super::frame::{RawFrame, frame_length};
use crate::error::Result;

/// What one link keeps between reads: the beginning of a frame whose end has not come.
#[derive(Debug, Default)]
pub struct FrameReader {
    partial: BytesMut,
}

/// A frame, and the read it lies in.
#[derive(Debug)]
pub struct Arrived<'a> {
    /// The frame.
    pub raw: RawFrame<'a>,
    owner: &'a Bytes,
}

impl Arrived<'_> {
    /// `part` of the payload by reference: no copy, but it keeps the whole read in memory.
    pub fn share(&self, part: &[u8]) -> Bytes {
        self.owner.slice_ref(part)
    }
}

/// The frames of one read. Whatever is left when it is dropped half-way is lost: drain it.
#[derive(Debug)]
pub struct Frames {
    completed: Option<Bytes>,
    input: Bytes,
    at: usize,
}

impl FrameReader {
    /// Takes what was read and returns the frames that are now whole.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` when a length is out of bounds.
    pub fn push(&mut self, mut input: Bytes) -> Result<Frames> {
        let completed = self.complete_partial(&mut input)?;
        let whole = if self.partial.is_empty() { whole_frames(&input)? } else { 0 };
        self.partial.extend_from_slice(&input[whole..]);
        Ok(Frames { completed, input: input.slice(..whole), at: 0 })
    }

    /// Fills up the frame begun in an earlier read from the front of `input`.
    fn complete_partial(&mut self, input: &mut Bytes) -> Result<Option<Bytes>> {
        if self.partial.is_empty() {
            return Ok(None);
        }
        loop {
            let wanted = match frame_length(&self.partial)? {
                Some(length) if self.partial.len() >= length => return Ok(Some(self.partial.split().freeze())),
                Some(length) => length - self.partial.len(),
                None => 1,
            };
            if input.is_empty() {
                return Ok(None);
            }
            self.partial.extend_from_slice(&input.split_to(wanted.min(input.len())));
        }
    }
}

/// Bytes at the front of `input` that are whole frames.
fn whole_frames(input: &[u8]) -> Result<usize> {
    let mut end = 0;
    while let Some(length) = frame_length(&input[end..])? {
        if length > input.len() - end {
            break;
        }
        end += length;
    }
    Ok(end)
}

impl Frames {
    /// The next frame.
    ///
    /// # Errors
    /// None in practice: lengths were checked by [`FrameReader::push`].
    pub fn next(&mut self) -> Result<Option<Arrived<'_>>> {
        if self.at == 0 && self.completed.is_some() {
            // `at` counts from 1 once the completed frame was handed out.
            self.at = 1;
            let owner = self.completed.as_ref().unwrap_or(&self.input);
            return Ok(RawFrame::decode(owner)?.map(|(raw, _)| Arrived { raw, owner }));
        }
        let offset = usize::from(self.completed.is_some());
        let Some((raw, length)) = RawFrame::decode(&self.input[self.at - offset..])? else { return Ok(None) };
        self.at += length;
        Ok(Some(Arrived { raw, owner: &self.input }))
    }
}
