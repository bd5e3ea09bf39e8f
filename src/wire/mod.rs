//! The wire: our binary frames, and the JSON of the original package.

pub mod control;
pub mod frame;
pub mod lane;
pub mod legacy;
pub mod names;
pub mod reader;
pub mod time_left;

#[cfg(test)]
mod protocol_doc_tests;
#[cfg(test)]
mod tests;
