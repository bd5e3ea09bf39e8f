//! The election for a socket path: an exclusive `flock` on `<path>.lock`.
//!
//! The kernel frees it when its owner dies, however it dies, so a lock that is held means an owner that lives.
//! The file is never removed: whoever removes a lock file may remove the one that another has just locked.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use super::in_use;
use super::process::{UNKNOWN_NAMESPACE, pid_namespace};
use crate::error::{Error, Result};

/// How often the file may change under our hands (a cleaner of /tmp removes it, another starter makes it)
/// before we give up.
const ATTEMPTS: u32 = 100;

/// How many milliseconds a loser gives the winner to note its pid where the system does not tell who holds a lock. Noting
/// takes microseconds, but on a busy machine the winner may have to wait for a processor first.
const PATIENCE: u64 = 256;

/// The longest note that we leave in the file: a pid, its namespace and a line feed. A longer file is not ours to overwrite.
const MAX_NOTE: u64 = 32;

/// The right to a socket path. Dropping it lets the next owner in.
#[derive(Debug)]
pub(super) struct PathLock {
    file: File,
    before: LastOwner,
    abandons: bool,
}

/// How the owner before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LastOwner {
    /// There was none, as far as the file tells.
    None,
    /// In order.
    Ended,
    /// It was killed, or says that it might as well have been.
    Lost,
}

impl PathLock {
    /// Wins the election for `socket`, or says who has won it (`EADDRINUSE`). Never waits for the lock.
    ///
    /// Two listeners in one process exclude each other too: an flock belongs to the open file, not to the process.
    pub(super) fn acquire(socket: &Path) -> Result<Self> {
        let path = lock_path(socket);
        let failed = |error: io::Error| Error::io(&error, "locking", &path.display().to_string());
        for _ in 0..ATTEMPTS {
            let Some((file, found)) = open(&path, failed)? else {
                continue;
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let subject = socket.display().to_string();
                    return Err(in_use("a bridge", &subject, owner_pid(&file)));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // A lock on a file that was removed meanwhile would exclude nobody.
            let metadata = file.metadata().map_err(failed)?;
            if is_at(&path, &metadata) {
                let before = match noted_pid(&file) {
                    Some(_) => LastOwner::Lost,
                    None if found => LastOwner::Ended,
                    None => LastOwner::None,
                };
                note_pid(&file);
                return Ok(Self { file, before, abandons: false });
            }
        }
        Err(failed(io::Error::other("the lock file keeps changing")))
    }
}

impl PathLock {
    /// Whether its file is still the one that others would lock for `socket`.
    pub(super) fn is_in_place(&self, socket: &Path) -> bool {
        self.file.metadata().is_ok_and(|metadata| is_at(&lock_path(socket), &metadata))
    }

    /// How the owner before ended.
    pub(super) fn before(&self) -> LastOwner {
        self.before
    }

    /// Says that the file is in use, to those who remove old ones.
    pub(super) fn refresh(&self) {
        // A courtesy, as the note.
        let _ = self.file.set_modified(SystemTime::now());
    }

    /// The next owner is to find it as if this one had been killed.
    pub(super) fn abandon(&mut self) {
        self.abandons = true;
    }
}

impl Drop for PathLock {
    fn drop(&mut self) {
        if is_note(&self.file) {
            let _ = self.file.set_len(0);
            if self.abandons {
                // No process has this number.
                let _ = self.file.write_at(b"0\n", 0);
            }
        }
        // Not left to closing: a child that was forked but has not called exec yet shares the open file.
        let _ = self.file.unlock();
    }
}

fn lock_path(socket: &Path) -> PathBuf {
    let mut path = OsString::from(socket);
    path.push(".lock");
    path.into()
}

/// Opens or creates the lock file, and never follows a symbolic link to somebody else's file.
/// Returns whether it was there before. `None`: it changed between two looks, look again.
fn open(path: &Path, failed: impl Fn(io::Error) -> Error) -> Result<Option<(File, bool)>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let (opened, changed) = match fs::symlink_metadata(path) {
        Ok(found) if is_usable(&found) => (options.open(path), io::ErrorKind::NotFound),
        Ok(_) => return Err(unusable(path)),
        // Creates it or fails, also where a symbolic link leads nowhere.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (options.create_new(true).open(path), io::ErrorKind::AlreadyExists)
        }
        Err(error) => return Err(failed(error)),
    };
    match opened {
        Ok(file) => {
            let metadata = file.metadata().map_err(failed)?;
            let found = changed == io::ErrorKind::NotFound;
            Ok((is_usable(&metadata) && is_at(path, &metadata)).then_some((file, found)))
        }
        Err(error) if error.kind() == changed => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// A file of its own: through a second name we would lock, and write to, who knows what.
fn is_usable(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.nlink() <= 1
}

pub(super) fn is_at(path: &Path, metadata: &Metadata) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()))
}

fn unusable(path: &Path) -> Error {
    let path = path.display();
    let message = format!("EEXIST: '{path}' is needed as a lock file, but is not a regular file of its own");
    Error::os("EEXIST", message)
}

fn is_note(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.len() <= MAX_NOTE)
}

/// Tells the losers who has won. A courtesy: where it fails (a full disk), their message lacks the pid.
fn note_pid(mut file: &File) {
    if is_note(file) {
        let _ = file.set_len(0);
        let _ = file.write_all(format!("{} {}\n", std::process::id(), pid_namespace()).as_bytes());
    }
}

/// Who holds the lock. Between locking and noting, the file is empty or names the owner before, who was killed.
fn owner_pid(file: &File) -> Option<u32> {
    let mut pause = 1;
    loop {
        let note = note(file);
        let noted = note.filter(|&(pid, namespace)| !is_elsewhere(namespace) && may_be_alive(pid));
        let pid = noted.map(|(pid, _)| pid).or_else(|| locking_pid(file));
        let hopeless = pause > PATIENCE / 2 || note.is_some_and(|(_, namespace)| is_elsewhere(namespace));
        if pid.is_some() || hopeless {
            return pid;
        }
        // Longer each time: many losers that look again and again would take the processor from the winner.
        thread::sleep(Duration::from_millis(pause));
        pause *= 2;
    }
}

/// Whether a pid noted in `namespace` means another process here, or none.
fn is_elsewhere(namespace: u32) -> bool {
    let own = pid_namespace();
    namespace != own && namespace != UNKNOWN_NAMESPACE && own != UNKNOWN_NAMESPACE
}

/// Who holds the lock, as Linux says it: `1: FLOCK ADVISORY WRITE 4711 08:02:131 0 EOF`, with the pid in our namespace and
/// the file's device and inode. `None` where the system does not tell, or numbers the device otherwise (overlays).
fn locking_pid(file: &File) -> Option<u32> {
    let metadata = file.metadata().ok()?;
    let device = metadata.dev();
    let (major, minor) = ((device >> 8) & 0xfff | (device >> 32) & !0xfff, device & 0xff | (device >> 12) & !0xff);
    let locked = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, "WRITE", pid, file, ..] if file == locked => pid.parse().ok(),
            _ => None,
        }
    })
}

fn noted_pid(file: &File) -> Option<u32> {
    note(file).map(|(pid, _)| pid)
}

/// A pid and its namespace; 0: unknown.
fn note(file: &File) -> Option<(u32, u32)> {
    let mut note = [0; MAX_NOTE as usize];
    let length = file.read_at(&mut note, 0).ok()?;
    let text = str::from_utf8(&note[..length]).ok()?;
    let text = text.strip_suffix('\n')?;
    let (pid, namespace) = text.split_once(' ').unwrap_or((text, "0"));
    Some((pid.parse().ok()?, namespace.parse().ok()?))
}

fn may_be_alive(pid: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new(&format!("/proc/{pid}")).exists()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn one_of_two_wins_and_the_loser_learns_the_pid() {
        let dir = Scratch::new();
        let socket = dir.join("bus.sock");
        let lock = PathLock::acquire(&socket).expect("free");
        let error = PathLock::acquire(&socket).expect_err("taken");
        assert_eq!(error.code(), "EADDRINUSE");
        let expected = format!("(pid {})", std::process::id());
        assert!(error.message().contains(&expected), "{error}");
        drop(lock);
        PathLock::acquire(&socket).expect("free again");
    }

    #[test]
    fn the_next_owner_learns_whether_the_one_before_ended_in_order() {
        let dir = Scratch::new();
        let socket = dir.join("bus.sock");
        let before = |socket| PathLock::acquire(socket).expect("free").before();
        let mut first = PathLock::acquire(&socket).expect("free");
        assert_eq!(first.before(), LastOwner::None);
        first.abandon();
        drop(first);
        assert_eq!(before(&socket), LastOwner::Lost);
        assert_eq!(before(&socket), LastOwner::Ended);
        // As an owner leaves it that is killed, however long ago.
        fs::write(lock_path(&socket), "4194305\n").expect("written");
        let file = OpenOptions::new().write(true).open(lock_path(&socket)).expect("a file");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("set");
        assert_eq!(before(&socket), LastOwner::Lost);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_holds_the_lock_is_told_before_its_note_and_never_an_owner_that_was_killed() {
        let dir = Scratch::new();
        let socket = dir.join("bus.sock");
        let lock = PathLock::acquire(&socket).expect("free");
        let own = pid_namespace();
        let told = format!("(pid {})", std::process::id());
        // Above the highest that Linux gives out.
        for note in [String::new(), format!("4194305 {own}\n")] {
            fs::write(lock_path(&socket), &note).expect("written");
            let error = PathLock::acquire(&socket).expect_err("taken");
            assert!(error.message().ends_with(&told), "{note:?}: {error}");
        }
        // Nor the number of one in another pid namespace, even if it is in use here.
        fs::write(lock_path(&socket), format!("1 {}\n", own ^ 1)).expect("written");
        let error = PathLock::acquire(&socket).expect_err("taken");
        assert!(error.message().ends_with(&told), "{error}");
        drop(lock);
        // A note without a namespace is of one that could not tell it.
        assert!(!is_elsewhere(UNKNOWN_NAMESPACE) && !is_elsewhere(own) && is_elsewhere(own ^ 1));
    }

    #[test]
    fn the_file_stays_private_and_in_place() {
        let dir = Scratch::new();
        let socket = dir.join("bus.sock");
        drop(PathLock::acquire(&socket).expect("free"));
        let metadata = fs::symlink_metadata(lock_path(&socket)).expect("still there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_eq!(metadata.len(), 0, "an owner that left takes its pid along");
    }

    #[test]
    fn a_file_shared_with_a_forked_child_is_unlocked_all_the_same() {
        let dir = Scratch::new();
        let socket = dir.join("bus.sock");
        let lock = PathLock::acquire(&socket).expect("free");
        let _inherited = lock.file.try_clone().expect("dup");
        drop(lock);
        PathLock::acquire(&socket).expect("free again");
    }

    #[test]
    fn links_and_directories_are_not_taken_for_lock_files() {
        let dir = Scratch::new();
        let precious = dir.join("precious");
        fs::write(&precious, "1").expect("write");
        let links: [fn(&Path, &Path) -> io::Result<()>; 3] =
            [|to, at| std::os::unix::fs::symlink(to, at), |to, at| fs::hard_link(to, at), |_, at| fs::create_dir(at)];
        for (number, link) in links.into_iter().enumerate() {
            let socket = dir.join(&format!("{number}.sock"));
            link(&precious, &lock_path(&socket)).expect("link");
            assert_eq!(PathLock::acquire(&socket).expect_err("refused").code(), "EEXIST");
        }
        assert_eq!(fs::read_to_string(&precious).expect("read"), "1");
    }

    #[test]
    fn a_dangling_link_creates_nothing() {
        let dir = Scratch::new();
        let socket = dir.join("bus.sock");
        let elsewhere = dir.join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, lock_path(&socket)).expect("symlink");
        assert_eq!(PathLock::acquire(&socket).expect_err("refused").code(), "EEXIST");
        assert!(!elsewhere.exists());
    }

    #[test]
    fn what_somebody_else_wrote_into_the_file_stays() {
        let dir = Scratch::new();
        let socket = dir.join("bus.sock");
        let text = "somebody's notes, of which we know nothing";
        fs::write(lock_path(&socket), text).expect("write");
        drop(PathLock::acquire(&socket).expect("lockable all the same"));
        assert_eq!(fs::read_to_string(lock_path(&socket)).expect("read"), text);
    }

    #[test]
    fn a_missing_directory_is_enoent() {
        let dir = Scratch::new();
        let error = PathLock::acquire(&dir.join("missing/bus.sock")).expect_err("no directory");
        assert_eq!(error.code(), "ENOENT");
    }
}
