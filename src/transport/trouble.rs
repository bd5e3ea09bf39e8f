//! What an error of the system says of a link: to wait, to try again, or that it is over.

use std::io;
use std::time::Duration;

use crate::error::os_code;

/// Before a call that failed for want of memory is tried again: long enough for others to free some.
pub const PAUSE: Duration = Duration::from_millis(10);
/// Such failures in a row, after which a link is given up: what it did not carry is said again on the next.
pub const MOST_TRIES: u32 = 100;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The call is made again when the socket is ready.
    NotReady,
    /// It passes: the call is made again after a pause.
    Passing,
    /// The other side is gone. What it said before can still be read.
    Gone,
    /// The link is of no more use.
    Broken,
}

/// What an error of a read or a write says.
pub fn trouble(error: &io::Error) -> Trouble {
    match error.kind() {
        io::ErrorKind::WouldBlock => Trouble::NotReady,
        io::ErrorKind::Interrupted | io::ErrorKind::OutOfMemory => Trouble::Passing,
        _ if os_code(error) == "ENOBUFS" => Trouble::Passing,
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Trouble::Gone,
        _ => Trouble::Broken,
    }
}

/// Whether an accept that failed concerns one connection only, so that the next may be accepted at once.
pub fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_tried_again_and_what_does_not_ends_a_link() {
        // As Linux numbers them.
        let expected = [
            (11, "EAGAIN", Trouble::NotReady),
            (4, "EINTR", Trouble::Passing),
            (12, "ENOMEM", Trouble::Passing),
            (105, "ENOBUFS", Trouble::Passing),
            (32, "EPIPE", Trouble::Gone),
            (104, "ECONNRESET", Trouble::Gone),
            (5, "EIO", Trouble::Broken),
            (110, "ETIMEDOUT", Trouble::Broken),
            (24, "EMFILE", Trouble::Broken),
        ];
        for (number, name, outcome) in expected.into_iter().filter(|_| cfg!(target_os = "linux")) {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!((os_code(&error), trouble(&error)), (name, outcome), "{number}");
        }
    }
}
