//! Who comes in, and how; who is told; what is no node of ours.

use super::bus::{Bus, greeting, hello, hello_from, joining, listen, name, number, routed};
use crate::bridge::host::Event;
use crate::bridge::link::Peer;
use crate::bridge::member::Departure;
use crate::error::Code;
use crate::wire::control::{Gone, Hello, Welcome, decode_reject, put_bare};
use crate::wire::frame::{Head, MAGIC, flag, kind};
use crate::wire::time_left::TimeLeft;

#[test]
fn a_node_is_welcomed_however_slowly_it_speaks() {
    let mut bus = Bus::new();
    let key = bus.connect();
    for byte in greeting("a") {
        assert!(bus.router.link(key).member.is_none());
        bus.say(key, &[byte]);
    }
    let heard = bus.hear(key);
    assert_eq!(Welcome::decode(&heard[0].payload).unwrap().epoch, 9);
    assert_eq!((heard.len(), bus.events().len()), (1, 1));
    bus.empty(&[key]);
}

#[test]
fn nothing_is_heard_before_hello() {
    let mut bus = Bus::new();
    let key = bus.connect();
    bus.say(key, &greeting("a")[..8]);
    bus.say(key, &listen("news"));
    assert_eq!(bus.reason(key), Code::Protocol);
    bus.say(key, &hello("a"));
    assert!(bus.router.link(key).member.is_none(), "what comes after a rejection is not heard");
    bus.empty(&[key]);
}

#[test]
fn a_taken_id_is_refused_and_its_owner_not_disturbed() {
    let mut bus = Bus::new();
    let first = bus.join("a");
    let second = bus.connect();
    bus.say(second, &greeting("a"));
    assert_eq!(bus.reason(second), Code::DuplicateNode);
    bus.say(first, &number(kind::PING, 5));
    assert_eq!(bus.hear(first)[0].kind, kind::PONG);
    bus.lose(first);
    let third = bus.join("a");
    bus.empty(&[second, third]);
}

/// The process of node `a`, as the bridge tells it, and what node `b` of a namespace is told that wants the same id.
fn told_of(peer: Peer, namespace: u32, asker: u32) -> (Option<u32>, String) {
    let mut bus = Bus::new();
    let first = bus.router.connect(peer, 0);
    bus.say(first, &joining(&Hello { namespace, ..hello_from(5, "a") }));
    let pid = bus.router.pid_of(first);
    let second = bus.connect();
    bus.say(second, &joining(&Hello { namespace: asker, ..hello_from(6, "a") }));
    let (code, text) = decode_reject(&bus.hear(second)[0].payload).map(|(code, text)| (code, text.to_owned())).unwrap();
    assert_eq!(code, Code::DuplicateNode);
    (pid, text)
}

#[test]
fn a_process_of_another_pid_namespace_has_no_number_here_and_is_told_none() {
    let unknown = || Peer::default();
    let known = || Peer { pid: Some(77), ..Peer::default() };
    let (taken, by_2, by_77) = ["", " by process 2", " by process 77"]
        .map(|whose| format!("duplicate-node: the id 'a' is taken{whose}"))
        .into();
    // The bridge is in namespace 1. Where the kernel tells nothing, a node's own word counts if it is there as well.
    assert_eq!(told_of(unknown(), 1, 1), (Some(2), by_2));
    assert_eq!(told_of(unknown(), 3, 1), (None, taken.clone()));
    assert_eq!(told_of(unknown(), 0, 1), (None, taken.clone()));
    assert_eq!(told_of(known(), 3, 1), (Some(77), by_77));
    assert_eq!(told_of(known(), 1, 3), (Some(77), taken.clone()));
    assert_eq!(told_of(known(), 1, 0), (Some(77), taken));
}

#[test]
fn another_version_is_told_so() {
    let mut bus = Bus::new();
    let key = bus.connect();
    bus.say(key, &[&MAGIC[..], &[2, 0, 0, 0]].concat());
    assert_eq!(bus.reason(key), Code::Protocol);
    bus.empty(&[key]);
}

#[test]
fn other_protocols_end_at_their_first_byte() {
    for first in [&b"GET / HTTP/1.1"[..], b"\x16\x03\x01", b"SSH-2.0", b"\xBBus"] {
        let mut bus = Bus::new();
        let key = bus.connect();
        bus.say(key, &first[..1]);
        if first[0] == MAGIC[0] {
            assert!(!bus.router.link(key).closing);
            bus.say(key, &first[1..]);
        }
        assert_eq!(bus.reason(key), Code::Protocol);
        assert_eq!(bus.counters.rejected.get(), 1);
        bus.empty(&[key]);
    }
}

#[test]
fn who_does_not_say_its_name_in_time_is_told_and_closed() {
    let mut bus = Bus::new();
    let (silent, named) = (bus.connect(), bus.join("a"));
    bus.wait(9_999);
    assert!(!bus.router.link(silent).closing);
    bus.wait(1);
    assert_eq!(bus.reason(silent), Code::Protocol);
    assert!(!bus.router.link(named).closing);
    bus.lose(silent);
    assert!(!bus.router.needs_ticks());
    bus.empty(&[named]);
}

#[test]
fn what_is_not_a_nodes_to_send_ends_its_link_and_nobody_elses() {
    let bad = [
        ("an unknown kind", vec![0x7F, 0]),
        ("a bridge's kind", vec![kind::WELCOME, 0]),
        ("a second HELLO", hello("c")[4..].to_vec()),
        ("a name out of order", name(2, "x")[4..].to_vec()),
        ("slot 0", name(0, "x")[4..].to_vec()),
        ("an empty name", vec![kind::NAME, 0, 1, 0]),
        ("a name that is not text", vec![kind::NAME, 0, 1, 0, 0xFF]),
        ("half a head", vec![kind::MESSAGE, 0, 1, 2, 3]),
        ("names that were never told", routed(Head { peer: 1, ..head_of(kind::MESSAGE) }, b"[]")[4..].to_vec()),
        ("a message to nobody", routed(Head { peer: 0, ..head_of(kind::MESSAGE) }, b"[]")[4..].to_vec()),
        ("an acknowledgement of nothing", number(kind::ACK, 1)[4..].to_vec()),
        ("half a number", vec![kind::PING, 0, 1]),
        ("a chunk of nothing", vec![kind::CHUNK, 0, 1, 0, 0, 0, 9]),
        ("a chunk without a stream", vec![kind::CHUNK, 0, 1]),
    ];
    for (what, frame) in bad {
        let mut bus = Bus::new();
        let (guilty, other) = (bus.join("a"), bus.join("b"));
        bus.say(guilty, &(frame.len() as u32).to_le_bytes());
        bus.say(guilty, &frame);
        assert!(bus.router.link(guilty).closing, "{what}");
        assert_eq!(bus.reason(guilty), Code::Protocol, "{what}");
        assert!(bus.hear(other).is_empty() && !bus.router.link(other).closing, "{what}");
        assert_eq!(bus.counters.rejected.get(), 1);
        bus.empty(&[guilty, other]);
    }
}

fn head_of(kind: u8) -> Head {
    Head { kind, flags: 0, peer: 0, event: 0, time_left: TimeLeft::NONE, correlation: 0, seq: 1 }
}

#[test]
fn a_length_out_of_bounds_ends_a_link_before_its_bytes_come() {
    for length in [0u32, 1, 128 * 1024 + 65, u32::MAX] {
        let mut bus = Bus::new();
        let key = bus.join("a");
        bus.say(key, &length.to_le_bytes());
        assert_eq!(bus.reason(key), Code::Protocol, "{length}");
        bus.empty(&[key]);
    }
}

#[test]
fn acknowledgements_never_go_back() {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.join("b"));
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    for seq in 1..=3 {
        bus.say(a, &routed(super::bus::head(kind::MESSAGE, 0, seq), b"[]"));
    }
    bus.tell(b, &[number(kind::ACK, 2), number(kind::ACK, 2)]);
    assert!(!bus.router.link(b).closing);
    bus.say(b, &number(kind::ACK, 1));
    assert!(bus.router.link(b).closing);
    bus.empty(&[a, b]);
}

#[test]
fn presence_is_told_to_those_who_listen_but_not_to_those_it_is_about() {
    let mut bus = Bus::new();
    let (a, deaf) = (bus.join("a"), bus.join("deaf"));
    bus.tell(a, &[listen("node:join"), listen("node:leave")]);
    let _legacy = bus.join_legacy("old");
    let b = bus.connect();
    bus.tell(b, &[greeting("b"), listen("node:join"), listen("node:leave")]);
    let heard: Vec<u8> = bus.hear(b).iter().map(|heard| heard.kind).filter(|&kind| kind != kind::NAME).collect();
    let roster = kind::BROADCAST;
    assert_eq!(heard, [kind::WELCOME, roster], "nothing of its own joining");
    let mut bye = Vec::new();
    put_bare(kind::LEAVE, &mut bye);
    bus.say(b, &bye);
    assert_eq!(bus.hear(b).iter().map(|heard| heard.kind).collect::<Vec<_>>(), [kind::LEFT]);
    bus.lose(b);
    bus.lose(deaf);
    let told = bus.hear_only(a, kind::BROADCAST);
    let told: Vec<String> = told.iter().map(|heard| String::from_utf8(heard.routed().1).unwrap()).collect();
    let told: Vec<&String> = told.iter().filter(|told| !told.starts_with("[[")).collect();
    let expected = [("old", ""), ("b", ""), ("b", "\"left\""), ("deaf", "\"died\"")];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, (id, reason)) in told.iter().zip(expected) {
        assert!(told.contains(&format!("\"id\":\"{id}\"")) && told.contains(reason), "{told}");
    }
    let host = bus.events();
    assert!(matches!(&host[host.len() - 1], Event::Left(info, Departure::Died) if info.id == "deaf"));
}

#[test]
fn only_those_who_asked_are_told_of_a_node_that_is_gone() {
    let mut bus = Bus::new();
    let (asker, teller, b) = (bus.join("asker"), bus.join("teller"), bus.join("b"));
    for (key, flags) in [(asker, flag::ASK), (teller, 0)] {
        bus.tell(key, &[name(1, "b"), name(2, "e")]);
        let head = Head { correlation: u32::from(flags), ..super::bus::head(kind::MESSAGE, flags, 7) };
        bus.say(key, &routed(head, b"[]"));
    }
    bus.lose(b);
    let gone = bus.hear_only(asker, kind::GONE);
    assert_eq!(
        Gone::decode(&gone[0].payload),
        Ok(Gone { seq: 7, code: Code::NodeLeft, delivered_only: false, session: 0, node: "b".into(), missed: vec![] })
    );
    assert!(bus.hear_only(teller, kind::GONE).is_empty());
    bus.empty(&[asker, teller]);
}

#[test]
fn who_leaves_hears_all_that_was_said_to_it_before() {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.join("b"));
    bus.tell(a, &[name(1, "b"), name(2, "e"), routed(super::bus::head(kind::MESSAGE, 0, 1), b"[]")]);
    let mut bye = Vec::new();
    put_bare(kind::LEAVE, &mut bye);
    bus.say(b, &bye);
    bus.say(a, &routed(super::bus::head(kind::MESSAGE, 0, 2), b"[]"));
    let kinds: Vec<u8> = bus.hear(b).iter().map(|heard| heard.kind).collect();
    assert_eq!(kinds, [kind::PEER, kind::NAME, kind::MESSAGE, kind::LEFT]);
    assert_eq!(bus.hear_only(a, kind::REFUSE).len(), 1, "the second message found nobody");
    bus.empty(&[a, b]);
}

#[test]
fn the_end_of_the_bus_reaches_everyone() {
    let mut bus = Bus::new();
    let (a, old, nobody) = (bus.join("a"), bus.join_legacy("old"), bus.connect());
    bus.router.close(crate::wire::frame::Encoding::Json, b"[1]");
    assert_eq!(bus.hear(a)[0].payload, b"[1]");
    assert!(bus.hear_text(old).contains("\"method\":\"CLOSE\",\"data\":[1]"));
    for key in [a, old, nobody] {
        assert!(bus.router.link(key).closing);
    }
    bus.empty(&[a, old, nobody]);
}
