//! Texts and bytes across the border, both ways.

use std::ffi::{CStr, c_char};
use std::slice;

use crate::error::{CallError, Code};

/// A NUL-terminated text of C's. `what` names it for the person who passed it.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that stays as it is for `'a`.
pub(super) unsafe fn string<'a>(text: *const c_char, what: &str) -> Result<&'a str, CallError> {
    if text.is_null() {
        return Err(CallError::argument(format!("{what} is NULL")));
    }
    // SAFETY: not NULL, and otherwise as the caller promises.
    let text = unsafe { CStr::from_ptr(text) };
    simdutf8::basic::from_utf8(text.to_bytes())
        .map_err(|_| CallError::argument(format!("{what} is not valid UTF-8")))
}

/// Bytes of C's. NULL is an empty payload when `len` is 0.
///
/// # Safety
/// `data` is NULL or points to `len` bytes that stay as they are for `'a`.
pub(super) unsafe fn bytes<'a>(data: *const u8, len: usize, what: &str) -> Result<&'a [u8], CallError> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(CallError::argument(format!("{what} is NULL")));
    }
    if len > isize::MAX as usize {
        return Err(CallError::new(Code::TooLarge, format!("{what} cannot be that long")));
    }
    // SAFETY: not NULL, of a possible length, and otherwise as the caller promises.
    Ok(unsafe { slice::from_raw_parts(data, len) })
}

/// A place of the caller's for a text to be copied out to.
pub(super) struct TextOut {
    buf: *mut c_char,
    cap: usize,
}

impl TextOut {
    /// Leaves the empty text there, which is what a call that fails has to say.
    ///
    /// # Safety
    /// `buf` is NULL, or `cap` bytes can be written there for as long as the value lives.
    pub(super) unsafe fn new(buf: *mut c_char, cap: usize) -> Self {
        let out = Self { buf, cap: if buf.is_null() { 0 } else { cap } };
        out.put(b"");
        out
    }

    /// Copies what fits, NUL-terminated and without half a character at its end, and returns the
    /// whole length.
    pub(super) fn put(&self, text: &[u8]) -> usize {
        if self.cap > 0 {
            let fits = whole_characters(text, self.cap - 1);
            // SAFETY: `fits` is less than `cap`, which is what can be written (`new`), and the
            // text is no part of it.
            unsafe {
                self.buf.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), fits);
                self.buf.add(fits).write(0);
            }
        }
        text.len()
    }
}

/// At most `limit` bytes of `text`, without the beginning of a character that is cut off.
pub(super) fn whole_characters(text: &[u8], limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    // RFC 3629 section 3: bytes 10xxxxxx go on with a character, at most three of them.
    let goes_on = |at: usize| text[at] & 0b1100_0000 == 0b1000_0000;
    let start = (limit.saturating_sub(3)..=limit).rev().find(|&at| !goes_on(at));
    start.unwrap_or(limit)
}

/// Where payloads of no bytes point: some callers do not like a length of 0 with NULL.
pub(super) fn address(bytes: &[u8]) -> *const u8 {
    if bytes.is_empty() { c"".as_ptr().cast() } else { bytes.as_ptr() }
}

/// A NUL-terminated copy, for texts that are rare and short.
pub(super) fn terminated(text: &str) -> Vec<u8> {
    let mut copy = Vec::with_capacity(text.len() + 1);
    copy.extend_from_slice(text.as_bytes());
    copy.push(0);
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule of the contract, byte by byte.
    fn copied(text: &str, cap: usize) -> (usize, Vec<u8>) {
        let mut buf = [0x55u8; 16];
        // SAFETY: `cap` is at most 16.
        let len = unsafe { TextOut::new(buf.as_mut_ptr().cast(), cap) }.put(text.as_bytes());
        (len, buf.to_vec())
    }

    #[test]
    fn what_fits_is_copied_and_terminated_and_the_whole_length_returned() {
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
    fn no_half_character_is_left_at_the_end() {
        for (cap, expected) in [(1, ""), (2, "a"), (3, "a"), (4, "a"), (5, "a€"), (6, "a€b")] {
            let (len, buf) = copied("a€b", cap);
            assert_eq!(len, 5);
            assert_eq!(buf[..expected.len()], *expected.as_bytes(), "cap {cap}");
            assert_eq!(buf[expected.len()], 0, "cap {cap}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_cut_where_they_end() {
        assert_eq!(whole_characters(&[0x80; 9], 6), 6);
    }

    #[test]
    fn texts_are_checked_as_they_come_in() {
        // SAFETY: NUL-terminated literals, or NULL.
        unsafe {
            assert_eq!(string(c"grün".as_ptr(), "name"), Ok("grün"));
            assert_eq!(string(std::ptr::null(), "name").unwrap_err().message, "name is NULL");
            assert!(string(c"\xff".as_ptr(), "name").unwrap_err().message.contains("UTF-8"));
        }
    }

    #[test]
    fn payloads_may_be_null_only_when_empty() {
        // SAFETY: NULL, or a literal of that length.
        unsafe {
            assert_eq!(bytes(std::ptr::null(), 0, "data"), Ok(&[][..]));
            assert_eq!(bytes(std::ptr::null(), 1, "data").unwrap_err().code, Code::InvalidArgument);
            assert_eq!(bytes(b"abc".as_ptr(), 3, "data"), Ok(&b"abc"[..]));
            assert_eq!(bytes(b"abc".as_ptr(), usize::MAX, "data").unwrap_err().code, Code::TooLarge);
        }
    }

    #[test]
    fn empty_payloads_have_an_address() {
        assert!(!address(&[]).is_null());
    }
}
