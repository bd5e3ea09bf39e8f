//! The link on a tokio thread, for runtimes whose loop we cannot join (Bun), and on request.
//!
//! Only bytes cross between the threads, through two bounded queues; the client itself stays on the JavaScript
//! thread, which is woken (never called per message) and drains synchronously.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep_until;

use super::link::Link;
use crate::transport::{Connecting, MOST_TRIES, PAUSE, Stream, Trouble, finish, trouble};

/// Bytes each queue may hold: a few reads, so that neither thread waits for the other.
const QUEUE: usize = 4 * 1024 * 1024;
/// Bytes of one read.
const READ_LEN: usize = 256 * 1024;
/// How long what is left of a link that was let go may take.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Tells the JavaScript thread to drain; may be called from any thread, and often.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// A socket on another thread.
pub struct TaskLink {
    pipe: Arc<Pipe>,
    wake: Wake,
    thread: Arc<TaskThread>,
}

/// What both threads share.
struct Pipe {
    state: Mutex<State>,
    /// The task has something to do.
    task: Notify,
    /// The queue towards the socket got shorter.
    shorter: Condvar,
}

#[derive(Default)]
struct State {
    connected: bool,
    /// How the connection ended: `None` with no error.
    ended: Option<Option<(io::ErrorKind, i32)>>,
    closed: bool,
    /// Of a closed link whose last words are to be heard: the thread, which lasts until they are.
    entrusted: Option<Arc<TaskThread>>,
    inward: VecDeque<Bytes>,
    inward_len: usize,
    outward: VecDeque<Bytes>,
    outward_len: usize,
    /// The JavaScript thread waits for room outward.
    blocked: bool,
    buffers: Option<usize>,
}

impl TaskLink {
    /// Moves `connecting` to the task thread of this JavaScript thread, which is started when there is none.
    ///
    /// # Errors
    /// When the operating system has no thread for it.
    pub fn new(connecting: Connecting, wake: Wake) -> io::Result<Self> {
        let thread = TaskThread::current()?;
        let pipe = Arc::new(Pipe { state: Mutex::default(), task: Notify::new(), shorter: Condvar::new() });
        thread.runtime.spawn(drive(connecting, pipe.clone(), wake.clone()));
        Ok(Self { pipe, wake, thread })
    }

    fn append(&self, state: &mut State, slices: &[IoSlice<'_>]) -> usize {
        let mut bytes = BytesMut::with_capacity(slices.iter().map(|slice| slice.len()).sum());
        slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
        let count = bytes.len();
        state.outward_len += count;
        state.outward.push_back(bytes.freeze());
        self.pipe.task.notify_one();
        count
    }
}

impl Drop for TaskLink {
    fn drop(&mut self) {
        self.pipe.lock().closed = true;
        self.pipe.task.notify_one();
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The queues are whole between any two statements that can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    /// Waits until the queue towards the socket is short enough; an error when that takes too long, or it has no end any more.
    fn wait_for(&self, short: impl Fn(&State) -> bool, deadline: Instant) -> io::Result<MutexGuard<'_, State>> {
        let left = deadline.saturating_duration_since(Instant::now());
        let waits = |state: &mut State| !short(state) && state.ended.is_none();
        let waited = self.shorter.wait_timeout_while(self.lock(), left, waits);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &state.ended {
            Some(_) => Err(io::ErrorKind::BrokenPipe.into()),
            None if !short(&state) => Err(io::ErrorKind::TimedOut.into()),
            None => Ok(state),
        }
    }
}

impl State {
    fn end(&self) -> io::Result<usize> {
        match self.ended {
            Some(None) => Ok(0),
            Some(Some((_, code))) if code != 0 => Err(io::Error::from_raw_os_error(code)),
            Some(Some((kind, _))) => Err(kind.into()),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl Link for TaskLink {
    fn connected(&mut self) -> io::Result<bool> {
        let state = self.pipe.lock();
        match state.ended {
            Some(_) if !state.connected => state.end().map(|_| true),
            _ => Ok(state.connected),
        }
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let mut state = self.pipe.lock();
        let Some(bytes) = state.inward.pop_front() else { return state.end() };
        state.inward_len -= bytes.len();
        let more = !state.inward.is_empty() || state.ended.is_some();
        drop(state);
        self.pipe.task.notify_one();
        if more {
            // The caller may stop here, and nobody else would call it again.
            (self.wake)();
        }
        buffer.extend_from_slice(&bytes);
        Ok(bytes.len())
    }

    fn reads_directly(&self) -> bool {
        // What has come lies in a queue already.
        false
    }

    fn read_into(&mut self, _: &mut Vec<u8>, _: usize, rest: &mut Vec<u8>) -> io::Result<(usize, usize)> {
        self.read(rest).map(|count| (0, count))
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.pipe.lock();
        if state.ended.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if state.outward_len >= QUEUE {
            state.blocked = true;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.append(&mut state, slices))
    }

    fn write_blocking(&mut self, slices: &[IoSlice<'_>], deadline: Instant) -> io::Result<usize> {
        let mut state = self.pipe.wait_for(|state| state.outward_len < QUEUE, deadline)?;
        Ok(self.append(&mut state, slices))
    }

    fn finish_blocking(&mut self, deadline: Instant) -> io::Result<()> {
        self.pipe.wait_for(|state| state.outward_len == 0, deadline).map(drop)
    }

    fn entrust(&mut self, slices: &[IoSlice<'_>]) -> bool {
        let mut state = self.pipe.lock();
        state.entrusted.get_or_insert_with(|| self.thread.clone());
        self.append(&mut state, slices);
        true
    }

    fn yield_write(&mut self) {
        (self.wake)();
    }

    fn set_buffers(&mut self, bytes: usize) {
        self.pipe.lock().buffers = Some(bytes);
        self.pipe.task.notify_one();
    }
}

/// Moves bytes between the socket and the queues until either side ends it.
async fn drive(connecting: Connecting, pipe: Arc<Pipe>, wake: Wake) {
    let ended = match open(connecting).await {
        Ok(stream) => {
            pipe.lock().connected = true;
            wake();
            transfer(&stream, &pipe, &wake).await.err()
        }
        Err(error) => Some(error),
    };
    pipe.lock().ended = Some(ended.map(|error| (error.kind(), error.raw_os_error().unwrap_or_default())));
    pipe.shorter.notify_all();
    wake();
    let entrusted = pipe.lock().entrusted.take();
    drop(entrusted);
}

async fn open(connecting: Connecting) -> io::Result<Stream> {
    let Connecting { socket, connected, .. } = connecting;
    let watched = socket.try_clone()?;
    let stream = Stream::from_socket(socket)?;
    if !connected {
        stream.writable().await?;
        finish(&watched)?;
    }
    Ok(stream)
}

async fn transfer(stream: &Stream, pipe: &Pipe, wake: &Wake) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    let mut patience = None;
    // Until when neither is tried, because of an error that passes; and how many of these there were in a row.
    let (mut rests, mut failures) = (None, 0);
    loop {
        let (reads, writes, buffers, closed) = {
            let mut state = pipe.lock();
            if state.closed && state.outward.is_empty() && state.entrusted.is_none() {
                return Ok(());
            }
            (state.closed || state.inward_len < QUEUE, !state.outward.is_empty(), state.buffers.take(), state.closed)
        };
        if closed {
            patience.get_or_insert_with(|| Instant::now() + LAST_WORDS);
        }
        buffers.into_iter().for_each(|bytes| stream.set_buffers(bytes));
        let (reads, writes) = (reads && rests.is_none(), writes && rests.is_none());
        tokio::select! {
            biased;
            writable = stream.writable(), if writes => {
                match writable.and_then(|()| write_some(stream, pipe, wake)) {
                    Ok(()) => failures = 0,
                    Err(error) if bears(&error, &mut failures) => rests = Some(Instant::now() + PAUSE),
                    Err(error) => return read_rest(stream, pipe, wake, &mut buffer).await.and(Err(error)),
                }
            }
            readable = stream.readable(), if reads => {
                readable?;
                match read_some(stream, pipe, wake, &mut buffer) {
                    Ok(Heard::End) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if bears(&error, &mut failures) => rests = Some(Instant::now() + PAUSE),
                    Err(error) => return Err(error),
                }
            }
            () = sleep_until(rests.unwrap_or_else(Instant::now).into()), if rests.is_some() => rests = None,
            () = sleep_until(patience.unwrap_or_else(Instant::now).into()), if closed => return Ok(()),
            () = pipe.task.notified() => {}
        }
    }
}

/// Whether a call that failed is made again.
fn bears(error: &io::Error, failures: &mut u32) -> bool {
    *failures += 1;
    trouble(error) == Trouble::Passing && *failures <= MOST_TRIES
}

/// Nothing more can be written. What the other side had said before, perhaps why, is read to its end; then the link is over.
/// A write may fail before tokio has heard that there is something to read: a read that finds nothing yet says nothing.
async fn read_rest(stream: &Stream, pipe: &Pipe, wake: &Wake, buffer: &mut BytesMut) -> io::Result<()> {
    discard_outward(pipe);
    let until = Instant::now() + LAST_WORDS;
    loop {
        let (reads, closed) = {
            let state = pipe.lock();
            (state.inward_len < QUEUE, state.closed)
        };
        if closed {
            return Ok(());
        }
        tokio::select! {
            biased;
            readable = stream.readable(), if reads => {
                readable?;
                if read_some(stream, pipe, wake, buffer)? == Heard::End {
                    return Ok(());
                }
            }
            () = sleep_until(until.into()) => return Ok(()),
            () = pipe.task.notified() => {}
        }
    }
}

/// What a read found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    Something,
    Nothing,
    End,
}

fn discard_outward(pipe: &Pipe) {
    let mut state = pipe.lock();
    state.outward.clear();
    state.outward_len = 0;
    drop(state);
    pipe.shorter.notify_all();
}

fn write_some(stream: &Stream, pipe: &Pipe, wake: &Wake) -> io::Result<()> {
    let mut state = pipe.lock();
    while let Some(front) = state.outward.front_mut() {
        match stream.try_write_vectored(&[IoSlice::new(front)]) {
            Ok(count) => {
                let _written = front.split_to(count);
                if front.is_empty() {
                    state.outward.pop_front();
                }
                state.outward_len -= count;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    let unblocked = state.blocked && state.outward_len <= QUEUE / 2;
    state.blocked &= !unblocked;
    drop(state);
    pipe.shorter.notify_all();
    if unblocked {
        wake();
    }
    Ok(())
}

fn read_some(stream: &Stream, pipe: &Pipe, wake: &Wake, buffer: &mut BytesMut) -> io::Result<Heard> {
    buffer.reserve(READ_LEN);
    match stream.try_read_buf(buffer) {
        Ok(0) => Ok(Heard::End),
        Ok(count) => {
            // A copy of what came: the buffer's spare capacity must not be kept by a few bytes.
            let bytes = if count >= READ_LEN / 2 {
                buffer.split().freeze()
            } else {
                let bytes = Bytes::copy_from_slice(buffer);
                buffer.clear();
                bytes
            };
            let mut state = pipe.lock();
            if state.closed {
                // Nobody wants what still comes.
                return Ok(Heard::Something);
            }
            state.inward_len += bytes.len();
            state.inward.push_back(bytes);
            drop(state);
            wake();
            Ok(Heard::Something)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Heard::Nothing),
        Err(error) => Err(error),
    }
}

/// The thread that carries all task links of one JavaScript thread. It ends with the last of them.
struct TaskThread {
    runtime: tokio::runtime::Handle,
    _stop: oneshot::Sender<()>,
}

impl TaskThread {
    /// This JavaScript thread's own: nothing is shared between environments.
    fn current() -> io::Result<Arc<Self>> {
        thread_local! {
            static CURRENT: RefCell<Weak<TaskThread>> = const { RefCell::new(Weak::new()) };
        }
        CURRENT.with_borrow_mut(|current| {
            if let Some(thread) = current.upgrade() {
                return Ok(thread);
            }
            let thread = Arc::new(Self::start()?);
            *current = Arc::downgrade(&thread);
            Ok(thread)
        })
    }

    fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new().name("busybody-node".into()).spawn(move || {
            runtime.block_on(async {
                // Ends when the sender is dropped, with the last link.
                let _dropped = stopped.await;
                tokio::task::yield_now().await;
            });
        })?;
        Ok(Self { runtime: handle, _stop: stop })
    }
}

#[cfg(all(test, unix))]
mod tests;
