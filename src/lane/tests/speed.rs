//! How fast bodies pass, without what it costs to wake somebody: both sides poll. To be run in release mode:
//! `cargo test --release --no-default-features lane::tests::speed -- --ignored --nocapture --test-threads=1`

use std::collections::VecDeque;
use std::hint::{black_box, spin_loop};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread;
use std::time::Instant;

use super::*;

const BYTES: usize = 8 << 30;

#[test]
#[ignore = "a measurement"]
fn throughput() {
    for len in [64 << 10, 512 << 10, 4 << 20] {
        for in_flight in [1, 2, 4] {
            if len * in_flight < layout::SIZE as usize {
                let mut runs: Vec<f64> = (0..5).map(|_| run(len, in_flight)).collect();
                runs.sort_by(f64::total_cmp);
                println!("{:>5} KiB, {in_flight} in flight: {:5.1} GB/s", len >> 10, runs[2]);
            }
        }
    }
}

/// The median matters; GB/s of bodies from a buffer of the sender's into a buffer of the receiver's.
fn run(len: usize, in_flight: usize) -> f64 {
    let mut arena = Arena::create().unwrap();
    let view = View::open(&arena.offer()).unwrap();
    let (notices, noticed) = channel();
    let (settlements, settled) = channel();
    let receiver = thread::spawn(move || receive(view, &noticed, &settlements));
    let body = pattern(0, len);
    let count = (BYTES / len).min(20_000);
    let started = Instant::now();
    let mut flying = VecDeque::new();
    for _ in 0..count {
        if flying.len() == in_flight {
            poll(&settled).unwrap();
            arena.free(flying.pop_front().unwrap());
        }
        let extent = put(&mut arena, black_box(&body));
        notices.send(extent).unwrap();
        flying.push_back(extent);
    }
    flying.iter().for_each(|_| poll(&settled).unwrap());
    let seconds = started.elapsed().as_secs_f64();
    drop(notices);
    receiver.join().unwrap();
    (count * len) as f64 / seconds / 1e9
}

fn receive(mut view: View, notices: &Receiver<Extent>, settlements: &Sender<()>) {
    let mut body = Vec::new();
    while let Some(extent) = poll(notices) {
        body.clear();
        view.copy_to(extent, &mut body).unwrap();
        black_box(&body);
        let _ = settlements.send(());
    }
}

/// What comes next; `None`: the other side is gone.
fn poll<T>(from: &Receiver<T>) -> Option<T> {
    loop {
        match from.try_recv() {
            Ok(next) => return Some(next),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => spin_loop(),
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn first_touch() {
    let body = pattern(0, 512 << 10);
    let started = Instant::now();
    let mut arena = Arena::create().unwrap();
    let created = started.elapsed();
    let started = Instant::now();
    let mut view = View::open(&arena.offer()).unwrap();
    let opened = started.elapsed();
    println!("create {created:?}, open {opened:?}");
    let mut out = Vec::with_capacity(body.len());
    for _ in 0..4 {
        let started = Instant::now();
        let extent = put(&mut arena, &body);
        let written = started.elapsed();
        out.clear();
        let started = Instant::now();
        view.copy_to(extent, &mut out).unwrap();
        println!("512 KiB never touched before: written in {written:?}, copied in {:?}", started.elapsed());
    }
}
