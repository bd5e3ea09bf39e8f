//! `NativeBridge`: what `lib/bridge.js` stands on.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use napi::bindgen_prelude::{Buffer, Either, Function};
use napi_derive::napi;

use super::ending::deadline;
use super::thrown::Thrown;
use super::wake::waker;
use crate::address::Address;
use crate::bridge::command::{Command, HostEvent};
use crate::bridge::host::Caller;
use crate::bridge::router::Limits;
use crate::bridge::server::Bridge;
use crate::error::Code;
use crate::transport::{ListenOptions, Listener, SocketFile};
use crate::wire::frame::Encoding;

/// Events that a blocked host may leave unread; beyond, only the roster tells who came and went.
const MAX_EVENTS: usize = 100_000;

/// What a bridge is set up with.
#[napi(object)]
pub struct BridgeSetup {
    pub url: String,
    pub mode: u32,
    pub max_message: f64,
    pub max_pending: f64,
    pub stall_timeout: f64,
    pub resume_timeout: f64,
}

/// What happened on the bridge's thread; which fields are set depends on `kind`.
#[napi(object)]
pub struct BridgeEvent {
    /// 'call' | 'cancel' | 'join' | 'leave' | 'trouble' | 'ended'
    pub kind: String,
    /// call: hand it back with the answer. cancel: that of the call.
    pub caller: Option<Vec<u32>>,
    /// call: the caller's id. cancel: why, a code. leave: the reason. trouble: the code.
    pub from: Option<String>,
    /// call: the method. join, leave: the node as JSON. trouble: the message.
    pub text: Option<String>,
    /// call: how the body is to be read.
    pub encoding: Option<u32>,
    /// call: a string of JSON, or bytes.
    pub body: Option<Either<String, Buffer>>,
    /// call: milliseconds that the caller goes on waiting; missing: for ever, or it does not.
    pub time_left: Option<f64>,
}

/// A bridge's native half.
#[napi]
pub struct NativeBridge {
    bridge: Bridge,
    /// Behind the bridge, and so dropped after it.
    _released: Released,
    events: Arc<Mutex<VecDeque<HostEvent>>>,
    url: String,
    socket_file: Option<SocketFile>,
}

#[napi]
impl NativeBridge {
    /// Listens. `wake` is called when there are events to take with `next`.
    ///
    /// # Errors
    /// EADDRINUSE, EACCES, … with a sentence that names the address.
    #[napi(constructor)]
    pub fn new(setup: BridgeSetup, wake: Function<'_, (), ()>) -> Result<Self, Thrown> {
        let address: Address = setup.url.parse::<Address>()?;
        let listener = Listener::bind(&address, &ListenOptions { mode: setup.mode })?;
        let (url, socket_file) = (listener.url(), listener.unlinker());
        let limits = Limits {
            max_message: setup.max_message as u64,
            max_pending: setup.max_pending as usize,
            stall_timeout: setup.stall_timeout as u64,
            resume_timeout: setup.resume_timeout as u32,
        };
        let events = Arc::new(Mutex::new(VecDeque::new()));
        let wake = waker(wake).map_err(|error| Thrown::new("ERR_INTERNAL", error.reason))?;
        let ended = Arc::new((Mutex::new(false), Condvar::new()));
        let bridge = Bridge::start(listener, limits, host(events.clone(), wake, ended.clone()))?;
        Ok(Self { bridge, _released: Released(ended), events, url, socket_file })
    }

    /// The address it listens on.
    #[napi(getter)]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The next event, or null.
    #[napi]
    pub fn next(&self) -> Option<BridgeEvent> {
        let event = lock(&self.events).pop_front()?;
        if let HostEvent::Call { body, .. } = &event {
            self.order(Command::Took(body.len()));
        }
        Some(describe(event))
    }

    /// Answers a call with a JSON text or an encoded body.
    #[napi]
    pub fn answer(&self, caller: Vec<u32>, encoding: u32, body: Either<String, Buffer>) {
        if let Some(caller) = Caller::from_parts(&caller) {
            self.order(Command::Answer { caller, encoding: Encoding::from_bits(encoding as u8), body: bytes(body) });
        }
    }

    /// Answers a call that no method takes, or not any more.
    #[napi]
    pub fn refuse(&self, caller: Vec<u32>, method: String, code: String, text: String) {
        if let Some(caller) = Caller::from_parts(&caller) {
            let code = Code::from_name(&code).unwrap_or(Code::NoMethod);
            self.order(Command::Refuse { caller, method, code, text });
        }
    }

    /// The nodes on the bus, each as JSON.
    #[napi]
    pub fn nodes(&self) -> Vec<String> {
        let roster = self.bridge.roster.lock().unwrap_or_else(PoisonError::into_inner);
        roster.values().map(|info| info.to_json()).collect()
    }

    /// What was counted since the start: names and numbers in turn.
    #[napi]
    pub fn counters(&self) -> Vec<(String, f64)> {
        self.bridge.counters.all().into_iter().map(|(name, value)| (name.to_owned(), value as f64)).collect()
    }

    /// Ends the bus; an 'ended' event follows.
    #[napi]
    pub fn close(&self, encoding: u32, body: Either<String, Buffer>) {
        self.order(Command::Close { encoding: Encoding::from_bits(encoding as u8), body: bytes(body) });
    }

    /// Ends this bridge but not the bus: nodes lose their link and look for the next bridge.
    #[napi]
    pub fn hand_over(&self) {
        self.order(Command::HandOver);
    }

    /// Removes the socket's file at once, for the end of the process.
    #[napi]
    pub fn unlink(&self) {
        if let Some(file) = &self.socket_file {
            file.unlink_if_ours();
        }
    }

    fn order(&self, order: Command) {
        // A bridge that has ended needs no orders.
        let _ended = self.bridge.commands.send(order);
    }
}

/// Whether the bridge's thread has ended, and with it the ownership of the address.
type Ended = Arc<(Mutex<bool>, Condvar)>;

/// Dropped when the bridge is, waits until another can have its address: whoever sees a worker end, and starts a
/// bridge in its place, must not find the place taken.
struct Released(Ended);

impl Drop for Released {
    fn drop(&mut self) {
        let (ended, news) = &*self.0;
        let ended = ended.lock().unwrap_or_else(PoisonError::into_inner);
        if *ended {
            return;
        }
        // It takes microseconds. A thread that died of a panic gives no notice: then its time is up.
        let left = deadline().saturating_duration_since(Instant::now());
        let _waited = news.wait_timeout_while(ended, left, |ended| !*ended);
    }
}

/// Takes events on the bridge's thread, and wakes the host.
fn host(
    events: Arc<Mutex<VecDeque<HostEvent>>>,
    wake: impl Fn() + Send + 'static,
    ended: Ended,
) -> impl Fn(HostEvent) + Send {
    move |event| {
        if matches!(event, HostEvent::Ended) {
            *ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
            ended.1.notify_all();
        }
        let mut events = lock(&events);
        let presence = matches!(event, HostEvent::Joined(_) | HostEvent::Left(..));
        if !presence || events.len() < MAX_EVENTS {
            events.push_back(event);
        }
        drop(events);
        wake();
    }
}

fn describe(event: HostEvent) -> BridgeEvent {
    let kind = "ended".into();
    let empty = BridgeEvent { kind, caller: None, from: None, text: None, encoding: None, body: None, time_left: None };
    match event {
        HostEvent::Call { caller, from, method, encoding, time_left, body } => BridgeEvent {
            kind: "call".into(),
            caller: Some(caller.to_parts().to_vec()),
            from: Some(from),
            text: Some(method),
            encoding: Some(encoding as u32),
            body: Some(match encoding {
                Encoding::Json => Either::A(String::from_utf8_lossy(&body).into_owned()),
                _ => Either::B(Buffer::from(body.to_vec())),
            }),
            time_left: time_left.millis().map(|millis| millis as f64),
        },
        HostEvent::Cancelled { caller, code } => BridgeEvent {
            kind: "cancel".into(),
            caller: Some(caller.to_parts().to_vec()),
            from: Some(code.as_str().to_owned()),
            ..empty
        },
        HostEvent::Joined(info) => BridgeEvent { kind: "join".into(), text: Some(info.to_json()), ..empty },
        HostEvent::Left(info, departure) => BridgeEvent {
            kind: "leave".into(),
            text: Some(info.to_json()),
            from: Some(departure.as_str().to_owned()),
            ..empty
        },
        HostEvent::Trouble(error) => BridgeEvent {
            kind: "trouble".into(),
            from: Some(error.code().to_owned()),
            text: Some(error.message().to_owned()),
            ..empty
        },
        HostEvent::Ended => empty,
    }
}

fn bytes(body: Either<String, Buffer>) -> Bytes {
    match body {
        Either::A(text) => text.into(),
        Either::B(buffer) => Bytes::copy_from_slice(&buffer),
    }
}

fn lock(events: &Mutex<VecDeque<HostEvent>>) -> MutexGuard<'_, VecDeque<HostEvent>> {
    // The queue is whole between any two calls.
    events.lock().unwrap_or_else(PoisonError::into_inner)
}
