use super::*;
use crate::operations_doc_tests::says;

fn entry(to: &Rc<Destination>) -> Entry {
    let (slots, generation) = Default::default();
    let route = Rc::new(Route { event: "e".into(), to: to.clone(), slots, generation });
    let place = Place { segment: 0, start: 0, len: 9 };
    Entry { route, correlation: 0, kind: 0, flags: 0, state: State::Sent, place }
}

/// An outbox in which messages of these numbers wait, and all others up to `last` are settled.
fn waiting(seqs: &[u64], last: u64) -> Outbox {
    let (mut outbox, to) = (Outbox::default(), Rc::new(Destination::new("b".into())));
    for seq in 1..=last {
        assert_eq!(outbox.next_seq(), seq);
        outbox.push(entry(&to));
        if !seqs.contains(&seq) {
            assert!(outbox.settle(seq).is_some_and(|settled| settled.was_sent));
            assert!(outbox.settle(seq).is_none(), "only once");
        }
    }
    outbox
}

#[test]
fn one_that_waits_keeps_none_of_those_behind_it_in_memory() {
    let mut outbox = waiting(&[1, 5, 70_000], 200_000);
    assert!(outbox.entries.len() <= 2 * (MAX_SETTLED + 1), "{}", outbox.entries.len());
    assert!(outbox.entries.capacity() <= 8 * MAX_SETTLED, "{}", outbox.entries.capacity());
    says("a settled one behind it", &[size_of::<Entry>(), MAX_SETTLED]);
    let seqs = |outbox: &Outbox, from| outbox.unsettled_from(from).map(|(seq, _)| seq).collect::<Vec<_>>();
    assert_eq!(
        (seqs(&outbox, 0), seqs(&outbox, 2), seqs(&outbox, 70_001)),
        (vec![1, 5, 70_000], vec![5, 70_000], vec![])
    );
    assert_eq!((outbox.first_seq(), outbox.next_seq(), outbox.is_empty()), (1, 200_001, false));
    assert!(outbox.get(5).is_some() && outbox.get(6).is_none() && outbox.get_mut(1).is_some());
    outbox.link_lost();
    assert!(outbox.unsettled().all(|(_, entry)| entry.state == State::Waiting));
    for seq in [5, 1, 70_000] {
        assert!(outbox.settle(seq).is_some_and(|settled| !settled.was_sent), "{seq}");
        assert!(outbox.settle(seq).is_none());
    }
    assert!(outbox.is_empty());
    assert_eq!((outbox.first_seq(), outbox.settled), (200_001, 0));
}

#[test]
fn what_is_settled_from_the_front_is_counted_whatever_lies_behind() {
    let (mut outbox, to) = (Outbox::default(), Rc::new(Destination::new("b".into())));
    for _ in 1..=10 {
        outbox.push(entry(&to));
    }
    assert!(outbox.settle(3).is_some() && outbox.settle(2).is_some() && outbox.settle(9).is_some());
    let front: Vec<_> = (1..=3).map(|seq| outbox.settle_front(seq).map(|entry| entry.state)).collect();
    assert_eq!(front, [Some(State::Sent), Some(State::Settled), Some(State::Settled)]);
    outbox.drop_settled();
    assert_eq!((outbox.first_seq(), outbox.settled, outbox.settle_front(6).is_none()), (4, 1, true));
}

#[test]
fn the_body_of_a_straggler_is_still_there() {
    let (mut outbox, to) = (Outbox::default(), Rc::new(Destination::new("b".into())));
    outbox.push_large(entry(&to), Large::Chunks([Bytes::from_static(b"large")].into()));
    for seq in 2..=3 * MAX_SETTLED as u64 {
        outbox.push(entry(&to));
        outbox.settle(seq);
    }
    assert_eq!(outbox.stragglers.len(), 1);
    assert_eq!((outbox.weight(1).total, outbox.large(1).map(Large::len)), (69, Some(5)));
    assert!(outbox.settle(1).is_some_and(|settled| settled.large.is_some()));
    assert!(outbox.is_empty() && outbox.large(1).is_none());
}
