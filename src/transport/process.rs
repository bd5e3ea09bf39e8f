//! Whether a process still runs: a broken link to one that does may be mended, one to a process that ended will not.

use std::fs;

/// A process that ran when this was made.
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
    fn another_process_with_the_same_number_is_another() {
        let own = Process::running(std::process::id()).expect("this one");
        assert!(!own.has_ended());
        assert!(Process { started: own.started + 1, ..own }.has_ended());
    }
}
