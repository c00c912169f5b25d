//! Date parsing by the algorithm of RFC 6265 section 5.1.1, which accepts the three formats of HTTP (RFC 9110
//! section 5.6.7) and many others.

use std::time::{Duration, SystemTime};

/// Parses a date as UTC; a time zone in the text is ignored. Dates before 1970 become 1970. Returns `None`
/// for invalid dates and on overflow.
pub fn parse(text: &str) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    // Each token is the first component that it matches and that was not found before.
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()) {
        if time.is_none()
            && let Some(found) = parse_time(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = leading_number(token, 1, 2)
        {
            day = Some(found);
        } else if month.is_none()
            && let Some(found) = parse_month(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = leading_number(token, 2, 4)
        {
            year = Some(found);
        }
    }
    let ((hour, minute, second), day, month, year) = (time?, day?, month?, year?);
    let year = match year {
        70..=99 => year + 1900,
        0..=69 => year + 2000,
        year => year,
    };
    if !(1..=days_in(year, month)).contains(&day) || year < 1601 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_1970(year, month, day);
    let seconds = i64::from(days) * 86_400 + i64::from(hour * 3600 + minute * 60 + second);
    // A date before 1970 is in the past either way.
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// ASCII characters other than letters, digits and colons.
fn is_delimiter(c: char) -> bool {
    matches!(c, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~')
}

/// Parses `hms-time`: three numbers of one or two digits; anything may follow the last.
fn parse_time(token: &str) -> Option<(u32, u32, u32)> {
    let (hour, rest) = token.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let whole = |text: &str| leading_number(text, 1, 2).filter(|_| text.len() <= 2 && is_digits(text));
    Some((whole(hour)?, whole(minute)?, leading_number(second, 1, 2)?))
}

/// Parses a leading number of `least` to `most` digits; anything except another digit may follow.
fn leading_number(token: &str, least: usize, most: usize) -> Option<u32> {
    let digits = token.bytes().take_while(u8::is_ascii_digit).count();
    (least..=most).contains(&digits).then(|| token[..digits].parse().ok())?
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Parses a month, counted from 1; anything may follow the three letters.
fn parse_month(token: &str) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = token.get(..3)?;
    let place = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    u32::try_from(place + 1).ok()
}

fn days_in(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns days since 1 January 1970 in the Gregorian calendar; negative before. Counts years from March, so
/// that leap days come last.
fn days_since_1970(year: u32, month: u32, day: u32) -> i32 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    // 719468 days lie between 1 March of the year 0 and 1 January 1970. Years have at most 4 digits.
    days as i32 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        parse(text).map(|date| date.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn all_formats_parse_to_same_time() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 8:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 -0500",
            "Sun, 06 November 1994 08:49:37 GMT",
            "sun, 06 nov 1994 08:49:37 gmt",
            "06-Nov-1994 08:49:37",
            "08:49:37 06 Nov 1994",
            "1994 Nov 06th 08:49:37",
            "Nov/6/94;08:49:37Z",
            "\tSun\t06\tNov\t1994\t08:49:37\t",
        ] {
            // A leading "1994" is not a day, as it has four digits.
            assert_eq!(seconds(text), Some(784_111_777), "{text:?}");
        }
    }

    #[test]
    fn incomplete_or_out_of_range_dates_are_rejected() {
        for text in [
            "",
            "soon",
            "Sun, 06 Nov 1994",
            "06 Nov 08:49:37",
            "Nov 1994 08:49:37",
            "06 1994 08:49:37",
            "06 Nov 1994 08:49",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 23:60:00",
            "06 Nov 1994 23:59:60",
            "06 Nov 1994 123:59:59",
            "06 Nov 1994 08::37",
            "06 Nov 1994 08:49:137",
            "00 Nov 1994 08:49:37",
            "31 Nov 1994 08:49:37",
            "29 Feb 1900 08:49:37",
            "29 Feb 2023 08:49:37",
            "06 Nov 1600 08:49:37",
            "06 Nov 19940 08:49:37",
            "06 Nov 1 08:49:37",
            "06 No 1994 08:49:37",
            "\u{e9} 06 N\u{f6}v 1994 08:49:37",
        ] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
        assert_eq!(seconds("29 Feb 2000 00:00:00"), Some(951_782_400));
        assert_eq!(seconds("31 Dec 1969 23:59:59"), Some(0), "clamped to 1970");
        assert_eq!(seconds("1 Jan 1601 0:0:0"), Some(0));
        assert_eq!(seconds("31 Dec 9999 23:59:59"), Some(253_402_300_799));
        assert_eq!(seconds("1 Jan 69 0:0:0"), Some(3_124_224_000));
        assert_eq!(seconds("1 Jan 70 0:0:0"), Some(0));
    }

    #[test]
    fn calendar_matches_day_by_day_count() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(days_since_1970(year, month, day), days, "{year}-{month}-{day}");
            day += 1;
            if day > days_in(year, month) {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        assert_eq!(days_since_1970(1601, 1, 1), -134_774);
    }
}
