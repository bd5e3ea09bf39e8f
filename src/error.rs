//! What can go wrong, as users see it: a stable code and a message a human can act on.

use std::fmt;
use std::io;

/// The stable codes of `contract.d.ts` that cross the wire, with their wire numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Nobody has that id on the bus.
    UnknownNode = 1,
    /// The id is taken.
    DuplicateNode = 2,
    /// The node is there, nothing listens for that event.
    NoListener = 3,
    /// The bridge has no such rpc method.
    NoMethod = 4,
    /// The other side left or died before it replied.
    NodeLeft = 5,
    /// No reply within `replyTimeout`.
    Timeout = 6,
    /// The first connection failed `maxConnectionAttempts` times.
    NoBridge = 7,
    /// The node has left or the bus was closed.
    Closed = 8,
    /// `maxPending` bytes are waiting already.
    QueueFull = 9,
    /// The message exceeds `maxMessage`.
    TooLarge = 10,
    /// 'error', 'close', … cannot be sent to another process.
    ReservedEvent = 11,
    /// A malformed argument.
    InvalidArg = 12,
    /// An argument, or its encoding, that the other side cannot read.
    Unserializable = 13,
    /// The other side does not speak the protocol, or a version we do not.
    Protocol = 14,
    /// Wrong uid, token or certificate.
    Unauthorized = 15,
    /// Refuses to listen beyond this machine without token or TLS.
    Insecure = 16,
    /// Cut off: did not read for `stallTimeout` while its queue was full.
    SlowNode = 17,
    /// Another process of the same user took the id over.
    Replaced = 18,
    /// Whoever asked gave up.
    Aborted = 19,
}

impl Code {
    const ALL: [Self; 19] = [
        Self::UnknownNode,
        Self::DuplicateNode,
        Self::NoListener,
        Self::NoMethod,
        Self::NodeLeft,
        Self::Timeout,
        Self::NoBridge,
        Self::Closed,
        Self::QueueFull,
        Self::TooLarge,
        Self::ReservedEvent,
        Self::InvalidArg,
        Self::Unserializable,
        Self::Protocol,
        Self::Unauthorized,
        Self::Insecure,
        Self::SlowNode,
        Self::Replaced,
        Self::Aborted,
    ];

    /// The code as JavaScript sees it in `err.code`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownNode => "ERR_UNKNOWN_NODE",
            Self::DuplicateNode => "ERR_DUPLICATE_NODE",
            Self::NoListener => "ERR_NO_LISTENER",
            Self::NoMethod => "ERR_NO_METHOD",
            Self::NodeLeft => "ERR_NODE_LEFT",
            Self::Timeout => "ERR_TIMEOUT",
            Self::NoBridge => "ERR_NO_BRIDGE",
            Self::Closed => "ERR_CLOSED",
            Self::QueueFull => "ERR_QUEUE_FULL",
            Self::TooLarge => "ERR_TOO_LARGE",
            Self::ReservedEvent => "ERR_RESERVED_EVENT",
            Self::InvalidArg => "ERR_INVALID_ARG",
            Self::Unserializable => "ERR_UNSERIALIZABLE",
            Self::Protocol => "ERR_PROTOCOL",
            Self::Unauthorized => "ERR_UNAUTHORIZED",
            Self::Insecure => "ERR_INSECURE",
            Self::SlowNode => "ERR_SLOW_NODE",
            Self::Replaced => "ERR_REPLACED",
            Self::Aborted => "ABORT_ERR",
        }
    }

    /// The code that JavaScript knows by this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }

    /// The code with this wire number; a number we do not know (a newer peer's) reads as `Protocol`.
    pub fn from_wire(number: u8) -> Self {
        Self::ALL.into_iter().find(|code| *code as u8 == number).unwrap_or(Self::Protocol)
    }
}

/// An error with a stable code: one of [`Code`], or an operating system's name such as `EADDRINUSE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: &'static str,
    message: String,
}

/// The result of whatever can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of ours.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.as_str(), message: message.into() }
    }

    /// An error with an operating system's code, such as `("EADDRINUSE", …)`.
    pub fn os(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What the operating system said of `subject` (a path or an address).
    pub fn io(error: &io::Error, doing: &str, subject: &str) -> Self {
        let code = os_code(error);
        Self { code, message: format!("{code}: {error}, {doing} '{subject}'") }
    }

    /// The stable code, such as `ERR_PROTOCOL` or `EACCES`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The sentence for a human.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The name Node.js gives to an operating system error; `EIO` where std has no name for it either.
pub fn os_code(error: &io::Error) -> &'static str {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => "ENOENT",
        Kind::PermissionDenied => "EACCES",
        Kind::ConnectionRefused => "ECONNREFUSED",
        Kind::ConnectionReset => "ECONNRESET",
        Kind::ConnectionAborted => "ECONNABORTED",
        Kind::HostUnreachable => "EHOSTUNREACH",
        Kind::NetworkUnreachable => "ENETUNREACH",
        Kind::NotConnected => "ENOTCONN",
        Kind::AddrInUse => "EADDRINUSE",
        Kind::AddrNotAvailable => "EADDRNOTAVAIL",
        Kind::BrokenPipe => "EPIPE",
        Kind::AlreadyExists => "EEXIST",
        Kind::WouldBlock => "EAGAIN",
        Kind::NotADirectory => "ENOTDIR",
        Kind::IsADirectory => "EISDIR",
        Kind::ReadOnlyFilesystem => "EROFS",
        Kind::StorageFull => "ENOSPC",
        Kind::InvalidInput => "EINVAL",
        Kind::InvalidFilename => "ENAMETOOLONG",
        Kind::TimedOut => "ETIMEDOUT",
        Kind::OutOfMemory => "ENOMEM",
        Kind::UnexpectedEof => "ECONNRESET",
        Kind::Interrupted => "EINTR",
        _ => unnamed(error.raw_os_error().unwrap_or_default()),
    }
}

/// The same of those that std has no kind for.
fn unnamed(number: i32) -> &'static str {
    let linux = cfg!(any(target_os = "linux", target_os = "android"));
    match number {
        23 => "ENFILE",
        24 => "EMFILE",
        105 if linux => "ENOBUFS",
        55 if !linux => "ENOBUFS",
        _ => "EIO",
    }
}
