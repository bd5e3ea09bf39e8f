//! The link on the JavaScript thread's own libuv loop: no thread hop, 10 to 25 µs less each way.
//!
//! libuv promises no ABI beyond its 1.x line, so its symbols are looked up at run time, a handle is as large as
//! `uv_handle_size` says, and only its documented first field is touched. Where a symbol is missing there is no
//! such link, and [`link_task`](super::link_task) takes its place. (Bun has the symbols and aborts when they are
//! called: the caller must not come here.)
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::time::Instant;

use socket2::{MaybeUninitSlice, Socket};

use super::link::Link;
use crate::transport::{Connecting, PAUSE, Trouble, finish, trouble, wait_writable};

/// `UV_POLL` of `uv_handle_type`, `UV_READABLE` and `UV_WRITABLE` of `uv_poll_event`: fixed since libuv 1.0.
const UV_POLL: c_int = 8;
const UV_READABLE: c_int = 1;
const UV_WRITABLE: c_int = 2;

type Handle = *mut c_void;
type OnPoll = unsafe extern "C" fn(Handle, c_int, c_int);
type PollStart = unsafe extern "C" fn(Handle, c_int, OnPoll) -> c_int;
type OnClose = unsafe extern "C" fn(Handle);

/// The functions of libuv that this driver calls.
#[derive(Clone, Copy)]
pub struct LibUv {
    handle_size: unsafe extern "C" fn(c_int) -> usize,
    poll_init: unsafe extern "C" fn(*mut c_void, Handle, c_int) -> c_int,
    poll_start: unsafe extern "C" fn(Handle, c_int, OnPoll) -> c_int,
    poll_stop: unsafe extern "C" fn(Handle) -> c_int,
    close: unsafe extern "C" fn(Handle, OnClose),
    unreference: unsafe extern "C" fn(Handle),
    /// Deno's stand-in for libuv (which has no `uv_version`) calls back once for each `uv_poll_start`.
    one_shot: bool,
}

impl LibUv {
    /// Looks the functions up in this process; `None` when one is missing.
    pub fn load() -> Option<Self> {
        let process = libloading::os::unix::Library::this();
        // SAFETY: each symbol, where it exists, has had the type written in the struct since libuv 1.0.
        unsafe {
            Some(Self {
                handle_size: *process.get(b"uv_handle_size\0").ok()?,
                poll_init: *process.get(b"uv_poll_init\0").ok()?,
                poll_start: *process.get(b"uv_poll_start\0").ok()?,
                poll_stop: *process.get(b"uv_poll_stop\0").ok()?,
                close: *process.get(b"uv_close\0").ok()?,
                unreference: *process.get(b"uv_unref\0").ok()?,
                one_shot: process.get::<*const c_void>(b"uv_version\0").is_err(),
            })
        }
    }
}

/// A socket watched by libuv.
pub struct LoopLink {
    uv: LibUv,
    handle: NonNull<c_void>,
    socket: Socket,
    connected: bool,
    wants_write: bool,
}

/// What libuv's callbacks find behind their handle. It lives until libuv says that the handle is closed.
struct Watcher {
    layout: Layout,
    start: PollStart,
    one_shot: bool,
    events: Cell<c_int>,
    turn: Cell<Turn>,
    ready: Box<dyn Fn()>,
    closed: Option<Box<dyn FnOnce()>>,
}

#[derive(Clone, Copy)]
enum Turn {
    Idle,
    /// `ready` is being called: the watcher must stay.
    Running,
    /// Closed meanwhile: to be released when `ready` returns.
    Closed,
}

impl LoopLink {
    /// Watches `connecting` on `event_loop`. `ready` is called on the loop's thread when the socket can be used;
    /// `closed` once, some time after this link was dropped, when libuv has let go of it.
    ///
    /// # Errors
    /// When libuv cannot watch the descriptor.
    ///
    /// # Safety
    /// `event_loop` must be the running `uv_loop_t` of the calling thread, and outlive `closed`.
    pub unsafe fn new(
        uv: LibUv,
        event_loop: *mut c_void,
        connecting: Connecting,
        ready: Box<dyn Fn()>,
        closed: Box<dyn FnOnce()>,
    ) -> io::Result<Self> {
        let Connecting { socket, connected, .. } = connecting;
        // SAFETY: the size is libuv's own; a zeroed allocation is what uv_poll_init takes.
        let (layout, handle) = unsafe {
            let layout = Layout::from_size_align((uv.handle_size)(UV_POLL), 16).map_err(io::Error::other)?;
            (layout, NonNull::new(alloc_zeroed(layout)).ok_or(io::ErrorKind::OutOfMemory)?.cast::<c_void>())
        };
        // SAFETY: the caller vouches for the loop; the handle is fresh and large enough.
        let status = unsafe { (uv.poll_init)(event_loop, handle.as_ptr(), socket.as_raw_fd()) };
        if status != 0 {
            // SAFETY: libuv did not take the handle, so it is still ours alone.
            unsafe { dealloc(handle.as_ptr().cast(), layout) };
            return Err(io::Error::from_raw_os_error(-status));
        }
        let watcher = Box::new(Watcher {
            layout,
            start: uv.poll_start,
            one_shot: uv.one_shot,
            events: Cell::new(0),
            turn: Cell::new(Turn::Idle),
            ready,
            closed: Some(closed),
        });
        // SAFETY: `data` is the first field of every uv_handle_t.
        unsafe { *handle.as_ptr().cast::<*mut Watcher>() = Box::into_raw(watcher) };
        // Whoever wants the process to stay alive says so by other means, which every runtime has.
        // SAFETY: the handle is open.
        unsafe { (uv.unreference)(handle.as_ptr()) };
        let mut link = Self { uv, handle, socket, connected, wants_write: true };
        link.watch();
        Ok(link)
    }

    fn watch(&mut self) {
        let events = if self.wants_write { UV_READABLE | UV_WRITABLE } else { UV_READABLE };
        // SAFETY: the handle is initialized and not closed before `drop`.
        unsafe {
            (**self.handle.as_ptr().cast::<*mut Watcher>()).events.set(events);
            (self.uv.poll_start)(self.handle.as_ptr(), events, on_poll)
        };
    }

    fn want_write(&mut self, wants: bool) {
        if self.wants_write != wants {
            self.wants_write = wants;
            self.watch();
        }
    }
}

/// SAFETY: libuv calls it between poll_init and close with our handle, whose first field points to a `Watcher`.
unsafe extern "C" fn on_poll(handle: Handle, status: c_int, _events: c_int) {
    unsafe {
        let watcher = *handle.cast::<*mut Watcher>();
        if watcher.is_null() {
            // Only Deno's stand-in calls back for a handle that it has closed.
            return;
        }
        // Before `ready`, which may end the watching. With an error status libuv has ended it itself; but the next read
        // may find what came before the error, and the error, which has the reason, only later.
        if (*watcher).one_shot || status < 0 {
            ((*watcher).start)(handle, (*watcher).events.get(), on_poll);
        }
        (*watcher).turn.set(Turn::Running);
        ((*watcher).ready)();
        match (*watcher).turn.replace(Turn::Idle) {
            Turn::Closed => release(handle),
            Turn::Idle | Turn::Running => {}
        }
    }
}

/// SAFETY: libuv calls it once, when it has let go of the handle; nobody but a running `on_poll` refers to the
/// watcher any more (libuv itself never closes inside of a callback; Deno's stand-in does, inside of `uv_close`).
unsafe extern "C" fn on_close(handle: Handle) {
    unsafe {
        let watcher = *handle.cast::<*mut Watcher>();
        match (*watcher).turn.get() {
            Turn::Idle => release(handle),
            Turn::Running | Turn::Closed => (*watcher).turn.set(Turn::Closed),
        }
    }
}

/// SAFETY: the handle is closed, and nobody refers to its watcher any more.
unsafe fn release(handle: Handle) {
    let place = handle.cast::<*mut Watcher>();
    let mut watcher = unsafe { Box::from_raw(place.replace(ptr::null_mut())) };
    // Deno's stand-in looks at the handle after it called back that it is closed: 160 bytes of each link stay.
    if !watcher.one_shot {
        unsafe { dealloc(handle.cast(), watcher.layout) };
    }
    if let Some(closed) = watcher.closed.take() {
        closed();
    }
}

impl Drop for LoopLink {
    fn drop(&mut self) {
        // SAFETY: the handle is open; after this only libuv refers to it. The descriptor may be closed once the
        // poll is stopped.
        unsafe {
            (self.uv.poll_stop)(self.handle.as_ptr());
            (self.uv.close)(self.handle.as_ptr(), on_close);
        }
    }
}

impl Link for LoopLink {
    fn connected(&mut self) -> io::Result<bool> {
        if !self.connected {
            finish(&self.socket)?;
            self.connected = true;
        }
        self.want_write(false);
        Ok(true)
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let count = self.socket.recv(buffer.spare_capacity_mut())?;
        // SAFETY: recv has initialized that many bytes of the spare capacity.
        unsafe { buffer.set_len(buffer.len() + count) };
        Ok(count)
    }

    fn reads_directly(&self) -> bool {
        true
    }

    fn read_into(&mut self, body: &mut Vec<u8>, most: usize, rest: &mut Vec<u8>) -> io::Result<(usize, usize)> {
        let spare = body.spare_capacity_mut();
        let most = most.min(spare.len());
        let slices = &mut [MaybeUninitSlice::new(&mut spare[..most]), MaybeUninitSlice::new(rest.spare_capacity_mut())];
        self.socket.recv_vectored(slices).map(|(count, _)| {
            let (first, second) = (count.min(most), count.saturating_sub(most));
            // SAFETY: recv has initialized that many bytes of each spare capacity, in this order.
            unsafe {
                body.set_len(body.len() + first);
                rest.set_len(rest.len() + second);
            }
            (first, second)
        })
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let result = self.socket.send_vectored(slices);
        let blocked = matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.want_write(blocked);
        result
    }

    fn write_blocking(&mut self, slices: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        // Not by a timeout of the socket's: the kernel counts it anew for each piece that a slow reader takes.
        loop {
            match self.write(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_writable(&self.socket, deadline)?,
                Err(error) if trouble(&error) == Trouble::Passing && Instant::now() < deadline => {
                    std::thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
    }

    fn finish_blocking(&mut self, _: Instant) -> io::Result<()> {
        Ok(())
    }

    fn entrust(&mut self, _: &[IoSlice<'_>]) -> bool {
        false
    }

    fn yield_write(&mut self) {
        self.want_write(true);
    }

    fn set_buffers(&mut self, bytes: usize) {
        // The system may grant less, and nothing depends on it.
        let _ = self.socket.set_send_buffer_size(bytes);
        let _ = self.socket.set_recv_buffer_size(bytes);
    }
}
