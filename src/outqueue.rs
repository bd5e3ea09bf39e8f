//! Bytes that wait for one link: small frames appended to one buffer, large bodies referred to.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::Bytes;

/// The tail is sealed at this size, so that a link that never runs dry does not grow one buffer for ever.
const SEAL_AT: usize = 64 * 1024;
/// An idle link keeps no more than this; bigger buffers go back to [`Spares`].
const KEEP: usize = 1024;
/// Slices of one vectored write; more gain nothing.
pub const MAX_SLICES: usize = 64;

/// Buffers that busy links lend each other, so that idle ones need none.
#[derive(Debug, Default)]
pub struct Spares(Vec<Vec<u8>>);

impl Spares {
    const MAX: usize = 8;

    fn take(&mut self) -> Vec<u8> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, mut buffer: Vec<u8>) {
        if self.0.len() < Self::MAX && buffer.capacity() <= 4 * SEAL_AT {
            buffer.clear();
            self.0.push(buffer);
        }
    }
}

#[derive(Debug)]
struct Piece {
    bytes: Bytes,
    /// Whether it continues the frame that the piece before it ends with; every other piece starts with a frame.
    continues: bool,
}

/// The queue. Its owner is the link; its bound is enforced by whoever appends, by [`len`](Self::len).
#[derive(Debug, Default)]
pub struct OutQueue {
    sealed: VecDeque<Piece>,
    sealed_len: usize,
    /// Whether a part of the front piece is already written.
    started: bool,
    tail: Vec<u8>,
    /// Whether anything was ever written.
    used: bool,
    /// Bytes of the tail that are already written; only ever non-zero while nothing is sealed.
    written: usize,
}

impl OutQueue {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.sealed_len + self.tail.len() - self.written
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing was ever written: the other side has not even got the preamble.
    pub fn is_unused(&self) -> bool {
        !self.used
    }

    /// The buffer to append small frames to.
    pub fn tail(&mut self, spares: &mut Spares) -> &mut Vec<u8> {
        if self.tail.len() >= SEAL_AT {
            self.seal(spares);
        }
        if self.tail.capacity() == 0 {
            self.tail = spares.take();
        }
        &mut self.tail
    }

    /// The same buffer after something was appended to it, in which the offsets still hold; for the rest of a frame,
    /// which must lie behind its beginning.
    pub fn same_tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends the rest of a frame by reference.
    pub fn push_shared(&mut self, bytes: Bytes, spares: &mut Spares) {
        self.seal(spares);
        self.sealed_len += bytes.len();
        self.sealed.push_back(Piece { bytes, continues: true });
    }

    fn seal(&mut self, spares: &mut Spares) {
        if self.tail.len() == self.written {
            return;
        }
        let tail = std::mem::replace(&mut self.tail, spares.take());
        let written = std::mem::take(&mut self.written);
        self.started |= written > 0;
        let bytes = Bytes::from(tail).split_off(written);
        self.sealed_len += bytes.len();
        self.sealed.push_back(Piece { bytes, continues: false });
    }

    /// What to write next, as slices for a vectored write.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let parts = self.sealed.iter().map(|piece| &piece.bytes[..]).chain([&self.tail[self.written..]]);
        let mut count = 0;
        for (slot, part) in slices.iter_mut().zip(parts.filter(|part| !part.is_empty())) {
            *slot = IoSlice::new(part);
            count += 1;
        }
        count
    }

    /// Takes `count` bytes off the front: they were written.
    pub fn advance(&mut self, mut count: usize, spares: &mut Spares) {
        self.used |= count > 0;
        while let Some(Piece { bytes: front, .. }) = self.sealed.front_mut() {
            if count < front.len() {
                self.sealed_len -= count;
                let _written = front.split_to(count);
                self.started |= count > 0;
                return;
            }
            count -= front.len();
            self.sealed_len -= front.len();
            self.sealed.pop_front();
            self.started = false;
        }
        self.written += count;
        if self.written == self.tail.len() {
            self.rest(spares);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self, spares: &mut Spares) {
        self.sealed.clear();
        self.sealed_len = 0;
        self.started = false;
        self.rest(spares);
    }

    /// Forgets what is not begun: the frame of which a part is written stays, so that what is appended can be read.
    pub fn keep_started(&mut self, spares: &mut Spares) {
        let begun = self.started || self.sealed.front().is_some_and(|front| front.continues);
        let pieces = self.sealed.iter().skip(1).take_while(|piece| piece.continues).count();
        self.sealed.truncate(if begun { 1 + pieces } else { 0 });
        self.sealed_len = self.sealed.iter().map(|piece| piece.bytes.len()).sum();
        if !self.sealed.is_empty() || self.written == 0 {
            self.rest(spares);
        }
    }

    fn rest(&mut self, spares: &mut Spares) {
        self.written = 0;
        self.tail.clear();
        if self.tail.capacity() > KEEP {
            spares.give(std::mem::take(&mut self.tail));
        }
        if self.sealed.capacity() > MAX_SLICES {
            self.sealed = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn front(queue: &OutQueue, count: usize) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let used = queue.slices(&mut slices);
        slices[..used].iter().flat_map(|slice| slice.to_vec()).take(count).collect()
    }

    proptest! {
        #[test]
        fn bytes_leave_in_the_order_they_came(
            steps in prop::collection::vec((any::<bool>(), 0..100_000usize, 0..150_000usize), 1..40)
        ) {
            let (mut queue, mut spares) = (OutQueue::default(), Spares::default());
            let (mut expected, mut got, mut next) = (Vec::new(), Vec::new(), 0u8);
            for (shared, pushed, written) in steps {
                let bytes: Vec<u8> = (0..pushed).map(|_| { next = next.wrapping_add(1); next }).collect();
                expected.extend_from_slice(&bytes);
                if shared {
                    queue.push_shared(bytes.into(), &mut spares);
                } else {
                    queue.tail(&mut spares).extend_from_slice(&bytes);
                }
                let taken = front(&queue, written);
                queue.advance(taken.len(), &mut spares);
                got.extend(taken);
                prop_assert_eq!(queue.len(), expected.len() - got.len());
            }
            while !queue.is_empty() {
                let taken = front(&queue, usize::MAX);
                queue.advance(taken.len(), &mut spares);
                got.extend(taken);
            }
            prop_assert_eq!(got, expected);
        }
    }
}
