//! Drives the router: one OS thread, one tokio current-thread runtime, one task per link.
//!
//! The thread never enters JavaScript, so a host whose event loop is blocked still routes at full speed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustc_hash::FxHashMap;
use tokio::sync::{Notify, mpsc};
use tokio::task::LocalSet;
use tokio::time::{Interval, MissedTickBehavior};

use super::alertness::{Alertness, Expectation};
use super::command::{Command, HostEvent, Roster};
use super::counters::Counters;
use super::host::Event;
use super::link::{LinkKey, Peer};
use super::member::{Departure, MemberKey, NodeInfo};
use super::registry::{Change, Registration};
use super::router::{Limits, Router};
use crate::error::Error;
use crate::outqueue::MAX_SLICES;
use crate::pool::Pool;
use crate::transport::{
    BUSY_BUFFERS, Before, Ending, Entry, Listener, MOST_TRIES, PAUSE, PeerFacts, Process, RosterFile, Stream, Trouble,
    is_of_one_connection, pid_namespace, random, trouble,
};

/// Bytes of one read: a batch of small messages, or two chunks.
const READ_LEN: usize = 256 * 1024;
/// Bytes of read buffers kept for the next reads.
const KEPT_READS: usize = 8 * 1024 * 1024;
/// How often time is told to a router that wants to know.
const TICK: Duration = Duration::from_millis(250);
/// How often the socket's file is looked after. A node that finds nobody tries for 1.5 s by default, and in that time it
/// is to be back.
const PATH_CHECK: Duration = Duration::from_millis(750);
/// How long a file that is missing stays so: whoever removes a whole directory is not to find a new file in it.
const PATH_PAUSE: Duration = Duration::from_millis(300);
/// How many checks pass between two notes that the bridge is alive.
const REFRESH_EVERY: u32 = 6;
/// When it is looked whether the process at the other end of a broken link has ended: its sockets close a little before.
const DEATH_WATCH: [u64; 7] = [0, 1, 2, 5, 10, 20, 50];
const LATE_DEATH_WATCH: Duration = Duration::from_millis(100);
/// How long a closed link may take to read its last words.
const LINGER: Duration = Duration::from_secs(2);
/// Pause after a failed accept, which is mostly for want of descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A running bridge. When it is dropped, the bridge ends without a word.
#[derive(Debug)]
pub struct Bridge {
    pub commands: mpsc::UnboundedSender<Command>,
    pub roster: Roster,
    pub counters: Arc<Counters>,
}

impl Bridge {
    /// Starts a bridge on `listener`. `host` is called on the bridge's thread, and must not block it.
    ///
    /// # Errors
    /// When the operating system has no thread for it.
    pub fn start(listener: Listener, limits: Limits, host: impl Fn(HostEvent) + Send + 'static) -> Result<Self, Error> {
        let (commands, orders) = mpsc::unbounded_channel();
        let (roster, counters) = (Roster::default(), Arc::new(Counters::default()));
        let parts = (roster.clone(), counters.clone());
        std::thread::Builder::new()
            .name("busybody-bridge".into())
            .spawn(move || run(listener, limits, parts, orders, host))
            .map_err(|error| Error::io(&error, "starting the bridge's thread of", "busybody"))?;
        Ok(Self { commands, roster, counters })
    }
}

fn run(
    listener: Listener,
    limits: Limits,
    (roster, counters): (Roster, Arc<Counters>),
    orders: mpsc::UnboundedReceiver<Command>,
    host: impl Fn(HostEvent) + 'static,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::io(&error, "starting the runtime of", "the bridge"));
    let host: Rc<dyn Fn(HostEvent)> = Rc::new(host);
    match runtime.and_then(|runtime| Ok((runtime, random()?))) {
        Ok((runtime, epoch)) => {
            let router = Router::new(limits, epoch, (std::process::id(), pid_namespace()), counters.clone());
            let server = Rc::new(Server::new(router, (roster, counters), host.clone()));
            LocalSet::new().block_on(&runtime, server.serve(listener, orders));
        }
        Err(error) => host(HostEvent::Trouble(error)),
    }
    host(HostEvent::Ended);
}

struct Server {
    router: RefCell<Router>,
    links: RefCell<FxHashMap<LinkKey, Rc<LinkIo>>>,
    /// Read buffers for all links: a large body is queued as a part of one.
    buffers: Pool,
    dirty: RefCell<Vec<LinkKey>>,
    start: Instant,
    roster: Roster,
    /// Where the next bridge reads who is on this one.
    file: RefCell<Option<RosterFile>>,
    host: Rc<dyn Fn(HostEvent)>,
    ticking: Cell<bool>,
    time_matters: Notify,
    alertness: Alertness,
    counters: Arc<Counters>,
    all_closed: Notify,
}

/// A link's socket, and how other tasks reach its task.
struct LinkIo {
    stream: Stream,
    wake: Notify,
    wants_write: Cell<bool>,
    over: Cell<bool>,
    /// The other side takes nothing any more. What it said before is still read, to its end.
    deaf: Cell<bool>,
    /// When something is due: the next try after an error that passes, or the end of a link that can be of no more use.
    alarm: Cell<Option<tokio::time::Instant>>,
    /// Errors in a row that pass.
    failures: Cell<u32>,
    /// Whether it has ever been full: then its kernel buffers are large.
    busy: Cell<bool>,
    expectation: Rc<Expectation>,
    /// Whether the other side is on the bus and has told its process.
    named: Cell<bool>,
    /// That process, where the system tells.
    process: Cell<Option<Process>>,
}

impl Server {
    fn new(router: Router, (roster, counters): (Roster, Arc<Counters>), host: Rc<dyn Fn(HostEvent)>) -> Self {
        Self {
            router: RefCell::new(router),
            links: RefCell::default(),
            buffers: Pool::new(KEPT_READS),
            dirty: RefCell::default(),
            start: Instant::now(),
            roster,
            file: RefCell::default(),
            host,
            ticking: Cell::new(false),
            time_matters: Notify::new(),
            alertness: Alertness::default(),
            counters,
            all_closed: Notify::new(),
        }
    }

    /// Runs until the bus is closed or its host gone.
    async fn serve(self: Rc<Self>, mut listener: Listener, mut orders: mpsc::UnboundedReceiver<Command>) {
        if let Err(error) = listener.register() {
            return (self.host)(HostEvent::Trouble(Error::io(&error, "listening on", &listener.url())));
        }
        let (file, before) = listener.take_roster();
        self.file.replace(file);
        self.clone().take_over(before);
        let alert = self.clone();
        tokio::task::spawn_local(async move { alert.alertness.stay().await });
        let mut path_check = tokio::time::interval(PATH_CHECK);
        path_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watch = PathWatch::default();
        // Until when nobody is accepted, after a failure; and whether the host was told of it.
        let (mut accepts_from, mut complained) = (None, false);
        loop {
            tokio::select! {
                accepted = listener.accept(), if accepts_from.is_none() => match accepted {
                    Ok((stream, facts)) => {
                        complained = false;
                        self.clone().accept(&listener, stream, facts);
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        accepts_from = Some(tokio::time::Instant::now() + ACCEPT_BACKOFF);
                        if !std::mem::replace(&mut complained, true) {
                            let trouble = Error::io(&error, "accepting nodes, which wait, at", &listener.url());
                            (self.host)(HostEvent::Trouble(trouble));
                        }
                    }
                },
                () = until(accepts_from), if accepts_from.is_some() => accepts_from = None,
                order = orders.recv() => match order {
                    Some(Command::Close { encoding, body }) => {
                        self.end_roster(|file| file.clear());
                        listener.release();
                        self.router.borrow_mut().close(encoding, &body);
                        return self.close_links().await;
                    }
                    Some(Command::HandOver) => {
                        let told = self.end_roster(|_| ());
                        listener.hand_over(told);
                        self.router.borrow_mut().hand_over();
                        return self.close_links().await;
                    }
                    Some(order) => self.obey(order),
                    None => return,
                },
                () = self.time_matters.notified() => self.clone().tick_while_needed(),
                _ = path_check.tick() => {
                    // Whoever removes a whole directory is not to find a new file in it.
                    if listener.is_in_place() {
                        self.refresh_roster();
                    }
                    if let Some(trouble) = watch.check(&mut listener, &mut path_check) {
                        (self.host)(HostEvent::Trouble(trouble));
                    }
                },
            }
        }
    }

    fn accept(self: Rc<Self>, listener: &Listener, stream: Stream, facts: PeerFacts) {
        let admitted = listener.admits(&facts);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let PeerFacts { uid, pid, address } = facts;
        let key = self.router.borrow_mut().connect(Peer { uid, pid, address, since }, self.now());
        let io = Rc::new(LinkIo {
            stream,
            wake: Notify::new(),
            wants_write: Cell::new(false),
            over: Cell::new(false),
            deaf: Cell::new(false),
            alarm: Cell::new(None),
            failures: Cell::new(0),
            busy: Cell::new(false),
            expectation: Rc::default(),
            named: Cell::new(false),
            process: Cell::new(None),
        });
        self.links.borrow_mut().insert(key, io.clone());
        if !admitted {
            self.router.borrow_mut().refuse_stranger(key);
            self.pump();
        }
        self.watch_time();
        tokio::task::spawn_local(self.drive(key, io));
    }

    /// One link, until it is over.
    async fn drive(self: Rc<Self>, key: LinkKey, io: Rc<LinkIo>) {
        while !io.over.get() {
            let held = self.router.borrow().is_held(key);
            tokio::select! {
                biased;
                () = io.wake.notified() => {}
                () = until(io.alarm.get()), if io.alarm.get().is_some() => {
                    io.alarm.set(None);
                    if io.deaf.get() {
                        io.over.set(true);
                    }
                    self.flush(key, &io);
                    self.pump();
                }
                writable = io.stream.writable(), if io.wants_write.get() && !io.rests() => {
                    io.over.set(writable.is_err());
                    self.flush(key, &io);
                    self.pump();
                }
                readable = io.stream.readable(), if !held && !io.rests() => {
                    io.over.set(readable.is_err());
                    self.read(key, &io);
                }
            }
        }
        let said_goodbye = self.router.borrow_mut().link(key).closing;
        self.links.borrow_mut().remove(&key);
        let kept = self.router.borrow_mut().disconnect(key, Departure::Died);
        self.pump();
        // Of a process in another pid namespace there is no number, only the link that leads to it.
        if let Some(node) = kept
            && let Some(ending) = io.process.get().map(Ending::Of).or_else(|| Ending::behind(&io.stream))
        {
            tokio::task::spawn_local(self.clone().watch_process(node, ending));
        }
        if self.links.borrow().is_empty() {
            self.all_closed.notify_one();
        }
        if said_goodbye {
            linger(&io.stream).await;
        }
    }

    fn read(&self, key: LinkKey, io: &LinkIo) {
        let mut buffer = self.buffers.lease(READ_LEN);
        match io.stream.try_read_buf(buffer.bytes_mut()) {
            Ok(0) => io.over.set(true),
            Ok(_) => {
                let before = self.counters.delivered.get();
                self.router.borrow_mut().handle_input(key, buffer.freeze(), self.now());
                self.alertness.carried(self.counters.delivered.get() - before, &io.expectation);
                if !io.named.get()
                    && let Some(pid) = self.router.borrow().pid_of(key)
                {
                    io.named.set(true);
                    io.process.set(Process::running(pid));
                }
                self.pump();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if io.bears(&error) => {}
            Err(error) => {
                self.count_broken(&error);
                io.over.set(true);
            }
        }
    }

    /// An end that the other side made is none of ours.
    fn count_broken(&self, error: &io::Error) {
        if trouble(error) != Trouble::Gone {
            self.counters.broken.increment();
        }
    }

    /// Writes what has something to write, tells the host, wakes who was held.
    fn pump(&self) {
        self.note_changes();
        let mut dirty = self.dirty.take();
        loop {
            // What was written may settle messages, of which others are to be told.
            self.router.borrow_mut().take_dirty(&mut dirty);
            if dirty.is_empty() {
                break;
            }
            for key in dirty.drain(..) {
                let io = self.links.borrow().get(&key).cloned();
                if let Some(io) = io {
                    self.flush(key, &io);
                }
            }
        }
        self.router.borrow_mut().take_resumed(&mut dirty);
        for key in dirty.drain(..) {
            if let Some(io) = self.links.borrow().get(&key) {
                io.wake.notify_one();
            }
        }
        self.dirty.replace(dirty);
        loop {
            let event = self.router.borrow_mut().poll_event();
            let Some(event) = event else { break };
            self.tell_host(event);
        }
        self.watch_time();
    }

    fn flush(&self, key: LinkKey, io: &LinkIo) {
        if io.rests() {
            return;
        }
        let mut router = self.router.borrow_mut();
        loop {
            if io.deaf.get() {
                let unheard = router.link(key).out.len();
                router.written(key, unheard, self.now());
            }
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = router.link(key).out.slices(&mut slices);
            if count == 0 {
                io.wants_write.set(false);
                break;
            }
            match io.stream.try_write_vectored(&slices[..count]) {
                Ok(written) => {
                    io.failures.set(0);
                    router.written(key, written, self.now());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !io.busy.replace(true) => {
                    io.stream.set_buffers(BUSY_BUFFERS);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !io.wants_write.replace(true) {
                        io.wake.notify_one();
                    }
                    return;
                }
                Err(error) if io.bears(&error) => return,
                Err(error) => {
                    self.count_broken(&error);
                    io.deafen(&error);
                }
            }
        }
        if router.link(key).closing {
            io.over.set(true);
            io.wake.notify_one();
        }
    }

    fn tell_host(&self, event: Event) {
        let event = match event {
            Event::Rpc(call) => HostEvent::Call {
                caller: call.caller,
                from: call.from.to_string(),
                method: call.method.to_string(),
                encoding: call.encoding,
                time_left: call.time_left,
                body: call.body,
            },
            Event::Cancelled(caller, code) => HostEvent::Cancelled { caller, code },
            Event::Joined(info) => {
                self.roster().insert(info.id.clone(), info.clone());
                HostEvent::Joined(info)
            }
            Event::Left(info, departure) => {
                self.roster().remove(&info.id);
                HostEvent::Left(info, departure)
            }
        };
        (self.host)(event);
    }

    fn roster(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, NodeInfo>> {
        // The map is whole between any two calls, whatever a reader did.
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obey(&self, order: Command) {
        let mut router = self.router.borrow_mut();
        match order {
            Command::Answer { caller, encoding, body } => router.answer(caller, encoding, body),
            Command::Refuse { caller, method, code, text } => router.refuse_call(caller, &method, code, &text),
            Command::Took(bytes) => router.host_took(bytes),
            Command::Close { .. } | Command::HandOver => {}
        }
        drop(router);
        self.pump();
    }

    /// Waits until all links have written their last words.
    async fn close_links(&self) {
        self.pump();
        let emptied = async {
            while !self.links.borrow().is_empty() {
                self.all_closed.notified().await;
            }
        };
        // Whoever does not read its last words in time loses them with the link.
        let _late = tokio::time::timeout(LINGER, emptied).await;
    }

    /// A node lost its link: if that is because its process ended, nobody need wait for it.
    async fn watch_process(self: Rc<Self>, node: MemberKey, ending: Ending) {
        let pauses = DEATH_WATCH.into_iter().map(Duration::from_millis);
        for pause in pauses.chain(std::iter::repeat(LATE_DEATH_WATCH)) {
            tokio::time::sleep(pause).await;
            if !self.router.borrow().is_away(node) {
                return;
            }
            if ending.has_come() {
                self.router.borrow_mut().forsake(node, self.now());
                return self.pump();
            }
        }
    }

    /// Another bridge was here: those who were on it are about to come, unless their processes have ended.
    fn take_over(self: Rc<Self>, before: Before) {
        let entries = match before {
            Before::Known(entries) => entries,
            Before::Somebody => return self.router.borrow_mut().take_over(None, self.now()),
            Before::Untold => return self.file.borrow_mut().iter_mut().for_each(RosterFile::complete),
        };
        let expected: Vec<Registration> = entries.iter().map(registration).collect();
        self.router.borrow_mut().take_over(Some(expected), self.now());
        self.file.borrow_mut().iter_mut().for_each(RosterFile::complete);
        let mut watched: BTreeMap<Process, Vec<(String, u64)>> = BTreeMap::new();
        for Entry { id, identity, process, .. } in entries {
            process.into_iter().for_each(|process| watched.entry(process).or_default().push((id.clone(), identity)));
        }
        self.forget_ended(&mut watched);
        tokio::task::spawn_local(self.watch_expected(watched));
    }

    /// Nobody need wait for nodes whose process ends before they come.
    async fn watch_expected(self: Rc<Self>, mut watched: BTreeMap<Process, Vec<(String, u64)>>) {
        let pauses = DEATH_WATCH.into_iter().map(Duration::from_millis);
        for pause in pauses.chain(std::iter::repeat(LATE_DEATH_WATCH)) {
            if !self.router.borrow().is_taking_over() || watched.is_empty() {
                return;
            }
            tokio::time::sleep(pause).await;
            self.forget_ended(&mut watched);
        }
    }

    fn forget_ended(&self, watched: &mut BTreeMap<Process, Vec<(String, u64)>>) {
        watched.retain(|process, nodes| {
            let ended = process.has_ended();
            for (id, identity) in nodes.iter().filter(|_| ended) {
                self.router.borrow_mut().process_ended(id, *identity, self.now());
            }
            !ended
        });
        self.pump();
    }

    /// Notes who came and went, before anybody hears of it: a node that was let in is known to the next bridge.
    fn note_changes(&self) {
        for change in self.router.borrow_mut().take_changes() {
            let mut file = self.file.borrow_mut();
            let Some(file) = file.as_mut() else { continue };
            match change {
                Change::Joined(link, node) => {
                    let process = self.links.borrow().get(&link).and_then(|io| io.process.get());
                    file.joined(entry(node, process));
                }
                Change::Gone { id, identity } => file.gone(&id, identity),
            }
        }
    }

    fn refresh_roster(&self) {
        let mut file = self.file.borrow_mut();
        let Some(file) = file.as_mut() else { return };
        file.refresh();
        if !self.router.borrow().is_taking_over() {
            file.complete();
        }
    }

    /// What happens from now on is not for the next bridge to know. Returns whether that one can read who was here.
    fn end_roster(&self, with: impl FnOnce(&mut RosterFile)) -> bool {
        self.note_changes();
        let Some(mut file) = self.file.take() else { return false };
        with(&mut file);
        file.end()
    }

    fn watch_time(&self) {
        if !self.ticking.get() && self.router.borrow().needs_ticks() {
            self.ticking.set(true);
            self.time_matters.notify_one();
        }
    }

    fn tick_while_needed(self: Rc<Self>) {
        tokio::task::spawn_local(async move {
            while self.router.borrow().needs_ticks() {
                tokio::time::sleep(TICK).await;
                self.router.borrow_mut().tick(self.now());
                self.pump();
            }
            self.ticking.set(false);
        });
    }

    fn now(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

/// Keeps the socket's file in place while the bridge runs.
#[derive(Default)]
struct PathWatch {
    checks: u32,
    /// Whether it was not in place at the last check.
    missing: bool,
    /// Why it could not be put back at the last check.
    trouble: Option<Error>,
}

impl PathWatch {
    /// What the host is to hear: a trouble that was not there at the check before.
    fn check(&mut self, listener: &mut Listener, checks: &mut Interval) -> Option<Error> {
        if listener.is_in_place() {
            if self.checks.is_multiple_of(REFRESH_EVERY) {
                listener.refresh();
            }
            *self = Self { checks: self.checks.wrapping_add(1), ..Self::default() };
            return None;
        }
        if !std::mem::replace(&mut self.missing, true) {
            checks.reset_after(PATH_PAUSE);
            return None;
        }
        let before = self.trouble.take();
        let error = listener.put_back().err()?;
        let is_news = before.as_ref() != Some(&error);
        let told = is_news.then(|| out_of_reach(listener, &error));
        self.trouble = Some(error);
        told
    }
}

fn out_of_reach(listener: &Listener, cause: &Error) -> Error {
    let url = listener.url();
    let text = format!(
        "the socket at '{url}' was removed or replaced and cannot be put back, so new nodes do not find this bridge: {cause}"
    );
    Error::os(cause.code(), text)
}

fn registration(entry: &Entry) -> Registration {
    let Entry { ref id, identity, session, pid, uid, since, .. } = *entry;
    Registration { identity, session, info: NodeInfo { id: id.clone(), pid, uid, address: None, since } }
}

fn entry(node: Registration, process: Option<Process>) -> Entry {
    let Registration { identity, session, info: NodeInfo { id, pid, uid, since, .. } } = node;
    Entry { id, identity, session, pid, process, uid, since }
}

impl LinkIo {
    /// Whether nothing is tried before the alarm.
    fn rests(&self) -> bool {
        self.alarm.get().is_some() && !self.deaf.get()
    }

    /// Whether a call that failed is made again, after a pause.
    fn bears(&self, error: &io::Error) -> bool {
        self.failures.set(self.failures.get() + 1);
        let again = trouble(error) == Trouble::Passing && self.failures.get() <= MOST_TRIES;
        if again {
            self.alarm_in(PAUSE);
        }
        again
    }

    /// Nothing more can be written. The other side is told so, if it is there, and what it said before is read; where
    /// nothing proves that it will end, the link does so by itself.
    fn deafen(&self, error: &io::Error) {
        self.deaf.set(true);
        self.stream.shutdown_write();
        if trouble(error) != Trouble::Gone {
            self.alarm_in(LINGER);
        }
    }

    fn alarm_in(&self, pause: Duration) {
        self.alarm.set(Some(tokio::time::Instant::now() + pause));
        self.wake.notify_one();
    }
}

async fn until(alarm: Option<tokio::time::Instant>) {
    match alarm {
        Some(alarm) => tokio::time::sleep_until(alarm).await,
        None => std::future::pending().await,
    }
}

/// Lets the other side read what was written last: closing at once could reset the connection before it does.
async fn linger(stream: &Stream) {
    stream.shutdown_write();
    let drained = async {
        let mut sink = [0; 4096];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut sink) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => break,
                _ => {}
            }
        }
    };
    let _late = tokio::time::timeout(LINGER, drained).await;
}
