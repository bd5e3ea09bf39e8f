//! A sender and a receiver; the hostile, other processes, and the speed have files of their own.

mod hostile;
mod processes;
mod speed;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn pattern(seed: u32, len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn put(arena: &mut Arena, bytes: &[u8]) -> Extent {
    let mut writer = arena.writer(bytes.len()).unwrap();
    writer.write(bytes);
    writer.finish().unwrap()
}

fn get(view: &mut View, extent: Extent) -> Vec<u8> {
    let mut out = Vec::new();
    assert!(view.copy_to(extent, &mut out).unwrap());
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn bodies_come_as_they_were_written(bodies in vec((any::<u32>(), 1..300_000usize, any::<bool>()), 1..40)) {
        let mut arena = Arena::create().unwrap();
        let mut view = View::open(&arena.offer()).unwrap();
        let mut flying: Vec<(Extent, Vec<u8>)> = Vec::new();
        for (seed, len, settle) in bodies {
            let bytes = pattern(seed, len);
            flying.push((put(&mut arena, &bytes), bytes));
            if settle {
                let (extent, bytes) = flying.swap_remove(seed as usize % flying.len());
                prop_assert!(get(&mut view, extent) == bytes);
                prop_assert!(arena.free(extent));
                prop_assert!(!arena.free(extent));
            }
        }
        for (extent, bytes) in flying {
            prop_assert!(get(&mut view, extent) == bytes);
            arena.free(extent);
        }
        prop_assert!(arena.is_idle());
    }
}

#[test]
fn a_body_is_appended_to_what_is_there() {
    let mut arena = Arena::create().unwrap();
    let mut view = View::open(&arena.offer()).unwrap();
    let extent = put(&mut arena, b"world");
    let mut out = b"hello ".to_vec();
    view.copy_to(extent, &mut out).unwrap();
    assert_eq!(out, b"hello world");
}

#[test]
fn a_body_is_written_in_pieces_and_keeps_only_what_it_needs() {
    let mut arena = Arena::create().unwrap();
    let mut writer = arena.writer(1_000_000).unwrap();
    writer.write(b"abc");
    writer.pad(8);
    writer.write(b"def");
    let first = writer.finish().unwrap();
    let second = put(&mut arena, b"next");
    assert_eq!(second.offset, first.offset + 128);
    let mut view = View::open(&arena.offer()).unwrap();
    assert_eq!(get(&mut view, first), b"abc\0\0\0\0\0def");
}

#[test]
fn a_body_that_exceeds_its_room_or_is_dropped_leaves_no_trace() {
    let mut arena = Arena::create().unwrap();
    let mut writer = arena.writer(100).unwrap();
    writer.write(&[1; 60]);
    writer.write(&[2; 60]);
    assert_eq!(writer.finish(), None);
    assert_eq!(arena.writer(100).unwrap().finish(), None);
    drop(arena.writer(100));
    assert!(arena.is_idle());
}

#[test]
fn a_full_arena_takes_nothing_until_something_is_freed() {
    let mut arena = Arena::create().unwrap();
    assert!(arena.writer(layout::SIZE as usize).is_none());
    assert!(arena.writer(0).is_none());
    assert!(arena.writer(usize::MAX).is_none());
    let all = put(&mut arena, &vec![9; (layout::SIZE - layout::HEADER_LEN - layout::STAMP_LEN) as usize]);
    assert!(arena.writer(1).is_none());
    assert!(arena.free(all));
    assert!(arena.writer(1).is_some());
}

#[test]
fn what_was_freed_is_gone_for_those_who_come_too_late() {
    let mut arena = Arena::create().unwrap();
    let mut view = View::open(&arena.offer()).unwrap();
    let late = put(&mut arena, b"first");
    assert!(arena.free(late));
    let mut out = Vec::new();
    assert!(!view.copy_to(late, &mut out).unwrap());
    let next = put(&mut arena, b"second");
    assert_eq!(next.offset, late.offset);
    assert!(!view.copy_to(late, &mut out).unwrap() && out.is_empty());
    assert_eq!(get(&mut view, next), b"second");
}

#[test]
fn a_view_outlives_its_arena() {
    let mut arena = Arena::create().unwrap();
    let offer = arena.offer();
    let mut view = View::open(&offer).unwrap();
    let extent = put(&mut arena, b"last words");
    drop(arena);
    assert_eq!(get(&mut view, extent), b"last words");
    assert!(View::open(&offer).is_err());
}
