//! A whole bus in memory: real clients and a real router, cables that deliver late and in pieces, and a clock that is
//! a number. Each run follows from its seed; what happens in it is held against what ought to happen.
//!
//! `BUSYBODY_SEED=7 cargo test --no-default-features sim` repeats one run, `BUSYBODY_SEEDS=100000` makes more of them.
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

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs of a normal test: half a minute.
const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn nothing_is_lost_doubled_reordered_or_left_waiting() {
    let seeds = match number("BUSYBODY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BUSYBODY_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let run = catch_unwind(AssertUnwindSafe(|| world::World::new(seed).run()));
        if let Err(panic) = run {
            eprintln!("the run of BUSYBODY_SEED={seed} failed");
            resume_unwind(panic);
        }
    }
}
