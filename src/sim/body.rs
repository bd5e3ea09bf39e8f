//! Bodies that say which message they are, and show when a byte of them was changed.

/// The body of message `number`, of about `len` bytes: a JSON array, so that peers of the original's wire read it too.
pub fn write(number: usize, len: usize) -> Vec<u8> {
    let mut body = format!("[{number},\"").into_bytes();
    let pad = len.saturating_sub(body.len() + 2);
    body.resize(body.len() + pad, letter(number));
    body.extend_from_slice(b"\"]");
    body
}

/// Which message a body is.
pub fn read(body: &[u8]) -> usize {
    let digits = body.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&body[1..=digits]).ok().and_then(|text| text.parse().ok());
    let number = number.unwrap_or_else(|| panic!("not a body: {:?}", String::from_utf8_lossy(body)));
    assert!(body == write(number, body.len()), "the body of {number} was changed on its way");
    number
}

fn letter(number: usize) -> u8 {
    b'a' + (number % 26) as u8
}
