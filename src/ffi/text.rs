//! Converts strings and payloads between C and Rust.

use std::ffi::{CStr, c_char};
use std::slice;

use crate::error::{CallError, Code};

/// Checks and borrows a NUL-terminated UTF-8 string. `what` is its name in error messages.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that does not change during `'a`.
pub(super) unsafe fn string<'a>(text: *const c_char, what: &str) -> Result<&'a str, CallError> {
    if text.is_null() {
        return Err(CallError::argument(format!("{what} is NULL")));
    }
    // SAFETY: not NULL, and otherwise as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    simdutf8::basic::from_utf8(text.to_bytes())
        .map_err(|_| CallError::argument(format!("{what} is not valid UTF-8")))
}

/// Borrows a payload. NULL is an empty payload if `len` is 0.
///
/// # Safety
/// `data` is NULL or points to `len` bytes that do not change during `'a`.
pub(super) unsafe fn bytes<'a>(data: *const u8, len: usize, what: &str) -> Result<&'a [u8], CallError> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(CallError::argument(format!("{what} is NULL")));
    }
    if len > isize::MAX as usize {
        return Err(CallError::new(Code::TooLarge, format!("{what} is too long")));
    }
    // SAFETY: not NULL, of a possible length, and otherwise as the caller promises.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// A buffer of the caller that receives a string.
pub(super) struct TextOut {
    buf: *mut c_char,
    cap: usize,
}

impl TextOut {
    /// Writes an empty string first: the result if the call fails.
    ///
    /// # Safety
    /// `buf` is NULL, or `cap` bytes can be written there while the value exists.
    pub(super) unsafe fn new(buf: *mut c_char, cap: usize) -> Self {
        let out = Self { buf, cap: if buf.is_null() { 0 } else { cap } };
        out.put(b"");
        out
    }

    /// Copies what fits, NUL-terminated and without a partial character at the end, and returns the
    /// full length.
    pub(super) fn put(&self, text: &[u8]) -> usize {
        if self.cap > 0 {
            let fits = whole_characters(text, self.cap - 1);
            // SAFETY: `fits` is less than `cap`, so many bytes can be written (`new`), and the text
            // does not overlap them.
            unsafe {
                self.buf.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), fits);
                self.buf.add(fits).write(0);
            }
        }
        text.len()
    }
}

/// The longest length of at most `limit` bytes that does not end within a character.
pub(super) fn whole_characters(text: &[u8], limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    // RFC 3629 section 3: a character has at most three continuation bytes, 10xxxxxx.
    let continues = |at: usize| text[at] & 0b1100_0000 == 0b1000_0000;
    let start = (limit.saturating_sub(3)..=limit).rev().find(|&at| !continues(at));
    start.unwrap_or(limit)
}

/// The address of a payload, never NULL: some callers do not expect NULL for an empty one.
pub(super) fn address(bytes: &[u8]) -> *const u8 {
    if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr() }
}

/// A NUL-terminated copy; allocates.
pub(super) fn terminated(text: &str) -> Vec<u8> {
    let mut copy = Vec::with_capacity(text.len() + 1);
    copy.extend_from_slice(text.as_bytes());
    copy.push(0);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies `text` into a buffer of `cap` bytes; returns the length and the buffer.
    fn copied(text: &str, cap: usize) -> (usize, Vec<u8>) {
        let mut buf = [0x55u8; 16];
        // SAFETY: `cap` is at most 16.
        let len = unsafe { TextOut::new(buf.as_mut_ptr().cast(), cap) }.put(text.as_bytes());
        (len, buf.to_vec())
    }

    #[test]
    fn copies_what_fits_and_returns_full_length() {
        let (len, buf) = copied("hello", 16);
        assert_eq!((len, &buf[..7]), (5, &b"hello\0\x55"[..]));
        let (len, buf) = copied("hello", 6);
        assert_eq!((len, &buf[..7]), (5, &b"hello\0\x55"[..]));
        let (len, buf) = copied("hello", 5);
        assert_eq!((len, &buf[..6]), (5, &b"hell\0\x55"[..]));
        let (len, buf) = copied("hello", 1);
        assert_eq!((len, &buf[..2]), (5, &b"\0\x55"[..]));
        let (len, buf) = copied("hello", 0);
        assert_eq!((len, &buf[..1]), (5, &b"\x55"[..]));
        // SAFETY: NULL.
        assert_eq!(unsafe { TextOut::new(std::ptr::null_mut(), 0) }.put(b"hello"), 5);
        // SAFETY: NULL.
        assert_eq!(unsafe { TextOut::new(std::ptr::null_mut(), 9) }.put(b"hello"), 5);
    }

    #[test]
    fn no_partial_character_at_the_end() {
        for (cap, expected) in [(1, ""), (2, "a"), (3, "a"), (4, "a"), (5, "a€"), (6, "a€b")] {
            let (len, buf) = copied("a€b", cap);
            assert_eq!(len, 5);
            assert_eq!(buf[..expected.len()], *expected.as_bytes(), "cap {cap}");
            assert_eq!(buf[expected.len()], 0, "cap {cap}");
        }
    }

    #[test]
    fn invalid_utf8_is_truncated_at_the_limit() {
        assert_eq!(whole_characters(&[0x80; 9], 6), 6);
    }

    #[test]
    fn strings_must_be_utf8_and_not_null() {
        // SAFETY: NUL-terminated literals, or NULL.
        unsafe {
            assert_eq!(string(c"grün".as_ptr(), "name"), Ok("grün"));
            assert_eq!(string(std::ptr::null(), "name").unwrap_err().message, "name is NULL");
            assert!(string(c"\xff".as_ptr(), "name").unwrap_err().message.contains("UTF-8"));
        }
    }

    #[test]
    fn only_empty_payloads_may_be_null() {
        // SAFETY: NULL, or a literal of that length.
        unsafe {
            assert_eq!(bytes(std::ptr::null(), 0, "data"), Ok(&[][..]));
            assert_eq!(bytes(std::ptr::null(), 1, "data").unwrap_err().code, Code::InvalidArgument);
            assert_eq!(bytes(b"abc".as_ptr(), 3, "data"), Ok(&b"abc"[..]));
            assert_eq!(bytes(b"abc".as_ptr(), usize::MAX, "data").unwrap_err().code, Code::TooLarge);
        }
    }

    #[test]
    fn empty_payloads_are_not_null() {
        assert!(!address(&[]).is_null());
    }
}
