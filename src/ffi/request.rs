//! Changes an upgrade request before it is sent.

use std::ffi::c_char;

use super::guard::{guard, guard_or};
use super::result::fw_result;
use super::text::{TextOut, string};
use crate::client::Request;
use crate::error::CallError;

/// An upgrade request that has not been sent yet.
///
/// A handle, valid until the callback returns or the event is released. Using it afterwards is
/// safe: the call returns INVALID_HANDLE.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct fw_request {
    /// 0 is never valid.
    pub id: u64,
}

impl fw_request {
    fn get(self) -> Result<Request, CallError> {
        Request::from_id(self.id)
    }
}

/// Copies out the URL of the request, without user and password.
///
/// \param request The request.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The full length without the NUL; 0 for an invalid handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_url(request: fw_request, buf: *mut c_char, cap: usize) -> usize {
    guard_or(0, || {
        // SAFETY: the caller promises that cap bytes can be written there.
        let out = unsafe { TextOut::new(buf, cap) };
        let request = request.get()?;
        Ok(out.put(request.url().as_bytes()))
    })
}

/// Returns the HTTP version of the request.
///
/// \returns 1 or 2; 0 for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_request_http_version(request: fw_request) -> u32 {
    guard_or(0, || Ok(request.get()?.http_version()))
}

/// Returns the number of the upgrade request since fw_socket_open, from 1.
///
/// Redirects, reconnects and the fallback to HTTP/1.1 count. It is not the attempt of the event
/// reconnecting, which starts again after each success.
///
/// \returns The number; 0 for an invalid handle.
#[unsafe(no_mangle)]
pub extern "C" fn fw_request_attempt(request: fw_request) -> u32 {
    guard_or(0, || Ok(request.get()?.attempt()))
}

/// Sets a header field of the request; replaces all fields of that name.
///
/// \param request The request.
/// \param name NUL-terminated token, not one that fw_socket_add_header refuses; copied.
/// \param value NUL-terminated visible ASCII, with spaces and tabs inside; copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, invalid name or value, a refused
///   name, more than 64 fields, or 32 KiB of names and values in total).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_set_header(
    request: fw_request,
    name: *const c_char,
    value: *const c_char,
) -> fw_result {
    guard(|| {
        let request = request.get()?;
        // SAFETY: the caller promises a NUL-terminated string, or NULL.
        let name = unsafe { string(name, "name") }?;
        // SAFETY: the caller promises a NUL-terminated string, or NULL.
        let value = unsafe { string(value, "value") }?;
        request.set_header(name, value)
    })
}

/// Adds a header field to the request.
///
/// A name that is already present is sent twice, except Authorization, Origin and User-Agent, which
/// are replaced.
///
/// \param request The request.
/// \param name NUL-terminated token, not one that fw_socket_add_header refuses; copied.
/// \param value NUL-terminated visible ASCII, with spaces and tabs inside; copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, invalid name or value, a refused
///   name, more than 64 fields, or 32 KiB of names and values in total).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_add_header(
    request: fw_request,
    name: *const c_char,
    value: *const c_char,
) -> fw_result {
    guard(|| {
        let request = request.get()?;
        // SAFETY: the caller promises a NUL-terminated string, or NULL.
        let name = unsafe { string(name, "name") }?;
        // SAFETY: the caller promises a NUL-terminated string, or NULL.
        let value = unsafe { string(value, "value") }?;
        request.add_header(name, value)
    })
}

/// Removes all header fields of a name from the request; none is not an error.
///
/// \param request The request.
/// \param name NUL-terminated token, case-insensitive, not one that the handshake sets, such as
///   Host or Upgrade.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a token, set by the handshake).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fw_request_remove_header(request: fw_request, name: *const c_char) -> fw_result {
    guard(|| {
        let request = request.get()?;
        // SAFETY: the caller promises a NUL-terminated string, or NULL.
        let name = unsafe { string(name, "name") }?;
        request.remove_header(name)
    })
}

/// Copies out a header field of the request: the first of that name that can be changed.
///
/// \param request The request.
/// \param name NUL-terminated, case-insensitive.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The full length without the NUL; 0 if there is no such field, for NULL as name and for
///   an invalid handle.
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
        // SAFETY: the caller promises a NUL-terminated string, or NULL.
        let name = unsafe { string(name, "name") }?;
        Ok(request.header(name).map_or(0, |value| out.put(value.as_bytes())))
    })
}
