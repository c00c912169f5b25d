//! Every function checks its handle first: stale and made-up handles give INVALID_HANDLE.

use std::ffi::c_char;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use crate::ffi::buffers::{fw_buffer, fw_segment};
use crate::ffi::callback_set::fw_socket_set_callbacks;
use crate::ffi::callbacks::*;
use crate::ffi::delivery::*;
use crate::ffi::event_types::*;
use crate::ffi::lanes::*;
use crate::ffi::request::*;
use crate::ffi::result::fw_result;
use crate::ffi::sending::*;
use crate::ffi::settings::*;
use crate::ffi::socket::*;
use crate::ffi::state::*;
use crate::ffi::tls::*;

const IDS: [u64; 4] = [0, 1, 0xdead_beef_dead_beef, u64::MAX];

/// A value that C can pass but Rust's type does not allow.
fn invalid_value<T>() -> MaybeUninit<T> {
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: in bounds.
    unsafe { value.as_mut_ptr().cast::<u8>().write_bytes(0x77, size_of::<T>()) };
    value
}

#[test]
fn invalid_socket_is_reported_before_other_invalid_arguments() {
    for id in IDS {
        let socket = fw_socket { id };
        let none = null_mut();
        let segment = fw_segment { data: null_mut(), offset: 9, count: 9, buffer: fw_buffer { id } };
        // SAFETY: NULL everywhere.
        let results = unsafe {
            [
                fw_socket_open(socket),
                fw_socket_close(socket, 5, null()),
                fw_socket_abort(socket),
                fw_socket_destroy(socket),
                fw_socket_set_finalizer(socket, None, none),
                fw_socket_set_user_data(socket, none),
                fw_socket_on_open(socket, None, none),
                fw_socket_on_text(socket, None, none),
                fw_socket_on_text_segment(socket, None, none),
                fw_socket_set_callbacks(socket, null(), none),
                fw_socket_on_binary(socket, None, none),
                fw_socket_on_binary_no_alloc(socket, None, none),
                fw_socket_on_incomplete_frame(socket, None, none),
                fw_socket_on_internal_request_created(socket, None, none),
                fw_socket_on_pong(socket, None, none),
                fw_socket_on_closed(socket, None, none),
                fw_socket_on_error(socket, None, none),
                fw_socket_set_dispatch(socket, invalid_value()),
                fw_socket_enable_event(socket, invalid_value(), invalid_value()),
                fw_socket_send_text(socket, null(), 1),
                fw_socket_send_binary(socket, null(), 1),
                fw_socket_send_text_segment(socket, segment),
                fw_socket_send_binary_segment(socket, segment),
                fw_socket_ping(socket, null(), 1000),
                fw_socket_set_max_buffered_amount(socket, 0),
                fw_socket_send(socket, null()),
                fw_socket_set_lanes(socket, null(), 100),
                fw_socket_lane_stats(socket, 9, null_mut()),
                fw_socket_on_sent(socket, None, none),
                fw_socket_set_origin(socket, null()),
                fw_socket_add_protocol(socket, null()),
                fw_socket_add_header(socket, null(), null()),
                fw_socket_set_basic_auth(socket, null(), null()),
                fw_socket_set_bearer_auth(socket, null()),
                fw_socket_set_max_fragment_size(socket, 0),
                fw_socket_set_max_message_size(socket, 0),
                fw_socket_set_start_ping_thread(socket, invalid_value()),
                fw_socket_set_ping_frequency(socket, 0),
                fw_socket_set_close_after_no_message(socket, 0),
                fw_socket_set_connect_timeout(socket, 0),
                fw_socket_set_close_timeout(socket, 0),
                fw_socket_set_tls(socket, fw_tls { id }),
                fw_socket_set_context(socket, null(), null()),
                fw_socket_stats(socket, null_mut()),
            ]
        };
        for (at, result) in results.iter().enumerate() {
            assert_eq!(*result, fw_result::FW_RESULT_INVALID_HANDLE, "call {at} with {id:#x}");
        }
    }
}

#[test]
fn getters_return_defaults_for_invalid_sockets() {
    for id in IDS {
        let socket = fw_socket { id };
        assert_eq!(fw_socket_state(socket), fw_state::FW_STATE_UNKNOWN);
        assert!(!fw_socket_is_open(socket));
        assert_eq!(fw_socket_latency_us(socket), -1);
        assert_eq!(fw_socket_last_message_received(socket), 0);
        assert_eq!(fw_socket_http_version(socket), 0);
        assert_eq!(fw_socket_response_status(socket), 0);
        assert_eq!(fw_socket_buffered_amount(socket), 0);
        assert_eq!(fw_socket_poll(socket, 0, 0), 0);
        assert!(fw_socket_user_data(socket).is_null());
        let mut event = invalid_value::<fw_event>();
        // SAFETY: `event` can be written.
        assert!(!unsafe { fw_socket_next_event(socket, event.as_mut_ptr()) });
        // SAFETY: always written.
        let mut event = unsafe { event.assume_init() };
        assert_eq!(event.r#type, fw_event_type::FW_EVENT_NONE);
        // SAFETY: an event, and NULL.
        unsafe {
            fw_event_release(&mut event);
            fw_event_release(null_mut());
        }
    }
}

#[test]
fn text_getters_return_empty_text_for_invalid_handles() {
    let socket = fw_socket { id: 3 };
    let request = fw_request { id: 3 };
    type TextGetter = unsafe extern "C" fn(fw_socket, *mut c_char, usize) -> usize;
    let getters: [TextGetter; 5] = [
        fw_socket_protocol,
        fw_socket_extensions,
        fw_socket_response_headers,
        fw_socket_response_body,
        fw_socket_url,
    ];
    for getter in getters {
        let mut buf = [0x55 as c_char; 4];
        // SAFETY: four bytes.
        assert_eq!(unsafe { getter(socket, buf.as_mut_ptr(), 4) }, 0);
        assert_eq!(buf, [0, 0x55, 0x55, 0x55]);
        // SAFETY: NULL.
        assert_eq!(unsafe { getter(socket, null_mut(), 0) }, 0);
    }
    let mut buf = [0x55 as c_char; 4];
    // SAFETY: four bytes.
    unsafe {
        assert_eq!(fw_socket_response_header(socket, null(), buf.as_mut_ptr(), 4), 0);
        assert_eq!(fw_request_url(request, buf.as_mut_ptr(), 4), 0);
        assert_eq!(fw_request_header(request, null(), buf.as_mut_ptr(), 4), 0);
    }
    assert_eq!(buf[0], 0);
}

#[test]
fn invalid_requests_and_tls_settings_are_refused() {
    for id in IDS {
        let (request, tls) = (fw_request { id }, fw_tls { id });
        assert_eq!((fw_request_http_version(request), fw_request_attempt(request)), (0, 0));
        // SAFETY: NULL everywhere.
        let results = unsafe {
            [
                fw_request_set_header(request, null(), null()),
                fw_request_add_header(request, null(), null()),
                fw_request_remove_header(request, null()),
                fw_tls_add_ca_pem(tls, null(), 1),
                fw_tls_set_client_cert_pem(tls, null(), 1, null(), 1),
                fw_tls_add_pin_sha256(tls, null()),
                fw_tls_set_roots(tls, invalid_value()),
                fw_tls_set_insecure(tls, invalid_value()),
                fw_tls_set_key_log(tls, invalid_value()),
                fw_tls_destroy(tls),
            ]
        };
        assert_eq!(results, [fw_result::FW_RESULT_INVALID_HANDLE; 10]);
    }
}

#[test]
fn create_needs_a_valid_url_and_an_out_pointer() {
    let mut socket = fw_socket::default();
    // SAFETY: NUL-terminated strings or NULL, and valid out-pointers or NULL.
    unsafe {
        let no_out = fw_socket_create(c"ws://localhost".as_ptr(), null_mut());
        assert_eq!(no_out, fw_result::FW_RESULT_INVALID_ARGUMENT);
        assert_eq!(fw_socket_create(null(), &mut socket), fw_result::FW_RESULT_INVALID_ARGUMENT);
        assert_eq!(fw_socket_create(c"ws://\xff".as_ptr(), &mut socket), fw_result::FW_RESULT_INVALID_URL);
        assert_eq!(fw_tls_create(null_mut()), fw_result::FW_RESULT_INVALID_ARGUMENT);
    }
    assert_eq!(socket, fw_socket::default(), "a failed call writes nothing");
}
