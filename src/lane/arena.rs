//! The sender's side: bodies are written into memory that receivers read.

use std::io;

use super::memfd::Owned;
use super::offer::{Cookie, Extent, Offer};
use super::slots::Slots;
use super::view::{HEADER_LEN, header};

/// Bytes of an arena: room for several of the largest usual bodies at once. More would let one stalled receiver
/// hold more memory; what does not fit travels by socket. Memory that no body ever reached costs nothing.
pub const SIZE: u64 = 16 * 1024 * 1024;

/// Memory that bodies are written into, one by one, and freed in any order.
#[derive(Debug)]
pub struct Arena {
    memory: Owned,
    slots: Slots,
    cookie: Cookie,
}

/// A body being written into an arena. Dropped unfinished, it leaves no trace.
#[derive(Debug)]
pub struct LaneWriter<'a> {
    arena: &'a mut Arena,
    offset: u64,
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
        Ok(Self { memory, slots: Slots::new(HEADER_LEN, SIZE), cookie })
    }

    /// How a receiver finds it.
    pub fn offer(&self) -> Offer {
        Offer { pid: std::process::id(), fd: self.memory.fd(), size: SIZE, cookie: self.cookie }
    }

    /// Begins a body of at most `most` bytes; `None`: there is no room for it now, or `most` is 0.
    pub fn writer(&mut self, most: usize) -> Option<LaneWriter<'_>> {
        let offset = self.slots.take(most as u64)?;
        if self.memory.back(offset + most as u64).is_err() {
            // The system has no memory to spare.
            self.slots.free(offset);
            return None;
        }
        Some(LaneWriter { arena: self, offset, most, len: 0, overflowed: false })
    }

    /// Frees an extent that nobody will read any more; `false`: it is none of this arena's, and nothing changed.
    pub fn free(&mut self, extent: Extent) -> bool {
        self.slots.free(extent.offset)
    }

    /// Whether no extent is in use.
    pub fn is_idle(&self) -> bool {
        self.slots.is_idle()
    }
}

impl LaneWriter<'_> {
    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

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

    /// The room that is left, to be written directly; its bytes are any. [`Self::advance`] says how many were.
    pub fn spare(&mut self) -> &mut [u8] {
        let start = self.offset as usize;
        self.arena.memory.bytes_mut(start + self.len..start + self.most)
    }

    /// The next `count` bytes of the room have been written.
    pub fn advance(&mut self, count: usize) {
        self.overflowed |= count > self.most - self.len;
        self.len = self.most.min(self.len.saturating_add(count));
    }

    /// The extent that holds the body, with no more memory than it needs; to be freed with [`Arena::free`].
    /// `None`: it is empty, or exceeded its room.
    pub fn finish(mut self) -> Option<Extent> {
        if self.overflowed || self.len == 0 {
            return None;
        }
        let extent = Extent { offset: self.offset, len: self.len as u64 };
        self.arena.slots.trim(extent.offset, extent.len);
        self.most = 0;
        Some(extent)
    }
}

impl Drop for LaneWriter<'_> {
    fn drop(&mut self) {
        // A finished one has handed its room on.
        if self.most > 0 {
            self.arena.slots.free(self.offset);
        }
    }
}
