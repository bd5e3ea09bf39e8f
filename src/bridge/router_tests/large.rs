//! Large messages: forwarded piece by piece, put together for those who cannot take pieces, taken back.

use super::bus::{Bus, PENDING, chunk, head, listen, name, number, opening, routed};
use crate::bridge::host::Event;
use crate::bridge::link::LinkKey;
use crate::wire::control::Settled;
use crate::wire::frame::{Head, decode_large_head, flag, kind};

static PART: [u8; 50_000] = [b'x'; 50_000];

/// a can write to b, whatever b speaks.
fn pair(legacy: bool) -> (Bus, LinkKey, LinkKey) {
    let mut bus = Bus::new();
    let a = bus.join("a");
    let b = if legacy { bus.join_legacy("b") } else { bus.join("b") };
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    (bus, a, b)
}

fn kinds(bus: &mut Bus, key: LinkKey) -> Vec<u8> {
    bus.hear(key)
        .into_iter()
        .filter(|heard| ![kind::NAME, kind::PEER].contains(&heard.kind))
        .map(|heard| heard.kind)
        .collect()
}

/// JSON of three parts: a string that spans them.
fn json() -> [Vec<u8>; 3] {
    [[b"[\"", &PART[..]].concat(), PART.to_vec(), [&PART[..], b"\"]"].concat()]
}

fn total(parts: &[Vec<u8>]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

#[test]
fn small_messages_pass_between_the_pieces_of_a_large_one() {
    let (mut bus, a, b) = pair(false);
    bus.tell(a, &[opening(head(kind::MESSAGE, 0, 1), 7, 100_000), chunk(7, 0, &PART)]);
    assert_eq!(kinds(&mut bus, b), [kind::MESSAGE, kind::CHUNK], "nothing is collected");
    bus.tell(a, &[routed(head(kind::MESSAGE, 0, 2), b"[]"), chunk(7, 0, &PART)]);
    assert_eq!(kinds(&mut bus, b), [kind::MESSAGE, kind::CHUNK]);
    bus.say(b, &number(kind::ACK, 4));
    let settled = bus.hear_only(a, kind::SETTLED);
    let numbers: Vec<u64> = settled.iter().map(|heard| Settled::decode(&heard.payload).unwrap().first).collect();
    assert_eq!(numbers, [2, 1], "each when its last frame has come");
    bus.empty(&[a, b]);
}

#[test]
fn streams_of_different_senders_get_different_numbers() {
    let (mut bus, a, b) = pair(false);
    let c = bus.join("c");
    bus.tell(c, &[name(1, "b"), name(2, "e")]);
    bus.say(a, &opening(head(kind::MESSAGE, 0, 1), 7, 50_000));
    bus.say(c, &opening(head(kind::MESSAGE, 0, 1), 7, 50_000));
    let openings = bus.hear_only(b, kind::MESSAGE);
    let streams: Vec<u32> = openings.iter().map(|heard| decode_large_head(&heard.routed().1).unwrap().0).collect();
    assert_ne!(streams[0], streams[1]);
    bus.empty(&[a, b, c]);
}

#[test]
fn a_large_message_to_nobody_is_refused_once_and_its_pieces_passed_over() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    bus.tell(a, &[name(1, "nobody"), name(2, "e"), opening(head(kind::MESSAGE, 0, 1), 1, 100_000)]);
    assert_eq!(bus.hear_only(a, kind::REFUSE).len(), 1);
    bus.tell(a, &[chunk(1, 0, &PART), chunk(1, 0, &PART)]);
    assert!(bus.hear(a).is_empty() && !bus.router.link(a).closing);
    bus.say(a, &chunk(1, 0, b"x"));
    assert!(bus.router.link(a).closing, "it was complete");
    bus.empty(&[a]);
}

#[test]
fn what_a_dead_sender_began_is_taken_back() {
    let (mut bus, a, b) = pair(false);
    bus.tell(a, &[opening(head(kind::MESSAGE, 0, 1), 1, 100_000), chunk(1, 0, &PART)]);
    bus.hear(b);
    bus.lose(a);
    assert_eq!(bus.hear_only(b, kind::CHUNK).iter().map(|chunk| chunk.flags).collect::<Vec<_>>(), [flag::ABORT]);
    bus.say(b, &number(kind::ACK, 3));
    assert!(!bus.router.link(b).closing);
    bus.empty(&[b]);
}

#[test]
fn what_a_liar_began_is_taken_back() {
    for legacy in [false, true] {
        let (mut bus, a, b) = pair(legacy);
        bus.tell(a, &[opening(head(kind::MESSAGE, 0, 1), 1, 10), chunk(1, 0, b"more than ten bytes")]);
        assert!(bus.router.link(a).closing);
        if !legacy {
            let chunks = bus.hear_only(b, kind::CHUNK);
            assert_eq!(chunks.last().map(|chunk| chunk.flags), Some(flag::ABORT));
        }
        bus.empty(&[a, b]);
    }
}

#[test]
fn a_message_taken_back_is_settled_whoever_it_was_for() {
    for (kind, legacy) in [(kind::MESSAGE, false), (kind::MESSAGE, true), (kind::BROADCAST, true), (kind::RPC, false)] {
        let (mut bus, a, b) = pair(legacy);
        bus.tell(a, &[opening(head(kind, 0, 1), 1, 100_000), chunk(1, 0, &PART), chunk(1, flag::ABORT, b"")]);
        if !legacy && kind == kind::MESSAGE {
            bus.say(b, &number(kind::ACK, 3));
        }
        assert_eq!(bus.hear_only(a, kind::SETTLED).len(), 1, "kind {kind} to legacy {legacy}");
        bus.empty(&[a, b]);
    }
}

#[test]
fn a_listener_that_leaves_midway_is_not_waited_for() {
    let (mut bus, a, b) = pair(false);
    let c = bus.join("c");
    bus.say(b, &listen("e"));
    bus.say(c, &listen("e"));
    bus.tell(a, &[opening(head(kind::BROADCAST, 0, 1), 1, 100_000), chunk(1, 0, &PART)]);
    bus.lose(c);
    bus.say(a, &chunk(1, 0, &PART));
    bus.say(b, &number(kind::ACK, 3));
    assert_eq!(bus.hear_only(a, kind::SETTLED).len(), 1);
    bus.empty(&[a, b]);
}

#[test]
fn the_originals_peers_get_a_large_message_whole() {
    let (mut bus, a, b) = pair(true);
    let parts = json();
    bus.say(a, &opening(head(kind::MESSAGE, 0, 1), 1, total(&parts)));
    bus.tell(a, &[chunk(1, 0, &parts[0]), chunk(1, 0, &parts[1])]);
    assert_eq!(bus.hear_text(b), "");
    bus.say(a, &chunk(1, 0, &parts[2]));
    assert_eq!(
        bus.hear_text(b).len(),
        150_000 + "{\"id\":\"bridge-2\",\"method\":\"PUBLISH\",\"data\":[\"a\",0,\"e\",[\"\"]]}\0".len()
    );
    assert_eq!(bus.hear_only(a, kind::SETTLED).len(), 1);
    bus.empty(&[a, b]);
}

#[test]
fn the_host_gets_a_large_call_whole() {
    let (mut bus, a, b) = pair(false);
    bus.events();
    bus.tell(a, &[opening(head(kind::RPC, 0, 1), 1, 90_000), chunk(1, 0, &PART), chunk(1, 0, &PART[..40_000])]);
    let Some(Event::Rpc(call)) = bus.events().pop() else { panic!("no call") };
    assert_eq!((call.body.len(), &*call.method), (90_000, "e"));
    bus.router.host_took(90_000);
    bus.empty(&[a, b]);
}

#[test]
fn order_holds_behind_what_is_collected() {
    let (mut bus, a, b) = pair(true);
    bus.events();
    let parts = json();
    bus.say(a, &opening(head(kind::MESSAGE, 0, 1), 1, total(&parts)));
    bus.say(a, &opening(head(kind::RPC, 0, 2), 2, 50_000));
    bus.say(a, &routed(head(kind::MESSAGE, 0, 3), b"[\"behind\"]"));
    bus.say(a, &routed(head(kind::RPC, 0, 4), b"[\"behind\"]"));
    bus.tell(a, &parts.map(|part| chunk(1, 0, &part)));
    bus.say(a, &chunk(2, 0, &PART));
    let text = bus.hear_text(b);
    assert!(text.find("xxx") < text.find("behind") && text.contains("behind"));
    let lengths: Vec<usize> =
        bus.events().iter().map(|event| if let Event::Rpc(call) = event { call.body.len() } else { 0 }).collect();
    assert_eq!(lengths, [50_000, 10]);
    lengths.into_iter().for_each(|length| bus.router.host_took(length));
    bus.empty(&[a, b]);
}

#[test]
fn a_sender_of_large_messages_is_held_too() {
    let (mut bus, a, b) = pair(true);
    let parts = json();
    for stream in 1..100 {
        if bus.router.is_held(a) {
            break;
        }
        bus.say(a, &opening(head(kind::MESSAGE, 0, stream.into()), stream, total(&parts)));
        parts.iter().for_each(|part| bus.say(a, &chunk(stream, 0, part)));
    }
    assert!(bus.router.link(b).out.len() < PENDING + 200_000);
    bus.empty(&[a, b]);
}

#[test]
fn what_is_collected_is_bounded() {
    let (mut bus, a, b) = pair(true);
    for stream in 1..=100 {
        if bus.router.link(a).closing || bus.router.is_held(a) {
            return bus.empty(&[a, b]);
        }
        bus.say(a, &opening(head(kind::RPC, 0, stream.into()), stream, 1 << 20));
        bus.say(a, &chunk(stream, 0, &PART));
    }
    let refused = bus.hear_only(a, kind::REFUSE).len();
    assert_eq!(refused, 36, "of 100 MiB only 64 are collected");
    bus.empty(&[a, b]);
}

#[test]
fn a_link_has_only_so_many_large_messages_open() {
    let (mut bus, a, b) = pair(false);
    for stream in 1..=1_024 {
        bus.say(a, &opening(Head { seq: stream.into(), ..head(kind::MESSAGE, 0, 1) }, stream, 10));
    }
    assert!(!bus.router.link(a).closing);
    bus.say(a, &opening(head(kind::MESSAGE, 0, 1_025), 1_025, 10));
    assert!(bus.router.link(a).closing);
    bus.empty(&[a, b]);
}
