//! A connected socket under tokio, whatever it runs over.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use bytes::BufMut;
use socket2::{SockRef, Socket};
use tokio::net::{TcpStream, UnixStream};

/// A connected, non-blocking socket: wait until it is ready, then try.
#[derive(Debug)]
pub enum Stream {
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TCP, with Nagle's delay off: we batch ourselves.
    Tcp(TcpStream),
}

impl Stream {
    /// Takes over a socket from [`connect`](super::connect), connected or about to be.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn from_socket(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let unix = socket.local_addr()?.is_unix();
        let socket = OwnedFd::from(socket);
        if unix {
            UnixStream::from_std(socket.into()).map(Self::Unix)
        } else {
            TcpStream::from_std(socket.into()).map(Self::Tcp)
        }
    }

    /// Waits until a read is worth trying. Cancel-safe.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.readable().await,
            Self::Tcp(stream) => stream.readable().await,
        }
    }

    /// Waits until a write is worth trying; of a socket about to be connected, until that is decided. Cancel-safe.
    pub async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.writable().await,
            Self::Tcp(stream) => stream.writable().await,
        }
    }

    /// Reads what is there: 0 at the end, `WouldBlock` when there is nothing yet.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_read(buffer),
            Self::Tcp(stream) => stream.try_read(buffer),
        }
    }

    /// The same into the spare capacity of `buffer`, which the caller has reserved.
    pub fn try_read_buf(&self, buffer: &mut impl BufMut) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_read_buf(buffer),
            Self::Tcp(stream) => stream.try_read_buf(buffer),
        }
    }

    /// Writes a part of `slices`, or `WouldBlock`.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_write_vectored(slices),
            Self::Tcp(stream) => stream.try_write_vectored(slices),
        }
    }

    /// Says that nothing more will be written; the other side reads an end after what is on its way.
    pub fn shutdown_write(&self) {
        // It may be gone already, and then has no need to know.
        let _ = self.socket().shutdown(std::net::Shutdown::Write);
    }

    /// Asks for kernel buffers of this size each way. The system may grant less, and nothing depends on it.
    pub fn set_buffers(&self, bytes: usize) {
        let socket = self.socket();
        let _ = socket.set_send_buffer_size(bytes);
        let _ = socket.set_recv_buffer_size(bytes);
    }

    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Unix(stream) => SockRef::from(stream),
            Self::Tcp(stream) => SockRef::from(stream),
        }
    }
}
