//! Moments as people write them: milliseconds since 1970, or a date with a time in UTC.

use quipu_core::time::Timestamp;

/// Reads `1700000000000`, `2026-11-22`, `2026-11-22T01:30` or `2026-11-22T01:30:05.250Z` (UTC, as RFC 3339).
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    if let Ok(ms) = text.parse::<i64>() {
        return if ms >= 0 { Ok(Timestamp(ms)) } else { Err(format!("'{text}' lies before 1970")) };
    }
    dated(text).map(Timestamp).ok_or_else(|| {
        format!("'{text}' is no moment: write milliseconds since 1970, or a date and time in UTC as 2026-11-22T01:30:00Z")
    })
}

fn dated(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').unwrap_or(text);
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let mut date = date.split('-');
    let (year, month, day) = (number(date.next()?, 4)?, number(date.next()?, 2)?, number(date.next()?, 2)?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.split(':');
    let (hour, minute) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?);
    let second = clock.next().map_or(Some(0), |s| number(s, 2))?;
    if date.next().is_some() || clock.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_1970(year, month, day)?;
    let ms = thousandths(fraction)?;
    Some((days * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + ms)
}

fn number(digits: &str, width: usize) -> Option<i64> {
    let whole = digits.len() == width && digits.bytes().all(|b| b.is_ascii_digit());
    if whole { digits.parse().ok() } else { None }
}

fn thousandths(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<3}")[..3].parse().ok()
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; none for a date that does not exist, or before 1970.
fn days_from_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = |y: i64| y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
    let february = if leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month).ok()?.checked_sub(1)?;
    if year < 1970 || day < 1 || day > *months.get(index)? {
        return None;
    }
    let before = |y: i64| y * 365 + y / 4 - y / 100 + y / 400;
    let years = before(year - 1) - before(1969);
    Some(years + months[..index].iter().sum::<i64>() + day - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_as_utc() {
        for (text, ms) in [
            ("0", 0),
            ("1700000000123", 1_700_000_000_123),
            ("1970-01-01", 0),
            ("2000-02-29T00:00:01Z", 951_782_401_000),
            ("2026-11-22T01:30", 1_795_311_000_000),
            ("2026-11-22 01:30:05.25", 1_795_311_005_250),
        ] {
            assert_eq!(parse(text), Ok(Timestamp(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in
            ["", "-5", "yesterday", "2026-02-29", "2026-13-01", "1969-12-31", "2026-1-1", "2026-11-22T25:00"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
