//! The receiver's side: another node's arena, to be copied from.

use std::io;

use super::layout::{ALIGN, HEADER_LEN, MAX_SIZE, STAMP_LEN, header, invalid};
use super::memfd::Foreign;
use crate::wire::lane::{Extent, Offer};

/// Another node's arena, read-only. It stays readable when that node frees, closes or dies, and goes when dropped.
#[derive(Debug)]
pub struct View {
    memory: Foreign,
    size: u64,
}

impl View {
    /// Finds the arena of an offer. Neither blocks nor has effects on what it finds instead, whatever the offer says.
    ///
    /// # Errors
    /// `InvalidData`, or the system's own, when there is no such arena: the process has ended, is another user's, or
    /// lives in another container; its descriptor is closed or something else by now; the offer is a lie.
    /// `Unsupported` on other systems than Linux.
    pub fn open(offer: &Offer) -> io::Result<Self> {
        if offer.size <= HEADER_LEN || offer.size > MAX_SIZE {
            return Err(invalid("an arena of a size that cannot be"));
        }
        let memory = Foreign::open(offer.pid, offer.fd, offer.size, &header(&offer.cookie))?;
        Ok(Self { memory, size: offer.size })
    }

    /// Appends the bytes of `extent` to `out`: whatever they were in that moment, for a hostile sender may change
    /// them meanwhile. `false`: the sender has freed it, and `out` is as before.
    ///
    /// # Errors
    /// `InvalidData` for an extent outside the arena, or of memory that was never written; `out` is as before.
    pub fn copy_to(&mut self, extent: Extent, out: &mut Vec<u8>) -> io::Result<bool> {
        let Extent { offset, len, ticket } = extent;
        let stamp = offset.checked_sub(STAMP_LEN).filter(|&stamp| stamp >= HEADER_LEN && offset.is_multiple_of(ALIGN));
        let end = offset.checked_add(len).filter(|&end| end <= self.size);
        let (Some(stamp), Some(end)) = (stamp, end) else { return Err(invalid("an extent outside its arena")) };
        let before = out.len();
        let there = self.memory.copy_to(stamp, offset..end, out)? == ticket;
        if !there {
            out.truncate(before);
        }
        Ok(there)
    }
}
