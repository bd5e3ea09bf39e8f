//! Where shared memory is touched. Each type makes sure of what its unsafe lines rely on, when it is made.
//!
//! Of every file mapped here the kernel has promised, by seals that cannot be taken back, that it never shrinks
//! (a page beyond a file's end is a SIGBUS for whoever touches it), and that nobody will write to it but through
//! the mapping its maker has.

#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rustix::fs::{SealFlags, fcntl_add_seals, fcntl_get_seals, fstat};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::layout::invalid;

/// The bytes of a file, mapped shared.
#[derive(Debug)]
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

/// A sealed file of our own, which only this value can write to.
#[derive(Debug)]
pub struct Writable(Mapping);

/// A sealed file of somebody else, to be copied from.
#[derive(Debug)]
pub struct Readable(Mapping);

// SAFETY: the mapping belongs to the process, not to a thread, and nothing else holds its address.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(file: impl AsFd, len: usize, prot: ProtFlags) -> io::Result<Self> {
        if fstat(&file)?.st_size.try_into() != Ok(len) || !fcntl_get_seals(&file)?.contains(SealFlags::SHRINK) {
            return Err(invalid("memory of another size, or that may shrink"));
        }
        // SAFETY: a new mapping at an address the kernel chooses replaces nothing.
        let base = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, file, 0) }?;
        let base = NonNull::new(base.cast()).ok_or_else(|| invalid("mapped at zero"))?;
        Ok(Self { base, len })
    }
}

impl Mapping {
    /// Eight of its bytes, which another process may look at, or change, at any moment.
    ///
    /// # Panics
    /// When they exceed the file, or are not aligned.
    fn stamp(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at.checked_add(8).is_some_and(|end| end <= self.len));
        // SAFETY: inside the mapping, which lives as long as the borrow, and aligned, for a mapping begins with a page.
        // Of the memory of others it is only ever loaded.
        unsafe { AtomicU64::from_ptr(self.base.as_ptr().add(at).cast()) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is ours, whole, and what borrowed from it is gone: every reference borrows the owner.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

impl Writable {
    /// Maps all of a memfd that nobody else has seen yet and that is sealed against shrinking, and seals it against
    /// all other writing, and further seals.
    pub fn new(file: impl AsFd, len: usize) -> io::Result<Self> {
        let mapping = Mapping::new(&file, len, ProtFlags::READ | ProtFlags::WRITE)?;
        fcntl_add_seals(&file, SealFlags::FUTURE_WRITE | SealFlags::SEAL)?;
        Ok(Self(mapping))
    }

    /// Stamps eight bytes: whoever sees the ticket sees what was written before, and whoever sees what is written
    /// afterwards sees that it is gone.
    pub fn stamp(&mut self, at: usize, ticket: u64) {
        self.0.stamp(at).store(ticket, Ordering::Release);
        fence(Ordering::Release);
    }

    /// Some of its bytes.
    ///
    /// # Panics
    /// When `range` exceeds the file.
    pub fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        assert!(range.start <= range.end && range.end <= self.0.len);
        // SAFETY: inside the mapping, which lives as long as the borrow; a memfd's bytes are zero until written. The
        // borrow is exclusive in this process, and others can only read: no mapping but this one may write. (A
        // receiver in this very process reads through a mapping, so an allocation, of its own.)
        unsafe { std::slice::from_raw_parts_mut(self.0.base.as_ptr().add(range.start), range.len()) }
    }
}

impl Readable {
    /// Maps all of a file of this length, if it is sealed against shrinking.
    pub fn new(file: impl AsFd, len: usize) -> io::Result<Self> {
        Mapping::new(file, len, ProtFlags::READ).map(Self)
    }

    /// The stamp there, as it is when all that was copied before has been copied.
    pub fn stamp(&self, at: usize) -> u64 {
        fence(Ordering::Acquire);
        self.0.stamp(at).load(Ordering::Acquire)
    }

    /// Appends some of its bytes to `out`. Pages that were never backed may kill: the caller has checked them.
    ///
    /// Never inlined, so that nothing the caller does with `out` can be compiled into reading the source again.
    ///
    /// # Panics
    /// When `range` exceeds the file.
    #[inline(never)]
    pub fn copy_to(&self, range: Range<usize>, out: &mut Vec<u8>) {
        assert!(range.start <= range.end && range.end <= self.0.len);
        let count = range.len();
        out.reserve(count);
        // SAFETY: the source is inside the mapping, the target is capacity just reserved, and a Vec's memory is no
        // part of a mapping made here. Another process may write to the source meanwhile: so there is never a
        // reference to it, only this copy of bytes, of which any value is valid and none is relied upon; what is
        // looked at later is the copy. An honest sender wrote before its notice was sent, and system calls on both
        // sides order the two.
        unsafe {
            ptr::copy_nonoverlapping(self.0.base.as_ptr().add(range.start), out.as_mut_ptr().add(out.len()), count);
            out.set_len(out.len() + count);
        }
    }
}
