//! The bytes of a roster: a header, and one slot for each node.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::super::process::Process;
use super::Entry;
use crate::wire::control::check_id;

/// What a roster begins with.
const MAGIC: &[u8; 16] = b"busybody roster\n";
/// Bytes of the header: magic 16, boot 8, namespace 8, checksum 8, zeros.
pub(super) const HEADER: usize = 64;
/// Bytes of a slot: checksum 8, identity 8, session 8, since 8, start of the process 8, its pid 4, pid 4, uid 4, length
/// of the id 1, the id 255, zeros. Zeros name nobody.
pub(super) const SLOT: usize = 320;
/// Where the id's length stands.
const ID: usize = 52;
/// "The kernel does not say": no user has this number.
const NO_UID: u32 = u32::MAX;

/// Of which system the numbers of processes are. 0: it does not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Another one after each start of the machine: then all processes have ended.
    boot: u64,
    /// The pid namespace: in another one, the numbers mean others.
    namespace: u64,
}

impl Header {
    pub(super) fn of_this_system() -> Self {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: String = boot.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        let namespace = fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino());
        Self { boot: u64::from_str_radix(&digits, 16).unwrap_or(0), namespace }
    }

    /// Another system.
    #[cfg(test)]
    pub(super) fn with(self, boot: u64, namespace: u64) -> Self {
        Self { boot: self.boot ^ boot, namespace: self.namespace ^ namespace }
    }

    pub(super) fn encode(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..24].copy_from_slice(&self.boot.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.namespace.to_le_bytes());
        let checksum = checksum(&bytes[..32]);
        bytes[32..40].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Whether a file with these bytes may have been written by a bridge, which then may write to it.
    pub(super) fn may_begin(bytes: &[u8]) -> bool {
        let head = &bytes[..bytes.len().min(MAGIC.len())];
        MAGIC.starts_with(head) || head.iter().all(|&byte| byte == 0)
    }

    /// Who may live of those that a file names, read on this system; `None`: the file does not say who was there, or has
    /// been damaged, so that it may not name everybody.
    pub(super) fn read(self, bytes: &[u8]) -> Option<Vec<Entry>> {
        let (header, slots) = bytes.split_at_checked(HEADER)?;
        let was = Self { boot: number(header, 16), namespace: number(header, 24) };
        if header != was.encode() {
            return None;
        }
        if was.boot != self.boot {
            return Some(Vec::new());
        }
        let used = slots.chunks(SLOT).filter(|slot| slot.iter().any(|&byte| byte != 0));
        let mut entries: Vec<Entry> = used.map(decode).collect::<Option<_>>()?;
        if was.namespace != self.namespace {
            entries.iter_mut().for_each(|entry| (entry.pid, entry.process) = (None, None));
        }
        Some(entries)
    }
}

pub(super) fn encode(entry: &Entry) -> [u8; SLOT] {
    let mut bytes = [0; SLOT];
    let process = entry.process.unwrap_or(Process { pid: 0, started: 0 });
    let (pid, uid) = (entry.pid.unwrap_or(0), entry.uid.unwrap_or(NO_UID));
    for (at, field) in (8..).step_by(8).zip([entry.identity, entry.session, entry.since, process.started]) {
        bytes[at..at + 8].copy_from_slice(&field.to_le_bytes());
    }
    for (at, field) in (40..).step_by(4).zip([process.pid, pid, uid]) {
        bytes[at..at + 4].copy_from_slice(&field.to_le_bytes());
    }
    let id = entry.id.as_bytes();
    bytes[ID] = id.len() as u8;
    bytes[ID + 1..=ID + id.len()].copy_from_slice(id);
    let checksum = checksum(&bytes[8..]);
    bytes[..8].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Entry> {
    if bytes.len() != SLOT || number(bytes, 0) != checksum(&bytes[8..]) {
        return None;
    }
    let id = str::from_utf8(bytes.get(ID + 1..=ID + usize::from(bytes[ID]))?).ok()?;
    check_id(id).ok()?;
    let small = |at| number(bytes, at) as u32;
    let (process, pid, uid) = (Process { pid: small(40), started: number(bytes, 32) }, small(44), small(48));
    Some(Entry {
        id: id.to_owned(),
        identity: number(bytes, 8),
        session: number(bytes, 16),
        since: number(bytes, 24),
        process: (process.pid != 0).then_some(process),
        pid: (pid != 0).then_some(pid),
        uid: (uid != NO_UID).then_some(uid),
    })
}

/// The 8 bytes from `at` on. The callers have looked at the length.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

/// FNV-1a, 64 bits: it finds what was torn, and is not meant to find what was forged.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |sum, &byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}
