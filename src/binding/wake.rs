//! A way for other threads to have a JavaScript function called.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::ThreadsafeFunctionCallMode;

/// Calls `function` on its thread some time after each call of the result. It keeps nothing alive, and at most one
/// call is on its way: what there is to do must lie in a queue of the caller's.
pub fn waker(function: Function<'_, (), ()>) -> napi::Result<impl Fn() + Send + Sync + 'static> {
    let on_its_way = Arc::new(AtomicBool::new(false));
    let arrived = on_its_way.clone();
    let threadsafe =
        function.build_threadsafe_function::<()>().weak::<true>().callee_handled::<false>().build_callback(
            move |_| {
                // Before the queue is drained, so that what comes during the drain wakes again.
                arrived.store(false, Ordering::SeqCst);
                Ok(())
            },
        )?;
    Ok(move || {
        if !on_its_way.swap(true, Ordering::SeqCst) {
            threadsafe.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    })
}
