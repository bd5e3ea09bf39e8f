//! Connecting without waiting and without a runtime: for the driver on the JS loop, which polls the socket itself.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, SockRef, Socket, Type};

use super::process::Silent;
use super::socket_name::SocketName;
use super::{listening, peer, private_dir, tcp};

use crate::address::{self, Address};
use crate::error::Result;

/// "The connection is on its way". std has no stable name for it.
const EINPROGRESS: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 115 } else { 36 };

/// An address that needs no further look-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A Unix socket.
    Unix(PathBuf),
    /// An IP address and port.
    Tcp(SocketAddr),
}

impl Target {
    /// All that an address may mean, in the order to try them. Waits for the DNS when a host name is given.
    pub fn resolve(address: &Address) -> Result<Vec<Self>> {
        match address {
            Address::Unix(path) => {
                address::check_path(path)?;
                Ok(vec![Self::Unix(path.clone())])
            }
            Address::Tcp { host, port } => {
                let found = tcp::resolve(host, *port)?;
                Ok(found.into_iter().map(Self::Tcp).collect())
            }
            Address::Tls { .. } | Address::Nats { .. } => Err(address.unsupported()),
        }
    }
}

/// A connection begun.
#[derive(Debug)]
pub struct Connecting {
    /// The socket: non-blocking, closed on exec.
    pub socket: Socket,
    /// Whether it is connected. If not, wait until it is writable, then ask [`finish`].
    pub connected: bool,
    /// Where it leads over TCP.
    target: Option<SocketAddr>,
}

/// Who listens at the other end of a connection, to be asked later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listening {
    /// The process with this number, by the kernel's word.
    Process(u32),
    /// Whoever has this TCP address.
    At(SocketAddr),
}

impl Listening {
    /// What the system shows of that process; `None` where it does not: systems other than Linux, processes of other pid
    /// namespaces, and over TCP those of other users. Over TCP all processes are looked through.
    pub fn look_up(self) -> Option<Silent> {
        match self {
            Self::Process(pid) => Silent::look_up(pid),
            Self::At(address) => listening::pid_at(address).and_then(Silent::look_up),
        }
    }
}

impl Connecting {
    /// Who listens at the other end, where the system tells.
    pub fn listening(&self) -> Option<Listening> {
        if let Some(address) = self.target {
            return Some(Listening::At(address));
        }
        peer::pid_of(&SockRef::from(&self.socket)).map(Listening::Process)
    }
}

/// Begins to connect. `WouldBlock` says that the listener's backlog is full: try again a little later.
pub fn connect(target: &Target) -> io::Result<Connecting> {
    match target {
        Target::Unix(path) => connect_unix(path),
        Target::Tcp(address) => connect_tcp(*address),
    }
}

/// What became of a connection, once its socket is writable.
pub fn finish(socket: &Socket) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    // On loopback the system may pick the very port we call as our own, and TCP then connects the socket to
    // itself: nobody listens there, and while this lasts nobody can.
    let (local, peer) = (socket.local_addr()?, socket.peer_addr()?);
    if peer.as_socket().is_some() && local.as_socket() == peer.as_socket() {
        let message = "nobody listens there: the socket was connected to itself";
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, message));
    }
    Ok(())
}

/// Waits until the socket takes more, or `deadline` has passed: `TimedOut`.
pub fn wait_writable(socket: &Socket, deadline: Instant) -> io::Result<()> {
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&left)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Err(Errno::INTR) => {}
            outcome => return outcome.map(drop).map_err(io::Error::from),
        }
    }
}

fn connect_unix(path: &Path) -> io::Result<Connecting> {
    private_dir::check_default(path)?;
    let socket = new_socket(Domain::UNIX)?;
    // A Unix socket is connected at once, or not at all.
    socket.connect(SocketName::of(path)?.address())?;
    Ok(Connecting { socket, connected: true, target: None })
}

fn connect_tcp(address: SocketAddr) -> io::Result<Connecting> {
    let socket = new_socket(Domain::for_address(address))?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&address.into()) {
        Ok(()) => {
            finish(&socket)?;
            Ok(Connecting { socket, connected: true, target: Some(address) })
        }
        Err(error) if error.raw_os_error() == Some(EINPROGRESS) => {
            Ok(Connecting { socket, connected: false, target: Some(address) })
        }
        Err(error) => Err(error),
    }
}

/// Closed on exec, as all sockets of socket2.
fn new_socket(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Read};
    use std::net::{Ipv4Addr, TcpListener};
    use std::os::unix::net::UnixListener;

    use socket2::SockAddr;

    use super::super::Stream;
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn a_unix_connection_is_there_at_once() {
        let dir = Scratch::new();
        let path = dir.join("bus.sock");
        let _listener = UnixListener::bind(&path).expect("bind");
        let link = connect(&Target::Unix(path)).expect("connect");
        assert!(link.connected);
        finish(&link.socket).expect("connected");
        assert!(link.socket.nonblocking().expect("a flag"));
        if cfg!(target_os = "linux") {
            assert_eq!(link.listening(), Some(Listening::Process(std::process::id())));
        }
        #[cfg(target_os = "linux")]
        assert!(is_closed_on_exec(&link.socket));
    }

    #[cfg(target_os = "linux")]
    fn is_closed_on_exec(socket: &Socket) -> bool {
        use std::os::fd::AsRawFd;
        let path = format!("/proc/self/fdinfo/{}", socket.as_raw_fd());
        let info = std::fs::read_to_string(path).expect("a descriptor");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        u32::from_str_radix(flags.trim(), 8).expect("octal") & 0o2_000_000 != 0
    }

    #[test]
    fn a_full_backlog_says_try_again() {
        let dir = Scratch::new();
        let path = dir.join("bus.sock");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("socket");
        listener.bind(&SockAddr::unix(&path).expect("address")).expect("bind");
        listener.listen(0).expect("listen");
        let target = Target::Unix(path);
        let _waiting = connect(&target).expect("the one that waits");
        let error = connect(&target).expect_err("no room");
        if cfg!(target_os = "linux") {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn nobody_there_has_its_own_codes() {
        let dir = Scratch::new();
        let missing = connect(&Target::Unix(dir.join("missing.sock"))).expect_err("no file");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let stale = dir.join("stale.sock");
        let bound = Socket::new(Domain::UNIX, Type::STREAM, None).expect("socket");
        bound.bind(&SockAddr::unix(&stale).expect("address")).expect("bind");
        let refused = connect(&Target::Unix(stale)).expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_tcp_connection_is_begun_then_finished() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let target = Target::Tcp(listener.local_addr().expect("address"));
        let link = connect(&target).expect("connect");
        assert!(link.socket.tcp_nodelay().expect("a flag"));
        let watched = link.socket.try_clone().expect("dup");
        let stream = Stream::from_socket(link.socket).expect("a stream");
        stream.writable().await.expect("decided");
        finish(&watched).expect("connected");

        stream.set_buffers(1 << 20);
        let slices = [IoSlice::new(b"one "), IoSlice::new(b"two")];
        assert_eq!(stream.try_write_vectored(&slices).expect("written"), 7);
        drop((stream, watched));
        let mut text = String::new();
        let mut peer = listener.accept().expect("accept").0;
        peer.read_to_string(&mut text).expect("read");
        assert_eq!(text, "one two");
    }

    #[tokio::test]
    async fn a_refused_tcp_connection_is_an_error_at_once_or_when_finished() {
        // Bound, but not listening: nobody else gets this port meanwhile.
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("bind");
        let address = held.local_addr().expect("address").as_socket().expect("an IP address");
        let error = match connect(&Target::Tcp(address)) {
            Err(error) => error,
            Ok(link) => {
                let watched = link.socket.try_clone().expect("dup");
                let stream = Stream::from_socket(link.socket).expect("a stream");
                stream.writable().await.expect("decided");
                finish(&watched).expect_err("refused")
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_socket_connected_to_itself_counts_as_refused() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("bind");
        let own = socket.local_addr().expect("address");
        socket.connect(&own).expect("TCP allows it");
        let error = finish(&socket).expect_err("nobody is there");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn addresses_resolve_to_targets() {
        let resolve = |url: &str| Target::resolve(&url.parse().expect(url));
        assert_eq!(resolve("unix:///a.sock"), Ok(vec![Target::Unix("/a.sock".into())]));
        let ip = Target::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        assert_eq!(resolve("tcp://127.0.0.1:9"), Ok(vec![ip.clone()]));
        assert_eq!(resolve("tcp://localhost:9").expect("resolves").first(), Some(&ip));
        let unknown = resolve("tcp://no-such-host.invalid:9").expect_err("unknown");
        assert_eq!(unknown.code(), "ENOTFOUND");
    }
}
