//! The upgrade request while it can still be changed.

use std::ffi::c_char;

use super::guard::{guard, guard_or};
use super::result::fw_result;
use super::text::{TextOut, string};
use crate::client::Request;
use crate::error::CallError;

/// The upgrade request of one attempt.
///
/// A handle. Lives until its callback returns, or its event is released; used after that it is
/// refused.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct fw_request {
    /// 0 is none.
    pub id: u64,
}

impl fw_request {
    fn get(self) -> Result<Request, CallError> {
        Request::from_id(self.id)
    }
}

/// Copies out where the request goes.
///
/// Without user and password.
///
/// request: the request.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_url(request: fw_request, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let request = request.get()?;
        Ok(out.put(request.url().as_bytes()))
    })
}

/// The HTTP version of the request.
///
/// request: the request.
/// Returns: 1 or 2; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_request_http_version(request: fw_request) -> u32 {
    guard_or(0, || Ok(request.get()?.http_version()))
}

/// Which attempt of this fw_socket_open it is.
///
/// request: the request.
/// Returns: a number from 1; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub extern "C" fn fw_request_attempt(request: fw_request) -> u32 {
    guard_or(0, || Ok(request.get()?.attempt()))
}

/// Sets a header field of the request.
///
/// Replaces all fields of that name.
///
/// request: the request.
/// name: NUL-terminated token, copied; not one that the handshake owns, such as Host or Upgrade.
/// value: NUL-terminated visible ASCII, spaces and tabs inside, copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a legal field, one that the handshake owns, or
///   more than 64).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_set_header(
    request: fw_request,
    name: *const c_char,
    value: *const c_char,
) -> fw_result {
    guard(|| {
        let request = request.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let name = unsafe { string(name, "name") }?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let value = unsafe { string(value, "value") }?;
        request.set_header(name, value)
    })
}

/// Adds a header field to the request.
///
/// A name that is there already is sent twice, except Authorization, Origin and User-Agent, which are
/// replaced.
///
/// request: the request.
/// name: NUL-terminated token, copied; not one that the handshake owns, such as Host or Upgrade.
/// value: NUL-terminated visible ASCII, spaces and tabs inside, copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a legal field, one that the handshake owns, or
///   more than 64).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_add_header(
    request: fw_request,
    name: *const c_char,
    value: *const c_char,
) -> fw_result {
    guard(|| {
        let request = request.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let name = unsafe { string(name, "name") }?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let value = unsafe { string(value, "value") }?;
        request.add_header(name, value)
    })
}

/// Removes all header fields of a name from the request.
///
/// None of that name is no error.
///
/// request: the request.
/// name: NUL-terminated token, in any case; borrowed for the call; not one that the handshake owns,
///   such as Host or Upgrade.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, no token, or one that the handshake owns).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_remove_header(request: fw_request, name: *const c_char) -> fw_result {
    guard(|| {
        let request = request.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let name = unsafe { string(name, "name") }?;
        request.remove_header(name)
    })
}

/// Copies out a header field of the request.
///
/// The first of that name among those that can be changed.
///
/// request: the request.
/// name: NUL-terminated, in any case; borrowed for the call.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 also if there is no such field, for
///   NULL as name, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_header(
    request: fw_request,
    name: *const c_char,
    buf: *mut c_char,
    cap: usize,
) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let request = request.get()?;
        // SAFETY: the caller promises a NUL-terminated text, or NULL.
        let name = unsafe { string(name, "name") }?;
        Ok(request.header(name).map_or(0, |value| out.put(value.as_bytes())))
    })
}
