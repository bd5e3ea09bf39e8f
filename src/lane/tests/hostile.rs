//! Offers and extents that are lies.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{
    CWD, FallocateFlags, FileType, MemfdFlags, Mode, SealFlags, fallocate, fcntl_add_seals, ftruncate, memfd_create,
    mknodat,
};
use rustix::io::pwrite;

use super::*;
use crate::lane::layout::{HEADER_LEN, header};

const COOKIE: [u8; 16] = [5; 16];
const SIZE: u64 = 1 << 20;

fn offer(file: impl AsFd) -> Offer {
    Offer { pid: std::process::id(), fd: file.as_fd().as_raw_fd(), size: SIZE, cookie: COOKIE }
}

/// An arena as a stranger would make it.
fn forged(seals: SealFlags) -> OwnedFd {
    let file = memfd_create(c"forged", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, SIZE).unwrap();
    pwrite(&file, &header(&COOKIE), 0).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::FUTURE_WRITE);

#[test]
fn offers_that_differ_in_anything_are_refused() {
    let file = forged(SEALS);
    let good = offer(&file);
    View::open(&good).unwrap();
    let mut other = good.cookie;
    other[15] ^= 1;
    for bad in [
        Offer { pid: 0, ..good },
        Offer { pid: 1, ..good },
        Offer { pid: u32::MAX, ..good },
        Offer { fd: -1, ..good },
        Offer { fd: i32::MAX, ..good },
        Offer { size: 0, ..good },
        Offer { size: HEADER_LEN, ..good },
        Offer { size: SIZE - 1, ..good },
        Offer { size: SIZE * 2, ..good },
        Offer { size: u64::MAX, ..good },
        Offer { cookie: other, ..good },
    ] {
        assert!(View::open(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn memory_that_could_shrink_or_be_written_by_others_is_refused() {
    for seals in [SealFlags::empty(), SealFlags::SHRINK, SealFlags::GROW | SealFlags::FUTURE_WRITE] {
        assert!(View::open(&offer(forged(seals))).is_err(), "{seals:?}");
    }
}

#[test]
fn what_is_no_shared_memory_is_refused_without_opening_it() {
    let directory = std::env::temp_dir().join(format!("busybody-lane-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let fifo = directory.join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let file = directory.join("file");
    let mut bytes = header(&COOKIE).to_vec();
    bytes.resize(SIZE as usize, 0);
    fs::write(&file, bytes).unwrap();
    let others = [
        OwnedFd::from(File::options().read(true).write(true).open(&fifo).unwrap()),
        File::open(&file).unwrap().into(),
        File::open(&directory).unwrap().into(),
        File::open("/dev/zero").unwrap().into(),
        File::open("/proc/self/status").unwrap().into(),
        UnixStream::pair().unwrap().0.into(),
    ];
    for other in others {
        assert!(View::open(&offer(&other)).is_err(), "{other:?}");
    }
    // A FIFO that nobody else has open would block whoever opens it.
    let path_only = rustix::fs::open(&fifo, rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
    assert!(View::open(&offer(&path_only)).is_err());
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn extents_outside_or_never_written_are_refused() {
    let mut arena = Arena::create().unwrap();
    let mut view = View::open(&arena.offer()).unwrap();
    let extent = put(&mut arena, &pattern(1, 100_000));
    let mut out = b"before".to_vec();
    for (offset, len) in [
        (0, 1),
        (HEADER_LEN - 1, 1),
        (HEADER_LEN, layout::SIZE),
        (HEADER_LEN, layout::SIZE - HEADER_LEN),
        (layout::SIZE, 1),
        (layout::SIZE - 1, 1),
        (u64::MAX, 1),
        (u64::MAX, u64::MAX),
        (HEADER_LEN, u64::MAX),
        (extent.offset, extent.len + 8192),
        (extent.offset + 8, 1),
        (HEADER_LEN, 1),
    ] {
        assert!(view.copy_to(Extent { offset, len, ..extent }, &mut out).is_err(), "{offset} {len}");
    }
    assert_eq!(out, b"before");
    assert_eq!(get(&mut view, extent), pattern(1, 100_000));
}

#[test]
fn extents_behind_a_hole_are_readable() {
    let mut arena = Arena::create().unwrap();
    let mut view = View::open(&arena.offer()).unwrap();
    let mut unfinished = arena.writer(3_000_000).unwrap();
    unfinished.write(b"begun");
    // As if it were still being written.
    let begun @ Extent { offset, .. } = unfinished.finish().unwrap();
    let hole = arena.writer(2_000_000).unwrap();
    std::mem::forget(hole);
    let extent = put(&mut arena, &pattern(2, 500_000));
    assert!(extent.offset > offset + 2_000_000);
    for _ in 0..3 {
        assert_eq!(get(&mut view, extent), pattern(2, 500_000));
        assert!(view.copy_to(Extent { len: 1_000_000, ..begun }, &mut Vec::new()).is_err());
    }
}

#[test]
fn a_receiver_can_neither_write_nor_take_memory_away() {
    let arena = Arena::create().unwrap();
    let path = format!("/proc/self/fd/{}", arena.offer().fd);
    let file = File::options().read(true).write(true).open(path).unwrap();
    assert!(pwrite(&file, b"x", 0).is_err());
    assert!(ftruncate(&file, 0).is_err());
    assert!(ftruncate(&file, 1 << 30).is_err());
    assert!(fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, 4096).is_err());
    assert!(fcntl_add_seals(&file, SealFlags::WRITE).is_err());
    assert!(crate::lane::map::Writable::new(&file, layout::SIZE as usize).is_err());
}
