//! What a driver offers: a non-blocking socket that says when it is ready.

use std::io::{self, IoSlice};
use std::time::Instant;

/// A connection to a bridge, used from the JavaScript thread only.
///
/// Whoever makes one gives it a callback: it is called whenever a call below may get further than before. A link
/// by itself does not keep the process alive.
pub trait Link {
    /// Whether the connection is made. Until then nothing can be read or written.
    ///
    /// # Errors
    /// When it could not be made.
    fn connected(&mut self) -> io::Result<bool>;

    /// Reads into the spare capacity of `buffer`: 0 at the end, `WouldBlock` when there is nothing yet.
    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize>;

    /// Whether [`read_into`](Self::read_into) saves a copy.
    fn reads_directly(&self) -> bool;

    /// Reads up to `most` bytes into the spare capacity of `body`, and what comes behind them into that of `rest`; how
    /// many went where.
    fn read_into(&mut self, body: &mut Vec<u8>, most: usize, rest: &mut Vec<u8>) -> io::Result<(usize, usize)>;

    /// Writes a part of `slices`. After `WouldBlock` the callback comes when there is room again.
    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Writes a part of `slices` even if that takes until `deadline`: for the last words of a process.
    fn write_blocking(&mut self, slices: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize>;

    /// Waits until the operating system has all that was written, or `deadline`: `TimedOut`.
    fn finish_blocking(&mut self, deadline: Instant) -> io::Result<()>;

    /// Takes the last bytes of a link that is about to be dropped, to write them by itself then, and to let go when the
    /// other side does. False: it cannot, and the caller has to.
    fn entrust(&mut self, slices: &[IoSlice<'_>]) -> bool;

    /// Calls back soon, as after a blocked write: the caller has more to write, but others' turn comes first.
    fn yield_write(&mut self);

    /// Asks for kernel buffers of this size each way.
    fn set_buffers(&mut self, bytes: usize);
}
