//! `NativeNode`: what `lib/node.js` stands on.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use napi::bindgen_prelude::{Function, Unknown};
use napi::{Env, JsValue, sys};
use napi_derive::napi;

use super::core::Core;
use super::dispatch::{Dispatch, report};
use super::hot;
use super::thrown::Thrown;
use super::wake::waker;
use crate::address::Address;
use crate::error::{Code, Error, os_code};
use crate::lane::SharedMemory;
use crate::node::client::{Client, Config, Phase};
use crate::node::link::Link;
use crate::node::link_task::TaskLink;
use crate::node::link_uv::{LibUv, LoopLink};
use crate::transport::{Connecting, Listening, Silent, Target, connect, pid_namespace, random};

/// What a node is set up with.
#[napi(object)]
pub struct NodeSetup {
    pub id: String,
    pub max_message: f64,
    pub max_pending: f64,
    /// Drive the socket on a tokio thread instead of the JavaScript thread's loop.
    pub task_driver: bool,
    /// Send large bodies through shared memory where that can be done.
    pub lane: bool,
    /// Take the id over if another process of the same user has it.
    pub replaces: bool,
}

/// The process at the other end of a link.
#[napi(object)]
pub struct Peer {
    pub pid: u32,
    /// As `ps` shows it.
    pub name: String,
    /// Whether a signal or a debugger has stopped it.
    pub stopped: bool,
}

/// A node's native half.
#[napi]
pub struct NativeNode {
    core: Rc<Core>,
    task_driver: bool,
    /// Who listens where it connected last, where the system tells.
    peer: Cell<Option<Listening>>,
}

/// Checks an address.
///
/// # Errors
/// ERR_INVALID_ARG for what is none; ENAMETOOLONG for a path that no socket can have.
#[napi]
pub fn check_address(url: String) -> Result<(), Thrown> {
    url.parse::<Address>()?;
    Ok(())
}

#[napi]
impl NativeNode {
    /// `dispatch` is called with every event: see `binding/dispatch.rs`.
    ///
    /// # Errors
    /// The system's, where it has no random numbers.
    #[napi(constructor)]
    pub fn new(env: Env, setup: NodeSetup, dispatch: Function<'_, (), ()>) -> Result<Self, Thrown> {
        let config = Config {
            id: setup.id,
            session: random()?,
            secret: random()?,
            pid: std::process::id(),
            namespace: pid_namespace(),
            max_message: setup.max_message as u64,
            max_pending: setup.max_pending as u64,
            replaces: setup.replaces,
        };
        // SAFETY: the current environment and a function that lives in it.
        let dispatch = unsafe { Dispatch::new(env.raw(), dispatch.raw()) };
        let mut client = Client::new(config);
        if setup.lane {
            client.use_lane(Box::new(SharedMemory::default()));
        }
        Ok(Self { core: Core::new(client, dispatch), task_driver: setup.task_driver, peer: Cell::new(None) })
    }

    /// `{ send, sendParts, flush, turn }`: see `binding/hot.rs`.
    #[napi]
    pub fn functions<'env>(&self, env: &'env Env) -> Unknown<'env> {
        // SAFETY: the current environment; the value is a fresh object.
        unsafe { Unknown::from_raw_unchecked(env.raw(), hot::functions(env.raw(), &self.core)) }
    }

    /// Starts a connection to `url`. `turn` is called whenever the socket is ready for something.
    ///
    /// # Errors
    /// What the operating system says at once; EAGAIN when the bridge's backlog is full.
    #[napi]
    pub fn connect(&self, env: Env, url: String, turn: Function<'_, (), ()>) -> Result<(), Thrown> {
        let address: Address = url.parse::<Address>()?;
        let mut failure = Error::new(Code::InvalidArg, format!("'{url}' leads nowhere"));
        for target in Target::resolve(&address)? {
            match connect(&target).map_err(|error| unreachable(&error, &url)) {
                Ok(connecting) => {
                    self.peer.set(connecting.listening());
                    let link = self.link(env, connecting, turn).map_err(|error| unreachable(&error, &url))?;
                    self.core.attach(link);
                    return Ok(());
                }
                Err(error) => failure = error,
            }
        }
        Err(failure.into())
    }

    /// Who listens where it connected last, or null where the system does not tell.
    #[napi]
    pub fn peer(&self) -> Option<Peer> {
        let Silent { pid, name, stopped } = self.peer.get().and_then(Listening::look_up)?;
        Some(Peer { pid, name, stopped })
    }

    /// A number for "node:event"; numbers count up from 0.
    #[napi]
    pub fn target(&self, node: String, event: String) -> u32 {
        self.core.client.borrow_mut().target(&node, &event)
    }

    /// Forgets all targets.
    #[napi]
    pub fn clear_targets(&self) {
        self.core.client.borrow_mut().clear_targets();
    }

    /// Whether broadcasts of `event` concern this node.
    #[napi]
    pub fn listen(&self, event: String, listens: bool) {
        self.core.client.borrow_mut().listen(&event, listens);
    }

    /// Tells a sender that its message reached nobody.
    #[napi]
    pub fn refuse(&self, target: u32, correlation: u32, code: String, text: String) {
        let code = Code::from_name(&code).unwrap_or(Code::Protocol);
        self.core.client.borrow_mut().refuse(target, correlation, code, &text);
    }

    /// While paused, the program puts aside what it is given, and calls `taken` (see `binding/hot.rs`) for each before it
    /// emits it.
    #[napi]
    pub fn pause(&self, paused: bool) {
        self.core.client.borrow_mut().pause(paused);
    }

    /// Stops waiting for a reply.
    #[napi]
    pub fn cancel(&self, correlation: u32) {
        self.core.client.borrow_mut().cancel(correlation);
    }

    /// Milliseconds that the sender of what is being delivered goes on waiting for a reply; -1: for ever, or it does not.
    #[napi(getter)]
    pub fn time_left(&self) -> f64 {
        self.core.time_left.get().millis().map_or(-1.0, |millis| millis as f64)
    }

    /// Asks to be told of the end of `asker`, as of [`Notice::Peer`](super::dispatch::Notice), whose question is being
    /// worked on.
    #[napi]
    pub fn watch_asker(&self, asker: String) {
        if let Some((session, id)) = asker.split_at_checked(16)
            && let Ok(session) = u64::from_str_radix(session, 16)
        {
            self.core.client.borrow_mut().watch_asker(id, session);
        }
    }

    /// Fails requests whose time is up; milliseconds to the next one, or -1.
    #[napi]
    pub fn check_time(&self) -> f64 {
        self.core.check_time()
    }

    /// Bytes handed over and not yet settled.
    #[napi(getter)]
    pub fn pending(&self) -> f64 {
        self.core.client.borrow().pending() as f64
    }

    /// Whether the bridge has been greeted and has not answered: others may know of this node already.
    #[napi(getter)]
    pub fn greeting(&self) -> bool {
        self.core.client.borrow().phase() == Phase::Greeting
    }

    /// Bytes of one message that this node and its bridge take.
    #[napi(getter)]
    pub fn max_message(&self) -> f64 {
        self.core.client.borrow().max_message() as f64
    }

    /// Whether to wait for 'drain'.
    #[napi(getter)]
    pub fn need_drain(&self) -> bool {
        self.core.client.borrow().need_drain()
    }

    /// Says goodbye behind all that was sent before; false when there is no bridge to say it to.
    #[napi]
    pub fn leave(&self) -> bool {
        let mut client = self.core.client.borrow_mut();
        client.leave();
        let leaving = client.phase() == Phase::Leaving;
        drop(client);
        self.core.flush();
        leaving
    }

    /// Says goodbye now, whatever is not settled.
    #[napi]
    pub fn insist_on_leaving(&self) {
        self.core.client.borrow_mut().insist_on_leaving();
        self.core.flush();
    }

    /// What waits, after a rejection, for the bridge to answer a PING waits no longer. Whether caution goes on.
    #[napi]
    pub fn presume_taken(&self) -> bool {
        let mut client = self.core.client.borrow_mut();
        client.presume_taken();
        let careful = client.is_careful();
        drop(client);
        self.core.flush();
        careful
    }

    /// Lets go of the link, of which nothing good is to be expected any more.
    #[napi]
    pub fn disconnect(&self) {
        self.core.detach();
        self.core.client.borrow_mut().disconnected();
        self.core.deliver_events();
    }

    /// Ends this node: it says goodbye, all requests fail, and what did not arrive is told.
    #[napi]
    pub fn close(&self, text: String) {
        self.core.close(&text);
        self.core.deliver_events();
    }

    /// Writes what waits, even if that takes a moment, for the end of the process. False: there is more for another turn.
    #[napi]
    pub fn flush_blocking(&self) -> bool {
        self.core.flush_blocking()
    }

    fn link(&self, env: Env, connecting: Connecting, turn: Function<'_, (), ()>) -> std::io::Result<Box<dyn Link>> {
        if !self.task_driver
            && let Some(uv) = LibUv::load()
            && let Some(event_loop) = event_loop(env)
        {
            // SAFETY: the environment's own loop, and the caller is on its thread.
            return unsafe { loop_link(&self.core, env.raw(), uv, event_loop, connecting, turn) };
        }
        let wake = waker(turn).map_err(std::io::Error::other)?;
        Ok(Box::new(TaskLink::new(connecting, Arc::new(wake))?))
    }
}

fn unreachable(error: &std::io::Error, url: &str) -> Error {
    let code = os_code(error);
    Error::os(code, format!("{code}: no connection to a bridge at '{url}': {error}"))
}

fn event_loop(env: Env) -> Option<*mut c_void> {
    let mut event_loop = ptr::null_mut();
    // SAFETY: the current environment.
    let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), &mut event_loop) };
    (status == sys::Status::napi_ok && !event_loop.is_null()).then_some(event_loop.cast())
}

/// The `turn` function of one link on the loop, and its place among what the environment waits for at its end.
struct Turn {
    env: sys::napi_env,
    function: sys::napi_ref,
    core: Weak<Core>,
    cleanup: Cell<sys::napi_async_cleanup_hook_handle>,
}

/// SAFETY: as [`LoopLink::new`].
unsafe fn loop_link(
    core: &Rc<Core>,
    env: sys::napi_env,
    uv: LibUv,
    event_loop: *mut c_void,
    connecting: Connecting,
    turn: Function<'_, (), ()>,
) -> std::io::Result<Box<dyn Link>> {
    let mut function = ptr::null_mut();
    unsafe { sys::napi_create_reference(env, turn.raw(), 1, &mut function) };
    let turn = Rc::new(Turn { env, function, core: Rc::downgrade(core), cleanup: Cell::new(ptr::null_mut()) });
    let (on_ready, on_closed) = (turn.clone(), turn.clone());
    let ready = Box::new(move || on_ready.call());
    let closed = Box::new(move || on_closed.end());
    let link = unsafe { LoopLink::new(uv, event_loop, connecting, ready, closed)? };
    turn.end_with_environment();
    Ok(Box::new(link))
}

impl Turn {
    /// Enters JavaScript: microtasks and ticks run when it returns.
    fn call(&self) {
        if let Some(core) = self.core.upgrade()
            && core.says_goodbye()
        {
            return core.go_on_with_goodbye();
        }
        let (mut scope, mut function, mut this, mut result) =
            (ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: on the environment's thread, outside of any JavaScript; open and close are paired.
        unsafe {
            if sys::napi_open_handle_scope(self.env, &mut scope) != sys::Status::napi_ok {
                return;
            }
            sys::napi_get_reference_value(self.env, self.function, &mut function);
            sys::napi_get_global(self.env, &mut this);
            if !function.is_null() {
                let no_arguments = ptr::null();
                let status =
                    sys::napi_make_callback(self.env, ptr::null_mut(), this, function, 0, no_arguments, &mut result);
                // What a tick or microtask threw at the end of the call; N-API holds it back for its caller.
                if status == sys::Status::napi_pending_exception {
                    report(self.env);
                }
            }
            sys::napi_close_handle_scope(self.env, scope);
        }
    }

    /// An environment (a worker) that ends has to close the handle first, or its loop aborts the process.
    fn end_with_environment(self: &Rc<Self>) {
        let data = Rc::into_raw(self.clone());
        let mut handle = ptr::null_mut();
        // SAFETY: the count made above is given back by `end`, which runs once the handle is closed.
        unsafe {
            sys::napi_add_async_cleanup_hook(self.env, Some(environment_ends), data.cast_mut().cast(), &mut handle);
        }
        self.cleanup.set(handle);
    }

    /// libuv has let go of the link.
    fn end(&self) {
        let handle = self.cleanup.replace(ptr::null_mut());
        // SAFETY: on the environment's thread; neither reference nor hook is used again.
        unsafe {
            sys::napi_delete_reference(self.env, self.function);
            if !handle.is_null() {
                sys::napi_remove_async_cleanup_hook(handle);
            }
            drop(Rc::from_raw(ptr::from_ref(self)));
        }
    }
}

/// SAFETY: N-API calls it with the data given above, which lives until `end`.
unsafe extern "C" fn environment_ends(_handle: sys::napi_async_cleanup_hook_handle, data: *mut c_void) {
    let turn = unsafe { &*data.cast::<Turn>().cast_const() };
    if let Some(core) = turn.core.upgrade() {
        core.flush();
        core.close("its environment ended");
        core.end_goodbye();
    }
}
