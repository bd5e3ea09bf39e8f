//! From a native "packed" body, JSON text with binary attachments, to plain JSON.
//!
//! ```text
//! u32 count, u32 reserved                      little-endian, as all numbers here
//! count × (u32 type, u32 byteLength)
//! count × (bytes, zero-padded to a multiple of 8)
//! JSON text
//! ```
//! In the text the string value `"\u0000<index>"` stands for an attachment, and other strings that begin with NUL for values
//! that JSON has no words for; see [`Tag`]. Keys stand for nothing.

use super::malformed;
use super::tags::{MARK, Tag, iso_date};
use super::text::{Json, Token, is_space, tokens};
use crate::error::{Code, Error, Result};

/// Attachment kind of an Error: JSON `{name, message, code, stack}`. Kinds not listed here are bytes.
const KIND_ERROR: u32 = 15;
/// JSON text of a value that stands in more than one place.
const KIND_SHARED: u32 = 17;
const KIND_MAP: u32 = 18;
const KIND_SET: u32 = 19;
/// Values that hold each other and are written inside each other: receivers recurse.
const MAX_NESTED: usize = 100;
/// Holes of one array that are written out: each is a `null`.
const MAX_HOLES: u32 = 1 << 20;
/// Attachments begin at multiples of this, so that a receiver may lay a Float64Array over them.
const ALIGNMENT: usize = 8;
const HEADER_LEN: usize = 8;
const ENTRY_LEN: usize = 8;

/// The body's JSON with everything written out in place as `JSON.stringify` has it: bytes as a `Buffer`, a Date as its
/// text, a Map as `{}`; an Error as its message, because errors were strings in the original.
///
/// # Errors
/// `ERR_PROTOCOL` when the body is malformed. `ERR_UNSERIALIZABLE` for what `JSON.stringify` refuses: a BigInt, or a value
/// that holds itself. `ERR_TOO_LARGE` when the JSON would exceed `max_message`: bytes take up to four times their size as
/// JSON, and a text may refer to one attachment any number of times.
pub fn json_from_packed(body: &[u8], max_message: usize) -> Result<Vec<u8>> {
    let packed = Packed::parse(body)?;
    let mut json = Output { bytes: Vec::with_capacity(packed.text.len()), max: max_message, read: 0 };
    packed.write_text(packed.text, &mut json, &mut Vec::new())?;
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

    /// Writes a text with all that its tags stand for; `inside` are the shared values that it is part of.
    fn write_text(&self, text: &str, json: &mut Output, inside: &mut Vec<usize>) -> Result<()> {
        json.note_read(text.len())?;
        let (mut copied, mut last_key) = (0, None);
        for (start, token) in tokens(text) {
            let Token::String(string) = token else {
                last_key = None;
                continue;
            };
            let after = start + string.len();
            if is_key(&text[after..]) {
                last_key = Some(start);
                continue;
            }
            let key = last_key.take();
            let Some(tagged) = string[1..].strip_prefix(MARK) else { continue };
            match (Tag::parse(tagged)?, key) {
                (Tag::Undefined, Some(key)) => {
                    json.put(&text[copied..key])?;
                    copied = after + json.drop_comma(&text[after..]);
                }
                (tag, _) => {
                    json.put(&text[copied..start])?;
                    self.write_tagged(&tag, json, inside)?;
                    copied = after;
                }
            }
        }
        json.put(&text[copied..])
    }

    fn write_tagged(&self, tag: &Tag<'_>, json: &mut Output, inside: &mut Vec<usize>) -> Result<()> {
        match *tag {
            Tag::Attachment(index) => self.write_attachment(index, json, inside),
            Tag::Text(rest) => {
                json.put("\"")?;
                json.put(rest)
            }
            Tag::Undefined | Tag::NoNumber | Tag::Date(None) => json.put("null"),
            Tag::NegativeZero => json.put("0"),
            Tag::Holes(count) => write_holes(count, json),
            Tag::BigInt => Err(unserializable("a BigInt")),
            Tag::Date(Some(time)) => json.put(&format!("\"{}\"", iso_date(time))),
            Tag::RegExp => json.put("{}"),
        }
    }

    fn write_attachment(&self, index: usize, json: &mut Output, inside: &mut Vec<usize>) -> Result<()> {
        let attachment = self.attachments.get(index).ok_or_else(|| malformed("a string refers to no attachment"))?;
        match attachment.kind {
            KIND_ERROR => attachment.write_error(json),
            KIND_SHARED => self.write_shared(index, attachment, json, inside),
            KIND_MAP | KIND_SET => json.put("{}"),
            _ => attachment.write_buffer(json),
        }
    }

    /// JSON has no references: the value is written once more.
    fn write_shared(
        &self,
        index: usize,
        shared: &Attachment<'_>,
        json: &mut Output,
        inside: &mut Vec<usize>,
    ) -> Result<()> {
        if inside.contains(&index) {
            return Err(unserializable("a value that holds itself"));
        }
        if inside.len() == MAX_NESTED {
            return Err(unserializable("values nested too deeply"));
        }
        inside.push(index);
        self.write_text(Json::parse(shared.bytes)?.as_str(), json, inside)?;
        inside.pop();
        Ok(())
    }
}

fn write_holes(count: u32, json: &mut Output) -> Result<()> {
    if count > MAX_HOLES {
        return Err(unserializable("an array with more than a million holes"));
    }
    json.put("null")?;
    (1..count).try_for_each(|_| json.put(",null"))
}

fn unserializable(what: &str) -> Error {
    let text = format!("the receiver speaks the original's wire, which carries JSON only: it has no words for {what}");
    Error::new(Code::Unserializable, text)
}

impl Attachment<'_> {
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
    /// Bytes of text that were looked through to write it: some of them may have left nothing.
    read: usize,
}

impl Output {
    fn note_read(&mut self, len: usize) -> Result<()> {
        self.read = self.read.saturating_add(len);
        if self.read / 4 > self.max { Err(self.too_large()) } else { Ok(()) }
    }

    /// Where a member of an object was left out: takes back the comma before it, or returns how much of `after` to skip
    /// for the one behind it.
    fn drop_comma(&mut self, after: &str) -> usize {
        let is_blank = |byte: &u8| is_space(char::from(*byte));
        while self.bytes.last().is_some_and(is_blank) {
            self.bytes.pop();
        }
        if self.bytes.last() == Some(&b',') {
            self.bytes.pop();
            return 0;
        }
        let next = after.trim_start_matches(is_space);
        if next.starts_with(',') { after.len() - next.len() + 1 } else { 0 }
    }

    fn too_large(&self) -> Error {
        Error::new(Code::TooLarge, format!("as JSON more than maxMessage ({}) bytes", self.max))
    }

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
            return Err(self.too_large());
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
    fn values_are_written_as_json_stringify_writes_them() {
        let cases = [
            (r#"["\u0000u",{"a":"\u0000u"}]"#, r#"[null,{}]"#),
            (r#"[{"a":1,"b":"\u0000u"},{"b" : "\u0000u" , "a":1}]"#, r#"[{"a":1},{ "a":1}]"#),
            (r#"[{"x":"\u0000u","y":"\u0000u","a":["k","\u0000u"],"z":"\u0000u"}]"#, r#"[{"a":["k",null]}]"#),
            (r#"["\u0000N","\u0000I","\u0000i","\u0000z"]"#, "[null,null,null,0]"),
            (r#"[[1,"\u0000h3",2],["\u0000h1"]]"#, "[[1,null,null,null,2],[null]]"),
            (r#"["\u0000d0","\u0000d"]"#, r#"["1970-01-01T00:00:00.000Z",null]"#),
            (r#"["\u0000rgi/a\"b","\u0000Uhttp://x/?\"q\""]"#, r#"[{},"http://x/?\"q\""]"#),
        ];
        for (text, json) in cases {
            assert_eq!(unpack(&[], text), json);
        }
        let attachments: [(u32, &[u8]); 4] =
            [(17, br#"{"a":"\u00001","u":"\u0000u"}"#), (17, br#"["\u0000d0"]"#), (18, b"[1,2]"), (19, b"[1]")];
        assert_eq!(
            unpack(&attachments, r#"["\u00000","\u00000","\u00001","\u00002",{"s":"\u00003"}]"#),
            r#"[{"a":["1970-01-01T00:00:00.000Z"]},{"a":["1970-01-01T00:00:00.000Z"]},"#.to_owned()
                + r#"["1970-01-01T00:00:00.000Z"],{},{"s":{}}]"#
        );
    }

    #[test]
    fn what_json_stringify_refuses_is_refused() {
        assert_eq!(code(&pack(&[], r#"["\u0000nff"]"#)), "ERR_UNSERIALIZABLE");
        assert_eq!(code(&pack(&[(17, br#"{"self":"\u00000"}"#)], r#"["\u00000"]"#)), "ERR_UNSERIALIZABLE");
        let cycle: [(u32, &[u8]); 2] = [(17, br#"["\u00001"]"#), (17, br#"["\u00000"]"#)];
        assert_eq!(code(&pack(&cycle, r#"["\u00000"]"#)), "ERR_UNSERIALIZABLE");
        assert_eq!(code(&pack(&[], r#"["\u0000h4000000000"]"#)), "ERR_UNSERIALIZABLE");
        let chain: Vec<_> = (1..=300).map(|next| format!(r#"["\u0000{next}"]"#)).collect();
        let chain: Vec<(u32, &[u8])> = chain.iter().map(|text| (17, text.as_bytes())).collect();
        assert_eq!(code(&pack(&chain, r#"["\u00000"]"#)), "ERR_UNSERIALIZABLE");
    }

    #[test]
    fn shared_values_that_multiply_do_not_fill_the_memory_nor_the_time() {
        let doubling: Vec<_> = (1..=60).map(|next| format!(r#"["\u0000{next}","\u0000{next}"]"#)).collect();
        let mut doubling: Vec<(u32, &[u8])> = doubling.iter().map(|text| (17, text.as_bytes())).collect();
        doubling.push((17, b"1"));
        assert_eq!(code(&pack(&doubling, r#"["\u00000"]"#)), "ERR_TOO_LARGE");
        // Texts that leave nothing.
        let empty = format!("{{{}\"a\":\"\\u0000u\"}}", r#""a":"\u0000u","#.repeat(600));
        let often = format!("[{}0]", r#""\u00000","#.repeat(900));
        assert_eq!(code(&pack(&[(17, empty.as_bytes())], &often)), "ERR_TOO_LARGE");
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
            cut in 0..400usize,
            place in 0..400usize,
            byte in any::<u8>(),
        ) {
            let attachments: [(u32, &[u8]); 3] =
                [(1, b"abc"), (15, b"{\"message\":\"m\"}"), (17, br#"{"a":"\u0000d5","b":"\u0000u"}"#)];
            let text = r#"["\u00000",{"e":"\u00001","u":"\u0000u"},"\u0000\u0000","\u00002","\u0000h2"]"#;
            let mut body = pack(&attachments, text);
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
