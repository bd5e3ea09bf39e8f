//! Messages find whom they concern; questions find an end.

use super::bus::{Bus, Driven, head, listen, name, number, routed};
use crate::bridge::host::Event;
use crate::error::Code;
use crate::node::sending::Letter;
use crate::wire::control::Settled;
use crate::wire::frame::{Encoding, Head, decode_refusal, flag, kind};

fn ask(driven: &mut Driven, node: &str, event: &str) -> u32 {
    let target = driven.client.target(node, event);
    let kind = if node.is_empty() { kind::RPC } else { kind::MESSAGE };
    let letter = Letter { kind, target, encoding: Encoding::Json, ask: Some(1_000), correlation: 0, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(b"[1]")).unwrap()
}

fn reply(driven: &mut Driven, node: &str, correlation: u32) {
    let target = driven.client.target(node, "");
    let letter = Letter { kind: kind::REPLY, target, encoding: Encoding::Json, ask: None, correlation, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(b"[2]")).unwrap();
}

#[test]
fn a_broadcast_goes_to_listeners_once_and_not_to_its_sender() {
    let mut bus = Bus::new();
    let (a, b, c, old) = (bus.join("a"), bus.join("b"), bus.join("c"), bus.join_legacy("old"));
    bus.tell(a, &[listen("news"), name(1, "a"), name(2, "news")]);
    bus.tell(b, &[listen("news"), listen("news")]);
    bus.say(c, &listen("other"));
    bus.say(a, &routed(head(kind::BROADCAST, 0, 1), b"[5]"));
    assert!(bus.hear_only(a, kind::BROADCAST).is_empty() && bus.hear(c).is_empty());
    assert_eq!(bus.hear_only(b, kind::BROADCAST).len(), 1);
    assert!(bus.hear_text(old).contains("\"data\":[\"news\",5]"));
    bus.empty(&[a, b, c, old]);
}

#[test]
fn a_broadcast_is_settled_when_the_last_listener_has_it_or_is_gone() {
    let mut bus = Bus::new();
    let (a, b, c) = (bus.join("a"), bus.join("b"), bus.join("c"));
    bus.tell(a, &[name(1, "a"), name(2, "news")]);
    bus.say(b, &listen("news"));
    bus.say(c, &listen("news"));
    bus.say(a, &routed(head(kind::BROADCAST, 0, 1), b"[5]"));
    bus.say(b, &number(kind::ACK, 1));
    assert!(bus.hear_only(a, kind::SETTLED).is_empty());
    bus.lose(c);
    let settled = Settled::decode(&bus.hear_only(a, kind::SETTLED)[0].payload).unwrap();
    assert_eq!((settled.first, settled.last, settled.bytes), (1, 1, 67));
    bus.empty(&[a, b]);
}

#[test]
fn what_reaches_nobody_is_refused_and_settled() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    bus.tell(a, &[name(1, "nobody"), name(2, "e")]);
    let asked = Head { correlation: 77, ..head(kind::MESSAGE, flag::ASK, 1) };
    bus.say(a, &routed(asked, b"[]"));
    let heard = bus.hear(a);
    let (refused, body) = heard.iter().find(|heard| heard.kind == kind::REFUSE).unwrap().routed();
    assert_eq!((refused.correlation, refused.seq, refused.flags), (77, 1, flag::BRIDGE));
    let (code, text) = decode_refusal(&body).unwrap();
    assert_eq!(code, Code::UnknownNode);
    assert!(text.starts_with("unknown-node") && text.contains("nobody"));
    assert_eq!(heard.last().unwrap().kind, kind::SETTLED);
    bus.empty(&[a]);
}

#[test]
fn a_reply_that_nobody_waits_for_is_counted_and_forgotten() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    bus.tell(a, &[name(1, "nobody"), name(2, "e")]);
    bus.say(a, &routed(Head { correlation: 77, ..head(kind::REPLY, 0, 1) }, b"[]"));
    assert!(bus.hear_only(a, kind::REFUSE).is_empty());
    assert_eq!(bus.counters.stale_replies.get(), 1);
    bus.empty(&[a]);
}

#[test]
fn a_host_that_takes_nothing_is_asked_only_so_much() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    bus.tell(a, &[name(1, "a"), name(2, "method")]);
    let body = vec![b' '; 60_000];
    for seq in 1..=3 {
        let call = Head { correlation: seq, ..head(kind::RPC, flag::ASK, seq.into()) };
        bus.say(a, &routed(call, &body));
    }
    let refused = bus.hear_only(a, kind::REFUSE);
    let codes: Vec<u32> = refused.iter().map(|heard| heard.routed().0.correlation).collect();
    assert_eq!(codes, [2, 3]);
    assert_eq!(decode_refusal(&refused[0].routed().1).unwrap().0, Code::QueueFull);
    let calls: Vec<Event> = bus.events().into_iter().filter(|event| matches!(event, Event::Rpc(_))).collect();
    let [Event::Rpc(call)] = &calls[..] else { panic!("{calls:?}") };
    bus.router.host_took(call.body.len());
    bus.router.answer(call.caller, Encoding::Json, "[null]".into());
    assert_eq!(bus.hear_only(a, kind::REPLY)[0].routed().0.correlation, 1);
    bus.say(a, &routed(Head { correlation: 4, ..head(kind::RPC, flag::ASK, 4) }, &body));
    assert!(bus.hear_only(a, kind::REFUSE).is_empty());
    bus.router.host_took(60_000);
    bus.empty(&[a]);
}

#[test]
fn an_answer_to_a_caller_who_left_goes_to_nobody_who_has_its_place() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    let call = Head { correlation: 1, ..head(kind::RPC, flag::ASK, 1) };
    bus.tell(a, &[name(1, "a"), name(2, "method"), routed(call, b"")]);
    let Some(Event::Rpc(call)) = bus.events().pop() else { panic!("no call") };
    bus.router.host_took(0);
    bus.lose(a);
    let b = bus.join("b");
    bus.router.answer(call.caller, Encoding::Json, "[null]".into());
    assert!(bus.hear(b).is_empty());
    bus.empty(&[b]);
}

#[test]
fn the_roster_lists_everyone_even_if_it_takes_chunks() {
    let mut bus = Bus::new();
    let asker = bus.drive("asker", 1);
    let (mut asker, mut keys) = (asker, Vec::new());
    for number in 0..1_500 {
        keys.push(bus.join(&format!("a-rather-long-node-id-{number}")));
    }
    let target = asker.client.target("", "");
    let letter = Letter { kind: kind::ROSTER, target, encoding: Encoding::Json, ask: Some(0), correlation: 0, now: 0 };
    asker.client.send_with(letter, |_| ()).unwrap();
    let told = bus.carry(&mut asker);
    let lists = told.iter().filter(|told| told.starts_with("Reply")).count();
    assert_eq!(lists, 1);
    keys.push(asker.key);
    bus.empty(&keys);
}

#[test]
fn names_beyond_the_table_are_told_again_and_never_mixed_up() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    for round in 0..3 {
        for number in (0..5_000).step_by(1 + round) {
            let target = a.client.target("b", &format!("event {number}"));
            let letter =
                Letter { kind: kind::MESSAGE, target, encoding: Encoding::Json, ask: None, correlation: 0, now: 0 };
            let body = format!("[{number}]");
            a.client.send_with(letter, |out| out.extend_from_slice(body.as_bytes())).unwrap();
        }
        let (mut names, mut count) = (std::collections::HashMap::new(), 0);
        let mut heard = Vec::new();
        while a.client.pending() > 0 {
            bus.carry(&mut a);
            heard.extend(bus.carry(&mut b));
        }
        for told in heard {
            if let Some((slot, name)) = told.strip_prefix("Name { slot: ").and_then(|rest| rest.split_once(", name: "))
            {
                let name = name.split(", session: ").next().unwrap();
                names.insert(slot.to_owned(), name.to_owned());
            } else if let Some(rest) = told.split_once(", event: ").map(|(_, rest)| rest) {
                let slot = rest.split(',').next().unwrap();
                let body = rest.split("Borrowed([").nth(1).unwrap().split(']').next().unwrap();
                let bytes: Vec<u8> = body.split(", ").map(|byte| byte.parse().unwrap()).collect();
                let text = String::from_utf8(bytes).unwrap();
                if let Some(name) = names.get(slot) {
                    assert_eq!(*name, format!("\"event {}\"", text.trim_matches(['[', ']'])));
                }
                count += 1;
            }
        }
        assert_eq!(count, 5_000usize.div_ceil(1 + round));
        bus.carry(&mut a);
        assert_eq!(a.client.pending(), 0);
    }
    bus.empty(&[a.key, b.key]);
}

#[test]
fn a_question_and_its_reply() {
    let mut bus = Bus::new();
    let (mut a, mut b) = (bus.drive("a", 1), bus.drive("b", 2));
    let correlation = ask(&mut a, "b", "e");
    bus.carry(&mut a);
    assert!(bus.carry(&mut b).iter().any(|told| told.contains(&format!("correlation: {correlation},"))));
    reply(&mut b, "a", correlation);
    bus.carry(&mut b);
    let told = bus.carry(&mut a);
    assert!(told[told.len() - 1].starts_with(&format!("Reply {{ correlation: {correlation}")), "{told:?}");
    reply(&mut b, "a", correlation);
    bus.carry(&mut b);
    assert!(bus.carry(&mut a).is_empty(), "a second reply is nobody's");
    bus.empty(&[a.key, b.key]);
}

#[test]
fn a_new_process_does_not_take_the_replies_meant_for_the_last_one() {
    let mut bus = Bus::new();
    let mut b = bus.drive("b", 2);
    let mut first = bus.drive("a", 11);
    let old = ask(&mut first, "b", "e");
    bus.carry(&mut first);
    bus.lose(first.key);
    let mut second = bus.drive("a", 12);
    ask(&mut second, "b", "e");
    bus.carry(&mut second);
    reply(&mut b, "a", old);
    bus.carry(&mut b);
    let told = bus.carry(&mut second);
    assert!(!told.iter().any(|told| told.starts_with("Reply")), "{told:?}");
}
