//! Answers over a change of bridges: nobody waits for that of a process which is no more.

use super::bus::{Bus, Driven, chunk, frames, head, hello_from, joining, name, opening, routed, take};
use crate::bridge::router::Limits;
use crate::error::Code;
use crate::node::sending::Letter;
use crate::wire::control::{Gone, Watch, put_peer};
use crate::wire::frame::{Encoding, Head, PREAMBLE_LEN, RawFrame, kind};

fn ask(driven: &mut Driven, node: &str) -> u32 {
    let target = driven.client.target(node, "e");
    let (kind, encoding) = (kind::MESSAGE, Encoding::Json);
    let letter = Letter { kind, target, encoding, ask: Some(0), correlation: 0, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(b"[1]")).unwrap()
}

fn answer(driven: &mut Driven, node: &str, correlation: u32) {
    let target = driven.client.target(node, "");
    let (kind, encoding) = (kind::REPLY, Encoding::Json);
    let letter = Letter { kind, target, encoding, ask: None, correlation, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(b"[2]")).unwrap();
}

fn bridges() -> [Bus; 3] {
    [1, 2, 3].map(|epoch| Bus::with_epoch(Limits::default(), epoch))
}

/// a asks b, who gets it and does not answer, and the first bridge is gone.
fn asked(first: &mut Bus) -> (Driven, Driven) {
    let (mut a, mut b) = (first.drive("a", 1), first.drive("b", 2));
    ask(&mut a, "b");
    first.carry(&mut a);
    assert!(first.carry(&mut b).iter().any(|told| told.contains("Delivery")));
    first.carry(&mut a);
    assert_eq!(a.client.pending(), 0);
    [&mut a, &mut b].into_iter().for_each(|driven| first.break_link(driven));
    (a, b)
}

/// Both meet on another bridge, in either order; what a is told of its question.
fn meet(bus: &mut Bus, a: &mut Driven, b: &mut Driven, a_first: bool) -> Vec<String> {
    let mut told = Vec::new();
    if a_first {
        told.extend(bus.reconnect(a));
    }
    bus.reconnect(b);
    if !a_first {
        told.extend(bus.reconnect(a));
    }
    bus.carry(b);
    told.extend(bus.carry(a));
    told.retain(|told| told.contains("Failed"));
    told
}

#[test]
fn who_came_to_an_id_on_a_bridge_that_the_asker_missed_says_that_it_was_not_asked() {
    for a_first in [true, false] {
        let [mut first, mut second, mut third] = bridges();
        let (mut a, _dead) = asked(&mut first);
        let mut b = second.drive_as("b", 3, 8);
        second.break_link(&mut b);
        let told = meet(&mut third, &mut a, &mut b, a_first);
        assert!(told.len() == 1 && told[0].contains("NodeLeft"), "{told:?}");
    }
}

#[test]
fn who_was_asked_on_this_bridge_is_waited_for_though_it_was_on_no_other() {
    let [mut first, mut second, _] = bridges();
    let (mut a, _dead) = asked(&mut first);
    let mut b = second.drive_as("b", 3, 8);
    assert_eq!(second.reconnect(&mut a).iter().filter(|told| told.contains("Failed")).count(), 1, "it asked another b");
    ask(&mut a, "b");
    [&mut a, &mut b].into_iter().for_each(|driven| drop(second.carry(driven)));
    second.carry(&mut a);
    assert_eq!(a.client.pending(), 0);
    second.break_link(&mut a);
    let told = second.reconnect(&mut a);
    assert!(!told.iter().any(|told| told.contains("Failed")), "{told:?}");
}

#[test]
fn who_was_asked_is_waited_for_whatever_bridges_it_came_by() {
    for a_first in [true, false] {
        let [mut first, mut second, mut third] = bridges();
        let (mut a, mut b) = asked(&mut first);
        second.reconnect(&mut b);
        second.break_link(&mut b);
        assert_eq!(meet(&mut third, &mut a, &mut b, a_first), [""; 0]);
        // What it was asked by the bridge counts for ACK.
        ask(&mut a, "b");
        [&mut a, &mut b].into_iter().for_each(|driven| drop(third.carry(driven)));
        third.carry(&mut a);
        assert_eq!(a.client.pending(), 0);
    }
}

#[test]
fn whose_asker_was_given_up_on_a_bridge_says_so_when_the_asker_missed_it() {
    for settled in [true, false] {
        for (comes, answers_at) in [(true, 0), (true, 6_000), (false, 0), (false, 6_000)] {
            [true, false].into_iter().for_each(|a_first| missed_departure(settled, comes, answers_at, a_first));
        }
    }
    [true, false].into_iter().for_each(|a_first| missed_departure(true, true, u64::MAX, a_first));
}

/// a asks b and knows that b has it, or not. On the second bridge, to which a comes or not, b answers before or after that
/// gave a up, or never.
fn missed_departure(settled: bool, comes: bool, answers_at: u64, a_first: bool) {
    let [mut first, mut second, mut third] = bridges();
    let (mut a, mut b) = (first.drive("a", 1), first.drive("b", 2));
    let correlation = ask(&mut a, "b");
    [&mut a, &mut b].into_iter().for_each(|driven| drop(first.carry(driven)));
    if settled {
        first.carry(&mut a);
    }
    [&mut a, &mut b].into_iter().for_each(|driven| first.break_link(driven));
    second.reconnect(&mut b);
    if comes && settled {
        second.reconnect(&mut a);
        second.break_link(&mut a);
    } else if comes {
        let up = second.connect();
        a.client.connected();
        second.say(up, &take(&mut a.client));
        a.client.disconnected();
        second.lose(up);
    }
    for at in [0, 6_000] {
        second.wait(at);
        if at == answers_at {
            answer(&mut b, "a", correlation);
        }
        second.carry(&mut b);
    }
    assert_eq!(b.client.pending(), 0, "nobody waits for the answer there");
    second.break_link(&mut b);
    let mut told = meet(&mut third, &mut a, &mut b, a_first);
    // What a says again, as the bridge asked it to.
    third.carry(&mut b);
    told.extend(third.carry(&mut a).into_iter().filter(|told| told.contains("Failed")));
    let how = format!("{settled} {comes} {answers_at} {a_first}: {told:?}");
    assert!(told.len() == 1 && told[0].contains("NodeLeft"), "{how}");
    // What is asked from then on is answered.
    let correlation = ask(&mut a, "b");
    [&mut a, &mut b].into_iter().for_each(|driven| drop(third.carry(driven)));
    third.carry(&mut a);
    [&mut a, &mut b].into_iter().for_each(|driven| third.break_link(driven));
    let mut fourth = Bus::with_epoch(Limits::default(), 4);
    assert_eq!(meet(&mut fourth, &mut a, &mut b, a_first), [""; 0]);
    answer(&mut b, "a", correlation);
    fourth.carry(&mut b);
    assert!(fourth.carry(&mut a).iter().any(|told| told.contains("Reply")), "{how}");
}

#[test]
fn whoever_was_given_up_with_the_asker_learns_that_its_answer_is_lost() {
    let [mut first, mut second, _] = bridges();
    let (mut a, mut b) = (first.drive("a", 1), first.drive("b", 2));
    let correlation = ask(&mut a, "b");
    [&mut a, &mut b].into_iter().for_each(|driven| drop(first.carry(driven)));
    [&mut a, &mut b].into_iter().for_each(|driven| first.break_link(driven));
    first.wait(6_000);
    answer(&mut b, "a", correlation);
    first.reconnect(&mut b);
    assert_eq!(b.client.pending(), 0);
    first.break_link(&mut b);
    let mut told = meet(&mut second, &mut a, &mut b, false);
    second.carry(&mut b);
    told.extend(second.carry(&mut a).into_iter().filter(|told| told.contains("Failed")));
    assert!(told.len() == 1 && told[0].contains("NodeLeft"), "{told:?}");
}

#[test]
fn a_question_that_is_said_again_and_then_given_up_is_taken_back_from_who_has_the_id_now() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    bus.break_link(&mut b);
    ask(&mut a, "b");
    bus.carry(&mut a);
    bus.break_link(&mut a);
    let mut b = bus.drive_as("b", 3, 8);
    // a reads its welcome and says all of it again, before it reads that the first b is gone.
    a.key = bus.connect();
    a.client.connected();
    bus.say(a.key, &take(&mut a.client));
    let heard = bus.hear_bytes(a.key, usize::MAX);
    let length = PREAMBLE_LEN + RawFrame::decode(&heard[PREAMBLE_LEN..]).unwrap().expect("the welcome").1;
    hear(&mut a, &[heard[..length].to_vec()]);
    bus.say(a.key, &take(&mut a.client));
    assert!(bus.carry(&mut b).iter().any(|told| told.contains("Delivery")));
    hear(&mut a, &[heard[length..].to_vec()]);
    bus.carry(&mut a);
    assert!(bus.carry(&mut b).iter().any(|told| told.contains("Cancelled")));
}

#[test]
fn what_was_asked_before_the_first_message_that_came_was_asked_of_somebody_else() {
    let [mut first, mut second, mut third] = bridges();
    let (mut a, _dead) = asked(&mut first);
    let mut b = second.drive_as("b", 3, 8);
    second.break_link(&mut b);
    // It gets a question, but that bridge ends before a learns that the other one is lost.
    third.reconnect(&mut b);
    a.key = third.connect();
    a.client.connected();
    third.carry(&mut a);
    ask(&mut a, "b");
    third.carry(&mut a);
    third.carry(&mut b);
    [&mut a, &mut b].into_iter().for_each(|driven| third.break_link(driven));
    let mut fourth = Bus::with_epoch(Limits::default(), 4);
    let told = meet(&mut fourth, &mut a, &mut b, true);
    assert!(told.len() == 1 && told[0].contains("NodeLeft"), "the second question is waited for: {told:?}");
}

#[test]
fn nobody_ends_the_questions_of_others_to_others() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    ask(&mut a, "b");
    bus.carry(&mut a);
    let (mallory, c) = (bus.drive("mallory", 3), bus.drive("c", 4));
    let unheard = |session| {
        let mut frame = Vec::new();
        Watch { seq: 9, oldest: 1, session, node: "a".into() }.encode(kind::UNHEARD, &mut frame);
        frame
    };
    bus.say(mallory.key, &unheard(1));
    bus.say(b.key, &unheard(7));
    let heard = bus.hear_bytes(a.key, usize::MAX);
    assert!(heard.is_empty(), "a never asked mallory, and an a of another session is not meant: {heard:?}");
    bus.carry(&mut b);
    bus.say(b.key, &unheard(1));
    assert_eq!(bus.carry(&mut a).len(), 1);
    bus.empty(&[a.key, b.key, mallory.key, c.key]);
}

#[test]
fn a_question_about_a_question_is_said_again_until_it_has_come() {
    let mut bus = Bus::new();
    let (a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    let mut watch = Vec::new();
    Watch { seq: 9, oldest: 1, session: 0, node: "b".into() }.encode(kind::WATCH, &mut watch);
    bus.break_link(&mut b);
    bus.say(a.key, &watch);
    bus.reconnect(&mut b);
    let gone = frames(&bus.hear_bytes(a.key, usize::MAX)).into_iter().filter(|heard| heard.kind == kind::GONE);
    assert_eq!(gone.count(), 1, "b was away when it was asked");
    let stranger = bus.connect();
    bus.say(stranger, &joining(&hello_from(0, "simple")));
    Watch { seq: 9, oldest: 1, session: 0, node: "simple".into() }.encode(kind::WATCH, &mut watch);
    bus.say(a.key, &watch);
    assert!(bus.hear(stranger).iter().all(|heard| heard.kind != kind::WATCH), "who keeps nothing is not asked");
}

/// A bridge says this to a node; what its program is told of it.
fn hear(driven: &mut Driven, said: &[Vec<u8>]) -> Vec<String> {
    let mut frames = driven.client.frames(said.concat().into()).expect("frames");
    let mut told = Vec::new();
    while let Some(frame) = frames.next() {
        let event = driven.client.handle_frame(&frame).expect("frames that a bridge may send");
        told.extend(event.map(|event| format!("{event:?}")));
        told.extend(std::iter::from_fn(|| driven.client.poll_event()).map(|event| format!("{event:?}")));
    }
    told.retain(|told| told.starts_with("Delivery"));
    told
}

/// Slot `slot` is b in this session.
fn peer(slot: u16, session: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_peer(slot, session, "b", &mut bytes);
    bytes
}

#[test]
fn what_one_session_had_begun_ends_without_what_another_has() {
    let [mut first, mut second, _] = bridges();
    let mut a = first.drive("a", 1);
    let from = |peer, seq| Head { peer, event: 3, ..head(kind::MESSAGE, 0, seq) };
    let begun = |peer| [opening(from(peer, 1), peer.into(), 9), routed(from(peer, 2), b"[2]")].concat();
    assert_eq!(hear(&mut a, &[peer(1, 2), peer(2, 3), name(3, "e"), begun(1), begun(2)]), [""; 0]);
    first.break_link(&mut a);
    second.reconnect(&mut a);
    let mut gone = Vec::new();
    let (code, node) = (Code::NodeLeft, "b".to_owned());
    Gone { seq: 0, code, delivered_only: true, session: 2, node, missed: vec![] }.encode(&mut gone);
    assert_eq!(hear(&mut a, &[gone]).len(), 1, "what waited behind what the dead one had begun");
    let again = [peer(1, 3), peer(2, 9), name(3, "e"), begun(1), chunk(1, 0, b"[1234567]")];
    assert_eq!(hear(&mut a, &again).len(), 2, "what the other had begun, and what waits behind it");
}

#[test]
fn what_waits_behind_a_large_message_has_come() {
    let [mut first, ..] = bridges();
    let mut a = first.drive("a", 1);
    let from = |seq| Head { peer: 1, event: 2, ..head(kind::MESSAGE, 0, seq) };
    let watch = |oldest| {
        let mut bytes = Vec::new();
        Watch { seq: 9, oldest, session: 2, node: "b".into() }.encode(kind::WATCH, &mut bytes);
        bytes
    };
    let said = [peer(1, 2), name(2, "e"), opening(from(5), 1, 9), routed(from(6), b"[6]")];
    assert_eq!(hear(&mut a, &said), [""; 0]);
    for (oldest, answers) in [(6, false), (5, false), (4, true)] {
        hear(&mut a, &[watch(oldest)]);
        let unheard = frames(&take(&mut a.client)).into_iter().filter(|said| said.kind == kind::UNHEARD);
        assert_eq!(unheard.count() == 1, answers, "question {oldest}");
    }
}

/// a begins a large broadcast of e, of which b gets the beginning; b then ceases to listen for e, and one of them comes back
/// on another link.
#[test]
fn who_ceased_to_listen_waits_for_no_rest_of_what_it_had_the_beginning_of() {
    for sender_comes_back in [true, false] {
        let mut bus = Bus::new();
        let (mut a, mut b, mut c) = (bus.drive("a", 1), bus.drive("b", 2), bus.drive("c", 3));
        for listener in [&mut b, &mut c] {
            listener.client.listen("e", true);
            bus.carry(listener);
        }
        let target = a.client.target("", "e");
        let (kind, encoding) = (kind::BROADCAST, Encoding::Json);
        let letter = Letter { kind, target, encoding, ask: None, correlation: 0, now: 0 };
        a.client.send_written(letter, 300_000, |body| body.write(&[b' '; 300_000])).unwrap();
        let bytes = take(&mut a.client);
        bus.say(a.key, &bytes[..bytes.len() / 2]);
        bus.carry(&mut b);
        assert!(b.client.is_receiving());
        if sender_comes_back {
            b.client.listen("e", false);
            bus.carry(&mut b);
            bus.break_link(&mut a);
            bus.reconnect(&mut a);
        } else {
            bus.say(a.key, &bytes[bytes.len() / 2..]);
            bus.break_link(&mut b);
            b.client.listen("e", false);
            bus.reconnect(&mut b);
        }
        let mut heard = 0;
        for _ in 0..4 {
            for driven in [&mut a, &mut b] {
                bus.carry(driven);
            }
            heard += bus.carry(&mut c).iter().filter(|told| told.contains("Delivery")).count();
        }
        assert_eq!((heard, a.client.pending()), (1, 0), "sender: {sender_comes_back}");
        assert!(!b.client.is_receiving(), "it waits for ever, sender: {sender_comes_back}");
        assert_eq!(b.client.leftovers(), []);
        bus.empty(&[a.key, b.key, c.key]);
    }
}
