//! Walking over JSON text without building values from it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::malformed;
use crate::error::Result;

/// Deepest nesting that is passed on. Nobody here recurses, but receivers do: Python's parser gives up near 1000.
const MAX_DEPTH: usize = 512;

/// One JSON value as text: well-formed, not nested too deeply, no whitespace around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// Stands for a field that is missing.
    pub(super) const NULL: Self = Self("null");

    /// Takes bytes that are one JSON value and nothing else. In such text a NUL byte can stand nowhere.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(malformed)?;
        let value: &RawValue = serde_json::from_str(text).map_err(malformed)?;
        let json = Self(value.get());
        if json.is_deeper_than(MAX_DEPTH) {
            return Err(malformed(format_args!("nested deeper than {MAX_DEPTH}")));
        }
        Ok(json)
    }

    pub(super) fn as_str(self) -> &'a str {
        self.0
    }

    pub(super) fn is_array(self) -> bool {
        self.0.starts_with('[')
    }

    pub(super) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    /// A string's content; `None` for other values and for strings that are no Unicode (half a surrogate pair).
    pub(super) fn string(self) -> Option<Cow<'a, str>> {
        let content = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if content.contains('\\') {
            return serde_json::from_str(self.0).ok().map(Cow::Owned);
        }
        Some(Cow::Borrowed(content))
    }

    /// The values directly inside an array, or the keys and values in turn of an object. Nothing inside a scalar.
    pub(super) fn parts(self) -> Parts<'a> {
        let inside = self.0.strip_prefix(['[', '{']).and_then(|text| text.strip_suffix([']', '}']));
        Parts { rest: inside.unwrap_or_default() }
    }

    /// The keys and values of an object; nothing if it is none.
    pub(super) fn members(self) -> impl Iterator<Item = (Self, Self)> {
        let mut parts = if self.is_object() { self.parts() } else { Self::NULL.parts() };
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    fn is_deeper_than(self, limit: usize) -> bool {
        let mut depth = 0;
        tokens(self.0).any(|(_, token)| {
            depth = token.depth_after(depth);
            depth > limit
        })
    }
}

/// Iterates over what stands directly inside a container; see [`Json::parts`].
pub(super) struct Parts<'a> {
    rest: &'a str,
}

impl<'a> Parts<'a> {
    /// What has not been taken yet, without the comma before it; empty at the end.
    pub(super) fn rest(&self) -> &'a str {
        self.rest.trim_start_matches(|c| is_space(c) || c == ',').trim_end_matches(is_space)
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        let text = self.rest.trim_start_matches(|c| is_space(c) || matches!(c, ',' | ':'));
        let (value, rest) = text.split_at(first_value_len(text));
        self.rest = rest;
        (!value.is_empty()).then_some(Json(value))
    }
}

/// Bytes of the value that `text`, the inside of a container, starts with.
fn first_value_len(text: &str) -> usize {
    if !text.starts_with(['"', '[', '{']) {
        return text.find(|c| is_space(c) || c == ',').unwrap_or(text.len());
    }
    let mut depth = 0;
    for (start, token) in tokens(text) {
        depth = token.depth_after(depth);
        if depth == 0 {
            return start + token.len();
        }
    }
    text.len()
}

/// A piece of JSON text with a meaning beyond itself. Numbers, words and punctuation have none and are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `[` or `{`
    Open,
    /// `]` or `}`
    Close,
    /// A string, key or value, with its quotes.
    String(&'a str),
}

impl Token<'_> {
    fn len(self) -> usize {
        match self {
            Self::Open | Self::Close => 1,
            Self::String(text) => text.len(),
        }
    }

    fn depth_after(self, depth: usize) -> usize {
        match self {
            Self::Open => depth + 1,
            Self::Close => depth.saturating_sub(1),
            Self::String(_) => depth,
        }
    }
}

/// The tokens of well-formed JSON, each with the place where it starts.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = (usize, Token<'_>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_token = |byte: &u8| matches!(byte, b'[' | b'{' | b']' | b'}' | b'"');
        let start = at + text.as_bytes()[at..].iter().position(is_token)?;
        let token = match text.as_bytes()[start] {
            b'"' => Token::String(&text[start..start + string_len(&text[start..])]),
            b'[' | b'{' => Token::Open,
            _ => Token::Close,
        };
        at = start + token.len();
        Some((start, token))
    })
}

/// Bytes of the string that `text` starts with, its quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    let is_end = |byte| {
        let is_end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        is_end
    };
    text.bytes().skip(1).position(is_end).map_or(text.len(), |content| content + 2)
}

/// JSON's whitespace, which is less than Unicode's.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json(text: &str) -> Json<'_> {
        Json::parse(text.as_bytes()).unwrap()
    }

    fn parts(text: &str) -> Vec<&str> {
        json(text).parts().map(Json::as_str).collect()
    }

    #[test]
    fn parts_are_the_text_as_sent() {
        assert_eq!(
            parts(" [ 1e400 ,\"a,]\\\"\" , {\"b\" : [2]}\n,[],null ] "),
            ["1e400", "\"a,]\\\"\"", "{\"b\" : [2]}", "[]", "null"]
        );
        assert_eq!(parts(r#"{ "a" : 1 , "b":[ ] }"#), [r#""a""#, "1", r#""b""#, "[ ]"]);
        for empty in ["[]", "{ }", "7", "\"[1]\"", "null"] {
            assert_eq!(parts(empty), Vec::<&str>::new());
        }
    }

    #[test]
    fn the_rest_of_an_array_is_kept_as_sent() {
        for (array, rest) in [("[1, 2 ,3 ]", "2 ,3"), ("[1]", ""), ("[1 ]", ""), ("[]", ""), ("[[1],[2]]", "[2]")] {
            let mut parts = json(array).parts();
            parts.next();
            assert_eq!(parts.rest(), rest, "{array}");
        }
    }

    #[test]
    fn only_objects_have_members() {
        let members = |text| json(text).members().map(|(key, value)| (key.0, value.0)).collect::<Vec<_>>();
        assert_eq!(members(r#"{"a":1, "a" :{"b":2}}"#), [(r#""a""#, "1"), (r#""a""#, r#"{"b":2}"#)]);
        assert_eq!(members(r#"["a",1]"#), []);
        assert_eq!(members("{}"), []);
    }

    #[test]
    fn strings_that_are_no_unicode_have_no_content() {
        assert_eq!(json(r#""\ud83d\ude00\n""#).string().as_deref(), Some("😀\n"));
        assert_eq!(json(r#""\ud800""#).string(), None);
        assert_eq!(json("1").string(), None);
    }

    #[test]
    fn nesting_is_bounded_and_costs_no_stack() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Json::parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(Json::parse(nested(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(Json::parse(nested(10_000_000).as_bytes()).is_err());
        assert!(Json::parse("{\"a\":".repeat(1_000_000).as_bytes()).is_err());
        assert!(Json::parse(format!("\"{}\"", "[".repeat(1000)).as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        let not_json: [&[u8]; 10] =
            [b"", b"1 2", b"[1,]", b"\"\0\"", b"[1]\0", b"\0", b"\"\xff\"", b"[\"\n\"]", b"NaN", b"\xef\xbb\xbf[]"];
        for bytes in not_json {
            assert!(Json::parse(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_walked(text in r#"[\[\]{}",:\\u0a1e \n-]{0,40}"#) {
            if let Ok(json) = Json::parse(text.as_bytes()) {
                let parts = json.parts().collect::<Vec<_>>();
                for part in parts {
                    prop_assert_eq!(Json::parse(part.as_str().as_bytes()).unwrap(), part);
                }
            }
        }
    }
}
