//! A node of the simulation that speaks our wire: a client, driven as the binding drives it, and a program.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io::IoSlice;

use super::body;
use super::bridge::Bridge;
use super::cable::Cable;
use super::censor::{POISON, Picky};
use super::lane::Memory;
use super::ledger::Ledger;
use super::presence::Presence;
use super::random::Random;
use crate::error::Code;
use crate::node::client::{Client, Config, Phase};
use crate::node::event::{Delivery, Event};
use crate::node::sending::Letter;
use crate::outqueue::MAX_SLICES;
use crate::wire::frame::{Encoding, kind};

/// What a program remembers of a delivery that wants an answer.
#[derive(Debug)]
struct Owed {
    to: String,
    correlation: u32,
    ask: usize,
}

/// What a program has put aside.
#[derive(Debug)]
enum PutAside {
    /// Message `number` of `from` in that session, with so many bytes; and under which number an answer is wanted.
    Message {
        number: usize,
        from: (String, u64),
        event: String,
        len: usize,
        correlation: u32,
    },
    Presence {
        event: String,
        text: String,
    },
    /// Nobody waits for that answer any more: it is of no use to have been told before the question is taken.
    Cancelled {
        from: String,
        session: u64,
        correlation: u32,
    },
    Departed {
        node: String,
        session: u64,
    },
    /// There was another link; whether all was kept.
    Online {
        kept: bool,
    },
}

/// Something that came on a link is not the protocol.
#[derive(Debug)]
pub struct Malformed;

/// The node.
#[derive(Debug)]
pub struct Native {
    pub client: Client,
    pub life: usize,
    names: HashMap<u16, (String, u64)>,
    asks: HashMap<u32, usize>,
    owed: Vec<Owed>,
    /// Questions that it has heard, not answered, and not been told to drop: by asker, session and correlation.
    at_work: BTreeMap<(String, u64, u32), usize>,
    /// Whoever asked before that many messages were said was told that this node is gone, and says no more of it: what
    /// waited here behind a large message comes all the same.
    given_up_before: usize,
    /// What came while it had paused, in order.
    aside: VecDeque<PutAside>,
    pub listens: BTreeSet<String>,
    presence: Presence,
    pub has_left: bool,
    now: u64,
    /// Who rejects some of what it says.
    pub picky: Picky,
    /// Whether much of what it says is large.
    bulky: bool,
    /// Where that lies, and the number of its process there.
    memory: Memory,
    number: u64,
}

/// What a program listens for to learn who comes and goes.
pub const PRESENCE: &str = "presence";

/// Bytes of one message that nodes take: more than bridges do.
const MAX_MESSAGE: u64 = 440_000;

impl Native {
    /// A process that starts.
    pub fn new(id: &str, memory: &Memory, random: &mut Random, ledger: &mut Ledger) -> Self {
        let (session, secret) = (random.any() | 1, random.any());
        // Some keep little: behind a large message, too much waits soon.
        let max_pending = if random.chance(15) { 300_000 } else { 8 << 20 };
        let (names, asks, owed, at_work, given_up_before, aside, listens, presence, has_left) = Default::default();
        let life = ledger.begin(id, true);
        let (id, pid, now) = (id.to_owned(), life as u32, 0);
        let (namespace, max_message, replaces) = (1, MAX_MESSAGE, false);
        let config = Config { id, session, secret, pid, namespace, max_message, max_pending, replaces };
        let mut client = Client::new(config);
        let (number, bulky, memory) = (random.any(), memory.bulky(), memory.clone());
        if random.chance(80) {
            client.use_lane(Box::new(memory.lane(number, random.chance(90))));
        }
        Self {
            client,
            life,
            names,
            asks,
            owed,
            at_work,
            given_up_before,
            aside,
            listens,
            presence,
            has_left,
            now,
            picky: Picky::Nobody,
            bulky,
            memory,
            number,
        }
    }

    // ---- the link -----------------------------------------------------------------------------------------------

    /// A connection is made.
    pub fn connect(&mut self) {
        self.names.clear();
        self.client.connected();
    }

    /// The connection is gone.
    pub fn lose(&mut self, cable: &mut Cable, ledger: &mut Ledger) {
        cable.at_node = false;
        ledger.lives[self.life].online = false;
        self.client.disconnected();
        self.drain_events(&mut Random::new(0), ledger);
    }

    /// Writes at most `most` bytes.
    pub fn write(&mut self, cable: &mut Cable, most: usize) -> bool {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = self.client.transmit(&mut slices);
        let written = cable.up.write(&slices[..count], most);
        self.client.written(written);
        written > 0
    }

    /// Reads at most `most` bytes; returns whether anything came. What is malformed ends the link, behind a word to the bridge.
    pub fn read(
        &mut self,
        cable: &mut Cable,
        most: usize,
        random: &mut Random,
        ledger: &mut Ledger,
        now: u64,
    ) -> Result<bool, Malformed> {
        self.now = now;
        let input = cable.down.read(most);
        if input.is_empty() {
            return Ok(false);
        }
        let mut frames = self.client.frames(input).expect("the bridge speaks the protocol");
        while let Some(frame) = frames.next() {
            let event = self.client.handle_frame(&frame);
            self.drain_events(random, ledger);
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    assert!(cable.down.censor.is_some(), "the bridge speaks the protocol: {error:?}");
                    while self.write(cable, usize::MAX) {}
                    return Err(Malformed);
                }
            };
            if let Some(event) = event {
                if let Event::Delivery(delivery) = &event {
                    self.client.note_delivery(delivery.from);
                }
                self.hear(event, random, ledger);
            }
        }
        Ok(true)
    }

    fn drain_events(&mut self, random: &mut Random, ledger: &mut Ledger) {
        while let Some(event) = self.client.poll_event() {
            self.hear(event, random, ledger);
        }
    }

    // ---- the program: hearing -----------------------------------------------------------------------------------

    fn hear(&mut self, event: Event<'_>, random: &mut Random, ledger: &mut Ledger) {
        match event {
            Event::Name { slot, name, session } => {
                self.names.insert(slot, (name.to_string(), session.unwrap_or(0)));
            }
            Event::Online(welcome) => {
                ledger.welcomed(self.life, welcome.kept);
                if !welcome.kept {
                    self.given_up_before = ledger.messages.len();
                }
                self.watch_askers(welcome.kept);
                self.put_aside_if_paused(PutAside::Online { kept: welcome.kept });
            }
            Event::Cancelled { from, session, correlation, .. } => {
                let from = from.to_string();
                self.at_work.remove(&(from.clone(), session, correlation));
                self.put_aside_if_paused(PutAside::Cancelled { from, session, correlation });
            }
            Event::Departed { node, session } => {
                self.asker_gone(&node, session);
                self.put_aside_if_paused(PutAside::Departed { node: node.to_string(), session });
            }
            Event::Delivery(Delivery { from: 0, event, body, .. }) => {
                let text = String::from_utf8(body.bytes().to_vec()).expect("JSON is UTF-8");
                let event = self.names[&event].0.clone();
                self.put_aside_or_take(PutAside::Presence { event, text }, random, ledger);
            }
            Event::Delivery(Delivery { from, event, correlation, body, .. }) => {
                let (from, event, bytes) = (self.names[&from].clone(), self.names[&event].0.clone(), body.bytes());
                let (number, len) = (body::read(bytes), bytes.len());
                let came = PutAside::Message { number, from, event, len, correlation };
                self.put_aside_or_take(came, random, ledger);
            }
            Event::Reply { correlation, body, .. } => self.replied(correlation, body.bytes(), ledger),
            Event::Failed { correlation, code, .. } => {
                let ask = self.asks.remove(&correlation).expect("only what was asked fails");
                ledger.failed(ask, code, self.now);
            }
            Event::Undeliverable { node, event, code } => ledger.undeliverable(self.life, &node, &event, code),
            Event::Left => self.has_left = true,
            Event::Rejected { .. } | Event::Drain | Event::Ended { .. } => {}
        }
    }

    /// Over a change of bridges it learns by watching that an asker is gone; and when it was given up itself, its askers were
    /// told.
    fn watch_askers(&mut self, kept: bool) {
        if !kept {
            self.at_work.clear();
        }
        let askers: BTreeSet<_> = self.at_work.keys().map(|(id, session, _)| (id.clone(), *session)).collect();
        askers.iter().for_each(|(id, session)| self.client.watch_asker(id, *session));
    }

    /// Nobody is at work on what nobody waits for.
    pub fn check_at_work(&self, ledger: &Ledger) {
        if self.client.phase() != Phase::Online {
            return;
        }
        for (asker, &number) in &self.at_work {
            let ask = &ledger.asks[number];
            let life = &ledger.lives[ledger.messages[ask.message].sender];
            let waits = life.alive && ask.outcome.is_none() && !ask.dropped;
            // A bridge that it never met had given it up, and the next one does not know.
            let waits = waits || ledger.was_given_up(self.life, ask.message);
            assert!(waits || !life.native, "life {} works for {asker:?} on {number}: {ask:?}, {life:?}", self.life);
        }
    }

    /// The question may have been put aside, too.
    fn put_aside_if_paused(&mut self, came: PutAside) {
        if self.client.is_paused() {
            self.aside.push_back(came);
        }
    }

    fn put_aside_or_take(&mut self, came: PutAside, random: &mut Random, ledger: &mut Ledger) {
        if self.client.is_paused() { self.aside.push_back(came) } else { self.take(came, random, ledger) }
    }

    fn take(&mut self, came: PutAside, random: &mut Random, ledger: &mut Ledger) {
        match came {
            PutAside::Presence { event, text } => {
                self.presence.heed(&event, &text, |joins, who| ledger.presence(self.life, joins, who));
            }
            PutAside::Message { number, from, event, len, correlation } => {
                ledger.delivered(self.life, number, Some(&from.0), &event, len);
                self.consider(number, from, correlation, random, ledger);
            }
            PutAside::Cancelled { from, session, correlation } => {
                self.at_work.remove(&(from, session, correlation));
            }
            PutAside::Departed { node, session } => self.asker_gone(&node, session),
            PutAside::Online { kept } => self.watch_askers(kept),
        }
    }

    fn asker_gone(&mut self, node: &str, session: u64) {
        self.at_work.retain(|(id, of, _), _| *id != *node || (session != 0 && session != *of));
    }

    /// Puts aside what comes from now on.
    pub fn pause(&mut self) {
        self.client.pause(true);
    }

    /// Takes at most `most` of what it has put aside; what comes next it takes at once if nothing is left. Returns
    /// whether there was anything.
    pub fn resume(&mut self, most: usize, random: &mut Random, ledger: &mut Ledger) -> bool {
        let taken = self.aside.len().min(most);
        for came in self.aside.drain(..taken).collect::<Vec<_>>() {
            if matches!(came, PutAside::Message { .. } | PutAside::Presence { .. }) {
                self.client.take();
            }
            self.take(came, random, ledger);
        }
        if self.aside.is_empty() {
            self.client.pause(false);
        }
        taken > 0
    }

    fn replied(&mut self, correlation: u32, body: &[u8], ledger: &mut Ledger) {
        let ask = self.asks.remove(&correlation).expect("only what was asked is answered");
        let question = ledger.asks[ask].message;
        if ledger.messages[question].kind == kind::ROSTER {
            return ledger.rostered(ask);
        }
        let number = body::read(body);
        // A reply overtakes what has been put aside.
        let in_order = self.aside.is_empty() && !ledger.messages[question].to.is_empty();
        let from = in_order.then(|| ledger.messages[question].to.clone());
        ledger.replied(self.life, ask, number, (from.as_deref(), body.len()));
    }

    /// What to answer, and when.
    fn consider(
        &mut self,
        number: usize,
        (to, session): (String, u64),
        correlation: u32,
        random: &mut Random,
        ledger: &mut Ledger,
    ) {
        let Some(ask) = ledger.messages[number].ask.filter(|_| correlation != 0) else { return };
        if number >= self.given_up_before {
            self.at_work.insert((to.clone(), session, correlation), ask);
        }
        let owed = Owed { to, correlation, ask };
        match random.below(10) {
            0 if ledger.asks[ask].deadline.is_some() => ledger.asks[ask].ignored = true,
            1..4 => self.owed.push(owed),
            _ => self.answer(owed, random, ledger),
        }
    }

    // ---- the program: saying ------------------------------------------------------------------------------------

    /// Answers one question that waits.
    pub fn answer_owed(&mut self, random: &mut Random, ledger: &mut Ledger) -> bool {
        let Some(owed) = self.owed.pop() else { return false };
        self.answer(owed, random, ledger);
        true
    }

    fn answer(&mut self, owed: Owed, random: &mut Random, ledger: &mut Ledger) {
        let Owed { to, correlation, ask } = owed;
        self.at_work.retain(|_, other| *other != ask);
        let target = self.client.target(&to, "");
        if random.chance(15) {
            ledger.asks[ask].refused = true;
            return self.client.refuse(target, correlation, Code::NoListener, "no");
        }
        let (number, bytes) = compose((self.life, self.bulky), (kind::REPLY, &to, ""), Some(ask), random, ledger);
        let letter = self.letter(kind::REPLY, target, None, correlation);
        let letter = self.poisoned(letter, number, random, ledger);
        if send(&mut self.client, letter, &bytes).is_err() {
            // It has no room for an answer, or is leaving: as the binding does, it says so.
            ledger.asks[ask].refused = true;
            ledger.not_sent(number, Code::Closed);
            self.client.refuse(target, correlation, Code::NoListener, "no");
        }
    }

    /// Sends something of `kind`, as a question that waits `ask` milliseconds if that is given.
    pub fn send(
        &mut self,
        (kind, to, event): (u8, &str, &str),
        ask: Option<u32>,
        random: &mut Random,
        (ledger, now): (&mut Ledger, u64),
    ) {
        self.now = now;
        if random.chance(5) {
            self.client.clear_targets();
        }
        let target = self.client.target(to, event);
        let (number, bytes) = compose((self.life, self.bulky), (kind, to, event), None, random, ledger);
        let letter = self.letter(kind, target, ask, 0);
        let letter = self.poisoned(letter, number, random, ledger);
        match send(&mut self.client, letter, &bytes) {
            Err(code) => ledger.not_sent(number, code),
            Ok(correlation) => {
                if let Some(timeout) = ask {
                    let number = ledger.ask(number, (timeout > 0).then_some(now + u64::from(timeout)));
                    assert!(self.asks.insert(correlation, number).is_none(), "a correlation is used once at a time");
                }
            }
        }
    }

    fn letter(&self, kind: u8, target: u32, ask: Option<u32>, correlation: u32) -> Letter {
        Letter { kind, target, encoding: Encoding::Json, ask, correlation, now: self.now }
    }

    /// Now and then something that no bridge takes, or no node.
    fn poisoned(&self, letter: Letter, number: usize, random: &mut Random, ledger: &mut Ledger) -> Letter {
        let spoiled = match self.picky {
            Picky::Nobody => false,
            Picky::Bridges => letter.kind != kind::ROSTER,
            Picky::Nodes => matches!(letter.kind, kind::MESSAGE | kind::BROADCAST | kind::REPLY),
        };
        if !spoiled || !random.chance(4) {
            return letter;
        }
        ledger.poisoned(number);
        Letter { encoding: POISON, ..letter }
    }

    /// Begins or ends to listen.
    pub fn listen(&mut self, event: &str, ledger: &mut Ledger) {
        let listens = self.listens.insert(event.to_owned());
        if !listens {
            self.listens.remove(event);
        }
        if event != PRESENCE {
            ledger.listens(self.life, event, listens);
            return self.client.listen(event, listens);
        }
        // Whoever listens for one half of presence hears of both.
        ["node:join", "node:leave"].iter().for_each(|event| self.client.listen(event, listens));
        if !listens {
            self.presence = Presence::default();
            ledger.forgets_presence(self.life);
        }
    }

    /// Takes one question back.
    pub fn cancel(&mut self, random: &mut Random, ledger: &mut Ledger) {
        let mut open: Vec<u32> = self.asks.keys().copied().collect();
        open.sort_unstable();
        if open.is_empty() {
            return;
        }
        let correlation = *random.pick(&open);
        self.client.cancel(correlation);
        let ask = self.asks.remove(&correlation).expect("it is open");
        ledger.asks[ask].dropped = true;
    }

    /// Says goodbye.
    pub fn leave(&mut self, ledger: &mut Ledger) {
        self.client.leave();
        // From now on nobody need reach it; what it said before still arrives.
        ledger.leaves(self.life);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: u64, random: &mut Random, ledger: &mut Ledger) {
        self.now = now;
        if self.client.next_timeout().is_some_and(|next| next <= now) {
            self.client.handle_timeout(now);
            self.drain_events(random, ledger);
        }
    }

    /// The process is gone, and nobody waits for its answers.
    pub fn die(&mut self, ledger: &mut Ledger) {
        self.memory.end(self.number);
        ledger.end(self.life);
        for ask in self.asks.drain().map(|(_, ask)| ask) {
            ledger.asks[ask].dropped = true;
        }
    }

    /// Whether it waits for nothing and nothing of it is under way.
    pub fn check_at_rest(&self, bridge: &Bridge) {
        if self.client.phase() != Phase::Online {
            return;
        }
        if self.client.pending() > 0 || self.client.need_drain() {
            let (unsettled, debts) = (self.client.unsettled(), bridge.router.debts());
            panic!("life {} is not at rest: {unsettled:#?}, {debts:#?}", self.life);
        }
        if self.listens.contains(PRESENCE) {
            let known = self.presence.known().expect("who listens is told");
            assert_eq!(known, bridge.router.ids(), "what life {} knows of who is there", self.life);
        }
        assert_eq!(self.client.leftovers(), [], "life {}", self.life);
        if self.client.pending() == 0 {
            assert_eq!(self.memory.held(self.number), 0, "life {} has forgotten to free", self.life);
        }
    }
}

/// A message with a body: mostly small, sometimes of many chunks, now and then too large.
fn compose(
    (life, bulky): (usize, bool),
    what: (u8, &str, &str),
    answers: Option<usize>,
    random: &mut Random,
    ledger: &mut Ledger,
) -> (usize, Vec<u8>) {
    let len = match random.below(100) {
        _ if what.0 == kind::ROSTER => 0,
        4..6 if bulky => 65_000 + random.below(130_000),
        6..50 if bulky => 65_600 + random.below(5_000),
        0 if answers.is_none() => 100_000 + random.below(350_000),
        0 => 100_000 + random.below(100_000),
        1..4 => 50_000 + random.below(30_000),
        4..30 => random.below(4_000),
        _ => random.below(60),
    };
    let number = ledger.send(life, what, answers);
    let body = body::write(number, len);
    ledger.messages[number].len = body.len();
    (number, body)
}

fn send(client: &mut Client, letter: Letter, body: &[u8]) -> Result<u32, Code> {
    client.send_written(letter, body.len(), |sink| sink.write(body))
}
