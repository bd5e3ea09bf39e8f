//! Listening on a Unix socket, as its path's only owner.
//!
//! Three things make a path ours, in this order: the lock beside it, which one process can hold (`lock`); the
//! socket file, made only where nothing alive is (`socket_file`); and its device and inode, by which we know it
//! again later. A refused connection alone proves nothing: a socket that does not listen yet refuses too.

use std::io;
use std::os::unix::net::UnixListener;
use std::path::{self, Path};

use super::lock::{LastOwner, PathLock};
use super::private_dir::{own_uid, prepare_default};
use super::socket_file::{SocketFile, is_alive, refuse_other_than_socket};
use super::{Before, PeerFacts, RosterFile, Stream, in_use, released};
use crate::address::{self, Address};
use crate::error::{Error, Result};

/// A listening Unix socket and the ownership of its path.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    file: SocketFile,
    mode: u32,
    uid: u32,
    /// Our uid, when group and others are kept out.
    private_to: Option<u32>,
    /// Until it is registered with a runtime.
    bound: Option<UnixListener>,
    registered: Option<tokio::net::UnixListener>,
    /// Held for life.
    lock: Option<PathLock>,
    /// Until somebody takes it.
    roster: Option<RosterFile>,
    before: Before,
}

impl Listener {
    /// Becomes the owner of `path`, or says who is.
    ///
    /// Errors: `EADDRINUSE` (with the pid of a bridge), `ENOTSOCK`, `ENOENT`, `ENOTDIR`, `EACCES`, `ENAMETOOLONG`, …
    pub(super) fn bind(path: &Path, mode: u32) -> Result<Self> {
        // Absolute, so that the system and processes elsewhere know it by that name, whatever our working directory is.
        let absolute =
            path::absolute(path).map_err(|error| Error::io(&error, "listening on", &path.display().to_string()));
        let path = address::check_path(path).and(absolute)?;
        let address = Address::unix(path.clone())?;
        let path = path.as_path();
        let subject = path.display().to_string();
        let failed = |error: io::Error| Error::io(&error, "listening on", &subject);
        let uid = own_uid().map_err(failed)?;
        prepare_default(path, uid)?;
        check_parent(path).map_err(failed)?;
        // Before anything is made, so that a mistyped path leaves no lock file beside somebody's file.
        refuse_other_than_socket(path)?;
        let mut lock = PathLock::acquire(path).map_err(|error| match error.code() {
            // A live bridge of another user explains more than its lock file, which we may not open.
            "EACCES" if is_alive(path) => in_use("a program", &subject, None),
            _ => error,
        })?;
        let mode = mode & 0o777;
        let (socket, file) = SocketFile::create(path, mode, uid).inspect_err(|_| {
            // It is still for somebody else to take over.
            (lock.before() == LastOwner::Lost).then(|| lock.abandon());
        })?;
        let (roster, named) = RosterFile::open(file.path(), uid);
        let before = match (named, lock.before()) {
            (Some(entries), _) => Before::Known(entries),
            (None, LastOwner::Ended) => Before::Known(Vec::new()),
            (None, LastOwner::Lost) => Before::Somebody,
            (None, LastOwner::None) => Before::Untold,
        };
        Ok(Self {
            address,
            file,
            mode,
            uid,
            private_to: (mode & 0o077 == 0).then_some(uid),
            bound: Some(socket.into()),
            registered: None,
            lock: Some(lock),
            roster,
            before,
        })
    }

    pub(super) fn register(&mut self) -> io::Result<()> {
        if let Some(socket) = self.bound.take() {
            self.registered = Some(tokio::net::UnixListener::from_std(socket)?);
        }
        Ok(())
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Stream, PeerFacts)> {
        self.register()?;
        let listener = self.registered.as_ref().ok_or_else(released)?;
        let (stream, _) = listener.accept().await?;
        let mut facts = PeerFacts::default();
        // Without credentials nobody is admitted to a private socket.
        if let Ok(peer) = stream.peer_cred() {
            facts.uid = Some(peer.uid());
            // 0 stands for a process in a pid namespace that we cannot see.
            facts.pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
        }
        Ok((Stream::Unix(stream), facts))
    }

    pub(super) fn admits(&self, peer: &PeerFacts) -> bool {
        match self.private_to {
            Some(uid) => peer.uid.is_some_and(|peer| peer == uid || peer == 0),
            None => true,
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn is_in_place(&self) -> bool {
        self.file.is_removed() || (self.file.is_ours() && self.is_locked())
    }

    fn is_locked(&self) -> bool {
        self.lock.as_ref().is_none_or(|lock| lock.is_in_place(self.file.path()))
    }

    pub(super) fn put_back(&mut self) -> Result<()> {
        let path = self.file.path().to_owned();
        let failed = |error: io::Error| Error::io(&error, "listening on", &path.display().to_string());
        prepare_default(&path, self.uid)?;
        check_parent(&path).map_err(failed)?;
        if !self.is_locked() {
            self.lock = Some(PathLock::acquire(&path)?);
        }
        if self.file.is_ours() {
            return Ok(());
        }
        // In the backlog of the socket that was taken away nobody waits: it has been out of reach for a while.
        self.bound = self.file.put_back(self.mode, self.uid)?.map(Into::into);
        self.register().map_err(failed)
    }

    pub(super) fn take_roster(&mut self) -> (Option<RosterFile>, Before) {
        (self.roster.take(), std::mem::replace(&mut self.before, Before::Untold))
    }

    pub(super) fn refresh(&self) {
        self.lock.iter().for_each(PathLock::refresh);
    }

    pub(super) fn hand_over(&mut self, told: bool) {
        if !told {
            self.lock.iter_mut().for_each(PathLock::abandon);
        }
        self.release();
    }

    pub(super) fn file(&self) -> &SocketFile {
        &self.file
    }

    /// In this order: while the socket is open its inode cannot become another file's, and while the lock is
    /// held nobody else binds.
    pub(super) fn release(&mut self) {
        self.file.unlink_if_ours();
        self.bound = None;
        self.registered = None;
        self.roster.take().map(RosterFile::end);
        self.lock = None;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.release();
    }
}

/// Says what is missing by its name; the error of the lock file would name the lock file.
fn check_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    let complain = |kind, what: &str| {
        let message = format!("the directory '{}' {what}", parent.display());
        Err(io::Error::new(kind, message))
    };
    match parent.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => complain(io::ErrorKind::NotADirectory, "is not a directory"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => complain(error.kind(), "does not exist"),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
