//! The end of a JavaScript thread, the main one or a worker's. However many nodes and bridges it has, all that is done
//! there shares one deadline: nobody may hold up the end of a process for longer because it has more of them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use napi_derive::napi;

/// What the end may take in all.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What one node may wait for at a time: some bridges read, and some do not.
const TURN: Duration = Duration::from_millis(10);

thread_local! {
    /// One for each environment, which has a thread of its own.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The end has begun.
#[napi]
pub fn begin_to_end() {
    DEADLINE.set(Some(Instant::now() + LAST_WORDS));
}

/// When all has to be done. Without a word before, the end begins now.
pub fn deadline() -> Instant {
    DEADLINE.get().unwrap_or_else(|| {
        begin_to_end();
        Instant::now() + LAST_WORDS
    })
}

/// Whether no time is left.
#[napi]
pub fn end_is_due() -> bool {
    deadline() <= Instant::now()
}

/// Until when one node may wait for its bridge before it is another's turn.
pub fn turn() -> Instant {
    deadline().min(Instant::now() + TURN)
}
