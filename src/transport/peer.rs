//! What the kernel says of the process at the other end of a Unix socket. Only Linux is asked.

use std::os::fd::OwnedFd;

use socket2::SockRef;

/// Its number in our own pid namespace, as it was when it connected or began to listen.
pub(super) fn pid_of(socket: &SockRef<'_>) -> Option<u32> {
    system::pid_of(socket)
}

/// A process that a socket leads to.
#[derive(Debug)]
pub(super) enum Found {
    /// Its descriptor, readable once it has ended.
    Process(OwnedFd),
    /// It has ended, and nobody waits for it any more.
    Ended,
}

/// The process at the other end, whatever pid namespace it is in; `None` where the kernel does not tell (before Linux 6.5).
pub(super) fn find(socket: &SockRef<'_>) -> Option<Found> {
    system::find(socket)
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod system {
    use std::ffi::{c_int, c_void};
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use socket2::SockRef;

    use super::Found;

    // The numbers of x86 and ARM, from <asm-generic/socket.h>.
    const SOL_SOCKET: c_int = 1;
    const SO_PEERCRED: c_int = 17;
    const SO_PEERPIDFD: c_int = 77;

    /// What Linux says of a process that is no more: which of the two depends on its version.
    const GONE: [i32; 2] = [3 /* ESRCH */, 22 /* EINVAL */];

    unsafe extern "C" {
        fn getsockopt(socket: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut u32) -> c_int;
    }

    pub fn pid_of(socket: &SockRef<'_>) -> Option<u32> {
        // struct ucred: pid, uid, gid. The pid is 0 for a process that our pid namespace does not show.
        let [pid, ..] = option::<3>(socket, SO_PEERCRED).ok()?;
        u32::try_from(pid).ok().filter(|pid| *pid != 0)
    }

    pub fn find(socket: &SockRef<'_>) -> Option<Found> {
        match option::<1>(socket, SO_PEERPIDFD) {
            // SAFETY: the kernel has just opened this descriptor for us.
            Ok([fd]) => Some(Found::Process(unsafe { OwnedFd::from_raw_fd(fd) })),
            Err(error) if error.raw_os_error().is_some_and(|code| GONE.contains(&code)) => Some(Found::Ended),
            Err(_) => None,
        }
    }

    fn option<const N: usize>(socket: &SockRef<'_>, name: c_int) -> io::Result<[c_int; N]> {
        let mut value = [0; N];
        let mut length = size_of_val(&value) as u32;
        // SAFETY: an open socket, and as many bytes as `length` says.
        let status =
            unsafe { getsockopt(socket.as_raw_fd(), SOL_SOCKET, name, value.as_mut_ptr().cast(), &raw mut length) };
        if status != 0 {
            return Err(io::Error::last_os_error());
        }
        if length as usize != size_of_val(&value) { Err(io::ErrorKind::InvalidData.into()) } else { Ok(value) }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use socket2::SockRef;

    use super::Found;

    pub fn pid_of(_socket: &SockRef<'_>) -> Option<u32> {
        None
    }

    pub fn find(_socket: &SockRef<'_>) -> Option<Found> {
        None
    }
}
