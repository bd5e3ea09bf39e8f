//! Listening on TCP. Here `bind` and `listen` are the election: the kernel lets one socket in.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, ToSocketAddrs};
use std::task::{Context, Poll};

use socket2::{Domain, SockRef, Socket, Type};

use super::{BACKLOG, PeerFacts, Stream, in_use, released};
use crate::address::Address;
use crate::error::{Code, Error, Result};

/// How often another free port is asked for, when one that is free at a host's first address is taken at its second.
const PORT_TRIES: u32 = 20;

/// "The system has no such kind of address". std has no stable name for it.
const EAFNOSUPPORT: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 97 } else { 47 };

/// Listening TCP sockets on loopback: one for each address of a host, all with one port.
#[derive(Debug)]
pub struct Listener {
    /// With the first of the host's addresses.
    address: Address,
    /// Until they are registered with a runtime.
    bound: Vec<TcpListener>,
    registered: Vec<tokio::net::TcpListener>,
}

impl Listener {
    /// Listens on all addresses of `host` that this machine has. Refuses (`ERR_INSECURE`) a host that means
    /// more than this machine.
    pub(super) fn bind(host: &str, port: u16) -> Result<Self> {
        let candidates = resolve(host, port)?;
        if !candidates.iter().all(is_loopback) {
            return Err(insecure(host));
        }
        let wanted = Address::Tcp { host: host.to_owned(), port }.to_string();
        let (bound, actual) = listen_on_all(&candidates).map_err(|error| describe(&error, &wanted))?;
        let address = Address::Tcp { host: actual.ip().to_string(), port: actual.port() };
        Ok(Self { address, bound, registered: Vec::new() })
    }

    pub(super) fn register(&mut self) -> io::Result<()> {
        for socket in self.bound.drain(..) {
            self.registered.push(tokio::net::TcpListener::from_std(socket)?);
        }
        Ok(())
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Stream, PeerFacts)> {
        self.register()?;
        if self.registered.is_empty() {
            return Err(released());
        }
        let (stream, peer) = poll_fn(|context| poll_accept(&self.registered, context)).await?;
        // Fails only if the peer has gone already, as the first read will tell.
        let _ = stream.set_nodelay(true);
        let facts = PeerFacts { address: Some(peer.to_string()), ..PeerFacts::default() };
        Ok((Stream::Tcp(stream), facts))
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Not left to closing: a child that was forked but has not called exec yet shares the socket, and would
    /// keep the port taken.
    pub(super) fn release(&mut self) {
        for socket in self.bound.drain(..) {
            let _ = SockRef::from(&socket).shutdown(Shutdown::Both);
        }
        for socket in self.registered.drain(..) {
            let _ = SockRef::from(&socket).shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.release();
    }
}

/// The addresses of a host, each once, in an order that does not depend on who asks: IPv4 loopback first. Two bridges
/// that want one host both begin with the same address, and there one of them loses.
pub(super) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let not_found = |reason: &str| {
        let message = format!("ENOTFOUND: the host '{host}' is not known: {reason}");
        Error::os("ENOTFOUND", message)
    };
    let found = (host, port).to_socket_addrs();
    let mut found: Vec<_> = found.map_err(|error| not_found(&error.to_string()))?.collect();
    if found.is_empty() {
        return Err(not_found("it has no address"));
    }
    found.sort_by_key(|address| (!(address.is_ipv4() && is_loopback(address)), *address));
    found.dedup();
    Ok(found)
}

fn is_loopback(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.to_canonical().is_loopback(),
    }
}

fn poll_accept(
    listeners: &[tokio::net::TcpListener],
    context: &mut Context<'_>,
) -> Poll<io::Result<(tokio::net::TcpStream, SocketAddr)>> {
    let accepted = listeners.iter().map(|listener| listener.poll_accept(context));
    accepted.into_iter().find(Poll::is_ready).unwrap_or(Poll::Pending)
}

/// A socket for each of the addresses, with one port for all, and the first address.
fn listen_on_all(addresses: &[SocketAddr]) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let any_port = addresses.first().is_some_and(|address| address.port() == 0);
    let mut tries = if any_port { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match listen_on_each(addresses) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            outcome => return outcome,
        }
    }
}

fn listen_on_each(addresses: &[SocketAddr]) -> io::Result<(Vec<TcpListener>, SocketAddr)> {
    let mut sockets = Vec::new();
    let mut first: Option<SocketAddr> = None;
    let mut missing = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let mut address = *address;
        if let Some(first) = first {
            address.set_port(first.port());
        }
        match listen(address) {
            Ok((socket, actual)) => {
                first.get_or_insert(actual);
                sockets.push(socket);
            }
            // A name may have an IPv6 address on a machine that has none.
            Err(error) if is_missing(&error) => missing = error,
            Err(error) => return Err(error),
        }
    }
    first.map(|first| (sockets, first)).ok_or(missing)
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    // Connections of the last bridge that linger in TIME_WAIT do not keep the next one out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from(socket);
    let actual = listener.local_addr()?;
    Ok((listener, actual))
}

fn describe(error: &io::Error, wanted: &str) -> Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => in_use("a process", wanted, None),
        _ => Error::io(error, "listening on", wanted),
    }
}

fn insecure(host: &str) -> Error {
    let message = format!(
        "refusing to listen on '{host}', which other machines can reach: that needs a token or TLS, \
         which this version does not have yet; use 127.0.0.1, ::1 or a Unix socket"
    );
    Error::new(Code::Insecure, message)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, TcpStream};

    use super::*;

    fn port(listener: &Listener) -> u16 {
        match listener.address() {
            Address::Tcp { port, .. } => *port,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn port_0_becomes_a_real_port() {
        let listener = Listener::bind("127.0.0.1", 0).expect("bind");
        assert_ne!(port(&listener), 0);
        let expected = format!("tcp://127.0.0.1:{}", port(&listener));
        assert_eq!(listener.address().to_string(), expected);
        TcpStream::connect(("127.0.0.1", port(&listener))).expect("it listens");
    }

    #[test]
    fn localhost_is_127_0_0_1_and_whatever_else_it_is_called() {
        let listener = Listener::bind("localhost", 0).expect("bind");
        assert!(listener.address().to_string().starts_with("tcp://127.0.0.1:"));
        for address in resolve("localhost", port(&listener)).expect("known") {
            TcpStream::connect(address).expect("it listens");
        }
    }

    fn both(port: u16) -> [SocketAddr; 2] {
        [(IpAddr::from([127, 0, 0, 1]), port).into(), (IpAddr::from([127, 0, 0, 2]), port).into()]
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_name_with_two_addresses_is_served_at_both() {
        let (bound, actual) = listen_on_all(&both(0)).expect("bind");
        assert_eq!(bound.len(), 2);
        let address = Address::Tcp { host: actual.ip().to_string(), port: actual.port() };
        let mut listener = Listener { address, bound, registered: Vec::new() };
        for address in both(actual.port()) {
            let peer = TcpStream::connect(address).expect("it listens");
            let (_, facts) = listener.accept().await.expect("accept");
            assert_eq!(facts.address, Some(peer.local_addr().expect("address").to_string()));
        }
        listener.release();
        listen_on_all(&both(actual.port())).expect("both are free again");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn whoever_has_one_of_the_addresses_keeps_others_from_all() {
        let [_, second] = both(0);
        let (_held, second) = listen(second).expect("bind");
        let error = listen_on_all(&both(second.port())).expect_err("one is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        listen(both(second.port())[0]).expect("nothing is left behind");
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_left_out() {
        let lacking: SocketAddr = "[2001:db8::1]:0".parse().expect("an address");
        let [first, _] = both(0);
        let (bound, actual) = listen_on_all(&[lacking, first]).expect("the other will do");
        assert_eq!((bound.len(), actual.ip()), (1, first.ip()));
        assert!(listen_on_all(&[lacking]).is_err());
    }

    #[test]
    fn ipv6_loopback_works_where_there_is_ipv6() {
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
            return;
        }
        let listener = Listener::bind("::1", 0).expect("bind");
        assert!(listener.address().to_string().starts_with("tcp://[::1]:"));
        TcpStream::connect((Ipv6Addr::LOCALHOST, port(&listener))).expect("it listens");
    }

    #[test]
    fn a_taken_port_is_eaddrinuse_until_it_is_released() {
        let mut first = Listener::bind("127.0.0.1", 0).expect("bind");
        let port = port(&first);
        let error = Listener::bind("127.0.0.1", port).expect_err("taken");
        assert_eq!(error.code(), "EADDRINUSE");
        assert!(error.message().contains(&format!("tcp://127.0.0.1:{port}")), "{error}");
        first.release();
        Listener::bind("127.0.0.1", port).expect("free again");
    }

    #[test]
    fn a_port_shared_with_a_forked_child_is_freed_all_the_same() {
        let first = Listener::bind("127.0.0.1", 0).expect("bind");
        let port = port(&first);
        let _inherited = first.bound.first().map(|socket| socket.try_clone().expect("dup"));
        drop(first);
        Listener::bind("127.0.0.1", port).expect("free again");
    }

    #[test]
    fn whatever_other_machines_can_reach_is_refused() {
        for host in ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            let error = Listener::bind(host, 0).expect_err(host);
            assert_eq!(error.code(), "ERR_INSECURE", "{host}");
            assert!(error.message().contains("token or TLS"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_peer_comes_with_its_address_and_no_delay() {
        let mut listener = Listener::bind("127.0.0.1", 0).expect("bind");
        let peer = TcpStream::connect(("127.0.0.1", port(&listener))).expect("connect");
        let (stream, facts) = listener.accept().await.expect("accept");
        let own = peer.local_addr().expect("address").to_string();
        assert_eq!(facts, PeerFacts { uid: None, pid: None, address: Some(own) });
        let Stream::Tcp(stream) = stream else { panic!("not TCP") };
        assert!(stream.nodelay().expect("a flag"));
        listener.release();
        let error = listener.accept().await.expect_err("released");
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    }
}
