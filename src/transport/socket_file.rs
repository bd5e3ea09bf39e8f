//! A socket's name in the file system: put in place without a gap, removed only when it is dead or ours.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{BACKLOG, in_use};
use crate::address::MAX_PATH;
use crate::error::{Error, Result};

/// The socket file that a listener of ours has made: its path and its identity. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct SocketFile {
    /// Absolute, since the process may change its working directory.
    path: Arc<Path>,
    identity: Identity,
    /// Set by the first who removes it: once its listener is gone, the inode's number may serve another file.
    removed: Arc<Mutex<bool>>,
}

/// Device and inode.
type Identity = (u64, u64);

impl SocketFile {
    /// Binds a socket for `path`, which nobody but the holder of its lock may do, and listens.
    ///
    /// The socket is bound to `.<name>~` beside the path and renamed when it listens, so that the path never
    /// leads to a socket that is not ready, or not closed to others yet. A path so long that this name would
    /// exceed the limit is bound directly; whoever connects in that instant is refused and tries again.
    pub(super) fn create(path: &Path, mode: u32, uid: u32) -> Result<(Socket, Self)> {
        let absolute = path::absolute(path).map_err(|error| failed(&error, path))?;
        let staged = staging_path(path);
        let bound = staged.as_deref().unwrap_or(path);
        // Left by a starter that was killed: its lock is ours now, and so is its staging name.
        remove_stale(bound, uid)?;
        let socket = bind(bound, mode).map_err(|error| failed(&error, path))?;
        let place = || {
            let identity = listen(&socket, bound, mode).map_err(|error| failed(&error, path))?;
            if let Some(staged) = &staged {
                remove_stale(path, uid)?;
                fs::rename(staged, path).map_err(|error| failed(&error, path))?;
            }
            Ok(identity)
        };
        let identity = place().inspect_err(|_| drop(fs::remove_file(bound)))?;
        Ok((socket, Self { path: absolute.into(), identity, removed: Arc::default() }))
    }

    /// Where it is, as an absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to it.
    pub(super) fn is_ours(&self) -> bool {
        let removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        !*removed && self.is_in_place()
    }

    /// Removes it unless somebody has put something else in its place. From any thread, any number of times:
    /// after the listener was released it does nothing.
    pub fn unlink_if_ours(&self) {
        let mut removed = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*removed && self.is_in_place() {
            let _ = fs::remove_file(&self.path);
        }
        *removed = true;
    }

    fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == self.identity)
    }
}

/// Refuses a path that holds something other than a socket, and leaves it as it is.
pub(super) fn refuse_other_than_socket(path: &Path) -> Result<()> {
    inspect(path).map(drop)
}

/// Whether somebody accepts connections there, whoever it is and whether or not they take our lock.
pub(super) fn is_alive(path: &Path) -> bool {
    matches!(probe(path), Probe::Alive)
}

fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn staging_path(path: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name()?);
    name.push("~");
    let staged = path.with_file_name(name);
    (staged.as_os_str().len() <= MAX_PATH).then_some(staged)
}

fn bind(path: &Path, mode: u32) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the mode of the socket to its file, so that it is never more open than it shall be. Other
    // systems refuse; there it takes until `listen`, before which nobody can connect anyway.
    let handle = File::from(OwnedFd::from(socket.try_clone()?));
    let _ = handle.set_permissions(Permissions::from_mode(mode));
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    Ok(socket)
}

fn listen(socket: &Socket, path: &Path, mode: u32) -> io::Result<Identity> {
    let made = fs::symlink_metadata(path)?;
    // The umask has taken its bits away.
    if made.mode() & 0o777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode))?;
    }
    socket.listen(BACKLOG)?;
    Ok(identity(&made))
}

/// Clears `path` of a socket of ours that nobody serves any more. The caller holds the lock, so no bridge does;
/// other programs know nothing of locks and are asked by connecting.
fn remove_stale(path: &Path, uid: u32) -> Result<()> {
    let Some(found) = inspect(path)? else {
        return Ok(());
    };
    let subject = path.display().to_string();
    match probe(path) {
        Probe::Alive => return Err(in_use("a program", &subject, None)),
        Probe::Unclear(error) if found.uid() == uid => return Err(failed(&error, path)),
        Probe::Unclear(_) | Probe::Dead => {}
    }
    if found.uid() != uid {
        let owner = found.uid();
        let message = format!("EACCES: the socket '{subject}' belongs to user {owner}, not to user {uid}; not removed");
        return Err(Error::os("EACCES", message));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&error, path)),
        _ => Ok(()),
    }
}

/// The socket file at `path`, or `None` when nothing is there.
fn inspect(path: &Path) -> Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(Some(found)),
        Ok(found) => Err(not_a_socket(path, &found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error, path)),
    }
}

enum Probe {
    Alive,
    Dead,
    Unclear(io::Error),
}

fn probe(path: &Path) -> Probe {
    let prepare = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        Ok((socket, SockAddr::unix(path)?))
    };
    let (socket, address) = match prepare() {
        Ok(prepared) => prepared,
        Err(error) => return Probe::Unclear(error),
    };
    let Err(error) = socket.connect(&address) else {
        return Probe::Alive;
    };
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Probe::Dead,
        io::ErrorKind::PermissionDenied => Probe::Unclear(error),
        // Its backlog is full (`EAGAIN`), it is of another type (`EPROTOTYPE`): either way some process has it.
        _ => Probe::Alive,
    }
}

fn not_a_socket(path: &Path, found: &Metadata) -> Error {
    let kind = match found.file_type() {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_file() => "a file",
        _ => "a device or pipe",
    };
    let path = path.display();
    Error::os("ENOTSOCK", format!("ENOTSOCK: '{path}' is {kind}, not a socket; not removed"))
}

fn failed(error: &io::Error, path: &Path) -> Error {
    Error::io(error, "listening on", &path.display().to_string())
}
