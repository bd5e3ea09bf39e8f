//! What two nodes tell each other about shared memory: where it is, and which part of it holds a body.

use crate::error::{Code, Error, Result};

/// Random bytes at the arena's start: a pid or descriptor that was used again is not taken for the sender's.
pub type Cookie = [u8; 16];

/// Where a sender's arena is: all that a [`View`](super::View) needs to find it.
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

    /// Reads one. Whether it is true, [`View::open`](super::View::open) finds out.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` unless there are exactly [`Self::LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::of(bytes, Self::LEN)?;
        let (pid, fd, size) = (fields.next(), fields.next(), fields.next());
        Ok(Self {
            pid: u32::from_le_bytes(pid),
            fd: i32::from_le_bytes(fd),
            size: u64::from_le_bytes(size),
            cookie: fields.next(),
        })
    }
}

impl Extent {
    /// Bytes of an encoded extent: `u64 offset, u64 len`.
    pub const LEN: usize = 16;

    /// Appends it, little-endian.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
    }

    /// Reads one. Whether it lies in an arena, [`View::copy_to`](super::View::copy_to) checks.
    ///
    /// # Errors
    /// `ERR_PROTOCOL` unless there are exactly [`Self::LEN`] bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields::of(bytes, Self::LEN)?;
        Ok(Self { offset: u64::from_le_bytes(fields.next()), len: u64::from_le_bytes(fields.next()) })
    }
}

/// Bytes that are known to be as many as the fields read from them.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn of(bytes: &'a [u8], len: usize) -> Result<Self> {
        if bytes.len() == len {
            return Ok(Self(bytes));
        }
        Err(Error::new(Code::Protocol, format!("{} bytes about shared memory instead of {len}", bytes.len())))
    }

    fn next<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the length was checked");
        self.0 = rest;
        *field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: Offer = Offer { pid: 0x0102_0304, fd: 7, size: 1 << 24, cookie: *b"abcdefghijklmnop" };

    #[test]
    fn offers_and_extents_are_these_bytes() {
        let mut bytes = Vec::new();
        OFFER.encode(&mut bytes);
        assert_eq!(bytes, *b"\x04\x03\x02\x01\x07\0\0\0\0\0\0\x01\0\0\0\0abcdefghijklmnop");
        assert_eq!(Offer::decode(&bytes).unwrap(), OFFER);
        let extent = Extent { offset: 4096, len: 0x0201 };
        bytes.clear();
        extent.encode(&mut bytes);
        assert_eq!(bytes, *b"\0\x10\0\0\0\0\0\0\x01\x02\0\0\0\0\0\0");
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
    }
}
