//! What two nodes tell each other about shared memory: where it is, and which part of it holds a body.

use super::control::check_id;
use super::frame::{Fields, MAX_ID, encode_with, malformed, put_text};
use crate::error::Result;

/// Random bytes at the arena's start: a pid or descriptor that was used again is not taken for the sender's.
pub type Cookie = [u8; 16];

/// Where a sender's arena is: all that a receiver needs to find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The sender's process, as it sees itself.
    pub pid: u32,
    /// The arena's descriptor in that process.
    pub fd: i32,
    /// Bytes of the arena.
    pub size: u64,
    /// What its first bytes must contain.
    pub cookie: Cookie,
}

/// A part of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Bytes from the arena's start.
    pub offset: u64,
    /// Bytes of the body.
    pub len: u64,
    /// What is written before the body for as long as it is there: it may have been freed before it is read.
    pub ticket: u64,
}

/// The body of a frame whose real body lies in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shared {
    /// The receiver's session: only the process that accepted can read it.
    pub session: u64,
    pub extent: Extent,
}

/// An OFFER or an ACCEPT: two nodes about each other, neither numbered nor kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneFrame<'a> {
    /// Down: the sender's. Up: that of whom it is for; 0: whoever has the id.
    pub session: u64,
    /// The other node's id.
    pub node: &'a str,
    /// Of an OFFER the [`Offer`]; of an ACCEPT the bytes of the largest message that is taken, 0: none any longer.
    pub rest: &'a [u8],
}

impl Offer {
    /// Bytes of an encoded offer: `u32 pid, u32 fd, u64 size, cookie`.
    pub const LEN: usize = 32;

    /// Appends it, little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pid.to_le_bytes());
        out.extend_from_slice(&self.fd.to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.cookie);
    }

    /// Reads one. Whether it is true, whoever opens it finds out.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` unless there are exactly [`Self::LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = exactly(bytes, Self::LEN)?;
        Ok(Self { pid: fields.u32()?, fd: fields.u32()? as i32, size: fields.u64()?, cookie: fields.take()? })
    }
}

impl Extent {
    /// Bytes of an encoded extent: `u64 offset, u64 len, u64 ticket`.
    pub const LEN: usize = 24;

    /// Appends it, little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for field in [self.offset, self.len, self.ticket] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }

    /// Reads one. Whether it lies in an arena, whoever copies from it checks.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` unless there are exactly [`Self::LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = exactly(bytes, Self::LEN)?;
        Ok(Self { offset: fields.u64()?, len: fields.u64()?, ticket: fields.u64()? })
    }
}

impl Shared {
    /// Bytes of the encoded body: `u64 session`, the extent.
    pub const LEN: usize = 8 + Extent::LEN;

    /// Appends it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.session.to_le_bytes());
        self.extent.encode(out);
    }

    /// Reads one.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` unless there are exactly [`Self::LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = exactly(bytes, Self::LEN)?;
        Ok(Self { session: fields.u64()?, extent: Extent::decode(fields.0)? })
    }
}

impl<'a> LaneFrame<'a> {
    /// Appends it as a frame of this kind.
    pub fn encode(&self, kind: u8, out: &mut Vec<u8>) {
        encode_with(kind, 0, out, |out| {
            out.extend_from_slice(&self.session.to_le_bytes());
            put_text(self.node, out);
            out.extend_from_slice(self.rest);
        });
    }

    /// Reads the payload. What follows the id is not looked at: it is the ends' own.
    ///
    /// # Errors
    /// `ERR_PROTOCOL`, also when there is more than an OFFER has.
    pub fn decode(payload: &'a [u8]) -> Result<Self> {
        let mut fields = Fields(payload);
        let (session, node) = (fields.u64()?, fields.text(MAX_ID)?);
        check_id(node)?;
        if fields.0.len() > Offer::LEN {
            return Err(malformed("too many bytes about shared memory"));
        }
        Ok(Self { session, node, rest: fields.0 })
    }
}

/// Bytes that have to be so many.
fn exactly(bytes: &[u8], len: usize) -> Result<Fields<'_>> {
    if bytes.len() == len {
        return Ok(Fields(bytes));
    }
    Err(malformed(format!("{} bytes about shared memory instead of {len}", bytes.len())))
}

#[cfg(test)]
mod tests {
    use super::super::frame::{RawFrame, kind};
    use super::*;

    const OFFER: Offer = Offer { pid: 0x0102_0304, fd: 7, size: 1 << 24, cookie: *b"abcdefghijklmnop" };

    #[test]
    fn offers_and_extents_are_these_bytes() {
        let mut bytes = Vec::new();
        OFFER.encode(&mut bytes);
        assert_eq!(bytes, *b"\x04\x03\x02\x01\x07\0\0\0\0\0\0\x01\0\0\0\0abcdefghijklmnop");
        assert_eq!(Offer::decode(&bytes).unwrap(), OFFER);
        let extent = Extent { offset: 4096, len: 0x0201, ticket: 0x0706_0504_0302_0100 };
        bytes.clear();
        extent.encode(&mut bytes);
        assert_eq!(bytes, *b"\0\x10\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07");
        assert_eq!(Extent::decode(&bytes).unwrap(), extent);
    }

    #[test]
    fn other_lengths_are_refused() {
        for len in (0..64).filter(|&len| len != Offer::LEN) {
            assert!(Offer::decode(&[1; 64][..len]).is_err());
        }
        for len in (0..64).filter(|&len| len != Extent::LEN) {
            assert!(Extent::decode(&[1; 64][..len]).is_err());
        }
        for len in (0..64).filter(|&len| len != Shared::LEN) {
            assert!(Shared::decode(&[1; 64][..len]).is_err());
        }
    }

    #[test]
    fn frames_about_lanes_come_as_they_were_written() {
        let frame = LaneFrame { session: 7, node: "ann", rest: b"what the ends know" };
        let mut bytes = Vec::new();
        frame.encode(kind::ACCEPT, &mut bytes);
        let (raw, _) = RawFrame::decode(&bytes).unwrap().unwrap();
        assert_eq!((raw.kind, LaneFrame::decode(raw.payload).unwrap()), (kind::ACCEPT, frame));
        assert!(LaneFrame::decode(&raw.payload[..12]).is_err());
        assert!(LaneFrame::decode(&[raw.payload, &[0; 15]].concat()).is_err());
    }
}
