/*
 * The layout of the structs in framewire.h on 64-bit targets, which bindings in other languages rely on.
 * A Rust test compares these lines with the compiled library.
 *
 * Compiling it checks the header, running it checks the library it is linked with.
 */

#include "framewire.h"

#include <stdio.h>

#if UINTPTR_MAX == 0xffffffffffffffff

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define FIELD(type, field, at) _Static_assert(offsetof(type, field) == (at), #type "." #field)

SIZE(fw_socket, 8);
SIZE(fw_tls, 8);
SIZE(fw_request, 8);
SIZE(fw_buffer, 8);

SIZE(fw_config, 80);
FIELD(fw_config, struct_size, 0);
FIELD(fw_config, worker_threads, 4);
FIELD(fw_config, alloc, 8);
FIELD(fw_config, realloc, 16);
FIELD(fw_config, free, 24);
FIELD(fw_config, alloc_user_data, 32);
FIELD(fw_config, thread_started, 40);
FIELD(fw_config, thread_stopped, 48);
FIELD(fw_config, thread_user_data, 56);
FIELD(fw_config, event_queue_bytes, 64);
FIELD(fw_config, ignore_network_changes, 72);
FIELD(fw_config, reserved, 76);

SIZE(fw_segment, 32);
FIELD(fw_segment, data, 0);
FIELD(fw_segment, offset, 8);
FIELD(fw_segment, count, 16);
FIELD(fw_segment, buffer, 24);

SIZE(fw_frame, 64);
FIELD(fw_frame, opcode, 0);
FIELD(fw_frame, is_first, 4);
FIELD(fw_frame, is_final, 8);
FIELD(fw_frame, payload, 16);
FIELD(fw_frame, reserved, 48);

SIZE(fw_error, 48);
FIELD(fw_error, kind, 0);
FIELD(fw_error, phase, 4);
FIELD(fw_error, os_code, 8);
FIELD(fw_error, http_status, 12);
FIELD(fw_error, tls_alert, 14);
FIELD(fw_error, retriable, 16);
FIELD(fw_error, message, 24);
FIELD(fw_error, reserved, 32);

SIZE(fw_callbacks, 112);
FIELD(fw_callbacks, struct_size, 0);
FIELD(fw_callbacks, open, 8);
FIELD(fw_callbacks, text, 16);
FIELD(fw_callbacks, text_segment, 24);
FIELD(fw_callbacks, binary, 32);
FIELD(fw_callbacks, binary_no_alloc, 40);
FIELD(fw_callbacks, incomplete_frame, 48);
FIELD(fw_callbacks, internal_request_created, 56);
FIELD(fw_callbacks, pong, 64);
FIELD(fw_callbacks, reconnecting, 72);
FIELD(fw_callbacks, closed, 80);
FIELD(fw_callbacks, error, 88);
FIELD(fw_callbacks, released, 96);
FIELD(fw_callbacks, sent, 104);

SIZE(fw_message, 88);
FIELD(fw_message, struct_size, 0);
FIELD(fw_message, opcode, 4);
FIELD(fw_message, flags, 8);
FIELD(fw_message, lane, 12);
FIELD(fw_message, ttl_ms, 16);
FIELD(fw_message, reserved, 20);
FIELD(fw_message, key, 24);
FIELD(fw_message, tag, 32);
FIELD(fw_message, data, 40);
FIELD(fw_message, len, 48);
FIELD(fw_message, segment, 56);

SIZE(fw_lane, 24);
FIELD(fw_lane, struct_size, 0);
FIELD(fw_lane, priority, 4);
FIELD(fw_lane, weight, 8);
FIELD(fw_lane, reserved, 12);
FIELD(fw_lane, max_bytes, 16);

SIZE(fw_link, 52);
FIELD(fw_link, struct_size, 0);
FIELD(fw_link, seed, 4);
FIELD(fw_link, out_delay_ms, 8);
FIELD(fw_link, in_delay_ms, 12);
FIELD(fw_link, out_jitter_ms, 16);
FIELD(fw_link, in_jitter_ms, 20);
FIELD(fw_link, jitter_max_ms, 24);
FIELD(fw_link, out_bytes_per_s, 28);
FIELD(fw_link, in_bytes_per_s, 32);
FIELD(fw_link, burst_bytes, 36);
FIELD(fw_link, stall_every_ms, 40);
FIELD(fw_link, stall_ms, 44);
FIELD(fw_link, cut, 48);

SIZE(fw_capture, 16);
FIELD(fw_capture, struct_size, 0);
FIELD(fw_capture, include_secrets, 4);
FIELD(fw_capture, max_file_bytes, 8);

SIZE(fw_lane_stats, 88);
FIELD(fw_lane_stats, struct_size, 0);
FIELD(fw_lane_stats, reserved, 4);
FIELD(fw_lane_stats, waiting_messages, 8);
FIELD(fw_lane_stats, waiting_bytes, 16);
FIELD(fw_lane_stats, oldest_us, 24);
FIELD(fw_lane_stats, queue_time_max_us, 32);
FIELD(fw_lane_stats, queue_time_total_us, 40);
FIELD(fw_lane_stats, begun, 48);
FIELD(fw_lane_stats, sent, 56);
FIELD(fw_lane_stats, expired, 64);
FIELD(fw_lane_stats, replaced, 72);
FIELD(fw_lane_stats, lost, 80);

SIZE(fw_event, 168);
FIELD(fw_event, type, 0);
FIELD(fw_event, socket, 8);
FIELD(fw_event, user_data, 16);
FIELD(fw_event, payload, 24);
FIELD(fw_event, opcode, 56);
FIELD(fw_event, is_first, 60);
FIELD(fw_event, is_final, 64);
FIELD(fw_event, close_code, 68);
FIELD(fw_event, error, 72);
FIELD(fw_event, request, 120);
FIELD(fw_event, attempt, 128);
FIELD(fw_event, delay_ms, 132);
FIELD(fw_event, tag, 136);
FIELD(fw_event, outcome, 144);
FIELD(fw_event, reserved_32, 148);
FIELD(fw_event, reserved, 152);

SIZE(fw_pool_stats, 56);
FIELD(fw_pool_stats, struct_size, 0);
FIELD(fw_pool_stats, blocks_in_use, 8);
FIELD(fw_pool_stats, bytes_in_use, 16);
FIELD(fw_pool_stats, blocks_free, 24);
FIELD(fw_pool_stats, bytes_free, 32);
FIELD(fw_pool_stats, leases, 40);
FIELD(fw_pool_stats, allocations, 48);

SIZE(fw_reconnect, 24);
FIELD(fw_reconnect, struct_size, 0);
FIELD(fw_reconnect, enabled, 4);
FIELD(fw_reconnect, min_delay_ms, 8);
FIELD(fw_reconnect, max_delay_ms, 12);
FIELD(fw_reconnect, max_attempts, 16);
FIELD(fw_reconnect, queue_sends, 20);

SIZE(fw_compression, 32);
FIELD(fw_compression, struct_size, 0);
FIELD(fw_compression, level, 4);
FIELD(fw_compression, client_no_context_takeover, 8);
FIELD(fw_compression, server_no_context_takeover, 12);
FIELD(fw_compression, client_max_window_bits, 16);
FIELD(fw_compression, server_max_window_bits, 20);
FIELD(fw_compression, min_size_to_compress, 24);

SIZE(fw_extension_frame, 32);
FIELD(fw_extension_frame, opcode, 0);
FIELD(fw_extension_frame, is_first, 4);
FIELD(fw_extension_frame, is_final, 8);
FIELD(fw_extension_frame, rsv, 12);
FIELD(fw_extension_frame, reserved, 16);

SIZE(fw_extension, 64);
FIELD(fw_extension, struct_size, 0);
FIELD(fw_extension, rsv, 4);
FIELD(fw_extension, add_negotiation, 8);
FIELD(fw_extension, parse_negotiation, 16);
FIELD(fw_extension, frame_header, 24);
FIELD(fw_extension, encode, 32);
FIELD(fw_extension, decode, 40);
FIELD(fw_extension, destroy, 48);
FIELD(fw_extension, user_data, 56);

SIZE(fw_stats, 128);
FIELD(fw_stats, struct_size, 0);
FIELD(fw_stats, bytes_sent, 8);
FIELD(fw_stats, bytes_received, 16);
FIELD(fw_stats, messages_sent, 24);
FIELD(fw_stats, messages_received, 32);
FIELD(fw_stats, frames_sent, 40);
FIELD(fw_stats, frames_received, 48);
FIELD(fw_stats, pings_sent, 56);
FIELD(fw_stats, pongs_received, 64);
FIELD(fw_stats, reconnects, 72);
FIELD(fw_stats, payload_bytes_before_compression, 80);
FIELD(fw_stats, payload_bytes_after_compression, 88);
FIELD(fw_stats, resolve_us, 96);
FIELD(fw_stats, connect_us, 104);
FIELD(fw_stats, tls_us, 112);
FIELD(fw_stats, upgrade_us, 120);

#endif

_Static_assert(sizeof(fw_result) == 4, "enumerations are 32 bits wide");
_Static_assert(sizeof(fw_event_type) == 4, "enumerations are 32 bits wide");
_Static_assert(sizeof(bool) == 1, "bool is a byte");

static int differs(const char *name, fw_struct which, size_t here)
{
    size_t there = fw_sizeof(which);
    if (here != there) {
        printf("%s: %zu bytes in the header, %zu in the library\n", name, here, there);
    }
    return here != there;
}

int main(void)
{
    int wrong = 0;
    wrong += differs("fw_config", FW_STRUCT_CONFIG, sizeof(fw_config));
    wrong += differs("fw_error", FW_STRUCT_ERROR, sizeof(fw_error));
    wrong += differs("fw_segment", FW_STRUCT_SEGMENT, sizeof(fw_segment));
    wrong += differs("fw_frame", FW_STRUCT_FRAME, sizeof(fw_frame));
    wrong += differs("fw_event", FW_STRUCT_EVENT, sizeof(fw_event));
    wrong += differs("fw_stats", FW_STRUCT_STATS, sizeof(fw_stats));
    wrong += differs("fw_pool_stats", FW_STRUCT_POOL_STATS, sizeof(fw_pool_stats));
    wrong += differs("fw_compression", FW_STRUCT_COMPRESSION, sizeof(fw_compression));
    wrong += differs("fw_reconnect", FW_STRUCT_RECONNECT, sizeof(fw_reconnect));
    wrong += differs("fw_extension", FW_STRUCT_EXTENSION, sizeof(fw_extension));
    wrong += differs("fw_callbacks", FW_STRUCT_CALLBACKS, sizeof(fw_callbacks));
    wrong += differs("fw_extension_frame", FW_STRUCT_EXTENSION_FRAME, sizeof(fw_extension_frame));
    wrong += differs("fw_link", FW_STRUCT_LINK, sizeof(fw_link));
    wrong += differs("fw_capture", FW_STRUCT_CAPTURE, sizeof(fw_capture));
    if (fw_version() != FW_VERSION) {
        printf("the version of the header differs from the library's, %s\n", fw_version_string());
        wrong += 1;
    }
    return wrong == 0 ? 0 : 1;
}
