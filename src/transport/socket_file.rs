//! A socket's name in the file system: made where nothing alive is, made again when it was taken away, removed only
//! when it is dead or ours.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use socket2::{Domain, Socket, Type};

use super::socket_name::SocketName;
use super::{BACKLOG, in_use};
use crate::error::{Error, Result};

/// The socket file that a listener of ours has made: its path and its identity. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct SocketFile {
    /// Absolute, since the process may change its working directory.
    path: Arc<Path>,
    /// `None` once somebody removed it for good: with its listener gone, the inode's number may serve another file.
    identity: Arc<Mutex<Option<Identity>>>,
}

/// Device and inode.
type Identity = (u64, u64);

impl SocketFile {
    /// Binds a socket for the absolute `path`, which nobody but the holder of its lock may do, and listens.
    ///
    /// It is bound under that very name: those who clean directories by age (systemd-tmpfiles) spare the sockets whose
    /// paths they find in `/proc/net/unix`, and renaming a socket does not change what stands there. Who connects
    /// between binding and listening is refused and tries again.
    pub(super) fn create(path: &Path, mode: u32, uid: u32) -> Result<(Socket, Self)> {
        let (socket, identity) = make(path, mode, uid)?;
        Ok((socket, Self { path: path.into(), identity: Arc::new(Mutex::new(Some(identity))) }))
    }

    /// Makes it again after somebody removed it, or put a dead socket of ours in its place. The caller still holds the
    /// lock. `None` when it was removed for good.
    pub(super) fn put_back(&self, mode: u32, uid: u32) -> Result<Option<Socket>> {
        // Held all the while: an exit hook that removes the file finds the new one, or keeps it from being made.
        let mut current = self.identity();
        if current.is_none() {
            return Ok(None);
        }
        let (socket, identity) = make(&self.path, mode, uid)?;
        *current = Some(identity);
        Ok(Some(socket))
    }

    /// Where it is, as an absolute path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to it.
    pub(super) fn is_ours(&self) -> bool {
        self.identity().is_some_and(|identity| self.leads_to(identity))
    }

    /// Whether it was removed for good, by its own process.
    pub(super) fn is_removed(&self) -> bool {
        self.identity().is_none()
    }

    /// Removes it unless somebody has put something else in its place. From any thread, any number of times:
    /// after the listener was released it does nothing.
    pub fn unlink_if_ours(&self) {
        let mut current = self.identity();
        if current.take().is_some_and(|identity| self.leads_to(identity)) {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn identity(&self) -> MutexGuard<'_, Option<Identity>> {
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leads_to(&self, wanted: Identity) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|found| identity(&found) == wanted)
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

fn make(path: &Path, mode: u32, uid: u32) -> Result<(Socket, Identity)> {
    remove_stale(path, uid)?;
    let socket = bind(path, mode).map_err(|error| failed(&error, path))?;
    let listening = listen(&socket, path, mode);
    let identity = listening.inspect_err(|_| drop(fs::remove_file(path))).map_err(|error| failed(&error, path))?;
    Ok((socket, identity))
}

fn bind(path: &Path, mode: u32) -> io::Result<Socket> {
    let name = SocketName::of(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Linux gives the mode of the socket to its file, so that it is never more open than it shall be. Other
    // systems refuse; there it takes until `listen`, before which nobody can connect anyway.
    let handle = File::from(OwnedFd::from(socket.try_clone()?));
    let _ = handle.set_permissions(Permissions::from_mode(mode));
    socket.set_nonblocking(true)?;
    socket.bind(name.address())?;
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
        Ok((socket, SocketName::of(path)?))
    };
    let (socket, name) = match prepare() {
        Ok(prepared) => prepared,
        Err(error) => return Probe::Unclear(error),
    };
    let Err(error) = socket.connect(name.address()) else {
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
