//! Everything together: bridges that come and go, many nodes, their cables, and a clock that nobody waits for.

use super::bridge::{Bridge, Roster};
use super::cable::Cable;
use super::censor::{Censor, Picky};
use super::lane::Memory;
use super::ledger::Ledger;
use super::legacy::Legacy;
use super::native::{Malformed, Native, PRESENCE};
use super::random::Random;
use crate::bridge::router::Limits;
use crate::wire::frame::kind;

const EVENTS: [&str; 5] = ["a", "b", "n1", "news", PRESENCE];
/// Events that programs broadcast; presence is the bridge's.
const SENT: usize = 4;

/// One process.
#[derive(Debug)]
struct Process {
    id: String,
    cable: Option<usize>,
    /// It reads nothing for now.
    stalled: bool,
    /// Until then it does not come back.
    absent_until: u64,
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
    bridge: Option<Bridge>,
    bridges: usize,
    /// What the bridge before has noted.
    roster: Option<Roster>,
    /// Whether bridges note who is there, as on a Unix socket.
    noted: bool,
    cables: Vec<Cable>,
    processes: Vec<Process>,
    ledger: Ledger,
    memory: Memory,
    /// Who finds fault with some messages.
    picky: Picky,
    /// How troubled the run is: links break, nodes stall, bridges die.
    troubled: bool,
    /// Whether nodes are away for longer than any bridge waits for them, and bridges follow each other fast.
    absences: bool,
}

impl World {
    /// A bus of a few nodes, all of it chosen by `seed`.
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let max_pending = *random.pick(&[16 << 10, 100 << 10, 4 << 20]);
        let limits = Limits { max_message: 400_000, max_pending, ..Limits::default() };
        // By another die, so that all else in a run is as it was without.
        let mut die = Random::new(!seed);
        let picky = match (die.chance(15), die.chance(15)) {
            (true, _) => Picky::Bridges,
            (_, true) => Picky::Nodes,
            _ => Picky::Nobody,
        };
        let mut ledger = Ledger::new(limits.max_message, picky);
        // Two nodes say enough to each other to share memory, if there are few others.
        let bulky = random.chance(20);
        let count = 2 + random.below(if bulky { 2 } else { 5 });
        let legacies = if random.chance(40) { random.below(3) } else { 0 };
        // Those of the original's wire would be told of what nodes reject in a way of their own.
        let legacies = if picky == Picky::Nodes { 0 } else { legacies };
        let (mut processes, memory) = (Vec::new(), Memory::new(bulky));
        for number in 0..count {
            let id = format!("n{number}");
            let speaks = if number + 1 < count && number < legacies {
                Speaks::Legacy(Legacy::new(&id))
            } else {
                Speaks::Native(Box::new(Native::new(&id, &memory, &mut random, &mut ledger)))
            };
            processes.push(Process { id, cable: None, stalled: false, absent_until: 0, speaks });
        }
        let (cables, troubled) = (Vec::new(), random.chance(80));
        let absences = troubled && random.chance(40);
        let (roster, noted) = (None, random.chance(70));
        let mut bridge = Bridge::new(limits, 1, 0, None, &mut ledger);
        bridge.poisons = picky == Picky::Nodes;
        let bridge = Some(bridge);
        Self {
            random,
            now: 0,
            limits,
            bridge,
            bridges: 1,
            roster,
            noted,
            cables,
            processes,
            ledger,
            memory,
            picky,
            troubled,
            absences,
        }
    }

    /// A whole life of the bus, from the first node to the last.
    pub fn run(&mut self) {
        let most = if self.memory.bulky() { 900 } else { 220 };
        let least = if self.absences { 300 } else { 80 };
        for _ in 0..least + self.random.below(most) {
            self.step();
        }
        self.finish();
    }

    fn step(&mut self) {
        let at = self.random.below(self.processes.len());
        match self.random.below(100) {
            0..35 => self.act(at),
            35..65 => self.carry(),
            65..75 => drop(self.run_host()),
            75..90 => {
                for _ in 0..4 {
                    self.carry();
                }
            }
            90..95 => self.pass_time(),
            _ if self.troubled => self.trouble(at),
            _ => self.reconnect(at),
        }
        self.look_at_interests();
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
        let whole = self.memory.bulky() && self.random.chance(50);
        let most = if whole { usize::MAX } else { self.random.portion() };
        match self.random.below(4) {
            direction @ (0 | 1) => self.bridge_io(at, direction == 0, most),
            direction => self.process_io(at, direction == 2, most),
        };
    }

    fn bridge_io(&mut self, at: usize, reads: bool, most: usize) -> bool {
        let Some(bridge) = &mut self.bridge else { return false };
        if reads {
            bridge.read(&mut self.cables, at, most, self.now, &mut self.ledger)
        } else {
            bridge.write(&mut self.cables, at, most, self.now)
        }
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
            Speaks::Native(native) => {
                let read = native.read(cable, most, &mut self.random, &mut self.ledger, self.now);
                read.unwrap_or_else(|Malformed| {
                    cable.up.ended = true;
                    process.lose(cable, &mut self.ledger);
                    true
                })
            }
            Speaks::Legacy(legacy) => legacy.read(cable, most, &mut self.random, &mut self.ledger),
        }
    }

    fn run_host(&mut self) -> bool {
        let Some(bridge) = &mut self.bridge else { return false };
        let answered =
            self.random.chance(40) && bridge.answer_owed(&mut self.cables, &mut self.random, &mut self.ledger);
        bridge.run_host(&mut self.cables, &mut self.random, &mut self.ledger) || answered
    }

    // ---- programs -----------------------------------------------------------------------------------------------

    fn act(&mut self, at: usize) {
        if self.processes[at].cable.is_none() && self.random.chance(70) {
            return self.reconnect(at);
        }
        for _ in 0..1 + self.random.below(6) {
            let other = self.random.below(self.processes.len() + 1);
            // One of them is nobody.
            let to = self.processes.get(other).map_or("nobody".to_owned(), |process| process.id.clone());
            let event = EVENTS[self.random.below(SENT)];
            let what = self.random.below(100);
            let own = format!("e{}", self.ledger.messages.len());
            let (random, ledger) = (&mut self.random, &mut self.ledger);
            let connected = self.processes[at].cable.is_some();
            match &mut self.processes[at].speaks {
                Speaks::Native(native) => {
                    let ask = match random.below(10) {
                        0 => Some(0),
                        1..6 => Some(10 + random.below(3_000) as u32),
                        _ => None,
                    };
                    // Bridges forward a stream of messages that are alike in another way than single ones.
                    let times = if random.chance(20) { 2 + random.below(8) } else { 1 };
                    match what {
                        0..45 => (0..times).for_each(|_| {
                            native.send((kind::MESSAGE, &to, &own), ask, random, (&mut *ledger, self.now));
                        }),
                        45..60 => (0..times).for_each(|_| {
                            native.send((kind::BROADCAST, "", event), None, random, (&mut *ledger, self.now));
                        }),
                        60..70 => native.send((kind::RPC, "", &own), ask, random, (ledger, self.now)),
                        70..74 => native.send((kind::ROSTER, "", ""), Some(0), random, (ledger, self.now)),
                        74..78 => native.cancel(random, ledger),
                        78..88 => native.listen(EVENTS[random.below(EVENTS.len())], ledger),
                        88..90 => native.pause(),
                        90..93 => drop(native.resume(random.below(4), random, ledger)),
                        _ => {
                            native.answer_owed(random, ledger);
                        }
                    }
                }
                Speaks::Legacy(legacy) if connected => match what {
                    0..45 => legacy.send((kind::MESSAGE, &to, &own), random, ledger),
                    45..65 => legacy.send((kind::BROADCAST, "", event), random, ledger),
                    65..75 => legacy.send((kind::RPC, "", &own), random, ledger),
                    75..80 => legacy.ping(),
                    _ => {
                        legacy.answer_owed(random, ledger);
                    }
                },
                Speaks::Legacy(_) => {}
            }
        }
    }

    /// A node without a link gets one, perhaps as a new process.
    fn reconnect(&mut self, at: usize) {
        let Some(bridge) = &mut self.bridge else { return };
        let process = &mut self.processes[at];
        if process.cable.is_some() || (self.troubled && self.now < process.absent_until) {
            return;
        }
        if let Speaks::Native(native) = &mut process.speaks
            && (native.has_left || (self.troubled && self.random.chance(15)))
        {
            native.die(&mut self.ledger);
            **native = Native::new(&process.id, &self.memory, &mut self.random, &mut self.ledger);
        }
        let mut cable = Cable::new(bridge.accept(self.now));
        match &mut process.speaks {
            Speaks::Native(native) => {
                native.picky = self.picky;
                cable.up.censor = (self.picky == Picky::Bridges).then(Censor::new);
                cable.down.censor = (self.picky == Picky::Nodes).then(Censor::new);
                native.connect();
            }
            Speaks::Legacy(legacy) => legacy.connect(&mut self.ledger),
        }
        process.cable = Some(self.cables.len());
        self.cables.push(cable);
    }

    /// What bridges know of the nodes' interests: only that is sure to be served.
    fn look_at_interests(&mut self) {
        let Some(bridge) = &mut self.bridge else { return };
        for process in &self.processes {
            let Speaks::Native(native) = &process.speaks else { continue };
            // On a link that is rejected it is not heard any more.
            let heard = process.cable.is_some_and(|at| {
                let cable = &self.cables[at];
                cable.at_bridge && cable.up.len() == 0 && !bridge.router.link(cable.key).closing
            });
            if self.ledger.lives[native.life].online && heard && native.client.has_told_its_interests() {
                let interests = bridge.router.interests_of(&process.id);
                // It can only miss who it was told of.
                let told = process.cable.is_some_and(|at| {
                    self.cables[at].down.len() == 0 && bridge.router.link(self.cables[at].key).out.is_empty()
                });
                let listens = interests.iter().any(|event| event == "node:leave") && native.listens.contains(PRESENCE);
                if told && listens {
                    self.ledger.watches_presence(native.life, &bridge.router.present_ids());
                }
                self.ledger.bridge_knows(native.life, &interests);
            }
        }
    }

    // ---- trouble ------------------------------------------------------------------------------------------------

    fn trouble(&mut self, at: usize) {
        if self.absences && self.random.chance(40) {
            match self.random.below(4) {
                0 => return self.die(at),
                1 => {
                    self.processes[at].absent_until = self.now + self.random.below(25_000) as u64;
                    return self.break_link(at);
                }
                2 => return self.kill_bridge(),
                _ => {
                    self.now += 1_000 + self.random.below(7_000) as u64;
                    return self.tell_time();
                }
            }
        }
        match self.random.below(12) {
            0..3 => self.break_link(at),
            3..4 => self.leave(at),
            4..6 => self.processes[at].stalled = true,
            6..9 => self.processes.iter_mut().for_each(|process| process.stalled = false),
            9 => self.hand_over(),
            _ => self.kill_bridge(),
        }
    }

    fn kill_bridge(&mut self) {
        match self.bridge.take() {
            Some(bridge) => {
                self.roster = Some(bridge.die(&mut self.cables)).filter(|_| self.noted);
                // Whether they know it or not.
                self.ledger.lives.iter_mut().for_each(|life| life.online = false);
            }
            None => self.start_bridge(),
        }
    }

    fn start_bridge(&mut self) {
        self.bridges += 1;
        let before = self.roster.take();
        let mut bridge = Bridge::new(self.limits, self.bridges, self.now, before, &mut self.ledger);
        bridge.poisons = self.picky == Picky::Nodes;
        self.bridge = Some(bridge);
    }

    /// The bridge ends in peace: it says what it has to say, to those who read it, and is gone.
    fn hand_over(&mut self) {
        let Some(bridge) = &mut self.bridge else { return };
        bridge.router.hand_over();
        for at in 0..self.cables.len() {
            for _ in 0..20 {
                self.bridge_io(at, false, usize::MAX);
                self.process_io(at, true, usize::MAX);
            }
        }
        self.kill_bridge();
    }

    /// The node's end is gone; what it had written arrives in part.
    fn break_link(&mut self, at: usize) {
        let Some(number) = self.processes[at].cable else { return };
        let cable = &mut self.cables[number];
        let kept = self.random.below(cable.up.len() + 1);
        cable.up.cut(kept);
        self.processes[at].lose(cable, &mut self.ledger);
    }

    /// A process is killed, and another starts with its id.
    fn die(&mut self, at: usize) {
        self.break_link(at);
        if let Speaks::Native(native) = &mut self.processes[at].speaks {
            native.die(&mut self.ledger);
            **native = Native::new(&format!("n{at}"), &self.memory, &mut self.random, &mut self.ledger);
        }
    }

    fn leave(&mut self, at: usize) {
        if self.processes[at].cable.is_none() {
            return;
        }
        match &mut self.processes[at].speaks {
            Speaks::Native(native) => native.leave(&mut self.ledger),
            Speaks::Legacy(legacy) => legacy.leave(),
        }
    }

    fn pass_time(&mut self) {
        self.now += if self.random.chance(10) { 4_000 } else { self.random.below(20) as u64 };
        self.tell_time();
    }

    fn tell_time(&mut self) {
        if let Some(bridge) = &mut self.bridge {
            bridge.tick(&mut self.cables, self.now, &mut self.random, &mut self.ledger);
        }
        for process in &mut self.processes {
            if let Speaks::Native(native) = &mut process.speaks {
                native.handle_timeout(self.now, &mut self.random, &mut self.ledger);
            }
        }
    }

    /// No queue grows beyond its bound, by more than the reads that were under way when it became full.
    fn check_bounds(&mut self) {
        for process in &self.processes {
            if let Speaks::Native(native) = &process.speaks {
                assert_eq!(native.client.over_window(), None, "{}", process.id);
                assert!(!native.client.drain_is_overdue(), "{} waits for a 'drain' that is due", process.id);
            }
        }
        let Some(bridge) = &mut self.bridge else { return };
        let reads = (self.processes.len() + 2) * 512 * 1024;
        for cable in self.cables.iter().filter(|cable| cable.at_bridge) {
            let waits = bridge.router.link(cable.key).out.len();
            assert!(waits <= self.limits.max_pending + reads, "{waits} bytes wait for one peer");
        }
    }

    // ---- the end ------------------------------------------------------------------------------------------------

    /// Everyone listens and answers until all is quiet; then everyone goes.
    fn finish(&mut self) {
        self.processes.iter_mut().for_each(|process| process.stalled = false);
        if self.bridge.is_none() {
            self.start_bridge();
        }
        self.settle();
        self.troubled = false;
        for _ in 0..3 {
            self.reconnect_all();
            // Whoever is awaited is here, or nobody awaits him any longer.
            self.now += 6_000;
            self.tell_time();
            self.settle();
        }
        self.reconnect_all();
        self.ledger.check_delivered();
        self.check_at_rest();
        self.now += 100_000;
        self.tell_time();
        self.settle();
        self.ledger.check_settled();
        self.check_at_rest();
        self.end();
    }

    /// Everyone has a link, and keeps it: what bridges reject is not said for ever.
    fn reconnect_all(&mut self) {
        for _ in 0..1_000 {
            (0..self.processes.len()).for_each(|at| self.reconnect(at));
            self.settle();
            if self.processes.iter().all(|process| process.cable.is_some()) {
                return;
            }
        }
        let alone = self.processes.iter().filter(|process| process.cable.is_none());
        panic!("links are rejected each time: {:?}", alone.map(|process| &process.id).collect::<Vec<_>>());
    }

    fn end(&mut self) {
        for at in 0..self.processes.len() {
            if self.random.chance(50) { self.leave(at) } else { self.break_link(at) }
        }
        self.settle();
        for at in 0..self.processes.len() {
            self.break_link(at);
        }
        self.settle();
        for _ in 0..2 {
            self.now += 20_000;
            self.tell_time();
            self.settle();
        }
        let bridge = self.bridge.as_mut().expect("it was started");
        assert_eq!(bridge.router.leftovers(), []);
    }

    fn check_at_rest(&self) {
        for cable in self.cables.iter().filter(|cable| cable.at_bridge && cable.at_node) {
            assert_eq!(cable.up.len(), 0, "the bridge does not listen: {cable:?}");
        }
        for process in &self.processes {
            if let Speaks::Native(native) = &process.speaks {
                native.check_at_rest(self.bridge.as_ref().expect("it was started"));
                native.check_at_work(&self.ledger);
            }
        }
        for cable in self.cables.iter().filter(|cable| cable.at_bridge && cable.at_node) {
            assert_eq!(cable.up.len(), 0, "the bridge does not listen: {cable:?}");
        }
    }

    /// Bytes move until none are left, nobody has paused, and nobody owes an answer.
    fn settle(&mut self) {
        for _ in 0..20_000 {
            let mut busy = false;
            for at in 0..self.cables.len() {
                if !self.cables[at].at_bridge && !self.cables[at].at_node {
                    continue;
                }
                busy |= self.process_io(at, false, usize::MAX);
                busy |= self.bridge_io(at, true, usize::MAX);
                busy |= self.bridge_io(at, false, usize::MAX);
                busy |= self.process_io(at, true, usize::MAX);
            }
            if let Some(bridge) = &mut self.bridge {
                busy |= bridge.run_host(&mut self.cables, &mut self.random, &mut self.ledger);
                busy |= bridge.answer_owed(&mut self.cables, &mut self.random, &mut self.ledger);
            }
            busy |= self.answer_all();
            if !busy {
                return;
            }
        }
        let natives = self.processes.iter().filter_map(|process| match &process.speaks {
            Speaks::Native(native) => Some((&process.id, native.client.unsettled())),
            Speaks::Legacy(_) => None,
        });
        panic!("it never becomes quiet: {:#?}", natives.collect::<Vec<_>>());
    }

    fn answer_all(&mut self) -> bool {
        let mut busy = false;
        for process in self.processes.iter_mut().filter(|process| process.cable.is_some()) {
            busy |= match &mut process.speaks {
                Speaks::Native(native) => {
                    let resumed = native.resume(usize::MAX, &mut self.random, &mut self.ledger);
                    native.answer_owed(&mut self.random, &mut self.ledger) || resumed
                }
                Speaks::Legacy(legacy) => legacy.answer_owed(&mut self.random, &mut self.ledger),
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
