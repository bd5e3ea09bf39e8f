//! Strings whose JSON is themselves between quotes, which both ends can then pass on without looking for escapes.

/// Whether all bytes are printable ASCII other than quote and backslash.
pub fn is_plain(bytes: &[u8]) -> bool {
    // No early exit within a block: the compiler makes vector instructions of it.
    bytes.chunks(64).all(|block| block.iter().fold(true, |plain, &byte| plain & is_plain_byte(byte)))
}

const fn is_plain_byte(byte: u8) -> bool {
    (byte >= b' ') & (byte < 0x7F) & (byte != b'"') & (byte != b'\\')
}

/// The string in the JSON text of an array with one plain string and nothing else.
pub fn only_string(json: &[u8]) -> Option<&[u8]> {
    let inner = json.strip_prefix(b"[\"")?.strip_suffix(b"\"]")?;
    is_plain(inner).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_no_escape_is_plain() {
        assert!(is_plain(b"") && is_plain(&[b'x'; 1000]) && is_plain(b"a b~!"));
        for byte in (0..=255).filter(|&byte| !(b' '..0x7F).contains(&byte) || byte == b'"' || byte == b'\\') {
            let mut bytes = [b'x'; 200];
            for at in [0, 63, 64, 199] {
                bytes[at] = byte;
                assert!(!is_plain(&bytes), "{byte} at {at}");
                bytes[at] = b'x';
            }
        }
    }

    #[test]
    fn one_string_is_cut_out_and_nothing_else() {
        assert_eq!(only_string(br#"["abc"]"#), Some(&b"abc"[..]));
        assert_eq!(only_string(br#"[""]"#), Some(&b""[..]));
        for other in [&br#"["a","b"]"#[..], br#"["a\n"]"#, br#"[1]"#, b"[\"", b"[]", br#"[["a"]]"#] {
            assert_eq!(only_string(other), None);
        }
    }
}
