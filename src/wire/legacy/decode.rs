//! From bytes to messages.

use bytes::{Buf, BytesMut};

use super::text::{Json, Parts};
use super::{LegacyMessage, RawJson, malformed};
use crate::error::{Code, Error, Result};
use crate::wire::frame::{MAX_ID, MAX_NAME};

const PING: &[u8] = b"PING";

/// Cuts a connection's bytes into messages. After an error the connection can only be closed.
#[derive(Debug, Default)]
pub struct LegacyDecoder {
    /// Bytes at the front of the input that are known to hold no NUL, so that no byte is looked at twice.
    scanned: usize,
}

impl LegacyDecoder {
    /// Takes one message off the front of `input`, which must only grow between calls; `None` when more bytes are needed.
    ///
    /// # Errors
    /// `ERR_TOO_LARGE` when a message goes on for more than `max_message` bytes; `ERR_PROTOCOL` for anything that is not
    /// this wire.
    pub fn next(&mut self, input: &mut BytesMut, max_message: usize) -> Result<Option<LegacyMessage>> {
        if self.scanned == 0 {
            skip_separators(input);
        }
        match input.first() {
            None => Ok(None),
            Some(b'P') => take_ping(input),
            Some(b'{') => self.take_object(input, max_message),
            Some(byte) => Err(malformed(format_args!("a message cannot start with byte {byte:#04x}"))),
        }
    }

    fn take_object(&mut self, input: &mut BytesMut, max_message: usize) -> Result<Option<LegacyMessage>> {
        let end = input.iter().take(max_message.saturating_add(1)).skip(self.scanned).position(|byte| *byte == 0);
        let Some(end) = end.map(|end| self.scanned + end) else {
            self.scanned = input.len();
            return if input.len() > max_message { Err(too_large(max_message)) } else { Ok(None) };
        };
        self.scanned = 0;
        let message = input.split_to(end);
        read_object(&message).map(Some)
    }
}

/// Empty messages, and the newlines that the original ignored too; `\r` for those who type into telnet.
fn skip_separators(input: &mut BytesMut) {
    let is_separator = |byte: &&u8| matches!(byte, b'\0' | b'\n' | b'\r');
    input.advance(input.iter().take_while(is_separator).count());
}

/// The one text without an end mark: nothing else starts with a P.
fn take_ping(input: &mut BytesMut) -> Result<Option<LegacyMessage>> {
    if input.starts_with(PING) {
        input.advance(PING.len());
        return Ok(Some(LegacyMessage::Ping));
    }
    if PING.starts_with(input) { Ok(None) } else { Err(malformed("neither PING nor an object")) }
}

fn too_large(max_message: usize) -> Error {
    Error::new(Code::TooLarge, format!("a message of more than maxMessage ({max_message}) bytes"))
}

fn read_object(bytes: &[u8]) -> Result<LegacyMessage> {
    let fields = Fields::of(Json::parse(bytes)?);
    let method = name(fields.method, "method", MAX_NAME)?;
    Ok(match method.as_str() {
        "PING" => LegacyMessage::Ping,
        "IDENT" => fields.ident()?,
        "PUBLISH" => fields.publish()?,
        "BROADCAST" => fields.broadcast()?,
        "RPC" => fields.rpc()?,
        "ACK" => fields.ack()?,
        "LEAVE" => LegacyMessage::Leave { id: correlation(fields.id)? },
        _ => LegacyMessage::Unknown { method },
    })
}

/// The fields of one message. Each method takes what it needs, and what it does not need may be missing or odd.
#[derive(Default)]
struct Fields<'a> {
    id: Option<Json<'a>>,
    method: Option<Json<'a>>,
    data: Option<Json<'a>>,
    node_name: Option<Json<'a>>,
}

impl<'a> Fields<'a> {
    /// Of duplicate fields the last one counts, as in `JSON.parse`.
    fn of(object: Json<'a>) -> Self {
        let mut fields = Self::default();
        for (key, value) in object.members() {
            match key.string().as_deref() {
                Some("id") => fields.id = Some(value),
                Some("method") => fields.method = Some(value),
                Some("data") => fields.data = Some(value),
                Some("nodeName") => fields.node_name = Some(value),
                _ => {}
            }
        }
        fields
    }

    fn data(&self) -> Result<Parts<'a>> {
        let array = self.data.filter(|data| data.is_array());
        array.map(Json::parts).ok_or_else(|| malformed("data is not an array"))
    }

    fn ident(&self) -> Result<LegacyMessage> {
        let node = name(self.node_name, "nodeName", MAX_ID)?;
        if node.contains(':') {
            return Err(malformed("nodeName contains ':'"));
        }
        Ok(LegacyMessage::Ident { id: correlation(self.id)?, node })
    }

    fn publish(&self) -> Result<LegacyMessage> {
        let mut data = self.data()?;
        Ok(LegacyMessage::Publish {
            id: correlation(self.id)?,
            to: name(data.next(), "the receiver", MAX_ID)?,
            event: name(data.next(), "the event", MAX_NAME)?,
            args: arguments(data.next())?,
        })
    }

    /// Here the arguments are not an array of their own but follow the event.
    fn broadcast(&self) -> Result<LegacyMessage> {
        let mut data = self.data()?;
        let event = name(data.next(), "the event", MAX_NAME)?;
        let args = RawJson(["[", data.rest(), "]"].concat().into());
        Ok(LegacyMessage::Broadcast { event, args })
    }

    fn rpc(&self) -> Result<LegacyMessage> {
        let mut data = self.data()?;
        let method = name(data.next(), "the rpc method", MAX_NAME)?;
        Ok(LegacyMessage::Rpc { id: correlation(self.id)?, method, args: arguments(data.next())? })
    }

    fn ack(&self) -> Result<LegacyMessage> {
        let mut data = self.data()?;
        Ok(LegacyMessage::Ack {
            to: name(data.next(), "the receiver", MAX_ID)?,
            id: correlation(data.next())?,
            args: arguments(data.next())?,
        })
    }
}

fn name(value: Option<Json<'_>>, what: &str, max: usize) -> Result<String> {
    let name = value.and_then(Json::string).ok_or_else(|| malformed(format_args!("{what} is not a string")))?;
    if name.is_empty() || name.len() > max {
        return Err(malformed(format_args!("{what} has {} bytes, not 1 to {max}", name.len())));
    }
    Ok(name.into_owned())
}

/// An id is any scalar: it is only ever given back. Short, because the bridge remembers it until the reply.
fn correlation(value: Option<Json<'_>>) -> Result<RawJson> {
    let id = value.unwrap_or(Json::NULL);
    if id.is_array() || id.is_object() || id.as_str().len() > MAX_ID {
        return Err(malformed("the id is not a short string or number"));
    }
    Ok(id.into())
}

/// Left out or null, as some languages send an empty list, means none.
fn arguments(value: Option<Json<'_>>) -> Result<RawJson> {
    match value {
        None | Some(Json::NULL) => Ok(RawJson("[]".into())),
        Some(array) if array.is_array() => Ok(array.into()),
        Some(_) => Err(malformed("the arguments are not an array")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_of_a_slow_message_is_looked_at_twice() {
        let mut decoder = LegacyDecoder::default();
        let mut input = BytesMut::new();
        for byte in b"\n{\"method\":\"LEAVE\"}" {
            input.extend_from_slice(&[*byte]);
            assert_eq!(decoder.next(&mut input, 100), Ok(None));
            assert_eq!(decoder.scanned, input.len());
        }
        input.extend_from_slice(b"\0{");
        assert!(decoder.next(&mut input, 100).unwrap().is_some());
        assert_eq!(decoder.scanned, 0);
    }
}
