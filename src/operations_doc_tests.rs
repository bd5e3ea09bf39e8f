//! `docs/OPERATIONS.md` is true: its table of what is remembered holds the bounds and the bytes of the code.

const PAGE: &str = include_str!("../docs/OPERATIONS.md");

/// A number as the page writes it: 65 536.
fn written(number: usize) -> String {
    let digits = number.to_string();
    if digits.len() < 5 {
        return digits;
    }
    format!("{} {}", &digits[..digits.len() - 3], &digits[digits.len() - 3..])
}

/// Asserts that the row of the table that begins so has each of these numbers.
pub fn says(row: &str, numbers: &[usize]) {
    let mut rows = PAGE.lines().filter(|line| line.starts_with(&format!("| {row}")));
    let found = rows.next().unwrap_or_else(|| panic!("no row begins with '{row}'"));
    assert!(rows.next().is_none(), "two rows begin with '{row}'");
    let words: String = found.chars().map(|letter| if letter.is_alphanumeric() { letter } else { ' ' }).collect();
    for &number in numbers {
        assert!(words.contains(&format!(" {} ", written(number))), "{number} is not in '{found}'");
    }
}
