//! The layout of an arena: numbers on which its sender and its receivers agree.

use std::io;

use crate::wire::lane::Cookie;

/// Bytes of an arena: room for several of the largest usual bodies at once. More would let one stalled receiver
/// hold more memory; what does not fit travels by socket. Memory that no body ever reached costs nothing.
pub const SIZE: u64 = 16 * 1024 * 1024;

/// Where a slot may begin: a cache line, so that no two bodies share one, and wide copies are aligned.
pub const ALIGN: u64 = 64;

/// What precedes each body: its ticket, and room so that the body begins where it may.
pub const STAMP_LEN: u64 = ALIGN;

/// Bytes of an arena before its first extent: a page, of which the first bytes identify it.
pub const HEADER_LEN: u64 = 4096;

/// No larger arena is mapped: four times what this version makes, so that later ones may make more.
pub const MAX_SIZE: u64 = 4 * SIZE;

/// What an arena begins with, so that no other shared memory is taken for one.
const MAGIC: [u8; 16] = *b"busybody lane 1\n";

/// The first bytes of an arena: the magic, then the cookie.
pub type Header = [u8; 32];

/// The header with this cookie.
pub fn header(cookie: &Cookie) -> Header {
    let mut header = [0; 32];
    header[..16].copy_from_slice(&MAGIC);
    header[16..].copy_from_slice(cookie);
    header
}

/// The error for what a sender cannot have meant.
pub fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
