//! Nodes that lose their link and come back, here or on another bridge.

use super::bus::{Bus, Driven, frames, head, hello_from, joining, listen, name, number, routed, take};
use crate::bridge::link::LinkKey;
use crate::bridge::router::Limits;
use crate::error::Code;
use crate::node::sending::Letter;
use crate::wire::control::{decode_reject, put_about};
use crate::wire::frame::{Encoding, Head, PREAMBLE_LEN, decode_refusal, flag, kind};

pub(super) fn say(driven: &mut Driven, to: &str, text: &str) {
    let target = driven.client.target(to, "e");
    let (kind, encoding) = (kind::MESSAGE, Encoding::Json);
    let letter = Letter { kind, target, encoding, ask: None, correlation: 0, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(format!("[{text}]").as_bytes())).unwrap();
}

/// The numbers that a node's program is told.
fn heard(told: &[String]) -> Vec<u8> {
    let bodies = told.iter().filter_map(|told| told.split("Borrowed([91, ").nth(1));
    bodies.map(|rest| rest.split(',').next().unwrap().parse().unwrap()).collect()
}

/// Of several: which of them a program is told, as digits.
pub(super) fn digits(told: &[String]) -> String {
    heard(told).into_iter().map(char::from).collect()
}

impl Bus {
    /// The link breaks, and the bridge knows it.
    pub(super) fn break_link(&mut self, driven: &mut Driven) {
        driven.client.disconnected();
        self.lose(driven.key);
    }

    /// On another link, with all that both sides have to say.
    pub(super) fn reconnect(&mut self, driven: &mut Driven) -> Vec<String> {
        driven.key = self.connect();
        driven.client.connected();
        let mut told = self.carry(driven);
        told.extend(self.carry(driven));
        told
    }
}

#[test]
fn what_is_said_to_a_node_without_its_link_comes_when_it_is_back() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    say(&mut a, "b", "1");
    bus.carry(&mut a);
    bus.break_link(&mut b);
    say(&mut a, "b", "2");
    bus.carry(&mut a);
    assert!(a.client.pending() > 0, "nobody has it yet");
    let mut told = bus.reconnect(&mut b);
    bus.carry(&mut a);
    told.extend(bus.carry(&mut b));
    assert_eq!(digits(&told), "12");
    bus.carry(&mut a);
    assert_eq!(a.client.pending(), 0);
    bus.empty(&[a.key, b.key]);
}

/// A broadcast of `e`.
fn broadcast(driven: &mut Driven, text: &str) {
    let target = driven.client.target("", "e");
    let (kind, encoding) = (kind::BROADCAST, Encoding::Json);
    let letter = Letter { kind, target, encoding, ask: None, correlation: 0, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(format!("[{text}]").as_bytes())).unwrap();
}

#[test]
fn a_link_that_breaks_before_all_interests_were_said_costs_no_broadcast() {
    // The preamble and HELLO, then LISTENs of e, f and g.
    for said in 0..3 {
        let mut bus = Bus::new();
        let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
        ["e", "f", "g"].into_iter().for_each(|event| b.client.listen(event, true));
        bus.carry(&mut b);
        bus.break_link(&mut b);
        b.key = bus.connect();
        b.client.connected();
        let mut bytes = take(&mut b.client);
        let after = frames(&bytes[PREAMBLE_LEN..]);
        assert_eq!(after.len(), 4, "HELLO and three LISTENs");
        let left_out: usize = after.iter().skip(1 + said).map(|frame| frame.payload.len() + 6).sum();
        bytes.truncate(bytes.len() - left_out);
        bus.say(b.key, &bytes);
        bus.break_link(&mut b);
        broadcast(&mut a, "1");
        bus.carry(&mut a);
        assert!(a.client.pending() > 0, "after {said} of 3: b has yet to say whether it listens");
        let mut told = bus.reconnect(&mut b);
        bus.carry(&mut a);
        told.extend(bus.carry(&mut b));
        assert_eq!(digits(&told), "1", "after {said} of 3");
        bus.carry(&mut a);
        assert_eq!(a.client.pending(), 0);
        bus.empty(&[a.key, b.key]);
    }
}

#[test]
fn nothing_overtakes_what_is_to_be_said_again() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    bus.break_link(&mut b);
    say(&mut a, "b", "1");
    bus.carry(&mut a);
    let mut told = bus.reconnect(&mut b);
    // a has not read that it is to begin again.
    say(&mut a, "b", "2");
    let mut slices = [std::io::IoSlice::new(&[]); crate::outqueue::MAX_SLICES];
    let count = a.client.transmit(&mut slices);
    let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
    a.client.written(bytes.len());
    bus.say(a.key, &bytes);
    told.extend(bus.carry(&mut b));
    assert_eq!(digits(&told), "", "2 has to wait for 1");
    bus.carry(&mut a);
    assert_eq!(digits(&bus.carry(&mut b)), "12");
    bus.carry(&mut a);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn what_arrived_does_not_arrive_again_when_its_sender_could_not_know() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    say(&mut a, "b", "1");
    bus.carry(&mut a);
    assert_eq!(digits(&bus.carry(&mut b)), "1");
    bus.break_link(&mut a);
    assert!(a.client.pending() > 0, "it does not know");
    bus.reconnect(&mut a);
    assert_eq!(digits(&bus.carry(&mut b)), "");
    bus.carry(&mut a);
    assert_eq!(a.client.pending(), 0);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn a_place_is_given_up_in_time_and_senders_are_told() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    bus.break_link(&mut b);
    say(&mut a, "b", "1");
    bus.carry(&mut a);
    bus.wait(4_999);
    assert!(bus.carry(&mut a).is_empty());
    bus.wait(1);
    let told = bus.carry(&mut a);
    assert!(told[0].contains("Undeliverable") && told[0].contains("NodeLeft"), "{told:?}");
    assert_eq!(a.client.pending(), 0);
    bus.empty(&[a.key]);
}

#[test]
fn whoever_only_knows_its_session_does_not_get_its_place() {
    let mut bus = Bus::new();
    let a = bus.drive("a", 1);
    let thief = bus.drive_as("a", 1, 666);
    let heard = bus.hear(thief.key);
    assert!(heard.is_empty() && bus.router.link(thief.key).closing, "it was told why, and is closed");
    assert!(!bus.router.link(a.key).closing);
    bus.empty(&[a.key, thief.key]);
}

#[test]
fn another_process_takes_the_id_of_a_node_that_is_away_at_once() {
    let mut bus = Bus::new();
    let (mut a, mut old) = (bus.drive("a", 1), bus.drive("b", 2));
    bus.break_link(&mut old);
    let b = bus.drive("b", 3);
    assert!(!bus.router.link(b.key).closing);
    let late = bus.reconnect(&mut old);
    assert!(late.iter().any(|told| told.contains("DuplicateNode")), "{late:?}");
    bus.carry(&mut a);
    bus.empty(&[a.key, b.key, old.key]);
}

#[test]
fn a_new_bridge_waits_for_those_of_the_one_before() {
    let mut before = Bus::new();
    let (mut a, mut b) = (before.drive("a", 1), before.drive("b", 2));
    for driven in [&mut a, &mut b] {
        before.break_link(driven);
    }
    let mut bus = Bus::with_epoch(Limits::default(), 10);
    say(&mut a, "b", "1");
    say(&mut a, "nobody", "2");
    assert!(!bus.reconnect(&mut a).iter().any(|told| told.contains("UnknownNode")), "they may come");
    let mut told = bus.reconnect(&mut b);
    bus.carry(&mut a);
    told.extend(bus.carry(&mut b));
    assert_eq!(digits(&told), "1");
    bus.wait(5_000);
    let told = bus.carry(&mut a);
    assert!(told.iter().any(|told| told.contains("Undeliverable") && told.contains("UnknownNode")), "{told:?}");
    bus.empty(&[a.key, b.key]);
}

#[test]
fn a_sender_of_too_much_is_stopped_by_its_window_and_goes_on_when_there_is_room() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    for _ in 0..100 {
        say(&mut a, "b", &"7".repeat(10_000));
    }
    bus.carry(&mut a);
    assert!(bus.router.link(b.key).out.len() < 100_000, "the rest waits at a");
    let mut count = 0;
    while a.client.pending() > 0 {
        count += bus.carry(&mut b).iter().filter(|told| told.contains("Delivery")).count();
        bus.carry(&mut a);
    }
    assert_eq!(count, 100);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn a_stuck_receiver_for_whom_somebody_waits_is_cut() {
    let mut bus = Bus::new();
    let (mut a, b) = (bus.drive("a", 1), bus.drive("b", 2));
    for _ in 0..100 {
        say(&mut a, "b", &"7".repeat(10_000));
    }
    bus.carry(&mut a);
    bus.hear_bytes(b.key, usize::MAX);
    bus.wait(9_999);
    assert!(!bus.router.link(b.key).closing);
    bus.wait(1);
    let bytes = bus.hear_bytes(b.key, usize::MAX);
    let (code, _) = decode_reject(&bytes[6..]).unwrap();
    assert_eq!(code, Code::SlowNode);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn whoever_has_an_id_next_hears_nothing_before_what_was_kept_back_for_it() {
    let mut bus = Bus::new();
    let a = bus.drive("a", 1).key;
    let mut keeps_back = Vec::new();
    put_about(kind::SKIP, 0, "b", &mut keeps_back);
    bus.tell(a, &[keeps_back, name(1, "b"), name(2, "e")]);
    // a has not read yet that there is no b, when one comes and goes, and another comes.
    for seq in 1..=2 {
        let b = bus.join_legacy("b");
        bus.say(a, &routed(head(kind::BROADCAST, 0, seq), b"[1]"));
        assert_eq!(bus.hear_text(b), "", "what is kept back was said before");
        bus.lose(b);
    }
    bus.empty(&[a]);
}

#[test]
fn what_comes_too_late_for_whom_the_bridge_reads_is_refused() {
    let mut bus = Bus::new();
    let (a, b) = (bus.drive("a", 1).key, bus.join_legacy("b"));
    bus.tell(a, &[name(1, "b"), name(2, "e"), routed(head(kind::MESSAGE, 0, 2), b"[2]")]);
    let asks = Head { correlation: 7, ..head(kind::MESSAGE, flag::ASK, 1) };
    bus.say(a, &routed(asks, b"[1]"));
    assert!(!bus.hear_text(b).contains("[1]"), "it would come behind a later one");
    let heard = frames(&bus.hear_bytes(a, usize::MAX));
    let (head, body) = heard.iter().find(|heard| heard.kind == kind::REFUSE).expect("a refusal").routed();
    assert_eq!((head.correlation, decode_refusal(&body).unwrap().0), (7, Code::UnknownNode));
    bus.empty(&[a, b]);
}

/// A node of this session joins, or is back, and listens for one event.
fn listener(bus: &mut Bus, session: u64, id: &str, event: &str) -> LinkKey {
    let key = bus.connect();
    bus.say(key, &joining(&hello_from(session, id)));
    bus.tell(key, &[listen(event)]);
    bus.hear(key);
    key
}

#[test]
fn a_broadcast_said_again_is_settled_though_a_receiver_loses_its_first_saying_last() {
    let mut bus = Bus::new();
    let (a, b, c) = (listener(&mut bus, 7, "a", "f"), listener(&mut bus, 8, "b", "e"), listener(&mut bus, 9, "c", "e"));
    let names = [name(1, "b"), name(2, "e"), name(3, "c")].concat();
    let broadcast = |peer| routed(Head { peer, ..head(kind::BROADCAST, 0, 1) }, b"[1]");
    let about = |kind, from, id: &str| {
        let mut frame = Vec::new();
        put_about(kind, from, id, &mut frame);
        frame
    };
    let heard = |bus: &mut Bus, key| bus.hear_only(key, kind::BROADCAST).len();
    bus.lose(c);
    bus.tell(a, &[names.clone(), broadcast(0)]);
    assert_eq!(heard(&mut bus, b), 1, "b has it, and has not said so");
    // a is on another link, keeps back what is for b, and says it again to the others.
    bus.lose(a);
    let a = listener(&mut bus, 7, "a", "f");
    bus.tell(a, &[about(kind::SKIP, 1, "b"), names, broadcast(0)]);
    let c = listener(&mut bus, 9, "c", "e");
    assert_eq!(bus.hear_only(a, kind::RESEND).len(), 1, "for c");
    bus.tell(a, &[about(kind::REPLAY, 0, "c"), broadcast(3)]);
    assert_eq!(heard(&mut bus, c), 1);
    bus.say(c, &number(kind::ACK, 1));
    // Only now the first saying is lost, whose share nobody waits for: b's share of the second one has to stay.
    bus.lose(b);
    let b = listener(&mut bus, 8, "b", "e");
    let asked = bus.hear(a);
    assert!(asked.iter().all(|frame| frame.kind != kind::SETTLED), "b has yet to get it: {asked:?}");
    bus.tell(a, &[about(kind::REPLAY, 0, "b"), broadcast(1)]);
    assert_eq!(heard(&mut bus, b), 1);
    bus.say(b, &number(kind::ACK, 1));
    assert_eq!(bus.hear_only(a, kind::SETTLED).len(), 1, "all have it");
    bus.empty(&[a, b, c]);
}
