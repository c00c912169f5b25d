//! Values of options: durations, sizes, bytes.

use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};

/// Parses a duration of at most 49 days: a number with `us`, `ms`, `s`, `m` or `h`; without a unit, seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is no unit of time; use us, ms, s, m or h")),
    };
    let number: f64 =
        number.parse().map_err(|_| "a duration is a number and a unit, such as 250ms".to_owned())?;
    let parsed = Duration::try_from_secs_f64(number * seconds)
        .map_err(|_| "the duration is out of range".to_owned())?;
    match parsed.as_millis() <= u32::MAX.into() {
        true => Ok(parsed),
        false => Err("it must be at most 49 days".to_owned()),
    }
}

/// Parses a duration of at least a millisecond: what the library's timeouts can be.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let parsed = duration(text)?;
    match parsed >= Duration::from_millis(1) {
        true => Ok(parsed),
        false => Err("it must be at least 1 ms".to_owned()),
    }
}

/// Returns whole milliseconds, as the library's settings take them.
pub fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// Parses a number of bytes: with `k`, `M` or `G` in powers of 1024.
pub fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let factor = match unit.trim_end_matches(['b', 'B']).trim_end_matches('i') {
        "" => 1u64,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err(format!("`{unit}` is no unit of size; use k, M or G")),
    };
    let number: u64 =
        number.parse().map_err(|_| "a size is a whole number, such as 512 or 64k".to_owned())?;
    let bytes = number.checked_mul(factor).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| "the size is out of range".to_owned())
}

/// Parses the size of a message that is kept in memory: at most 1 GiB.
pub fn message_size(text: &str) -> Result<usize, String> {
    match size(text)? {
        bytes if bytes <= 1 << 30 => Ok(bytes),
        _ => Err("it must be at most 1 GiB".to_owned()),
    }
}

/// Parses a data rate in bytes per second.
pub fn rate(text: &str) -> Result<u32, String> {
    let text = text.strip_suffix("/s").unwrap_or(text);
    u32::try_from(size(text)?).map_err(|_| "the rate must be less than 4 GiB/s".to_owned())
}

/// Parses hexadecimal digits; spaces and colons may separate them.
pub fn hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    HEXLOWER_PERMISSIVE
        .decode(digits.as_bytes())
        .map_err(|_| "binary data must be pairs of hexadecimal digits, such as 00ff10".to_owned())
}

/// Parses a pin: a SHA-256 hash in hexadecimal digits, or `sha256//` and Base64 as curl writes it.
pub fn pin(text: &str) -> Result<[u8; 32], String> {
    let bytes = match text.strip_prefix("sha256//") {
        Some(base64) => BASE64.decode(base64.as_bytes()).ok(),
        None => hex(text).ok(),
    };
    let hash = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    hash.ok_or_else(|| "a pin is a SHA-256 hash: 64 hexadecimal digits, or sha256// and Base64".to_owned())
}

/// Formats a duration with three significant digits.
pub fn show(duration: Duration) -> String {
    let us = duration.as_secs_f64() * 1e6;
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e4 => format!("{:.2} ms", us / 1e3),
        us if us < 1e5 => format!("{:.1} ms", us / 1e3),
        us if us < 1e6 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2"), Ok(Duration::from_secs(2)));
        assert_eq!(duration("1m"), Ok(Duration::from_secs(60)));
        for bad in ["", "ms", "-1s", "1 parsec", "1e400s", "999999999999999999999h", "."] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(timeout("0").is_err());
        assert!(timeout("1000h").is_ok());
        for huge in ["1200h", "1e19s", "9999999999999999999"] {
            assert!(duration(huge).is_err() && timeout(huge).is_err(), "{huge}");
        }
    }

    #[test]
    fn sizes_are_binary_multiples() {
        assert_eq!(size("64k"), Ok(65536));
        assert_eq!(size("2MiB"), Ok(2 << 20));
        assert_eq!(rate("100k/s"), Ok(102_400));
        assert_eq!(message_size("1G"), Ok(1 << 30));
        assert!(message_size("1025M").is_err());
        for bad in ["", "k", "-1", "1.5k", "99999999999999999999", "17179869184G", "1x"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pins_are_hashes() {
        assert!(pin(&"ab".repeat(32)).is_ok());
        assert!(pin("sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").is_ok());
        for bad in ["", "ab", "sha256//AAAA", "xyz"] {
            assert!(pin(bad).is_err(), "{bad}");
        }
    }
}
