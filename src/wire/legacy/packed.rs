//! From a native "packed" body, JSON text with binary attachments, to plain JSON.
//!
//! ```text
//! u32 count, u32 reserved                      little-endian, as all numbers here
//! count × (u32 type, u32 byteLength)
//! count × (bytes, zero-padded to a multiple of 8)
//! JSON text
//! ```
//! In the text the string value `"\u0000<index>"` stands for an attachment, and `"\u0000\u0000…"` for a string of the
//! user's that begins with NUL itself. Keys stand for nothing.

use super::malformed;
use super::text::{Json, Token, is_space, tokens};
use crate::error::{Code, Error, Result};

/// Attachment type of an Error: JSON `{name, message, code, stack}`. All other types are bytes.
const TYPE_ERROR: u32 = 15;
/// Attachments begin at multiples of this, so that a receiver may lay a Float64Array over them.
const ALIGNMENT: usize = 8;
const HEADER_LEN: usize = 8;
const ENTRY_LEN: usize = 8;

/// How JSON writes the NUL that marks a string; hexadecimal zeros have no other spelling.
const MARK: &str = "\\u0000";

/// The body's JSON with every attachment written out in place: bytes as Node's `Buffer#toJSON` has them, an Error as its
/// message, because errors were strings in the original.
///
/// # Errors
/// `ERR_PROTOCOL` when the body is malformed. `ERR_TOO_LARGE` when the JSON would exceed `max_message`: bytes take up to
/// four times their size as JSON, and a text may refer to one attachment any number of times.
pub fn json_from_packed(body: &[u8], max_message: usize) -> Result<Vec<u8>> {
    let packed = Packed::parse(body)?;
    let mut json = Output { bytes: Vec::with_capacity(packed.text.len()), max: max_message };
    let mut copied = 0;
    for (start, token) in tokens(packed.text) {
        let Token::String(string) = token else { continue };
        let after = start + string.len();
        let Some(marked) = string[1..].strip_prefix(MARK) else { continue };
        if is_key(&packed.text[after..]) {
            continue;
        }
        json.put(&packed.text[copied..start])?;
        packed.write_marked(marked, &mut json)?;
        copied = after;
    }
    json.put(&packed.text[copied..])?;
    Ok(json.bytes)
}

fn is_key(after: &str) -> bool {
    after.trim_start_matches(is_space).starts_with(':')
}

struct Packed<'a> {
    attachments: Vec<Attachment<'a>>,
    text: &'a str,
}

struct Attachment<'a> {
    kind: u32,
    bytes: &'a [u8],
}

impl<'a> Packed<'a> {
    fn parse(body: &'a [u8]) -> Result<Self> {
        let (header, rest) = body.split_at_checked(HEADER_LEN).ok_or_else(cut_off)?;
        let count = u32_at(header, 0) as usize;
        // The header is a multiple of ALIGNMENT long whatever the count, so no padding follows it.
        let table_len = count.checked_mul(ENTRY_LEN).ok_or_else(cut_off)?;
        let (table, mut rest) = rest.split_at_checked(table_len).ok_or_else(cut_off)?;
        let mut attachments = Vec::with_capacity(count);
        for entry in table.chunks_exact(ENTRY_LEN) {
            let len = u32_at(entry, 4) as usize;
            let (padded, after) = split_padded(rest, len).ok_or_else(cut_off)?;
            attachments.push(Attachment { kind: u32_at(entry, 0), bytes: &padded[..len] });
            rest = after;
        }
        Ok(Self { attachments, text: Json::parse(rest)?.as_str() })
    }

    /// Writes what a marked string stands for; `marked` is its rest, up to and including the closing quote.
    fn write_marked(&self, marked: &str, json: &mut Output) -> Result<()> {
        if marked.starts_with(MARK) {
            json.put("\"")?;
            return json.put(marked);
        }
        let index = marked.trim_end_matches('"');
        let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
        let index = index.parse::<usize>().ok().filter(|_| is_number);
        let attachment = index.and_then(|index| self.attachments.get(index));
        attachment.ok_or_else(|| malformed("a string refers to no attachment"))?.write(json)
    }
}

impl Attachment<'_> {
    fn write(&self, json: &mut Output) -> Result<()> {
        if self.kind == TYPE_ERROR { self.write_error(json) } else { self.write_buffer(json) }
    }

    /// Never an empty string: the original's callbacks take that for success.
    fn write_error(&self, json: &mut Output) -> Result<()> {
        let error = Json::parse(self.bytes)?;
        let text = |field| error_text(error, field);
        json.put(text("message").or_else(|| text("name")).unwrap_or("\"Error\""))
    }

    fn write_buffer(&self, json: &mut Output) -> Result<()> {
        json.put(r#"{"type":"Buffer","data":["#)?;
        for (index, byte) in self.bytes.iter().enumerate() {
            if index > 0 {
                json.put(",")?;
            }
            json.put_number(*byte)?;
        }
        json.put("]}")
    }
}

/// A field of an Error, with its quotes, unless it is empty or no string.
fn error_text<'a>(error: Json<'a>, field: &str) -> Option<&'a str> {
    let is_field = |key: Json<'_>| key.string().is_some_and(|key| key == field);
    let (_, value) = error.members().filter(|(key, _)| is_field(*key)).last()?;
    Some(value.as_str()).filter(|text| text.starts_with('"') && text.len() > 2)
}

/// The JSON so far, which never grows beyond `max`.
struct Output {
    bytes: Vec<u8>,
    max: usize,
}

impl Output {
    fn put(&mut self, text: &str) -> Result<()> {
        self.put_bytes(text.as_bytes())
    }

    fn put_number(&mut self, number: u8) -> Result<()> {
        let digits = [number / 100, number / 10 % 10, number % 10].map(|digit| b'0' + digit);
        let leading_zeros = usize::from(number < 100) + usize::from(number < 10);
        self.put_bytes(&digits[leading_zeros..])
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.len() > self.max - self.bytes.len() {
            let max = self.max;
            return Err(Error::new(Code::TooLarge, format!("as JSON more than maxMessage ({max}) bytes")));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

fn split_padded(bytes: &[u8], len: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(len.checked_next_multiple_of(ALIGNMENT)?)
}

/// The number at `offset`, which the caller knows to be there.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes([bytes[offset], bytes[offset + 1], bytes[offset + 2], bytes[offset + 3]])
}

fn cut_off() -> Error {
    malformed("a packed body shorter than its header says")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 10_000;

    fn pack(attachments: &[(u32, &[u8])], text: &str) -> Vec<u8> {
        let mut body = (attachments.len() as u32).to_le_bytes().to_vec();
        body.extend([0; 4]);
        for (kind, bytes) in attachments {
            body.extend(kind.to_le_bytes());
            body.extend((bytes.len() as u32).to_le_bytes());
        }
        for (_, bytes) in attachments {
            body.extend_from_slice(bytes);
            body.resize(body.len().next_multiple_of(8), 0);
        }
        body.extend_from_slice(text.as_bytes());
        body
    }

    fn unpack(attachments: &[(u32, &[u8])], text: &str) -> String {
        String::from_utf8(json_from_packed(&pack(attachments, text), LIMIT).unwrap()).unwrap()
    }

    fn code(body: &[u8]) -> &'static str {
        json_from_packed(body, LIMIT).unwrap_err().code()
    }

    #[test]
    fn bytes_are_written_as_node_writes_buffers() {
        let attachments: [(u32, &[u8]); 3] = [(1, &[0, 9, 10, 99, 100, 255]), (2, b""), (7, b"12345678")];
        assert_eq!(
            unpack(&attachments, r#"["\u00000",{"k":"\u00001"}, "\u00002"]"#),
            r#"[{"type":"Buffer","data":[0,9,10,99,100,255]},{"k":{"type":"Buffer","data":[]}}, "#.to_owned()
                + r#"{"type":"Buffer","data":[49,50,51,52,53,54,55,56]}]"#
        );
    }

    #[test]
    fn errors_are_written_as_their_message() {
        let errors = [
            (r#"{"name":"TypeError","message":"no \"such\" file","stack":"…"}"#, r#""no \"such\" file""#),
            (r#"{"name":"TypeError","message":""}"#, r#""TypeError""#),
            (r#"{"message":{"a":1}}"#, r#""Error""#),
            ("null", r#""Error""#),
        ];
        for (error, text) in errors {
            assert_eq!(unpack(&[(15, error.as_bytes())], r#"["\u00000",null]"#), format!("[{text},null]"));
        }
        assert_eq!(code(&pack(&[(15, b"{\"message\":\"\0\"}")], r#"["\u00000"]"#)), "ERR_PROTOCOL");
    }

    #[test]
    fn text_that_means_nothing_special_stays_as_sent() {
        for text in [
            r#"[ 1e400, 123456789012345678901234567890, {"__proto__":1,"b":2,"b":3} ]"#,
            r#"{"\u00000":1,"\u0000" : 2, "a":{"\u0000\u0000":3}}"#,
            r#"["a\u00000","\\u00000","\"\\","\ud800"]"#,
            "[]",
        ] {
            assert_eq!(unpack(&[(1, b"x")], text), text);
        }
    }

    #[test]
    fn a_strings_own_nul_loses_only_the_mark() {
        assert_eq!(unpack(&[(1, b"x")], r#"["\u0000\u00000","\u0000\u0000"]"#), r#"["\u00000","\u0000"]"#);
    }

    #[test]
    fn marks_that_stand_for_nothing_are_refused() {
        for text in [r#"["\u00001"]"#, r#"["\u0000"]"#, r#"["\u0000x"]"#, r#"["\u0000+0"]"#, r#"["\u0000-0"]"#] {
            assert_eq!(code(&pack(&[(1, b"x")], text)), "ERR_PROTOCOL", "{text}");
        }
        assert_eq!(code(&pack(&[], r#"["\u000099999999999999999999999999"]"#)), "ERR_PROTOCOL");
    }

    #[test]
    fn lengths_that_promise_more_than_is_there_are_refused() {
        assert_eq!(code(b""), "ERR_PROTOCOL");
        assert_eq!(code(&[0xff; 16]), "ERR_PROTOCOL");
        let mut body = pack(&[(1, b"x")], "[]");
        body[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(code(&body), "ERR_PROTOCOL");
        assert_eq!(code(&pack(&[], "[1")), "ERR_PROTOCOL");
        assert_eq!(code(&pack(&[], "[\"\0\"]")), "ERR_PROTOCOL");
    }

    #[test]
    fn one_attachment_named_often_does_not_fill_the_memory() {
        let text = format!("[{}0]", r#""\u00000","#.repeat(100_000));
        assert_eq!(code(&pack(&[(1, &[200; 2_000])], &text)), "ERR_TOO_LARGE");
        assert_eq!(code(&pack(&[(1, &[200; 4_000])], r#"["\u00000"]"#)), "ERR_TOO_LARGE");
    }

    proptest! {
        #[test]
        fn damaged_bodies_never_panic(
            cut in 0..200usize,
            place in 0..200usize,
            byte in any::<u8>(),
        ) {
            let mut body = pack(&[(1, b"abc"), (15, b"{\"message\":\"m\"}")], r#"["\u00000",{"e":"\u00001"},"\u0000\u0000"]"#);
            let place = place % body.len();
            body[place] = byte;
            for body in [&body[..], &body[..cut.min(body.len())]] {
                if let Ok(json) = json_from_packed(body, LIMIT) {
                    prop_assert!(Json::parse(&json).is_ok());
                }
            }
        }

        #[test]
        fn any_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = json_from_packed(&body, LIMIT);
        }
    }
}
