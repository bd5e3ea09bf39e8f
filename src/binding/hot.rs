//! The calls of the hot path, made through N-API directly: a generated wrapper would cost more than the work.
//!
//! - `send(head, target, extra, body)`: `head` packs the kind, the encoding, and the form of `body` (see
//!   [`abi::send`](super::abi::send)). `extra` is the correlation of a REPLY, else the milliseconds to wait for a reply
//!   (0: for ever, -1: none wanted).
//!   Returns twice the request's correlation (0 where there is none), plus 1 when the sender should wait for 'drain';
//!   or minus the wire number of an error's code; or [`RETRY`] for a string that needs escapes.
//! - `sendParts(head, target, extra, text, parts)`: the body is the parts, each padded to 8 bytes, then the text.
//! - `taken()`: the first of the messages that were put aside is about to be emitted.
//! - `flush()` writes what waits. `turn()` connects, reads, delivers and writes; 1 when something is to be
//!   acknowledged by a later flush, which a reply may bring.
#![allow(unsafe_code)]

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::abi::send::{ENCODING_SHIFT, FORM_BYTES, FORM_SHIFT, FORM_STRING, RETRY};
use super::core::Core;
use super::plain::is_plain;
use crate::error::Code;
use crate::node::lane::Sink;
use crate::node::sending::Letter;
use crate::wire::frame::{Encoding, MAX_INLINE, kind};

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

const FUNCTIONS: [(&str, Callback); 5] =
    [("send", send), ("sendParts", send_parts), ("taken", taken), ("flush", flush), ("turn", turn)];

/// An object with the functions above, bound to `core` and keeping it.
///
/// # Safety
/// `env` must be the current environment.
pub unsafe fn functions(env: sys::napi_env, core: &Rc<Core>) -> sys::napi_value {
    let mut object = ptr::null_mut();
    // SAFETY: plain object construction; each function owns one count of the core, given back by its finalizer.
    unsafe {
        sys::napi_create_object(env, &mut object);
        for (name, callback) in FUNCTIONS {
            let (data, mut function) = (Rc::into_raw(core.clone()).cast_mut().cast::<c_void>(), ptr::null_mut());
            let (text, len) = (name.as_ptr().cast::<c_char>(), name.len() as isize);
            sys::napi_create_function(env, text, len, Some(callback), data, &mut function);
            sys::napi_add_finalizer(env, function, data, Some(release), ptr::null_mut(), ptr::null_mut());
            let mut key = ptr::null_mut();
            sys::napi_create_string_utf8(env, text, len, &mut key);
            sys::napi_set_property(env, object, key, function);
        }
    }
    object
}

/// SAFETY: called once, with the count that `functions` made.
unsafe extern "C" fn release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    drop(unsafe { Rc::from_raw(data.cast::<Core>().cast_const()) });
}

/// SAFETY (all four): N-API calls them with its own environment and call, and with the data given above.
unsafe extern "C" fn send(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (core, [head, target, extra, body]) = unsafe { call::<4>(env, info) };
    guard(env, || {
        let (letter, form) = unsafe { letter(env, core, head, target, extra) };
        let sent = match form {
            FORM_BYTES => unsafe { send_bytes(env, core, letter, body) },
            FORM_STRING => match unsafe { send_string(env, core, letter, body) } {
                Some(sent) => sent,
                None => return RETRY,
            },
            _ => unsafe { send_text(env, core, letter, body) },
        };
        finish(core, sent)
    })
}

unsafe extern "C" fn send_parts(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (core, [head, target, extra, text, parts]) = unsafe { call::<5>(env, info) };
    guard(env, || {
        let (letter, _) = unsafe { letter(env, core, head, target, extra) };
        let (most, text) = unsafe { (parts_len(env, parts), text_bytes(env, text)) };
        let write = |body: &mut dyn Sink| unsafe { join(env, &text, parts, body) };
        let sent = core.client.borrow_mut().send_written(letter, most + text.len(), write);
        finish(core, sent)
    })
}

unsafe extern "C" fn flush(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (core, []) = unsafe { call::<0>(env, info) };
    guard(env, || {
        core.flush();
        0
    })
}

unsafe extern "C" fn taken(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (core, []) = unsafe { call::<0>(env, info) };
    guard(env, || {
        core.client.borrow_mut().take();
        0
    })
}

unsafe extern "C" fn turn(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let (core, []) = unsafe { call::<0>(env, info) };
    guard(env, || i32::from(core.turn()))
}

/// The core a function is bound to, and its arguments; those not given are undefined.
unsafe fn call<'a, const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> (&'a Core, [sys::napi_value; N]) {
    let (mut count, mut arguments, mut data) = (N, [ptr::null_mut(); N], ptr::null_mut());
    // SAFETY: the data outlives the function, which is being called.
    unsafe {
        sys::napi_get_cb_info(env, info, &mut count, arguments.as_mut_ptr(), ptr::null_mut(), &mut data);
        (&*data.cast::<Core>().cast_const(), arguments)
    }
}

/// Runs `act`; a panic becomes a JavaScript error instead of the end of the process.
fn guard(env: sys::napi_env, act: impl FnOnce() -> i32) -> sys::napi_value {
    let mut value = ptr::null_mut();
    // SAFETY: the environment of the call being made.
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(number) => unsafe { sys::napi_create_int32(env, number, &mut value) },
        Err(_) => unsafe {
            sys::napi_throw_error(env, c"ERR_INTERNAL".as_ptr(), c"busybody panicked; please report it".as_ptr())
        },
    };
    value
}

fn finish(core: &Core, sent: Result<u32, Code>) -> i32 {
    core.flush_if_due();
    match sent {
        // Correlations stay below 2^30.
        Ok(correlation) => (correlation as i32) << 1 | i32::from(core.client.borrow().need_drain()),
        Err(code) => -i32::from(code as u8),
    }
}

unsafe fn letter(
    env: sys::napi_env,
    core: &Core,
    head: sys::napi_value,
    target: sys::napi_value,
    extra: sys::napi_value,
) -> (Letter, u32) {
    let (mut packed, mut number, mut extra_value) = (0, 0, -1);
    // SAFETY: our own JavaScript passes numbers; anything else leaves the defaults.
    unsafe {
        sys::napi_get_value_uint32(env, head, &mut packed);
        sys::napi_get_value_uint32(env, target, &mut number);
        sys::napi_get_value_int32(env, extra, &mut extra_value);
    }
    let encoding = Encoding::from_bits((packed >> ENCODING_SHIFT) as u8);
    let (kind, form) = (packed as u8, packed >> FORM_SHIFT);
    let (ask, correlation) = match kind {
        kind::REPLY => (None, extra_value.unsigned_abs()),
        _ => (u32::try_from(extra_value).ok(), 0),
    };
    let now = if ask.is_some() { core.now() } else { 0 };
    (Letter { kind, target: number, encoding, ask, correlation, now }, form)
}

unsafe fn send_bytes(env: sys::napi_env, core: &Core, letter: Letter, bytes: sys::napi_value) -> Result<u32, Code> {
    let bytes = unsafe { bytes_of(env, bytes) }.unwrap_or_default();
    core.client.borrow_mut().send_written(letter, bytes.len(), |body| body.write(bytes))
}

/// The commonest message, one short plain string, without a detour over JSON text. `None`: it is not of that kind.
unsafe fn send_string(
    env: sys::napi_env,
    core: &Core,
    letter: Letter,
    text: sys::napi_value,
) -> Option<Result<u32, Code>> {
    let most = unsafe { utf8_bound(env, text) };
    if most + 4 > MAX_INLINE {
        return None;
    }
    let mut plain = false;
    let sent = core.client.borrow_mut().send_if(letter, |out| {
        out.extend_from_slice(b"[\"");
        let start = out.len();
        unsafe { append_text(env, text, most, out) };
        plain = is_plain(&out[start..]);
        out.extend_from_slice(b"\"]");
        plain
    });
    plain.then_some(sent)
}

unsafe fn send_text(env: sys::napi_env, core: &Core, letter: Letter, text: sys::napi_value) -> Result<u32, Code> {
    let most = unsafe { utf8_bound(env, text) };
    if most <= MAX_INLINE {
        return core.client.borrow_mut().send_with(letter, |out| unsafe { append_text(env, text, most, out) });
    }
    let bytes = unsafe { text_bytes(env, text) };
    core.client.borrow_mut().send_written(letter, bytes.len(), |body| body.write(&bytes))
}

/// The most bytes that a string can take: three for each UTF-16 unit.
unsafe fn utf8_bound(env: sys::napi_env, text: sys::napi_value) -> usize {
    let mut units = 0;
    // SAFETY: without a buffer the call only tells the length.
    unsafe { sys::napi_get_value_string_utf16(env, text, ptr::null_mut(), 0, &mut units) };
    units * 3
}

unsafe fn append_text(env: sys::napi_env, text: sys::napi_value, most: usize, out: &mut Vec<u8>) {
    out.reserve(most + 1);
    let mut written = 0;
    // SAFETY: room for the string and its closing NUL was reserved; `written` bytes are initialized.
    unsafe {
        let spare = out.as_mut_ptr().add(out.len()).cast::<c_char>();
        sys::napi_get_value_string_utf8(env, text, spare, most + 1, &mut written);
        out.set_len(out.len() + written);
    }
}

/// The bytes of a Uint8Array or Buffer, valid while the call lasts.
unsafe fn bytes_of<'a>(env: sys::napi_env, value: sys::napi_value) -> Option<&'a [u8]> {
    let (mut data, mut len, mut is_array) = (ptr::null_mut(), 0, false);
    // SAFETY: our own JavaScript passes strings, Buffers and Uint8Arrays, whose length is their byte length.
    unsafe {
        sys::napi_is_typedarray(env, value, &mut is_array);
        if !is_array {
            return None;
        }
        let mut kind = 0;
        let status =
            sys::napi_get_typedarray_info(env, value, &mut kind, &mut len, &mut data, ptr::null_mut(), ptr::null_mut());
        if status != sys::Status::napi_ok || len == 0 {
            return Some(&[]);
        }
        Some(std::slice::from_raw_parts(data.cast::<u8>().cast_const(), len))
    }
}

/// The body of a packed message: see `lib/values.js`.
unsafe fn join(env: sys::napi_env, text: &[u8], parts: sys::napi_value, body: &mut dyn Sink) {
    unsafe {
        for_each_part(env, parts, |bytes| {
            body.write(bytes);
            body.pad(8);
        })
    };
    body.write(text);
}

/// Bytes of all parts, each padded.
unsafe fn parts_len(env: sys::napi_env, parts: sys::napi_value) -> usize {
    let mut len = 0;
    unsafe { for_each_part(env, parts, |bytes| len += bytes.len().next_multiple_of(8)) };
    len
}

unsafe fn for_each_part(env: sys::napi_env, parts: sys::napi_value, mut act: impl FnMut(&[u8])) {
    let mut count = 0;
    unsafe { sys::napi_get_array_length(env, parts, &mut count) };
    for index in 0..count {
        let mut part = ptr::null_mut();
        unsafe { sys::napi_get_element(env, parts, index, &mut part) };
        if let Some(bytes) = unsafe { bytes_of(env, part) } {
            act(bytes);
        }
    }
}

unsafe fn text_bytes(env: sys::napi_env, text: sys::napi_value) -> Vec<u8> {
    let mut bytes = Vec::new();
    unsafe { append_text(env, text, utf8_bound(env, text), &mut bytes) };
    bytes
}
