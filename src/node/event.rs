//! What a node's process is told, with the bodies and the names in it.

use std::rc::Rc;

use crate::error::Code;
use crate::pool::Lease;
use crate::senders::Sender;
use crate::wire::control::Welcome;
use crate::wire::frame::{Encoding, Head};
use crate::wire::time_left::TimeLeft;

/// A body: where it lies in the input, or put together from chunks.
#[derive(Debug)]
pub enum Payload<'a> {
    Borrowed(&'a [u8]),
    Owned(Lease),
}

impl Payload<'_> {
    /// The bytes, wherever they lie.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Borrowed(bytes) => bytes,
            Payload::Owned(bytes) => bytes.bytes(),
        }
    }
}

/// What a slot stands for: an event, or somebody who says things.
#[derive(Clone, Debug)]
pub struct Name {
    pub text: Rc<str>,
    /// Of a node in one of its sessions.
    pub sender: Option<Rc<Sender>>,
}

impl Name {
    /// The session, if it is the name of a node.
    pub(super) fn session(&self) -> Option<u64> {
        self.sender.as_ref().map(|sender| sender.session)
    }
}

/// What the node's process is to be told.
#[derive(Debug)]
pub enum Event<'a> {
    /// The bridge knows us.
    Online(Welcome),
    /// The bridge does not want us, or not any longer.
    Rejected { code: Code, text: String },
    /// From now on a slot of deliveries stands for this name; of a node, in this session of it.
    Name { slot: u16, name: Rc<str>, session: Option<u64> },
    /// Somebody said something.
    Delivery(Delivery<'a>),
    /// The reply to a request.
    Reply { correlation: u32, encoding: Encoding, body: Payload<'a> },
    /// A request ended without a reply.
    Failed { correlation: u32, code: Code, text: String },
    /// A node does not wait any longer for what it asked under this number.
    Cancelled { from: Rc<str>, session: u64, correlation: u32, code: Code },
    /// A node is gone, in this session of it (0: in any), and waits for nothing.
    Departed { node: Rc<str>, session: u64 },
    /// A message that nobody waits for could not be delivered.
    Undeliverable { node: Rc<str>, event: Rc<str>, code: Code },
    /// Sending may go on.
    Drain,
    /// The bridge has forwarded all we said before we left.
    Left,
    /// The bus ended, with the values of `bridge.close`.
    Ended { encoding: Encoding, body: Payload<'a> },
}

/// A MESSAGE or BROADCAST; slots as named before, 0 the bridge.
#[derive(Debug)]
pub struct Delivery<'a> {
    pub kind: u8,
    pub from: u16,
    pub event: u16,
    /// 0: no reply is wanted.
    pub correlation: u32,
    pub encoding: Encoding,
    /// How long its sender goes on waiting for the reply.
    pub time_left: TimeLeft,
    pub body: Payload<'a>,
}

impl<'a> Delivery<'a> {
    pub(super) fn new(head: Head, body: Payload<'a>) -> Self {
        let correlation = if head.asks() { head.correlation } else { 0 };
        let Head { kind, peer: from, event, time_left, .. } = head;
        Self { kind, from, event, correlation, encoding: head.encoding(), time_left, body }
    }
}
