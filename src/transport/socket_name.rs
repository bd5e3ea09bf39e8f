//! A Unix socket's path as a system call takes it, which has room for [`MAX_PATH`] bytes.

use std::io;
use std::path::Path;

use socket2::SockAddr;

use crate::address::MAX_PATH;

/// What to bind or connect to for a path. Where the path is too long for the system call, it leads through a descriptor
/// of the path's directory, which stays open as long as this lives.
#[derive(Debug)]
pub(super) struct SocketName {
    address: SockAddr,
    #[cfg(target_os = "linux")]
    _directory: Option<std::os::fd::OwnedFd>,
}

impl SocketName {
    #[cfg(target_os = "linux")]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        if path.as_os_str().len() <= MAX_PATH {
            return Ok(Self { address: SockAddr::unix(path)?, _directory: None });
        }
        let (directory, short) = through_directory(path)?;
        Ok(Self { address: SockAddr::unix(short)?, _directory: Some(directory) })
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        debug_assert!(path.as_os_str().len() <= MAX_PATH, "checked with the address");
        Ok(Self { address: SockAddr::unix(path)? })
    }

    pub(super) fn address(&self) -> &SockAddr {
        &self.address
    }
}

/// The directory of `path`, opened, and a short path that leads through it.
#[cfg(target_os = "linux")]
fn through_directory(path: &Path) -> io::Result<(std::os::fd::OwnedFd, std::path::PathBuf)> {
    use rustix::fs::{Mode, OFlags, open};
    use std::os::fd::AsRawFd;

    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let directory = open(parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    Ok((directory, short))
}
