//! Struct sizes and field offsets are those that `tests/c/layout.c` asserts in C.

#![cfg(target_pointer_width = "64")]

use std::collections::BTreeSet;
use std::mem::{offset_of, size_of};

use crate::ffi::buffers::{fw_buffer, fw_pool_stats, fw_segment};
use crate::ffi::callback_set::fw_callbacks;
use crate::ffi::capture::fw_capture;
use crate::ffi::compression::fw_compression;
use crate::ffi::error::fw_error;
use crate::ffi::event_types::fw_event;
use crate::ffi::extension::{fw_extension, fw_extension_frame};
use crate::ffi::lanes::{fw_lane, fw_lane_stats, fw_message};
use crate::ffi::library::fw_config;
use crate::ffi::link::fw_link;
use crate::ffi::message::fw_frame;
use crate::ffi::reconnect::fw_reconnect;
use crate::ffi::request::fw_request;
use crate::ffi::socket::fw_socket;
use crate::ffi::state::fw_stats;
use crate::ffi::tls::fw_tls;

const IN_C: &str = include_str!("../../../tests/c/layout.c");

/// The lines that `layout.c` should contain for a struct.
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
fn sizes_and_offsets_in_c_match() {
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
            event_queue_bytes,
            ignore_network_changes,
            reserved
        }),
        lines!(fw_segment { data, offset, count, buffer }),
        lines!(fw_frame { opcode, is_first, is_final, payload, reserved }),
        lines!(fw_error { kind, phase, os_code, http_status, tls_alert, retriable, message, reserved }),
        lines!(fw_callbacks {
            struct_size,
            open,
            text,
            text_segment,
            binary,
            binary_no_alloc,
            incomplete_frame,
            internal_request_created,
            pong,
            reconnecting,
            closed,
            error,
            released,
            sent
        }),
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
            delay_ms,
            tag,
            outcome,
            reserved_32,
            reserved
        }),
        lines!(fw_message {
            struct_size,
            opcode,
            flags,
            lane,
            ttl_ms,
            reserved,
            key,
            tag,
            data,
            len,
            segment
        }),
        lines!(fw_lane { struct_size, priority, weight, reserved, max_bytes }),
        lines!(fw_link {
            struct_size,
            seed,
            out_delay_ms,
            in_delay_ms,
            out_jitter_ms,
            in_jitter_ms,
            jitter_max_ms,
            out_bytes_per_s,
            in_bytes_per_s,
            burst_bytes,
            stall_every_ms,
            stall_ms,
            cut
        }),
        lines!(fw_capture { struct_size, include_secrets, max_file_bytes }),
        lines!(fw_lane_stats {
            struct_size,
            reserved,
            waiting_messages,
            waiting_bytes,
            oldest_us,
            queue_time_max_us,
            queue_time_total_us,
            begun,
            sent,
            expired,
            replaced,
            lost
        }),
        lines!(fw_pool_stats {
            struct_size,
            blocks_in_use,
            bytes_in_use,
            blocks_free,
            bytes_free,
            leases,
            allocations
        }),
        lines!(fw_reconnect { struct_size, enabled, min_delay_ms, max_delay_ms, max_attempts, queue_sends }),
        lines!(fw_compression {
            struct_size,
            level,
            client_no_context_takeover,
            server_no_context_takeover,
            client_max_window_bits,
            server_max_window_bits,
            min_size_to_compress
        }),
        lines!(fw_extension_frame { opcode, is_first, is_final, rsv, reserved }),
        lines!(fw_extension {
            struct_size,
            rsv,
            add_negotiation,
            parse_negotiation,
            frame_header,
            encode,
            decode,
            destroy,
            user_data
        }),
        lines!(fw_stats {
            struct_size,
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
    ];
    let rust: BTreeSet<String> = handles.into_iter().chain(structs.concat()).collect();
    let c: BTreeSet<String> = IN_C
        .lines()
        .filter(|line| line.starts_with("SIZE(") || line.starts_with("FIELD("))
        .map(str::to_owned)
        .collect();
    assert_eq!(c, rust);
}
