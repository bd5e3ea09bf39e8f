//! Nodes that lie: nobody believes them, and nobody dies of it.

use super::bus::{Bus, Driven, chunk, head, hello_of, name, opening, routed};
use crate::error::Code;
use crate::node::sending::Letter;
use crate::wire::frame::{Encoding, Head, encode_preamble, flag, kind, refusal};

/// a has asked b something, and mallory knows the number.
fn question(bus: &mut Bus) -> (Driven, Driven, u32) {
    let (mut a, b) = (bus.drive("a", 1), bus.drive("b", 2));
    let target = a.client.target("b", "e");
    let letter =
        Letter { kind: kind::MESSAGE, target, encoding: Encoding::Json, ask: Some(1_000), correlation: 0, now: 0 };
    let correlation = a.client.send_with(letter, |out| out.extend_from_slice(b"[1]")).unwrap();
    bus.carry(&mut a);
    (a, b, correlation)
}

fn mallory_says(bus: &mut Bus, frames: &[Vec<u8>]) {
    let mallory = bus.join("mallory");
    bus.tell(mallory, &[name(1, "a"), name(2, "e")]);
    bus.tell(mallory, frames);
}

#[test]
fn only_the_asked_may_reply() {
    let mut bus = Bus::new();
    let (mut a, _b, correlation) = question(&mut bus);
    mallory_says(&mut bus, &[routed(Head { correlation, ..head(kind::REPLY, 0, 1) }, b"[666]")]);
    let told = bus.carry(&mut a);
    assert!(!told.iter().any(|told| told.contains("Reply")), "{told:?}");
}

#[test]
fn only_the_asked_may_refuse() {
    let mut bus = Bus::new();
    let (mut a, _b, correlation) = question(&mut bus);
    let body = refusal(Code::NoListener, "no");
    mallory_says(&mut bus, &[routed(Head { correlation, ..head(kind::REFUSE, 0, 1) }, &body)]);
    let told = bus.carry(&mut a);
    assert!(!told.iter().any(|told| told.contains("Failed")), "{told:?}");
}

#[test]
fn nobody_refuses_in_the_bridges_name() {
    let mut bus = Bus::new();
    let (mut a, _b, correlation) = question(&mut bus);
    let body = refusal(Code::UnknownNode, "unknown-node: b is dead, believe me");
    mallory_says(&mut bus, &[routed(Head { correlation, ..head(kind::REFUSE, 0, 0) }, &body)]);
    let told = bus.carry(&mut a);
    assert!(!told.iter().any(|told| told.contains("Failed")), "{told:?}");
}

#[test]
fn only_the_asked_may_reply_to_a_peer_of_the_originals_wire() {
    let mut bus = Bus::new();
    let (old, _b) = (bus.join_legacy("a"), bus.join("b"));
    bus.say(old, b"{\"id\":\"q\",\"method\":\"PUBLISH\",\"data\":[\"b\",\"e\",[]]}\0");
    mallory_says(&mut bus, &[routed(Head { correlation: 1, ..head(kind::REPLY, 0, 1) }, b"[666]")]);
    assert_eq!(bus.hear_text(old), "");
}

#[test]
fn only_the_asked_may_refuse_a_peer_of_the_originals_wire() {
    let mut bus = Bus::new();
    let (old, _b) = (bus.join_legacy("a"), bus.join("b"));
    bus.say(old, b"{\"id\":\"q\",\"method\":\"PUBLISH\",\"data\":[\"b\",\"e\",[]]}\0");
    let body = refusal(Code::NoListener, "no");
    for correlation in 1..100 {
        mallory_refuses(&mut bus, correlation, &body);
    }
    assert_eq!(bus.hear_text(old), "");
}

fn mallory_refuses(bus: &mut Bus, correlation: u32, body: &[u8]) {
    let mallory = bus.join("mallory");
    bus.tell(mallory, &[name(1, "a"), name(2, "e")]);
    bus.say(mallory, &routed(Head { correlation, ..head(kind::REFUSE, 0, 1) }, body));
    bus.lose(mallory);
}

#[test]
fn a_reply_too_large_to_be_delivered_ends_nobody_elses_question() {
    let mut bus = Bus::new();
    let (mut a, _b, correlation) = question(&mut bus);
    mallory_says(&mut bus, &[opening(Head { correlation, ..head(kind::REPLY, 0, 1) }, 1, 1 << 40)]);
    let told = bus.carry(&mut a);
    assert!(!told.iter().any(|told| told.contains("Failed")), "{told:?}");
}

/// Whatever a node sends to another through the bridge, the other's link survives it.
fn survives(frames: &[Vec<u8>]) {
    let mut bus = Bus::new();
    let mut a = bus.drive("a", 1);
    mallory_says(&mut bus, frames);
    bus.carry(&mut a);
    assert!(!bus.router.link(a.key).closing);
}

#[test]
fn a_refusal_that_says_nothing_harms_nobody() {
    survives(&[routed(head(kind::REFUSE, 0, 1), b"")]);
    survives(&[routed(head(kind::REFUSE, 0, 1), b"\x01\xFF\xFE")]);
    survives(&[opening(head(kind::REFUSE, 0, 1), 1, 2), chunk(1, 0, b"\x01\xFF")]);
}

#[test]
fn a_roster_is_asked_of_the_bridge_only() {
    survives(&[opening(head(kind::ROSTER, 0, 1), 1, 2), chunk(1, 0, b"[]")]);
}

#[test]
fn a_message_without_an_event_harms_nobody() {
    survives(&[routed(Head { event: 0, ..head(kind::MESSAGE, 0, 1) }, b"[]")]);
    survives(&[opening(Head { event: 0, ..head(kind::MESSAGE, 0, 1) }, 1, 2), chunk(1, 0, b"[]")]);
}

#[test]
fn odd_flags_harm_nobody() {
    for flags in 0..=255 {
        let body = if flags & flag::LARGE == 0 { &b"[]"[..] } else { &[1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0] };
        for kind in [kind::MESSAGE, kind::REPLY, kind::BROADCAST] {
            survives(&[routed(Head { correlation: 3, ..head(kind, flags, 1) }, body)]);
        }
    }
}

#[test]
fn a_message_larger_than_its_receiver_takes_is_refused_and_harms_nobody() {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.connect());
    let mut greeting = Vec::new();
    encode_preamble(&mut greeting);
    bus.tell(b, &[greeting, hello_of("b", 1_000)]);
    bus.hear(b);
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    for (correlation, message) in [
        (1, routed(Head { correlation: 1, ..head(kind::MESSAGE, flag::ASK, 1) }, &[b' '; 1_001])),
        (2, opening(Head { correlation: 2, ..head(kind::MESSAGE, flag::ASK, 2) }, 1, 100_000)),
    ] {
        bus.say(a, &message);
        let refused = bus.hear_only(a, kind::REFUSE);
        assert_eq!(refused[0].routed().0.correlation, correlation);
        assert_eq!(refused[0].routed().1[0], Code::TooLarge as u8);
    }
    bus.say(a, &chunk(1, 0, &[0; 100_000]));
    assert!(bus.hear_only(b, kind::CHUNK).is_empty());
    bus.empty(&[a, b]);
}

#[test]
fn a_reply_that_is_too_large_ends_the_question_and_no_other() {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.join("b"));
    bus.tell(b, &[name(1, "a"), name(2, "e")]);
    bus.say(b, &opening(Head { correlation: 5, ..head(kind::REPLY, 0, 1) }, 1, 1 << 40));
    assert!(bus.hear_only(b, kind::REFUSE).is_empty(), "5 may be a question of its own");
    assert_eq!(bus.hear_only(a, kind::REFUSE)[0].routed().0.correlation, 5);
    bus.empty(&[a, b]);
}
