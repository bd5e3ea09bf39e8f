//! Whoever answers learns that nobody waits any longer, and how long somebody will.

use super::bus::{Bus, Driven, frames, head, name, routed, take};
use crate::bridge::host::Event;
use crate::bridge::member::Departure;
use crate::bridge::router::Limits;
use crate::error::Code;
use crate::node::sending::Letter;
use crate::wire::frame::{Encoding, Head, flag, kind, refusal};
use crate::wire::time_left::TimeLeft;

fn ask(driven: &mut Driven, node: &str, milliseconds: u32) -> u32 {
    let target = driven.client.target(node, "e");
    let kind = if node.is_empty() { kind::RPC } else { kind::MESSAGE };
    let letter = Letter { kind, target, encoding: Encoding::Json, ask: Some(milliseconds), correlation: 0, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(b"[1]")).unwrap()
}

/// What a client is told that begins with `what`.
fn told(bus: &mut Bus, driven: &mut Driven, what: &str) -> Vec<String> {
    let mut told = bus.carry(driven);
    told.retain(|told| told.starts_with(what));
    told
}

#[test]
fn the_asked_is_told_once_that_the_asker_gave_up_or_ran_out_of_time() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    let (given_up, late) = (ask(&mut a, "b", 0), ask(&mut a, "b", 500));
    bus.carry(&mut a);
    bus.carry(&mut b);
    a.client.cancel(given_up);
    a.client.cancel(given_up);
    a.client.handle_timeout(500);
    bus.carry(&mut a);
    let cancelled = |correlation, code| {
        format!("Cancelled {{ from: \"a\", session: 1, correlation: {correlation}, code: {code} }}")
    };
    assert_eq!(told(&mut bus, &mut b, "Cancelled"), [cancelled(given_up, "Aborted"), cancelled(late, "Timeout")]);
    bus.carry(&mut a);
    assert_eq!(a.client.pending(), 0);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn it_is_told_over_another_link_too_and_behind_the_question() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    bus.break_link(&mut a);
    let question = ask(&mut a, "b", 0);
    a.client.cancel(question);
    bus.reconnect(&mut a);
    bus.break_link(&mut b);
    bus.reconnect(&mut b);
    bus.carry(&mut a);
    let told = bus.carry(&mut b);
    let at = |what: &str| told.iter().position(|told| told.starts_with(what)).unwrap_or_else(|| panic!("{told:?}"));
    assert!(at("Delivery") < at("Cancelled"));
}

#[test]
fn the_asked_is_told_when_the_asker_is_gone_and_nobody_else_is() {
    let mut bus = Bus::new();
    let (mut a, mut b, mut c) = (bus.drive("a", 1), bus.drive("b", 2), bus.drive("c", 3));
    ask(&mut a, "b", 0);
    bus.carry(&mut a);
    bus.carry(&mut b);
    a.client.leave();
    bus.carry(&mut a);
    bus.carry(&mut a);
    assert_eq!(told(&mut bus, &mut b, "Departed"), ["Departed { node: \"a\", session: 1 }"]);
    assert!(told(&mut bus, &mut c, "Departed").is_empty());
    bus.empty(&[a.key, b.key, c.key]);
}

#[test]
fn an_asker_that_died_with_the_bridge_or_has_a_successor_is_told_by_the_next() {
    for successor in [None, Some(9)] {
        let [mut first, mut second] = [1, 2].map(|epoch| Bus::with_epoch(Limits::default(), epoch));
        let (mut a, mut b) = (first.drive("a", 1), first.drive("b", 2));
        ask(&mut a, "b", 0);
        first.carry(&mut a);
        first.carry(&mut b);
        first.break_link(&mut b);
        let other = successor.map(|session| second.drive_as("a", session, 8));
        let mut heard = second.reconnect(&mut b);
        b.client.watch_asker("a", 1);
        heard.extend(second.carry(&mut b));
        assert_eq!(heard.iter().any(|told| told.starts_with("Departed")), other.is_some(), "{heard:?}");
        second.wait(6_000);
        heard.extend(second.carry(&mut b));
        assert!(heard.iter().any(|told| told == "Departed { node: \"a\", session: 1 }"), "{heard:?}");
    }
}

#[test]
fn the_host_is_told_who_gave_up_and_nobody_gives_up_for_another() {
    let mut bus = Bus::new();
    let mut a = bus.drive("a", 1);
    let mallory = bus.join("mallory");
    bus.events();
    let call = ask(&mut a, "", 2_000);
    bus.carry(&mut a);
    let Some(Event::Rpc(called)) = bus.events().pop() else { panic!("no call") };
    assert_eq!(called.time_left.millis(), Some(2_000));
    let cancel = Head { peer: 0, event: 0, correlation: call, ..head(kind::CANCEL, 0, 1) };
    bus.say(mallory, &routed(cancel, &refusal(Code::Aborted, "")));
    let Some(Event::Cancelled(other, Code::Aborted)) = bus.events().pop() else { panic!("nothing") };
    assert_ne!(other, called.caller);
    a.client.cancel(call);
    bus.carry(&mut a);
    assert!(matches!(bus.events().pop(), Some(Event::Cancelled(caller, Code::Aborted)) if caller == called.caller));
    bus.router.host_took(called.body.len());
    bus.router.disconnect(mallory, Departure::Died);
    bus.empty(&[a.key]);
}

#[test]
fn a_cancellation_for_nobody_or_for_the_original_s_wire_is_settled_in_silence() {
    let mut bus = Bus::new();
    let (a, old) = (bus.join("a"), bus.join_legacy("old"));
    bus.tell(a, &[name(1, "nobody"), name(2, "e"), name(3, "old")]);
    let cancel = |peer, seq| Head { peer, event: 0, correlation: 5, ..head(kind::CANCEL, 0, seq) };
    bus.say(a, &routed(cancel(1, 1), &refusal(Code::Aborted, "")));
    bus.say(a, &routed(cancel(3, 2), &refusal(Code::Aborted, "")));
    assert_eq!(bus.hear(a).iter().map(|heard| heard.kind).collect::<Vec<_>>(), [kind::SETTLED, kind::SETTLED]);
    assert!(bus.hear_text(old).is_empty());
    assert_eq!((bus.counters.undeliverable.get(), bus.counters.stale_replies.get()), (0, 0));
    bus.say(a, &routed(cancel(1, 3), b""));
    assert_eq!(bus.reason(a), Code::Protocol, "without a code");
    bus.empty(&[a, old]);
}

#[test]
fn a_question_says_how_long_it_still_waits_when_it_is_said() {
    let mut bus = Bus::new();
    let mut a = bus.drive("a", 1);
    let left = |bus: &mut Bus, a: &mut Driven| {
        let up = frames(&take(&mut a.client));
        let heads = up.iter().filter(|heard| heard.flags & flag::ASK != 0).map(|heard| heard.routed().0);
        let left: Vec<TimeLeft> = heads.map(|head| head.time_left).collect();
        bus.break_link(a);
        left
    };
    ask(&mut a, "b", 10_000);
    ask(&mut a, "b", 0);
    assert_eq!(left(&mut bus, &mut a), [TimeLeft::from_millis(10_000), TimeLeft::NONE]);
    a.client.handle_timeout(4_000);
    a.key = bus.connect();
    a.client.connected();
    let greeting = take(&mut a.client);
    bus.say(a.key, &greeting);
    let welcome = bus.hear_bytes(a.key, usize::MAX);
    let mut frames = a.client.frames(welcome.into()).unwrap();
    while let Some(frame) = frames.next() {
        a.client.handle_frame(&frame).unwrap();
    }
    assert_eq!(left(&mut bus, &mut a), [TimeLeft::from_millis(6_000), TimeLeft::NONE]);
}
