//! A bridge of the simulation: a router, driven as `bridge::server` drives it, and a program that hosts it.

use std::sync::Arc;

use bytes::Bytes;

use super::body;
use super::cable::Cable;
use super::ledger::{HOST, Ledger};
use super::random::Random;
use crate::bridge::counters::Counters;
use crate::bridge::host::{Caller, Event};
use crate::bridge::probe::{Departure, LinkKey, Peer};
use crate::bridge::router::{Limits, Router};
use crate::error::Code;
use crate::wire::frame::{Encoding, kind};

/// Longest read, as the server's.
pub const READ: usize = 256 * 1024;

/// A bridge and its host's program.
#[derive(Debug)]
pub struct Bridge {
    pub router: Router,
    limits: Limits,
    counters: Arc<Counters>,
    /// Calls that the program has not answered yet.
    pub owed: Vec<(Caller, usize)>,
    dirty: Vec<LinkKey>,
}

impl Bridge {
    /// A bridge without nodes.
    pub fn new(limits: Limits) -> Self {
        let counters = Arc::new(Counters::default());
        let router = Router::new(limits, 1, 1, counters.clone());
        Self { router, counters, limits, owed: Vec::new(), dirty: Vec::new() }
    }

    /// A node connects.
    pub fn accept(&mut self, now: u64) -> LinkKey {
        self.router.connect(Peer::default(), now)
    }

    /// Reads at most `most` bytes of a link; returns whether anything happened.
    pub fn read(&mut self, cables: &mut [Cable], at: usize, most: usize, now: u64, ledger: &mut Ledger) -> bool {
        let cable = &mut cables[at];
        if !cable.at_bridge {
            return false;
        }
        cable.held = cable.held || self.router.is_held(cable.key);
        if cable.held {
            return false;
        }
        let input = cable.up.read(most.min(READ));
        if input.is_empty() {
            if cable.up.ended {
                self.lose(cables, at, ledger);
                return true;
            }
            return false;
        }
        cable.read += input.len() as u64;
        let deaf = self.router.link(cable.key).closing;
        let rejected = self.counters.rejected.get();
        self.router.handle_input(cable.key, input, now);
        while let Some(op) = cable.said.next(cable.read).filter(|_| !deaf) {
            ledger.hear(cable.epoch, op);
        }
        // A peer of the original's wire goes on talking when its name is refused.
        let fair = self.counters.rejected.get() == rejected || !ledger.stays[cable.epoch].joined;
        assert!(fair, "all nodes speak the protocol");
        self.after(cables, now);
        true
    }

    /// Writes at most `most` bytes to a link, and closes it when the router is done with it.
    pub fn write(&mut self, cables: &mut [Cable], at: usize, most: usize, now: u64, ledger: &mut Ledger) -> bool {
        let cable = &mut cables[at];
        if !cable.at_bridge || !cable.wants_write {
            return false;
        }
        if !cable.at_node {
            // A write to a socket whose other end is closed fails, and what it still had to say is lost.
            self.lose(cables, at, ledger);
            return true;
        }
        let written = cable.down.write(&self.router.link(cable.key).out, most);
        self.router.written(cable.key, written, now);
        let link = self.router.link(cable.key);
        if link.out.is_empty() {
            cable.wants_write = false;
            if link.closing {
                self.lose(cables, at, ledger);
                return true;
            }
        }
        self.after(cables, now);
        written > 0
    }

    /// Lets go of a link.
    fn lose(&mut self, cables: &mut [Cable], at: usize, ledger: &mut Ledger) {
        let cable = &mut cables[at];
        self.router.disconnect(cable.key, Departure::Died);
        ledger.end(cable.epoch, Departure::Died);
        cable.at_bridge = false;
        cable.down.ended = true;
        cable.full_since = None;
        self.wake(cables);
    }

    /// Tells the router the time.
    pub fn tick(&mut self, cables: &mut [Cable], now: u64, ledger: &mut Ledger) {
        if !self.router.needs_ticks() {
            return;
        }
        let on_the_bus: Vec<usize> = (0..cables.len()).filter(|&at| self.is_on_the_bus(&cables[at])).collect();
        self.router.tick(now);
        for at in on_the_bus {
            if !self.is_on_the_bus(&cables[at]) {
                let full_for = cables[at].full_since.map(|since| now - since);
                let fair = full_for.is_some_and(|waited| waited >= self.limits.stall_timeout);
                assert!(fair, "cut after {full_for:?} of a full queue");
                ledger.end(cables[at].epoch, Departure::Cut);
            }
        }
        self.after(cables, now);
    }

    fn is_on_the_bus(&mut self, cable: &Cable) -> bool {
        cable.at_bridge && self.router.link(cable.key).member.is_some()
    }

    /// What the driver does after every call of the router.
    fn after(&mut self, cables: &mut [Cable], now: u64) {
        self.wake(cables);
        for cable in cables.iter_mut().filter(|cable| cable.at_bridge) {
            let full = self.router.holds_others(cable.key);
            cable.full_since = if full { cable.full_since.or(Some(now)) } else { None };
        }
    }

    fn wake(&mut self, cables: &mut [Cable]) {
        let mut keys = std::mem::take(&mut self.dirty);
        self.router.take_dirty(&mut keys);
        for key in keys.drain(..) {
            at_key(cables, key).wants_write = true;
        }
        self.router.take_resumed(&mut keys);
        for key in keys.drain(..) {
            at_key(cables, key).held = false;
        }
        self.dirty = keys;
    }

    /// The host's program runs: it takes its calls.
    pub fn run_host(&mut self, cables: &mut [Cable], random: &mut Random, now: u64, ledger: &mut Ledger) -> bool {
        let mut busy = false;
        while let Some(event) = self.router.poll_event() {
            busy = true;
            let Event::Rpc(call) = event else { continue };
            self.router.host_took(call.body.len());
            let number = body::read(&call.body);
            ledger.delivered(HOST, number, (&call.from, &call.method, call.body.len()));
            if call.caller.correlation == 0 {
                continue;
            }
            let ask = ledger.messages[number].ask.expect("a call that wants an answer is a question");
            match random.below(10) {
                0 if ledger.asks[ask].deadline.is_some() => ledger.asks[ask].ignored = true,
                1 => {
                    ledger.asks[ask].refused = true;
                    self.router.refuse_call(call.caller, &call.method, Code::NoMethod, "no such method");
                }
                2..5 => self.owed.push((call.caller, ask)),
                _ => self.answer(call.caller, ask, random, ledger),
            }
        }
        self.after(cables, now);
        busy
    }

    /// The host's program answers one call it owes an answer.
    pub fn answer_owed(&mut self, cables: &mut [Cable], random: &mut Random, now: u64, ledger: &mut Ledger) -> bool {
        let Some((caller, ask)) = self.owed.pop() else { return false };
        self.answer(caller, ask, random, ledger);
        self.after(cables, now);
        true
    }

    fn answer(&mut self, caller: Caller, ask: usize, random: &mut Random, ledger: &mut Ledger) {
        let len = if random.chance(5) { 70_000 + random.below(200_000) } else { 12 + random.below(100) };
        let number = ledger.send(kind::REPLY, "", "", len, Some(ask));
        let reply = body::write(number, len);
        ledger.messages[number].len = reply.len();
        self.router.answer(caller, Encoding::Json, Bytes::from(reply));
    }
}

fn at_key(cables: &mut [Cable], key: LinkKey) -> &mut Cable {
    let cable = cables.iter_mut().find(|cable| cable.at_bridge && cable.key == key);
    cable.expect("the router names links it has")
}
