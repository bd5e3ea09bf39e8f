//! Linker arguments of a Node.js addon.

fn main() {
    #[cfg(feature = "napi")]
    napi_build::setup();
}
