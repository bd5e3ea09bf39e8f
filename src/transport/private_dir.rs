//! The directory of the default address: ours alone, made when it is missing.
//!
//! Without these checks another user could make `/tmp/busybody-<uid>` first and be the bridge.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use socket2::{Domain, Socket, Type};

use crate::address::Address;
use crate::error::{Error, Result};

/// Set on a directory such as /tmp: only the owner of an entry may rename or remove it.
const STICKY: u32 = 0o1000;

/// This user's own bus, by `$XDG_RUNTIME_DIR` and the effective uid. Listening and connecting know it by this value.
pub fn default_address() -> Result<Address> {
    let uid = own_uid().map_err(|error| Error::io(&error, "asking for the uid of", "this process"))?;
    Ok(default_for(uid))
}

/// The uid of what this process creates, which is its effective uid: a new socket carries it.
pub(super) fn own_uid() -> io::Result<u32> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    Ok(File::from(OwnedFd::from(socket)).metadata()?.uid())
}

/// Before listening at `socket`: if that is the default address, makes and checks its directory.
/// Other directories are their owners' business.
pub(super) fn prepare_default(socket: &Path, uid: u32) -> Result<()> {
    match default_dir(socket, uid) {
        Some(dir) => prepare(dir, uid),
        None => Ok(()),
    }
}

/// Before connecting to `socket`: if that is the default address, its directory must be ours or missing.
pub(super) fn check_default(socket: &Path) -> io::Result<()> {
    // Spares all other addresses the system calls.
    if !socket.ends_with("default.sock") {
        return Ok(());
    }
    let uid = own_uid()?;
    match default_dir(socket, uid) {
        Some(dir) if fs::symlink_metadata(dir).is_ok() => {
            check(dir, uid).map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))
        }
        _ => Ok(()),
    }
}

fn default_for(uid: u32) -> Address {
    let runtime_dir = env::var("XDG_RUNTIME_DIR").ok();
    Address::default_for(runtime_dir.as_deref(), uid)
}

/// The directory of `socket`, if `socket` is the default address.
fn default_dir(socket: &Path, uid: u32) -> Option<&Path> {
    let is_default = default_for(uid) == Address::Unix(socket.to_owned());
    socket.parent().filter(|_| is_default)
}

fn prepare(dir: &Path, uid: u32) -> Result<()> {
    if fs::symlink_metadata(dir).is_err() {
        make(dir, uid)?;
    }
    check(dir, uid)
}

/// What we made under somebody else's directory would lock its owner out of his own bus: `$XDG_RUNTIME_DIR` survives
/// `su` and `sudo -E`.
fn make(dir: &Path, uid: u32) -> Result<()> {
    let above = Parent::of(dir, uid)?;
    if !above.is_ours && !above.is_shared {
        return above.refuse();
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io(&error, "creating", &dir.display().to_string())),
    }
}

fn check(dir: &Path, uid: u32) -> Result<()> {
    // Not through a symbolic link: whoever owns the link chooses the directory.
    let found = fs::symlink_metadata(dir).map_err(|error| inspected(dir, &error))?;
    if !found.is_dir() {
        return refuse(dir, "it is not a directory");
    }
    if found.uid() != uid {
        return refuse(dir, &format!("it belongs to user {}, not to user {uid}", found.uid()));
    }
    if found.mode() & 0o077 != 0 {
        let mode = found.mode() & 0o777;
        return refuse(dir, &format!("its mode is {mode:04o}, it must be 0700, closed to others"));
    }
    let above = Parent::of(dir, uid)?;
    if above.is_ours || above.is_roots || above.is_shared { Ok(()) } else { above.refuse() }
}

/// The directory in which the private one is, or shall be.
struct Parent<'a> {
    path: &'a Path,
    owner: u32,
    uid: u32,
    is_ours: bool,
    is_roots: bool,
    /// As /tmp: everybody makes entries, of which nobody else can take one away. One that is not root's (/tmp in some
    /// containers) is good for a directory named after its user only.
    is_shared: bool,
}

impl<'a> Parent<'a> {
    fn of(dir: &'a Path, uid: u32) -> Result<Self> {
        let path = dir.parent().unwrap_or(dir);
        let found = fs::metadata(path).map_err(|error| inspected(path, &error))?;
        let owner = found.uid();
        let is_named = dir.file_name().is_some_and(|name| *name == *format!("busybody-{uid}"));
        let is_roots = owner == 0;
        let is_shared = found.mode() & STICKY != 0 && (is_roots || is_named);
        Ok(Self { path, owner, uid, is_ours: owner == uid, is_roots, is_shared })
    }

    fn refuse(&self) -> Result<()> {
        let Self { owner, uid, .. } = self;
        let reason = format!(
            "it belongs to user {owner}, not to user {uid}; unset XDG_RUNTIME_DIR, or name an address with BUSYBODY_ADDRESS"
        );
        refuse(self.path, &reason)
    }
}

fn refuse(what: &Path, reason: &str) -> Result<()> {
    let message = format!("EACCES: refusing to use '{}': {reason}", what.display());
    Err(Error::os("EACCES", message))
}

fn inspected(path: &Path, error: &io::Error) -> Error {
    Error::io(error, "looking for the directory", &path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::super::scratch::Scratch;
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).expect("it exists").mode() & 0o777
    }

    #[test]
    fn our_uid_is_that_of_the_files_we_make() {
        let dir = Scratch::new();
        let made = fs::symlink_metadata(dir.path()).expect("it exists").uid();
        assert_eq!(own_uid().expect("a uid"), made);
    }

    #[test]
    fn a_missing_directory_is_made_for_us_alone() {
        let scratch = Scratch::new();
        let uid = own_uid().expect("a uid");
        let dir = scratch.join("busybody");
        prepare(&dir, uid).expect("made");
        assert_eq!(mode(&dir), 0o700);
        prepare(&dir, uid).expect("found");
    }

    #[test]
    fn its_parent_is_never_made() {
        let scratch = Scratch::new();
        let dir = scratch.join("missing/busybody");
        let error = prepare(&dir, own_uid().expect("a uid")).expect_err("no parent");
        assert_eq!(error.code(), "ENOENT");
        assert!(scratch.names().is_empty());
    }

    #[test]
    fn a_directory_that_is_not_ours_alone_is_refused() {
        let scratch = Scratch::new();
        let uid = own_uid().expect("a uid");
        let open = scratch.join("open");
        fs::create_dir(&open).expect("made");
        fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("chmod");
        let private = scratch.join("private");
        prepare(&private, uid).expect("made");
        let link = scratch.join("link");
        symlink(&private, &link).expect("symlink");
        let file = scratch.join("file");
        fs::write(&file, "").expect("written");
        let table = [
            (&open, uid, "0755"),
            (&private, uid + 1, "belongs to user"),
            (&link, uid, "not a directory"),
            (&file, uid, "not a directory"),
        ];
        for (dir, uid, reason) in table {
            let error = prepare(dir, uid).expect_err(reason);
            assert_eq!(error.code(), "EACCES");
            assert!(error.message().contains(reason), "{error}");
        }
        assert_eq!(mode(&open), 0o755, "refused, not changed");
    }

    #[test]
    fn nothing_is_made_under_a_directory_of_somebody_else() {
        let scratch = Scratch::new();
        let owner = scratch.join("owner");
        fs::create_dir(&owner).expect("made");
        let dir = owner.join("busybody");
        let refused = |uid| {
            let error = prepare(&dir, uid).expect_err("not the parent's owner");
            assert_eq!(error.code(), "EACCES");
            assert!(error.message().contains("BUSYBODY_ADDRESS"), "{error}");
            assert!(!dir.exists());
        };
        let own = own_uid().expect("a uid");
        refused(own + 1);
        // Only root can give it away; for others the owner is one who is not `own + 1`, which is enough.
        let given_away = chown(&owner, Some(own + 2), None).is_ok();
        fs::set_permissions(&owner, fs::Permissions::from_mode(0o1777)).expect("chmod");
        if given_away {
            refused(own);
            // In a /tmp that is not root's, each user has a directory that nobody else wants.
            prepare(&owner.join(format!("busybody-{own}")), own).expect("shared");
        }
    }

    #[test]
    fn only_the_default_address_has_a_directory_to_prepare() {
        let uid = own_uid().expect("a uid");
        let Address::Unix(path) = default_address().expect("a default") else { panic!("not Unix") };
        assert_eq!(default_dir(&path, uid), path.parent());
        assert_eq!(default_dir(Path::new("/run/busybody/default.sock"), uid), None);
        check_default(Path::new("/nowhere/busybody/default.sock")).expect("not ours to judge");
    }
}
