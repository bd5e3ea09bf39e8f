//! A node of the simulation that speaks our wire: a client, driven as the binding drives it, and a program.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::IoSlice;

use super::body;
use super::cable::{Cable, Said};
use super::ledger::{Ledger, Op};
use super::random::Random;
use crate::error::Code;
use crate::node::client::{Client, Config, Phase};
use crate::node::receiving::{Event, Payload};
use crate::node::sending::Letter;
use crate::outqueue::{MAX_SLICES, OutQueue};
use crate::wire::control::{Settled, charge};
use crate::wire::frame::{Encoding, kind, refusal};

/// What a program remembers of a delivery that wants an answer.
#[derive(Debug)]
struct Owed {
    to: String,
    correlation: u32,
    ask: usize,
}

/// The node.
#[derive(Debug)]
pub struct Native {
    pub client: Client,
    /// Said while there was no link.
    said: Said,
    names: HashMap<u16, String>,
    asks: HashMap<u32, usize>,
    owed: Vec<Owed>,
    pub listens: BTreeSet<String>,
    pub has_left: bool,
    leave_noted: bool,
    /// Number of the last message in its session.
    seq: u64,
    /// What the bridge has not called settled yet, by those numbers.
    unsettled: BTreeMap<u64, usize>,
    now: u64,
}

impl Native {
    /// A node without a link.
    pub fn new(id: &str, session: u64, max_message: u64) -> Self {
        let config = Config { id: id.to_owned(), session, pid: 7, max_message, max_pending: 8 << 20 };
        Self {
            client: Client::new(config),
            said: Said::default(),
            names: HashMap::new(),
            asks: HashMap::new(),
            owed: Vec::new(),
            listens: BTreeSet::new(),
            has_left: false,
            leave_noted: false,
            seq: 0,
            unsettled: BTreeMap::new(),
            now: 0,
        }
    }

    /// Messages that the bridge has not called settled.
    pub fn unsettled(&self) -> usize {
        self.unsettled.len()
    }

    /// Does something to the client, and notes what that says to the bridge.
    fn say<T>(&mut self, cable: Option<&mut Cable>, op: Option<Op>, act: impl FnOnce(&mut Client) -> T) -> T {
        let said = cable.map_or(&mut self.said, |cable| &mut cable.said);
        let before = self.client.queued();
        let greets = matches!(self.client.phase(), Phase::Greeting) && matches!(op, Some(Op::Listen(..)));
        let result = act(&mut self.client);
        let more = (self.client.queued() - before) as u64;
        if greets {
            said.greeting_len += more;
            said.greeting.extend(op.map(|op| (said.greeting_len, op)));
        } else if more > 0 {
            if let Some(Op::Message(number)) = op {
                self.seq += 1;
                self.unsettled.insert(self.seq, number);
            }
            said.rest_len += more;
            said.rest.extend(op.map(|op| (said.rest_len, op)));
        }
        result
    }

    // ---- the link -----------------------------------------------------------------------------------------------

    /// A connection is made.
    pub fn connect(&mut self, cable: &mut Cable) {
        self.names.clear();
        cable.said = std::mem::take(&mut self.said);
        let before = self.client.queued();
        self.client.connected();
        cable.said.greeting_len = (self.client.queued() - before) as u64;
        // Where HELLO ends and each LISTEN does not matter: the bridge hears them before anybody else speaks.
        let end = cable.said.greeting_len;
        cable.said.greeting.push_back((end - self.interests_len(), Op::Hello));
        let mut at = end - self.interests_len();
        for event in &self.listens {
            at += 6 + event.len() as u64;
            cable.said.greeting.push_back((at, Op::Listen(event.clone(), true)));
        }
    }

    fn interests_len(&self) -> u64 {
        self.listens.iter().map(|event| 6 + event.len() as u64).sum()
    }

    /// The connection is gone.
    pub fn lose(&mut self, cable: &mut Cable, ledger: &mut Ledger) {
        if !matches!(self.client.phase(), Phase::Online | Phase::Leaving) {
            // Not a word was written behind the greeting: it waits for the next link.
            let (rest, rest_len) = (std::mem::take(&mut cable.said.rest), cable.said.rest_len);
            self.said = Said { rest, rest_len, ..Said::default() };
        } else {
            self.unsettled.clear();
        }
        cable.at_node = false;
        self.client.disconnected("lost");
        self.drain_events(None, &mut Random::new(0), ledger);
    }

    /// Writes at most `most` bytes.
    pub fn write(&mut self, cable: &mut Cable, most: usize) -> bool {
        self.say(Some(&mut *cable), None, |client| {
            client.transmit();
        });
        if !self.leave_noted && ends_with_leave(self.client.transmit()) {
            self.leave_noted = true;
            cable.said.rest.push_back((cable.said.rest_len, Op::Leave));
        }
        let written = cable.up.write(self.client.transmit(), most);
        self.client.written(written);
        written > 0
    }

    /// Reads at most `most` bytes; returns whether anything came.
    pub fn read(&mut self, cable: &mut Cable, most: usize, random: &mut Random, ledger: &mut Ledger, now: u64) -> bool {
        self.now = now;
        let input = cable.down.read(most);
        if input.is_empty() {
            return false;
        }
        let mut frames = self.client.frames(input).expect("the bridge speaks the protocol");
        while let Some(frame) = frames.next().expect("the bridge speaks the protocol") {
            if frame.raw.kind == kind::SETTLED {
                self.settled(&Settled::decode(frame.raw.payload).expect("four numbers"), ledger);
            }
            let event = self.client.handle_frame(&frame).expect("the bridge speaks the protocol");
            if let Some(event) = event {
                self.hear(Some(&mut *cable), event, random, ledger);
            }
            self.drain_events(Some(&mut *cable), random, ledger);
        }
        true
    }

    /// Each message is called settled once, and not before those it concerns have it.
    fn settled(&mut self, settled: &Settled, ledger: &Ledger) {
        let numbers: Vec<usize> = (settled.first..=settled.last)
            .map(|seq| self.unsettled.remove(&seq).unwrap_or_else(|| panic!("{seq} is not unsettled: {settled:?}")))
            .collect();
        let bytes: u64 = numbers.iter().map(|&number| charge(ledger.messages[number].len as u64)).sum();
        assert_eq!(settled.bytes, bytes, "{settled:?} of {numbers:?}");
        numbers.into_iter().for_each(|number| ledger.check_arrived(number));
    }

    fn drain_events(&mut self, mut cable: Option<&mut Cable>, random: &mut Random, ledger: &mut Ledger) {
        while let Some(event) = self.client.poll_event() {
            self.hear(cable.as_deref_mut(), event, random, ledger);
        }
    }

    // ---- the program: hearing -----------------------------------------------------------------------------------

    fn hear(&mut self, cable: Option<&mut Cable>, event: Event<'_>, random: &mut Random, ledger: &mut Ledger) {
        let stay = cable.as_ref().map(|cable| cable.epoch);
        match event {
            Event::Name { slot, name } => {
                self.names.insert(slot, name.to_string());
            }
            Event::Delivery { from: 0, event, body, .. } => {
                let text = String::from_utf8(bytes(&body).to_vec()).expect("JSON is UTF-8");
                let id = text.split("\"id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("names a node");
                let told = format!("{} {id}", self.names[&event]);
                let stay = &mut ledger.stays[stay.expect("deliveries come over a link")];
                assert_eq!(stay.presence.pop_front(), Some(told), "presence is told in order");
            }
            Event::Delivery { from, event, correlation, body, .. } => {
                let (from, event, bytes) = (self.names[&from].clone(), self.names[&event].clone(), bytes(&body));
                let number = body::read(bytes);
                let stay = stay.expect("deliveries come over a link");
                ledger.delivered(stay, number, (&from, &event, bytes.len()));
                self.consider(cable, number, from, correlation, random, ledger);
            }
            Event::Reply { correlation, body, .. } => self.replied(stay, correlation, bytes(&body), ledger),
            Event::Failed { correlation, code, .. } => {
                let ask = self.asks.remove(&correlation).expect("only what was asked fails");
                ledger.failed(stay, ask, code, self.now);
            }
            Event::Undeliverable { code, .. } => {
                let stay = &mut ledger.stays[stay.expect("refusals come over a link")];
                match code {
                    Code::QueueFull => stay.no_room += 1,
                    _ => stay.undeliverable = stay.undeliverable.checked_sub(1).expect("it was deliverable"),
                }
            }
            Event::Left => self.has_left = true,
            Event::Online(_) | Event::Rejected { .. } | Event::Drain | Event::Ended { .. } => {}
        }
    }

    fn replied(&mut self, stay: Option<usize>, correlation: u32, body: &[u8], ledger: &mut Ledger) {
        let ask = self.asks.remove(&correlation).expect("only what was asked is answered");
        let stay = stay.expect("replies come over a link");
        let question = ledger.asks[ask].message;
        if let Some(roster) = ledger.asks[ask].roster.take() {
            let text = std::str::from_utf8(body).expect("JSON is UTF-8");
            let mut ids: Vec<&str> =
                text.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            ids.sort_unstable();
            assert_eq!(ids, roster, "the roster of question {ask}");
            return ledger.rostered(ask);
        }
        let number = body::read(body);
        let from = Some(ledger.messages[question].to.clone()).filter(|to| !to.is_empty());
        ledger.replied(stay, ask, number, (from.as_deref(), body.len()));
    }

    /// What to answer, and when.
    fn consider(
        &mut self,
        cable: Option<&mut Cable>,
        number: usize,
        to: String,
        correlation: u32,
        random: &mut Random,
        ledger: &mut Ledger,
    ) {
        let Some(ask) = ledger.messages[number].ask.filter(|_| correlation != 0) else { return };
        let owed = Owed { to, correlation, ask };
        match random.below(10) {
            0 if ledger.asks[ask].deadline.is_some() => ledger.asks[ask].ignored = true,
            1..4 => self.owed.push(owed),
            _ => self.answer(cable, owed, random, ledger),
        }
    }

    // ---- the program: saying ------------------------------------------------------------------------------------

    /// Answers one question that waits.
    pub fn answer_owed(&mut self, cable: Option<&mut Cable>, random: &mut Random, ledger: &mut Ledger) -> bool {
        let Some(owed) = self.owed.pop() else { return false };
        self.answer(cable, owed, random, ledger);
        true
    }

    fn answer(&mut self, cable: Option<&mut Cable>, owed: Owed, random: &mut Random, ledger: &mut Ledger) {
        let Owed { to, correlation, ask } = owed;
        let target = self.client.target(&to, "");
        if random.chance(15) {
            ledger.asks[ask].refused = true;
            let len = refusal(Code::NoListener, "no").len();
            let number = ledger.send(kind::REFUSE, &to, "", len, Some(ask));
            let refuse = |client: &mut Client| client.refuse(target, correlation, Code::NoListener, "no");
            return self.say(cable, Some(Op::Message(number)), refuse);
        }
        let (number, bytes) = compose(kind::REPLY, &to, "", Some(ask), random, ledger);
        let letter = self.letter(kind::REPLY, target, None, correlation);
        let sent = self.say(cable, Some(Op::Message(number)), |client| send(client, letter, &bytes));
        assert!(sent.is_ok() || self.client.phase() == Phase::Leaving, "{sent:?}");
    }

    /// Sends something of `kind`, as a question that waits `ask` milliseconds if that is given.
    pub fn send(
        &mut self,
        cable: Option<&mut Cable>,
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
        let (number, bytes) = compose(kind, to, event, None, random, ledger);
        let letter = self.letter(kind, target, ask, 0);
        let sent = self.say(cable, Some(Op::Message(number)), |client| send(client, letter, &bytes));
        let Ok(correlation) = sent else { return };
        if let Some(timeout) = ask {
            let number = ledger.ask(number, (timeout > 0).then_some(now + u64::from(timeout)));
            assert!(self.asks.insert(correlation, number).is_none(), "a correlation is used once at a time");
        }
    }

    fn letter(&self, kind: u8, target: u32, ask: Option<u32>, correlation: u32) -> Letter {
        Letter { kind, target, encoding: Encoding::Json, ask, correlation, now: self.now }
    }

    /// Begins or ends to listen.
    pub fn listen(&mut self, cable: Option<&mut Cable>, event: &str) {
        let listens = self.listens.insert(event.to_owned());
        if !listens {
            self.listens.remove(event);
        }
        let op = cable.is_some().then(|| Op::Listen(event.to_owned(), listens));
        self.say(cable, op, |client| client.listen(event, listens));
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
    pub fn leave(&mut self) {
        self.client.leave();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, cable: Option<&mut Cable>, now: u64, random: &mut Random, ledger: &mut Ledger) {
        self.now = now;
        if self.client.next_timeout().is_some_and(|next| next <= now) {
            self.client.handle_timeout(now);
            self.drain_events(cable, random, ledger);
        }
    }

    /// The process is gone, and nobody waits for its answers.
    pub fn die(&mut self, ledger: &mut Ledger) {
        for ask in self.asks.drain().map(|(_, ask)| ask) {
            ledger.asks[ask].dropped = true;
        }
    }
}

/// A message with a body: mostly small, sometimes of many chunks, now and then too large.
fn compose(
    kind: u8,
    to: &str,
    event: &str,
    answers: Option<usize>,
    random: &mut Random,
    ledger: &mut Ledger,
) -> (usize, Vec<u8>) {
    let len = match random.below(100) {
        _ if kind == kind::ROSTER => 0,
        0 if answers.is_none() => 100_000 + random.below(350_000),
        0 => 100_000 + random.below(100_000),
        1..4 => 50_000 + random.below(30_000),
        4..30 => random.below(4_000),
        _ => random.below(60),
    };
    let number = ledger.send(kind, to, event, 0, answers);
    let body = body::write(number, len);
    ledger.messages[number].len = body.len();
    (number, body)
}

fn ends_with_leave(queue: &OutQueue) -> bool {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let count = queue.slices(&mut slices);
    slices[..count].last().is_some_and(|last| last.ends_with(&[2, 0, 0, 0, kind::LEAVE, 0]))
}

fn send(client: &mut Client, letter: Letter, body: &[u8]) -> Result<u32, Code> {
    let mut writer = client.body();
    writer.write(body);
    client.send(letter, writer)
}

fn bytes<'a>(payload: &'a Payload<'_>) -> &'a [u8] {
    match payload {
        Payload::Borrowed(bytes) => bytes,
        Payload::Owned(bytes) => bytes.as_ref(),
    }
}
