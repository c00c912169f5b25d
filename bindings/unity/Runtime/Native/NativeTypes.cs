using System;
using System.Runtime.InteropServices;

// The types of framewire.h, with the same names so that a test can compare them with the header. All are
// blittable: numbers and pointers, no bool, no string, no delegate. Functions that take callbacks are not
// declared, because native code never calls managed code.

namespace Framewire.Native
{
    internal enum fw_result : uint
    {
        FW_RESULT_OK = 0,
        FW_RESULT_INVALID_ARGUMENT = 1,
        FW_RESULT_INVALID_HANDLE = 2,
        FW_RESULT_INVALID_STATE = 3,
        FW_RESULT_INVALID_URL = 4,
        FW_RESULT_INVALID_UTF8 = 5,
        FW_RESULT_TOO_LARGE = 6,
        FW_RESULT_WOULD_BLOCK = 7,
        FW_RESULT_NOT_SUPPORTED = 8,
        FW_RESULT_OUT_OF_MEMORY = 9,
        FW_RESULT_TIMED_OUT = 10,
        FW_RESULT_SHUT_DOWN = 11,
        FW_RESULT_INTERNAL = 12,
    }

    internal enum fw_struct : uint
    {
        FW_STRUCT_CONFIG = 1,
        FW_STRUCT_ERROR = 2,
        FW_STRUCT_SEGMENT = 3,
        FW_STRUCT_FRAME = 4,
        FW_STRUCT_EVENT = 5,
        FW_STRUCT_STATS = 6,
        FW_STRUCT_POOL_STATS = 7,
        FW_STRUCT_COMPRESSION = 8,
        FW_STRUCT_EXTENSION = 9,
        FW_STRUCT_RECONNECT = 10,
        FW_STRUCT_CALLBACKS = 11,
        FW_STRUCT_EXTENSION_FRAME = 12,
        FW_STRUCT_MESSAGE = 13,
        FW_STRUCT_LANE = 14,
        FW_STRUCT_LANE_STATS = 15,
        FW_STRUCT_LINK = 16,
        FW_STRUCT_CAPTURE = 17,
    }

    internal enum fw_capability : uint
    {
        FW_CAPABILITY_HEADERS = 1,
        FW_CAPABILITY_COOKIES = 2,
        FW_CAPABILITY_REDIRECTS = 4,
        FW_CAPABILITY_PROXY = 8,
        FW_CAPABILITY_TLS = 16,
        FW_CAPABILITY_TLS_SETTINGS = 32,
        FW_CAPABILITY_HTTP_VERSION = 64,
        FW_CAPABILITY_HTTP2 = 128,
        FW_CAPABILITY_COMPRESSION_SETTINGS = 256,
        FW_CAPABILITY_EXTENSIONS = 512,
        FW_CAPABILITY_FRAGMENTS = 1024,
        FW_CAPABILITY_PING = 2048,
        FW_CAPABILITY_CLOSE_CODES = 4096,
        FW_CAPABILITY_BACKPRESSURE = 8192,
        FW_CAPABILITY_WORKER_DISPATCH = 16384,
        FW_CAPABILITY_WAIT = 32768,
        FW_CAPABILITY_ANDROID = 65536,
        FW_CAPABILITY_LINK = 131072,
        FW_CAPABILITY_CAPTURE = 262144,
    }

    internal enum fw_log_level : uint
    {
        FW_LOG_OFF = 0,
        FW_LOG_ERROR = 1,
        FW_LOG_WARN = 2,
        FW_LOG_INFO = 3,
        FW_LOG_DEBUG = 4,
        FW_LOG_TRACE = 5,
    }

    internal enum fw_http : uint
    {
        FW_HTTP_AUTO = 0,
        FW_HTTP_1 = 1,
        FW_HTTP_2 = 2,
    }

    internal enum fw_send_flags : uint
    {
        FW_SEND_DEFAULT = 0,
        FW_SEND_UNCOMPRESSED = 1,
        FW_SEND_RSV3 = 0x10,
        FW_SEND_RSV2 = 0x20,
        FW_SEND_RSV1 = 0x40,
    }

    internal enum fw_opcode : uint
    {
        FW_OPCODE_NONE = 0,
        FW_OPCODE_TEXT = 1,
        FW_OPCODE_BINARY = 2,
    }

    internal enum fw_error_kind : uint
    {
        FW_ERROR_KIND_NONE = 0,
        FW_ERROR_KIND_RESOLVE = 1,
        FW_ERROR_KIND_REFUSED = 2,
        FW_ERROR_KIND_UNREACHABLE = 3,
        FW_ERROR_KIND_RESET = 4,
        FW_ERROR_KIND_TIMED_OUT = 5,
        FW_ERROR_KIND_TLS = 6,
        FW_ERROR_KIND_HTTP = 7,
        FW_ERROR_KIND_PROXY = 8,
        FW_ERROR_KIND_PROTOCOL = 9,
        FW_ERROR_KIND_UTF8 = 10,
        FW_ERROR_KIND_TOO_LARGE = 11,
        FW_ERROR_KIND_PING_TIMEOUT = 12,
        FW_ERROR_KIND_EXTENSION = 13,
        FW_ERROR_KIND_IO = 14,
        FW_ERROR_KIND_INTERNAL = 15,
    }

    internal enum fw_phase : uint
    {
        FW_PHASE_NONE = 0,
        FW_PHASE_RESOLVE = 1,
        FW_PHASE_CONNECT = 2,
        FW_PHASE_PROXY = 3,
        FW_PHASE_TLS = 4,
        FW_PHASE_UPGRADE = 5,
        FW_PHASE_OPEN = 6,
        FW_PHASE_CLOSING = 7,
    }

    internal enum fw_event_type : uint
    {
        FW_EVENT_NONE = 0,
        FW_EVENT_OPEN = 1,
        FW_EVENT_TEXT = 2,
        FW_EVENT_BINARY = 3,
        FW_EVENT_INCOMPLETE_FRAME = 4,
        FW_EVENT_REQUEST = 5,
        FW_EVENT_PONG = 6,
        FW_EVENT_RECONNECTING = 7,
        FW_EVENT_CLOSED = 8,
        FW_EVENT_ERROR = 9,
        FW_EVENT_SENT = 10,
        FW_EVENT_ENCODED = 11,
    }

    internal enum fw_outcome : uint
    {
        FW_OUTCOME_NONE = 0,
        FW_OUTCOME_SENT = 1,
        FW_OUTCOME_EXPIRED = 2,
        FW_OUTCOME_REPLACED = 3,
        FW_OUTCOME_LOST = 4,
    }

    internal enum fw_link_cut : uint
    {
        FW_LINK_CUT_NONE = 0,
        FW_LINK_CUT_STALL = 1,
        FW_LINK_CUT_HALF_OPEN = 2,
        FW_LINK_CUT_RESET = 3,
        FW_LINK_CUT_END = 4,
        FW_LINK_CUT_REFUSE = 5,
    }

    internal enum fw_roots : uint
    {
        FW_ROOTS_WEBPKI = 0,
        FW_ROOTS_PLATFORM = 1,
        FW_ROOTS_NONE = 2,
    }

    internal enum fw_state : uint
    {
        FW_STATE_CONNECTING = 0,
        FW_STATE_OPEN = 1,
        FW_STATE_CLOSING = 2,
        FW_STATE_CLOSED = 3,
        FW_STATE_UNKNOWN = 4,
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct fw_config
    {
        public uint struct_size;
        public uint worker_threads;
        // Function pointers, which this binding does not set.
        public void* alloc;
        public void* realloc;
        public void* free;
        public void* alloc_user_data;
        public void* thread_started;
        public void* thread_stopped;
        public void* thread_user_data;
        public UIntPtr event_queue_bytes;
        public uint ignore_network_changes;
        public uint reserved;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_socket
    {
        public ulong id;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_buffer
    {
        public ulong id;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_request
    {
        public ulong id;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_tls
    {
        public ulong id;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct fw_segment
    {
        public byte* data;
        public UIntPtr offset;
        public UIntPtr count;
        public fw_buffer buffer;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_frame
    {
        public fw_opcode opcode;
        public uint is_first;
        public uint is_final;
        public fw_segment payload;
        public ulong reserved0;
        public ulong reserved1;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct fw_error
    {
        public fw_error_kind kind;
        public fw_phase phase;
        public int os_code;
        public ushort http_status;
        public byte tls_alert;
        public uint retriable;
        public byte* message;
        public ulong reserved0;
        public ulong reserved1;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct fw_event
    {
        public fw_event_type type;
        public fw_socket socket;
        public void* user_data;
        public fw_segment payload;
        public fw_opcode opcode;
        public uint is_first;
        public uint is_final;
        public ushort close_code;
        public fw_error error;
        public fw_request request;
        public uint attempt;
        public uint delay_ms;
        public ulong tag;
        public fw_outcome outcome;
        public uint rsv;
        public ulong reserved0;
        public ulong reserved1;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct fw_message
    {
        public uint struct_size;
        public fw_opcode opcode;
        public uint flags;
        public uint lane;
        public uint ttl_ms;
        public uint reserved;
        public ulong key;
        public ulong tag;
        public void* data;
        public UIntPtr len;
        public fw_segment segment;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct fw_lane
    {
        public uint struct_size;
        public uint priority;
        public uint weight;
        public uint reserved;
        public UIntPtr max_bytes;

        internal static uint Size
        {
            get { return (uint)sizeof(fw_lane); }
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct fw_link
    {
        public uint struct_size;
        public uint seed;
        public uint out_delay_ms;
        public uint in_delay_ms;
        public uint out_jitter_ms;
        public uint in_jitter_ms;
        public uint jitter_max_ms;
        public uint out_bytes_per_s;
        public uint in_bytes_per_s;
        public uint burst_bytes;
        public uint stall_every_ms;
        public uint stall_ms;
        public fw_link_cut cut;

        internal static uint Size
        {
            get { return (uint)sizeof(fw_link); }
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct fw_capture
    {
        public uint struct_size;
        public uint include_secrets;
        public ulong max_file_bytes;

        internal static uint Size
        {
            get { return (uint)sizeof(fw_capture); }
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_lane_stats
    {
        public uint struct_size;
        public uint reserved;
        public ulong waiting_messages;
        public ulong waiting_bytes;
        public ulong oldest_us;
        public ulong queue_time_max_us;
        public ulong queue_time_total_us;
        public ulong begun;
        public ulong sent;
        public ulong expired;
        public ulong replaced;
        public ulong lost;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_pool_stats
    {
        public uint struct_size;
        public ulong blocks_in_use;
        public ulong bytes_in_use;
        public ulong blocks_free;
        public ulong bytes_free;
        public ulong leases;
        public ulong allocations;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_compression
    {
        public uint struct_size;
        public uint level;
        public uint client_no_context_takeover;
        public uint server_no_context_takeover;
        public uint client_max_window_bits;
        public uint server_max_window_bits;
        public UIntPtr min_size_to_compress;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_reconnect
    {
        public uint struct_size;
        public uint enabled;
        public uint min_delay_ms;
        public uint max_delay_ms;
        public uint max_attempts;
        public uint queue_sends;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct fw_stats
    {
        public uint struct_size;
        public ulong bytes_sent;
        public ulong bytes_received;
        public ulong messages_sent;
        public ulong messages_received;
        public ulong frames_sent;
        public ulong frames_received;
        public ulong pings_sent;
        public ulong pongs_received;
        public ulong reconnects;
        public ulong payload_bytes_before_compression;
        public ulong payload_bytes_after_compression;
        public ulong resolve_us;
        public ulong connect_us;
        public ulong tls_us;
        public ulong upgrade_us;
    }
}
