//! A node of the simulation that speaks the original's wire, written as its users wrote theirs: JSON and NUL bytes.

use std::collections::HashMap;

use bytes::BytesMut;
use serde_json::Value;

use super::body;
use super::cable::Cable;
use super::ledger::Ledger;
use super::random::Random;
use crate::error::Code;
use crate::wire::frame::kind;

/// The node. Every connection of it is another process.
#[derive(Debug)]
pub struct Legacy {
    id: String,
    pub life: usize,
    out: Vec<u8>,
    input: BytesMut,
    asks: HashMap<String, usize>,
    last_id: u64,
    owed: Vec<(String, Value, usize)>,
    pings: usize,
    pub has_left: bool,
    leaving: bool,
    rejected: bool,
}

impl Legacy {
    /// A node without a link.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            life: usize::MAX,
            out: Vec::new(),
            input: BytesMut::new(),
            asks: HashMap::new(),
            last_id: 0,
            owed: Vec::new(),
            pings: 0,
            has_left: false,
            leaving: false,
            rejected: false,
        }
    }

    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn object(&mut self, method: &str, data: &str) -> (String, String) {
        self.last_id += 1;
        let id = format!("{}-{}", self.id, self.last_id);
        let node = &self.id;
        let text = format!("{{\"id\":\"{id}\",\"method\":\"{method}\",\"data\":{data},\"nodeName\":\"{node}\"}}\0");
        (id, text)
    }

    /// A connection is made: introduces itself.
    pub fn connect(&mut self, ledger: &mut Ledger) {
        *self = Self { life: ledger.begin(&self.id, false), ..Self::new(&self.id) };
        let (_, text) = self.object("IDENT", "[]");
        self.say(&text);
    }

    /// The connection is gone, and with it the process.
    pub fn lose(&mut self, cable: &mut Cable, ledger: &mut Ledger) {
        cable.at_node = false;
        ledger.end(self.life);
        for (_, ask) in self.asks.drain() {
            ledger.asks[ask].dropped = true;
        }
    }

    /// Writes at most `most` bytes.
    pub fn write(&mut self, cable: &mut Cable, most: usize) -> bool {
        let room = most.min(self.out.len()).min((200 * 1024usize).saturating_sub(cable.up.len()));
        cable.up.push(&self.out[..room]);
        self.out.drain(..room);
        room > 0
    }

    /// Reads at most `most` bytes.
    pub fn read(&mut self, cable: &mut Cable, most: usize, random: &mut Random, ledger: &mut Ledger) -> bool {
        let input = cable.down.read(most);
        self.input.extend_from_slice(&input);
        // It said nothing for too long, and is told so in the only language the bridge could assume.
        self.rejected |= self.input.first() == Some(&0xBB);
        if self.rejected {
            self.input.clear();
        }
        while let Some(end) = self.input.iter().position(|byte| *byte == 0) {
            let message = self.input.split_to(end + 1);
            self.hear(&message[..end], random, ledger);
        }
        !input.is_empty()
    }

    // ---- the program --------------------------------------------------------------------------------------------

    fn hear(&mut self, message: &[u8], random: &mut Random, ledger: &mut Ledger) {
        if message == b"pong" {
            self.pings = self.pings.checked_sub(1).expect("a pong for every ping");
            return;
        }
        let parsed: Result<Value, _> = serde_json::from_slice(message);
        let message = parsed.unwrap_or_else(|_| panic!("not JSON: {:?}", String::from_utf8_lossy(message)));
        let data = message["data"].as_array().expect("data is an array");
        match message["method"].as_str().expect("there is a method") {
            "BROADCAST" => {
                let body = Value::from(&data[1..]).to_string();
                let number = body::read(body.as_bytes());
                ledger.delivered(self.life, number, None, text(&data[0]), body.len());
            }
            "PUBLISH" => {
                let (from, id, body) = (text(&data[0]), &data[1], data[3].to_string());
                let number = body::read(body.as_bytes());
                ledger.delivered(self.life, number, Some(from), text(&data[2]), body.len());
                if let Some(ask) = ledger.messages[number].ask {
                    let owed = (from.to_owned(), id.clone(), ask);
                    match random.below(10) {
                        0 if ledger.asks[ask].deadline.is_some() => ledger.asks[ask].ignored = true,
                        1..4 => self.owed.push(owed),
                        _ => self.answer(owed, random, ledger),
                    }
                }
            }
            "ACK" => self.acknowledged(data, ledger),
            other => panic!("{other} is not a bridge's to say"),
        }
    }

    fn acknowledged(&mut self, data: &[Value], ledger: &mut Ledger) {
        if data[1] == Value::Array(Vec::new()) {
            self.has_left = true;
            return;
        }
        let Some(ask) = self.asks.remove(text(&data[0])) else {
            // IDENT's own, or a question that ended with a process before this one.
            let fair = data[1][0].is_null() || data[1][0] == "duplicate-node";
            return assert!(fair, "an answer to nothing: {data:?}");
        };
        let question = &ledger.messages[ledger.asks[ask].message];
        let code = match &data[1][0] {
            Value::String(error) if error == "unknown-node" => Code::UnknownNode,
            Value::String(error) if error == "node-left" => Code::NodeLeft,
            Value::String(error) if error == "no such method" => Code::NoMethod,
            Value::String(error) if error == "no" => Code::NoListener,
            Value::String(error) if error.contains("rejected this message") => Code::Protocol,
            Value::String(error)
                if ["has not taken", "take no chunks", "too much waits"].iter().any(|full| error.contains(full)) =>
            {
                Code::QueueFull
            }
            _ => {
                let from = Some(question.to.clone()).filter(|to| !to.is_empty());
                let body = data[1].to_string();
                let number = body::read(body.as_bytes());
                return ledger.replied(self.life, ask, number, (from.as_deref(), body.len()));
            }
        };
        ledger.failed(ask, code, 0);
    }

    /// Answers one question that waits.
    pub fn answer_owed(&mut self, random: &mut Random, ledger: &mut Ledger) -> bool {
        let Some(owed) = self.owed.pop() else { return false };
        self.answer(owed, random, ledger);
        true
    }

    fn answer(&mut self, (to, id, ask): (String, Value, usize), random: &mut Random, ledger: &mut Ledger) {
        if self.leaving {
            return;
        }
        let (number, body) = compose(self.life, (kind::REPLY, &to, ""), Some(ask), random, ledger);
        let (_, text) = self.object("ACK", &format!("[\"{to}\",{id},{body}]"));
        ledger.messages[number].len = body.len();
        self.say(&text);
    }

    /// Sends something of `kind`.
    pub fn send(&mut self, (kind, to, event): (u8, &str, &str), random: &mut Random, ledger: &mut Ledger) {
        if self.leaving {
            return;
        }
        let (number, body) = compose(self.life, (kind, to, event), None, random, ledger);
        let (method, data) = match kind {
            kind::RPC => ("RPC", format!("[\"{event}\",{body}]")),
            kind::MESSAGE => ("PUBLISH", format!("[\"{to}\",\"{event}\",{body}]")),
            _ => ("BROADCAST", format!("[\"{event}\",{}", &body[1..])),
        };
        let (id, text) = self.object(method, &data);
        if kind != kind::BROADCAST {
            self.asks.insert(id, ledger.ask(number, None));
        }
        ledger.messages[number].len = body.len();
        self.say(&text);
    }

    /// Are you there?
    pub fn ping(&mut self) {
        if !self.leaving {
            self.pings += 1;
            self.say("PING");
        }
    }

    /// Says goodbye.
    pub fn leave(&mut self) {
        if !std::mem::replace(&mut self.leaving, true) {
            let (_, text) = self.object("LEAVE", "[]");
            self.say(&text);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn compose(
    life: usize,
    what: (u8, &str, &str),
    answers: Option<usize>,
    random: &mut Random,
    ledger: &mut Ledger,
) -> (usize, String) {
    let len = match random.below(100) {
        0 => 66_000 + random.below(100_000),
        _ => random.below(200),
    };
    let number = ledger.send(life, what, answers);
    let body = body::write(number, len);
    ledger.messages[number].len = body.len();
    (number, String::from_utf8(body).expect("bodies are text"))
}
