//! Large buffers that are used again: fresh memory costs a page fault per 4 KiB, more than the copy into it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Buffers below this are the allocator's business: it keeps them without our help.
const WORTH_KEEPING: usize = 32 * 1024;

/// Free buffers, up to a bound in bytes. Clones share them; a lease may be dropped on any thread.
#[derive(Clone, Debug)]
pub struct Pool(Arc<Mutex<Free>>);

#[derive(Debug)]
struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    most: usize,
}

/// A buffer on loan: when the last reference to it goes, it returns to its pool.
#[derive(Debug)]
pub struct Lease {
    bytes: Vec<u8>,
    pool: Pool,
}

impl Pool {
    /// A pool that keeps at most so many bytes free.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Free { buffers: Vec::new(), bytes: 0, most })))
    }

    /// An empty buffer with room for `capacity` bytes, and for less than twice as many if it was used before.
    pub fn lease(&self, capacity: usize) -> Lease {
        let kept = if capacity < WORTH_KEEPING { None } else { self.free().take(capacity) };
        Lease { bytes: kept.unwrap_or_else(|| Vec::with_capacity(capacity)), pool: self.clone() }
    }

    fn free(&self) -> MutexGuard<'_, Free> {
        // The list is whole between any two statements that can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Free {
    fn take(&mut self, capacity: usize) -> Option<Vec<u8>> {
        let fits = |buffer: &Vec<u8>| (capacity..capacity * 2).contains(&buffer.capacity());
        // The last one in is the one still in the caches.
        let at = self.buffers.iter().rposition(fits)?;
        let buffer = self.buffers.swap_remove(at);
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() >= WORTH_KEEPING && self.bytes + buffer.capacity() <= self.most {
            buffer.clear();
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

impl Lease {
    /// What it holds.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer, to be filled.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// As shared bytes; the buffer returns when the last of them is dropped.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.free().give(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_when_its_last_reference_goes() {
        let pool = Pool::new(1 << 20);
        let mut lease = pool.lease(100_000);
        lease.bytes_mut().extend_from_slice(&[7; 50_000]);
        let address = lease.as_ref().as_ptr();
        let bytes = lease.freeze();
        let part = bytes.slice(10..20);
        drop(bytes);
        assert_ne!(pool.lease(100_000).as_ref().as_ptr(), address, "a part of it is still in use");
        drop(part);
        let mut again = pool.lease(90_000);
        assert_eq!((again.as_ref().len(), again.bytes_mut().as_ptr()), (0, address));
    }

    #[test]
    fn a_pool_keeps_no_more_than_it_may() {
        let pool = Pool::new(100_000);
        drop([pool.lease(60_000), pool.lease(60_000), pool.lease(200_000)]);
        assert_eq!(pool.free().buffers.len(), 1);
        assert!(pool.free().bytes <= 100_000);
    }
}
