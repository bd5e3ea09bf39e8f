//! What ought to happen, said without bytes, links or bridges: who said what to whom, who was there to hear it, and what
//! became of it. Everything that does happen is held against it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::censor::Picky;
use super::presence::Who;
use super::reports::{Missing, Reports};
use crate::error::Code;
use crate::wire::frame::{MAX_INLINE, kind};

/// A message, from the moment a program says it.
#[derive(Debug)]
pub struct Message {
    pub kind: u8,
    pub to: String,
    pub event: String,
    pub len: usize,
    pub sender: usize,
    /// The question it is.
    pub ask: Option<usize>,
    /// The question it answers.
    pub answers: Option<usize>,
    /// Of a broadcast: who listened for sure.
    listeners: Vec<usize>,
    got: BTreeSet<usize>,
    handled: bool,
    reported: Option<Code>,
    /// No bridge takes it, or no receiver.
    poisoned: bool,
}

/// A question, which has to end exactly once.
#[derive(Debug)]
pub struct Ask {
    pub message: usize,
    pub deadline: Option<u64>,
    pub outcome: Option<String>,
    /// Whoever asked does not want to know any longer, or is no more.
    pub dropped: bool,
    /// The asked decided never to answer.
    pub ignored: bool,
    /// The asked refused.
    pub refused: bool,
    /// No bridge takes its answer, or not who asked.
    spoiled: bool,
}

/// One process, from its start to its end.
#[derive(Debug)]
pub struct Life {
    pub id: String,
    pub native: bool,
    pub alive: bool,
    pub online: bool,
    /// How many messages there were when it first joined.
    joined: Option<usize>,
    /// What was said before this many messages were may have been given up.
    excused: usize,
    /// It did not wait for those who might yet come to hear its broadcasts.
    left_early: bool,
    /// A bridge has given it up, and it has not joined since.
    given_up: bool,
    /// That was since the bridge let it in: its welcome may come later.
    given_up_since: bool,
    /// Events that some bridge knew it listens for.
    known: BTreeSet<String>,
    /// When it last ceased to listen, in messages.
    unlistened: BTreeMap<String, usize>,
    ever_listened: BTreeSet<String>,
    /// Lives whose end it has to be told of: they were there when a bridge knew that it listens for that.
    watched: BTreeSet<usize>,
    /// What it was told last of each life: whether that joined.
    presence: BTreeMap<usize, bool>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Ledger {
    pub messages: Vec<Message>,
    pub asks: Vec<Ask>,
    pub lives: Vec<Life>,
    /// What senders were told of broadcasts.
    reports: Reports,
    max_message: u64,
    /// Who finds fault with what is poisoned.
    picky: Picky,
    last_heard: HashMap<(usize, usize), usize>,
}

impl Ledger {
    /// An empty bus that takes messages of so many bytes, and where some find fault with others.
    pub fn new(max_message: u64, picky: Picky) -> Self {
        Self { max_message, picky, ..Self::default() }
    }

    // ---- lives --------------------------------------------------------------------------------------------------

    /// A process starts.
    pub fn begin(&mut self, id: &str, native: bool) -> usize {
        self.lives.push(Life {
            id: id.to_owned(),
            native,
            alive: true,
            online: false,
            joined: None,
            excused: 0,
            left_early: false,
            given_up: false,
            given_up_since: false,
            known: BTreeSet::new(),
            unlistened: BTreeMap::new(),
            ever_listened: BTreeSet::new(),
            watched: BTreeSet::new(),
            presence: BTreeMap::new(),
        });
        self.lives.len() - 1
    }

    /// A process ends, or leaves: nobody owes it anything.
    pub fn end(&mut self, life: usize) {
        (self.lives[life].alive, self.lives[life].online) = (false, false);
    }

    /// A bridge has let it in; whether all was kept for it.
    pub fn welcomed(&mut self, life: usize, kept: bool) {
        let now = self.messages.len();
        let life = &mut self.lives[life];
        life.online = true;
        life.joined.get_or_insert(now);
        if !kept || life.given_up {
            (life.excused, life.given_up) = (now.max(life.excused), life.given_up_since);
        }
    }

    /// A bridge has let a node in, which has not read that yet.
    pub fn let_in(&mut self, id: &str) {
        self.lives.iter_mut().filter(|life| life.id == id).for_each(|life| life.given_up_since = false);
    }

    /// A bridge gave a node up that did not leave.
    pub fn given_up(&mut self, id: &str) {
        for life in self.lives.iter_mut().filter(|life| life.alive && life.id == id) {
            (life.given_up, life.given_up_since) = (true, true);
        }
    }

    /// A bridge has told everybody that of the nodes there were before, only these have come.
    pub fn given_up_but(&mut self, came: &BTreeSet<String>) {
        for life in self.lives.iter_mut().filter(|life| life.alive && !came.contains(&life.id)) {
            (life.given_up, life.given_up_since) = (true, true);
        }
    }

    /// Whether a bridge gave a node up after this message was said.
    pub fn was_given_up(&self, life: usize, number: usize) -> bool {
        self.lives[life].excused > number
    }

    /// It says goodbye: nobody need reach it any more.
    pub fn leaves(&mut self, life: usize) {
        self.lives[life].excused = usize::MAX;
    }

    /// It leaves while nodes are expected.
    pub fn leaves_early(&mut self, id: &str) {
        let leaving = self.lives.iter_mut().filter(|life| life.id == id && life.excused == usize::MAX);
        leaving.for_each(|life| life.left_early = true);
    }

    /// It begins or ends to listen.
    pub fn listens(&mut self, life: usize, event: &str, listens: bool) {
        let now = self.messages.len();
        let life = &mut self.lives[life];
        if listens {
            life.ever_listened.insert(event.to_owned());
        } else {
            life.known.remove(event);
            life.unlistened.insert(event.to_owned(), now);
        }
    }

    /// The bridge knows what it listens for.
    pub fn bridge_knows(&mut self, life: usize, interests: &[String]) {
        self.lives[life].known.extend(interests.iter().cloned());
    }

    // ---- presence -----------------------------------------------------------------------------------------------

    /// The bridge knows that a life listens for who comes and goes, and these ids are there as far as it can know.
    pub fn watches_presence(&mut self, life: usize, there: &BTreeSet<String>) {
        let is_there = |other: &Life| {
            other.native && other.alive && other.joined.is_some() && !other.given_up && other.excused != usize::MAX
        };
        let known = |other: &Life| is_there(other) && there.contains(&other.id);
        let watched: Vec<usize> = (0..self.lives.len()).filter(|&at| at != life && known(&self.lives[at])).collect();
        self.lives[life].watched.extend(watched);
    }

    /// A life does not want to know who comes and goes any longer.
    pub fn forgets_presence(&mut self, life: usize) {
        self.lives[life].watched.clear();
        self.lives[life].presence.clear();
    }

    /// A life is told that somebody joins or leaves: it must be true, and new.
    pub fn presence(&mut self, life: usize, joins: bool, (id, pid): &Who) {
        let Some(other) = pid.map(|pid| pid as usize) else { return };
        assert_eq!(self.lives[other].id, *id, "life {life} is told of somebody else");
        let before = self.lives[life].presence.insert(other, joins);
        assert_ne!(before, Some(joins), "life {life} is told twice that {other} joins ({joins})");
        let Life { alive, given_up, excused, .. } = self.lives[other];
        assert!(joins || !alive || given_up || excused > 0, "life {life} is told that {other} left, who did not");
    }

    fn check_presence(&self, life: usize) {
        for &other in &self.lives[life].watched {
            let Life { alive, given_up, excused, .. } = self.lives[other];
            let told = self.lives[life].presence.get(&other);
            let gone = !alive || excused == usize::MAX;
            assert!(!gone || told == Some(&false), "life {life} was never told that {other} is gone: {told:?}");
            let there = alive && !given_up && excused == 0;
            assert!(!there || told != Some(&false), "life {life} was told that {other} is gone, who is there");
        }
    }

    /// Whether a life was there when message `number` was said, and nobody has had a reason to give it up since.
    fn is_steady(&self, life: usize, number: usize) -> bool {
        let Life { native, alive, online, joined, excused, given_up, .. } = &self.lives[life];
        let there = *native && *alive && *online && !*given_up;
        there && joined.is_some_and(|joined| joined <= number) && *excused <= number
    }

    // ---- saying -------------------------------------------------------------------------------------------------

    /// A program says something; returns its number, which goes into its body.
    pub fn send(&mut self, sender: usize, (kind, to, event): (u8, &str, &str), answers: Option<usize>) -> usize {
        let number = self.messages.len();
        let listens =
            |life: usize| life != sender && self.lives[life].known.contains(event) && self.is_steady(life, number);
        let listeners = if kind == kind::BROADCAST {
            (0..self.lives.len()).filter(|&life| listens(life)).collect()
        } else {
            Vec::new()
        };
        self.messages.push(Message {
            kind,
            to: to.to_owned(),
            event: event.to_owned(),
            len: 0,
            sender,
            ask: None,
            answers,
            listeners,
            got: BTreeSet::new(),
            handled: false,
            reported: None,
            poisoned: false,
        });
        number
    }

    /// It was refused at once.
    pub fn not_sent(&mut self, number: usize, code: Code) {
        self.messages[number].reported = Some(code);
    }

    /// Nobody who finds fault will take message `number`.
    pub fn poisoned(&mut self, number: usize) {
        self.messages[number].poisoned = true;
        if let Some(ask) = self.messages[number].answers {
            self.asks[ask].spoiled = true;
        }
    }

    /// The message just said is a question.
    pub fn ask(&mut self, message: usize, deadline: Option<u64>) -> usize {
        self.messages[message].ask = Some(self.asks.len());
        let (outcome, dropped, ignored, refused, spoiled) = Default::default();
        self.asks.push(Ask { message, deadline, outcome, dropped, ignored, refused, spoiled });
        self.asks.len() - 1
    }

    // ---- hearing ------------------------------------------------------------------------------------------------

    /// `life` got message `number`: it must be meant for it, new, whole and in order.
    pub fn delivered(&mut self, life: usize, number: usize, from: Option<&str>, event: &str, len: usize) {
        let message = &mut self.messages[number];
        assert_eq!((&*message.event, message.len), (event, len), "message {number} was changed on its way");
        assert!(message.got.insert(life), "message {number} reached {life} twice: {message:?}");
        let receiver = &self.lives[life];
        let meant = match message.kind {
            kind::BROADCAST => !receiver.native || receiver.ever_listened.contains(event),
            _ => message.to == receiver.id,
        };
        assert!(meant, "message {number} went to {life}, who is not meant: {message:?}");
        self.in_order(life, number, from);
        self.pass_report_on(number);
    }

    /// What is given up at a receiver is told by its event, of which there may be several: it was not this one.
    fn pass_report_on(&mut self, number: usize) {
        let Message { sender, ref to, ref event, reported: Some(Code::QueueFull), ask: None, .. } =
            self.messages[number]
        else {
            return;
        };
        let is_other = |message: &Message| {
            let alike = message.sender == sender && message.to == *to && message.event == *event;
            alike && message.reported.is_none() && message.ask.is_none() && message.got.is_empty()
        };
        if let Some(other) = self.messages.iter().position(is_other) {
            self.messages[number].reported = None;
            self.messages[other].reported = Some(Code::QueueFull);
        }
    }

    /// The process of bridge `bridge` got a call.
    pub fn handled(&mut self, bridge: usize, number: usize, from: &str, len: usize) {
        let message = &mut self.messages[number];
        assert_eq!((message.kind, message.len), (kind::RPC, len), "call {number} was changed on its way");
        message.handled = true;
        self.in_order(usize::MAX - bridge, number, Some(from));
    }

    fn in_order(&mut self, receiver: usize, number: usize, from: Option<&str>) {
        let sender = self.messages[number].sender;
        if let Some(from) = from {
            assert_eq!(self.lives[sender].id, from, "message {number} comes under another's name");
        }
        let last = self.last_heard.insert((sender, receiver), number);
        assert!(last < Some(number), "message {number} reached {receiver} behind {last:?} of the same sender");
    }

    /// `life` got the reply `number` to its question `ask`.
    pub fn replied(&mut self, life: usize, ask: usize, number: usize, (from, len): (Option<&str>, usize)) {
        let message = &self.messages[number];
        assert_eq!((message.answers, message.len), (Some(ask), len), "reply {number} is not the one to {ask}");
        if from.is_some() {
            self.in_order(life, number, from);
        }
        self.settle(ask, "replied".to_owned());
    }

    /// The answer to a question for the roster came.
    pub fn rostered(&mut self, ask: usize) {
        self.settle(ask, "roster".to_owned());
    }

    /// Question `ask` failed: the reason must be true.
    pub fn failed(&mut self, ask: usize, code: Code, now: u64) {
        let asked = &self.asks[ask];
        let message = &self.messages[asked.message];
        let fair = match code {
            Code::Timeout => asked.deadline.is_some_and(|deadline| deadline <= now),
            Code::NoListener | Code::NoMethod => asked.refused,
            // Of a call the bridge itself is the receiver, which is not here.
            Code::NodeLeft | Code::UnknownNode => message.to.is_empty() || self.may_be_missing(asked.message),
            Code::TooLarge => true,
            Code::QueueFull => true,
            Code::Protocol => message.poisoned || asked.spoiled,
            _ => false,
        };
        assert!(fair, "question {ask} failed with {code:?}: {asked:?}, {message:?}");
        let number = asked.message;
        self.messages[number].reported = Some(code);
        self.settle(ask, format!("{code:?}"));
    }

    /// A message that nobody waits for is reported lost: the reason must be true, of one of those that it may be.
    pub fn undeliverable(&mut self, life: usize, to: &str, event: &str, code: Code) {
        let rejected = code == Code::Protocol;
        // Of those that are alike, what else was reported may have been about another.
        let unreported = |message: &Message| {
            let before = message.reported.filter(|&before| !rejected || before == Code::Protocol);
            before.is_none() && message.ask.is_none()
        };
        let meant = |message: &Message| message.sender == life && message.to == to && message.event == event;
        let new = |message: &Message| message.got.is_empty() && !message.handled;
        let may_be = |message: &Message| {
            let told = matches!(message.kind, kind::MESSAGE | kind::RPC) || rejected;
            let for_that = (message.poisoned || !rejected) && (code != Code::TooLarge || self.is_too_large(message));
            told && meant(message) && unreported(message) && new(message) && for_that
        };
        let messages = self.messages.iter().enumerate();
        let mut candidates: Vec<usize> =
            messages.filter(|(_, message)| may_be(message)).map(|(number, _)| number).collect();
        // What is given up at a receiver is large; the small ones among them may wait there still.
        let small = |number: usize| code == Code::QueueFull && self.messages[number].len <= MAX_INLINE;
        candidates.sort_by_key(|&number| (self.messages[number].reported.is_some(), small(number)));
        let missing = matches!(code, Code::NodeLeft | Code::UnknownNode) && !to.is_empty();
        let missed = |message: &Message| {
            let broadcast = message.kind == kind::BROADCAST && message.sender == life && message.event == event;
            let rejects = rejected && message.poisoned && self.picky == Picky::Nodes;
            broadcast && (rejects || (code == Code::TooLarge && self.is_too_large(message)))
        };
        let only_those = rejected || code == Code::TooLarge;
        let fair = !only_those || !candidates.is_empty() || self.messages.iter().any(missed);
        assert!(fair, "{life} is told of '{event}' to '{to}': {code:?}");
        let Some(&first) = candidates.first() else { return self.reports.note(life, to, event, code) };
        let fair = candidates.into_iter().find(|&number| !missing || self.may_be_missing(number));
        let number =
            fair.unwrap_or_else(|| panic!("message {first} is called undeliverable: {:?}", self.messages[first]));
        self.messages[number].reported = Some(code);
    }

    /// Whether a bridge takes none of that length.
    fn is_too_large(&self, message: &Message) -> bool {
        message.len as u64 > self.max_message
    }

    /// Whether there is nobody with that id who was there all the time.
    fn may_be_missing(&self, number: usize) -> bool {
        let Message { to, sender, .. } = &self.messages[number];
        let Life { native, given_up, excused, .. } = self.lives[*sender];
        // For whoever keeps nothing, what does not find its receiver at once is lost. And when a sender was given up, its
        // receivers did not wait for what was missing of it: if that comes after what was said later, they refuse it.
        if !native || given_up || excused > number {
            return true;
        }
        !(0..self.lives.len()).any(|life| self.lives[life].id == *to && self.is_steady(life, number))
    }

    fn settle(&mut self, ask: usize, outcome: String) {
        let asked = &mut self.asks[ask];
        assert!(!asked.dropped, "question {ask} was taken back, and ended with {outcome}");
        assert_eq!(asked.outcome, None, "question {ask} ended twice, now with {outcome}");
        asked.outcome = Some(outcome);
    }

    // ---- at the end ---------------------------------------------------------------------------------------------

    /// All is quiet: nothing may be lost, nobody may wait in vain.
    pub fn check_delivered(&self) {
        let native = |&life: &usize| self.lives[life].native && self.lives[life].alive && self.lives[life].online;
        (0..self.lives.len()).filter(native).for_each(|life| self.check_presence(life));
        let lives = self.messages.iter().enumerate().filter(|(_, message)| {
            let Life { native, alive, .. } = self.lives[message.sender];
            native && alive
        });
        let mut missing = Missing::default();
        for (number, message) in lives {
            self.check_message(number, message);
            self.note_missing(number, message, &mut missing);
        }
        if let Some(number) = self.reports.untold(&missing) {
            let message = &self.messages[number];
            panic!("broadcast {number} or one like it never reached all of {:?}: {message:?}", message.listeners);
        }
        for (number, ask) in self.asks.iter().enumerate() {
            let waits = ask.outcome.is_none() && !ask.dropped && !ask.ignored;
            let asker = &self.lives[self.messages[ask.message].sender];
            let waits = waits && asker.native && asker.alive && !self.answer_is_excused(ask);
            assert!(!waits, "question {number} waits for ever: {ask:?}, {:?}", self.messages[ask.message]);
        }
    }

    /// A broadcast reaches all who listened when it was sent, and have been there and listened since.
    fn note_missing(&self, number: usize, message: &Message, missing: &mut Missing) {
        let Message { kind, event, len, sender, listeners, got, .. } = message;
        // Of what a node rejects the sender is told as of all that this node misses.
        let rejected = message.poisoned && self.picky == Picky::Bridges;
        let refused = *len as u64 > self.max_message || message.reported.is_some() || rejected;
        if *kind != kind::BROADCAST || refused || self.lives[*sender].left_early {
            return;
        }
        let still = |life: &usize| self.lives[*life].unlistened.get(event).is_none_or(|&at| at <= number);
        let due = |life: &&usize| self.is_steady(**life, number) && still(life) && !got.contains(life);
        for &life in listeners.iter().filter(due) {
            missing.note((*sender, &self.lives[life].id, event), number, *len);
        }
    }

    fn check_message(&self, number: usize, message: &Message) {
        let Message { kind, to, got, reported, handled, len, .. } = message;
        let too_large = *len as u64 > self.max_message;
        let missing: Vec<usize> = match *kind {
            kind::MESSAGE => {
                let steady = |&life: &usize| self.lives[life].id == *to && self.is_steady(life, number);
                (0..self.lives.len()).filter(steady).filter(|life| !got.contains(life)).collect()
            }
            _ => Vec::new(),
        };
        // Nobody is told what became of a question that was taken back.
        let dropped = message.ask.is_some_and(|ask| self.asks[ask].dropped);
        // A large one may have been given up at a receiver that keeps little.
        let untold = dropped && (self.may_be_missing(number) || *len > MAX_INLINE);
        let left = self.lives[message.sender].excused == usize::MAX;
        let rejected = message.poisoned && self.picky == Picky::Bridges;
        let unsaid = rejected && message.ask.is_none() && *kind != kind::REPLY && reported.is_none();
        assert!(!unsaid || left || too_large, "message {number} was given up without a word: {message:?}");
        let excuse = too_large || reported.is_some() || untold || message.poisoned;
        assert!(missing.is_empty() || excuse, "message {number} never reached {missing:?}: {message:?}");
        let told = reported.is_some() || message.ask.is_some() || too_large;
        let arrived =
            !got.is_empty() || *handled || matches!(*kind, kind::BROADCAST | kind::REPLY | kind::REFUSE | kind::ROSTER);
        // The original's wire acknowledges nothing: what was written to it counts as arrived.
        let to_legacy = self.lives.iter().any(|life| !life.native && life.id == *to);
        // Whoever was cut off at the very end still has what it said.
        let kept = !self.lives[message.sender].online;
        // A large one may have been given up at a receiver that keeps little, and the refusal have died with that.
        let ended = |life: &Life| life.id == *to && (!life.alive || life.excused == usize::MAX);
        let given_up = *len > MAX_INLINE && self.lives.iter().any(ended);
        assert!(
            arrived || told || to_legacy || kept || given_up,
            "message {number} was lost without a word: {message:?}"
        );
    }

    /// Whether whoever asked was given up meanwhile, or the answer came to another life.
    fn answer_is_excused(&self, ask: &Ask) -> bool {
        let message = &self.messages[ask.message];
        let asker_steady = self.is_steady(message.sender, ask.message);
        // Somebody who died, or never joined, took the question along.
        let asked_steady = message.got.iter().any(|&life| self.is_steady(life, ask.message)) || message.handled;
        // Whoever speaks the original's wire keeps nothing: its answer may be lost with the asker's link.
        let by_legacy = message.got.iter().any(|&life| !self.lives[life].native);
        by_legacy || (ask.deadline.is_some() && !(asker_steady && asked_steady))
    }

    /// All deadlines are over.
    pub fn check_settled(&self) {
        for (number, ask) in self.asks.iter().enumerate() {
            let asker = &self.lives[self.messages[ask.message].sender];
            let over = ask.outcome.is_some() || ask.dropped || !asker.native || !asker.alive;
            let over = over || (ask.deadline.is_none() && self.answer_is_excused(ask));
            assert!(over, "question {number} never ended: {ask:?}, {:?}", self.messages[ask.message]);
        }
    }
}
