//! One node's native half: its client, its link, and the way into its JavaScript.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dispatch::{Dispatch, Entered};
use super::ending::{deadline, turn};
use crate::error::{Error, Result, os_code};
use crate::node::client::{Client, Phase};
use crate::node::event::Event;
use crate::node::link::Link;
use crate::outqueue::MAX_SLICES;
use crate::pool::Pool;
use crate::transport::{BUSY_BUFFERS, MOST_TRIES, Trouble, trouble};
use crate::wire::reader::Arrived;
use crate::wire::time_left::TimeLeft;

/// Before a call that failed for want of memory is made again. The loop stands for so long, and then turns once.
const NAP: Duration = Duration::from_millis(1);
/// How long the loop may stand until the bridge is told that what it says is malformed.
const REJECT_PATIENCE: Duration = Duration::from_millis(100);
/// Bytes of one read: a batch of small messages, or two chunks.
const READ_LEN: usize = 256 * 1024;
/// Bytes read behind the piece of a large message: the head of the next piece, and few of its bytes.
const REST_LEN: usize = 4 * 1024;
/// Bytes of read buffers that a thread keeps.
const KEPT_READS: usize = 1024 * 1024;
/// Reads of one turn; then other handles of the loop get theirs.
const READS: usize = 8;
/// Above this many queued bytes a send writes at once instead of at the tick's end.
const FLUSH_AT: usize = 64 * 1024;
/// Bytes one flush writes before others get their turn.
const FLUSH_LEN: usize = 8 * 1024 * 1024;

thread_local! {
    /// Read buffers for all nodes of a JavaScript thread.
    static BUFFERS: Pool = Pool::new(KEPT_READS);
}

/// A node, used from its JavaScript thread only. No borrow is held while JavaScript runs: it may call back in.
pub struct Core {
    pub client: RefCell<Client>,
    link: RefCell<Option<Box<dyn Link>>>,
    connected: Cell<bool>,
    /// Whether the link has ever been full: then its kernel buffers are large.
    busy: Cell<bool>,
    /// Calls in a row that failed for a reason that passes.
    failures: Cell<u32>,
    /// Why nothing more can be written.
    failed: RefCell<Option<Error>>,
    /// The process is about to end by then: no tick comes any more that would write what is sent.
    ending: Cell<Option<Instant>>,
    /// Itself, from its end until the bridge has heard its goodbye: nobody else may refer to it any more.
    goodbye: RefCell<Option<Rc<Self>>>,
    pub dispatch: Dispatch,
    /// How long the sender of what is being delivered goes on waiting.
    pub time_left: Cell<TimeLeft>,
    start: Instant,
}

impl Core {
    /// A node without a link.
    pub fn new(client: Client, dispatch: Dispatch) -> Rc<Self> {
        Rc::new(Self {
            client: client.into(),
            link: RefCell::default(),
            connected: Cell::new(false),
            busy: Cell::new(false),
            failures: Cell::new(0),
            failed: RefCell::default(),
            ending: Cell::new(None),
            goodbye: RefCell::default(),
            dispatch,
            time_left: Cell::default(),
            start: Instant::now(),
        })
    }

    /// Milliseconds since this node was made.
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }

    /// Uses `link` from now on; its callback leads to [`turn`](Self::turn).
    pub fn attach(&self, link: Box<dyn Link>) {
        self.connected.set(false);
        self.busy.set(false);
        self.failures.set(0);
        drop(self.failed.take());
        self.link.replace(Some(link));
    }

    /// Lets go of the link, without a word.
    pub fn detach(&self) {
        self.connected.set(false);
        drop(self.link.take());
    }

    /// The link is ready for something: connect, read, deliver, write. Returns whether a flush is due that may wait
    /// for replies to share its write.
    pub fn turn(&self) -> bool {
        if let Err(error) = self.connect_and_read() {
            self.lose(&error);
        }
        self.deliver_events();
        let client = self.client.borrow();
        let (queued, due) = (client.has_output(), client.acknowledgement_due());
        drop(client);
        if queued {
            self.flush();
        }
        due && !queued
    }

    /// Requests whose time is up fail. Returns the milliseconds to the next one, or -1.
    pub fn check_time(&self) -> f64 {
        let now = self.now();
        self.client.borrow_mut().handle_timeout(now);
        self.deliver_events();
        // Those who were asked are told.
        if self.client.borrow().has_output() {
            self.flush();
        }
        let next = self.client.borrow().next_timeout();
        next.map_or(-1.0, |deadline| deadline.saturating_sub(self.now()) as f64)
    }

    /// Writes as much as the socket takes. After an error it is tried again soon, or the link is found to be over when all
    /// is read that had come on it.
    pub fn flush(&self) {
        let Err(error) = self.write_with(|link, slices| link.write(slices), FLUSH_LEN) else { return };
        if trouble(&error) == Trouble::NotReady {
            return;
        }
        if !self.bears(&error) {
            self.failed.replace(Some(broken(&error)));
        }
        self.link.borrow_mut().iter_mut().for_each(|link| link.yield_write());
    }

    /// Whether a call that failed is made again.
    fn bears(&self, error: &io::Error) -> bool {
        self.failures.set(self.failures.get() + 1);
        let again = trouble(error) == Trouble::Passing && self.failures.get() <= MOST_TRIES;
        if again {
            std::thread::sleep(NAP);
        }
        again
    }

    /// The end of this node. Its goodbye goes out at once, or, when the link is full, as soon as there is room. The link
    /// stays until the bridge closes it: closed before, with something unread, it might take the goodbye with it.
    pub fn close(self: &Rc<Self>, text: &str) {
        self.client.borrow_mut().close(text);
        if !self.connected.get() || !self.client.borrow().says_goodbye() || self.entrust_goodbye() {
            return self.detach();
        }
        self.flush();
        self.goodbye.replace(Some(self.clone()));
    }

    /// Whether only its goodbye is left of this node: the link being ready is then no news for JavaScript.
    pub fn says_goodbye(&self) -> bool {
        self.goodbye.borrow().is_some()
    }

    /// The link is ready, and the goodbye not heard yet.
    pub fn go_on_with_goodbye(&self) {
        if self.discard_input().is_err() {
            return self.end_goodbye();
        }
        self.flush();
    }

    /// Lets go of the link, said or not.
    pub fn end_goodbye(&self) {
        self.detach();
        drop(self.goodbye.take());
    }

    /// Leaves the last bytes of this node to its link, if that writes them by itself.
    fn entrust_goodbye(&self) -> bool {
        let mut client = self.client.borrow_mut();
        loop {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = client.transmit(&mut slices);
            let taken = self.link.borrow_mut().as_deref_mut().is_some_and(|link| link.entrust(&slices[..count]));
            if !taken || count == 0 {
                return taken;
            }
            let len = slices[..count].iter().map(|slice| slice.len()).sum();
            client.written(len);
        }
    }

    /// Nobody wants what still comes.
    fn discard_input(&self) -> Result<()> {
        while self.read()?.is_some() {}
        Ok(())
    }

    /// Writes what was sent, if it may not wait for the tick's end.
    pub fn flush_if_due(&self) {
        if let Some(deadline) = self.ending.get() {
            self.flush_until(deadline);
        } else if self.client.borrow().queued() > FLUSH_AT {
            self.flush();
        }
    }

    /// Writes what waits, even if that takes a moment, and from now on whatever is sent at once: the process is about
    /// to end. False: something is left that another turn may write.
    pub fn flush_blocking(&self) -> bool {
        self.ending.set(Some(deadline()));
        self.client.borrow_mut().hurry();
        self.flush_until(turn())
    }

    /// False when it took too long.
    fn flush_until(&self, deadline: Instant) -> bool {
        let written = self.write_with(|link, slices| link.write_blocking(slices, deadline), usize::MAX);
        let finished = written.and_then(|()| match self.link.borrow_mut().as_deref_mut() {
            Some(link) => link.finish_blocking(deadline),
            None => Ok(()),
        });
        finished.map_or_else(|error| error.kind() != io::ErrorKind::TimedOut, |()| true)
    }

    /// Writes until nothing waits, or the link takes no more, for now or for good.
    fn write_with(
        &self,
        mut write: impl FnMut(&mut dyn Link, &[IoSlice<'_>]) -> io::Result<usize>,
        mut budget: usize,
    ) -> io::Result<()> {
        let mut link = self.link.borrow_mut();
        let writable = self.connected.get() && self.failed.borrow().is_none();
        let (Some(link), true) = (link.as_deref_mut(), writable) else { return Ok(()) };
        let mut client = self.client.borrow_mut();
        loop {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = client.transmit(&mut slices);
            if count == 0 {
                return Ok(());
            }
            if budget == 0 {
                link.yield_write();
                return Ok(());
            }
            let written = match write(link, &slices[..count]) {
                Ok(written) => written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !self.busy.replace(true) => {
                    link.set_buffers(BUSY_BUFFERS);
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.failures.set(0);
            client.written(written);
            budget = budget.saturating_sub(written);
        }
    }

    /// Gives JavaScript what the client has to say.
    pub fn deliver_events(&self) {
        if self.client.borrow().has_events()
            && let Some(entered) = self.dispatch.enter()
        {
            self.deliver_to(&entered);
        }
    }

    fn deliver_to(&self, entered: &Entered) {
        loop {
            let event = self.client.borrow_mut().poll_event();
            let Some(event) = event else { return };
            self.deliver(entered, event);
        }
    }

    fn connect_and_read(&self) -> Result<()> {
        if !self.connected.get() && !self.connect()? {
            return Ok(());
        }
        for _ in 0..READS {
            let Some((input, more)) = self.read()? else { break };
            self.feed(input)?;
            if self.client.borrow().acknowledgement_urgent() {
                self.flush();
            }
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn connect(&self) -> Result<bool> {
        let mut link = self.link.borrow_mut();
        let Some(link) = link.as_deref_mut() else { return Ok(false) };
        let connected = link.connected().map_err(|error| broken(&error))?;
        if connected {
            self.connected.set(true);
            let (mut client, now) = (self.client.borrow_mut(), self.now());
            // What is said again says how long it still waits.
            client.handle_timeout(now);
            client.connected();
        }
        Ok(connected)
    }

    /// What has come, and whether more is likely; `None`: nothing.
    fn read(&self) -> Result<Option<(Bytes, bool)>> {
        let mut link = self.link.borrow_mut();
        let Some(link) = link.as_deref_mut() else { return Ok(None) };
        if let Some(read) = self.read_body(link)? {
            return Ok(read);
        }
        // In the midst of a large message a short read finds the head of the next piece; the piece then goes directly.
        let wanted = if self.client.borrow().is_receiving() && link.reads_directly() { REST_LEN } else { READ_LEN };
        let mut buffer = BUFFERS.with(|buffers| buffers.lease(wanted));
        match link.read(buffer.bytes_mut()) {
            Ok(0) => Err(broken(&io::ErrorKind::UnexpectedEof.into())),
            Ok(count) => Ok(Some((buffer.freeze(), count >= wanted / 2))),
            Err(error) => self.unread(&error).map(|()| None),
        }
    }

    /// Nothing could be read. An error is one that ends the link.
    fn unread(&self, error: &io::Error) -> Result<()> {
        match trouble(error) {
            Trouble::NotReady => self.failed.take().map_or(Ok(()), Err),
            Trouble::Passing if self.bears(error) => Ok(()),
            _ => Err(broken(error)),
        }
    }

    /// The same in the midst of a large message, whose bytes go straight to where JavaScript will see them. `None`:
    /// there is none.
    fn read_body(&self, link: &mut dyn Link) -> Result<Option<Option<(Bytes, bool)>>> {
        if !link.reads_directly() {
            return Ok(None);
        }
        let mut client = self.client.borrow_mut();
        let Some((body, most)) = client.body_to_fill() else { return Ok(None) };
        let mut rest = BUFFERS.with(|buffers| buffers.lease(REST_LEN));
        match link.read_into(body, most, rest.bytes_mut()) {
            Ok((0, 0)) => Err(broken(&io::ErrorKind::UnexpectedEof.into())),
            Ok((count, _)) => {
                client.filled(count)?;
                Ok(Some(Some((rest.freeze(), count == most))))
            }
            Err(error) => self.unread(&error).map(|()| Some(None)),
        }
    }

    fn feed(&self, input: Bytes) -> Result<()> {
        let mut frames = self.client.borrow_mut().frames(input)?;
        let Some(entered) = self.dispatch.enter() else { return Ok(()) };
        // What a large message's last bytes released comes before what was read behind them.
        self.deliver_to(&entered);
        while let Some(frame) = frames.next() {
            self.take(&entered, &frame)?;
            if self.link.borrow().is_none() {
                // A listener ended the link, or the node.
                break;
            }
        }
        Ok(())
    }

    fn take(&self, entered: &Entered, frame: &Arrived<'_>) -> Result<()> {
        let plain = self.client.borrow_mut().plain_delivery(frame);
        if let Some(delivery) = plain {
            self.deliver_to(entered);
            if self.client.borrow().is_paused() {
                self.client.borrow_mut().note_delivery(delivery.from);
            }
            self.time_left.set(delivery.time_left);
            entered.deliver_message(delivery);
            return Ok(());
        }
        let event = self.client.borrow_mut().handle_frame(frame)?;
        if self.client.borrow().should_free_shared() {
            self.flush();
        }
        self.deliver_to(entered);
        if let Some(Event::Delivery(delivery)) = &event {
            self.client.borrow_mut().note_delivery(delivery.from);
        }
        event.into_iter().for_each(|event| self.deliver(entered, event));
        Ok(())
    }

    fn deliver(&self, entered: &Entered, event: Event<'_>) {
        if let Event::Delivery(delivery) = &event {
            self.time_left.set(delivery.time_left);
        }
        entered.deliver(event);
    }

    fn lose(&self, error: &Error) {
        if self.client.borrow().rejects() {
            // It is worth a moment that the bridge hears why, for else it says the same for ever. It reads on though it cannot write.
            let _in_vain = self.flush_until(Instant::now() + REJECT_PATIENCE);
        }
        self.detach();
        self.client.borrow_mut().disconnected();
        self.deliver_events();
        if self.client.borrow().phase() != Phase::Closed
            && let Some(entered) = self.dispatch.enter()
        {
            entered.lost(error);
        }
    }
}

fn broken(error: &io::Error) -> Error {
    let code = os_code(error);
    Error::os(code, format!("{code}: the link to the bridge broke: {error}"))
}
