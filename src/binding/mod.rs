//! The binding: the only room that knows Node.js.

mod abi;
mod bridge;
mod core;
mod dispatch;
mod ending;
mod hot;
mod node;
mod plain;
mod teardown;
mod thrown;
mod wake;

use napi_derive::napi;

use crate::address::DEFAULT_PORT;
use crate::transport::default_address as resolve_default_address;
use thrown::Thrown;

/// The address used when none is given: this user's own Unix socket.
#[napi]
pub fn default_address() -> Result<String, Thrown> {
    Ok(resolve_default_address()?.to_string())
}

/// The TCP port used when a host is given without one.
#[napi]
pub fn default_port() -> u32 {
    u32::from(DEFAULT_PORT)
}
