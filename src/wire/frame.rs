//! The binary wire: what one frame is, byte by byte. `docs/PROTOCOL.md` says the same with hex dumps.
//!
//! Every frame is `u32 length` (of what follows), `u8 kind`, `u8 flags`, then the kind's own fields; all numbers
//! are little-endian. *Routed* frames share one head, so that the bridge forwards a frame by rewriting two slots.

use super::time_left::TimeLeft;
use crate::error::{Code, Error, Result};

/// What a peer that speaks this wire sends first: never `{` or `P`, with which the original's wire begins.
pub const MAGIC: [u8; 4] = [0xBB, b'b', b'u', b's'];
/// The version in the preamble. A peer with another one is told so and closed.
pub const VERSION: u16 = 1;
/// `MAGIC`, version, two reserved bytes.
pub const PREAMBLE_LEN: usize = 8;

/// Bytes of the length field.
pub const LENGTH_LEN: usize = 4;
/// Bytes of a routed frame before its body, the length field included.
pub const ROUTED_LEN: usize = LENGTH_LEN + 20;
/// Bytes of a chunk frame before its bytes, the length field included.
pub const CHUNK_HEAD_LEN: usize = LENGTH_LEN + 6;
/// The first bytes of a large message's opening body: its stream and its total length.
pub const LARGE_HEAD_LEN: usize = 12;

/// A body above this travels in chunks, so that it holds up nobody else on the link.
pub const MAX_INLINE: usize = 64 * 1024;
/// Body bytes of one chunk: big enough that its overhead vanishes, small enough to wait behind.
pub const CHUNK_LEN: usize = 128 * 1024;
/// No frame is longer: what `length` may claim at the most.
pub const MAX_FRAME: usize = CHUNK_LEN + 64;
/// Node ids, in bytes of UTF-8.
pub const MAX_ID: usize = 255;
/// Event and method names, in bytes of UTF-8.
pub const MAX_NAME: usize = 1024;
/// Sentences that say why, in bytes of UTF-8: a longer one, made of what somebody else said, would exceed a frame.
pub const MAX_SENTENCE: usize = 4096;

/// The kinds of frames. "up" is from a node to its bridge, "down" the other way.
pub mod kind {
    /// up: who I am.
    pub const HELLO: u8 = 0x01;
    /// down: you are on the bus.
    pub const WELCOME: u8 = 0x02;
    /// both: why this link is about to be closed.
    pub const REJECT: u8 = 0x03;
    /// both: from now on this slot stands for this name.
    pub const NAME: u8 = 0x04;
    /// up: broadcasts of this event concern me.
    pub const LISTEN: u8 = 0x05;
    /// up: and now they do not.
    pub const UNLISTEN: u8 = 0x06;
    /// up: how many routed, chunk, GONE and WATCH frames this link has brought me.
    pub const ACK: u8 = 0x07;
    /// down: these of your messages have reached everyone they concern.
    pub const SETTLED: u8 = 0x08;
    /// both: are you there?
    pub const PING: u8 = 0x09;
    /// both: I am.
    pub const PONG: u8 = 0x0A;
    /// up: I have nothing more to say.
    pub const LEAVE: u8 = 0x0B;
    /// down: all you said has been forwarded; goodbye.
    pub const LEFT: u8 = 0x0C;
    /// down: the bus ends, with the values of `bridge.close`.
    pub const CLOSE: u8 = 0x0D;
    /// down: a node you sent something to is gone.
    pub const GONE: u8 = 0x0E;
    /// down: from now on this slot stands for this node, in this session of it.
    pub const PEER: u8 = 0x0F;
    /// routed: a directed event.
    pub const MESSAGE: u8 = 0x10;
    /// routed: an event for all who listen.
    pub const BROADCAST: u8 = 0x11;
    /// routed, up: a call of the bridge's own process.
    pub const RPC: u8 = 0x12;
    /// routed: the answer to a `MESSAGE` or an `RPC`.
    pub const REPLY: u8 = 0x13;
    /// routed: why there will be no answer, or no delivery.
    pub const REFUSE: u8 = 0x14;
    /// routed, up: who is on the bus?
    pub const ROSTER: u8 = 0x15;
    /// down: what you sent this node from here on did not reach it; say it again, behind a `REPLAY`.
    pub const RESEND: u8 = 0x16;
    /// up: what follows for this node is all it lacks from this number on; until now nothing of mine was to be forwarded.
    pub const REPLAY: u8 = 0x17;
    /// both: more bytes of a large message.
    pub const CHUNK: u8 = 0x18;
    /// up: from this number on I keep back what is for this node until it has room; forward nothing of mine to it.
    pub const SKIP: u8 = 0x19;
    /// up: I wait for something of this node: tell me if it is not there, or no longer. down: has that node's question
    /// reached you, or somebody who had your id before?
    pub const WATCH: u8 = 0x1A;
    /// both: where large bodies of mine can be read without a socket, if that can be done where you are.
    pub const OFFER: u8 = 0x1B;
    /// both: I read yours there from now on, or no longer.
    pub const ACCEPT: u8 = 0x1C;
    /// up: it has not.
    pub const UNHEARD: u8 = 0x1D;
    /// routed: whoever asked under this correlation waits no longer.
    pub const CANCEL: u8 = 0x1E;
    /// up: LEAVE follows when all is settled; nothing is to wait for nodes that may yet come.
    pub const LEAVING: u8 = 0x1F;
    /// routed, up: tell me when this node is there, and listens.
    pub const AWAIT: u8 = 0x20;
    /// up: these of the frames that came are put aside here; no ACK is about them.
    pub const DEFER: u8 = 0x21;
    /// up: these, which were put aside, have been taken.
    pub const TAKEN: u8 = 0x22;
}

/// The bits of a frame's second byte.
pub mod flag {
    /// A reply is wanted: `correlation` says under which number.
    pub const ASK: u8 = 1;
    /// The body is only the opening of a large message; chunks follow.
    pub const LARGE: u8 = 1 << 1;
    /// Where the two bits of the body's [`Encoding`](super::Encoding) begin.
    pub const ENCODING_SHIFT: u8 = 2;
    /// On a chunk: the sender gave up; forget what came.
    pub const ABORT: u8 = 1 << 4;
    /// On a chunk with `ABORT`: the sender lost its link and will say it again; what is behind goes on waiting for it.
    pub const LOST: u8 = 1 << 5;
    /// On a MESSAGE or a REPLY: the body only says where the real one lies in shared memory.
    pub const SHARED: u8 = 1 << 5;
    /// On a routed frame, down: the bridge itself says it, on nobody's behalf. `seq` is the number of what it refuses, or
    /// with `OWN` its own.
    pub const BRIDGE: u8 = 1 << 6;
    /// On a routed frame, down: `seq` numbers what the bridge itself says to its nodes.
    pub const OWN: u8 = 1 << 7;
}

/// How a body's bytes are to be read; only the ends look inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Encoding {
    /// The text of a JSON array.
    Json = 0,
    /// JSON with attachments beside it.
    Packed = 1,
    /// V8's structured clone.
    CloneV8 = 2,
    /// JavaScriptCore's structured clone.
    CloneJsc = 3,
}

impl Encoding {
    /// The bits that it takes.
    pub const BITS: u8 = 3;

    /// From its two bits.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & Self::BITS {
            0 => Self::Json,
            1 => Self::Packed,
            2 => Self::CloneV8,
            _ => Self::CloneJsc,
        }
    }
}

/// The head that all routed frames share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// One of the routed [`kind`]s.
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// Slot of the other node: the receiver on the way up, the sender on the way down; 0: the bridge.
    pub peer: u16,
    /// Slot of the event or method; 0: none.
    pub event: u16,
    /// Of a question: how long its asker goes on waiting.
    pub time_left: TimeLeft,
    /// Number under which the asker waits for a reply; 0: it does not.
    pub correlation: u32,
    /// The sender's session numbers its messages from 1; 0: from the bridge itself.
    pub seq: u64,
}

impl Head {
    /// Whether the sender waits for a reply.
    pub const fn asks(&self) -> bool {
        self.flags & flag::ASK != 0
    }

    /// Whether chunks follow.
    pub const fn is_large(&self) -> bool {
        self.flags & flag::LARGE != 0
    }

    /// Whether the body lies in shared memory.
    pub const fn is_shared(&self) -> bool {
        self.flags & flag::SHARED != 0
    }

    /// How the body is to be read.
    pub const fn encoding(&self) -> Encoding {
        Encoding::from_bits(self.flags >> flag::ENCODING_SHIFT)
    }

    /// Appends length and head for a body of `body_len` bytes, which the caller appends next.
    pub fn encode(&self, body_len: usize, out: &mut Vec<u8>) {
        let mut bytes = [0; ROUTED_LEN];
        self.encode_at(body_len, &mut bytes);
        out.extend_from_slice(&bytes);
    }

    /// Writes length and head to the first [`ROUTED_LEN`] bytes of `bytes`.
    pub fn encode_at(&self, body_len: usize, bytes: &mut [u8]) {
        bytes[0..4].copy_from_slice(&((ROUTED_LEN - LENGTH_LEN + body_len) as u32).to_le_bytes());
        bytes[4] = self.kind;
        bytes[5] = self.flags;
        bytes[6..8].copy_from_slice(&self.peer.to_le_bytes());
        bytes[8..10].copy_from_slice(&self.event.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.time_left.0.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.correlation.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.seq.to_le_bytes());
    }

    /// Reads the head of a routed frame and returns it with the body.
    pub fn decode<'a>(frame: &RawFrame<'a>) -> Result<(Self, &'a [u8])> {
        const FIELDS: usize = ROUTED_LEN - LENGTH_LEN - 2;
        let Some((fields, body)) = frame.payload.split_first_chunk::<FIELDS>() else {
            return Err(malformed("a routed frame is shorter than its head"));
        };
        let head = Self {
            kind: frame.kind,
            flags: frame.flags,
            peer: u16::from_le_bytes([fields[0], fields[1]]),
            event: u16::from_le_bytes([fields[2], fields[3]]),
            time_left: TimeLeft(u16::from_le_bytes([fields[4], fields[5]])),
            correlation: u32::from_le_bytes([fields[6], fields[7], fields[8], fields[9]]),
            seq: u64::from_le_bytes([
                fields[10], fields[11], fields[12], fields[13], fields[14], fields[15], fields[16], fields[17],
            ]),
        };
        Ok((head, body))
    }
}

/// One frame as it lies in the input: kind, flags, and the bytes after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawFrame<'a> {
    /// See [`kind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// What follows the flags.
    pub payload: &'a [u8],
}

impl<'a> RawFrame<'a> {
    /// Whether its flags say no more than whether a reply is wanted and how the body is to be read: a small message of a
    /// node's, as most are.
    pub const fn is_plain(&self) -> bool {
        self.flags & !(flag::ASK | Encoding::BITS << flag::ENCODING_SHIFT) == 0
    }

    /// The first frame of `input` and how many bytes it takes; `None`: more bytes are needed.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` for a length below two or above [`MAX_FRAME`], before anything is allocated for it.
    #[inline]
    pub fn decode(input: &'a [u8]) -> Result<Option<(Self, usize)>> {
        let Some(length) = frame_length(input)? else { return Ok(None) };
        let Some(frame) = input.get(LENGTH_LEN..length) else { return Ok(None) };
        Ok(Some((Self { kind: frame[0], flags: frame[1], payload: &frame[2..] }, length)))
    }
}

/// Bytes of the frame that starts `input`, its length field included; `None`: not even that has come.
#[inline]
pub fn frame_length(input: &[u8]) -> Result<Option<usize>> {
    let Some(field) = input.first_chunk::<LENGTH_LEN>() else { return Ok(None) };
    let length = u32::from_le_bytes(*field) as usize;
    if !(2..=MAX_FRAME).contains(&length) {
        return Err(bad_length(length));
    }
    Ok(Some(LENGTH_LEN + length))
}

#[cold]
fn bad_length(length: usize) -> Error {
    malformed(format!("a frame of {length} bytes; 2 to {MAX_FRAME} are allowed"))
}

/// Appends the preamble.
pub fn encode_preamble(out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
}

/// Checks the preamble at the front of `input`; `None`: more bytes are needed.
///
/// # Errors
/// `ERR_PROTOCOL` as soon as a byte differs, or for a version that is not ours.
pub fn check_preamble(input: &[u8]) -> Result<Option<()>> {
    let known = input.len().min(MAGIC.len());
    if input[..known] != MAGIC[..known] {
        return Err(malformed("the first bytes are not this protocol's"));
    }
    let Some(preamble) = input.first_chunk::<PREAMBLE_LEN>() else { return Ok(None) };
    let version = u16::from_le_bytes([preamble[4], preamble[5]]);
    if version != VERSION {
        return Err(malformed(format!("version {version} of the protocol; this side speaks {VERSION}")));
    }
    Ok(Some(()))
}

/// Appends a frame whose payload `write` appends.
pub fn encode_with(kind: u8, flags: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind, flags]);
    write(out);
    let length = (out.len() - start - LENGTH_LEN) as u32;
    out[start..start + LENGTH_LEN].copy_from_slice(&length.to_le_bytes());
}

/// Appends the length and head of a chunk; its `len` bytes go behind.
pub fn encode_chunk_head(stream: u32, flags: u8, len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&((CHUNK_HEAD_LEN - LENGTH_LEN + len) as u32).to_le_bytes());
    out.extend_from_slice(&[kind::CHUNK, flags]);
    out.extend_from_slice(&stream.to_le_bytes());
}

/// Reads a chunk: its stream and its bytes.
pub fn decode_chunk<'a>(frame: &RawFrame<'a>) -> Result<(u32, &'a [u8])> {
    let Some((stream, bytes)) = frame.payload.split_first_chunk::<4>() else {
        return Err(malformed("a chunk without a stream"));
    };
    Ok((u32::from_le_bytes(*stream), bytes))
}

/// The opening body of a large message.
pub fn large_head(stream: u32, total: u64) -> [u8; LARGE_HEAD_LEN] {
    let mut bytes = [0; LARGE_HEAD_LEN];
    bytes[..4].copy_from_slice(&stream.to_le_bytes());
    bytes[4..].copy_from_slice(&total.to_le_bytes());
    bytes
}

/// Reads the opening body of a large message: stream, total length.
pub fn decode_large_head(body: &[u8]) -> Result<(u32, u64)> {
    let mut fields = Fields(body);
    let large = (fields.u32()?, fields.u64()?);
    if !fields.0.is_empty() {
        return Err(malformed("bytes behind the opening of a large message"));
    }
    Ok(large)
}

/// A REFUSE body: the code and a sentence, of which [`MAX_SENTENCE`] bytes are kept.
pub fn refusal(code: Code, text: &str) -> Vec<u8> {
    let end = (0..=text.len().min(MAX_SENTENCE)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or_default();
    let text = &text[..end];
    let mut body = Vec::with_capacity(1 + text.len());
    body.push(code as u8);
    body.extend_from_slice(text.as_bytes());
    body
}

/// Reads a REFUSE or REJECT body.
pub fn decode_refusal(body: &[u8]) -> Result<(Code, &str)> {
    let mut fields = Fields(body);
    Ok((Code::from_wire(fields.u8()?), utf8(fields.0)?))
}

/// Reads numbers off the front of a payload; too few bytes are `ERR_PROTOCOL`.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next bytes.
    pub fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some((taken, rest)) = self.0.split_first_chunk::<N>() else {
            return Err(malformed("a frame ends before its fields do"));
        };
        self.0 = rest;
        Ok(*taken)
    }

    /// The next byte.
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.take::<1>()?[0])
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// A string with its length in two bytes before it, of at most `max` bytes.
    pub fn text(&mut self, max: usize) -> Result<&'a str> {
        let length = usize::from(self.u16()?);
        if length > max || length > self.0.len() {
            return Err(malformed(format!("a string of {length} bytes; {} are allowed", max.min(self.0.len()))));
        }
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        utf8(text)
    }
}

/// Appends a string with its length before it.
pub fn put_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Text, or `ERR_PROTOCOL`.
pub fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| malformed("a string that is not UTF-8"))
}

/// The error for bytes that are not this protocol.
pub fn malformed(what: impl Into<String>) -> Error {
    Error::new(Code::Protocol, what)
}
