//! How things end: whatever gives up tells, drains, releases and unties all that hung on it.

use std::io::IoSlice;

use super::bus::{Bus, Driven, chunk, frames, head, hello_from, joining, listen, name, number, opening, routed, take};
use crate::bridge::link::LinkKey;
use crate::bridge::router::Limits;
use crate::error::Code;
use crate::node::client::{Client, Config};
use crate::node::sending::Letter;
use crate::outqueue::MAX_SLICES;
use crate::wire::control::{Gone, Watch, put_peer};
use crate::wire::frame::{Encoding, Head, decode_refusal, flag, kind};

fn config(id: &str, max_pending: u64) -> Config {
    Config {
        id: id.into(),
        session: 2,
        secret: 7,
        pid: 3,
        namespace: 1,
        max_message: 1 << 26,
        max_pending,
        replaces: false,
    }
}

fn letter(kind: u8, target: u32, ask: Option<u32>) -> Letter {
    Letter { kind, target, encoding: Encoding::Json, ask, correlation: 0, now: 0 }
}

/// A raw node of session 1, which keeps what it says, and has named `names` from slot 1 on.
fn join(bus: &mut Bus, id: &str, names: &[&str]) -> LinkKey {
    let key = bus.connect();
    bus.say(key, &joining(&hello_from(1, id)));
    bus.hear(key);
    (1..).zip(names).for_each(|(slot, text)| bus.say(key, &name(slot, text)));
    key
}

/// Those of what a program is told that begin so.
fn told(all: &[String], begin: &str) -> Vec<String> {
    all.iter().filter(|told| told.starts_with(begin)).cloned().collect()
}

fn gone(bus: &mut Bus, key: LinkKey) -> Vec<Gone> {
    bus.hear_only(key, kind::GONE).iter().map(|heard| Gone::decode(&heard.payload).unwrap()).collect()
}

// ---- a message that is given up at its receiver ----------------------------------------------------------------

#[test]
fn a_large_message_behind_which_too_much_waits_is_told_to_whoever_said_it_once() {
    for (kind, asks) in [(kind::MESSAGE, false), (kind::MESSAGE, true), (kind::BROADCAST, false)] {
        let mut bus = Bus::new();
        let a = join(&mut bus, "a", &["b", "e"]);
        let mut b = bus.drive_with(config("b", 10_000));
        b.client.listen("e", true);
        bus.carry(&mut b);
        let (flags, correlation) = if asks { (flag::ASK, 77) } else { (0, 0) };
        let large = Head { correlation, ..head(kind, flags, 1) };
        bus.tell(a, &[opening(large, 5, 1000), chunk(5, 0, &[b'x'; 400])]);
        (2..=20).for_each(|seq| bus.say(a, &routed(head(kind::MESSAGE, 0, seq), &[b'y'; 1000])));
        let heard = bus.carry(&mut b);
        assert_eq!(told(&heard, "Delivery").len(), 19, "what waited behind it has come");
        let refusals = bus.hear_only(a, kind::REFUSE);
        let (refusal, body) = refusals[0].routed();
        assert_eq!((refusals.len(), refusal.correlation), (1, correlation));
        assert_eq!(decode_refusal(&body).unwrap().0, Code::QueueFull);
        bus.say(a, &chunk(5, 0, &[b'x'; 600]));
        bus.say(a, &opening(large, 6, 1000));
        assert_eq!(told(&bus.carry(&mut b), "Delivery"), [""; 0]);
        assert!(bus.hear_only(a, kind::REFUSE).is_empty(), "it is told once, even if it is said again");
        bus.empty(&[a, b.key]);
    }
}

#[test]
fn a_large_reply_behind_which_too_much_waits_ends_its_question() {
    let mut bus = Bus::new();
    let a = join(&mut bus, "a", &["b", "e"]);
    let mut b = bus.drive_with(config("b", 10_000));
    let target = b.client.target("a", "q");
    let correlation = b.client.send_with(letter(kind::MESSAGE, target, Some(0)), |out| out.extend(b"[]")).unwrap();
    bus.carry(&mut b);
    let reply = Head { event: 0, correlation, ..head(kind::REPLY, 0, 1) };
    bus.tell(a, &[opening(reply, 5, 1000)]);
    (2..=20).for_each(|seq| bus.say(a, &routed(head(kind::MESSAGE, 0, seq), &[b'y'; 1000])));
    let failed = told(&bus.carry(&mut b), "Failed");
    assert!(failed.len() == 1 && failed[0].contains("QueueFull"), "{failed:?}");
    bus.empty(&[a, b.key]);
}

// ---- 'drain' -----------------------------------------------------------------------------------------------------

#[test]
fn whoever_was_given_up_is_told_that_sending_may_go_on() {
    let mut bus = Bus::new();
    let _b = join(&mut bus, "b", &[]);
    let mut a = bus.drive("a", 3);
    let target = a.client.target("b", "q");
    for _ in 0..60 {
        a.client.send_with(letter(kind::MESSAGE, target, Some(0)), |out| out.extend([b'x'; 1000])).unwrap();
    }
    bus.carry(&mut a);
    assert!(a.client.need_drain());
    bus.lose(a.key);
    a.client.disconnected();
    bus.wait(10_000);
    a.key = bus.connect();
    a.client.connected();
    let heard = bus.carry(&mut a);
    assert_eq!(told(&heard, "Failed").len(), 60);
    assert_eq!((told(&heard, "Drain").len(), a.client.need_drain(), a.client.pending()), (1, false, 0));
}

#[test]
fn nobody_waits_for_drain_when_all_is_over() {
    let mut client = Client::new(config("a", 1000));
    let target = client.target("b", "q");
    client.send_with(letter(kind::MESSAGE, target, None), |out| out.extend([b'x'; 800])).unwrap();
    assert!(client.need_drain());
    client.close("over");
    assert!(!client.need_drain());
    let told: Vec<String> = std::iter::from_fn(|| client.poll_event()).map(|event| format!("{event:?}")).collect();
    assert!(told.len() == 1 && told[0].starts_with("Undeliverable"), "{told:?}");
}

// ---- what waits behind a message that is over ----------------------------------------------------------------------

#[test]
fn what_waits_behind_a_message_that_was_given_up_is_delivered_when_its_receiver_is_back() {
    let mut bus = Bus::new();
    let b = join(&mut bus, "b", &["a", "e"]);
    let mut a = bus.drive("a", 3);
    bus.tell(
        b,
        &[
            opening(head(kind::MESSAGE, 0, 1), 5, 1000),
            routed(Head { correlation: 9, ..head(kind::MESSAGE, flag::ASK, 2) }, b"[2]"),
        ],
    );
    assert_eq!(told(&bus.carry(&mut a), "Delivery"), [""; 0]);
    bus.lose(a.key);
    a.client.disconnected();
    bus.wait(10_000);
    assert_eq!(gone(&mut bus, b).len(), 1);
    a.key = bus.connect();
    a.client.connected();
    assert_eq!(told(&bus.carry(&mut a), "Delivery"), [""; 0], "only b knows whether it will say that again");
    let asked = bus.hear_only(b, kind::WATCH);
    let watch = Watch::decode(&asked[0].payload).unwrap();
    assert_eq!(watch, Watch { seq: 0, oldest: 1, session: 3, node: "a".into() });
    let mut unheard = Vec::new();
    watch.encode(kind::UNHEARD, &mut unheard);
    bus.say(b, &unheard);
    let heard = bus.carry(&mut a);
    assert_eq!((told(&heard, "Delivery").len(), told(&heard, "Departed").len()), (1, 0), "b is still there: {heard:?}");
    let delivery = &told(&heard, "Delivery")[0];
    assert!(delivery.contains("correlation: 0"), "b was told that its question has no answer: {delivery}");
    bus.empty(&[a.key, b]);
}

#[test]
fn whoever_is_asked_for_the_rest_of_a_message_says_so_if_it_does_not_keep_it() {
    let mut bus = Bus::new();
    let (mut b, _a, _c) = (bus.drive("b", 2), join(&mut bus, "a", &[]), join(&mut bus, "c", &[]));
    for to in ["a", "c", "a", "c"] {
        let target = b.client.target(to, "e");
        b.client.send_with(letter(kind::MESSAGE, target, None), |out| out.extend(b"[1]")).unwrap();
    }
    bus.carry(&mut b);
    // Messages 1 and 3 are for a: of what it asks for, the answer is up to which number nothing for it is kept.
    for (oldest, over) in [(1, None), (2, Some(2)), (3, None), (4, Some(4)), (7, Some(7))] {
        let mut watch = Vec::new();
        Watch { seq: 0, oldest, session: 1, node: "a".into() }.encode(kind::WATCH, &mut watch);
        let mut frames_of_it = b.client.frames(watch.into()).unwrap();
        let frame = frames_of_it.next().unwrap();
        b.client.handle_frame(&frame).unwrap();
        let said = frames(&take(&mut b.client));
        let unheard = said.iter().filter(|said| said.kind == kind::UNHEARD);
        let unheard: Vec<u64> = unheard.map(|said| Watch::decode(&said.payload).unwrap().oldest).collect();
        assert_eq!(unheard, Vec::from_iter(over), "message {oldest}");
    }
}

// ---- broadcasts ------------------------------------------------------------------------------------------------------

/// a has said broadcasts 3, 4 and 6; b has had `acknowledged` of them.
fn broadcasts(acknowledged: u64) -> (Bus, LinkKey, LinkKey) {
    let mut bus = Bus::new();
    let (a, b) = (join(&mut bus, "a", &["b", "e"]), join(&mut bus, "b", &[]));
    bus.say(b, &listen("e"));
    [3, 4, 6].into_iter().for_each(|seq| bus.say(a, &routed(head(kind::BROADCAST, 0, seq), b"[]")));
    bus.hear(b);
    bus.say(b, &number(kind::ACK, acknowledged));
    bus.hear(a);
    (bus, a, b)
}

#[test]
fn whoever_broadcast_to_a_node_that_was_given_up_is_told_of_each_before_it_is_settled() {
    let (mut bus, a, b) = broadcasts(1);
    bus.lose(b);
    bus.wait(10_000);
    let heard = bus.hear(a);
    let kinds: Vec<u8> = heard.iter().map(|heard| heard.kind).collect();
    assert_eq!(kinds, [kind::GONE, kind::SETTLED, kind::SETTLED]);
    let gone = Gone::decode(&heard[0].payload).unwrap();
    assert_eq!((&*gone.node, gone.code, gone.missed), ("b", Code::NodeLeft, vec![(4, 4), (6, 6)]));
    assert_eq!(bus.counters.undeliverable.get(), 2);
    bus.empty(&[a]);
}

#[test]
fn a_node_that_says_goodbye_misses_nothing() {
    let (mut bus, a, b) = broadcasts(1);
    bus.say(b, &[2, 0, 0, 0, kind::LEAVE, 0]);
    assert!(bus.hear(a).iter().all(|heard| heard.kind == kind::SETTLED));
    bus.empty(&[a, b]);
}

#[test]
fn a_broadcast_that_a_node_had_half_of_is_missed_by_it() {
    let mut bus = Bus::new();
    let (a, b) = (join(&mut bus, "a", &["b", "e"]), join(&mut bus, "b", &[]));
    bus.say(b, &listen("e"));
    bus.tell(a, &[opening(head(kind::BROADCAST, 0, 1), 5, 1000), chunk(5, 0, &[b'x'; 400])]);
    bus.lose(b);
    bus.wait(10_000);
    assert_eq!(gone(&mut bus, a)[0].missed, [(1, 1)]);
    bus.say(a, &chunk(5, 0, &[b'x'; 600]));
    assert_eq!(bus.hear(a), [], "it was settled with that");
    bus.empty(&[a]);
}

#[test]
fn what_a_peer_of_the_originals_wire_never_read_is_told() {
    let mut bus = Bus::new();
    let (a, b) = (join(&mut bus, "a", &["b", "e"]), bus.join_legacy("b"));
    bus.say(a, &opening(head(kind::MESSAGE, 0, 1), 5, 1000));
    bus.say(a, &routed(head(kind::BROADCAST, 0, 2), b"[]"));
    bus.lose(b);
    let gone = gone(&mut bus, a);
    assert_eq!((gone.len(), gone[0].seq, &gone[0].missed), (1, 2, &vec![(2, 2)]));
    bus.empty(&[a]);
    let mut bus = Bus::new();
    let (a, b) = (join(&mut bus, "a", &["b", "e"]), bus.join_legacy("b"));
    bus.say(a, &routed(head(kind::MESSAGE, 0, 1), b"[]"));
    bus.lose(b);
    let gone = self::gone(&mut bus, a);
    assert_eq!((gone.len(), gone[0].seq), (1, 1));
    bus.empty(&[a]);
}

#[test]
fn a_program_is_told_once_of_a_broadcast_that_a_node_missed() {
    let mut bus = Bus::new();
    let mut a = bus.drive("a", 3);
    let target = a.client.target("", "news");
    a.client.send_with(letter(kind::BROADCAST, target, None), |out| out.extend(b"[1]")).unwrap();
    let mut gone = Vec::new();
    let (code, node, missed) = (Code::NodeLeft, "b".to_owned(), vec![(1, 9)]);
    Gone { seq: 0, code, delivered_only: true, session: 2, node, missed }.encode(&mut gone);
    let hear = |a: &mut Driven| {
        let mut frames = a.client.frames(gone.clone().into()).unwrap();
        let frame = frames.next().unwrap();
        a.client.handle_frame(&frame).unwrap();
        let told = std::iter::from_fn(|| a.client.poll_event()).map(|event| format!("{event:?}"));
        self::told(&told.collect::<Vec<_>>(), "Undeliverable")
    };
    let told = hear(&mut a);
    assert_eq!(told, ["Undeliverable { node: \"b\", event: \"news\", code: NodeLeft }"]);
    assert_eq!(hear(&mut a), [""; 0], "the bridge says again what was not acknowledged");
    bus.carry(&mut a);
    assert_eq!(hear(&mut a), [""; 0], "it is settled");
}

// ---- goodbyes --------------------------------------------------------------------------------------------------------

/// Writes `most` bytes of what waits; returns them.
fn write(client: &mut Client, most: usize) -> Vec<u8> {
    let mut written = Vec::new();
    while written.len() < most {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = client.transmit(&mut slices);
        let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
        let now = bytes.len().min(most - written.len());
        if now == 0 {
            break;
        }
        written.extend_from_slice(&bytes[..now]);
        client.written(now);
    }
    written
}

#[test]
fn a_node_that_ends_says_goodbye_behind_the_frame_it_had_begun() {
    let speaker = || {
        let mut bus = Bus::with(Limits::default());
        let mut a = Driven { client: Client::new(config("a", 1 << 26)), key: bus.connect() };
        let target = a.client.target("b", "e");
        // What waits for a link is copied when it is said.
        for _ in 0..4000 {
            a.client.send_with(letter(kind::MESSAGE, target, None), |out| out.extend(b"waits")).unwrap();
        }
        a.client.connected();
        bus.say(a.key, &take(&mut a.client));
        let welcome = bus.hear_bytes(a.key, usize::MAX);
        let mut arrived = a.client.frames(welcome.into()).unwrap();
        while let Some(frame) = arrived.next() {
            a.client.handle_frame(&frame).unwrap();
        }
        a.client.transmit(&mut [IoSlice::new(&[]); MAX_SLICES]);
        for _ in 0..3 {
            a.client.send_with(letter(kind::MESSAGE, target, None), |out| out.extend([b'x'; 30])).unwrap();
            let mut body = a.client.body();
            body.write(&vec![b'y'; 140_000]);
            a.client.send(letter(kind::MESSAGE, target, None), body).unwrap();
        }
        a
    };
    let all = frames(&write(&mut speaker().client, usize::MAX));
    let mut ends = all.iter().scan(0, |end, frame| {
        *end += 6 + frame.payload.len();
        Some(*end)
    });
    let ends: Vec<usize> = ends.by_ref().collect();
    let (few, many) = ends.split_at(3990);
    let sample = few.iter().step_by(131).chain(many);
    let near = sample.flat_map(|&end| [end - 1, end, end + 1, end + 20, end + 70_000]);
    for written in near.chain([0, 1, 5]).filter(|&written| written <= ends[ends.len() - 1]) {
        let mut a = speaker();
        let mut said = write(&mut a.client, written);
        a.client.close("over");
        said.extend(write(&mut a.client, usize::MAX));
        let begun = ends.iter().position(|&end| end >= written).map_or(0, |at| at + usize::from(written > 0));
        let said = frames(&said);
        assert_eq!((said.len(), said.last().unwrap().kind), (begun + 1, kind::LEAVE), "after {written} bytes");
        assert_eq!(said[..begun], all[..begun]);
    }
}

#[test]
fn a_node_that_ends_while_it_is_greeting_has_left_as_well() {
    let mut bus = Bus::new();
    let mut a = Driven { client: Client::new(config("a", 1 << 20)), key: bus.connect() };
    a.client.connected();
    a.client.close("over");
    bus.say(a.key, &take(&mut a.client));
    assert!(bus.router.link(a.key).closing && bus.router.ids().is_empty());
    bus.empty(&[a.key]);
}

/// Slot `slot` is `id` in this session.
fn peer(slot: u16, session: u64, id: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_peer(slot, session, id, &mut bytes);
    bytes
}

#[test]
fn a_broadcast_of_which_part_had_come_is_told_when_it_comes_too_late() {
    let mut bus = Bus::new();
    let mut a = bus.drive("a", 3);
    let hear = |a: &mut Driven, said: &[Vec<u8>]| {
        let mut arrived = a.client.frames(said.concat().into()).unwrap();
        while let Some(frame) = arrived.next() {
            drop(a.client.handle_frame(&frame).unwrap());
            while a.client.poll_event().is_some() {}
        }
        frames(&take(&mut a.client)).into_iter().filter(|said| said.kind == kind::REFUSE).count()
    };
    let from = |seq| Head { peer: 1, event: 2, ..head(kind::BROADCAST, 0, seq) };
    let lost = chunk(5, flag::ABORT | flag::LOST, b"");
    let begun = [peer(1, 9, "b"), name(2, "e"), opening(from(5), 5, 9), lost, routed(from(7), b"[7]")];
    assert_eq!(hear(&mut a, &begun), 0, "7 says that 5 is not for a any more");
    assert_eq!(hear(&mut a, &[routed(from(6), b"[6]")]), 0, "that was for others when it was said");
    assert_eq!(hear(&mut a, &[routed(from(5), b"[5]")]), 1);
    assert_eq!(hear(&mut a, &[routed(from(5), b"[5]")]), 0);
}
