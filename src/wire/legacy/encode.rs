//! From what the bridge has to say to bytes.

use super::text::Json;
use super::{RawJson, malformed};
use crate::error::Result;

/// Appends messages to a link's buffer. Its only state is the number that gives each message an id of its own.
///
/// Arguments come from native peers as bytes and are checked before anything is appended: they must be a JSON array, in
/// which no NUL byte can stand, so nobody can slip a second message onto a link.
#[derive(Debug, Default)]
pub struct LegacyEncoder {
    sent: u64,
}

impl LegacyEncoder {
    /// `ACK [id, args]`: the reply to, or the acknowledgement of, the message that had this `id`.
    ///
    /// # Errors
    /// `ERR_PROTOCOL`, with nothing appended, when `args_json` is not a JSON array; so for each method here that takes one.
    pub fn ack(&mut self, out: &mut Vec<u8>, id: &RawJson, args_json: &[u8]) -> Result<()> {
        let args = array(args_json)?;
        self.start(out, "ACK");
        put(out, &["[", id.as_str(), ",", args.as_str(), "]"]);
        finish(out);
        Ok(())
    }

    /// `ACK [id, [text]]`: how this wire reports an error, such as `unknown-node` or `duplicate-node`.
    pub fn ack_error(&mut self, out: &mut Vec<u8>, id: &RawJson, text: &str) {
        self.start(out, "ACK");
        put(out, &["[", id.as_str(), ",[", &quoted(text), "]]"]);
        finish(out);
    }

    /// `PUBLISH [from, id, event, args]`. The reply comes back as an ACK with this `id`: see [`RawJson::as_u32`].
    pub fn publish(&mut self, out: &mut Vec<u8>, from: &str, id: u32, event: &str, args_json: &[u8]) -> Result<()> {
        let args = array(args_json)?;
        self.start(out, "PUBLISH");
        put(out, &["[", &quoted(from), ",", &id.to_string(), ",", &quoted(event), ",", args.as_str(), "]"]);
        finish(out);
        Ok(())
    }

    /// `BROADCAST [event, ...args]`.
    pub fn broadcast(&mut self, out: &mut Vec<u8>, event: &str, args_json: &[u8]) -> Result<()> {
        let args = array(args_json)?.parts().rest();
        let comma = if args.is_empty() { "" } else { "," };
        self.start(out, "BROADCAST");
        put(out, &["[", &quoted(event), comma, args, "]"]);
        finish(out);
        Ok(())
    }

    /// `CLOSE [...values]`: the bus ends, with the values given to the bridge's `close`.
    pub fn close(&mut self, out: &mut Vec<u8>, values_json: &[u8]) -> Result<()> {
        let values = array(values_json)?;
        self.start(out, "CLOSE");
        put(out, &[values.as_str()]);
        finish(out);
        Ok(())
    }

    /// `pong`: the answer to PING, bare text like the question.
    pub fn pong(out: &mut Vec<u8>) {
        out.extend_from_slice(b"pong\0");
    }

    fn start(&mut self, out: &mut Vec<u8>, method: &str) {
        self.sent += 1;
        put(out, &["{\"id\":\"bridge-", &self.sent.to_string(), "\",\"method\":\"", method, "\",\"data\":"]);
    }
}

fn array(json: &[u8]) -> Result<Json<'_>> {
    let json = Json::parse(json)?;
    if json.is_array() { Ok(json) } else { Err(malformed("the arguments are not an array")) }
}

/// `text` as JSON, in which a NUL is written as an escape like every control character.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn put(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

fn finish(out: &mut Vec<u8>) {
    out.extend_from_slice(b"}\0");
}
