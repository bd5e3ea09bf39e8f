//! A link that speaks the original's wire: its JSON messages to and from what the router moves.

use bytes::{Bytes, BytesMut};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

use super::link::{Body, LinkKey, Wire};
use super::member::{Departure, MemberKey};
use super::membership::Newcomer;
use super::router::Router;
use super::settling::{InFlight, Settlements};
use super::symbols::Symbol;
use crate::error::{Code, Result};
use crate::senders::Senders;
use crate::wire::frame::{Encoding, Head, decode_refusal, flag, kind};
use crate::wire::legacy::{LegacyDecoder, LegacyEncoder, LegacyMessage, RawJson, json_from_packed};
use crate::wire::time_left::TimeLeft;

/// Questions a legacy peer may have open; its wire has no way to take one back, so the oldest are forgotten.
const MAX_ASKS: usize = 16_384;
/// Numbers of questions stay below this: JavaScript keeps them as small integers.
const ASKS: u32 = 1 << 30;

/// The state of such a link.
#[derive(Debug, Default)]
pub struct LegacyLink {
    input: BytesMut,
    decoder: LegacyDecoder,
    encoder: LegacyEncoder,
    /// What was queued and is not yet written, with the count of bytes written when it is. This wire acknowledges
    /// nothing, so written is settled.
    unwritten: VecDeque<(u64, InFlight)>,
    written: u64,
    /// Those it got something of.
    pub senders: Senders,
    asks: FxHashMap<u32, Ask>,
    ask_order: VecDeque<u32>,
    last_ask: u32,
}

/// A PUBLISH or RPC whose ACK has not come.
#[derive(Debug)]
struct Ask {
    id: RawJson,
    /// Whom it went to; empty: the bridge.
    to: String,
}

impl LegacyLink {
    /// A link whose questions are numbered from anywhere: replies meant for an earlier one under the same id are not its.
    pub fn new(first_ask: u32) -> Self {
        Self { last_ask: first_ask % ASKS, ..Self::default() }
    }

    /// Whether the first bytes of a connection are this wire's.
    pub fn recognizes(first: &[u8]) -> bool {
        matches!(first.first(), Some(b'{' | b'P' | b'\n' | b'\r' | 0))
    }

    /// The number under which the peer waits for an answer to its message `id`.
    fn ask(&mut self, id: RawJson, to: &str) -> u32 {
        if self.ask_order.len() >= MAX_ASKS
            && let Some(oldest) = self.ask_order.pop_front()
        {
            self.asks.remove(&oldest);
        }
        self.last_ask = if self.last_ask + 1 < ASKS { self.last_ask + 1 } else { 1 };
        self.ask_order.push_back(self.last_ask);
        self.asks.insert(self.last_ask, Ask { id, to: to.to_owned() });
        self.last_ask
    }

    /// Whether `node` (empty: the bridge) is whom that question went to: nobody else may answer it.
    pub fn asked(&self, node: &str, correlation: u32) -> bool {
        self.asks.get(&correlation).is_some_and(|ask| ask.to == node)
    }

    fn answered(&mut self, correlation: u32) -> Option<Ask> {
        let ask = self.asks.remove(&correlation)?;
        while self.ask_order.front().is_some_and(|oldest| !self.asks.contains_key(oldest)) {
            self.ask_order.pop_front();
        }
        Some(ask)
    }

    /// `count` bytes more are written.
    pub fn wrote(&mut self, count: usize, settlements: &mut Settlements) {
        self.written += count as u64;
        while self.unwritten.front().is_some_and(|(end, _)| *end <= self.written) {
            self.unwritten.pop_front().into_iter().for_each(|(_, frame)| settlements.frame(frame));
        }
    }

    /// Messages that are queued and not written.
    pub fn unwritten(&self) -> usize {
        self.unwritten.len()
    }

    /// Bytes that were ever written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Takes what will never be written.
    pub fn abandon(&mut self) -> impl Iterator<Item = InFlight> + use<> {
        std::mem::take(&mut self.unwritten).into_iter().map(|(_, frame)| frame)
    }

    /// Answers a question with an error; the original's errors are strings.
    pub fn push_refusal(&mut self, correlation: u32, text: &str, out: &mut Vec<u8>) {
        if let Some(ask) = self.answered(correlation) {
            self.encoder.ack_error(out, &ask.id, short_error(text));
        }
    }

    /// Whoever was asked is gone.
    pub fn push_gone(&mut self, node: &str, out: &mut Vec<u8>) {
        let asked: Vec<u32> = self.asks.iter().filter(|(_, ask)| ask.to == node).map(|(&number, _)| number).collect();
        for correlation in asked {
            self.push_refusal(correlation, "node-left", out);
        }
    }

    /// The bus ends.
    pub fn push_close(&mut self, encoding: Encoding, body: &[u8], out: &mut Vec<u8>) {
        let values = plain_json(encoding, body, usize::MAX).unwrap_or_else(|_| b"[]".to_vec());
        // Values that are no JSON array were made by this process; then the peer gets none.
        let _sent = self.encoder.close(out, &values).or_else(|_| self.encoder.close(out, b"[]"));
    }

    /// A reply or refusal of the bridge's own process; its events do not concern this wire.
    pub fn push_from_bridge(&mut self, head: &Head, body: &[u8], out: &mut Vec<u8>) {
        match head.kind {
            kind::REFUSE => {
                let text = decode_refusal(body).map_or("refused", |(_, text)| text);
                self.push_refusal(head.correlation, text, out);
            }
            _ => self.push_reply("", head, body, usize::MAX, out),
        }
    }

    fn push_reply(&mut self, from: &str, head: &Head, body: &[u8], max: usize, out: &mut Vec<u8>) {
        if !self.asked(from, head.correlation) {
            return;
        }
        let Some(ask) = self.answered(head.correlation) else { return };
        let sent = plain_json(head.encoding(), body, max).and_then(|args| self.encoder.ack(out, &ask.id, &args));
        if let Err(error) = sent {
            self.encoder.ack_error(out, &ask.id, error.message());
        }
    }
}

/// "unknown-node: …" and "duplicate-node: …" are the bare words on this wire.
fn short_error(text: &str) -> &str {
    match text.split_once(':') {
        Some((word @ ("unknown-node" | "duplicate-node"), _)) => word,
        _ => text,
    }
}

/// A body as the JSON that this wire carries.
fn plain_json(encoding: Encoding, body: &[u8], max: usize) -> Result<Vec<u8>> {
    match encoding {
        Encoding::Json => Ok(body.to_vec()),
        Encoding::Packed => json_from_packed(body, max),
        Encoding::CloneV8 | Encoding::CloneJsc => Err(crate::error::Error::new(
            Code::Unserializable,
            "the receiver speaks the original's wire, which carries JSON only: leave serialization at 'values'",
        )),
    }
}

impl Router {
    pub(super) fn read_legacy(&mut self, link: LinkKey, input: Bytes) -> Result<()> {
        let max = usize::try_from(self.limits.max_message).unwrap_or(usize::MAX);
        let Wire::Legacy(legacy) = &mut self.links[link.0 as usize].wire else { return Ok(()) };
        legacy.input.extend_from_slice(&input);
        loop {
            let state = &mut self.links[link.0 as usize];
            let Wire::Legacy(legacy) = &mut state.wire else { return Ok(()) };
            if state.closing {
                return Ok(());
            }
            let Some(message) = legacy.decoder.next(&mut legacy.input, max)? else { break };
            self.handle_legacy(link, message)?;
        }
        // A peer that once sent much does not keep a large buffer for ever.
        if let Wire::Legacy(legacy) = &mut self.links[link.0 as usize].wire
            && legacy.input.is_empty()
        {
            legacy.input = BytesMut::new();
        }
        Ok(())
    }

    fn handle_legacy(&mut self, link: LinkKey, message: LegacyMessage) -> Result<()> {
        match (message, self.link(link).member) {
            (LegacyMessage::Ping, _) => {
                self.with_legacy(link, |_, out| LegacyEncoder::pong(out));
            }
            (LegacyMessage::Ident { id, node }, None) => self.identify(link, &id, &node),
            (LegacyMessage::Ident { id, .. }, Some(_)) => {
                self.with_legacy(link, |legacy, out| legacy.encoder.ack_error(out, &id, "duplicate-node"));
            }
            // The original ignored what it did not know, and what came before IDENT has no sender.
            (LegacyMessage::Unknown { .. }, _) => self.counters.undeliverable.increment(),
            (_, None) => return Err(crate::wire::frame::malformed("the first message is not IDENT")),
            (message, Some(member)) => self.handle_legacy_member(link, member, message)?,
        }
        Ok(())
    }

    fn identify(&mut self, link: LinkKey, id: &RawJson, node: &str) {
        let now = self.link(link).progress;
        let max_message = self.limits.max_message;
        let process = None;
        let (lane, fresh, replaces) = (false, true, false);
        let newcomer = Newcomer { id: node, session: 0, secret: 0, process, max_message, lane, fresh, replaces };
        match self.add_member(link, &newcomer, now) {
            Ok(member) => {
                self.interests.listen_to_everything(member);
                let arrival = self.arrive(member);
                self.welcome_back(member, arrival);
                self.with_legacy(link, |legacy, out| legacy.encoder.ack(out, id, b"[null]").unwrap_or_default());
                self.announce_join(link, true, true);
                self.end_grace_if_over();
            }
            Err(_) => self.with_legacy(link, |legacy, out| legacy.encoder.ack_error(out, id, "duplicate-node")),
        }
    }

    fn handle_legacy_member(&mut self, link: LinkKey, member: MemberKey, message: LegacyMessage) -> Result<()> {
        match message {
            LegacyMessage::Publish { id, to, event, args } => {
                let correlation = self.with_legacy(link, |legacy, _| legacy.ask(id, &to));
                self.legacy_directed(member, kind::MESSAGE, correlation, (&to, &event), &args);
            }
            LegacyMessage::Ack { to, id, args } => {
                let Some(correlation) = id.as_u32().filter(|&number| number != 0) else { return Ok(()) };
                self.legacy_directed(member, kind::REPLY, correlation, (&to, ""), &args);
            }
            LegacyMessage::Broadcast { event, args } => {
                let event = self.symbols.acquire(&event);
                let head = legacy_head(kind::BROADCAST, 0);
                let body = args.into_bytes();
                self.broadcast(member, head, Some(event), &Body::new(&body, |bytes| body.slice_ref(bytes)));
                self.symbols.release(event);
            }
            LegacyMessage::Rpc { id, method, args } => {
                let correlation = self.with_legacy(link, |legacy, _| legacy.ask(id, ""));
                let method = self.symbols.acquire(&method);
                let head = legacy_head(kind::RPC, correlation);
                self.call_host(member, head, Some(method), args.into_bytes());
                self.symbols.release(method);
            }
            LegacyMessage::Leave { id } => {
                self.remove_member(member, Departure::Left);
                self.with_legacy(link, |legacy, out| legacy.encoder.ack(out, &id, b"[]").unwrap_or_default());
                self.close_when_written(link);
            }
            LegacyMessage::Ping | LegacyMessage::Ident { .. } | LegacyMessage::Unknown { .. } => {}
        }
        Ok(())
    }

    fn legacy_directed(
        &mut self,
        member: MemberKey,
        kind: u8,
        correlation: u32,
        (to, event): (&str, &str),
        args: &RawJson,
    ) {
        let to = self.symbols.acquire(to);
        let event = (!event.is_empty()).then(|| self.symbols.acquire(event));
        let body = Bytes::copy_from_slice(args.as_str().as_bytes());
        let shared = Body::new(&body, |bytes| body.slice_ref(bytes));
        self.forward(member, legacy_head(kind, correlation), (to, event), &shared);
        event.into_iter().chain([to]).for_each(|symbol| self.symbols.release(symbol));
    }

    fn with_legacy<T: Default>(&mut self, link: LinkKey, act: impl FnOnce(&mut LegacyLink, &mut Vec<u8>) -> T) -> T {
        let state = &mut self.links[link.0 as usize];
        let Wire::Legacy(legacy) = &mut state.wire else { return T::default() };
        let result = act(legacy, state.out.tail(&mut self.spares));
        self.mark_dirty(link);
        result
    }

    /// A routed message for a peer of the original's wire. What its wire cannot carry is refused to the sender.
    pub(super) fn deliver_legacy(
        &mut self,
        sender: MemberKey,
        receiver: MemberKey,
        head: Head,
        event: Option<Symbol>,
        body: &[u8],
        in_flight: InFlight,
    ) {
        let max = usize::try_from(self.limits.max_message).unwrap_or(usize::MAX);
        let Some(link) = self.members[receiver.place as usize].link else { return };
        let from = self.symbols.name(self.members[sender.place as usize].id).clone();
        let name = event.map(|event| self.symbols.name(event).clone()).unwrap_or_default();
        let sent = self.with_legacy(link, |legacy, out| {
            Some(match head.kind {
                kind::REPLY => {
                    legacy.push_reply(&from, &head, body, max, out);
                    Ok(())
                }
                kind::REFUSE => {
                    let text = decode_refusal(body).map_or("refused", |(_, text)| text);
                    if legacy.asked(&from, head.correlation) {
                        legacy.push_refusal(head.correlation, text, out);
                    }
                    Ok(())
                }
                kind::BROADCAST => {
                    plain_json(head.encoding(), body, max).and_then(|args| legacy.encoder.broadcast(out, &name, &args))
                }
                _ => plain_json(head.encoding(), body, max)
                    .and_then(|args| legacy.encoder.publish(out, &from, head.correlation, &name, &args)),
            })
        });
        let state = &mut self.links[link.0 as usize];
        let (Wire::Legacy(legacy), None | Some(Ok(()))) = (&mut state.wire, &sent) else {
            self.settlements.frame(in_flight);
            return self.refuse_legacy(sender, receiver, &head, event, sent);
        };
        legacy.unwritten.push_back((legacy.written + state.out.len() as u64, in_flight));
    }

    fn refuse_legacy(
        &mut self,
        sender: MemberKey,
        receiver: MemberKey,
        head: &Head,
        event: Option<Symbol>,
        sent: Option<Result<()>>,
    ) {
        if let Some(Err(error)) = sent {
            self.counters.undeliverable.increment();
            let peer = self.members[receiver.place as usize].id;
            let correlation = if head.kind == kind::MESSAGE { head.correlation } else { 0 };
            let refused = Head { correlation, ..*head };
            self.refuse(sender, (Some(peer), event), &refused, Code::Unserializable, error.message());
        }
    }
}

/// The head of a message from a peer that numbers nothing and always wants an answer.
fn legacy_head(kind: u8, correlation: u32) -> Head {
    let flags = if correlation != 0 && kind != kind::REPLY { flag::ASK } else { 0 };
    Head { kind, flags, peer: 0, event: 0, time_left: TimeLeft::NONE, correlation, seq: 0 }
}
