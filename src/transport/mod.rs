//! How bytes travel: listening, connecting and streams, over Unix sockets and TCP.
//!
//! Binding and connecting are plain system calls that need no runtime, so a bridge knows that it owns its
//! address before its thread starts, and a node connects on the JS loop. Accepting, and a [`Stream`], need tokio.
//!
//! `unix` owns a socket path by `lock`, `socket_file` and, for the default address, `private_dir`; `roster` is what it
//! leaves to the next owner.

mod connect;
mod listening;
mod lock;
mod peer;
mod private_dir;
mod process;
mod random;
mod roster;
mod socket_file;
mod socket_name;
mod stream;
mod tcp;
mod trouble;
mod unix;

#[cfg(test)]
mod scratch;

use std::io;

// Without the binding nobody starts a connection.
#[cfg_attr(not(feature = "napi"), allow(unused_imports))]
pub use connect::{Connecting, Listening, Target, connect, finish, wait_writable};
#[cfg_attr(not(feature = "napi"), allow(unused_imports))]
pub use private_dir::default_address;
#[cfg_attr(not(feature = "napi"), allow(unused_imports))]
pub use process::Silent;
pub use process::{Ending, Process, pid_namespace};
pub use random::random;
pub use roster::{Entry, RosterFile};
pub use socket_file::SocketFile;
pub use stream::Stream;
pub use trouble::{MOST_TRIES, PAUSE, Trouble, is_of_one_connection, trouble};

use crate::address::Address;
use crate::error::{Error, Result};

/// How many connections may wait to be accepted: a thousand nodes may start at once. The OS caps it (`somaxconn`).
const BACKLOG: i32 = 4096;

/// Kernel buffers of a link that was full once, in bytes; others keep the system's. They save a busy link most of its writes.
pub const BUSY_BUFFERS: usize = 4 * 1024 * 1024;

/// How to listen.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// The file mode of a Unix socket; only the permission bits count.
    pub mode: u32,
}

impl Default for ListenOptions {
    /// Nobody but this user.
    fn default() -> Self {
        Self { mode: 0o600 }
    }
}

/// What is known of who was on the bus of this address before.
#[derive(Debug)]
pub enum Before {
    /// These were, some of whom may live.
    Known(Vec<Entry>),
    /// There was a bridge that did not end the bus, and nobody knows who was on it.
    Somebody,
    /// Nothing: perhaps there was no bridge.
    Untold,
}

/// What the system says of whoever connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerFacts {
    /// Its user when it connected; Unix sockets only.
    pub uid: Option<u32>,
    /// Its process when it connected; Unix sockets only, and not from another pid namespace.
    pub pid: Option<u32>,
    /// Its `host:port`; TCP only.
    pub address: Option<String>,
}

/// A listening socket, and the ownership of its address for as long as it lives.
#[derive(Debug)]
pub enum Listener {
    /// On a Unix socket.
    Unix(unix::Listener),
    /// On TCP.
    Tcp(tcp::Listener),
}

impl Listener {
    /// Becomes the one listener at this address, or says who is (`EADDRINUSE`).
    ///
    /// Needs no runtime. Waits for the DNS when a host name is given, and a loser up to 20 ms for the winner's pid.
    pub fn bind(address: &Address, options: &ListenOptions) -> Result<Self> {
        match address {
            Address::Unix(path) => unix::Listener::bind(path, options.mode).map(Self::Unix),
            Address::Tcp { host, port } => tcp::Listener::bind(host, *port).map(Self::Tcp),
            Address::Tls { .. } | Address::Nats { .. } => Err(address.unsupported()),
        }
    }

    /// Hands the socket to the tokio runtime of this thread; [`accept`](Self::accept) does it when it was not done.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn register(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(listener) => listener.register(),
            Self::Tcp(listener) => listener.register(),
        }
    }

    /// The next connection. Cancel-safe. `ENOTCONN` after [`release`](Self::release); other errors
    /// (`EMFILE`, …) may pass: back off and try again.
    pub async fn accept(&mut self) -> io::Result<(Stream, PeerFacts)> {
        match self {
            Self::Unix(listener) => listener.accept().await,
            Self::Tcp(listener) => listener.accept().await,
        }
    }

    /// Whether this peer may join: a Unix socket that is closed to group and others is for its own user and root.
    pub fn admits(&self, peer: &PeerFacts) -> bool {
        match self {
            Self::Unix(listener) => listener.admits(peer),
            // Bound to loopback only: whoever reaches it is on this machine.
            Self::Tcp(_) => true,
        }
    }

    /// Where it listens in fact: an absolute path, the real port, the host as the first of its IP addresses.
    pub fn address(&self) -> &Address {
        match self {
            Self::Unix(listener) => listener.address(),
            Self::Tcp(listener) => listener.address(),
        }
    }

    /// [`address`](Self::address) as a URL.
    pub fn url(&self) -> String {
        self.address().to_string()
    }

    /// Whether the socket's file, and the lock beside it, are where they were made. Nobody can take a TCP port away.
    pub fn is_in_place(&self) -> bool {
        match self {
            Self::Unix(listener) => listener.is_in_place(),
            Self::Tcp(_) => true,
        }
    }

    /// Makes them again where somebody removed or replaced them; those who are connected stay.
    ///
    /// Errors, all of which may pass: `ENOENT` (its directory is gone), `ENOTSOCK`, `EADDRINUSE` (somebody else listens
    /// there now), `EACCES`, …
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn put_back(&mut self) -> Result<()> {
        match self {
            Self::Unix(listener) => listener.put_back(),
            Self::Tcp(_) => Ok(()),
        }
    }

    /// Who was on the bus of this address before, and where to note who is now. On TCP there is nothing of both.
    pub fn take_roster(&mut self) -> (Option<RosterFile>, Before) {
        match self {
            Self::Unix(listener) => listener.take_roster(),
            Self::Tcp(_) => (None, Before::Untold),
        }
    }

    /// Says that the files beside the socket are in use, to those who remove old ones. Every few seconds.
    pub fn refresh(&self) {
        if let Self::Unix(listener) = self {
            listener.refresh();
        }
    }

    /// [`release`](Self::release), where the bus goes on with whoever listens next; whether a roster tells that one who
    /// is on it.
    pub fn hand_over(&mut self, told: bool) {
        match self {
            Self::Unix(listener) => listener.hand_over(told),
            Self::Tcp(listener) => listener.release(),
        }
    }

    /// What a process-exit hook on another thread needs to remove the socket file.
    pub fn unlinker(&self) -> Option<SocketFile> {
        match self {
            Self::Unix(listener) => Some(listener.file().clone()),
            Self::Tcp(_) => None,
        }
    }

    /// Stops listening and gives the address up: removes the socket file if it is still ours, then lets the
    /// next owner in. Dropping does the same.
    pub fn release(&mut self) {
        match self {
            Self::Unix(listener) => listener.release(),
            Self::Tcp(listener) => listener.release(),
        }
    }
}

fn in_use(what: &str, address: &str, pid: Option<u32>) -> Error {
    let whose = pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default();
    let message = format!("EADDRINUSE: {what} already listens at '{address}'{whose}");
    Error::os("EADDRINUSE", message)
}

fn released() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "this listener was released")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_later_versions_are_refused() {
        for url in ["tls://localhost:1", "nats://localhost:1"] {
            let address: Address = url.parse().expect(url);
            let errors = [
                Listener::bind(&address, &ListenOptions::default()).expect_err(url),
                Target::resolve(&address).expect_err(url),
            ];
            for error in errors {
                assert_eq!(error.code(), "ERR_INVALID_ARG");
                assert!(error.message().contains("not supported yet"), "{error}");
            }
        }
    }
}
