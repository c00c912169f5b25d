//! Wraps a C callback and its user_data in a closure for the safe API.
//!
//! The safety of each call rests on what the header requires: a callback may be called with its
//! user_data, on the polling thread and on the socket's worker thread, until it is replaced and a call
//! in progress has returned; and it does not unwind.

use std::ffi::c_void;
use std::sync::Arc;

use super::args::UserData;
use super::callback_types::*;
use super::error::with_error;
use super::event::with_segment;
use super::message::fw_frame;
use super::request::fw_request;
use super::text::{address, terminated};
use crate::client::{
    Frame, OnBytes, OnClosed, OnError, OnFrame, OnReconnecting, OnRequest, OnSegment, OnSent, OnSocket,
    OnText, Outcome, Request, Segment, Socket,
};
use crate::error::Error;

pub(super) fn open(callback: fw_open_fn, user_data: *mut c_void) -> Option<Arc<OnSocket>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    // SAFETY: as required above.
    Some(Arc::new(move |socket: &Socket| unsafe { callback(socket.into(), user_data.get()) }))
}

pub(super) fn text(callback: fw_text_fn, user_data: *mut c_void) -> Option<Arc<OnText>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, text: &str| {
        crate::fault::point("ffi.callback");
        let data = address(text.as_bytes()).cast();
        // SAFETY: as required above.
        unsafe { callback(socket.into(), data, text.len(), user_data.get()) }
    }))
}

pub(super) fn text_segment(callback: fw_text_segment_fn, user_data: *mut c_void) -> Option<Arc<OnSegment>> {
    segment(callback, user_data)
}

pub(super) fn binary(callback: fw_binary_fn, user_data: *mut c_void) -> Option<Arc<OnBytes>> {
    bytes(callback, user_data)
}

pub(super) fn binary_no_alloc(
    callback: fw_binary_no_alloc_fn,
    user_data: *mut c_void,
) -> Option<Arc<OnSegment>> {
    segment(callback, user_data)
}

pub(super) fn incomplete_frame(
    callback: fw_incomplete_frame_fn,
    user_data: *mut c_void,
) -> Option<Arc<OnFrame>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, frame: &Frame| {
        with_segment(socket, &frame.payload, |payload| {
            let frame = fw_frame {
                opcode: frame.opcode.into(),
                is_first: frame.is_first.into(),
                is_final: frame.is_final.into(),
                payload,
                reserved: [0; 2],
            };
            // SAFETY: as required above.
            unsafe { callback(socket.into(), &frame, user_data.get()) }
        });
    }))
}

pub(super) fn internal_request_created(
    callback: fw_request_fn,
    user_data: *mut c_void,
) -> Option<Arc<OnRequest>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, request: &Request| {
        let request = fw_request { id: request.id() };
        // SAFETY: as required above.
        unsafe { callback(socket.into(), request, user_data.get()) }
    }))
}

pub(super) fn pong(callback: fw_pong_fn, user_data: *mut c_void) -> Option<Arc<OnBytes>> {
    bytes(callback, user_data)
}

pub(super) fn reconnecting(
    callback: fw_reconnecting_fn,
    user_data: *mut c_void,
) -> Option<Arc<OnReconnecting>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, error: &Error, attempt: u32, delay_ms: u32| {
        with_error(error, |error| {
            // SAFETY: as required above.
            unsafe { callback(socket.into(), error, attempt, delay_ms, user_data.get()) }
        });
    }))
}

pub(super) fn closed(callback: fw_closed_fn, user_data: *mut c_void) -> Option<Arc<OnClosed>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, code: u16, reason: &str| {
        let text = terminated(reason);
        let (data, len) = (text.as_ptr().cast(), reason.len());
        // SAFETY: as required above; the text is valid until the end of the block.
        unsafe { callback(socket.into(), code, data, len, user_data.get()) }
    }))
}

pub(super) fn error(callback: fw_error_fn, user_data: *mut c_void) -> Option<Arc<OnError>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, error: &Error| {
        // SAFETY: as required above.
        with_error(error, |error| unsafe { callback(socket.into(), error, user_data.get()) });
    }))
}

pub(super) fn sent(callback: fw_sent_fn, user_data: *mut c_void) -> Option<Arc<OnSent>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, tag: u64, outcome: Outcome| {
        // SAFETY: as required above.
        unsafe { callback(socket.into(), tag, outcome.into(), user_data.get()) }
    }))
}

/// For binary messages and pongs.
fn bytes(callback: fw_binary_fn, user_data: *mut c_void) -> Option<Arc<OnBytes>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, data: &[u8]| {
        // SAFETY: as required above.
        unsafe { callback(socket.into(), address(data), data.len(), user_data.get()) }
    }))
}

/// For text and binary messages as segments.
fn segment(callback: fw_binary_no_alloc_fn, user_data: *mut c_void) -> Option<Arc<OnSegment>> {
    let (callback, user_data) = (callback?, UserData::new(user_data));
    Some(Arc::new(move |socket: &Socket, payload: &Segment| {
        // SAFETY: as required above.
        with_segment(socket, payload, |segment| unsafe {
            callback(socket.into(), &segment, user_data.get())
        });
    }))
}
