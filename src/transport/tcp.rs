//! Listening on TCP. Here `bind` and `listen` are the election: the kernel lets one socket in.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, ToSocketAddrs};

use socket2::{Domain, SockRef, Socket, Type};

use super::{BACKLOG, PeerFacts, Stream, in_use, released};
use crate::address::Address;
use crate::error::{Code, Error, Result};

/// A listening TCP socket on loopback.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    /// Until it is registered with a runtime.
    bound: Option<TcpListener>,
    registered: Option<tokio::net::TcpListener>,
}

impl Listener {
    /// Listens on the first address of `host` that can be had. Refuses (`ERR_INSECURE`) a host that means
    /// more than this machine.
    pub(super) fn bind(host: &str, port: u16) -> Result<Self> {
        let candidates = resolve(host, port)?;
        if !candidates.iter().all(is_loopback) {
            return Err(insecure(host));
        }
        let wanted = Address::Tcp { host: host.to_owned(), port }.to_string();
        let mut bound = Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
        for candidate in candidates {
            bound = listen(candidate);
            if bound.is_ok() {
                break;
            }
        }
        let (socket, actual) = bound.map_err(|error| describe(&error, &wanted))?;
        let address = Address::Tcp { host: actual.ip().to_string(), port: actual.port() };
        Ok(Self { address, bound: Some(socket), registered: None })
    }

    pub(super) fn register(&mut self) -> io::Result<()> {
        if let Some(socket) = self.bound.take() {
            self.registered = Some(tokio::net::TcpListener::from_std(socket)?);
        }
        Ok(())
    }

    pub(super) async fn accept(&mut self) -> io::Result<(Stream, PeerFacts)> {
        self.register()?;
        let listener = self.registered.as_ref().ok_or_else(released)?;
        let (stream, peer) = listener.accept().await?;
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
        if let Some(socket) = self.bound.take() {
            let _ = SockRef::from(&socket).shutdown(Shutdown::Both);
        }
        if let Some(socket) = self.registered.take() {
            let _ = SockRef::from(&socket).shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.release();
    }
}

/// The addresses of a host, IPv4 loopback first, so that a bridge at 'localhost' and its nodes agree on one.
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
    found.sort_by_key(|address| !(address.is_ipv4() && is_loopback(address)));
    Ok(found)
}

fn is_loopback(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.to_canonical().is_loopback(),
    }
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
    fn localhost_is_127_0_0_1() {
        let listener = Listener::bind("localhost", 0).expect("bind");
        assert!(listener.address().to_string().starts_with("tcp://127.0.0.1:"));
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
        let _inherited = first.bound.as_ref().map(|socket| socket.try_clone().expect("dup"));
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
