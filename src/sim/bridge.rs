//! A bridge of the simulation: a router, driven as `bridge::server` drives it, and a program that hosts it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;

use super::body;
use super::cable::Cable;
use super::censor::POISON;
use super::ledger::Ledger;
use super::random::Random;
use crate::bridge::counters::Counters;
use crate::bridge::host::{Caller, Event};
use crate::bridge::probe::{Change, Departure, LinkKey, Peer, Registration};
use crate::bridge::router::{Limits, Router};
use crate::error::Code;
use crate::outqueue::MAX_SLICES;
use crate::wire::frame::{Encoding, kind};

/// Longest read, as the server's.
const READ: usize = 256 * 1024;

/// Who was on a bus, as its bridge noted it: what is left of a bridge that ends.
pub type Roster = BTreeMap<(String, u64), Registration>;

/// A bridge and its host's program.
#[derive(Debug)]
pub struct Bridge {
    pub router: Router,
    /// Its number among all bridges there were.
    number: usize,
    counters: Arc<Counters>,
    /// Calls that the program has not answered yet.
    owed: Vec<(Caller, usize)>,
    /// Under whose name its program answers.
    life: usize,
    dirty: Vec<LinkKey>,
    /// What it notes for the next bridge.
    roster: Roster,
    /// What the program has not been told.
    events: VecDeque<Event>,
    /// Whether its program answers now and then what no node takes.
    pub poisons: bool,
}

impl Bridge {
    /// A bridge without nodes. `before` is what the bridge before has noted; `None`: nobody knows what that was.
    pub fn new(limits: Limits, number: usize, now: u64, before: Option<Roster>, ledger: &mut Ledger) -> Self {
        let counters = Arc::new(Counters::default());
        let mut router =
            Router::new(limits, (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15), (1, 1), counters.clone());
        if number > 1 {
            router.take_over(before.as_ref().map(|before| before.values().cloned().collect()), now);
        }
        let life = ledger.begin("", false);
        let (owed, dirty, events, roster) = (Vec::new(), Vec::new(), VecDeque::new(), before.unwrap_or_default());
        Self { router, number, counters, owed, life, dirty, roster, events, poisons: false }
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
                self.lose(cables, at);
                return true;
            }
            return false;
        }
        let rejected = self.counters.rejected.get();
        let on_the_bus = self.router.link(cable.key).member.is_some();
        let before = self.present();
        self.router.handle_input(cables[at].key, input, now);
        // A peer of the original's wire goes on talking when its name is refused.
        self.note_departures(before, ledger);
        if !on_the_bus && let Some(id) = self.router.id_on(cables[at].key) {
            ledger.let_in(&id);
        }
        let fair = self.counters.rejected.get() == rejected || !on_the_bus || cables[at].up.censor.is_some();
        assert!(fair, "all nodes speak the protocol");
        self.wake(cables);
        true
    }

    /// Writes at most `most` bytes to a link, and closes it when the router is done with it.
    pub fn write(&mut self, cables: &mut [Cable], at: usize, most: usize, now: u64) -> bool {
        let cable = &mut cables[at];
        if !cable.at_bridge || !cable.wants_write {
            return false;
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = self.router.link(cable.key).out.slices(&mut slices);
        let written = if cable.at_node {
            cable.down.write(&slices[..count], most)
        } else {
            // A write to a socket whose other end is closed fails. What had come on it is still heard.
            self.router.link(cable.key).out.len()
        };
        self.router.written(cable.key, written, now);
        let link = self.router.link(cable.key);
        if link.out.is_empty() {
            cable.wants_write = false;
            if link.closing {
                self.lose(cables, at);
                return true;
            }
        }
        self.wake(cables);
        written > 0
    }

    /// Lets go of a link.
    fn lose(&mut self, cables: &mut [Cable], at: usize) {
        let cable = &mut cables[at];
        self.router.disconnect(cable.key, Departure::Died);
        cable.at_bridge = false;
        cable.down.ended = true;
        self.wake(cables);
    }

    /// The process is gone: what it had written still arrives, what was not read is lost. Returns what it noted.
    pub fn die(self, cables: &mut [Cable]) -> Roster {
        for cable in cables.iter_mut().filter(|cable| cable.at_bridge) {
            cable.at_bridge = false;
            cable.up.cut(0);
            cable.down.ended = true;
        }
        self.roster
    }

    /// Tells the router the time, and of most processes that have ended.
    pub fn tick(&mut self, cables: &mut [Cable], now: u64, random: &mut Random, ledger: &mut Ledger) {
        if !self.router.needs_ticks() {
            return;
        }
        let before = self.present();
        for (node, member) in self.router.doubtful() {
            let ended = node.info.pid.is_some_and(|pid| !ledger.lives[pid as usize].alive);
            match member {
                Some(member) if ended && random.chance(70) => self.router.forsake(member, now),
                None if ended && random.chance(70) => self.router.process_ended(&node.info.id, node.identity, now),
                _ => {}
            }
        }
        self.router.tick(now);
        self.note_departures(before, ledger);
        self.wake(cables);
    }

    /// Who is there, and whether others may come of whom nobody knows.
    fn present(&self) -> (BTreeSet<String>, bool) {
        (self.router.present_ids(), self.router.awaits_anybody())
    }

    /// `before`: who was there.
    fn note_departures(&mut self, before: (BTreeSet<String>, bool), ledger: &mut Ledger) {
        self.router.leaving_early().iter().for_each(|id| ledger.leaves_early(id));
        let (there, awaits_anybody) = self.present();
        if before.1 && !awaits_anybody {
            ledger.given_up_but(&there);
        }
        before.0.difference(&there).for_each(|id| ledger.given_up(id));
        while let Some(event) = self.router.poll_event() {
            if let Event::Left(info, Departure::Cut | Departure::TimedOut) = &event {
                ledger.given_up(&info.id);
            }
            self.events.push_back(event);
        }
    }

    fn wake(&mut self, cables: &mut [Cable]) {
        for change in self.router.take_changes() {
            match change {
                Change::Joined(_, node) => drop(self.roster.insert((node.info.id.clone(), node.identity), node)),
                Change::Gone { id, identity } => drop(self.roster.remove(&(id, identity))),
            }
        }
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
    pub fn run_host(&mut self, cables: &mut [Cable], random: &mut Random, ledger: &mut Ledger) -> bool {
        let mut busy = false;
        while let Some(event) = self.events.pop_front().or_else(|| self.router.poll_event()) {
            busy = true;
            let Event::Rpc(call) = event else { continue };
            self.router.host_took(call.body.len());
            let number = body::read(&call.body);
            ledger.handled(self.number, number, &call.from, call.body.len());
            if call.caller.correlation != 0 {
                self.consider(call.caller, number, &call.method, random, ledger);
            }
        }
        self.wake(cables);
        busy
    }

    fn consider(&mut self, caller: Caller, number: usize, method: &str, random: &mut Random, ledger: &mut Ledger) {
        let ask = ledger.messages[number].ask.expect("a call that wants an answer is a question");
        match random.below(10) {
            0 if ledger.asks[ask].deadline.is_some() => ledger.asks[ask].ignored = true,
            1 => {
                ledger.asks[ask].refused = true;
                self.router.refuse_call(caller, method, Code::NoMethod, "no such method");
            }
            2..5 => self.owed.push((caller, ask)),
            _ => self.answer(caller, ask, random, ledger),
        }
    }

    /// The host's program answers one call it owes an answer.
    pub fn answer_owed(&mut self, cables: &mut [Cable], random: &mut Random, ledger: &mut Ledger) -> bool {
        let Some((caller, ask)) = self.owed.pop() else { return false };
        self.answer(caller, ask, random, ledger);
        self.wake(cables);
        true
    }

    fn answer(&mut self, caller: Caller, ask: usize, random: &mut Random, ledger: &mut Ledger) {
        let len = if random.chance(5) { 70_000 + random.below(200_000) } else { 12 + random.below(100) };
        let number = ledger.send(self.life, (kind::REPLY, "", ""), Some(ask));
        let reply = body::write(number, len);
        ledger.messages[number].len = reply.len();
        let poisoned = self.poisons && random.chance(10);
        if poisoned {
            ledger.poisoned(number);
        }
        self.router.answer(caller, if poisoned { POISON } else { Encoding::Json }, Bytes::from(reply));
    }
}

fn at_key(cables: &mut [Cable], key: LinkKey) -> &mut Cable {
    let cable = cables.iter_mut().find(|cable| cable.at_bridge && cable.key == key);
    cable.expect("the router names links it has")
}
