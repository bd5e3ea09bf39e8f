//! Memory without a name, which others find through `/proc`: made and sealed, or found and distrusted.

use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{
    AtFlags, FallocateFlags, FileType, MemfdFlags, Mode, OFlags, SealFlags, SeekFrom, Statx, StatxFlags, fallocate,
    fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create, open, seek, statx,
};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use rustix::rand::{GetRandomFlags, getrandom};

use super::layout::{Header, invalid};
use super::map::{Readable, Writable};
use crate::wire::lane::Cookie;

/// Memory is asked for in steps of this: a system call for every few bodies, and little that is never used.
const BACKING_STEP: u64 = 1024 * 1024;

/// What a receiver insists on. Against shrinking: no SIGBUS beyond the end. Against writing by others: neither can
/// memory that was seen be punched out again, nor does one receiver get what another has forged.
const NEEDED_SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::FUTURE_WRITE);

/// Our own memory.
#[derive(Debug)]
pub struct Owned {
    file: OwnedFd,
    map: Writable,
    size: u64,
    /// Bytes from the start that the system has given memory for.
    backed: u64,
}

/// Another process's memory.
#[derive(Debug)]
pub struct Foreign {
    file: OwnedFd,
    map: Readable,
    /// Bytes from the start that were seen to have memory; sealed, they keep it.
    solid: u64,
}

impl Owned {
    /// `size` bytes that begin with the header for a cookie, which is returned.
    pub fn create(size: u64, header: fn(&Cookie) -> Header) -> io::Result<(Self, Cookie)> {
        let cookie = random()?;
        let file = anonymous()?;
        ftruncate(&file, size)?;
        pwrite(&file, &header(&cookie), 0)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
        let map = Writable::new(&file, size as usize)?;
        Ok((Self { file, map, size, backed: 0 }, cookie))
    }

    /// Its descriptor, in this process.
    pub fn fd(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Makes sure of memory up to `end`. Without, a system out of memory would say so by a signal.
    pub fn back(&mut self, end: u64) -> io::Result<()> {
        if end <= self.backed {
            return Ok(());
        }
        let end = end.next_multiple_of(BACKING_STEP).min(self.size);
        retry_on_intr(|| fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.backed, end - self.backed))?;
        self.backed = end;
        Ok(())
    }

    /// Stamps the eight bytes at `at`, a multiple of 8 below what was backed, for others to see: a ticket behind what
    /// was written before, 0 ahead of what will be written.
    pub fn stamp(&mut self, at: u64, ticket: u64) {
        debug_assert!(at < self.backed);
        self.map.stamp(at as usize, ticket);
    }

    /// Some of its bytes, below what was [backed](Self::back).
    pub fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        debug_assert!(range.end as u64 <= self.backed);
        self.map.bytes_mut(range)
    }
}

impl Foreign {
    /// The memory of `size` bytes that process `pid` has as descriptor `fd`, if it begins with `header`.
    pub fn open(pid: u32, fd: i32, size: u64, header: &Header) -> io::Result<Self> {
        let file = find(pid, fd)?;
        if !fcntl_get_seals(&file)?.contains(NEEDED_SEALS) {
            return Err(invalid("memory that may shrink, or that others may write to"));
        }
        let mut found = Header::default();
        if pread(&file, &mut found, 0)? != header.len() || found != *header {
            return Err(invalid("memory that is not the sender's arena"));
        }
        let map = Readable::new(&file, size as usize)?;
        Ok(Self { file, map, solid: 0 })
    }

    /// Appends some of its bytes to `out`, and returns what is stamped at `stamp` afterwards: a multiple of 8 before
    /// `range`, which is not empty backwards, and inside.
    pub fn copy_to(&mut self, stamp: u64, range: Range<u64>, out: &mut Vec<u8>) -> io::Result<u64> {
        if range.end > self.solid {
            self.look_for_holes(&(stamp..range.end))?;
        }
        self.map.copy_to(range.start as usize..range.end as usize, out);
        Ok(self.map.stamp(stamp as usize))
    }

    /// To touch a hole is to allocate: memory for a hostile sender, and a signal when there is none.
    fn look_for_holes(&mut self, range: &Range<u64>) -> io::Result<()> {
        // Mostly there is none before it either, and no more need be looked at again.
        self.solid = seek(&self.file, SeekFrom::Hole(self.solid))?;
        if self.solid < range.end && seek(&self.file, SeekFrom::Hole(range.start))? < range.end {
            return Err(invalid("an extent that was never written"));
        }
        Ok(())
    }
}

/// Opens a descriptor of another process, if it is shared memory.
///
/// Opening a FIFO blocks, opening a device has effects, and a file system in user space answers when it likes. So at
/// first only the name is resolved (`O_PATH`), and of that only what the kernel knows by itself is asked: the device
/// number, which all memfds share and nothing else has.
fn find(pid: u32, fd: i32) -> io::Result<OwnedFd> {
    let name = open(format!("/proc/{pid}/fd/{fd}"), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let (found, known) = (facts(&name)?, facts(&anonymous()?)?);
    let device = |facts: &Statx| (facts.stx_dev_major, facts.stx_dev_minor);
    if device(&found) != device(&known) || FileType::from_raw_mode(found.stx_mode.into()) != FileType::RegularFile {
        return Err(invalid("a descriptor that is not shared memory"));
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    Ok(open(format!("/proc/self/fd/{}", name.as_raw_fd()), flags, Mode::empty())?)
}

/// What the kernel knows of a file without asking its file system.
fn facts(file: &OwnedFd) -> io::Result<Statx> {
    Ok(statx(file, c"", AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC, StatxFlags::TYPE)?)
}

/// A memfd, sealable and never executable; kernels before 6.3 do not know the latter.
fn anonymous() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(c"busybody-lane", flags | MemfdFlags::NOEXEC_SEAL) {
        Err(Errno::INVAL) => Ok(memfd_create(c"busybody-lane", flags)?),
        made => Ok(made?),
    }
}

fn random() -> io::Result<Cookie> {
    let mut cookie = Cookie::default();
    // So few bytes come whole; non-blocking, for an unseeded system has no nodes in a hurry either.
    let got = getrandom(&mut cookie[..], GetRandomFlags::NONBLOCK)?;
    if got == cookie.len() { Ok(cookie) } else { Err(invalid("too few random bytes")) }
}
