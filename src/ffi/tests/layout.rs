//! The numbers that C asserts in `tests/c/layout.c` are what the library was compiled to.

#![cfg(target_pointer_width = "64")]

use std::collections::BTreeSet;
use std::mem::{offset_of, size_of};

use crate::ffi::buffers::{fw_buffer, fw_pool_stats, fw_segment};
use crate::ffi::callbacks::fw_frame;
use crate::ffi::delivery::fw_event;
use crate::ffi::error::fw_error;
use crate::ffi::library::fw_config;
use crate::ffi::request::fw_request;
use crate::ffi::socket::fw_socket;
use crate::ffi::state::fw_stats;
use crate::ffi::tls::fw_tls;

const IN_C: &str = include_str!("../../../tests/c/layout.c");

/// The lines that C should have for a struct.
macro_rules! lines {
    ($type:ident { $($field:ident),* }) => {{
        // Fails to compile when a field is not listed.
        #[allow(unused)]
        fn all_fields($type { $($field: _),* }: $type) {}
        let mut lines = vec![format!("SIZE({}, {});", stringify!($type), size_of::<$type>())];
        $(lines.push(format!(
            "FIELD({}, {}, {});",
            stringify!($type),
            stringify!($field).trim_start_matches("r#"),
            offset_of!($type, $field)
        ));)*
        lines
    }};
}

#[test]
fn c_and_rust_agree_on_every_size_and_offset() {
    let handles = [
        format!("SIZE(fw_socket, {});", size_of::<fw_socket>()),
        format!("SIZE(fw_tls, {});", size_of::<fw_tls>()),
        format!("SIZE(fw_request, {});", size_of::<fw_request>()),
        format!("SIZE(fw_buffer, {});", size_of::<fw_buffer>()),
    ];
    let structs = [
        lines!(fw_config {
            struct_size,
            worker_threads,
            alloc,
            realloc,
            free,
            alloc_user_data,
            thread_started,
            thread_stopped,
            thread_user_data,
            event_queue_bytes
        }),
        lines!(fw_segment { data, offset, count, buffer }),
        lines!(fw_frame { opcode, is_first, is_final, payload }),
        lines!(fw_error { kind, phase, os_code, http_status, tls_alert, retriable, message }),
        lines!(fw_event {
            r#type,
            socket,
            user_data,
            payload,
            opcode,
            is_first,
            is_final,
            close_code,
            error,
            request,
            attempt,
            delay_ms
        }),
        lines!(fw_stats {
            bytes_sent,
            bytes_received,
            messages_sent,
            messages_received,
            frames_sent,
            frames_received,
            pings_sent,
            pongs_received,
            reconnects,
            payload_bytes_before_compression,
            payload_bytes_after_compression,
            resolve_us,
            connect_us,
            tls_us,
            upgrade_us
        }),
        lines!(fw_pool_stats { blocks_in_use, bytes_in_use, blocks_free, bytes_free, leases, allocations }),
    ];
    let rust: BTreeSet<String> = handles.into_iter().chain(structs.concat()).collect();
    let c: BTreeSet<String> = IN_C
        .lines()
        .filter(|line| line.starts_with("SIZE(") || line.starts_with("FIELD("))
        .map(str::to_owned)
        .collect();
    assert_eq!(c, rust);
}
