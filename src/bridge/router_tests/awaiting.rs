//! Nodes that wait for others to come and to listen, and those who take an id over.

use super::bus::{Bus, Driven, head, hello_from, joining, listen, name, number, routed};
use crate::bridge::link::{LinkKey, Peer};
use crate::error::Code;
use crate::node::sending::Letter;
use crate::wire::frame::{Encoding, Head, flag, kind};

/// Asks for `id`, listening for `event` if that is not empty.
fn wait_for(driven: &mut Driven, id: &str, event: &str) -> u32 {
    let target = driven.client.target("", event);
    let letter = Letter { kind: kind::AWAIT, target, encoding: Encoding::Json, ask: Some(0), correlation: 0, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(id.as_bytes())).unwrap()
}

/// The questions that were answered, with the bodies.
fn answers(bus: &mut Bus, driven: &mut Driven) -> Vec<String> {
    let mut told = bus.carry(driven);
    told.retain(|told| told.starts_with("Reply") || told.starts_with("Failed"));
    told
}

fn is_answer(told: &str, correlation: u32) -> bool {
    told.starts_with(&format!("Reply {{ correlation: {correlation},"))
}

#[test]
fn who_waits_is_answered_when_the_node_is_there_and_listens() {
    let mut bus = Bus::new();
    let mut a = bus.drive("a", 1);
    let (node, listener) = (wait_for(&mut a, "b", ""), wait_for(&mut a, "b", "e"));
    assert!(answers(&mut bus, &mut a).is_empty());
    assert_eq!(a.client.pending(), 0, "the question is settled, not answered");
    let b = bus.join("b");
    let told = answers(&mut bus, &mut a);
    assert!(told.len() == 1 && is_answer(&told[0], node), "{told:?}");
    bus.say(b, &listen("other"));
    assert!(answers(&mut bus, &mut a).is_empty());
    bus.say(b, &listen("e"));
    let told = answers(&mut bus, &mut a);
    assert!(told.len() == 1 && is_answer(&told[0], listener), "{told:?}");
    let again = wait_for(&mut a, "b", "e");
    let told = answers(&mut bus, &mut a);
    assert!(told.len() == 1 && is_answer(&told[0], again), "at once: {told:?}");
    bus.empty(&[a.key, b]);
}

#[test]
fn who_gives_up_or_leaves_waits_no_longer() {
    let mut bus = Bus::new();
    let (mut a, mut c) = (bus.drive("a", 1), bus.drive("c", 3));
    bus.events();
    let given_up = wait_for(&mut a, "b", "");
    wait_for(&mut c, "b", "");
    answers(&mut bus, &mut a);
    answers(&mut bus, &mut c);
    a.client.cancel(given_up);
    answers(&mut bus, &mut a);
    assert!(bus.events().is_empty(), "the host was not asked");
    bus.router.disconnect(c.key, crate::bridge::member::Departure::Left);
    let b = bus.join("b");
    assert!(answers(&mut bus, &mut a).is_empty());
    bus.empty(&[a.key, b]);
}

#[test]
fn who_waits_goes_on_waiting_over_another_link_and_is_told_when_the_bridge_is_another() {
    let mut bus = Bus::new();
    let mut a = bus.drive("a", 1);
    wait_for(&mut a, "b", "");
    answers(&mut bus, &mut a);
    bus.break_link(&mut a);
    let b = bus.join("b");
    let told = bus.reconnect(&mut a);
    assert!(told.iter().any(|told| told.starts_with("Reply")), "{told:?}");
    wait_for(&mut a, "nobody", "");
    answers(&mut bus, &mut a);
    bus.break_link(&mut a);
    let mut second = Bus::with_epoch(crate::bridge::router::Limits::default(), 2);
    let told = second.reconnect(&mut a);
    assert!(told.iter().any(|told| told.contains("NodeLeft")), "it asks again: {told:?}");
    bus.empty(&[b]);
}

#[test]
fn what_waits_is_bounded_and_well_formed() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    bus.tell(a, &[name(1, "e")]);
    let asked = |seq: u64| Head { peer: 0, event: 1, correlation: seq as u32, ..head(kind::AWAIT, flag::ASK, seq) };
    let all: Vec<Vec<u8>> = (1..=4097).map(|seq| routed(asked(seq), format!("n{seq}").as_bytes())).collect();
    bus.tell(a, &all);
    let refused = bus.hear_only(a, kind::REFUSE);
    assert_eq!(refused.len(), 1);
    bus.tell(a, &[routed(asked(4098), b"a:b")]);
    assert_eq!(bus.reason(a), Code::Protocol);
    bus.empty(&[a]);
    for bad in [routed(Head { correlation: 0, ..head(kind::AWAIT, 0, 1) }, b"b"), number(kind::AWAIT, 1)] {
        let mut bus = Bus::new();
        let a = bus.join("a");
        bus.say(a, &bad);
        assert_eq!(bus.reason(a), Code::Protocol);
    }
}

/// A node of user `uid` says HELLO.
fn arrives(bus: &mut Bus, uid: Option<u32>, session: u64, replaces: bool) -> LinkKey {
    let now = bus.now;
    let key = bus.router.connect(Peer { uid, ..Peer::default() }, now);
    let hello = crate::wire::control::Hello { replaces, ..hello_from(session, "a") };
    bus.say(key, &joining(&hello));
    key
}

#[test]
fn an_id_is_taken_over_by_the_same_user_if_it_wants_that() {
    let mut bus = Bus::new();
    let watcher = bus.join("watcher");
    bus.say(watcher, &listen("node:leave"));
    let first = arrives(&mut bus, Some(7), 1, false);
    bus.hear(first);
    for (uid, replaces) in [(Some(7), false), (Some(8), true), (None, true)] {
        let refused = arrives(&mut bus, uid, 2, replaces);
        assert_eq!(bus.reason(refused), Code::DuplicateNode, "{uid:?}");
        bus.lose(refused);
    }
    let second = arrives(&mut bus, Some(7), 3, true);
    assert!(!bus.router.link(second).closing);
    assert_eq!(bus.reason(first), Code::Replaced);
    let left = bus.hear_only(watcher, kind::BROADCAST).pop().unwrap();
    assert!(String::from_utf8(left.routed().1).unwrap().contains("\"replaced\""));
    bus.empty(&[watcher, first, second]);
}
