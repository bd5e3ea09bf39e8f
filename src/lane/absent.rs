//! Systems without sealed memory: nothing can be made or found, so there is nothing to touch.

use std::io;
use std::ops::Range;

use super::layout::Header;
use crate::wire::lane::Cookie;

/// Our own memory: there is none.
#[derive(Debug)]
pub enum Owned {}

/// Another process's memory: there is none.
#[derive(Debug)]
pub enum Foreign {}

impl Owned {
    /// `Unsupported`.
    pub fn create(_size: u64, _header: fn(&Cookie) -> Header) -> io::Result<(Self, Cookie)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn fd(&self) -> i32 {
        match *self {}
    }

    pub fn back(&mut self, _end: u64) -> io::Result<()> {
        match *self {}
    }

    pub fn stamp(&mut self, _at: u64, _ticket: u64) {
        match *self {}
    }

    pub fn bytes_mut(&mut self, _range: Range<usize>) -> &mut [u8] {
        match *self {}
    }
}

impl Foreign {
    /// `Unsupported`.
    pub fn open(_pid: u32, _fd: i32, _size: u64, _header: &Header) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn copy_to(&mut self, _stamp: u64, _range: Range<u64>, _out: &mut Vec<u8>) -> io::Result<u64> {
        match *self {}
    }
}
