//! A whole bus in memory: real clients and a real router, cables that deliver late and in pieces, and a clock that is
//! a number. Each run follows from its seed; what happens in it is held against what ought to happen.
//!
//! `BUSYBODY_SEED=7 cargo test --no-default-features sim` repeats one run, `BUSYBODY_SEEDS=100000` makes more of them,
//! `BUSYBODY_SEEDS=50000..100000` those from one seed to before another. All that fail are named at the end.
//!
//! Reading order: [`world`] what happens, [`ledger`] what ought to, [`bridge`], [`native`] and [`legacy`] who does it.

mod body;
mod bridge;
mod cable;
mod censor;
mod lane;
mod ledger;
mod legacy;
mod native;
mod presence;
mod random;
mod reports;
mod world;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs of a normal test: half a minute.
const SEEDS: u64 = 10_000;

/// The seeds that the environment asks for.
fn seeds() -> Range<u64> {
    let variable = |name: &str| std::env::var(name).ok();
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("a seed is a number: {text}"));
    if let Some(seed) = variable("BUSYBODY_SEED") {
        return number(&seed)..number(&seed) + 1;
    }
    match variable("BUSYBODY_SEEDS") {
        Some(seeds) => seeds.split_once("..").map_or_else(|| 0..number(&seeds), |(from, to)| number(from)..number(to)),
        None => 0..SEEDS,
    }
}

#[test]
fn nothing_is_lost_doubled_reordered_or_left_waiting() {
    let fails = |seed: &u64| {
        let failed = catch_unwind(AssertUnwindSafe(|| world::World::new(*seed).run())).is_err();
        if failed {
            eprintln!("the run of BUSYBODY_SEED={seed} failed");
        }
        failed
    };
    let failed: Vec<u64> = seeds().filter(fails).collect();
    assert!(failed.is_empty(), "runs failed: {failed:?}");
}
