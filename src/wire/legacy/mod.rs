//! The original's wire: JSON objects `{id, method, data, nodeName}`, each ended by a NUL byte, and the bare text `PING`.
//!
//! A pure codec: bytes in, messages out, and back. What nodes say to each other is never turned into values: arguments
//! are cut out of the text they came in, so numbers, key order, duplicate keys and `__proto__` pass as they were sent.
//! The layout of each message is in `docs/PROTOCOL.md`.
//!
//! Reading order: [`decode`] what such a node says, [`encode`] what it is told, [`packed`] how a native body with
//! attachments becomes JSON for it, [`text`] the walk over JSON text that all three stand on.

mod decode;
mod encode;
mod packed;
mod tags;
mod text;

pub use decode::LegacyDecoder;
pub use encode::LegacyEncoder;
pub use packed::json_from_packed;

use std::fmt;

use bytes::Bytes;

#[cfg(test)]
use crate::error::Result;
use crate::error::{Code, Error};
use text::Json;

/// Well-formed JSON text, byte for byte as a peer sent it, without whitespace around it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RawJson(Box<str>);

impl RawJson {
    #[cfg(test)]
    /// Takes bytes that are one JSON value; `ERR_PROTOCOL` if they are anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Json::parse(bytes).map(Self::from)
    }

    /// The text, in which a NUL byte can stand nowhere.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, to be passed on; nothing is copied.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_boxed_bytes().into()
    }

    /// The number of a message that [`LegacyEncoder::publish`] numbered: `7`, or `"7"` from peers whose keys are strings.
    pub fn as_u32(&self) -> Option<u32> {
        let unquoted = self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        unquoted.unwrap_or(&self.0).parse().ok()
    }
}

/// A copy: a slice would keep alive the whole read buffer it was cut from, which no queue would account for.
impl From<Json<'_>> for RawJson {
    fn from(json: Json<'_>) -> Self {
        Self(json.as_str().into())
    }
}

impl fmt::Debug for RawJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a node that speaks the original's wire says. `args` are always the text of a JSON array.
///
/// Only IDENT tells who speaks: afterwards the sender is the connection's node, whatever a message's `nodeName` claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegacyMessage {
    /// `PING`: answer with [`LegacyEncoder::pong`].
    Ping,
    /// A node introduces itself; acknowledged by `[null]` or by the error `duplicate-node`.
    Ident {
        /// What the acknowledgement refers to.
        id: RawJson,
        /// The id it wants: 1 to 255 bytes, no ':'.
        node: String,
    },
    /// An event for one node.
    Publish {
        /// What the acknowledgement, which is the reply, refers to.
        id: RawJson,
        /// The receiver.
        to: String,
        /// The event's name.
        event: String,
        /// The event's arguments.
        args: RawJson,
    },
    /// An event for every other node.
    Broadcast {
        /// The event's name.
        event: String,
        /// The event's arguments.
        args: RawJson,
    },
    /// A call to the bridge's process.
    Rpc {
        /// What the acknowledgement, which is the reply, refers to.
        id: RawJson,
        /// The method's name.
        method: String,
        /// The method's arguments.
        args: RawJson,
    },
    /// The reply to a PUBLISH that this node received.
    Ack {
        /// The node that sent the PUBLISH.
        to: String,
        /// The id which that PUBLISH carried.
        id: RawJson,
        /// The reply's arguments.
        args: RawJson,
    },
    /// The node leaves; acknowledged by `[]`.
    Leave {
        /// What the acknowledgement refers to.
        id: RawJson,
    },
    /// A well-formed message of a method that no node has for the bridge.
    Unknown {
        /// The method as sent.
        method: String,
    },
}

/// The error for bytes that are not this wire.
fn malformed(why: impl fmt::Display) -> Error {
    Error::new(Code::Protocol, format!("not the original's wire: {why}"))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
