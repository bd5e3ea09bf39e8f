//! The sender's side: bodies are written into memory that receivers read.

use std::io;

use super::layout::{HEADER_LEN, SIZE, STAMP_LEN, header};
use super::memfd::Owned;
use super::slots::Slots;
use crate::wire::lane::{Cookie, Extent, Offer};

/// Memory that bodies are written into, one by one, and freed in any order.
#[derive(Debug)]
pub struct Arena {
    memory: Owned,
    slots: Slots,
    cookie: Cookie,
    /// Bodies so far.
    count: u64,
}

/// A body being written into an arena. Dropped unfinished, it leaves no trace.
#[derive(Debug)]
pub struct LaneWriter<'a> {
    arena: &'a mut Arena,
    slot: u64,
    most: usize,
    len: usize,
    /// More was written than there is room for.
    overflowed: bool,
}

impl Arena {
    /// An empty one; a descriptor and an address range, and hardly any memory yet: worth nothing before a first
    /// large body is there.
    ///
    /// # Errors
    /// `Unsupported` on other systems than Linux; the system's own where it lacks sealed memory (Linux before 5.1),
    /// forbids it, or is out of descriptors.
    pub fn create() -> io::Result<Self> {
        let (memory, cookie) = Owned::create(SIZE, header)?;
        Ok(Self { memory, slots: Slots::new(HEADER_LEN, SIZE), cookie, count: 0 })
    }

    /// How a receiver finds it.
    pub fn offer(&self) -> Offer {
        Offer { pid: std::process::id(), fd: self.memory.fd(), size: SIZE, cookie: self.cookie }
    }

    /// Begins a body of at most `most` bytes; `None`: there is no room for it now, or `most` is 0.
    pub fn writer(&mut self, most: usize) -> Option<LaneWriter<'_>> {
        let len = (most as u64).checked_add(STAMP_LEN).filter(|_| most > 0)?;
        let slot = self.slots.take(len)?;
        if self.memory.back(slot + len).is_err() {
            // The system has no memory to spare.
            self.slots.free(slot);
            return None;
        }
        Some(LaneWriter { arena: self, slot, most, len: 0, overflowed: false })
    }

    /// Frees an extent. Whoever has yet to read it finds that it is gone. `false`: it is none of this arena's, and
    /// nothing changed.
    pub fn free(&mut self, extent: Extent) -> bool {
        let slot = extent.offset.wrapping_sub(STAMP_LEN);
        let freed = self.slots.free(slot);
        if freed {
            self.memory.stamp(slot, 0);
        }
        freed
    }

    /// The body in an extent that is in use.
    pub fn bytes(&mut self, extent: Extent) -> &[u8] {
        self.memory.bytes_mut(extent.offset as usize..(extent.offset + extent.len) as usize)
    }

    /// A number that was not in use before, and that no body is likely to contain: a body may come to lie where a
    /// ticket was.
    fn next_ticket(&mut self) -> u64 {
        self.count += 1;
        let seed = self.cookie.first_chunk().map_or(0, |seed| u64::from_le_bytes(*seed));
        let mut mixed = seed.wrapping_add(self.count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31).max(1)
    }

    /// Whether no extent is in use.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.slots.is_idle()
    }
}

impl LaneWriter<'_> {
    /// Appends a copy of `bytes`. What exceeds the room makes the whole body fail, at [`Self::finish`].
    pub fn write(&mut self, bytes: &[u8]) {
        match self.spare().get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.overflowed = true,
        }
    }

    /// Appends zeros up to the next multiple of `alignment`, at most 16.
    pub fn pad(&mut self, alignment: usize) {
        const ZEROS: [u8; 16] = [0; 16];
        self.write(&ZEROS[..self.len.next_multiple_of(alignment) - self.len]);
    }

    /// The room that is left; its bytes are any.
    fn spare(&mut self) -> &mut [u8] {
        let start = (self.slot + STAMP_LEN) as usize;
        self.arena.memory.bytes_mut(start + self.len..start + self.most)
    }

    /// The extent that holds the body, with no more memory than it needs; to be freed with [`Arena::free`].
    /// `None`: it is empty, or exceeded its room.
    pub fn finish(mut self) -> Option<Extent> {
        if self.overflowed || self.len == 0 {
            return None;
        }
        let (slot, len) = (self.slot, self.len as u64);
        self.arena.slots.trim(slot, STAMP_LEN + len);
        let ticket = self.arena.next_ticket();
        self.arena.memory.stamp(slot, ticket);
        self.most = 0;
        Some(Extent { offset: slot + STAMP_LEN, len, ticket })
    }
}

impl Drop for LaneWriter<'_> {
    fn drop(&mut self) {
        // A finished one has handed its room on.
        if self.most > 0 {
            self.arena.slots.free(self.slot);
        }
    }
}
