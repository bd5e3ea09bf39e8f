//! Nodes that find fault with what the bridge says to them, each time.

use super::bus::{Bus, Driven, head, name, routed, take};
use super::resuming::{digits, say};
use crate::error::Code;
use crate::wire::control::put_reject;
use crate::wire::frame::{Head, kind};

impl Bus {
    /// The node reads what has come. A frame with `poison` in it is malformed to it: it says so, and is back on another link.
    /// Returns what its program is told, and whether it came to that.
    fn read_carefully(&mut self, driven: &mut Driven, poison: &str) -> (Vec<String>, bool) {
        let (mut told, mut input) = (Vec::new(), self.hear_bytes(driven.key, usize::MAX));
        let at = input.windows(poison.len()).position(|part| part == poison.as_bytes());
        if let Some(at) = at {
            // A routed frame's body begins behind 24 bytes; the slot of the event is at 8.
            input[at - 24 + 8..at - 24 + 10].fill(0xFF);
        }
        let mut frames = driven.client.frames(input.into()).unwrap();
        while let Some(frame) = frames.next() {
            match driven.client.handle_frame(&frame) {
                Ok(event) => told.extend(event.map(|event| format!("{event:?}"))),
                Err(error) => {
                    assert_eq!(error.code(), Code::Protocol.as_str());
                    let last_words = take(&mut driven.client);
                    self.say(driven.key, &last_words);
                    self.lose(driven.key);
                    driven.client.disconnected();
                    driven.key = self.connect();
                    driven.client.connected();
                    let hello = take(&mut driven.client);
                    self.say(driven.key, &hello);
                    return (told, true);
                }
            }
        }
        let rest = take(&mut driven.client);
        self.say(driven.key, &rest);
        (told, false)
    }
}

#[test]
fn what_a_receiver_rejects_three_times_is_refused_and_the_rest_comes() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    for text in ["1", "666", "2", "3"] {
        say(&mut a, "b", text);
    }
    let (mut told, mut said, mut rejections) = (Vec::new(), Vec::new(), 0);
    for _ in 0..10 {
        said.extend(bus.carry(&mut a));
        let (news, rejected) = bus.read_carefully(&mut b, "[666]");
        told.extend(news);
        rejections += u32::from(rejected);
    }
    assert_eq!((digits(&told).as_str(), rejections), ("123", 3));
    assert!(said.iter().any(|said| said.contains("Undeliverable") && said.contains("Protocol")), "{said:?}");
    assert_eq!((a.client.pending(), bus.counters.undeliverable.get(), bus.counters.resumed.get()), (0, 1, 3));
}

#[test]
fn what_was_malformed_once_comes_when_it_is_said_again() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    say(&mut a, "b", "7");
    bus.carry(&mut a);
    assert!(bus.read_carefully(&mut b, "[7]").1);
    bus.carry(&mut b);
    bus.carry(&mut a);
    assert_eq!(digits(&bus.carry(&mut b)), "7");
}

#[test]
fn what_is_rejected_and_is_nobodys_message_costs_the_node_its_place() {
    let mut bus = Bus::new();
    let mut a = bus.drive("a", 1);
    let mut reject = Vec::new();
    put_reject(Code::Protocol, "no", &mut reject);
    for there in [true, true, false] {
        bus.say(a.key, &reject);
        assert_eq!(bus.router.ids().contains("a"), there);
        bus.break_link(&mut a);
        bus.reconnect(&mut a);
    }
    let mut slow = Vec::new();
    put_reject(Code::SlowNode, "no", &mut slow);
    for code in [&reject, &slow, &reject, &slow, &slow] {
        bus.say(a.key, code);
        assert!(bus.router.ids().contains("a"), "only what is malformed counts");
        bus.break_link(&mut a);
        bus.reconnect(&mut a);
    }
}

#[test]
fn of_those_who_keep_nothing_no_message_is_remembered() {
    let mut bus = Bus::new();
    let (old, mut b) = (bus.join("old"), bus.drive("b", 2));
    let mut reject = Vec::new();
    put_reject(Code::Protocol, "no", &mut reject);
    bus.tell(old, &[name(1, "b"), name(2, "e")]);
    for _ in 0..4 {
        let said = routed(Head { peer: 1, event: 2, ..head(kind::MESSAGE, 0, 1) }, b"[1]");
        bus.say(old, &said);
        bus.say(b.key, &reject);
        bus.break_link(&mut b);
        bus.reconnect(&mut b);
    }
    bus.say(old, &routed(Head { peer: 1, event: 2, ..head(kind::MESSAGE, 0, 1) }, b"[1]"));
    assert_eq!(digits(&bus.carry(&mut b)), "1");
}
