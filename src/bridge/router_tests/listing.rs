//! What the bridge itself says is no larger than its receiver takes.

use super::bus::{Bus, Heard, hello_of, listen, name, routed};
use crate::bridge::host::{Event, RpcCall};
use crate::bridge::link::LinkKey;
use crate::error::Code;
use crate::wire::frame::{Encoding, Head, decode_refusal, encode_preamble, flag, kind};
use crate::wire::time_left::TimeLeft;

/// A node that takes so little, among 60 of which the list has about 20 000 bytes.
fn crowd(max_message: u64) -> (Bus, LinkKey, Vec<LinkKey>) {
    let mut bus = Bus::new();
    let mut keys: Vec<LinkKey> = (0..60).map(|number| bus.join(&format!("{number:02}{}", "x".repeat(250)))).collect();
    let small = bus.connect();
    let mut greeting = Vec::new();
    encode_preamble(&mut greeting);
    bus.tell(small, &[greeting, hello_of("small", max_message)]);
    assert_eq!(bus.hear(small)[0].kind, kind::WELCOME);
    keys.push(small);
    (bus, small, keys)
}

fn ids(body: &str) -> Vec<String> {
    body.split("\"id\":\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

/// The host takes the call that came.
fn take_call(bus: &mut Bus) -> RpcCall {
    let Some(Event::Rpc(call)) = bus.events().pop() else { panic!("no call") };
    bus.router.host_took(call.body.len());
    call
}

fn text(heard: &Heard) -> String {
    String::from_utf8(heard.routed().1).unwrap()
}

#[test]
fn the_roster_is_asked_for_page_by_page() {
    for max_message in [1, 5_000] {
        let (mut bus, small, keys) = crowd(max_message);
        let (mut listed, mut after, mut pages) = (Vec::<String>::new(), String::new(), 0);
        loop {
            pages += 1;
            let event = if after.is_empty() { 0 } else { pages };
            let question = Head {
                kind: kind::ROSTER,
                flags: flag::ASK,
                peer: 0,
                event,
                time_left: TimeLeft::NONE,
                correlation: 1,
                seq: pages.into(),
            };
            if event != 0 {
                bus.say(small, &name(event - 1, &after));
            }
            bus.say(small, &routed(Head { event: event.saturating_sub(1), ..question }, b"[]"));
            let page = text(&bus.hear_only(small, kind::REPLY)[0]);
            assert!(page.len() as u64 <= max_message.max(4096), "{} bytes", page.len());
            listed.extend(ids(&page));
            if !page.ends_with("],true]") {
                break;
            }
            after = listed.last().unwrap().clone();
        }
        let mut sorted = listed.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!((listed.len(), &sorted), (61, &listed), "everyone once, in order");
        assert!(pages > 3);
        bus.empty(&keys);
    }
}

#[test]
fn those_who_listen_for_presence_are_told_in_parts_who_is_there() {
    let (mut bus, small, keys) = crowd(5_000);
    bus.say(small, &listen("node:join"));
    let parts: Vec<String> = bus.hear_only(small, kind::BROADCAST).iter().map(text).collect();
    assert!(parts.len() > 3 && parts.iter().all(|part| part.len() <= 5_000), "{}", parts.len());
    let last = parts.len() - 1;
    for (number, part) in parts.iter().enumerate() {
        assert!(part.ends_with(&format!("],true,{number},{}]", number < last)), "{part}");
    }
    assert_eq!(parts.iter().flat_map(|part| ids(part)).count(), 61);
    bus.empty(&keys);
}

#[test]
fn an_answer_that_its_asker_does_not_take_is_refused_to_it() {
    let (mut bus, small, keys) = crowd(1_000);
    bus.say(small, &name(1, "big"));
    for (seq, len) in [(1, 1_001), (2, 1_000)] {
        let head = Head {
            kind: kind::RPC,
            flags: flag::ASK,
            peer: 0,
            event: 1,
            time_left: TimeLeft::NONE,
            correlation: seq,
            seq: seq.into(),
        };
        bus.say(small, &routed(head, b"[]"));
        let call = take_call(&mut bus);
        bus.router.answer(call.caller, Encoding::Json, vec![b' '; len].into());
    }
    let heard: Vec<Heard> =
        bus.hear(small).into_iter().filter(|heard| matches!(heard.kind, kind::REPLY | kind::REFUSE)).collect();
    let (refused, body) = heard[0].routed();
    let (code, text) = decode_refusal(&body).unwrap();
    assert_eq!((heard[0].kind, refused.correlation, code), (kind::REFUSE, 1, Code::TooLarge));
    assert!(text.contains("1001 bytes") && text.contains("1000 are taken"), "{text}");
    assert_eq!((heard[1].kind, heard[1].routed().0.correlation), (kind::REPLY, 2));
    assert_eq!(bus.counters.undeliverable.get(), 1);
    bus.empty(&keys);
}

#[test]
fn an_answer_above_what_the_bridge_takes_is_refused_even_to_who_takes_more() {
    let mut bus = Bus::new();
    let eager = bus.connect();
    let mut greeting = Vec::new();
    encode_preamble(&mut greeting);
    bus.tell(eager, &[greeting, hello_of("eager", u64::MAX), name(1, "big")]);
    let head = Head {
        kind: kind::RPC,
        flags: flag::ASK,
        peer: 0,
        event: 1,
        time_left: TimeLeft::NONE,
        correlation: 1,
        seq: 1,
    };
    bus.say(eager, &routed(head, b"[]"));
    let call = take_call(&mut bus);
    bus.router.answer(call.caller, Encoding::Json, vec![b' '; (64 << 20) + 1].into());
    assert_eq!(bus.hear_only(eager, kind::REFUSE)[0].routed().1[0], Code::TooLarge as u8);
    bus.empty(&[eager]);
}

#[test]
fn reasons_end_before_a_frame_does() {
    let mut bus = Bus::new();
    let a = bus.join("a");
    let head = Head {
        kind: kind::RPC,
        flags: flag::ASK,
        peer: 0,
        event: 1,
        time_left: TimeLeft::NONE,
        correlation: 1,
        seq: 1,
    };
    bus.tell(a, &[name(1, "m"), routed(head, b"[]")]);
    let call = take_call(&mut bus);
    bus.router.refuse_call(call.caller, "m", Code::NoMethod, &"é".repeat(100_000));
    let body = bus.hear_only(a, kind::REFUSE)[0].routed().1;
    assert_eq!(decode_refusal(&body).unwrap(), (Code::NoMethod, &*"é".repeat(2_048)));
    bus.empty(&[a]);
}
