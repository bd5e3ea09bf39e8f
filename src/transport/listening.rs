//! Which process listens at a TCP address of this machine: a question for error messages, answered by Linux's `/proc`.

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// The state of a listening socket in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The pid of whoever listens there; `None` if that is a process of another user or namespace, or the system does not tell.
pub(super) fn pid_at(address: SocketAddr) -> Option<u32> {
    let table = if address.is_ipv4() { "/proc/net/tcp" } else { "/proc/net/tcp6" };
    let link = format!("socket:[{}]", inode_in(&fs::read_to_string(table).ok()?, address)?);
    let processes = fs::read_dir("/proc").ok()?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.into_iter().find(|pid| has_open(*pid, &link))
}

/// The socket that listens there, by its inode's number.
fn inode_in(table: &str, address: SocketAddr) -> Option<u64> {
    let wanted = format!("{}:{:04X}", hex(address.ip()), address.port());
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let found = *fields.get(1)? == wanted && *fields.get(3)? == LISTEN;
        fields.get(9).filter(|_| found)?.parse().ok()
    })
}

/// As the kernel prints it: words of four bytes, each in the machine's own order.
fn hex(ip: IpAddr) -> String {
    let words = |bytes: &[u8]| -> String {
        let numbers = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_ne_bytes(*word));
        numbers.map(|number| format!("{number:08X}")).collect()
    };
    match ip {
        IpAddr::V4(ip) => words(&ip.octets()),
        IpAddr::V6(ip) => words(&ip.octets()),
    }
}

fn has_open(pid: u32, link: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == link))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::{Ipv6Addr, TcpListener};

    use super::*;

    #[test]
    fn a_listener_of_this_process_is_found_at_either_kind_of_address() {
        for address in [IpAddr::from([127, 0, 0, 1]), Ipv6Addr::LOCALHOST.into()] {
            let Ok(listener) = TcpListener::bind((address, 0)) else { continue };
            let at = listener.local_addr().expect("an address");
            assert_eq!(pid_at(at), Some(std::process::id()), "{at}");
            drop(listener);
            assert_eq!(pid_at(at), None, "{at}");
        }
    }
}
