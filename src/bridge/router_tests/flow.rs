//! Full queues: who waits, who is cut, and that nobody's memory grows without end.

use super::bus::{
    Bus, Heard, PENDING, frames, greeting, head, hello_from, joining, listen, name, number, opening, routed,
};
use crate::bridge::link::LinkKey;
use crate::bridge::router::Limits;
use crate::error::Code;
use crate::wire::control::{Watch, decode_reject, put_bare};
use crate::wire::frame::{Head, flag, kind};
use crate::wire::lane::LaneFrame;

/// a fills the queue of b, which reads nothing.
fn full() -> (Bus, LinkKey, LinkKey) {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.join("b"));
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    fill(&mut bus, a);
    (bus, a, b)
}

fn fill(bus: &mut Bus, sender: LinkKey) {
    for seq in 1..100 {
        if bus.router.is_held(sender) {
            return;
        }
        bus.say(sender, &routed(head(kind::MESSAGE, 0, seq), &[b' '; 10_000]));
    }
    panic!("it is never held");
}

#[test]
fn a_sender_is_held_when_its_receiver_is_full_and_let_go_at_half() {
    let (mut bus, a, b) = full();
    let waits = bus.router.link(b).out.len();
    assert!((PENDING..PENDING + 11_000).contains(&waits), "{waits}");
    assert!(bus.router.needs_ticks());
    bus.hear_bytes(b, waits - PENDING / 2 - 1);
    assert!(bus.router.is_held(a) && bus.resumed().is_empty());
    bus.hear_bytes(b, 1);
    assert!(!bus.router.is_held(a));
    assert_eq!(bus.resumed(), [a]);
    assert!(!bus.router.needs_ticks());
    bus.empty(&[a, b]);
}

#[test]
fn who_sends_to_others_is_not_held() {
    let (mut bus, a, b) = full();
    let c = bus.join("c");
    bus.tell(c, &[name(1, "c"), name(2, "e"), routed(head(kind::MESSAGE, 0, 1), &[b' '; 20_000])]);
    assert!(!bus.router.is_held(c));
    bus.empty(&[a, b, c]);
}

#[test]
fn who_reads_nothing_for_too_long_is_cut_with_a_reason() {
    let (mut bus, a, b) = full();
    bus.say(a, &listen("node:leave"));
    bus.wait(9_999);
    assert!(!bus.router.link(b).closing);
    bus.wait(1);
    assert_eq!(bus.reason(b), Code::SlowNode);
    assert!(!bus.router.is_held(a));
    assert_eq!(bus.resumed(), [a]);
    let told = bus.hear_only(a, kind::BROADCAST);
    assert!(String::from_utf8(told[1].routed().1).unwrap().contains("\"cut\""), "behind who is there");
    assert_eq!(bus.counters.cut.get(), 1);
    bus.empty(&[a, b]);
}

#[test]
fn who_reads_a_little_is_not_cut() {
    let (mut bus, a, b) = full();
    for _ in 0..10 {
        bus.wait(9_000);
        bus.hear_bytes(b, 1_000);
        assert!(!bus.router.link(b).closing);
    }
    bus.empty(&[a, b]);
}

#[test]
fn who_acknowledges_but_does_not_read_is_cut_all_the_same() {
    let (mut bus, a, b) = full();
    bus.now += 9_000;
    bus.say(b, &number(kind::ACK, 1));
    bus.wait(1_000);
    assert!(bus.router.link(b).closing);
    bus.empty(&[a, b]);
}

#[test]
fn who_was_idle_for_long_is_not_cut_the_moment_its_queue_is_full() {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.join("b"));
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    bus.wait(3_600_000);
    fill(&mut bus, a);
    bus.wait(9_000);
    assert!(!bus.router.link(b).closing, "its queue was full for nine seconds only");
    bus.empty(&[a, b]);
}

#[test]
fn the_death_of_either_side_ends_the_wait() {
    let (mut bus, a, b) = full();
    bus.lose(b);
    assert_eq!(bus.resumed(), [a]);
    bus.empty(&[a]);
    let (mut bus, a, b) = full();
    bus.lose(a);
    assert!(!bus.router.needs_ticks());
    bus.empty(&[b]);
}

#[test]
fn a_full_node_that_says_goodbye_or_nonsense_holds_nobody_any_longer() {
    let mut bye = Vec::new();
    put_bare(kind::LEAVE, &mut bye);
    for last_words in [bye, vec![2, 0, 0, 0, 0x7F, 0]] {
        let (mut bus, a, b) = full();
        bus.say(b, &last_words);
        assert!(!bus.router.is_held(a));
        bus.empty(&[a, b]);
    }
}

#[test]
fn a_link_that_does_not_read_its_last_words_is_closed_all_the_same() {
    let (mut bus, a, b) = full();
    bus.say(b, &[2, 0, 0, 0, 0x7F, 0]);
    for _ in 0..5 {
        bus.wait(10_000);
    }
    assert!(bus.router.link(b).out.is_empty(), "with nothing to write, the driver closes it");
    bus.empty(&[a, b]);
}

#[test]
fn who_never_read_anything_is_told_why_in_our_wire() {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.connect());
    bus.say(b, &greeting("b"));
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    fill(&mut bus, a);
    bus.wait(10_000);
    assert_eq!(bus.reason(b), Code::SlowNode);
    bus.empty(&[a, b]);
}

#[test]
fn a_cut_garbles_nothing_that_is_half_written() {
    for written in [1, 100, 9_000, 20_000] {
        let (mut bus, a, b) = full();
        let mut heard = bus.hear_bytes(b, written);
        bus.now += 10_000;
        bus.wait(0);
        assert!(bus.router.link(b).closing);
        heard.extend(bus.hear_bytes(b, usize::MAX));
        let heard = frames(&heard);
        let sound = |heard: &&Heard| heard.kind == kind::MESSAGE;
        for message in heard.iter().filter(sound) {
            assert_eq!(message.routed().1, [b' '; 10_000]);
        }
        let last = heard.last().unwrap();
        assert_eq!((last.kind, decode_reject(&last.payload).unwrap().0), (kind::REJECT, Code::SlowNode));
        bus.empty(&[a, b]);
    }
}

/// What a peer makes the bridge remember for it stays within its queue's bound and what one read asks for.
fn stays_bounded(request: &[u8], answers: usize) {
    let mut bus = Bus::new();
    let a = bus.join("a");
    bus.tell(a, &[name(1, "nobody"), name(2, "e")]);
    let batch = request.repeat(1 + 16_000 / request.len());
    for _ in 0..2_000 {
        if bus.router.is_held(a) || bus.router.link(a).closing {
            break;
        }
        bus.say(a, &batch);
    }
    let waits = bus.router.link(a).out.len();
    assert!(waits <= PENDING + answers * batch.len(), "{waits} bytes wait for one that reads nothing");
}

#[test]
fn floods_of_pings_are_bounded() {
    stays_bounded(&number(kind::PING, 1), 2);
}

#[test]
fn floods_of_messages_to_nobody_are_bounded() {
    stays_bounded(&routed(head(kind::MESSAGE, 0, 1), b""), 10);
}

#[test]
fn floods_of_questions_for_the_roster_are_bounded() {
    stays_bounded(&routed(Head { peer: 0, event: 0, ..head(kind::ROSTER, flag::ASK, 1) }, b""), 10);
}

#[test]
fn floods_of_the_originals_pings_are_bounded() {
    let mut bus = Bus::new();
    let a = bus.join_legacy("a");
    for _ in 0..2_000 {
        if !bus.router.is_held(a) {
            bus.say(a, &b"PING".repeat(4_000));
        }
    }
    assert!(bus.router.link(a).out.len() <= PENDING + 4_000 * 6);
}

#[test]
fn who_listens_for_presence_and_does_not_read_is_cut() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    bus.tell(a, &[listen("node:join"), listen("node:leave")]);
    for _ in 0..2_000 {
        let b = bus.join("b");
        bus.lose(b);
    }
    bus.wait(10_001);
    bus.wait(10_001);
    assert!(bus.router.link(a).closing);
}

#[test]
fn who_reads_without_acknowledging_is_held_to_account() {
    let mut bus = Bus::new();
    let (a, b) = (bus.join("a"), bus.join("b"));
    bus.tell(a, &[name(1, "b"), name(2, "e")]);
    let batch = routed(head(kind::MESSAGE, 0, 1), b"").repeat(10_000);
    for _ in 0..200 {
        if bus.router.is_held(a) || bus.router.link(b).closing {
            return;
        }
        bus.say(a, &batch);
        bus.hear_bytes(b, usize::MAX);
    }
    panic!("two million frames are remembered for one link");
}

#[test]
fn calls_that_the_host_does_not_take_are_bounded_however_small() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    bus.tell(a, &[name(1, "a"), name(2, "method")]);
    for seq in 1..10_000 {
        bus.say(a, &routed(head(kind::RPC, 0, seq), b""));
        bus.hear_bytes(a, usize::MAX);
    }
    assert!(bus.events().len() <= PENDING / 60);
}

#[test]
fn who_was_asked_by_many_does_not_remember_the_dead() {
    let mut bus = Bus::new();
    let b = bus.join("b");
    for _ in 0..2_000 {
        let a = bus.join("a");
        bus.tell(a, &[name(1, "b"), name(2, "e"), routed(head(kind::MESSAGE, flag::ASK, 1), b"")]);
        bus.lose(a);
        bus.hear_bytes(b, usize::MAX);
    }
    assert!(bus.router.askers_of(b) < 200, "{} askers", bus.router.askers_of(b));
}

#[test]
fn whose_large_messages_many_waited_for_does_not_remember_the_dead() {
    let mut bus = Bus::new();
    let b = bus.join("b");
    for _ in 0..2_000 {
        let a = bus.join("a");
        bus.tell(a, &[name(1, "b"), name(2, "e"), opening(head(kind::MESSAGE, 0, 1), 1, 100_000)]);
        bus.lose(a);
        bus.hear_bytes(b, usize::MAX);
    }
    assert!(bus.router.askers_of(b) < 200, "{} senders", bus.router.askers_of(b));
}

#[test]
fn whose_memory_many_have_read_does_not_remember_the_dead() {
    let mut bus = Bus::with(Limits::default());
    let owner = bus.connect();
    bus.say(owner, &joining(&hello_from(7, "owner")));
    for session in 100..2_100 {
        let reader = bus.connect();
        bus.say(reader, &joining(&hello_from(session, "reader")));
        let mut accept = Vec::new();
        LaneFrame { session: 7, node: "owner", rest: &[1; 8] }.encode(kind::ACCEPT, &mut accept);
        bus.tell(reader, &[accept]);
        assert_eq!(bus.hear_only(owner, kind::ACCEPT).len(), 1);
        bus.tell(reader, &[bare(kind::LEAVE)]);
        bus.lose(reader);
    }
    assert!(bus.router.readers_of(owner) < 200, "{} readers", bus.router.readers_of(owner));
}

#[test]
fn who_asks_again_and_again_about_somebody_awaited_is_remembered_once() {
    let mut bus = Bus::new();
    bus.router.take_over(None, 0);
    let a = bus.connect();
    bus.say(a, &joining(&hello_from(7, "a")));
    bus.hear(a);
    for seq in 1..=1_000 {
        let mut watch = Vec::new();
        Watch { seq, oldest: 0, session: 0, node: "b".into() }.encode(kind::WATCH, &mut watch);
        bus.say(a, &watch);
    }
    assert_eq!(bus.router.watchers(), 1);
    bus.wait(60_000);
    assert_eq!((bus.hear_only(a, kind::GONE).len(), bus.router.watchers()), (1, 0));
}

fn bare(kind: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_bare(kind, &mut bytes);
    bytes
}
