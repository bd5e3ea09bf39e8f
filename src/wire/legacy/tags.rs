//! Strings that stand for something in the text of a packed body: `lib/values/tags.js` says which.

use super::malformed;
use crate::error::Result;

/// How JSON writes the NUL that such a string begins with; hexadecimal zeros have no other spelling.
pub(super) const MARK: &str = "\\u0000";

const MS_PER_DAY: i64 = 86_400_000;
/// The farthest a JavaScript Date goes from 1970, in milliseconds.
const MAX_TIME: i64 = 8_640_000_000_000_000;

/// What a tagged string stands for, as far as JSON is concerned.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tag<'a> {
    /// The attachment of that index.
    Attachment(usize),
    /// A string, without the quote that opens it.
    Text(&'a str),
    Undefined,
    /// NaN and the infinities.
    NoNumber,
    NegativeZero,
    /// So many array elements that are not there.
    Holes(u32),
    BigInt,
    /// Milliseconds since 1970; `None` is an invalid Date.
    Date(Option<i64>),
    RegExp,
}

impl<'a> Tag<'a> {
    /// `tagged` is what follows the mark in the text, up to and including the closing quote.
    pub(super) fn parse(tagged: &'a str) -> Result<Self> {
        let content = tagged.strip_suffix('"').unwrap_or(tagged);
        if content.starts_with(MARK) {
            return Ok(Self::Text(tagged));
        }
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?;
        match content.as_bytes().first() {
            Some(b'0'..=b'9') => number(content).map(Self::Attachment),
            Some(b'h') => number(&content[1..]).and_then(|count| u32::try_from(count).ok()).map(Self::Holes),
            Some(b'n') => Some(Self::BigInt),
            Some(b'd') => time(&content[1..]).map(Self::Date),
            Some(b'r') => Some(Self::RegExp),
            Some(b'U') => Some(Self::Text(&tagged[1..])),
            _ => match content {
                "u" => Some(Self::Undefined),
                "z" => Some(Self::NegativeZero),
                "N" | "I" | "i" => Some(Self::NoNumber),
                _ => None,
            },
        }
        .ok_or_else(|| malformed("a string stands for nothing"))
    }
}

fn time(digits: &str) -> Option<Option<i64>> {
    if digits.is_empty() {
        return Some(None);
    }
    let time = digits.parse().ok()?;
    Some(Some(time).filter(|time: &i64| time.abs() <= MAX_TIME))
}

/// What `Date.prototype.toISOString` makes of a time.
pub(super) fn iso_date(time: i64) -> String {
    let (days, ms) = (time.div_euclid(MS_PER_DAY), time.rem_euclid(MS_PER_DAY));
    let (year, month, day) = civil(days);
    let year = match year {
        0..=9999 => format!("{year:04}"),
        _ => format!("{}{:06}", if year < 0 { '-' } else { '+' }, year.abs()),
    };
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// Year, month and day of a day since 1970 in the Gregorian calendar, by counting years from March: leap days end them.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_ERA: i64 = 146_097; // 400 years
    let since_march_of_year_0 = days + 719_468;
    let era = since_march_of_year_0.div_euclid(DAYS_PER_ERA);
    let day_of_era = since_march_of_year_0.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tag_is_told_by_its_letter() {
        let tags = [
            (r#"0""#, Tag::Attachment(0)),
            (r#"12""#, Tag::Attachment(12)),
            (r#"\u0000x""#, Tag::Text(r#"\u0000x""#)),
            (r#"u""#, Tag::Undefined),
            (r#"z""#, Tag::NegativeZero),
            (r#"N""#, Tag::NoNumber),
            (r#"I""#, Tag::NoNumber),
            (r#"i""#, Tag::NoNumber),
            (r#"h3""#, Tag::Holes(3)),
            (r#"n-ff""#, Tag::BigInt),
            (r#"d""#, Tag::Date(None)),
            (r#"d-1""#, Tag::Date(Some(-1))),
            (r#"d8640000000000001""#, Tag::Date(None)),
            (r#"rgi/a\"b""#, Tag::RegExp),
            (r#"Uhttp://x/""#, Tag::Text(r#"http://x/""#)),
        ];
        for (text, tag) in tags {
            assert_eq!(Tag::parse(text).unwrap(), tag, "{text}");
        }
        for text in [r#"""#, r#"x""#, r#"uu""#, r#"0x""#, r#"h""#, r#"h-1""#, r#"h4294967296""#, r#"d1.5""#, r#"-0""#] {
            assert!(Tag::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dates_are_written_as_javascript_writes_them() {
        let dates = [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_800_000, "+010000-01-01T00:00:00.000Z"),
            (-62_167_219_200_001, "-000001-12-31T23:59:59.999Z"),
            (MAX_TIME, "+275760-09-13T00:00:00.000Z"),
            (-MAX_TIME, "-271821-04-20T00:00:00.000Z"),
        ];
        for (time, text) in dates {
            assert_eq!(iso_date(time), text);
        }
    }
}
