//! Everything together: one bridge, many nodes, their cables, and a clock that nobody waits for.

use super::bridge::Bridge;
use super::cable::Cable;
use super::ledger::Ledger;
use super::legacy::Legacy;
use super::native::Native;
use super::random::Random;
use crate::bridge::router::Limits;
use crate::node::client::Phase;
use crate::wire::frame::kind;

const EVENTS: [&str; 6] = ["a", "b", "n1", "news", "node:join", "node:leave"];
/// Events that programs send; presence is the bridge's.
const SENT: usize = 4;

/// One process.
#[derive(Debug)]
struct Process {
    id: String,
    cable: Option<usize>,
    /// It reads nothing for now.
    stalled: bool,
    speaks: Speaks,
}

#[derive(Debug)]
enum Speaks {
    Native(Box<Native>),
    Legacy(Legacy),
}

/// The whole simulation.
#[derive(Debug)]
pub struct World {
    random: Random,
    now: u64,
    limits: Limits,
    bridge: Bridge,
    cables: Vec<Cable>,
    processes: Vec<Process>,
    ledger: Ledger,
    /// How troubled the run is: links break, nodes stall.
    troubled: bool,
}

impl World {
    /// A bus of a few nodes, all of it chosen by `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let max_pending = *random.pick(&[16 << 10, 100 << 10, 4 << 20]);
        let limits = Limits { max_message: 400_000, max_pending, ..Limits::default() };
        let count = 2 + random.below(5);
        let legacies = random.below(3);
        let processes = (0..count).map(|number| {
            let id = format!("n{number}");
            let speaks = if number + 1 < count && number < legacies {
                Speaks::Legacy(Legacy::new(&id))
            } else {
                Speaks::Native(Box::new(Native::new(&id, random.any(), 440_000)))
            };
            Process { id, cable: None, stalled: false, speaks }
        });
        let processes = processes.collect();
        let ledger = Ledger::new(limits.max_message);
        let (bridge, troubled) = (Bridge::new(limits), random.chance(70));
        Self { random, now: 0, limits, bridge, cables: Vec::new(), processes, ledger, troubled }
    }

    /// A whole life of the bus, from the first node to the last.
    pub fn run(&mut self) {
        for _ in 0..80 + self.random.below(220) {
            self.step();
        }
        self.finish();
    }

    fn step(&mut self) {
        let at = self.random.below(self.processes.len());
        match self.random.below(100) {
            0..35 => self.act(at),
            35..65 => self.carry(),
            65..75 => self.run_host(),
            75..90 => {
                for _ in 0..4 {
                    self.carry();
                }
            }
            90..96 => self.pass_time(),
            _ if self.troubled => self.trouble(at),
            _ => self.reconnect(at),
        }
        self.check_bounds();
    }

    // ---- bytes --------------------------------------------------------------------------------------------------

    /// Some bytes move, somewhere.
    fn carry(&mut self) {
        if self.cables.is_empty() {
            return;
        }
        // The latest connections are the ones that are in use.
        let recent = self.cables.len().min(self.processes.len() * 2);
        let at = self.cables.len() - 1 - self.random.below(recent);
        let most = self.random.portion();
        match self.random.below(4) {
            0 => self.bridge.read(&mut self.cables, at, most, self.now, &mut self.ledger),
            1 => self.bridge.write(&mut self.cables, at, most, self.now, &mut self.ledger),
            direction => self.process_io(at, direction == 2, most),
        };
    }

    /// The node at the end of cable `at` reads or writes.
    fn process_io(&mut self, at: usize, reads: bool, most: usize) -> bool {
        let Some(process) = self.processes.iter_mut().find(|process| process.cable == Some(at)) else { return false };
        let cable = &mut self.cables[at];
        if !reads {
            return match &mut process.speaks {
                Speaks::Native(native) => native.write(cable, most),
                Speaks::Legacy(legacy) => legacy.write(cable, most),
            };
        }
        if process.stalled {
            return false;
        }
        if cable.down.len() == 0 && cable.down.ended {
            process.lose(cable, &mut self.ledger);
            return true;
        }
        match &mut process.speaks {
            Speaks::Native(native) => native.read(cable, most, &mut self.random, &mut self.ledger, self.now),
            Speaks::Legacy(legacy) => legacy.read(cable, most, &mut self.random, &mut self.ledger),
        }
    }

    fn run_host(&mut self) {
        if self.random.chance(40) {
            self.bridge.answer_owed(&mut self.cables, &mut self.random, self.now, &mut self.ledger);
        }
        self.bridge.run_host(&mut self.cables, &mut self.random, self.now, &mut self.ledger);
    }

    // ---- programs -----------------------------------------------------------------------------------------------

    fn act(&mut self, at: usize) {
        let Some(cable) = self.processes[at].cable else { return self.reconnect(at) };
        for _ in 0..1 + self.random.below(6) {
            let other = self.random.below(self.processes.len() + 1);
            // One of them is nobody.
            let to = self.processes.get(other).map_or("nobody".to_owned(), |process| process.id.clone());
            let event = EVENTS[self.random.below(SENT)];
            let what = self.random.below(100);
            let cable = &mut self.cables[cable];
            match &mut self.processes[at].speaks {
                Speaks::Native(native) => {
                    let cable = Some(cable);
                    let (random, ledger) = (&mut self.random, &mut self.ledger);
                    let ask = match random.below(10) {
                        0 => Some(0),
                        1..6 => Some(10 + random.below(3_000) as u32),
                        _ => None,
                    };
                    match what {
                        0..45 => native.send(cable, (kind::MESSAGE, &to, event), ask, random, (ledger, self.now)),
                        45..60 => native.send(cable, (kind::BROADCAST, "", event), None, random, (ledger, self.now)),
                        60..70 => native.send(cable, (kind::RPC, "", event), ask, random, (ledger, self.now)),
                        70..74 => native.send(cable, (kind::ROSTER, "", ""), Some(0), random, (ledger, self.now)),
                        74..78 => native.cancel(random, ledger),
                        78..88 => native.listen(cable, EVENTS[random.below(EVENTS.len())]),
                        _ => {
                            native.answer_owed(cable, random, ledger);
                        }
                    }
                }
                Speaks::Legacy(legacy) => {
                    let (random, ledger) = (&mut self.random, &mut self.ledger);
                    match what {
                        0..45 => legacy.send(cable, (kind::MESSAGE, &to, event), random, ledger),
                        45..65 => legacy.send(cable, (kind::BROADCAST, "", event), random, ledger),
                        65..75 => legacy.send(cable, (kind::RPC, "", event), random, ledger),
                        75..80 => legacy.ping(cable),
                        _ => {
                            legacy.answer_owed(cable, random, ledger);
                        }
                    }
                }
            }
        }
    }

    /// A node without a link gets one, perhaps as a new process, perhaps with something to say already.
    fn reconnect(&mut self, at: usize) {
        let process = &mut self.processes[at];
        if process.cable.is_some() {
            return;
        }
        if let Speaks::Native(native) = &mut process.speaks {
            if native.has_left || self.random.chance(30) {
                native.die(&mut self.ledger);
                **native = Native::new(&process.id, self.random.any(), 440_000);
            }
            if self.random.chance(50) {
                native.listen(None, EVENTS[self.random.below(EVENTS.len())]);
                let what = (kind::MESSAGE, "n0", EVENTS[0]);
                native.send(None, what, Some(500), &mut self.random, (&mut self.ledger, self.now));
            }
        }
        let native = matches!(process.speaks, Speaks::Native(_));
        let epoch = self.ledger.open_stay(&process.id, native);
        let mut cable = Cable::new(self.bridge.accept(self.now), epoch);
        match &mut process.speaks {
            Speaks::Native(native) => native.connect(&mut cable),
            Speaks::Legacy(legacy) => legacy.connect(&mut cable),
        }
        process.cable = Some(self.cables.len());
        self.cables.push(cable);
    }

    // ---- trouble ------------------------------------------------------------------------------------------------

    fn trouble(&mut self, at: usize) {
        match self.random.below(10) {
            0..3 => self.break_link(at),
            3..5 => self.leave(at),
            5..7 => self.processes[at].stalled = true,
            _ => self.processes.iter_mut().for_each(|process| process.stalled = false),
        }
    }

    /// The node's end is gone; what it had written arrives in part.
    fn break_link(&mut self, at: usize) {
        let Some(number) = self.processes[at].cable else { return };
        let cable = &mut self.cables[number];
        let kept = self.random.below(cable.up.len() + 1);
        cable.up.cut(kept);
        self.processes[at].lose(cable, &mut self.ledger);
    }

    fn leave(&mut self, at: usize) {
        let Some(number) = self.processes[at].cable else { return };
        match &mut self.processes[at].speaks {
            Speaks::Native(native) => native.leave(),
            Speaks::Legacy(legacy) => legacy.leave(&mut self.cables[number]),
        }
    }

    fn pass_time(&mut self) {
        self.now += if self.random.chance(10) { 4_000 } else { self.random.below(20) as u64 };
        self.tell_time();
    }

    fn tell_time(&mut self) {
        self.bridge.tick(&mut self.cables, self.now, &mut self.ledger);
        for process in &mut self.processes {
            if let Speaks::Native(native) = &mut process.speaks {
                let cable = process.cable.map(|at| &mut self.cables[at]);
                native.handle_timeout(cable, self.now, &mut self.random, &mut self.ledger);
            }
        }
    }

    /// No queue grows beyond its bound, by more than the reads that were under way when it became full.
    fn check_bounds(&mut self) {
        let reads = (self.processes.len() + 2) * 512 * 1024;
        for cable in self.cables.iter().filter(|cable| cable.at_bridge) {
            let waits = self.bridge.router.link(cable.key).out.len();
            assert!(waits <= self.limits.max_pending + reads, "{waits} bytes wait for one peer");
        }
    }

    // ---- the end ------------------------------------------------------------------------------------------------

    /// Everyone listens and answers until all is quiet; then everyone goes.
    fn finish(&mut self) {
        self.processes.iter_mut().for_each(|process| process.stalled = false);
        self.settle();
        while self.processes.iter().any(|process| process.cable.is_none()) {
            (0..self.processes.len()).for_each(|at| self.reconnect(at));
            self.settle();
        }
        self.ledger.check_delivered();
        self.check_nothing_pending();
        self.now += 100_000;
        self.tell_time();
        self.settle();
        self.ledger.check_settled();
        for at in 0..self.processes.len() {
            if self.random.chance(50) { self.leave(at) } else { self.break_link(at) }
        }
        self.settle();
        for at in 0..self.processes.len() {
            self.break_link(at);
        }
        self.settle();
        let _calls_of_the_dead = std::mem::take(&mut self.bridge.owed);
        assert_eq!(self.bridge.router.leftovers(), []);
    }

    fn check_nothing_pending(&self) {
        for process in &self.processes {
            let Speaks::Native(native) = &process.speaks else { continue };
            if native.client.phase() == Phase::Online {
                assert_eq!(native.client.pending(), 0, "{} has something unsettled", process.id);
                assert_eq!((native.client.need_drain(), native.unsettled()), (false, 0), "{}", process.id);
            }
        }
        for cable in self.cables.iter().filter(|cable| cable.at_bridge && cable.at_node) {
            assert!(cable.said.is_empty() && cable.up.len() == 0, "the bridge does not listen: {cable:?}");
        }
    }

    /// Bytes move until none are left, and nobody owes an answer.
    fn settle(&mut self) {
        for _ in 0..100_000 {
            let mut busy = false;
            for at in 0..self.cables.len() {
                if !self.cables[at].at_bridge && !self.cables[at].at_node {
                    continue;
                }
                busy |= self.process_io(at, false, usize::MAX);
                busy |= self.bridge.read(&mut self.cables, at, usize::MAX, self.now, &mut self.ledger);
                busy |= self.bridge.write(&mut self.cables, at, usize::MAX, self.now, &mut self.ledger);
                busy |= self.process_io(at, true, usize::MAX);
            }
            busy |= self.bridge.run_host(&mut self.cables, &mut self.random, self.now, &mut self.ledger);
            busy |= self.bridge.answer_owed(&mut self.cables, &mut self.random, self.now, &mut self.ledger);
            busy |= self.answer_all();
            if !busy {
                return;
            }
        }
        panic!("it never becomes quiet");
    }

    fn answer_all(&mut self) -> bool {
        let mut busy = false;
        for process in &mut self.processes {
            let Some(at) = process.cable else { continue };
            let cable = &mut self.cables[at];
            busy |= match &mut process.speaks {
                Speaks::Native(native) => native.answer_owed(Some(cable), &mut self.random, &mut self.ledger),
                Speaks::Legacy(legacy) => legacy.answer_owed(cable, &mut self.random, &mut self.ledger),
            };
        }
        busy
    }
}

impl Process {
    fn lose(&mut self, cable: &mut Cable, ledger: &mut Ledger) {
        self.cable = None;
        match &mut self.speaks {
            Speaks::Native(native) => native.lose(cable, ledger),
            Speaks::Legacy(legacy) => legacy.lose(cable, ledger),
        }
    }
}
