//! The frames that are not routed: joining, names, settling, leaving.

use super::frame::{
    Encoding, Fields, MAX_ID, MAX_NAME, RawFrame, decode_refusal, encode_with, flag, kind, malformed, put_text,
    refusal, utf8,
};
use crate::error::{Code, Result};

/// Longest token a HELLO may carry.
const MAX_TOKEN: usize = 1024;

/// What a node says first. Fields may be added at the end: a reader ignores what it does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Random; a node keeps it for its life, so that others know it again. 0: a node that keeps nothing of what it said, and
    /// is forgotten with its link.
    pub session: u64,
    /// Its process.
    pub pid: u32,
    /// Largest message it accepts, in bytes.
    pub max_message: u64,
    /// Its id.
    pub id: String,
    /// Proof that it belongs, where the bridge asks for one; else empty.
    pub token: String,
    /// Random, and told to nobody else: only with it a place is taken again. May be left out, as may all that follows.
    pub secret: u64,
    /// The bridge that last welcomed it; 0: none did.
    pub epoch: u64,
    /// Number of the last message of that bridge's own that it has got.
    pub heard: u64,
    /// LISTEN frames that follow, before which it has not quite come back.
    pub listens: u32,
    /// Whether it wants to be told OFFERs. May be left out by itself, with what follows.
    pub lane: bool,
    /// The pid namespace in which `pid` is its number; 0: unknown. May be left out, with what follows.
    pub namespace: u32,
    /// Whether it takes the id over if another process of its user has it. May be left out by itself.
    pub replaces: bool,
}

impl Hello {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_with(kind::HELLO, 0, out, |out| {
            out.extend_from_slice(&self.session.to_le_bytes());
            out.extend_from_slice(&self.pid.to_le_bytes());
            out.extend_from_slice(&self.max_message.to_le_bytes());
            put_text(&self.id, out);
            put_text(&self.token, out);
            for field in [self.secret, self.epoch, self.heard] {
                out.extend_from_slice(&field.to_le_bytes());
            }
            out.extend_from_slice(&self.listens.to_le_bytes());
            if self.lane || self.namespace != 0 || self.replaces {
                out.push(u8::from(self.lane));
            }
            if self.namespace != 0 || self.replaces {
                out.extend_from_slice(&self.namespace.to_le_bytes());
            }
            if self.replaces {
                out.push(1);
            }
        });
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut fields = Fields(payload);
        let mut hello = Self {
            session: fields.u64()?,
            pid: fields.u32()?,
            max_message: fields.u64()?,
            id: fields.text(MAX_ID)?.to_owned(),
            token: fields.text(MAX_TOKEN)?.to_owned(),
            secret: 0,
            epoch: 0,
            heard: 0,
            listens: 0,
            lane: false,
            namespace: 0,
            replaces: false,
        };
        check_id(&hello.id)?;
        if !fields.0.is_empty() {
            (hello.secret, hello.epoch, hello.heard) = (fields.u64()?, fields.u64()?, fields.u64()?);
            hello.listens = fields.u32()?;
            hello.lane = !fields.0.is_empty() && fields.u8()? != 0;
            hello.namespace = if fields.0.is_empty() { 0 } else { fields.u32()? };
            hello.replaces = !fields.0.is_empty() && fields.u8()? != 0;
        }
        Ok(hello)
    }
}

/// A node id: 1 to [`MAX_ID`] bytes, no ':' (it ends the id in "node:event"), no NUL.
pub fn check_id(id: &str) -> Result<()> {
    let bad = id.is_empty() || id.len() > MAX_ID || id.contains([':', '\0']);
    if bad { Err(malformed("a node id is 1 to 255 bytes without ':' or NUL")) } else { Ok(()) }
}

/// What the bridge answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Random; another one means another bridge.
    pub epoch: u64,
    /// Its process.
    pub pid: u32,
    /// Largest message it forwards, in bytes.
    pub max_message: u64,
    /// Bytes this node may have unsettled before it should pause.
    pub window: u64,
    /// Milliseconds it keeps the place of a node that lost its link.
    pub resume_timeout: u32,
    /// Whether nothing that others meant for this node was given up while it was away.
    pub kept: bool,
    /// The pid namespace of all numbers of processes that it tells; 0: unknown. May be left out.
    pub namespace: u32,
}

impl Welcome {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_with(kind::WELCOME, 0, out, |out| {
            out.extend_from_slice(&self.epoch.to_le_bytes());
            out.extend_from_slice(&self.pid.to_le_bytes());
            out.extend_from_slice(&self.max_message.to_le_bytes());
            out.extend_from_slice(&self.window.to_le_bytes());
            out.extend_from_slice(&self.resume_timeout.to_le_bytes());
            out.push(u8::from(self.kept));
            out.extend_from_slice(&self.namespace.to_le_bytes());
        });
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut fields = Fields(payload);
        Ok(Self {
            epoch: fields.u64()?,
            pid: fields.u32()?,
            max_message: fields.u64()?,
            window: fields.u64()?,
            resume_timeout: fields.u32()?,
            kept: fields.u8()? != 0,
            namespace: if fields.0.is_empty() { 0 } else { fields.u32()? },
        })
    }
}

/// Which of a sender's messages have reached everyone they concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// First sequence number of the run.
    pub first: u64,
    /// Last one, inclusive.
    pub last: u64,
    /// What the run weighs, by [`charge`].
    pub bytes: u64,
    /// Bytes the sender may have unsettled from now on.
    pub window: u64,
}

/// What a message of `body_len` bytes weighs in windows and bounds: its bytes and what it costs to remember it.
pub const fn charge(body_len: u64) -> u64 {
    body_len + 64
}

impl Settled {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_with(kind::SETTLED, 0, out, |out| {
            for field in [self.first, self.last, self.bytes, self.window] {
                out.extend_from_slice(&field.to_le_bytes());
            }
        });
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut fields = Fields(payload);
        Ok(Self { first: fields.u64()?, last: fields.u64()?, bytes: fields.u64()?, window: fields.u64()? })
    }
}

/// A node that was sent something is gone, or nobody has that id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The sender's last message that may have gone to it; later ones go to whoever has the id now.
    pub seq: u64,
    /// Why: `NodeLeft` or `UnknownNode`.
    pub code: Code,
    /// Whether only questions that had reached it are lost: whoever has its id now gets the others.
    pub delivered_only: bool,
    /// What this session of it had begun to say will not be ended. 0: nor what any other had, unless `delivered_only`.
    pub session: u64,
    /// Its id.
    pub node: String,
    /// Broadcasts of the sender that did not reach it: runs of their numbers, first and last.
    pub missed: Vec<(u64, u64)>,
}

impl Gone {
    /// What `node` had begun to say in `session` will not be ended; nothing else is lost. With 0: nor that, it gets no more
    /// answers.
    pub fn of_begun(session: u64, node: String) -> Self {
        Self { seq: 0, code: Code::NodeLeft, delivered_only: true, session, node, missed: Vec::new() }
    }

    /// What it weighs in bounds.
    pub fn weight(&self) -> u64 {
        charge((self.node.len() + 16 * self.missed.len()) as u64)
    }

    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_with(kind::GONE, 0, out, |out| {
            out.extend_from_slice(&self.seq.to_le_bytes());
            out.extend_from_slice(&[self.code as u8, u8::from(self.delivered_only)]);
            out.extend_from_slice(&self.session.to_le_bytes());
            put_text(&self.node, out);
            for (first, last) in &self.missed {
                out.extend_from_slice(&first.to_le_bytes());
                out.extend_from_slice(&last.to_le_bytes());
            }
        });
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut fields = Fields(payload);
        let (seq, code, delivered_only) = (fields.u64()?, Code::from_wire(fields.u8()?), fields.u8()? != 0);
        let (session, node) = (fields.u64()?, fields.text(MAX_ID)?.to_owned());
        let mut missed = Vec::new();
        while !fields.0.is_empty() {
            missed.push((fields.u64()?, fields.u64()?));
        }
        Ok(Self { seq, code, delivered_only, session, node, missed })
    }
}

/// A WATCH or an UNHEARD: somebody waits for something of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// The last number of whoever waits. Of an UNHEARD: up to here nothing of it has ever come.
    pub seq: u64,
    /// The number of its oldest question that was settled and not answered; 0: there is none.
    pub oldest: u64,
    /// Up: in which session the other had begun to say what is to be ended, 0: nothing. Down, and of an UNHEARD: the
    /// session of whoever waits.
    pub session: u64,
    /// The other: up the one who is watched, down the one who waits.
    pub node: String,
}

impl Watch {
    /// Appends the frame, of `kind` WATCH or UNHEARD.
    pub fn encode(&self, kind: u8, out: &mut Vec<u8>) {
        encode_with(kind, 0, out, |out| {
            for field in [self.seq, self.oldest, self.session] {
                out.extend_from_slice(&field.to_le_bytes());
            }
            put_text(&self.node, out);
        });
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut fields = Fields(payload);
        let (seq, oldest, session) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let node = fields.text(MAX_ID)?;
        check_id(node)?;
        Ok(Self { seq, oldest, session, node: node.to_owned() })
    }
}

/// A DEFER or a TAKEN: some of the frames that ACK counts, by their number on the connection, the first of which is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRun {
    pub first: u64,
    /// Inclusive.
    pub last: u64,
}

impl FrameRun {
    /// Appends the frame, of `kind` DEFER or TAKEN.
    pub fn encode(&self, kind: u8, out: &mut Vec<u8>) {
        encode_with(kind, 0, out, |out| {
            for field in [self.first, self.last] {
                out.extend_from_slice(&field.to_le_bytes());
            }
        });
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Result<Self> {
        let mut fields = Fields(payload);
        let (first, last) = (fields.u64()?, fields.u64()?);
        if first == 0 || last < first {
            return Err(malformed("a run of frames that ends before it begins"));
        }
        Ok(Self { first, last })
    }
}

/// Appends PEER: `slot` stands for the node `id` in its session from here on.
pub fn put_peer(slot: u16, session: u64, id: &str, out: &mut Vec<u8>) {
    encode_with(kind::PEER, 0, out, |out| {
        out.extend_from_slice(&slot.to_le_bytes());
        out.extend_from_slice(&session.to_le_bytes());
        out.extend_from_slice(id.as_bytes());
    });
}

/// Reads a PEER payload: slot, session, id.
pub fn decode_peer(payload: &[u8]) -> Result<(u16, u64, &str)> {
    let mut fields = Fields(payload);
    Ok((fields.u16()?, fields.u64()?, decode_event(fields.0)?))
}

/// Appends RESEND, REPLAY or SKIP: a message's number and a node's id.
pub fn put_about(kind: u8, seq: u64, id: &str, out: &mut Vec<u8>) {
    encode_with(kind, 0, out, |out| {
        out.extend_from_slice(&seq.to_le_bytes());
        out.extend_from_slice(id.as_bytes());
    });
}

/// Reads such a payload.
pub fn decode_about(payload: &[u8]) -> Result<(u64, &str)> {
    let mut fields = Fields(payload);
    let seq = fields.u64()?;
    let id = utf8(fields.0)?;
    check_id(id)?;
    Ok((seq, id))
}

/// Appends NAME: `slot` stands for `name` from here on.
pub fn put_name(slot: u16, name: &str, out: &mut Vec<u8>) {
    encode_with(kind::NAME, 0, out, |out| {
        out.extend_from_slice(&slot.to_le_bytes());
        out.extend_from_slice(name.as_bytes());
    });
}

/// Reads a NAME payload.
pub fn decode_name(payload: &[u8]) -> Result<(u16, &str)> {
    let mut fields = Fields(payload);
    let slot = fields.u16()?;
    Ok((slot, decode_event(fields.0)?))
}

/// Reads the payload of LISTEN and UNLISTEN: an event's name.
pub fn decode_event(payload: &[u8]) -> Result<&str> {
    if payload.is_empty() || payload.len() > MAX_NAME {
        return Err(malformed(format!("a name of {} bytes; 1 to {MAX_NAME} are allowed", payload.len())));
    }
    utf8(payload)
}

/// Appends LISTEN or UNLISTEN.
pub fn put_interest(listen: bool, event: &str, out: &mut Vec<u8>) {
    let kind = if listen { kind::LISTEN } else { kind::UNLISTEN };
    encode_with(kind, 0, out, |out| out.extend_from_slice(event.as_bytes()));
}

/// Appends ACK: `received` routed and chunk frames have come since the link's start.
pub fn put_ack(received: u64, out: &mut Vec<u8>) {
    put_number(kind::ACK, received, out);
}

/// Appends a frame whose payload is one number: ACK, PING, PONG.
pub fn put_number(kind: u8, number: u64, out: &mut Vec<u8>) {
    encode_with(kind, 0, out, |out| out.extend_from_slice(&number.to_le_bytes()));
}

/// Reads such a payload.
pub fn decode_number(payload: &[u8]) -> Result<u64> {
    Fields(payload).u64()
}

/// Appends a frame without payload: LEAVE, LEFT.
pub fn put_bare(kind: u8, out: &mut Vec<u8>) {
    encode_with(kind, 0, out, |_| ());
}

/// Appends REJECT: why this link is about to be closed.
pub fn put_reject(code: Code, text: &str, out: &mut Vec<u8>) {
    encode_with(kind::REJECT, 0, out, |out| {
        out.extend_from_slice(&refusal(code, text));
    });
}

/// Reads a REJECT payload.
pub fn decode_reject(payload: &[u8]) -> Result<(Code, &str)> {
    decode_refusal(payload)
}

/// Appends CLOSE with the values of `bridge.close`, which must fit one frame.
pub fn put_close(encoding: Encoding, body: &[u8], out: &mut Vec<u8>) {
    encode_with(kind::CLOSE, (encoding as u8) << flag::ENCODING_SHIFT, out, |out| out.extend_from_slice(body));
}

/// How the body of a CLOSE is to be read.
pub fn close_encoding(frame: &RawFrame<'_>) -> Encoding {
    Encoding::from_bits(frame.flags >> flag::ENCODING_SHIFT)
}
