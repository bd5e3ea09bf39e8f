//! The end of an environment that was stopped in the midst of JavaScript (`worker.terminate()`).
//!
//! The exception that stopped it may still be pending in N-API. napi-rs 3.16.1 clears it in a clean-up hook of its
//! own without a handle scope, which aborts the whole process. Hooks run last in, first out, so ours, which is added
//! after, clears it before.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr;

use napi::bindgen_prelude::Object;
use napi::{Env, sys};
use napi_derive::napi;

#[napi(module_exports)]
pub fn watch_teardown(_exports: Object<'_>, env: Env) -> napi::Result<()> {
    let raw = env.raw();
    // Loading it twice must not add the same pair twice: Node.js aborts on that.
    let argument = Box::into_raw(Box::new(raw));
    // SAFETY: the environment that loads the addon; the hook is called once, at its end, with its own box.
    unsafe { sys::napi_add_env_cleanup_hook(raw, Some(clear_pending_exception), argument.cast()) };
    Ok(())
}

/// SAFETY: called by N-API on the environment's thread, before the environment is gone.
unsafe extern "C" fn clear_pending_exception(argument: *mut c_void) {
    let env = *unsafe { Box::from_raw(argument.cast::<sys::napi_env>()) };
    let (mut scope, mut pending, mut exception) = (ptr::null_mut(), false, ptr::null_mut());
    unsafe {
        sys::napi_is_exception_pending(env, &mut pending);
        if pending && sys::napi_open_handle_scope(env, &mut scope) == sys::Status::napi_ok {
            sys::napi_get_and_clear_last_exception(env, &mut exception);
            sys::napi_close_handle_scope(env, scope);
        }
    }
}
