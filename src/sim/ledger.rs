//! What ought to happen: a bus without bytes, which hears what the bridge hears in the same order, and knows from that
//! who has to get what. Everything that does happen is held against it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::bridge::probe::Departure;
use crate::error::Code;
use crate::wire::frame::{MAX_INLINE, kind};

/// The bridge's own process among receivers.
pub const HOST: usize = usize::MAX;

/// Something a node tells the bridge.
#[derive(Clone, Debug)]
pub enum Op {
    Hello,
    Listen(String, bool),
    /// The opening, or the whole, of a message.
    Message(usize),
    Leave,
}

/// A message, from the moment a node's program sends it.
#[derive(Debug)]
pub struct Message {
    pub kind: u8,
    pub to: String,
    pub event: String,
    pub len: usize,
    /// The question it is.
    pub ask: Option<usize>,
    /// The question it answers.
    pub answers: Option<usize>,
    /// The stay during which the bridge heard it.
    pub sender: Option<usize>,
    /// Who has to get it, and whether they did.
    pub receivers: Vec<(usize, bool)>,
}

impl Message {
    fn may_be_under_way_to(&self, receiver: usize) -> bool {
        self.answers.is_some() || self.receivers.contains(&(receiver, false))
    }
}

/// A question, which has to end exactly once.
#[derive(Debug)]
pub struct Ask {
    pub message: usize,
    pub deadline: Option<u64>,
    pub outcome: Option<String>,
    /// Whoever asked does not want to know any longer, or is no more.
    pub dropped: bool,
    pub unknown: bool,
    pub too_large: bool,
    /// The asked decided never to answer.
    pub ignored: bool,
    /// The asked refused.
    pub refused: bool,
    /// The bus as it was when the bridge was asked.
    pub roster: Option<Vec<String>>,
}

/// One stay of a node on the bus: the life of one link.
#[derive(Debug)]
pub struct Stay {
    pub id: String,
    pub native: bool,
    pub joined: bool,
    /// How it ended, in the bridge's eyes.
    pub ended: Option<Departure>,
    /// Presence events it has to be told, in this order.
    pub presence: VecDeque<String>,
    /// Messages that nobody waits for and that reached nobody.
    pub undeliverable: u32,
    /// Messages that nobody waits for, and for which the host or a peer of the original's wire had no room.
    pub no_room: usize,
    interests: BTreeSet<String>,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Ledger {
    pub messages: Vec<Message>,
    pub asks: Vec<Ask>,
    pub stays: Vec<Stay>,
    max_message: u64,
    /// Whether order is asked of the bridge's process and of the original's peers too.
    pub strict: bool,
    members: BTreeMap<String, usize>,
    last_seen: HashMap<(usize, usize), usize>,
}

impl Ledger {
    /// An empty bus that takes messages of so many bytes.
    pub fn new(max_message: u64) -> Self {
        Self { max_message, ..Self::default() }
    }

    /// A node opens a connection.
    pub fn open_stay(&mut self, id: &str, native: bool) -> usize {
        self.stays.push(Stay {
            id: id.to_owned(),
            native,
            joined: false,
            ended: None,
            presence: VecDeque::new(),
            undeliverable: 0,
            no_room: 0,
            interests: BTreeSet::new(),
        });
        self.stays.len() - 1
    }

    /// A node's program sends something; returns its number, which goes into its body.
    pub fn send(&mut self, kind: u8, to: &str, event: &str, len: usize, answers: Option<usize>) -> usize {
        let (to, event) = (to.to_owned(), event.to_owned());
        let message = Message { kind, to, event, len, ask: None, answers, sender: None, receivers: Vec::new() };
        self.messages.push(message);
        self.messages.len() - 1
    }

    /// The message just sent is a question.
    pub fn ask(&mut self, message: usize, deadline: Option<u64>) -> usize {
        self.messages[message].ask = Some(self.asks.len());
        self.asks.push(Ask {
            message,
            deadline,
            outcome: None,
            dropped: false,
            unknown: false,
            too_large: false,
            ignored: false,
            refused: false,
            roster: None,
        });
        self.asks.len() - 1
    }

    /// Who is on the bus.
    pub fn is_member(&self, id: &str) -> bool {
        self.members.contains_key(id)
    }

    // ---- what the bridge hears ----------------------------------------------------------------------------------

    /// The bridge has heard `op` on the link of `stay`.
    pub fn hear(&mut self, stay: usize, op: Op) {
        match op {
            Op::Hello => self.join(stay),
            _ if !self.stays[stay].joined || self.stays[stay].ended.is_some() => {}
            Op::Listen(event, listens) => {
                let interests = &mut self.stays[stay].interests;
                if listens {
                    interests.insert(event)
                } else {
                    interests.remove(&event)
                };
            }
            Op::Message(message) => self.route(stay, message),
            Op::Leave => self.end(stay, Departure::Left),
        }
    }

    fn join(&mut self, stay: usize) {
        let id = self.stays[stay].id.clone();
        if self.members.contains_key(&id) {
            return;
        }
        self.stays[stay].joined = true;
        self.members.insert(id.clone(), stay);
        self.announce("node:join", &id, stay);
    }

    /// The bridge has lost, cut or said goodbye to `stay`.
    pub fn end(&mut self, stay: usize, departure: Departure) {
        if !self.stays[stay].joined || self.stays[stay].ended.is_some() {
            return;
        }
        self.stays[stay].ended = Some(departure);
        let id = self.stays[stay].id.clone();
        self.members.remove(&id);
        self.announce("node:leave", &id, stay);
    }

    fn announce(&mut self, event: &str, id: &str, about: usize) {
        for &member in self.members.values().filter(|member| **member != about) {
            let stay = &mut self.stays[member];
            if stay.native && stay.interests.contains(event) {
                stay.presence.push_back(format!("{event} {id}"));
            }
        }
    }

    fn route(&mut self, sender: usize, number: usize) {
        let message = &mut self.messages[number];
        assert!(message.sender.is_none(), "message {number} was heard twice");
        message.sender = Some(sender);
        let ask = message.ask.map(|ask| &mut self.asks[ask]);
        let receivers: Vec<usize> = match message.kind {
            _ if message.len as u64 > self.max_message => {
                ask.map(|ask| ask.too_large = true).unwrap_or_else(|| self.stays[sender].undeliverable += 1);
                return;
            }
            kind::REPLY | kind::REFUSE => return,
            kind::ROSTER => {
                let roster = self.members.keys().cloned().collect();
                return ask.into_iter().for_each(|ask| ask.roster = Some(Vec::clone(&roster)));
            }
            kind::RPC => vec![HOST],
            kind::BROADCAST => {
                let listens = |stay: &Stay| !stay.native || stay.interests.contains(&message.event);
                let others = self.members.values().filter(|member| **member != sender);
                others.copied().filter(|&member| listens(&self.stays[member])).collect()
            }
            _ => match (self.members.get(&message.to), ask) {
                (Some(&receiver), _) => vec![receiver],
                (None, Some(ask)) => return ask.unknown = true,
                (None, None) => return self.stays[sender].undeliverable += 1,
            },
        };
        message.receivers = receivers.into_iter().map(|receiver| (receiver, false)).collect();
    }

    /// The sender of message `number` was told that it has reached everyone.
    pub fn check_arrived(&self, number: usize) {
        let message = &self.messages[number];
        for &(receiver, got) in &message.receivers {
            let told = got || receiver == HOST || self.has_ended(receiver) || !self.stays[receiver].native;
            assert!(told || self.waits_there(number, receiver), "{number} is called settled too early: {message:?}");
        }
    }

    /// Whether a message may have come but waits at its receiver, behind a large one of the same sender.
    fn waits_there(&self, number: usize, receiver: usize) -> bool {
        let sender = self.messages[number].sender;
        self.messages[..number].iter().any(|earlier| {
            earlier.sender == sender && earlier.len > MAX_INLINE && earlier.may_be_under_way_to(receiver)
        })
    }

    // ---- what nodes get -----------------------------------------------------------------------------------------

    /// `receiver` got message `number`: it must be meant for it, new, whole and in order.
    pub fn delivered(&mut self, receiver: usize, number: usize, (from, event, len): (&str, &str, usize)) {
        let message = &mut self.messages[number];
        let place = message.receivers.iter_mut().find(|(meant, _)| *meant == receiver);
        let Some((_, got)) = place else {
            panic!("message {number} went to {receiver}, who is not meant: {message:?}")
        };
        assert!(!std::mem::replace(got, true), "message {number} reached {receiver} twice");
        assert_eq!((&*message.event, message.len), (event, len), "message {number} was changed on its way");
        self.in_order(receiver, number, from);
    }

    /// `receiver` got the reply `number` to its question `ask`.
    pub fn replied(&mut self, receiver: usize, ask: usize, number: usize, (from, len): (Option<&str>, usize)) {
        let message = &self.messages[number];
        assert_eq!((message.answers, message.len), (Some(ask), len), "reply {number} is not the one to {ask}");
        if let Some(from) = from {
            self.in_order(receiver, number, from);
        }
        self.settle(ask, "replied".to_owned());
    }

    /// The answer to a question for the roster came, and was right.
    pub fn rostered(&mut self, ask: usize) {
        self.settle(ask, "roster".to_owned());
    }

    fn in_order(&mut self, receiver: usize, number: usize, from: &str) {
        let sender = self.messages[number].sender.expect("delivered before the bridge heard it");
        assert_eq!(self.stays[sender].id, from, "message {number} comes under another's name");
        let last = self.last_seen.insert((sender, receiver), number);
        // What the bridge collects for those who cannot take chunks is overtaken by what came behind it.
        let collected = receiver == HOST || !self.stays[receiver].native;
        assert!(
            last < Some(number) || (collected && !self.strict),
            "message {number} reached {receiver} behind {last:?} of the same sender"
        );
    }

    /// Question `ask` failed for the node of `stay`, if it has a link: the reason must be true.
    pub fn failed(&mut self, stay: Option<usize>, ask: usize, code: Code, now: u64) {
        let asked = &self.asks[ask];
        let message = &self.messages[asked.message];
        let receiver = message.receivers.first().map(|(receiver, _)| *receiver);
        let fair = match code {
            Code::UnknownNode => asked.unknown,
            Code::TooLarge => asked.too_large,
            Code::Timeout => asked.deadline.is_some_and(|deadline| deadline <= now),
            Code::NodeLeft => stay.is_none() || receiver.is_some_and(|receiver| self.has_ended(receiver)),
            Code::NoListener | Code::NoMethod => asked.refused,
            Code::QueueFull => {
                // A reply may be what there was no room for.
                let reply = stay.is_some_and(|stay| !self.stays[stay].native);
                reply || message.kind == kind::ROSTER || receiver.is_some_and(|to| self.is_collected_for(message, to))
            }
            _ => false,
        };
        assert!(fair, "question {ask} failed with {code:?}: {asked:?}, {message:?}");
        if code == Code::QueueFull {
            self.messages[asked.message].receivers.clear();
        }
        self.settle(ask, format!("{code:?}"));
    }

    /// Whether the bridge puts a message together for a receiver, for which it has only so much room.
    fn is_collected_for(&self, message: &Message, receiver: usize) -> bool {
        receiver == HOST || (message.len > MAX_INLINE && !self.stays[receiver].native)
    }

    fn has_ended(&self, receiver: usize) -> bool {
        receiver != HOST && self.stays[receiver].ended.is_some()
    }

    fn settle(&mut self, ask: usize, outcome: String) {
        let asked = &mut self.asks[ask];
        assert!(!asked.dropped, "question {ask} was taken back, and ended with {outcome}");
        assert_eq!(asked.outcome, None, "question {ask} ended twice, now with {outcome}");
        asked.outcome = Some(outcome);
    }

    // ---- at the end ---------------------------------------------------------------------------------------------

    /// All pipes are empty and everyone has answered who means to: nothing may be lost, nobody may wait in vain.
    pub fn check_delivered(&self) {
        let mut no_room = vec![0; self.stays.len()];
        for (number, message) in self.messages.iter().enumerate() {
            let Some(sender) = message.sender else { continue };
            // The end of a large message may have been lost with its sender's link.
            let cut_short =
                message.len > MAX_INLINE && matches!(self.stays[sender].ended, Some(Departure::Died | Departure::Cut));
            let missing = message.receivers.iter().filter(|(receiver, got)| !got && !self.has_ended(*receiver));
            let missing: Vec<usize> = missing.map(|(receiver, _)| *receiver).collect();
            if cut_short || missing.is_empty() {
                continue;
            }
            // Who no longer waits is not told that there was no room.
            let told = message.ask.is_none_or(|ask| self.asks[ask].dropped || self.asks[ask].outcome.is_some());
            let collected = missing.iter().all(|&receiver| self.is_collected_for(message, receiver));
            assert!(collected && told, "message {number} never reached {missing:?}: {message:?}");
            no_room[sender] += usize::from(message.ask.is_none());
        }
        for (number, ask) in self.asks.iter().enumerate() {
            let waits = ask.outcome.is_none() && !ask.dropped && !ask.ignored;
            assert!(!waits, "question {number} waits for ever: {ask:?}, {:?}", self.messages[ask.message]);
        }
        for (number, stay) in self.stays.iter().enumerate().filter(|(_, stay)| stay.ended.is_none() && stay.joined) {
            assert!(stay.presence.is_empty(), "{number} was not told all: {stay:?}");
            assert_eq!(no_room[number], stay.no_room, "messages of {number} were lost without a word");
            assert_eq!(stay.undeliverable, 0, "{number} was not told of what reached nobody");
        }
    }

    /// All deadlines are over.
    pub fn check_settled(&self) {
        for (number, ask) in self.asks.iter().enumerate() {
            assert!(ask.outcome.is_some() || ask.dropped, "question {number} never ended: {ask:?}");
        }
    }
}
