//! Whether a process still runs: a broken link to one that does may be mended, one to a process that ended will not.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

use socket2::SockRef;

use super::{Stream, peer};

/// A process of our own pid namespace that ran when this was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub(super) pid: u32,
    /// In clock ticks since the system's: another process that gets its number has another.
    pub(super) started: u64,
}

impl Process {
    /// The process with this number; `None` where the system does not tell (only Linux does), or has none.
    pub fn running(pid: u32) -> Option<Self> {
        let (state, started) = state_of(pid)?;
        (!is_over(state)).then_some(Self { pid, started })
    }

    /// Whether it has ended, or is about to: a process closes its sockets before it counts as ended.
    pub fn has_ended(self) -> bool {
        state_of(self.pid).is_none_or(|(state, started)| is_over(state) || started != self.started)
    }
}

/// What tells of the end of a process.
#[derive(Debug)]
pub enum Ending {
    /// Its number, in our own pid namespace.
    Of(Process),
    /// Its descriptor, in any.
    Opened(OwnedFd),
    /// It has ended meanwhile.
    Over,
}

impl Ending {
    /// That of the process that connected a Unix socket; `None` where the kernel does not tell.
    pub fn behind(stream: &Stream) -> Option<Self> {
        let Stream::Unix(socket) = stream else { return None };
        peer::find(&SockRef::from(socket)).map(|found| match found {
            peer::Found::Process(descriptor) => Self::Opened(descriptor),
            peer::Found::Ended => Self::Over,
        })
    }

    /// Whether it has come.
    pub fn has_come(&self) -> bool {
        match self {
            Self::Of(process) => process.has_ended(),
            Self::Opened(descriptor) => is_readable(descriptor),
            Self::Over => true,
        }
    }
}

#[cfg(target_os = "linux")]
fn is_readable(descriptor: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    let mut polled = [PollFd::new(descriptor, PollFlags::IN)];
    matches!(poll(&mut polled, Some(&Timespec::default())), Ok(1..))
}

#[cfg(not(target_os = "linux"))]
fn is_readable(_descriptor: &OwnedFd) -> bool {
    false
}

/// Which pid namespace this process is in: numbers of processes mean the same within one. [`UNKNOWN_NAMESPACE`] where the system does not tell.
pub fn pid_namespace() -> u32 {
    if !cfg!(target_os = "linux") {
        return ONLY_NAMESPACE;
    }
    fs::metadata("/proc/self/ns/pid").map_or(UNKNOWN_NAMESPACE, |namespace| namespace.ino() as u32)
}

/// Of a process that the system does not tell.
pub const UNKNOWN_NAMESPACE: u32 = 0;

/// Of systems that have but one.
const ONLY_NAMESPACE: u32 = 1;

/// What the system shows of a process to whoever wonders why it is silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Its number in our own pid namespace.
    pub pid: u32,
    /// Its name, as `ps` shows it.
    pub name: String,
    /// Whether a signal or a debugger has stopped it.
    pub stopped: bool,
}

impl Silent {
    /// The process with this number; `None` where the system does not tell, or has none.
    pub fn look_up(pid: u32) -> Option<Self> {
        let (state, _) = state_of(pid)?;
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some(Self { pid, name: name.trim_end().to_owned(), stopped: matches!(state, b'T' | b't') })
    }
}

/// Zombies wait for their parent only.
fn is_over(state: u8) -> bool {
    matches!(state, b'Z' | b'X' | b'x')
}

/// State and start of a process: fields 3 and 22 of proc_pid_stat(5), behind a name that may contain anything.
fn state_of(pid: u32) -> Option<(u8, u64)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end_of_name = stat.iter().rposition(|&byte| byte == b')')?;
    let mut fields = stat.get(end_of_name + 1..)?.split(|&byte| byte == b' ').skip(1);
    let state = *fields.next()?.first()?;
    let started = str::from_utf8(fields.nth(18)?).ok()?.parse().ok()?;
    Some((state, started))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_runs_until_it_is_killed_even_if_nobody_buries_it() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let process = Process::running(child.id()).expect("it runs");
        assert!(!process.has_ended());
        child.kill().expect("killed");
        while !process.has_ended() {
            std::thread::yield_now();
        }
        assert_eq!(Process::running(child.id()), None, "a zombie does not run");
        child.wait().expect("buried");
        assert!(process.has_ended());
    }

    #[test]
    fn a_stopped_process_is_known_as_such() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("cat");
        let running = Silent { pid: child.id(), name: "cat".to_owned(), stopped: false };
        // Until it has called exec, it has the name of this program.
        while Silent::look_up(child.id()).as_ref() != Some(&running) {
            std::thread::yield_now();
        }
        Command::new("kill").args(["-STOP", &child.id().to_string()]).status().expect("kill");
        while Silent::look_up(child.id()).as_ref() == Some(&running) {
            std::thread::yield_now();
        }
        assert_eq!(Silent::look_up(child.id()), Some(Silent { stopped: true, ..running }));
        child.kill().expect("killed");
        child.wait().expect("buried");
    }

    #[test]
    fn another_process_with_the_same_number_is_another() {
        let own = Process::running(std::process::id()).expect("this one");
        assert!(!own.has_ended());
        assert!(Process { started: own.started + 1, ..own }.has_ended());
    }

    #[tokio::test]
    async fn a_socket_tells_of_the_end_of_the_process_that_connected_it() {
        let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
        near.set_nonblocking(true).expect("a flag");
        let own = Ending::behind(&Stream::Unix(tokio::net::UnixStream::from_std(near).expect("a stream")));
        drop(far);
        if let Some(own) = own {
            assert!(matches!(own, Ending::Opened(_)));
            assert!(!own.has_come(), "this process made both ends");
        }
    }

    #[test]
    fn this_process_is_in_a_namespace() {
        assert_ne!(pid_namespace(), UNKNOWN_NAMESPACE);
    }
}
