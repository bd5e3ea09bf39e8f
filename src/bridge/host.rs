//! The bridge's own process as a peer: calls to it, and what it is told.

use std::rc::Rc;

use bytes::Bytes;

use super::member::{Departure, MemberKey, NodeInfo};
use super::router::Router;
use super::routing::too_large_text;
use super::symbols::Symbol;
use crate::error::Code;
use crate::wire::control::charge;
use crate::wire::frame::{Encoding, Head, decode_refusal, kind, refusal};
use crate::wire::time_left::TimeLeft;

/// What concerns the process that hosts the bridge.
#[derive(Debug)]
pub enum Event {
    /// Somebody calls a method of the host.
    Rpc(RpcCall),
    /// A caller does not wait any longer, and why.
    Cancelled(Caller, Code),
    /// A node is on the bus.
    Joined(NodeInfo),
    /// A node is no longer on the bus.
    Left(NodeInfo, Departure),
}

/// A call of the host's own process.
#[derive(Debug)]
pub struct RpcCall {
    pub caller: Caller,
    /// The caller's id.
    pub from: Rc<str>,
    pub method: Rc<str>,
    pub encoding: Encoding,
    /// How long the caller goes on waiting.
    pub time_left: TimeLeft,
    pub body: Bytes,
}

/// Who waits for an answer of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub(super) member: MemberKey,
    /// 0: it does not wait.
    pub correlation: u32,
}

impl Caller {
    /// As numbers, for a host that speaks another language.
    pub const fn to_parts(self) -> [u32; 3] {
        [self.member.place, self.member.incarnation, self.correlation]
    }

    /// From such numbers.
    pub fn from_parts(parts: &[u32]) -> Option<Self> {
        let &[place, incarnation, correlation] = parts else { return None };
        Some(Self { member: MemberKey { place, incarnation }, correlation })
    }
}
impl Router {
    /// The host has taken a call of so many bytes.
    pub fn host_took(&mut self, bytes: usize) {
        self.host_pending = self.host_pending.saturating_sub(charge(bytes as u64) as usize);
    }

    /// The host answers a call; an answer to somebody who left is dropped, one that is too large for its asker refused.
    pub fn answer(&mut self, caller: Caller, encoding: Encoding, body: Bytes) {
        if !self.is_member(caller.member) || caller.correlation == 0 {
            return;
        }
        let (len, most) = (body.len() as u64, self.most_taken_by(caller.member));
        if len <= most {
            return self.push_from_bridge(caller.member, kind::REPLY, caller.correlation, None, encoding, body);
        }
        // Its asker would take the answer for the word of a bridge gone mad, each time it is said.
        self.counters.undeliverable.increment();
        let body = refusal(Code::TooLarge, &too_large_text(len, most)).into();
        self.push_from_bridge(caller.member, kind::REFUSE, caller.correlation, None, Encoding::Json, body);
    }

    /// The host has no such method, or no room for the call.
    pub fn refuse_call(&mut self, caller: Caller, method: &str, code: Code, text: &str) {
        if self.is_member(caller.member) {
            let (method, body) = (self.symbols.acquire(method), refusal(code, text).into());
            self.push_from_bridge(caller.member, kind::REFUSE, caller.correlation, Some(method), Encoding::Json, body);
            self.symbols.release(method);
        }
    }

    pub(super) fn call_host(&mut self, sender: MemberKey, head: Head, method: Option<Symbol>, body: Bytes) {
        let Some(symbol) = method else { return };
        let method = self.symbols.name(symbol).clone();
        let correlation = if head.asks() { head.correlation } else { 0 };
        let caller = Caller { member: sender, correlation };
        let weight = charge(body.len() as u64) as usize;
        if self.host_pending + weight > self.limits.max_pending {
            let text = format!("the bridge's process has not taken {} bytes of calls yet", self.host_pending);
            self.counters.undeliverable.increment();
            return self.refuse_call(caller, &method, Code::QueueFull, &text);
        }
        self.host_pending += weight;
        let from = self.symbols.name(self.members[sender.place as usize].id).clone();
        let (encoding, time_left) = (head.encoding(), head.time_left);
        self.events.push_back(Event::Rpc(RpcCall { caller, from, method, encoding, time_left, body }));
    }

    /// Whoever called the host under this correlation gave up.
    pub(super) fn cancel_call(&mut self, caller: MemberKey, head: &Head, body: &[u8]) {
        if self.cancel_arrival(caller, head.correlation) {
            return;
        }
        let code = decode_refusal(body).map_or(Code::Aborted, |(code, _)| code);
        let caller = Caller { member: caller, correlation: head.correlation };
        self.events.push_back(Event::Cancelled(caller, code));
    }
}
