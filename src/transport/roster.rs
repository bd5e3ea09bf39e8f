//! Who is on the bus, in a file beside its socket: `<path>.roster`, for the bridge that comes after this one.
//!
//! Slots of one size behind a header. A node's slot is written when it joins, before it is let in, and wiped when it
//! goes: one `pwrite` of 320 bytes into the page cache, which outlives the process however that ends. A mapping would
//! spare the system call (about a microsecond for each join) and add SIGBUS where somebody truncates the file.
//!
//! What is read is not trusted: where the checksum of one slot is wrong, nobody knows who was there, and anybody may come. A
//! file that lies can make a bridge wait for nodes that do not come, for as long as it waits for any.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::lock::is_at;
use super::process::Process;
use slots::{HEADER, Header, SLOT};

mod slots;

/// Nodes that are noted at the most, 20 MiB: as many as bridges wait for.
const MAX_NODES: u32 = 65_536;

/// A node, as the next bridge has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id, 1 to 255 bytes.
    pub id: String,
    /// Tells this process from any other that ever has the id.
    pub identity: u64,
    /// Its session on the wire.
    pub session: u64,
    /// Its process, as others are told.
    pub pid: Option<u32>,
    /// The same, where the system can say whether it has ended.
    pub process: Option<Process>,
    /// Its user, where the kernel says.
    pub uid: Option<u32>,
    /// When it joined, in milliseconds since 1970.
    pub since: u64,
}

/// The file, held by the bridge that holds the lock.
#[derive(Debug)]
pub struct RosterFile {
    path: PathBuf,
    uid: u32,
    file: File,
    header: Header,
    /// By id and identity: when one process takes an id over from another, the order of their changes does not matter.
    nodes: BTreeMap<(String, u64), (u32, Entry)>,
    /// Slots below `end` that name nobody.
    free: Vec<u32>,
    end: u32,
    /// Whether the file names everybody.
    sound: bool,
}

impl RosterFile {
    /// The roster beside `socket`, and whom it names, some of whom may live; `None` if nobody knows who was there. The
    /// caller holds the socket's lock. There is no roster where the file cannot be made, or is not this user's alone.
    pub(super) fn open(socket: &Path, uid: u32) -> (Option<Self>, Option<Vec<Entry>>) {
        Self::try_open(roster_path(socket), uid).unwrap_or_default()
    }

    fn try_open(path: PathBuf, uid: u32) -> io::Result<(Option<Self>, Option<Vec<Entry>>)> {
        let (file, bytes) = match open_existing(&path, uid)? {
            Some(file) => {
                let bytes = read(&file)?;
                (file, bytes)
            }
            None => (create_new(&path)?, Vec::new()),
        };
        if !Header::may_begin(&bytes) {
            return Ok((None, None));
        }
        let header = Header::of_this_system();
        let (named, free, end) = (header.read(&bytes), Vec::new(), 0);
        let nodes = named.iter().flatten().map(|entry| (key(entry), (0, entry.clone()))).collect();
        let mut roster = Self { path, uid, file, header, nodes, free, end, sound: false };
        if named.is_some() {
            roster.complete();
        }
        Ok((Some(roster), named))
    }

    /// All who may be on the bus are among those it was told of: from now on the file says so.
    pub fn complete(&mut self) {
        if !self.sound {
            // With the header of this system, and without gaps.
            self.write_all();
        }
    }

    /// A node is on the bus.
    pub fn joined(&mut self, entry: Entry) {
        let slot = match self.nodes.get(&key(&entry)) {
            Some((slot, _)) => *slot,
            None => self.free.pop().unwrap_or_else(|| {
                self.end += 1;
                self.end - 1
            }),
        };
        if self.sound {
            let written = slot < MAX_NODES && self.file.write_all_at(&slots::encode(&entry), offset(slot)).is_ok();
            self.note_failure(written);
        }
        self.nodes.insert(key(&entry), (slot, entry));
    }

    /// The node that had this id under this identity is not; another may have the id.
    pub fn gone(&mut self, id: &str, identity: u64) {
        let Some((slot, _)) = self.nodes.remove(&(id.to_owned(), identity)) else { return };
        self.free.push(slot);
        if self.sound {
            let written = self.file.write_all_at(&[0; SLOT], offset(slot)).is_ok();
            self.note_failure(written);
        }
    }

    /// The bus ends: nobody is on it.
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.write_all();
    }

    /// The bridge ends. The file stays for the next one, if there is anybody to tell of. Returns whether the next one is
    /// told all.
    pub fn end(self) -> bool {
        if self.nodes.is_empty() && self.is_in_place() {
            let _ = fs::remove_file(&self.path);
        }
        self.sound
    }

    fn is_in_place(&self) -> bool {
        self.file.metadata().is_ok_and(|metadata| is_at(&self.path, &metadata))
    }

    /// Puts the file back if it was removed. Every now and then.
    pub fn refresh(&mut self) {
        if self.is_in_place() || !open_existing(&self.path, self.uid).is_ok_and(|found| found.is_none()) {
            return;
        }
        if let Ok(file) = create_new(&self.path) {
            self.file = file;
            let was_sound = std::mem::replace(&mut self.sound, false);
            was_sound.then(|| self.complete());
        }
    }

    /// Writes all of it, the header last: until it is there, nobody knows who is on the bus.
    fn write_all(&mut self) {
        self.free.clear();
        self.end = self.nodes.len() as u32;
        let mut bytes = Vec::new();
        for (slot, (place, entry)) in (0..).zip(self.nodes.values_mut()) {
            *place = slot;
            bytes.extend_from_slice(&slots::encode(entry));
        }
        let write = || {
            self.file.set_len(0)?;
            self.file.write_all_at(&bytes, offset(0))?;
            self.file.write_all_at(&self.header.encode(), 0)
        };
        let written = self.end <= MAX_NODES && write().is_ok();
        self.sound = true;
        self.note_failure(written);
    }

    /// What does not name everybody must not look as if it did.
    fn note_failure(&mut self, written: bool) {
        if !written {
            self.sound = false;
            let _ = self.file.set_len(0);
        }
    }
}

fn key(entry: &Entry) -> (String, u64) {
    (entry.id.clone(), entry.identity)
}

fn offset(slot: u32) -> u64 {
    (HEADER + slot as usize * SLOT) as u64
}

fn roster_path(socket: &Path) -> PathBuf {
    let mut path = OsString::from(socket);
    path.push(".roster");
    path.into()
}

/// The file at `path` if it is a regular file of this user alone; `None`: there is none.
fn open_existing(path: &Path, uid: u32) -> io::Result<Option<File>> {
    let is_ours = |metadata: &Metadata| {
        metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == uid && metadata.mode() & 0o077 == 0
    };
    let refused = || io::Error::from(io::ErrorKind::AlreadyExists);
    match fs::symlink_metadata(path) {
        Ok(found) if is_ours(&found) => {}
        Ok(_) => return Err(refused()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    // Of the open file, for what is at the path may be another by now.
    let metadata = file.metadata()?;
    if is_ours(&metadata) && is_at(path, &metadata) { Ok(Some(file)) } else { Err(refused()) }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

fn read(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(offset(MAX_NODES)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
