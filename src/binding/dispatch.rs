//! Events on their way into JavaScript: one call of one function each.
//!
//! `dispatch(head, correlation, body)`, where `head` packs several numbers (see [`abi::dispatch`](super::abi::dispatch)) so
//! that a call passes few values. The body is a string (JSON text) or a Buffer (other encodings); of a [`Notice`] a JSON
//! text.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::ptr;

use napi::sys;

use super::abi::dispatch as abi;
use super::plain::only_string;
use crate::error::Error;
use crate::node::event::{Delivery, Event, Payload};
use crate::pool::Lease;
use crate::transport::pid_namespace;
use crate::wire::frame::{Encoding, kind};

/// What a call of kind [`abi::NOTICE`] is about.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Notice {
    /// `[bridge pid, kept, near]`: kept, and whether numbers of processes mean the same there, are "true" or "false".
    Online = 1,
    /// `[code, text]`
    Rejected = 2,
    /// correlation: the slot; the body is the name itself.
    Name = 3,
    /// correlation; `[code, text]`
    Failed = 4,
    /// `[node, event, code]`
    Undeliverable = 5,
    /// `[]`
    Drain = 6,
    /// `[]`
    Left = 7,
    /// correlation: the encoding; the body is the values.
    Ended = 8,
    /// `[code, text]`
    Lost = 9,
    /// correlation: the slot; the body is a node: its session as 16 hex digits, then its id.
    Peer = 10,
    /// correlation: that of a question; `[asker, code]`, the asker as of `Peer`. Nobody waits for the reply.
    Cancelled = 11,
    /// The body is a node that is gone, as of `Peer`; session 0: in any session.
    Departed = 12,
}

/// The dispatch function of one node, kept alive by this until it is dropped.
pub struct Dispatch {
    env: sys::napi_env,
    function: sys::napi_ref,
}

impl Dispatch {
    /// Keeps `function`.
    ///
    /// # Safety
    /// `env` must be the current environment, and `function` a function in it.
    pub unsafe fn new(env: sys::napi_env, function: sys::napi_value) -> Self {
        let mut reference = ptr::null_mut();
        // SAFETY: the caller vouches for both. A failed reference stays null, and is then never called.
        unsafe { sys::napi_create_reference(env, function, 1, &mut reference) };
        Self { env, function: reference }
    }

    /// Enters JavaScript for a batch of events; `None` when the environment is ending.
    pub fn enter(&self) -> Option<Entered> {
        let mut scope = ptr::null_mut();
        // SAFETY: called on the environment's thread only, as all of a node is; the scope is closed by `Entered`.
        unsafe {
            if sys::napi_open_handle_scope(self.env, &mut scope) != sys::Status::napi_ok {
                return None;
            }
        }
        let mut entered = Entered {
            env: self.env,
            scope,
            function: ptr::null_mut(),
            this: ptr::null_mut(),
            zero: ptr::null_mut(),
            head: Cell::new((0, ptr::null_mut())),
            batch: Cell::new(ptr::null_mut()),
            delivered: Cell::new(0),
        };
        // SAFETY: within the scope just opened; a reference that is gone leaves null.
        unsafe {
            sys::napi_get_reference_value(self.env, self.function, &mut entered.function);
            sys::napi_get_undefined(self.env, &mut entered.this);
            sys::napi_create_uint32(self.env, 0, &mut entered.zero);
        }
        (!entered.function.is_null()).then_some(entered)
    }
}

/// Events that share one inner handle scope: few enough that a large batch keeps no garbage.
const EVENTS_PER_SCOPE: u32 = 32;

/// The way into JavaScript, open for a batch of events.
pub struct Entered {
    env: sys::napi_env,
    /// The outer scope, in which the values below live.
    scope: sys::napi_handle_scope,
    function: sys::napi_value,
    this: sys::napi_value,
    zero: sys::napi_value,
    /// The head of the last event in the inner scope, and its value: one sender's messages mostly come in a row.
    head: Cell<(u32, sys::napi_value)>,
    /// The inner scope, or null.
    batch: Cell<sys::napi_handle_scope>,
    delivered: Cell<u32>,
}

impl Entered {
    /// Calls JavaScript with one event. What its listeners throw is theirs to handle there.
    pub fn deliver(&self, event: Event<'_>) {
        match event {
            Event::Delivery(delivery) => return self.deliver_message(delivery),
            Event::Reply { correlation, encoding, body } => {
                self.call_with(abi::REPLY | encoding_bits(encoding), correlation, |env| {
                    argument_value(env, encoding, body)
                });
            }
            Event::Ended { encoding, body } => {
                self.notify(Notice::Ended, encoding as u32, |env| body_value(env, encoding, body));
            }
            Event::Name { slot, name, session: None } => {
                self.notify(Notice::Name, u32::from(slot), |env| text_value(env, name.as_bytes()));
            }
            Event::Name { slot, name, session: Some(session) } => {
                self.notify_peer(Notice::Peer, u32::from(slot), session, &name);
            }
            Event::Cancelled { from, session, correlation, code } => {
                self.notify_json(Notice::Cancelled, correlation, &[&peer_text(session, &from), code.as_str()]);
            }
            Event::Departed { node, session } => self.notify_peer(Notice::Departed, 0, session, &node),
            Event::Online(welcome) => {
                let near = welcome.namespace == 0 || welcome.namespace == pid_namespace();
                let words = [welcome.pid.to_string(), welcome.kept.to_string(), near.to_string()];
                self.notify_json(Notice::Online, 0, &words.each_ref().map(String::as_str));
            }
            Event::Rejected { code, text } => self.notify_json(Notice::Rejected, 0, &[code.as_str(), &text]),
            Event::Failed { correlation, code, text } => {
                self.notify_json(Notice::Failed, correlation, &[code.as_str(), &text]);
            }
            Event::Undeliverable { node, event, code } => {
                self.notify_json(Notice::Undeliverable, 0, &[&node, &event, code.as_str()]);
            }
            Event::Drain => self.notify_json(Notice::Drain, 0, &[]),
            Event::Left => self.notify_json(Notice::Left, 0, &[]),
        }
        self.count();
    }

    /// The same with the commonest event.
    pub fn deliver_message(&self, delivery: Delivery<'_>) {
        let Delivery { kind, from, event, correlation, encoding, body, .. } = delivery;
        let kind = if kind == kind::BROADCAST { abi::BROADCAST } else { abi::MESSAGE };
        let names = u32::from(from) << abi::FROM_SHIFT | u32::from(event) << abi::EVENT_SHIFT;
        let head = kind | encoding_bits(encoding) | names;
        self.call_with(head, correlation, |env| argument_value(env, encoding, body));
        self.count();
    }

    fn count(&self) {
        let delivered = self.delivered.get() + 1;
        self.delivered.set(delivered);
        if delivered.is_multiple_of(EVENTS_PER_SCOPE) {
            self.head.set((0, ptr::null_mut()));
            close_scope(self.env, self.batch.take());
        }
    }

    /// The link is gone.
    pub fn lost(&self, error: &Error) {
        self.notify_json(Notice::Lost, 0, &[error.code(), error.message()]);
    }

    fn notify(&self, notice: Notice, correlation: u32, body: impl FnOnce(sys::napi_env) -> sys::napi_value) {
        self.call_with(abi::NOTICE | (notice as u32) << abi::NOTICE_SHIFT, correlation, |env| (false, body(env)));
    }

    fn notify_peer(&self, notice: Notice, correlation: u32, session: u64, id: &str) {
        self.notify(notice, correlation, |env| text_value(env, peer_text(session, id).as_bytes()));
    }

    fn notify_json(&self, notice: Notice, correlation: u32, fields: &[&str]) {
        let json = serde_json::Value::from(fields).to_string();
        self.notify(notice, correlation, |env| text_value(env, json.as_bytes()));
    }

    /// `body` makes the last argument, and says whether it is the only argument itself.
    fn call_with(&self, head: u32, correlation: u32, body: impl FnOnce(sys::napi_env) -> (bool, sys::napi_value)) {
        if self.batch.get().is_null() {
            let mut scope = ptr::null_mut();
            // SAFETY: within the outer scope; closed after a few events, or with it.
            unsafe { sys::napi_open_handle_scope(self.env, &mut scope) };
            self.batch.set(scope);
        }
        let (plain, body) = body(self.env);
        let head = self.head_value(head | u32::from(plain) << abi::PLAIN_SHIFT);
        self.call([head, self.number_value(correlation), body]);
    }

    fn head_value(&self, head: u32) -> sys::napi_value {
        let (known, value) = self.head.get();
        if known == head && !value.is_null() {
            return value;
        }
        let value = self.number_value(head);
        self.head.set((head, value));
        value
    }

    fn number_value(&self, number: u32) -> sys::napi_value {
        if number == 0 {
            return self.zero;
        }
        let mut value = ptr::null_mut();
        // SAFETY: within a handle scope.
        unsafe { sys::napi_create_uint32(self.env, number, &mut value) };
        value
    }

    fn call(&self, arguments: [sys::napi_value; 3]) {
        // When the environment is ending the calls fail, and the event with it.
        if arguments.iter().any(|value| value.is_null()) {
            return;
        }
        let mut result = ptr::null_mut();
        // SAFETY: within handle scopes of the current environment.
        unsafe {
            let (count, values) = (arguments.len(), arguments.as_ptr());
            let status = sys::napi_call_function(self.env, self.this, self.function, count, values, &mut result);
            if status == sys::Status::napi_pending_exception {
                report(self.env);
            }
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        close_scope(self.env, self.batch.take());
        close_scope(self.env, self.scope);
    }
}

/// Closes the innermost scope; null is none.
fn close_scope(env: sys::napi_env, scope: sys::napi_handle_scope) {
    if !scope.is_null() {
        // SAFETY: callers close in the reverse order of opening.
        unsafe { sys::napi_close_handle_scope(env, scope) };
    }
}

/// Makes a pending exception an uncaughtException, so that the remaining events are still delivered.
///
/// SAFETY: for the current environment, with an exception pending.
pub unsafe fn report(env: sys::napi_env) {
    let mut error = ptr::null_mut();
    unsafe {
        sys::napi_get_and_clear_last_exception(env, &mut error);
        sys::napi_fatal_exception(env, error);
    }
}

/// A node in one of its sessions, as JavaScript knows it.
fn peer_text(session: u64, id: &str) -> String {
    format!("{session:016x}{id}")
}

const fn encoding_bits(encoding: Encoding) -> u32 {
    (encoding as u32) << abi::ENCODING_SHIFT
}

/// The body, or its only argument where that is a plain string: then the first is true.
fn argument_value(env: sys::napi_env, encoding: Encoding, body: Payload<'_>) -> (bool, sys::napi_value) {
    if encoding == Encoding::Json
        && let Some(string) = only_string(body.bytes())
    {
        return (true, latin1_value(env, string));
    }
    (false, body_value(env, encoding, body))
}

fn body_value(env: sys::napi_env, encoding: Encoding, body: Payload<'_>) -> sys::napi_value {
    match (encoding, body) {
        (Encoding::Json, Payload::Borrowed(bytes)) => text_value(env, bytes),
        (Encoding::Json, Payload::Owned(bytes)) => text_value(env, bytes.as_ref()),
        (_, Payload::Borrowed(bytes)) => {
            let mut value = ptr::null_mut();
            // SAFETY: the bytes are copied during the call.
            unsafe {
                sys::napi_create_buffer_copy(env, bytes.len(), bytes.as_ptr().cast(), ptr::null_mut(), &mut value);
            }
            value
        }
        (_, Payload::Owned(bytes)) => lent_buffer(env, bytes),
    }
}

/// A Buffer over the bytes themselves; they return to their pool when JavaScript is done with them. Where the engine
/// does not allow that, a copy.
fn lent_buffer(env: sys::napi_env, lease: Lease) -> sys::napi_value {
    let mut lease = Box::new(lease);
    let (data, len) = (lease.bytes_mut().as_mut_ptr().cast::<c_void>(), lease.bytes().len());
    let (hint, mut value) = (Box::into_raw(lease), ptr::null_mut());
    // SAFETY: the bytes live until `give_back`, which the engine calls once, when the last view of them is gone.
    unsafe {
        let status = sys::napi_create_external_buffer(env, len, data, Some(give_back), hint.cast(), &mut value);
        if status != sys::Status::napi_ok {
            sys::napi_create_buffer_copy(env, len, data, ptr::null_mut(), &mut value);
            drop(Box::from_raw(hint));
        }
    }
    value
}

/// SAFETY: called by the engine with the hint given above.
unsafe extern "C" fn give_back(_env: sys::napi_env, _data: *mut c_void, hint: *mut c_void) {
    drop(unsafe { Box::from_raw(hint.cast::<Lease>()) });
}

/// A string value. ASCII, the common case, is a plain copy in the engine.
fn text_value(env: sys::napi_env, bytes: &[u8]) -> sys::napi_value {
    if bytes.is_ascii() {
        return latin1_value(env, bytes);
    }
    let (data, len, mut value) = (bytes.as_ptr().cast::<c_char>(), bytes.len() as isize, ptr::null_mut());
    // SAFETY: the bytes are copied during the call; what is not UTF-8 becomes U+FFFD.
    unsafe { sys::napi_create_string_utf8(env, data, len, &mut value) };
    value
}

fn latin1_value(env: sys::napi_env, bytes: &[u8]) -> sys::napi_value {
    let (data, len, mut value) = (bytes.as_ptr().cast::<c_char>(), bytes.len() as isize, ptr::null_mut());
    // SAFETY: the bytes are copied during the call.
    unsafe { sys::napi_create_string_latin1(env, data, len, &mut value) };
    value
}

impl Drop for Dispatch {
    fn drop(&mut self) {
        // SAFETY: dropped on the environment's thread, with the node.
        unsafe { sys::napi_delete_reference(self.env, self.function) };
    }
}
