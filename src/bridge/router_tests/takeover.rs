//! A bridge that knows who was on the one before: those who live are waited for, and nobody else.

use super::bus::{Bus, Driven, Heard, frames, head, listen, name, routed};
use super::resuming::{digits, say};
use crate::bridge::member::NodeInfo;
use crate::bridge::registry::{Change, Registration};
use crate::bridge::router::Limits;
use crate::node::sending::Letter;
use crate::wire::control::{Gone, Watch};
use crate::wire::frame::{Encoding, kind};

/// What a bridge has noted.
fn noted(bus: &mut Bus) -> Vec<Registration> {
    let mut nodes: Vec<Registration> = Vec::new();
    for change in bus.router.take_changes() {
        match change {
            Change::Joined(_, node) => nodes.push(node),
            Change::Gone { id, identity } => {
                nodes.retain(|node| (&node.info.id, node.identity) != (&id, identity));
            }
        }
    }
    nodes
}

/// A bridge with these nodes is killed, and another takes over; they do not know it yet.
fn succeeded<const COUNT: usize>(ids: [&str; COUNT]) -> (Bus, [Driven; COUNT]) {
    let mut before = Bus::with_epoch(Limits::default(), 1);
    let mut session = 0;
    let nodes = ids.map(|id| {
        session += 1;
        let mut node = before.drive(id, session);
        node.client.disconnected();
        node
    });
    let mut bus = Bus::with_epoch(Limits::default(), 2);
    let nodes_before = noted(&mut before);
    assert_eq!(nodes_before.len(), COUNT);
    bus.router.take_over(Some(nodes_before), 0);
    (bus, nodes)
}

/// As noted of a process with the id `a`.
fn noted_a(identity: u64, session: u64) -> Registration {
    let info = NodeInfo { id: "a".to_owned(), pid: None, uid: None, address: None, since: 0 };
    Registration { identity, session, info }
}

fn broadcast(driven: &mut Driven) {
    let (kind, encoding, target) = (kind::BROADCAST, Encoding::Json, driven.client.target("", "e"));
    let letter = Letter { kind, target, encoding, ask: None, correlation: 0, now: 0 };
    driven.client.send_with(letter, |out| out.extend_from_slice(b"[1]")).unwrap();
}

#[test]
fn a_process_with_the_id_of_one_that_is_waited_for_takes_its_place_in_the_notes() {
    for session in [0, 7] {
        let mut bus = Bus::with_epoch(Limits::default(), 2);
        bus.router.take_over(Some(vec![noted_a(99, session)]), 0);
        bus.drive("a", 1);
        let changes = bus.router.take_changes();
        let gone = Change::Gone { id: "a".to_owned(), identity: 99 };
        assert!(matches!(&changes[..], [first, Change::Joined(..)] if *first == gone), "{changes:?}");
    }
}

#[test]
fn of_two_processes_that_are_noted_with_one_id_one_is_waited_for_and_no_other_stays_noted() {
    let mut bus = Bus::with_epoch(Limits::default(), 2);
    bus.router.take_over(Some(vec![noted_a(1, 1), noted_a(2, 2), noted_a(2, 2)]), 0);
    assert_eq!(bus.router.take_changes(), [Change::Gone { id: "a".to_owned(), identity: 1 }]);
}

#[test]
fn who_is_not_named_is_unknown_at_once_and_who_is_named_is_waited_for() {
    let (mut bus, [mut a, mut b]) = succeeded(["a", "b"]);
    say(&mut a, "b", "1");
    say(&mut a, "nobody", "2");
    let told = bus.reconnect(&mut a);
    let refused = |told: &String| told.contains("Undeliverable") && told.contains("nobody");
    assert_eq!(told.iter().filter(|told| refused(told)).count(), 1, "{told:?}");
    let mut told = bus.reconnect(&mut b);
    bus.carry(&mut a);
    told.extend(bus.carry(&mut b));
    assert_eq!(digits(&told), "1");
    bus.empty(&[a.key, b.key]);
}

#[test]
fn the_wait_ends_when_all_have_come_or_ended_and_broadcasts_are_settled_then() {
    let (mut bus, [mut a, mut b, c]) = succeeded(["a", "b", "c"]);
    bus.reconnect(&mut a);
    broadcast(&mut a);
    bus.carry(&mut a);
    bus.reconnect(&mut b);
    bus.carry(&mut a);
    bus.carry(&mut b);
    bus.carry(&mut a);
    assert!(a.client.pending() > 0, "c may listen for it");
    bus.router.process_ended("c", 3, 0);
    bus.carry(&mut a);
    assert_eq!((a.client.pending(), bus.router.is_taking_over()), (0, false));
    drop(c);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn the_last_to_come_gets_the_broadcasts_it_missed() {
    let (mut bus, [mut a, mut b]) = succeeded(["a", "b"]);
    b.client.listen("e", true);
    bus.reconnect(&mut a);
    broadcast(&mut a);
    bus.carry(&mut a);
    let mut told = bus.reconnect(&mut b);
    assert!(!bus.router.is_taking_over(), "nobody else is expected");
    bus.carry(&mut a);
    told.extend(bus.carry(&mut b));
    assert_eq!(digits(&told), "1");
    bus.carry(&mut a);
    assert_eq!(a.client.pending(), 0);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn nobody_who_leaves_is_held_up_by_those_who_may_yet_come() {
    let (mut bus, [mut a, mut b, c]) = succeeded(["a", "b", "c"]);
    b.client.listen("e", true);
    bus.reconnect(&mut a);
    bus.reconnect(&mut b);
    broadcast(&mut a);
    bus.carry(&mut a);
    a.client.leave();
    bus.carry(&mut a);
    assert!(a.client.pending() > 0, "b has not got it");
    bus.carry(&mut b);
    assert_eq!(bus.carry(&mut a), ["Left"]);
    assert!(bus.router.is_taking_over(), "c is still awaited");
    drop(c);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn whoever_waits_for_a_node_that_ended_meanwhile_is_told_at_once() {
    let (mut bus, [mut a, b]) = succeeded(["a", "b"]);
    say(&mut a, "b", "1");
    assert_eq!(bus.reconnect(&mut a).iter().filter(|told| told.contains("Undeliverable")).count(), 0);
    bus.router.process_ended("b", 7, 0);
    assert_eq!(bus.carry(&mut a), [""; 0], "that is another process");
    bus.router.process_ended("b", 2, 0);
    let told = bus.carry(&mut a);
    assert!(told[0].contains("Undeliverable") && told[0].contains("NodeLeft"), "{told:?}");
    assert_eq!(noted(&mut bus).len(), 1, "and the next bridge does not wait for it");
    drop(b);
    bus.empty(&[a.key]);
}

#[test]
fn whoever_was_given_up_a_bridge_ago_is_told_that_its_answers_are_lost() {
    let (mut second, [mut a, mut b]) = succeeded(["a", "b"]);
    let (kind, encoding) = (kind::MESSAGE, Encoding::Json);
    // Asked on a bridge that settled it.
    second.reconnect(&mut a);
    second.reconnect(&mut b);
    let target = a.client.target("b", "e");
    let letter = Letter { kind, target, encoding, ask: Some(0), correlation: 0, now: 0 };
    a.client.send_with(letter, |out| out.extend_from_slice(b"[1]")).unwrap();
    second.carry(&mut a);
    second.carry(&mut b);
    second.carry(&mut a);
    assert_eq!(a.client.pending(), 0);
    [&mut a, &mut b].into_iter().for_each(|driven| driven.client.disconnected());
    let mut third = Bus::with_epoch(Limits::default(), 3);
    third.router.take_over(Some(noted(&mut second)), 0);
    third.reconnect(&mut b);
    third.wait(5_000);
    // a misses all of this bridge, to which b says what a does not get.
    b.client.disconnected();
    let mut fourth = Bus::with_epoch(Limits::default(), 4);
    fourth.router.take_over(Some(noted(&mut third)), 0);
    let told = fourth.reconnect(&mut a);
    assert!(told.iter().any(|told| told.contains("Failed") && told.contains("NodeLeft")), "{told:?}");
    fourth.empty(&[a.key]);
}

#[test]
fn a_host_that_was_alone_leaves_nobody_to_wait_for() {
    let (mut bus, []) = succeeded([]);
    assert!(!bus.router.is_taking_over());
    let a = bus.drive("a", 9).key;
    bus.empty(&[a]);
}

/// The frames of one kind that wait for a node that was greeted.
fn hear(bus: &mut Bus, node: &Driven, kind: u8) -> Vec<Heard> {
    frames(&bus.hear_bytes(node.key, usize::MAX)).into_iter().filter(|heard| heard.kind == kind).collect()
}

/// The bodies of the bridge's own events that a node is told, in order.
fn events(bus: &mut Bus, node: &Driven) -> Vec<String> {
    let heard = hear(bus, node, kind::BROADCAST);
    heard.iter().map(|heard| String::from_utf8(heard.routed().1).unwrap()).collect()
}

fn ids(body: &str) -> Vec<&str> {
    body.split("\"id\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn presence_is_told_of_those_who_are_about_to_come_and_then_only_of_what_changes() {
    let (mut bus, [mut a, mut b, c]) = succeeded(["a", "b", "c"]);
    bus.reconnect(&mut a);
    bus.tell(a.key, &[listen("node:join"), listen("node:leave")]);
    let list = events(&mut bus, &a);
    assert_eq!((list.len(), ids(&list[0])), (1, vec!["a", "b", "c"]));
    assert!(list[0].ends_with("],[\"1\",\"2\",\"3\"],true]"), "{list:?}");
    bus.reconnect(&mut b);
    assert_eq!(events(&mut bus, &a), [""; 0], "b was there all the time");
    bus.wait(5_000);
    let gone = events(&mut bus, &a);
    assert_eq!((gone.len(), ids(&gone[0])), (1, vec!["c"]));
    assert!(gone[0].ends_with(",\"timeout\",\"3\"]"), "{gone:?}");
    drop(c);
    bus.empty(&[a.key, b.key]);
}

#[test]
fn another_process_with_the_id_of_one_that_is_expected_takes_its_place() {
    let (mut bus, [mut a, b]) = succeeded(["a", "b"]);
    bus.reconnect(&mut a);
    bus.tell(a.key, &[listen("node:join"), listen("node:leave")]);
    events(&mut bus, &a);
    let other = bus.drive("b", 9);
    let told = events(&mut bus, &a);
    assert!(told[0].ends_with(",\"replaced\",\"2\"]") && told[1].ends_with(",true,\"9\"]"), "{told:?}");
    assert_eq!(told.len(), 2);
    assert!(!bus.router.is_taking_over());
    drop(b);
    bus.empty(&[a.key, other.key]);
}

#[test]
fn whoever_may_come_of_whom_nobody_knows_is_listed_when_that_is_over() {
    let mut bus = Bus::with_epoch(Limits::default(), 2);
    bus.router.take_over(None, 0);
    let a = bus.drive("a", 1);
    bus.tell(a.key, &[listen("node:join"), listen("node:leave")]);
    assert!(events(&mut bus, &a)[0].ends_with("],[\"1\"],false]"), "others may come");
    let b = bus.drive("b", 2);
    assert!(events(&mut bus, &a)[0].ends_with(",true,\"2\"]"));
    bus.wait(5_000);
    let list = events(&mut bus, &a);
    assert_eq!(ids(&list[0]), ["a", "b"]);
    assert!(list[0].ends_with(",true]"), "{list:?}");
    bus.empty(&[a.key, b.key]);
}

#[test]
fn a_watch_for_who_is_not_named_is_answered_at_once() {
    let (mut bus, [mut a, b]) = succeeded(["a", "b"]);
    bus.reconnect(&mut a);
    let mut watch = Vec::new();
    for node in ["nobody", "b"] {
        Watch { seq: 9, oldest: 1, session: 0, node: node.into() }.encode(kind::WATCH, &mut watch);
    }
    bus.say(a.key, &watch);
    let gone = hear(&mut bus, &a, kind::GONE);
    assert_eq!(gone.iter().map(|gone| Gone::decode(&gone.payload).unwrap().node).collect::<Vec<_>>(), ["nobody"]);
    drop(b);
    bus.empty(&[a.key]);
}

#[test]
fn nobody_waits_for_others_of_the_originals_wire_longer_than_for_anybody() {
    let mut before = Bus::with_epoch(Limits::default(), 1);
    before.join_legacy("old");
    let mut bus = Bus::with_epoch(Limits::default(), 2);
    bus.router.take_over(Some(noted(&mut before)), 0);
    let a = bus.drive("a", 1);
    bus.tell(a.key, &[listen("node:leave"), name(1, "old"), name(2, "e")]);
    assert_eq!(ids(&events(&mut bus, &a)[0]), ["a"], "it ended with its bridge");
    bus.say(a.key, &routed(head(kind::MESSAGE, 0, 1), b"[1]"));
    assert!(hear(&mut bus, &a, kind::REFUSE).is_empty(), "it may connect again");
    let old = bus.join_legacy("old");
    assert!(!bus.router.is_taking_over());
    assert_eq!(hear(&mut bus, &a, kind::RESEND).len(), 1);
    bus.empty(&[a.key, old]);
}
