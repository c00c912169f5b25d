/**
 * \file framewire.h
 * \brief Framewire: a WebSocket client for game engines.
 *
 * Generated from the source of the library; do not edit. SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * ## Overview
 *
 * fw_socket_create creates a socket, fw_socket_on_text and similar functions register callbacks,
 * fw_socket_open connects in the background, fw_poll once per frame runs the callbacks of queued
 * events, fw_socket_send_text sends, fw_socket_close closes, fw_socket_destroy destroys the socket,
 * fw_shutdown stops the library.
 *
 * ## Defaults
 *
 * Unless its comment says otherwise, a function
 * - may be called on any thread and inside any callback;
 * - runs no callbacks and does not block (only fw_wait and fw_shutdown block);
 * - exists since version 0.1.0.
 *
 * ## Delivery
 *
 * Three modes, chosen per socket:
 *
 *     poll    (default) Callbacks run inside fw_poll and fw_socket_poll, on the calling thread,
 *             within the given budget.
 *     worker  fw_socket_set_dispatch: callbacks run on a worker thread of the library, immediately.
 *     pull    fw_next_event and fw_next_events take events from the queue of poll mode, without
 *             callbacks.
 *
 * The events of a socket are delivered in order, one at a time. Every fw_socket_open that returned
 * OK results in exactly one terminal event, closed or error, after all messages received before it;
 * only fw_socket_destroy and fw_shutdown suppress it. The finalizer runs exactly once, after the
 * last callback, at the latest before fw_shutdown returns. After a protocol violation nothing more
 * is read, but the socket stays open until the messages received before it are delivered, at most
 * for the close timeout, so that replies to them are still sent.
 *
 * All functions are thread-safe. A callback may call any function, including fw_socket_destroy of
 * its own socket, except fw_shutdown, which returns INVALID_STATE in every function given to the
 * library. None of them may throw or longjmp. The log callback and the functions of fw_config run
 * on any thread.
 *
 * ## Return values
 *
 * The comments name results without FW_RESULT_. Any function may also return INTERNAL (an internal
 * error, which is logged). If the handle and another argument are invalid, the result is
 * INVALID_HANDLE. A failed call has no effect, except that a segment passed to a send function is
 * always consumed. fw_last_error describes the last failure of the calling thread. Functions that
 * return a value instead of an fw_result return 0, NULL or false for an invalid handle unless
 * documented otherwise.
 *
 * ## Ownership
 *
 * Handles are numbers and can be copied. Using a stale handle is safe: the call returns
 * INVALID_HANDLE. Strings passed in are copied; payloads are copied or borrowed for the duration of
 * the call. Data passed to a callback is read-only and valid until the callback returns; data in an
 * event until fw_event_release. fw_segment_retain keeps a payload longer, without a copy, until
 * fw_segment_release, even after fw_shutdown. Never free a returned pointer. Functions that copy
 * text into a buffer write at most cap bytes, NUL-terminated if cap > 0, without a partial
 * character at the end, and return the full length without the NUL; the buffer may be NULL if cap
 * is 0.
 *
 * ## Structs that grow
 *
 * Structs that begin with struct_size may have more fields in other versions. Initialize them with
 * fw_X_init(&x, sizeof x), which writes the defaults into at most struct_size bytes, then change
 * fields. Programs and libraries of different versions work together: neither reads or writes
 * beyond the smaller size, fields that only the library knows have their defaults, and fields that
 * only the program knows must be zero, else NOT_SUPPORTED; so a program that may run with an older
 * library zeroes the struct first. A struct_size that ends within a field, before the first one or
 * beyond 4096 bytes is INVALID_ARGUMENT. fw_event, fw_error, fw_frame and fw_extension_frame keep
 * their size and have reserved words, which are zero. Handles and fw_segment never change.
 *
 * ## Browsers
 *
 * The build for emscripten uses the WebSocket of the browser. It has no threads: connections
 * advance, and events are queued, inside fw_poll, fw_next_event, fw_pending, fw_socket_state and
 * their variants; fw_wait and fw_shutdown do not wait. fw_capabilities returns what a build can do;
 * the comment of each function says what differs in browsers. There are no requests and no TLS
 * settings, so that functions for those return INVALID_HANDLE. The server cannot be made to wait:
 * when the unread messages of a socket reach 16 times the size of its event queue, or 65536
 * messages, the connection ends with an error.
 *
 * ## Memory
 *
 * When allocation fails, functions that allocate payloads (fw_buffer_get and the send functions)
 * and functions that create handles return OUT_OF_MEMORY and have no effect. A
 * connection that cannot allocate its receive buffer ends with an error event. Any other allocation
 * failure aborts the process ("memory allocation of N bytes failed" on standard error).
 *
 * ## Caller requirements (not checked)
 *
 * A pointer that is not NULL points to valid memory: as many bytes as the length next to it says, a
 * NUL-terminated string, or a struct of the given type with at least struct_size bytes. It stays
 * valid until the call returns, and no other thread writes to it meanwhile. Callbacks and their
 * user_data stay valid until the socket's finalizer has run; those of fw_config until fw_shutdown
 * has returned OK, but alloc, realloc and free as fw_config says; that of fw_set_log until it is
 * replaced or removed. Data of a callback or an event is not read after its end.
 * Everything else is checked: handles and numbers of any value, events and segments that are made
 * up, copied or released twice.
 *
 * ## Limits and defaults
 *
 *     received message      64 MiB    fw_socket_set_max_message_size
 *     sent message           1 GiB
 *     sent fragment      32767 bytes  fw_socket_set_max_fragment_size
 *     send queue            64 MiB    fw_socket_set_max_buffered_amount; full: WOULD_BLOCK
 *     event queue            4 MiB    fw_config.event_queue_bytes, per socket; full: stops reading
 *     connect timeout    20000 ms     fw_socket_set_connect_timeout
 *     close timeout       5000 ms     fw_socket_set_close_timeout
 *     keepalive pings      off        fw_socket_set_start_ping_thread; interval 1 s, timeout 2 s
 *     ping payload         125 bytes
 *     close reason         123 bytes
 */


#ifndef FRAMEWIRE_H
#define FRAMEWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Major version of this header; fw_version returns the version of the library.
#define FW_VERSION_MAJOR 0
/// Minor version of this header.
#define FW_VERSION_MINOR 2
/// Patch version of this header.
#define FW_VERSION_PATCH 0
/// Version of this header, comparable with fw_version.
#define FW_VERSION (FW_VERSION_MAJOR << 16 | FW_VERSION_MINOR << 8 | FW_VERSION_PATCH)
/// Version of this header as text.
#define FW_VERSION_STRING "0.2.0"

#ifndef FW_API
#if defined(_WIN32) && defined(FW_SHARED)
#define FW_API __declspec(dllimport)
#else
/// Precedes every function. Define FW_SHARED on Windows if the library is linked as a DLL.
#define FW_API
#endif
#endif

#ifndef FW_CALL
#if defined(_WIN32) && (defined(_M_IX86) || defined(__i386__))
#define FW_CALL __cdecl
#else
/// Calling convention of callbacks: needed in definitions for 32-bit Windows if the compiler's
/// default differs.
#define FW_CALL
#endif
#endif

#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
#define FW_ENUM : uint32_t
#define FW_ENUM_TYPE(name) typedef enum name name
#else
/// Makes an enum 32 bits wide where the language allows it.
#define FW_ENUM
/// Declares the type of an enum; without FW_ENUM it is uint32_t.
#define FW_ENUM_TYPE(name) typedef uint32_t name
#endif


/// The result of a call.
///
/// A call that does not return FW_RESULT_OK has no effect; fw_last_error describes the failure. New
/// results may be added; numbers are never reused.
enum fw_result FW_ENUM {
    FW_RESULT_OK = 0,               ///< Success.
    FW_RESULT_INVALID_ARGUMENT = 1, ///< An argument is NULL, out of range or malformed.
    FW_RESULT_INVALID_HANDLE = 2,   ///< The handle is zero, made up, destroyed or released.
    FW_RESULT_INVALID_STATE = 3,    ///< The state of the socket or library does not allow the call.
    FW_RESULT_INVALID_URL = 4,      ///< Malformed URL or other scheme; fw_last_error says why.
    FW_RESULT_INVALID_UTF8 = 5,     ///< A text message is not valid UTF-8.
    FW_RESULT_TOO_LARGE = 6,        ///< Larger than the protocol or a limit allows.
    FW_RESULT_WOULD_BLOCK = 7,      ///< The send queue is full. Nothing was queued; retry later.
    FW_RESULT_NOT_SUPPORTED = 8,    ///< This build of the library does not support it.
    FW_RESULT_OUT_OF_MEMORY = 9,    ///< Memory allocation failed.
    FW_RESULT_TIMED_OUT = 10,       ///< The timeout expired.
    FW_RESULT_SHUT_DOWN = 11,       ///< The library is shutting down.
    FW_RESULT_INTERNAL = 12,        ///< Internal error, which was logged. The library stays usable.
};
FW_ENUM_TYPE(fw_result);

/// The structs of this header, for fw_sizeof.
enum fw_struct FW_ENUM {
    FW_STRUCT_CONFIG = 1,           ///< fw_config
    FW_STRUCT_ERROR = 2,            ///< fw_error
    FW_STRUCT_SEGMENT = 3,          ///< fw_segment
    FW_STRUCT_FRAME = 4,            ///< fw_frame
    FW_STRUCT_EVENT = 5,            ///< fw_event
    FW_STRUCT_STATS = 6,            ///< fw_stats
    FW_STRUCT_POOL_STATS = 7,       ///< fw_pool_stats
    FW_STRUCT_COMPRESSION = 8,      ///< fw_compression
    FW_STRUCT_EXTENSION = 9,        ///< fw_extension
    FW_STRUCT_RECONNECT = 10,       ///< fw_reconnect
    FW_STRUCT_CALLBACKS = 11,       ///< fw_callbacks
    FW_STRUCT_EXTENSION_FRAME = 12, ///< fw_extension_frame
    FW_STRUCT_MESSAGE = 13,         ///< fw_message
    FW_STRUCT_LANE = 14,            ///< fw_lane
    FW_STRUCT_LANE_STATS = 15,      ///< fw_lane_stats
    FW_STRUCT_LINK = 16,            ///< fw_link
    FW_STRUCT_CAPTURE = 17,         ///< fw_capture
};
FW_ENUM_TYPE(fw_struct);

/// A log level. Each level includes those above it in this list.
enum fw_log_level FW_ENUM {
    FW_LOG_OFF = 0,   ///< No logging.
    FW_LOG_ERROR = 1, ///< Internal errors and failed system calls.
    FW_LOG_WARN = 2,  ///< Possible misconfiguration, and lost data.
    FW_LOG_INFO = 3,  ///< Failed connections, with the reason.
    FW_LOG_DEBUG = 4, ///< Each step of connecting and closing.
    FW_LOG_TRACE = 5, ///< Everything.
};
FW_ENUM_TYPE(fw_log_level);

/// The kind of a connection error.
///
/// New kinds may be added; numbers are never reused.
enum fw_error_kind FW_ENUM {
    FW_ERROR_KIND_NONE = 0,          ///< Not an error.
    FW_ERROR_KIND_RESOLVE = 1,       ///< Name resolution failed, or the host has no address.
    FW_ERROR_KIND_REFUSED = 2,       ///< Connection refused.
    FW_ERROR_KIND_UNREACHABLE = 3,   ///< Host unreachable.
    FW_ERROR_KIND_RESET = 4,         ///< Reset, or ended without a closing handshake.
    FW_ERROR_KIND_TIMED_OUT = 5,     ///< Connect timeout, or a write stalled.
    FW_ERROR_KIND_TLS = 6,           ///< Certificate, version, cipher suite or alert.
    FW_ERROR_KIND_HTTP = 7,          ///< The server refused the upgrade request: see http_status,
                                     ///< which is 0 if the response is not HTTP.
    FW_ERROR_KIND_PROXY = 8,         ///< A proxy refused or failed.
    FW_ERROR_KIND_PROTOCOL = 9,      ///< The server violated the protocol.
    FW_ERROR_KIND_UTF8 = 10,         ///< The server sent a text message that is not UTF-8.
    FW_ERROR_KIND_TOO_LARGE = 11,    ///< A message is larger than the maximum message size.
    FW_ERROR_KIND_PING_TIMEOUT = 12, ///< A ping was not answered and nothing else was received.
    FW_ERROR_KIND_EXTENSION = 13,    ///< An extension failed.
    FW_ERROR_KIND_IO = 14,           ///< Another operating system error: see os_code.
    FW_ERROR_KIND_INTERNAL = 15,     ///< Internal error of the library, which was logged.
};
FW_ENUM_TYPE(fw_error_kind);

/// The phase in which a connection failed.
enum fw_phase FW_ENUM {
    FW_PHASE_NONE = 0,    ///< Not an error.
    FW_PHASE_RESOLVE = 1, ///< Name resolution.
    FW_PHASE_CONNECT = 2, ///< TCP connect.
    FW_PHASE_PROXY = 3,   ///< Proxy handshake.
    FW_PHASE_TLS = 4,     ///< TLS handshake.
    FW_PHASE_UPGRADE = 5, ///< HTTP upgrade request and response.
    FW_PHASE_OPEN = 6,    ///< The connection was open.
    FW_PHASE_CLOSING = 7, ///< Closing handshake.
};
FW_ENUM_TYPE(fw_phase);

/// The type of a message, with the opcodes of RFC 6455 section 5.2.
enum fw_opcode FW_ENUM {
    FW_OPCODE_NONE = 0,   ///< The event contains no message.
    FW_OPCODE_TEXT = 1,   ///< Text, as UTF-8.
    FW_OPCODE_BINARY = 2, ///< Binary data.
};
FW_ENUM_TYPE(fw_opcode);

/// What became of a message with a tag.
///
/// New outcomes may be added.
enum fw_outcome FW_ENUM {
    FW_OUTCOME_NONE = 0,     ///< The event has no outcome.
    FW_OUTCOME_SENT = 1,     ///< The message was given to the network. The server may still not
                             ///< receive it.
    FW_OUTCOME_EXPIRED = 2,  ///< Its time to live ended before it began.
    FW_OUTCOME_REPLACED = 3, ///< A newer message with the same key took its place.
    FW_OUTCOME_LOST = 4,     ///< The connection ended first.
};
FW_ENUM_TYPE(fw_outcome);

/// The type of an event.
///
/// New types may be added: ignore those that are unknown.
enum fw_event_type FW_ENUM {
    FW_EVENT_NONE = 0,             ///< No event.
    FW_EVENT_OPEN = 1,             ///< The upgrade is complete: messages can be sent.
    FW_EVENT_TEXT = 2,             ///< A complete text message, in payload.
    FW_EVENT_BINARY = 3,           ///< A complete binary message, in payload.
    FW_EVENT_INCOMPLETE_FRAME = 4, ///< A fragment of a message: opcode, is_first, is_final,
                                   ///< payload. Disabled by default, see fw_socket_enable_event.
    FW_EVENT_REQUEST = 5,          ///< The upgrade request, in request, while it can still be
                                   ///< changed. The connection continues when the event is
                                   ///< released. Disabled by default, see fw_socket_enable_event.
    FW_EVENT_PONG = 6,             ///< A pong, in payload.
    FW_EVENT_RECONNECTING = 7,     ///< The connection failed or could not be established, and will
                                   ///< be retried: attempt, delay_ms, error, and the error message
                                   ///< as payload, NUL-terminated. Only with
                                   ///< fw_socket_set_reconnect.
    FW_EVENT_CLOSED = 8,           ///< The connection was closed or cancelled: close_code, and the
                                   ///< reason as payload, NUL-terminated. Terminal event.
    FW_EVENT_ERROR = 9,            ///< The connection failed or could not be established: error,
                                   ///< and the error message as payload, NUL-terminated. Terminal
                                   ///< event.
    FW_EVENT_SENT = 10,            ///< A message with a tag was sent or dropped: tag, outcome. See
                                   ///< fw_socket_send.
    FW_EVENT_ENCODED = 11,         ///< A message that the program decodes: payload, opcode, rsv. It
                                   ///< is complete, decompressed, and a text is not validated. Only
                                   ///< with fw_socket_offer_extension.
};
FW_ENUM_TYPE(fw_event_type);

/// Where the callbacks of a socket run.
enum fw_dispatch FW_ENUM {
    FW_DISPATCH_POLL = 0,   ///< Inside fw_poll and fw_socket_poll, on the calling thread (the
                            ///< default).
    FW_DISPATCH_WORKER = 1, ///< On the socket's worker thread, as soon as the event occurs.
                            ///< Callbacks must be short: they delay all sockets of that thread.
};
FW_ENUM_TYPE(fw_dispatch);

/// Options of a message. Flags that can be combined with |; new ones may be added.
enum fw_send_flags FW_ENUM {
    FW_SEND_DEFAULT = 0,      ///< No options.
    FW_SEND_UNCOMPRESSED = 1, ///< Do not compress the message, for payloads that are already
                              ///< compressed.
    FW_SEND_RSV3 = 16,        ///< Set the reserved bit RSV3: the caller has encoded the message,
                              ///< see fw_socket_offer_extension.
    FW_SEND_RSV2 = 32,        ///< Set the reserved bit RSV2, likewise.
    FW_SEND_RSV1 = 64,        ///< Set the reserved bit RSV1, likewise. permessage-deflate uses it:
                              ///< to use it, disable compression.
};
FW_ENUM_TYPE(fw_send_flags);

/// How a simulated link fails, for fw_link.
///
/// Errors have the kind that the real failure causes. New values may be added.
enum fw_link_cut FW_ENUM {
    FW_LINK_CUT_NONE = 0,      ///< The link works.
    FW_LINK_CUT_STALL = 1,     ///< Nothing moves in either direction, until the conditions change;
                               ///< the TCP connection stays. New connections are not established
                               ///< meanwhile.
    FW_LINK_CUT_HALF_OPEN = 2, ///< What is written is lost, and nothing is received, as if the
                               ///< network path had disappeared. The timeouts of the library end
                               ///< the connection, or the simulated timeout of the operating system
                               ///< after 20 to 30 seconds. An open connection stays half-open,
                               ///< whatever the conditions change to. New connections are not
                               ///< established meanwhile.
    FW_LINK_CUT_RESET = 3,     ///< Open connections are reset, and so is each new one as soon as it
                               ///< is established: FW_ERROR_KIND_RESET.
    FW_LINK_CUT_END = 4,       ///< Open connections end without a closing handshake, and so does
                               ///< each new one as soon as it is established: FW_ERROR_KIND_RESET.
    FW_LINK_CUT_REFUSE = 5,    ///< New connections are refused: FW_ERROR_KIND_REFUSED. Open ones
                               ///< are not affected.
};
FW_ENUM_TYPE(fw_link_cut);

/// The HTTP version of the upgrade.
enum fw_http FW_ENUM {
    FW_HTTP_AUTO = 0, ///< The default. For wss, HTTP/2 where the server supports WebSockets over it
                      ///< (RFC 8441), else HTTP/1.1; for ws, HTTP/1.1.
    FW_HTTP_1 = 1,    ///< HTTP/1.1.
    FW_HTTP_2 = 2,    ///< HTTP/2 only; for ws with prior knowledge (no upgrade).
};
FW_ENUM_TYPE(fw_http);

/// Root certificates to trust, in addition to those added with fw_tls_add_ca_pem.
enum fw_roots FW_ENUM {
    FW_ROOTS_WEBPKI = 0,   ///< Mozilla's roots, built into the library and the same on every
                           ///< platform. The default.
    FW_ROOTS_PLATFORM = 1, ///< The roots of the operating system. On Android see fw_android_init.
    FW_ROOTS_NONE = 2,     ///< None: only those added with fw_tls_add_ca_pem, or keys pinned with
                           ///< fw_tls_add_pin_sha256.
};
FW_ENUM_TYPE(fw_roots);

/// The state of a socket; see the diagram at fw_socket.
enum fw_state FW_ENUM {
    FW_STATE_CONNECTING = 0, ///< Between fw_socket_open and the event open, and while reconnecting.
    FW_STATE_OPEN = 1,       ///< Messages can be sent.
    FW_STATE_CLOSING = 2,    ///< The closing handshake is running; messages may still be received.
    FW_STATE_CLOSED = 3,     ///< Never opened, or the connection has ended. Events may still be
                             ///< queued.
    FW_STATE_UNKNOWN = 4,    ///< Invalid handle.
};
FW_ENUM_TYPE(fw_state);

/// Parts of the API that some builds lack: those without a cargo feature, those for browsers, and
/// those for other systems than Android.
/// Flags that combine with |; new ones may be added.
enum fw_capability FW_ENUM {
    FW_CAPABILITY_HEADERS = 1,                ///< Header fields of the upgrade request,
                                              ///< authentication, and the response.
    FW_CAPABILITY_COOKIES = 2,                ///< fw_socket_set_cookies
    FW_CAPABILITY_REDIRECTS = 4,              ///< fw_socket_set_max_redirects
    FW_CAPABILITY_PROXY = 8,                  ///< fw_socket_set_proxy
    FW_CAPABILITY_TLS = 16,                   ///< wss: URLs
    FW_CAPABILITY_TLS_SETTINGS = 32,          ///< fw_tls_create and fw_socket_set_tls
    FW_CAPABILITY_HTTP_VERSION = 64,          ///< fw_socket_set_http_version
    FW_CAPABILITY_HTTP2 = 128,                ///< WebSocket over HTTP/2 (RFC 8441), if the library
                                              ///< makes the connection.
    FW_CAPABILITY_COMPRESSION_SETTINGS = 256, ///< fw_socket_set_compression, and messages that are
                                              ///< sent uncompressed.
    FW_CAPABILITY_EXTENSIONS = 512,           ///< fw_socket_add_extension
    FW_CAPABILITY_FRAGMENTS = 1024,           ///< fw_socket_on_incomplete_frame and
                                              ///< fw_socket_set_max_fragment_size
    FW_CAPABILITY_PING = 2048,                ///< Pings, keepalive, pongs and the latency.
    FW_CAPABILITY_CLOSE_CODES = 4096,         ///< Close codes other than 1000 and 3000 to 4999 can
                                              ///< be sent.
    FW_CAPABILITY_BACKPRESSURE = 8192,        ///< A full event queue stops the server
                                              ///< (backpressure).
    FW_CAPABILITY_WORKER_DISPATCH = 16384,    ///< FW_DISPATCH_WORKER
    FW_CAPABILITY_WAIT = 32768,               ///< fw_wait waits.
    FW_CAPABILITY_ANDROID = 65536,            ///< fw_android_init
    FW_CAPABILITY_LINK = 131072,              ///< fw_socket_set_link
    FW_CAPABILITY_CAPTURE = 262144,           ///< fw_socket_set_capture
};
FW_ENUM_TYPE(fw_capability);

/// Allocates a block of memory.
///
/// Called on any thread, in parallel. Must not call the library.
/// \param size Size in bytes, never 0; need not be a multiple of align.
/// \param align Alignment in bytes: a power of two, at least the size of a pointer.
/// \param user_data The alloc_user_data of fw_config.
/// \returns A block of at least size bytes, aligned to align; NULL when allocation fails.
typedef void *(FW_CALL *fw_alloc_fn)(size_t size, size_t align, void *user_data);

/// Resizes a block of memory.
///
/// The new block begins with the content of the old one, and the old one is freed. On failure the
/// old block stays valid. Called like fw_alloc_fn.
/// \param ptr A block that alloc or realloc returned, never NULL.
/// \param old_size The size it was allocated with, in bytes.
/// \param new_size Size in bytes, never 0.
/// \param align The alignment it was allocated with.
/// \param user_data The alloc_user_data of fw_config.
/// \returns A block of at least new_size bytes, aligned to align; NULL when allocation fails.
typedef void *(FW_CALL *fw_realloc_fn)(void *ptr, size_t old_size, size_t new_size, size_t align,
                                       void *user_data);

/// Frees a block of memory.
///
/// Called like fw_alloc_fn.
/// \param ptr A block that alloc or realloc returned, never NULL.
/// \param size The size it was allocated with, in bytes.
/// \param align The alignment it was allocated with.
/// \param user_data The alloc_user_data of fw_config.
typedef void (FW_CALL *fw_free_fn)(void *ptr, size_t size, size_t align, void *user_data);

/// Called on a thread of the library when it starts or ends.
/// \param user_data The thread_user_data of fw_config.
typedef void (FW_CALL *fw_thread_fn)(void *user_data);

/// Configuration of the library.
///
/// Initialize it with fw_config_init; fw_init copies it. Zero and NULL mean the default in every
/// field.
typedef struct fw_config {
    uint32_t struct_size;            ///< sizeof(fw_config), set by fw_config_init.
    uint32_t worker_threads;         ///< Number of worker threads, at most 64. Default: 1, which
                                     ///< carries thousands of sockets. In browsers there are none.
    fw_alloc_fn alloc;               ///< Allocates all memory of the library; set it together with
                                     ///< free. The functions must stay callable until the process
                                     ///< ends or the library is unloaded: a block is freed by the
                                     ///< functions that allocated it, even after fw_shutdown. For
                                     ///< NULL see Memory above. Default: the system's allocator.
    fw_realloc_fn realloc;           ///< Optional. When NULL, blocks are resized by allocating and
                                     ///< copying.
    fw_free_fn free;                 ///< Set it together with alloc.
    void *alloc_user_data;           ///< Passed to alloc, realloc and free.
    fw_thread_fn thread_started;     ///< Called first on each thread of the library, for example to
                                     ///< register it with a profiler or attach it to a VM.
    fw_thread_fn thread_stopped;     ///< Called last on each thread of the library.
    void *thread_user_data;          ///< Passed to thread_started and thread_stopped.
    size_t event_queue_bytes;        ///< Size of a socket's event queue in bytes; less than 16 KiB
                                     ///< counts as 16 KiB. When the unread events (payload plus 64
                                     ///< bytes each) reach it, the socket stops reading from the
                                     ///< network until events are taken (backpressure). May be
                                     ///< exceeded by one message and one read of 64 KiB. Default: 4
                                     ///< MiB.
    uint32_t ignore_network_changes; ///< 1: the library does not watch the network, and only
                                     ///< fw_network_changed reports changes. 0 (the default): see
                                     ///< fw_network_changed.
    uint32_t reserved;               ///< Must be 0.
} fw_config;

/// A WebSocket: one connection at a time, which can be opened repeatedly.
///
/// ```text
///   create --> CLOSED --open--> CONNECTING --> OPEN --close, or the server--> CLOSING
///                ^                   |            |                              |
///                '------------ one terminal event: closed or error --------------'
/// ```
///
/// A handle, valid until fw_socket_destroy or fw_shutdown. Using a stale handle is safe.
typedef struct fw_socket {
    uint64_t id; ///< 0 is never valid.
} fw_socket;

/// Called for each log line, on any thread, concurrently. May call the library.
/// \param level The level of the line.
/// \param socket The socket it is about; zero if none.
/// \param context The socket's context as "key=value key=value"; valid until the callback returns.
/// \param message One line, without a line break; valid until the callback returns.
/// \param user_data The user_data passed to fw_set_log.
typedef void (FW_CALL *fw_log_fn)(fw_log_level level, struct fw_socket socket, const char *context,
                                  const char *message, void *user_data);

/// Always the last callback for a socket: frees what its callbacks use.
/// \param user_data The pointer given to fw_socket_set_finalizer.
typedef void (FW_CALL *fw_finalizer_fn)(void *user_data);

/// Called when the upgrade is complete: messages can be sent.
/// \param socket The socket this event belongs to.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_open_fn)(struct fw_socket socket, void *user_data);

/// Called for each complete text message.
/// \param socket The socket this event belongs to.
/// \param text Valid UTF-8, not NUL-terminated; valid until the callback returns; never NULL.
/// \param len Length of the text in bytes; may be 0.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_text_fn)(struct fw_socket socket, const char *text, size_t len,
                                   void *user_data);

/// Identifies a reference to a pooled block. Part of fw_segment.
typedef struct fw_buffer {
    uint64_t id; ///< 0 is never valid.
} fw_buffer;

/// A range of a pooled block: count bytes from data + offset.
///
/// The block is usually larger; do not access bytes outside of the range. In a callback or an
/// event, a segment is read-only and borrowed until the callback returns or the event is released;
/// fw_segment_retain keeps it longer. A segment from fw_buffer_get, or retained, belongs to the
/// caller until fw_segment_release or until it is sent, and outlives its socket and fw_shutdown. It
/// keeps its whole block alive, usually 64 KiB for one that was received, however small it is: to
/// keep small payloads for long, copy them. fw_buffer_get rounds up to a power of two from 1 KiB.
typedef struct fw_segment {
    uint8_t *data;           ///< Start of the block; not NULL in segments that the library returns.
    size_t offset;           ///< Offset of the first byte from data.
    size_t count;            ///< Number of bytes; may be 0.
    struct fw_buffer buffer; ///< Identifies the reference.
} fw_segment;

/// Called for each complete text message, with a segment that can be kept without a copy.
/// \param socket The socket this event belongs to.
/// \param segment Valid UTF-8, not NUL-terminated, read-only; valid until the callback returns,
///   longer with fw_segment_retain; never NULL.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_text_segment_fn)(struct fw_socket socket,
                                           const struct fw_segment *segment, void *user_data);

/// Called for each complete binary message.
/// \param socket The socket this event belongs to.
/// \param data The payload, read-only; valid until the callback returns; never NULL.
/// \param len Length of the payload in bytes; may be 0.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_binary_fn)(struct fw_socket socket, const uint8_t *data, size_t len,
                                     void *user_data);

/// Called for each complete binary message, with a segment that can be kept without a copy.
/// \param socket The socket this event belongs to.
/// \param segment The payload, read-only; valid until the callback returns, longer with
///   fw_segment_retain; never NULL.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_binary_no_alloc_fn)(struct fw_socket socket,
                                              const struct fw_segment *segment, void *user_data);

/// A fragment of a message, decompressed and decoded.
///
/// Valid until the callback returns; fw_segment_retain keeps the payload longer.
typedef struct fw_frame {
    fw_opcode opcode;          ///< The type of the whole message, the same for each of its
                               ///< fragments.
    uint32_t is_first;         ///< 1 for the first fragment of a message, else 0.
    uint32_t is_final;         ///< 1 for the last fragment of a message, else 0.
    struct fw_segment payload; ///< A fragment of a text message may begin and end within a UTF-8
                               ///< character. All text received so far is validated.
    uint64_t reserved[2];      ///< Reserved for later versions; 0.
} fw_frame;

/// Called for each fragment of a fragmented message.
/// \param socket The socket this event belongs to.
/// \param frame The fragment; valid until the callback returns; never NULL.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_incomplete_frame_fn)(struct fw_socket socket,
                                               const struct fw_frame *frame, void *user_data);

/// An upgrade request that has not been sent yet.
///
/// A handle, valid until the callback returns or the event is released. Using it afterwards is
/// safe: the call returns INVALID_HANDLE.
typedef struct fw_request {
    uint64_t id; ///< 0 is never valid.
} fw_request;

/// Called before each upgrade request is sent, while it can still be changed.
/// \param socket The socket this event belongs to.
/// \param request The request; valid until the callback returns.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_request_fn)(struct fw_socket socket, struct fw_request request,
                                      void *user_data);

/// Called for each pong, also for those that answer keepalive pings.
/// \param socket The socket this event belongs to.
/// \param data The payload, read-only; valid until the callback returns; never NULL.
/// \param len Length of the payload, 0 to 125 bytes.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_pong_fn)(struct fw_socket socket, const uint8_t *data, size_t len,
                                   void *user_data);

/// Why a connection failed or could not be established.
///
/// Valid until the callback returns or the event is released.
typedef struct fw_error {
    fw_error_kind kind;   ///< What went wrong.
    fw_phase phase;       ///< In which phase.
    int32_t os_code;      ///< Operating system error code (errno, WSAGetLastError), or 0.
    uint16_t http_status; ///< HTTP status of a refused upgrade, or 0.
    uint8_t tls_alert;    ///< TLS alert that was sent or received (RFC 8446 section 6), or 0.
    uint32_t retriable;   ///< 1 if a retry may succeed: RESOLVE (also for a name that does not
                          ///< exist), REFUSED, UNREACHABLE, RESET, TIMED_OUT, PING_TIMEOUT, IO, and
                          ///< HTTP 408, 425, 429, 500, 502, 503, 504. 0 for other statuses,
                          ///< certificates, protocol violations and messages that are too large.
    const char *message;  ///< What failed, at which address, and what to do if known.
                          ///< NUL-terminated UTF-8; NULL in an event that is not an error.
    uint64_t reserved[2]; ///< Reserved for later versions; 0.
} fw_error;

/// Called when the connection failed or could not be established, and will be retried.
/// \param socket The socket this event belongs to.
/// \param error Why it failed; valid until the callback returns; never NULL.
/// \param attempt Number of the coming retry, from 1; starts again at 1 after a successful
///   connection.
/// \param delay_ms Milliseconds until the retry.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_reconnecting_fn)(struct fw_socket socket, const struct fw_error *error,
                                           uint32_t attempt, uint32_t delay_ms, void *user_data);

/// Called when the connection was closed, or the caller cancelled it. Terminal event.
///
/// The socket can be opened again, also inside the callback.
/// \param socket The socket this event belongs to.
/// \param code The server's close code, 1005 if its close frame has none; 1006 if there was no
///   closing handshake.
/// \param reason UTF-8, NUL-terminated; valid until the callback returns; never NULL. With 1006 a
///   text of the library: who ended the connection.
/// \param len Length of the reason in bytes, without the NUL; may be 0.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_closed_fn)(struct fw_socket socket, uint16_t code, const char *reason,
                                     size_t len, void *user_data);

/// Called when the connection failed or could not be established. Terminal event.
///
/// The socket can be opened again, also inside the callback.
/// \param socket The socket this event belongs to.
/// \param error Why it failed; valid until the callback returns; never NULL.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_error_fn)(struct fw_socket socket, const struct fw_error *error,
                                    void *user_data);

/// Called once for each message with a tag, when it was sent or dropped.
/// \param socket The socket this event belongs to.
/// \param tag The tag of the message.
/// \param outcome What became of the message.
/// \param user_data The user_data set with the callback.
typedef void (FW_CALL *fw_sent_fn)(struct fw_socket socket, uint64_t tag, fw_outcome outcome,
                                   void *user_data);

/// All callbacks of a socket, for fw_socket_set_callbacks.
///
/// Initialize it with fw_callbacks_init; fw_socket_set_callbacks copies it.
typedef struct fw_callbacks {
    uint32_t struct_size;                    ///< Size of this struct in bytes, set by
                                             ///< fw_callbacks_init.
    fw_open_fn open;                         ///< See fw_socket_on_open.
    fw_text_fn text;                         ///< See fw_socket_on_text.
    fw_text_segment_fn text_segment;         ///< See fw_socket_on_text_segment.
    fw_binary_fn binary;                     ///< See fw_socket_on_binary.
    fw_binary_no_alloc_fn binary_no_alloc;   ///< See fw_socket_on_binary_no_alloc.
    fw_incomplete_frame_fn incomplete_frame; ///< See fw_socket_on_incomplete_frame.
    fw_request_fn internal_request_created;  ///< See fw_socket_on_internal_request_created.
    fw_pong_fn pong;                         ///< See fw_socket_on_pong.
    fw_reconnecting_fn reconnecting;         ///< See fw_socket_on_reconnecting.
    fw_closed_fn closed;                     ///< See fw_socket_on_closed.
    fw_error_fn error;                       ///< See fw_socket_on_error.
    fw_finalizer_fn released;                ///< Called once with user_data when none of these
                                             ///< callbacks is running and none will: after
                                             ///< fw_socket_set_callbacks was called again or the
                                             ///< socket was destroyed, before its finalizer. Runs
                                             ///< on any thread, as soon as the last user of the set
                                             ///< has noticed: in worker mode with the next event.
                                             ///< Not called if fw_socket_set_callbacks fails. NULL
                                             ///< by default.
    fw_sent_fn sent;                         ///< See fw_socket_on_sent.
} fw_callbacks;

/// An event taken from the event queue.
///
/// Release each one with fw_event_release. What it points to is read-only and valid until then;
/// fw_segment_retain keeps the payload longer. Fields that the event's type does not use are zero.
typedef struct fw_event {
    fw_event_type type;        ///< Which event this is.
    struct fw_socket socket;   ///< The socket this event belongs to. It may have been destroyed
                               ///< meanwhile.
    void *user_data;           ///< The pointer set with fw_socket_set_user_data.
    struct fw_segment payload; ///< The message, fragment, pong, close reason or error message.
    fw_opcode opcode;          ///< The type of the message.
    uint32_t is_first;         ///< 1 for a complete message or the first fragment of one, else 0.
    uint32_t is_final;         ///< 1 for a complete message or the last fragment of one, else 0.
    uint16_t close_code;       ///< The close code, see fw_closed_fn.
    struct fw_error error;     ///< Why the connection failed.
    struct fw_request request; ///< The upgrade request.
    uint32_t attempt;          ///< For FW_EVENT_RECONNECTING: number of the coming retry, from 1.
    uint32_t delay_ms;         ///< For FW_EVENT_RECONNECTING: milliseconds until the retry.
    uint64_t tag;              ///< For FW_EVENT_SENT: the tag of the message.
    fw_outcome outcome;        ///< For FW_EVENT_SENT: what became of the message.
    uint32_t rsv;              ///< For FW_EVENT_ENCODED: the reserved bits of the extensions that
                               ///< have encoded the message: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    uint64_t reserved[2];      ///< Reserved for later versions; 0.
} fw_event;

/// A message with delivery options, for fw_socket_send.
///
/// Initialize it with fw_message_init.
typedef struct fw_message {
    uint32_t struct_size;      ///< sizeof(fw_message), set by fw_message_init.
    fw_opcode opcode;          ///< FW_OPCODE_BINARY (the default) or FW_OPCODE_TEXT.
    uint32_t flags;            ///< fw_send_flags, combined with |; FW_SEND_DEFAULT by default.
    uint32_t lane;             ///< The lane, from 0 (the default, and the lane of all other send
                               ///< functions); see fw_socket_set_lanes.
    uint32_t ttl_ms;           ///< Milliseconds after which the message is dropped if it has not
                               ///< begun; 0 (the default) for never.
    uint32_t reserved;         ///< Reserved for later versions; 0.
    uint64_t key;              ///< If not 0 (the default): replaces the waiting message with the
                               ///< same key in the same lane, in its place (latest value wins).
    uint64_t tag;              ///< If not 0 (the default): reported in the event sent, with the
                               ///< outcome.
    const void *data;          ///< The payload, len bytes, copied; may be NULL when len is 0.
    size_t len;                ///< Length of data in bytes, less than 1 GiB.
    struct fw_segment segment; ///< The payload instead of data, if its buffer is not zero; consumed
                               ///< by the call, even on failure, unless struct_size is invalid.
} fw_message;

/// A lane of a socket, for fw_socket_set_lanes.
///
/// Initialize it with fw_lane_init.
typedef struct fw_lane {
    uint32_t struct_size; ///< sizeof(fw_lane), set by fw_lane_init.
    uint32_t priority;    ///< Lanes with a lower number go first: a message begins only when no
                          ///< lane before its own has a waiting message. Default 0.
    uint32_t weight;      ///< The share among lanes of equal priority, 1 (the default) to 1000.
    uint32_t reserved;    ///< Reserved for later versions; 0.
    size_t max_bytes;     ///< The limit of the lane's waiting payload in bytes: at or above it,
                          ///< fw_socket_send returns WOULD_BLOCK. 0 (the default) for no limit but
                          ///< that of the socket.
} fw_lane;

/// Counts of a lane, for fw_socket_lane_stats, over all connections of the socket.
///
/// Initialize it once with fw_lane_stats_init. Times are in microseconds, from the send call until
/// the message begins.
typedef struct fw_lane_stats {
    uint32_t struct_size;         ///< sizeof(fw_lane_stats), set by fw_lane_stats_init.
    uint32_t reserved;            ///< Reserved for later versions; 0.
    uint64_t waiting_messages;    ///< Messages that have not begun.
    uint64_t waiting_bytes;       ///< Their payload bytes.
    uint64_t oldest_us;           ///< How long the oldest of them has waited.
    uint64_t queue_time_max_us;   ///< The longest time that a message has waited.
    uint64_t queue_time_total_us; ///< The sum of the times that messages have waited.
    uint64_t begun;               ///< Messages that have begun: the number that queue_time_total_us
                                  ///< is the sum of.
    uint64_t sent;                ///< Messages that were given to the network.
    uint64_t expired;             ///< Messages whose time to live ended.
    uint64_t replaced;            ///< Messages that were replaced by a newer one.
    uint64_t lost;                ///< Messages that were accepted and then lost with the
                                  ///< connection.
} fw_lane_stats;

/// The conditions of a simulated network link, for fw_socket_set_link.
///
/// Initialize it with fw_link_init. "Out" is from this side to the server, "in" from the server to this
/// side. 0 is the default everywhere: no delay, no limit.
typedef struct fw_link {
    uint32_t struct_size;     ///< sizeof(fw_link), set by fw_link_init.
    uint32_t seed;            ///< Any number. Links with equal seeds and conditions delay bytes
                              ///< equally at equal times after the connection was established.
    uint32_t out_delay_ms;    ///< The one-way delay in milliseconds, at most 60000.
    uint32_t in_delay_ms;     ///< The one-way delay in milliseconds, at most 60000.
    uint32_t out_jitter_ms;   ///< The mean of a random additional delay in milliseconds, at most
                              ///< 60000: exponentially distributed, chosen anew every 20 ms. Bytes
                              ///< keep their order, so those behind a delayed byte wait for it.
    uint32_t in_jitter_ms;    ///< The same for the other direction.
    uint32_t jitter_max_ms;   ///< The longest additional delay in milliseconds, at most 60000; 0
                              ///< for ten times the mean.
    uint32_t out_bytes_per_s; ///< The data rate in bytes per second (a token bucket).
    uint32_t in_bytes_per_s;  ///< The data rate in bytes per second (a token bucket).
    uint32_t burst_bytes;     ///< The size of the token bucket in bytes: how much may exceed the
                              ///< rate at once, after a pause. 0 for the bytes of 10 ms at the
                              ///< rate.
    uint32_t stall_every_ms;  ///< The interval between stalls in milliseconds, at most 3600000: at
                              ///< each multiple of it after the connection was established, nothing
                              ///< moves for stall_ms.
    uint32_t stall_ms;        ///< The length of a stall in milliseconds, less than stall_every_ms;
                              ///< 0 for no stalls.
    fw_link_cut cut;          ///< FW_LINK_CUT_NONE (the default), or how the link fails.
} fw_link;

/// How a capture is written, for fw_socket_set_capture.
///
/// Initialize it with fw_capture_init. 0 is the default everywhere.
typedef struct fw_capture {
    uint32_t struct_size;     ///< sizeof(fw_capture), set by fw_capture_init.
    uint32_t include_secrets; ///< 1: the values of Authorization, Proxy-Authorization, Cookie and
                              ///< Set-Cookie are written; 0: they are replaced.
    uint64_t max_file_bytes;  ///< The largest size of the file in bytes, at which the capture ends;
                              ///< 0 for no limit.
} fw_capture;

/// Statistics of the payload pool; approximate while threads use it.
///
/// Initialize it once with fw_pool_stats_init.
typedef struct fw_pool_stats {
    uint32_t struct_size;   ///< Size of this struct in bytes, set by fw_pool_stats_init.
    uint64_t blocks_in_use; ///< Number of blocks in use.
    uint64_t bytes_in_use;  ///< Size of the blocks in use, in bytes.
    uint64_t blocks_free;   ///< Number of free blocks kept for reuse.
    uint64_t bytes_free;    ///< Size of the free blocks in bytes, at most 32 MiB.
    uint64_t leases;        ///< Number of segments that the caller holds, including those in
                            ///< events.
    uint64_t allocations;   ///< Number of blocks allocated since the process started; constant in a
                            ///< steady state.
} fw_pool_stats;

/// TLS settings for sockets with wss: URLs.
///
/// A handle, valid until fw_tls_destroy, also after fw_shutdown. Sockets keep their settings alive.
/// Changes apply to connections opened later.
typedef struct fw_tls {
    uint64_t id; ///< 0 is never valid.
} fw_tls;

/// Reconnect policy: exponential backoff with jitter.
///
/// Initialize it with fw_reconnect_init; fw_socket_set_reconnect copies it.
typedef struct fw_reconnect {
    uint32_t struct_size;  ///< sizeof(fw_reconnect), set by fw_reconnect_init.
    uint32_t enabled;      ///< 1 (the default of fw_reconnect_init) to reconnect, 0 not to.
    uint32_t min_delay_ms; ///< Minimum delay before a retry, at least 1; default 250.
    uint32_t max_delay_ms; ///< Maximum delay, at least min_delay_ms; default 30000.
    uint32_t max_attempts; ///< Maximum number of consecutive retries; 0 (the default) for no limit.
    uint32_t queue_sends;  ///< 1 to queue messages sent while the socket is connecting or
                           ///< reconnecting; 0 (the default) to refuse them with INVALID_STATE.
} fw_reconnect;

/// Compression settings: permessage-deflate (RFC 7692).
///
/// Initialize it with fw_compression_init; fw_socket_set_compression copies it.
typedef struct fw_compression {
    uint32_t struct_size;                ///< sizeof(fw_compression), set by fw_compression_init.
    uint32_t level;                      ///< 0 (stored) to 9 (smallest and slowest); default 6.
    uint32_t client_no_context_takeover; ///< 1 to compress each message separately, which saves
                                         ///< memory and compresses less; default 0.
    uint32_t server_no_context_takeover; ///< 1 to request the same from the server; default 0.
    uint32_t client_max_window_bits;     ///< Window for sending, 8 to 15 (2^n bytes); default 15.
    uint32_t server_max_window_bits;     ///< Window requested of the server; default 15.
    size_t min_size_to_compress;         ///< Minimum message size in bytes; default 256.
} fw_compression;

/// Writes the extension's offer for Sec-WebSocket-Extensions, such as "x-xor; key=7".
///
/// Called before each upgrade request.
/// \param buf Receives the offer, no NUL needed; never NULL.
/// \param cap Size of buf in bytes: 512.
/// \param user_data The user_data of fw_extension.
/// \returns The number of bytes written; 0 to not offer the extension.
typedef size_t (FW_CALL *fw_add_negotiation_fn)(char *buf, size_t cap, void *user_data);

/// Reads the server's response after it has accepted the extension.
/// \param element The accepted extension, such as "x-xor; key=7", not NUL-terminated; valid until
///   the callback returns.
/// \param len Length of element in bytes.
/// \param user_data The user_data of fw_extension.
/// \returns 1 to use the extension; 0 to reject the parameters: connecting fails with
///   FW_ERROR_KIND_EXTENSION.
typedef uint32_t (FW_CALL *fw_parse_negotiation_fn)(const char *element, size_t len,
                                                    void *user_data);

/// A message that an extension processes, or a fragment of one.
typedef struct fw_extension_frame {
    fw_opcode opcode;     ///< The type of the message.
    uint32_t is_first;    ///< 1 for a complete message or the first fragment of one, else 0.
    uint32_t is_final;    ///< 1 for a complete message or the last fragment of one, else 0.
    uint32_t rsv;         ///< Reserved bits of the message's first frame: RSV1 is 4, RSV2 is 2,
                          ///< RSV3 is 1.
    uint64_t reserved[2]; ///< Reserved for later versions; 0.
} fw_extension_frame;

/// Chooses the reserved bits of an outgoing message.
/// \param frame The message; rsv contains the bits set by extensions before this one. Valid until
///   the callback returns.
/// \param user_data The user_data of fw_extension.
/// \returns Bits out of the extension's rsv; 0 to send the message without calling encode, unless
///   rsv is 0. Any other bit ends the connection with an error.
typedef uint32_t (FW_CALL *fw_frame_header_fn)(const struct fw_extension_frame *frame,
                                               void *user_data);

/// Encodes an outgoing message, or decodes a received one.
///
/// encode gets complete messages, before they are fragmented. decode gets complete messages, or
/// fragments while they are delivered one by one (fw_socket_on_incomplete_frame).
/// \param frame The message or fragment; valid until the callback returns.
/// \param data The payload, read-only, never NULL; valid until the callback returns.
/// \param len Length of the payload in bytes; may be 0.
/// \param out Zero. To replace the payload, write a segment from fw_buffer_get here: its reference
///   is consumed. Otherwise the payload is not changed.
/// \param user_data The user_data of fw_extension.
/// \returns 1 on success; 0 to reject the payload, which ends the connection with an error.
typedef uint32_t (FW_CALL *fw_transform_fn)(const struct fw_extension_frame *frame,
                                            const uint8_t *data, size_t len, struct fw_segment *out,
                                            void *user_data);

/// Frees what an extension uses. Called once, when no socket and no connection uses it any longer.
/// \param user_data The user_data of fw_extension.
typedef void (FW_CALL *fw_extension_destroy_fn)(void *user_data);

/// A custom WebSocket extension (RFC 6455 section 9).
///
/// Initialize it with fw_extension_init; fw_socket_add_extension copies it. Its functions are
/// called on the socket's worker thread, one at a time, and must be short; destroy may be called on
/// any thread.
typedef struct fw_extension {
    uint32_t struct_size;                      ///< Size of this struct in bytes, set by
                                               ///< fw_extension_init.
    uint32_t rsv;                              ///< Reserved bits that mark the messages it has
                                               ///< encoded: RSV1 is 4, RSV2 is 2, RSV3 is 1. With 0
                                               ///< it processes every message. permessage-deflate
                                               ///< uses RSV1: to use it, disable compression.
    fw_add_negotiation_fn add_negotiation;     ///< Not NULL.
    fw_parse_negotiation_fn parse_negotiation; ///< NULL accepts any parameters.
    fw_frame_header_fn frame_header;           ///< NULL sets all bits of rsv in every message.
    fw_transform_fn encode;                    ///< NULL sends messages unchanged.
    fw_transform_fn decode;                    ///< NULL delivers messages unchanged.
    fw_extension_destroy_fn destroy;           ///< NULL if there is nothing to free.
    void *user_data;                           ///< Passed to each function. What it points to must
                                               ///< stay valid until destroy.
} fw_extension;

/// Statistics of a socket over all of its connections.
///
/// Initialize it once with fw_stats_init. Durations are in microseconds, those of the last
/// connection attempt, and 0 until the phase has ended.
typedef struct fw_stats {
    uint32_t struct_size;                      ///< sizeof(fw_stats), set by fw_stats_init.
    uint64_t bytes_sent;                       ///< Bytes sent: handshake and frame headers
                                               ///< included, TLS not.
    uint64_t bytes_received;                   ///< Bytes received: handshake and frame headers
                                               ///< included, TLS not.
    uint64_t messages_sent;                    ///< Messages accepted for sending, including those
                                               ///< lost with a connection; where lanes are used,
                                               ///< those that have begun.
    uint64_t messages_received;                ///< Complete messages received, including those
                                               ///< delivered as fragments.
    uint64_t frames_sent;                      ///< Frames prepared for sending, control frames
                                               ///< included, also those lost with a connection.
    uint64_t frames_received;                  ///< Frames received, control frames included.
    uint64_t pings_sent;                       ///< Pings sent.
    uint64_t pongs_received;                   ///< Pongs received.
    uint64_t reconnects;                       ///< Successful retries (fw_socket_set_reconnect).
    uint64_t payload_bytes_before_compression; ///< Payload bytes of compressed messages, before
                                               ///< compression; others are not counted.
    uint64_t payload_bytes_after_compression;  ///< Payload bytes of compressed messages, after
                                               ///< compression.
    uint64_t resolve_us;                       ///< Name resolution; 0 for an address, or a name
                                               ///< that was looked up within 10 s.
    uint64_t connect_us;                       ///< TCP connect and proxy handshake.
    uint64_t tls_us;                           ///< TLS handshake; 0 without TLS.
    uint64_t upgrade_us;                       ///< Upgrade request to response.
} fw_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// Returns the name of a result, such as "FW_RESULT_WOULD_BLOCK".
/// \param result Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_result.
FW_API const char *fw_result_name(fw_result result);

/// Copies the description of the last failed call on this thread.
///
/// Functions that return a value instead of an fw_result store their failure too. Successful calls
/// do not clear it, so read it only after a failure.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes; 512 is always enough.
/// \returns The length of the whole text without the NUL; 0 if no call has failed on this thread.
FW_API size_t fw_last_error(char *buf, size_t cap);

/// Returns what the loaded library can do.
///
/// A function that needs something else returns NOT_SUPPORTED and has no effect.
/// \returns Values of fw_capability, combined with |.
/// \since 0.2.0
FW_API uint32_t fw_capabilities(void);

/// Returns the version of the loaded library as major << 16 | minor << 8 | patch.
///
/// Compare it with FW_VERSION, the version of the header: the major version must be the same, and
/// while it is 0 the minor version too.
/// \returns The version.
FW_API uint32_t fw_version(void);

/// Returns the version of the loaded library as text: MAJOR.MINOR.PATCH.
///
/// FW_VERSION_STRING is the version of the header.
/// \returns A static string, never NULL.
FW_API const char *fw_version_string(void);

/// Returns the size of a struct in the loaded library.
///
/// Bindings that declare the structs in their own language can check at start that the layouts
/// agree.
/// \param which The struct.
/// \returns The size in bytes; 0 for a number that is not in fw_struct.
FW_API size_t fw_sizeof(fw_struct which);

/// Initializes a configuration with the defaults.
/// \param config Written to; NULL does nothing.
/// \param struct_size sizeof(fw_config).
FW_API void fw_config_init(struct fw_config *config, size_t struct_size);

/// Starts the library with a configuration.
///
/// Optional: the first socket starts the library with the defaults. The allocator functions are
/// used for new blocks until fw_shutdown has returned OK; blocks that the program still holds are
/// freed by them later. thread_started runs on the new threads.
/// \param config Initialized with fw_config_init, not NULL; copied.
/// \returns OK; INVALID_ARGUMENT (NULL, struct_size, too many threads, only one of alloc and free,
///   reserved not 0); NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (already
///   started, by this call or by a socket; or more than 16 different sets of allocator functions
///   have live blocks); SHUT_DOWN (a shutdown is in progress); OUT_OF_MEMORY (a thread could not be
///   started).
FW_API fw_result fw_init(const struct fw_config *config);

/// Shuts the library down gracefully: destroys every socket and ends every thread.
///
/// Open connections send what is queued, then a close frame with code 1001, and wait for the
/// server's close frame until the server has been silent for 250 ms. Sending may take three
/// quarters of the timeout, or all but half a second of it if that is more; the rest is dropped and
/// logged (FW_LOG_WARN). Sockets that are connecting are cancelled. A timeout of 0 drops everything
/// at once.
///
/// After OK, no thread of the library exists and no callback runs or will run; the library can be
/// started again. fw_tls handles and segments that the caller holds stay valid. An editor calls
/// this before it unloads scripts (hot reload).
///
/// Blocks up to timeout_ms, at least 100 ms if threads and their callbacks need it to end, plus the
/// run time of the finalizers, which run inside this call. thread_stopped runs on the ending
/// threads.
///
/// In browsers it does not wait: the browser sends what is queued and closes with code 1000.
/// \param timeout_ms Timeout in milliseconds.
/// \returns OK, also when nothing was running; INVALID_STATE (called in a function given to the
///   library, or on a thread of the library); TIMED_OUT (a thread or a callback has not ended; all
///   sockets are destroyed; call again to wait longer).
/// \threadsafety Any thread, not inside a callback.
FW_API fw_result fw_shutdown(uint32_t timeout_ms);

/// Sets the function that receives the library's log.
///
/// Replaces the function set before, which may still be running on another thread when the call
/// returns. fw_shutdown does not remove it: remove it after that, before the code it belongs to is
/// unloaded.
/// \param max The most detailed level to log.
/// \param log The function; NULL stops logging.
/// \param user_data Passed to log, on any thread. What it points to must stay valid until log is
///   replaced and has returned.
/// \returns OK; INVALID_ARGUMENT (max is not an fw_log_level).
FW_API fw_result fw_set_log(fw_log_level max, fw_log_fn log, void *user_data);

/// Queues the library's log for fw_next_log, instead of passing it to a function.
///
/// For runtimes that native code must not call back. Replaces the function set with fw_set_log, and
/// the reverse. The queue holds 256 lines; further ones are dropped, and a line says how many.
/// \param max The most detailed level to log; FW_LOG_OFF stops logging and empties the queue.
/// \returns OK; INVALID_ARGUMENT (max is not an fw_log_level).
/// \since 0.2.0
FW_API fw_result fw_queue_log(fw_log_level max);

/// Takes the next line of the log from the queue of fw_queue_log.
/// \param level Receives the level, not NULL.
/// \param socket Receives the socket it is about, zero if none; not NULL.
/// \param context Receives the socket's context as "key=value key=value", NUL-terminated; NULL
///   to leave it out.
/// \param context_cap Size of context in bytes; a longer text is cut. The longest has 1024 bytes.
/// \param message Receives one line without a line break, NUL-terminated; NULL to leave it out.
/// \param message_cap Size of message in bytes; a longer text is cut. The longest has 1024 bytes.
/// \returns true if there was a line; false if there is none, and for NULL.
/// \since 0.2.0
FW_API bool fw_next_log(fw_log_level *level, struct fw_socket *socket, char *context,
                        size_t context_cap, char *message, size_t message_cap);

/// Notifies the library that the network may have changed.
///
/// Call it when a phone switches from Wi-Fi to mobile data or a laptop is moved: connections may
/// have been lost unnoticed. On Linux the library watches addresses and default routes and does the
/// same itself when one is added or removed, at most every 500 ms, and also on Android up to version
/// 10; fw_config.ignore_network_changes turns that off. On other systems only this call reports
/// changes. Pings every open connection immediately, even if keepalive pings
/// are off. If nothing is received within 3 seconds the connection is lost: the event is error,
/// with FW_ERROR_KIND_PING_TIMEOUT, or reconnecting where that is enabled. While a full event queue
/// (event_queue_bytes) stops reading, the 3 seconds start when reading resumes. A socket that has
/// not sent its upgrade request starts connecting again, within the rest of its connect timeout;
/// one that waits to reconnect starts immediately; a closing handshake continues.
///
/// Where reconnecting is enabled, a new connection is opened while the old one is probed (make
/// before break): at once if the system would use another local address for the same peer now,
/// otherwise after 500 ms without a response. If the old connection responds first, the new attempt
/// is dropped without an event. If the new one is open first, it replaces the old one, which is
/// closed with code 1001. The events are reconnecting (attempt 1, delay 0,
/// FW_ERROR_KIND_PING_TIMEOUT) and open, after every message received over the old connection. The
/// state stays FW_STATE_OPEN and sends are accepted. Messages that were not prepared for the network
/// yet are sent over the new connection, in order and once. Those that were, up to 256 KiB beside
/// what the system has buffered, are lost if the server has not received them. An attempt that fails
/// is repeated with the delays of fw_reconnect and without events; if the old connection is lost
/// meanwhile, the attempt continues as its reconnect. Each attempt calls internal_request_created,
/// before the event reconnecting. fw_socket_close closes the old connection and drops the attempt.
///
/// In browsers, only reconnects that wait for their delay start at once.
/// \returns OK, also when the library is not running.
FW_API fw_result fw_network_changed(void);

/// Notifies the library that the process is about to be suspended.
///
/// For an app that goes to the background, where the system may stop it at any moment. Until
/// fw_resume, no pings are sent, no reconnect starts, and no timeout of the library ends a
/// connection; messages are still sent and received while the process runs. TCP's own timeouts
/// still apply. Affects sockets that are open or connecting, not those opened later. A second call
/// does nothing.
/// \returns OK, also when the library is not running.
FW_API fw_result fw_suspend(void);

/// Notifies the library that the process is running again.
///
/// Ends the effect of fw_suspend: timeouts continue with the time they had left, pings with a new
/// interval. Then does the same as fw_network_changed, so that lost connections are detected within
/// 3 seconds; without fw_suspend before it, only that. On iOS, where the system closes the sockets of
/// a suspended app, most are detected at once, as the first read or write fails.
/// \returns OK, also when the library is not running.
FW_API fw_result fw_resume(void);

/// Creates a socket.
///
/// Checks the URL and does not access the network. Starts the library with the defaults if fw_init
/// was not called. User and password in the URL are sent as basic authentication.
///
/// In browsers, a URL with a user name is NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
/// \param url NUL-terminated, ws: or wss: (http: and https: are aliases), at most 8 KiB of ASCII: a
///   host in other letters as punycode (xn--), the rest percent-encoded; copied. Spaces, control
///   characters, backslashes and fragments (#) are refused. The zone of a link-local IPv6 address (RFC
///   6874), the name or number of an interface, follows `%25`, as in `ws://[fe80::1%25eth0]:9001/`;
///   it is never sent.
/// \param out Receives the handle; not NULL.
/// \returns OK; INVALID_ARGUMENT (NULL); INVALID_URL; NOT_SUPPORTED (wss: in a build without TLS);
///   SHUT_DOWN (a shutdown is in progress); OUT_OF_MEMORY.
FW_API fw_result fw_socket_create(const char *url, struct fw_socket *out);

/// Starts connecting with the current settings.
///
/// Results in exactly one terminal event, closed or error, after all messages received before it.
/// The socket can be opened again after that event, also inside its callback.
/// \returns OK; INVALID_HANDLE; INVALID_STATE (connecting, open or closing).
FW_API fw_result fw_socket_open(struct fw_socket socket);

/// Disconnects gracefully: starts the closing handshake after everything queued is sent.
///
/// The event closed follows when the server replies, or with code 1006 when it does not within the
/// close timeout. While connecting, cancels the connection; closed follows at once.
///
/// In browsers, codes other than 1000 and 3000 to 4999 are NOT_SUPPORTED
/// (FW_CAPABILITY_CLOSE_CODES).
/// \param socket The socket.
/// \param code 1000 to 1003, 1007 to 1014, 3000 to 4999 (RFC 6455 section 7.4); 0 means 1000.
/// \param reason NUL-terminated UTF-8 of at most 123 bytes, copied; NULL for none.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (a code that may not be sent, a reason that is not
///   UTF-8); TOO_LARGE (the reason); INVALID_STATE (closing or closed); OUT_OF_MEMORY.
FW_API fw_result fw_socket_close(struct fw_socket socket, uint16_t code, const char *reason);

/// Drops the connection at once, without a closing handshake.
///
/// Discards queued messages. The event closed follows.
/// \returns OK; INVALID_HANDLE; INVALID_STATE (closed).
FW_API fw_result fw_socket_abort(struct fw_socket socket);

/// Destroys the socket.
///
/// The handle is invalid at once. Unread events and the terminal event are dropped; only the
/// finalizer follows. In poll mode no callback of the socket starts after this returns; in worker
/// mode one that is already running on another thread may finish. An open connection is closed in
/// the background (best effort). May be called inside the socket's own callbacks.
/// \returns OK; INVALID_HANDLE (already destroyed).
FW_API fw_result fw_socket_destroy(struct fw_socket socket);

/// Destroys the socket after sending what is queued.
///
/// Like fw_socket_destroy for the caller: the handle is invalid at once, and only the finalizer
/// follows. In the background the library sends the queued messages and a close frame (1001) and
/// waits for the server's close frame. Messages that are not sent within the timeout are dropped.
/// fw_shutdown continues this within its own timeout. If the socket is not open, the same as
/// fw_socket_destroy.
///
/// In browsers, the browser sends what is queued and closes with code 1000, without a timeout.
/// \param socket The socket, in any state.
/// \param timeout_ms Maximum time for sending and closing in milliseconds; 0 drops what cannot be
///   sent at once.
/// \returns OK; INVALID_HANDLE (already destroyed).
FW_API fw_result fw_socket_destroy_when_sent(struct fw_socket socket, uint32_t timeout_ms);

/// Sets the function that is called once no other callback will run for the socket.
///
/// Runs exactly once after fw_socket_destroy or fw_shutdown, after the last callback has returned,
/// and at the latest before fw_shutdown returns. In poll mode it runs inside fw_poll,
/// fw_next_event, fw_next_events or fw_shutdown, not in the functions for one socket, on the calling
/// thread; in worker mode it may also run on a thread of the
/// library. Replaces the previous finalizer, which is never called.
/// \param socket The socket.
/// \param finalizer The function; NULL removes it.
/// \param user_data Passed to finalizer; must stay valid until it has run or was replaced.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_set_finalizer(struct fw_socket socket, fw_finalizer_fn finalizer,
                                         void *user_data);

/// Stores a pointer with the socket.
///
/// fw_event and fw_socket_user_data return it; the library does not use it. Callbacks have their
/// own user_data.
/// \param socket The socket.
/// \param user_data Any value, may be NULL.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_set_user_data(struct fw_socket socket, void *user_data);

/// Returns the pointer stored with fw_socket_set_user_data.
/// \returns The pointer; NULL if none was stored, and for an invalid handle.
FW_API void *fw_socket_user_data(struct fw_socket socket);

/// Returns the name of an error kind, such as "FW_ERROR_KIND_RESOLVE".
/// \param kind Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_error_kind.
/// \since 0.2.0
FW_API const char *fw_error_kind_name(fw_error_kind kind);

/// Returns the name of a phase, such as "FW_PHASE_RESOLVE".
/// \param phase Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_phase.
/// \since 0.2.0
FW_API const char *fw_phase_name(fw_phase phase);

/// Sets the callback for the open event: the upgrade is complete and messages can be sent.
///
/// Like all fw_socket_on_ functions, replaces the callback set before, which may still be running
/// on another thread when the call returns. In poll mode the callback runs inside fw_poll and
/// fw_socket_poll, on the thread that calls them; in worker mode on the socket's worker thread.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback. What it points to must stay valid until the callback is
///   replaced and has returned, or until the finalizer runs.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_open(struct fw_socket socket, fw_open_fn callback, void *user_data);

/// Sets the callback for complete text messages.
///
/// A message without a callback is discarded, without a copy.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_text(struct fw_socket socket, fw_text_fn callback, void *user_data);

/// Sets the callback for complete text messages, as segments that can be kept without a copy.
///
/// If fw_socket_on_text is set as well, its callback runs first.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
/// \since 0.2.0
FW_API fw_result fw_socket_on_text_segment(struct fw_socket socket, fw_text_segment_fn callback,
                                           void *user_data);

/// Sets the callback for complete binary messages.
///
/// A message without a callback is discarded, without a copy.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_binary(struct fw_socket socket, fw_binary_fn callback,
                                     void *user_data);

/// Sets the callback for complete binary messages, as segments that can be kept without a copy.
///
/// If fw_socket_on_binary is set as well, its callback runs first.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_binary_no_alloc(struct fw_socket socket,
                                              fw_binary_no_alloc_fn callback, void *user_data);

/// Sets the callback for the fragments of fragmented messages.
///
/// While it is set, fragmented messages are delivered fragment by fragment, for streaming: they are
/// neither assembled nor stored, and not delivered as text or binary. Messages of a single frame
/// still are. Takes effect with the next message.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_FRAGMENTS).
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_incomplete_frame(struct fw_socket socket,
                                               fw_incomplete_frame_fn callback, void *user_data);

/// Sets the callback that can change the upgrade request, for example to set a new token.
///
/// Runs before every attempt: also for a reconnect, after a redirect, and after the fallback from
/// HTTP/2 to HTTP/1.1. The connection waits until it has returned, while the connect timeout runs.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_internal_request_created(struct fw_socket socket,
                                                       fw_request_fn callback, void *user_data);

/// Sets the callback for pongs.
///
/// For round-trip times, fw_socket_latency_us is simpler.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_pong(struct fw_socket socket, fw_pong_fn callback, void *user_data);

/// Sets the callback for the reconnecting event: the connection failed and will be retried.
///
/// Replaces the error event where fw_socket_set_reconnect allows another retry. fw_socket_close,
/// inside the callback or at any time before the next open event, cancels the retries: the closed
/// event follows.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_reconnecting(struct fw_socket socket, fw_reconnecting_fn callback,
                                           void *user_data);

/// Sets the callback for the closed event: the connection was closed or cancelled.
///
/// Terminal: each fw_socket_open ends in exactly one closed or error event, after all messages
/// received before it.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_closed(struct fw_socket socket, fw_closed_fn callback,
                                     void *user_data);

/// Sets the callback for the error event: the connection failed or could not be established.
///
/// Terminal: each fw_socket_open ends in exactly one closed or error event, after all messages
/// received before it.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_on_error(struct fw_socket socket, fw_error_fn callback, void *user_data);

/// Sets the callback for the sent event: a message with a tag was sent or dropped.
///
/// Runs once for each accepted tag of fw_socket_send, before the terminal event.
/// \param socket The socket, in any state.
/// \param callback The function; NULL removes it.
/// \param user_data Passed to the callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE.
/// \since 0.2.0
FW_API fw_result fw_socket_on_sent(struct fw_socket socket, fw_sent_fn callback, void *user_data);

/// Initializes a set of callbacks: all are NULL.
/// \param callbacks Written to; NULL does nothing.
/// \param struct_size sizeof(fw_callbacks).
/// \since 0.2.0
FW_API void fw_callbacks_init(struct fw_callbacks *callbacks, size_t struct_size);

/// Sets all callbacks of a socket at once.
///
/// Replaces every callback set before, by this function or a fw_socket_on_ function; no event is
/// delivered in between. The functions may be combined. The callbacks run as fw_socket_on_open
/// says.
///
/// In browsers, incomplete_frame, internal_request_created and pong must be NULL, else
/// NOT_SUPPORTED.
/// \param socket The socket, in any state.
/// \param callbacks Initialized with fw_callbacks_init, not NULL; copied. NULL members remove.
/// \param user_data Passed to each callback; for its lifetime see fw_socket_on_open.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size); NOT_SUPPORTED (a field is set
///   that only a newer library knows).
/// \since 0.2.0
FW_API fw_result fw_socket_set_callbacks(struct fw_socket socket,
                                         const struct fw_callbacks *callbacks, void *user_data);

/// Returns the name of an event type, such as "FW_EVENT_OPEN".
/// \param type Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_event_type.
/// \since 0.2.0
FW_API const char *fw_event_type_name(fw_event_type type);

/// Sets where the callbacks of a socket run.
///
/// Events that are already queued for fw_poll stay queued.
///
/// In browsers, FW_DISPATCH_WORKER is NOT_SUPPORTED (FW_CAPABILITY_WORKER_DISPATCH).
/// \param socket The socket, closed.
/// \param dispatch Default FW_DISPATCH_POLL.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (unknown value); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_dispatch(struct fw_socket socket, fw_dispatch dispatch);

/// Enables an event that is disabled by default, for programs that use fw_next_event.
///
/// While FW_EVENT_REQUEST is enabled, every attempt to connect waits until its event is released.
/// While FW_EVENT_INCOMPLETE_FRAME is enabled, fragmented messages are delivered fragment by
/// fragment, not as a whole. Setting the callback for one of these events enables it as well.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS,
/// FW_CAPABILITY_FRAGMENTS).
/// \param socket The socket, in any state.
/// \param type FW_EVENT_REQUEST or FW_EVENT_INCOMPLETE_FRAME; all other events are always enabled.
/// \param enable Default false.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (another type).
FW_API fw_result fw_socket_enable_event(struct fw_socket socket, fw_event_type type, bool enable);

/// Runs the callbacks of queued events, within a budget.
///
/// Call it once per frame. Serves all sockets in poll mode round-robin, a few events each; the next
/// call continues with the next socket, so that no socket starves another. Without limits, it runs
/// what is queued when it is called. The callbacks, and finalizers of destroyed sockets, run on the
/// calling thread, and the call takes as long as they do; a running callback is never interrupted.
/// Sockets that another thread is polling are skipped, as is, inside a callback, that callback's
/// own socket.
/// \param max_events Maximum number of events; 0 for no limit.
/// \param max_microseconds No callback starts after this many microseconds; 0 for no limit.
/// \returns The number of events passed to a callback.
FW_API size_t fw_poll(uint32_t max_events, uint32_t max_microseconds);

/// Runs the callbacks of one socket's queued events, within a budget.
///
/// Like fw_poll, for example for a loading screen that needs only one connection. Does nothing
/// while another thread polls the socket. Runs no finalizers.
/// \param socket The socket.
/// \param max_events Maximum number of events; 0 for no limit.
/// \param max_microseconds No callback starts after this many microseconds; 0 for no limit.
/// \returns The number of events passed to a callback; 0 for an invalid handle.
FW_API size_t fw_socket_poll(struct fw_socket socket, uint32_t max_events,
                             uint32_t max_microseconds);

/// Returns the number of events queued for fw_poll and fw_next_event, over all sockets.
/// \returns The number of events, exact while no other thread adds or takes events. Inside a
///   callback it may include that callback's own event and up to 15 delivered just before.
FW_API size_t fw_pending(void);

/// Waits until an event is queued for fw_poll or fw_next_event.
///
/// Blocks up to timeout_ms. For tools and servers; a game calls fw_poll once per frame instead.
/// Also waits before the first socket is created and after fw_shutdown, and then ends with the
/// first event. fw_shutdown on another thread ends the wait.
///
/// In browsers it returns at once (FW_CAPABILITY_WAIT).
/// \param timeout_ms Timeout in milliseconds; 0 does not block.
/// \returns true if an event is queued; false after the timeout or a shutdown.
FW_API bool fw_wait(uint32_t timeout_ms);

/// Takes the next event of any socket from the event queue.
///
/// For runtimes that native code must not call back. Takes from the same queue as fw_poll,
/// round-robin; sockets in worker mode have no events here. Runs no callbacks, except finalizers of
/// destroyed sockets. Skips sockets that another thread polls or takes events from and, inside a
/// callback, the socket of that callback: it may return false although fw_pending is not 0.
/// \param out Receives the event; FW_EVENT_NONE if there is none; not NULL.
/// \returns true if an event was taken, which must be released; false if none is queued, for NULL,
///   and when allocation fails: the message is lost and its connection dropped.
FW_API bool fw_next_event(struct fw_event *out);

/// Takes the next event of one socket, like fw_next_event, but runs no finalizers.
/// \param socket The socket.
/// \param out Receives the event; FW_EVENT_NONE if there is none; not NULL.
/// \returns true if an event was taken, which must be released; false if none is queued, for NULL
///   or an invalid handle, and when allocation fails: the message is lost and its connection
///   dropped.
FW_API bool fw_socket_next_event(struct fw_socket socket, struct fw_event *out);

/// Takes several events at once, which needs fewer locks than fw_next_event.
///
/// Takes them in the same order, at most those that are queued when it is called. Runs no
/// callbacks, except finalizers of destroyed sockets, and skips the same sockets as fw_next_event.
/// Release them with fw_events_release, or each one with fw_event_release.
/// \param out Array of count events; receives those that were taken, in order.
/// \param count Maximum number of events; 0 does nothing.
/// \returns The number of events taken; 0 if none is queued, for NULL, and when allocation fails
///   for the first messages. Those, at most 32, are lost and their connection is dropped.
/// \since 0.2.0
FW_API size_t fw_next_events(struct fw_event *out, size_t count);

/// Takes several events of one socket, like fw_next_events, but runs no finalizers.
/// \param socket The socket.
/// \param out Array of count events; receives those that were taken, in order.
/// \param count Maximum number of events; 0 does nothing.
/// \returns The number of events taken; 0 if none is queued, for NULL or an invalid handle, and
///   when allocation fails for the first messages. Those, at most 32, are lost and their connection
///   is dropped.
/// \since 0.2.0
FW_API size_t fw_socket_next_events(struct fw_socket socket, struct fw_event *out, size_t count);

/// Releases several events, each like fw_event_release.
/// \param events Array of count events that were taken or are zero; NULL does nothing.
/// \param count Number of events.
/// \since 0.2.0
FW_API void fw_events_release(struct fw_event *events, size_t count);

/// Releases an event.
///
/// What it points to becomes invalid, unless retained, and the event is zeroed. After
/// FW_EVENT_REQUEST the connection continues. Releasing an event twice, or an event of type
/// FW_EVENT_NONE, does nothing.
/// \param event An event that was taken or is zero; NULL does nothing.
FW_API void fw_event_release(struct fw_event *event);

/// Sends a text message.
///
/// Validates the text and copies it once into the send queue: above 64 KiB, prefer
/// fw_socket_send_text_segment. Messages are sent in the background, in the order of the calls, and
/// fragmented if longer than fw_socket_set_max_fragment_size.
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param text UTF-8, len bytes, no NUL needed; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, less than 1 GiB; may be 0.
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); INVALID_UTF8; INVALID_STATE (not
///   open); TOO_LARGE; WOULD_BLOCK (the send queue is full, see fw_socket_set_max_buffered_amount;
///   where lanes are used also: lane 0 is full, or 65536 messages wait); OUT_OF_MEMORY.
FW_API fw_result fw_socket_send_text(struct fw_socket socket, const char *text, size_t len);

/// Sends a binary message.
///
/// Like fw_socket_send_text, without the UTF-8 validation: above 64 KiB, prefer
/// fw_socket_send_binary_segment.
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param data The payload, len bytes; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, less than 1 GiB; may be 0.
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (as fw_socket_send_text); OUT_OF_MEMORY.
FW_API fw_result fw_socket_send_binary(struct fw_socket socket, const void *data, size_t len);

/// Sends a text message with flags, otherwise like fw_socket_send_text.
///
/// In browsers, FW_SEND_UNCOMPRESSED has no effect.
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param text UTF-8, len bytes, no NUL needed; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, less than 1 GiB; may be 0.
/// \param flags fw_send_flags, combined with |. With a reserved bit the text is not validated.
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL, unknown flags, reserved bits that
///   were not offered); INVALID_UTF8; INVALID_STATE (not open); TOO_LARGE; WOULD_BLOCK (the send
///   queue is full); OUT_OF_MEMORY.
FW_API fw_result fw_socket_send_text_with(struct fw_socket socket, const char *text, size_t len,
                                          fw_send_flags flags);

/// Sends a binary message with flags, otherwise like fw_socket_send_binary.
///
/// In browsers, FW_SEND_UNCOMPRESSED has no effect.
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param data The payload, len bytes; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, less than 1 GiB; may be 0.
/// \param flags fw_send_flags, combined with |.
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL, unknown flags, reserved bits that
///   were not offered); INVALID_STATE (not open); TOO_LARGE; WOULD_BLOCK (as fw_socket_send_text);
///   OUT_OF_MEMORY.
FW_API fw_result fw_socket_send_binary_with(struct fw_socket socket, const void *data, size_t len,
                                            fw_send_flags flags);

/// Sends a text message from a segment, without a copy if the caller holds its last reference.
///
/// Validates the text. Consumes one reference to the segment, even on failure: without another
/// reference, do not access the bytes after the call.
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param segment UTF-8, in a segment from fw_buffer_get or a retained one.
/// \returns OK (queued); INVALID_HANDLE (socket, or the caller holds no reference to the segment);
///   INVALID_ARGUMENT (range outside of the segment); INVALID_UTF8; INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (as fw_socket_send_text); OUT_OF_MEMORY.
FW_API fw_result fw_socket_send_text_segment(struct fw_socket socket, struct fw_segment segment);

/// Sends a binary message from a segment, without a copy if the caller holds its last reference.
///
/// Like fw_socket_send_text_segment, without the UTF-8 validation.
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param segment A segment from fw_buffer_get or a retained one.
/// \returns OK (queued); INVALID_HANDLE (socket, or the caller holds no reference to the segment);
///   INVALID_ARGUMENT (range outside of the segment); INVALID_STATE (not open); TOO_LARGE;
///   WOULD_BLOCK (as fw_socket_send_text); OUT_OF_MEMORY.
FW_API fw_result fw_socket_send_binary_segment(struct fw_socket socket, struct fw_segment segment);

/// Sends a ping with a payload of the caller.
///
/// The server's pong has the same payload. To detect lost connections, use
/// fw_socket_set_start_ping_thread (keepalive pings) instead.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
/// \param socket The socket, open.
/// \param data The payload, len bytes; may be NULL when len is 0; not used after the call.
/// \param len Length in bytes, 0 to 125.
/// \returns OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); TOO_LARGE; INVALID_STATE (not
///   open); WOULD_BLOCK (16 pings are queued); OUT_OF_MEMORY.
FW_API fw_result fw_socket_ping(struct fw_socket socket, const void *data, size_t len);

/// Returns the size of the send queue: payload bytes not yet passed to the network.
/// \returns The size in bytes; 0 for an invalid handle.
FW_API size_t fw_socket_buffered_amount(struct fw_socket socket);

/// Sets the limit of the send queue (backpressure).
///
/// While fw_socket_buffered_amount is at or above the limit, send functions queue nothing and
/// return WOULD_BLOCK. One message may exceed the limit.
/// \param socket The socket, in any state.
/// \param bytes Limit in bytes; default 64 MiB (67108864); 0 means 1.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_set_max_buffered_amount(struct fw_socket socket, size_t bytes);

/// Returns the name of an outcome, such as "FW_OUTCOME_SENT".
/// \param outcome Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_outcome.
/// \since 0.2.0
FW_API const char *fw_outcome_name(fw_outcome outcome);

/// Initializes a message with the defaults: binary, empty, lane 0, no options.
/// \param message Written to; NULL does nothing.
/// \param struct_size sizeof(fw_message).
/// \since 0.2.0
FW_API void fw_message_init(struct fw_message *message, size_t struct_size);

/// Sends a message with delivery options: lane, key, time to live, tag.
///
/// From the first call on, or from fw_socket_set_lanes, all messages of the socket wait in its lanes
/// until they begin: until their first byte is prepared for the network. At most 16 KiB are prepared
/// ahead, so a message of a lane with a lower priority number overtakes all but these. Only what has
/// not begun can expire or be replaced. Messages of one lane keep the order of the calls.
///
/// WebSocket messages cannot be interleaved (RFC 6455 section 5.4): a large message that has begun
/// holds up all lanes, except for control frames. Send large data in parts, or over another socket.
///
/// A replacement keeps the place of the message it replaces, so that a key that is replaced faster
/// than the queue drains is still sent. If it is not longer, it is accepted even if the queue is
/// full. What is dropped leaves fw_socket_buffered_amount at once. Compression and extensions run
/// when a message begins.
///
/// Each accepted tag is reported once, in the event sent (fw_socket_on_sent), before the terminal
/// event and never inside this call. With queue_sends of fw_reconnect, keys and times to live also
/// work while connecting. After fw_socket_close the waiting messages are sent, by priority, before
/// the close frame; those that the close timeout cuts off are lost.
///
/// In browsers, 64 KiB are given to the browser ahead, in polls only; FW_OUTCOME_SENT is reported then.
/// \param socket The socket, open, or connecting with queue_sends of fw_reconnect.
/// \param message Initialized with fw_message_init, not NULL; not used after the call.
/// \returns OK (queued); INVALID_HANDLE (socket, or the caller holds no reference to the segment);
///   INVALID_ARGUMENT (NULL, struct_size, opcode, flags or lane, reserved bits that were not offered,
///   or data is NULL); NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_UTF8
///   (not checked with a reserved bit in flags); INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (the send queue or the lane is full, 65536 messages wait, or the event
///   queue has no room for the outcome); OUT_OF_MEMORY.
/// \since 0.2.0
FW_API fw_result fw_socket_send(struct fw_socket socket, const struct fw_message *message);

/// Initializes a lane with the defaults.
/// \param lane Written to; NULL does nothing.
/// \param struct_size sizeof(fw_lane).
/// \since 0.2.0
FW_API void fw_lane_init(struct fw_lane *lane, size_t struct_size);

/// Sets the lanes of a socket, in which messages wait until they begin; see fw_socket_send.
///
/// Lanes of equal priority share the connection by weight, counted in bytes with frame headers; an
/// idle lane earns no credit. Takes effect at any time: waiting messages stay in their lanes. The
/// lanes remain when the socket is opened again.
///
/// Where lanes are used, the socket keeps little that is not sent in the kernel: TCP_NOTSENT_LOWAT
/// is 16 KiB on Linux, Android, macOS and iOS, SO_SNDBUF elsewhere.
/// \param socket The socket, in any state.
/// \param lanes count structs initialized with fw_lane_init, all with the same struct_size, copied;
///   may be NULL when count is 0.
/// \param count Number of lanes, 0 to 8; 0 is the same as one lane with the defaults.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size, or a number out of range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (a lane that
///   would be removed has waiting messages).
/// \since 0.2.0
FW_API fw_result fw_socket_set_lanes(struct fw_socket socket, const struct fw_lane *lanes,
                                     size_t count);

/// Initializes the counts of a lane: all zero.
/// \param stats Written to; NULL does nothing.
/// \param struct_size sizeof(fw_lane_stats).
/// \since 0.2.0
FW_API void fw_lane_stats_init(struct fw_lane_stats *stats, size_t struct_size);

/// Returns the counts of a lane.
/// \param socket The socket, in any state.
/// \param lane The lane, from 0.
/// \param out Initialized with fw_lane_stats_init; receives the numbers; not NULL.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size, or the socket has no such lane).
/// \since 0.2.0
FW_API fw_result fw_socket_lane_stats(struct fw_socket socket, uint32_t lane,
                                      struct fw_lane_stats *out);

/// Initializes the conditions of a link with the defaults: a perfect link.
/// \param link Written to; NULL does nothing.
/// \param struct_size sizeof(fw_link).
/// \since 0.2.0
FW_API void fw_link_init(struct fw_link *link, size_t struct_size);

/// Simulates a bad network: delay, jitter, a limited data rate, stalls and failures.
///
/// The link is between TCP and TLS, so it delays dialling and handshakes too. It keeps the order of the
/// bytes, holds at most 4 MiB in each direction, and then stops reading or accepting. Takes effect at any
/// time; bytes in flight keep their time of arrival. A socket without a link has no overhead.
///
/// Over HTTP/2 a socket with a link has a connection of its own. If it shares one already, the link
/// applies to its next connection.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_LINK).
/// \param socket The socket, in any state; the zero handle for every socket, those that exist and those
///   that are created until fw_shutdown.
/// \param link Initialized with fw_link_init, copied; NULL disables the link (the default).
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a value out of range); NOT_SUPPORTED (in
///   browsers, or a field is set that only a newer library knows).
/// \since 0.2.0
FW_API fw_result fw_socket_set_link(struct fw_socket socket, const struct fw_link *link);

/// Initializes the options of a capture with the defaults.
/// \param capture Written to; NULL does nothing.
/// \param struct_size sizeof(fw_capture).
/// \since 0.2.0
FW_API void fw_capture_init(struct fw_capture *capture, size_t struct_size);

/// Captures the traffic of a socket to a pcapng file, which Wireshark opens.
///
/// Ends an earlier capture of the socket. Applies to connections that start from now on:
/// fw_socket_open, redirects and reconnects. A connection that is open now is not captured. Sockets with
/// the same path share one file, with the options of the first; a file that exists is replaced. The
/// file is complete when the last of them has ended its capture or was destroyed, or after fw_shutdown.
///
/// The file contains what was sent and received, above TLS and HTTP/2, as synthetic TCP connections with
/// one segment for each frame. A thread of the library creates and writes it. The queue to it holds up to
/// 8 MiB; what does not fit is counted in the file instead of being written, and the socket never waits.
/// If the file cannot be created or written, or reaches its limit, that is logged, the capture ends, and
/// the socket continues.
///
/// The values of Authorization, Proxy-Authorization, Cookie and Set-Cookie are replaced, unless
/// include_secrets is set. URLs with their queries, other header fields and messages are not. On Unix, a
/// file that is created is readable by its owner only.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_CAPTURE).
/// \param socket The socket, in any state; the zero handle for every socket, those that exist and those
///   that are created until fw_shutdown.
/// \param path The file, UTF-8, copied; NULL ends the capture.
/// \param options Initialized with fw_capture_init, copied; NULL for the defaults.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (path empty or not UTF-8, struct_size); NOT_SUPPORTED (in
///   browsers, or a field is set that only a newer library knows); OUT_OF_MEMORY (no thread can be
///   started); SHUT_DOWN.
/// \since 0.2.0
FW_API fw_result fw_socket_set_capture(struct fw_socket socket, const char *path,
                                       const struct fw_capture *options);

/// Allocates a segment from the pool, with one reference.
///
/// The caller may write its bytes, which are uninitialized, and those of the block before offset.
/// They leave room for a frame header, so that the segment can be sent without a copy. To send
/// fewer bytes, narrow offset and count.
/// \param size Size in bytes, may be 0; at most 2 GiB less 17.
/// \param out Receives the segment; not NULL.
/// \returns OK; INVALID_ARGUMENT (NULL); TOO_LARGE; OUT_OF_MEMORY.
FW_API fw_result fw_buffer_get(size_t size, struct fw_segment *out);

/// Adds a reference to a segment.
///
/// Inside a callback, or before the event is released, it keeps a received payload without a copy.
/// Every reference ends with fw_segment_release, or when the segment is sent.
/// \param segment A valid segment.
/// \returns OK; INVALID_HANDLE (already released, or never valid); INVALID_STATE (2^32 references).
FW_API fw_result fw_segment_retain(struct fw_segment segment);

/// Releases one reference to a segment.
///
/// Do not access the bytes after the last reference is released. Releasing too often is safe: the
/// call returns INVALID_HANDLE.
/// \param segment A segment that the caller holds a reference to.
/// \returns OK; INVALID_HANDLE (the caller holds no reference).
FW_API fw_result fw_segment_release(struct fw_segment segment);

/// Initializes the struct for fw_buffer_pool_stats.
/// \param stats Written to; NULL does nothing.
/// \param struct_size sizeof(fw_pool_stats).
/// \since 0.2.0
FW_API void fw_pool_stats_init(struct fw_pool_stats *stats, size_t struct_size);

/// Returns the statistics of the payload pool.
/// \param out Initialized with fw_pool_stats_init, not NULL; receives the numbers.
/// \returns OK; INVALID_ARGUMENT (NULL, struct_size).
FW_API fw_result fw_buffer_pool_stats(struct fw_pool_stats *out);

/// Frees the blocks that the pool keeps for reuse.
///
/// For moments when memory matters more than the next allocations, such as a level change.
FW_API void fw_buffer_pool_trim(void);

/// Sets the Origin header field of the upgrade request.
///
/// Some servers require it. Replaces an Origin set before, also by fw_socket_add_header.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
/// \param socket The socket, closed.
/// \param origin NUL-terminated visible ASCII such as `https://example.org`, copied; "" (the
///   default) for none.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a legal value, more than 64 header
///   fields, or 32 KiB of names and values in total); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_origin(struct fw_socket socket, const char *origin);

/// Offers a subprotocol.
///
/// May be called several times; the server selects at most one, see fw_socket_protocol.
/// \param socket The socket, closed.
/// \param protocol NUL-terminated token (letters, digits and ``!#$%&'*+-.^_`|~``), copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a token, or already offered); TOO_LARGE
///   (more than 64, or 32 KiB in total); INVALID_STATE (not closed).
FW_API fw_result fw_socket_add_protocol(struct fw_socket socket, const char *protocol);

/// Adds a header field to the upgrade request.
///
/// A field with the same name is added again, except Authorization, Origin and User-Agent, which
/// are replaced. The default User-Agent is "Framewire/" and the version, also for an HTTP proxy;
/// fw_request_remove_header removes it.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
/// \param socket The socket, closed.
/// \param name NUL-terminated token, copied. Refused are Host, Connection, Upgrade, Content-Length,
///   Transfer-Encoding, TE, Trailer, Keep-Alive, Proxy-Connection, Expect, HTTP2-Settings and all
///   that begin with Sec-WebSocket-.
/// \param value NUL-terminated visible ASCII, spaces and tabs inside, copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a legal field, a refused name,
///   more than 64 fields, or 32 KiB of names and values in total); INVALID_STATE (not closed).
FW_API fw_result fw_socket_add_header(struct fw_socket socket, const char *name, const char *value);

/// Sets basic authentication for the upgrade request (RFC 7617).
///
/// Replaces any other authorization, also that in the URL. Not encrypted over ws.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
/// \param socket The socket, closed.
/// \param user NUL-terminated UTF-8 without colons and control characters, copied.
/// \param password NUL-terminated UTF-8 without control characters, copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not as above, or more header fields
///   than fw_socket_add_header accepts); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_basic_auth(struct fw_socket socket, const char *user,
                                          const char *password);

/// Sets a bearer token for the upgrade request (RFC 6750).
///
/// Replaces any other authorization. Not encrypted over ws.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HEADERS).
/// \param socket The socket, closed.
/// \param token NUL-terminated letters, digits and `-._~+/=:`, not empty, copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not as above, or more header fields
///   than fw_socket_add_header accepts); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_bearer_auth(struct fw_socket socket, const char *token);

/// Sets the size above which messages are sent as several frames.
///
/// Control frames are sent between fragments. Applies to messages sent from now on.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_FRAGMENTS).
/// \param socket The socket, in any state.
/// \param bytes 16 to 2 GiB less one; default 32767.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (out of range).
FW_API fw_result fw_socket_set_max_fragment_size(struct fw_socket socket, size_t bytes);

/// Sets the HTTP version of the upgrade.
///
/// Over HTTP/2, sockets with the same server and the same fw_tls share connections. When all
/// streams that the server allows (SETTINGS_MAX_CONCURRENT_STREAMS) are in use, another connection
/// is made; while the server allows none yet, sockets wait up to the connect timeout.
///
/// With FW_HTTP_AUTO, the request is retried once over HTTP/1.1, at once, when
/// - the server does not support WebSockets over HTTP/2 (RFC 8441 section 3);
/// - it resets the stream with PROTOCOL_ERROR or HTTP_1_1_REQUIRED, or twice with another code;
/// - it responds 400, 405, 421, 426, 501, 505, or another 5xx without Retry-After, as gateways do
///   that announce WebSockets over HTTP/2 and have an HTTP/1.1 backend.
///
/// internal_request_created is called again before the retry. Other responses such as 401, 403,
/// 404, 407 and 429 are final, as over HTTP/1.1. If HTTP/1.1 succeeds, it is used for this server
/// for the next ten minutes, and whenever this socket reconnects. With FW_HTTP_2 all of these end
/// in the event error. One attempt makes at most three connections: HTTP/2, HTTP/2 again if the
/// first was lost before the response, and HTTP/1.1.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_HTTP_VERSION).
/// \param socket The socket, closed.
/// \param version Default FW_HTTP_AUTO.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (not in fw_http); INVALID_STATE (not closed);
///   NOT_SUPPORTED (FW_HTTP_2 in a build without it).
FW_API fw_result fw_socket_set_http_version(struct fw_socket socket, fw_http version);

/// Sets the maximum size of a received message, after decompression.
///
/// A larger one ends the connection with close code 1009 and the event error.
///
/// In browsers, a larger message is in memory before it is refused, and the close frame has no
/// code.
/// \param socket The socket, closed.
/// \param bytes 1 to 2 GiB less one; default 64 MiB (67108864).
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (out of range); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_max_message_size(struct fw_socket socket, size_t bytes);

/// Enables keepalive pings (a heartbeat).
///
/// They also measure fw_socket_latency_us. The worker thread sends them; no thread is started.
/// Without them only TCP detects a dead peer, within 20 to 30 seconds.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
/// \param socket The socket, in any state.
/// \param enable Default false.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_socket_set_start_ping_thread(struct fw_socket socket, bool enable);

/// Sets the interval of keepalive pings.
///
/// Effective with fw_socket_set_start_ping_thread. The pings of all sockets are aligned to multiples
/// of their interval, so that they need one wakeup together; the first one may follow sooner than one
/// interval.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
/// \param socket The socket, in any state.
/// \param milliseconds At least 10; default 1000.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (less than 10).
FW_API fw_result fw_socket_set_ping_frequency(struct fw_socket socket, uint32_t milliseconds);

/// Sets the keepalive timeout: how long a ping may stay unanswered while nothing else is received.
///
/// After it the connection ends with the event error and FW_ERROR_KIND_PING_TIMEOUT. Effective with
/// fw_socket_set_start_ping_thread.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PING).
/// \param socket The socket, in any state.
/// \param milliseconds At least 1; default 2000.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (0).
FW_API fw_result fw_socket_set_close_after_no_message(struct fw_socket socket,
                                                      uint32_t milliseconds);

/// Sets the timeout from fw_socket_open to the event open.
///
/// Includes name resolution, TCP, proxy, TLS, redirects and upgrade. After it the event error
/// follows with FW_ERROR_KIND_TIMED_OUT and the phase that timed out.
/// \param socket The socket, closed.
/// \param milliseconds At least 1; default 20000.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (0); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_connect_timeout(struct fw_socket socket, uint32_t milliseconds);

/// Sets the timeout of the closing handshake.
///
/// After it the event closed follows with code 1006.
/// \param socket The socket, closed.
/// \param milliseconds At least 1; default 5000.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (0); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_close_timeout(struct fw_socket socket, uint32_t milliseconds);

/// Sets the TLS settings for wss: URLs.
///
/// Sockets with the same fw_tls share its session cache and resume sessions faster. The socket
/// keeps the settings alive; later changes apply when it is opened again. By default all sockets
/// share settings with webpki roots and verification on.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_TLS_SETTINGS).
/// \param socket The socket, closed.
/// \param tls The settings.
/// \returns OK; INVALID_HANDLE (either handle); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_tls(struct fw_socket socket, struct fw_tls tls);

/// Sets a key and value that are added to every log line of the socket.
///
/// For example a match or player ID. Replaces the value of the same key.
/// \param socket The socket, in any state.
/// \param key NUL-terminated UTF-8 of 1 to 64 bytes, copied.
/// \param value NUL-terminated UTF-8 of at most 256 bytes, copied; "" removes the key.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or too long); TOO_LARGE (more than 32
///   keys).
FW_API fw_result fw_socket_set_context(struct fw_socket socket, const char *key, const char *value);

/// Sets the proxy.
///
/// By default the environment variables are read when the socket opens: HTTP_PROXY for ws,
/// HTTPS_PROXY for wss, ALL_PROXY for both; lower-case names take precedence. NO_PROXY lists hosts
/// that are connected to directly: names, addresses, and CIDR blocks such as 10.0.0.0/8, which
/// match literal addresses. A variable that is not usable is ignored with a warning in the log.
///
/// HTTP proxies are used with CONNECT, for ws and wss. With socks5 the server's name is resolved
/// locally, with socks5h and socks by the proxy. With https the connection to the proxy uses TLS,
/// with the roots and certificate authorities of the socket's TLS settings, without their pins and
/// client certificate. A proxy failure ends in the event error with FW_PHASE_PROXY. The time counts
/// towards the connect timeout and connect_us of fw_stats.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_PROXY).
/// \param socket The socket, closed.
/// \param url NUL-terminated http, https, socks5, socks5h or socks URL, such as
///   "http://user:password@host:3128", copied; without a scheme it is http, without a port 80, 443 or
///   1080. NULL (the default) for the environment, "" for no proxy.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (not UTF-8); INVALID_URL; NOT_SUPPORTED (https in
///   a build without TLS); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_proxy(struct fw_socket socket, const char *url);

/// Sets the maximum number of redirects.
///
/// Follows 301, 302, 303, 307 and 308, also with relative targets, within the connect timeout, and
/// calls internal_request_created before each. Targets are parsed as in browsers: characters that
/// are not allowed in a URL are percent-encoded. A redirect from wss to ws is never followed. A
/// redirect that is not followed ends in the event error with its status; fw_socket_url returns the
/// last URL used.
///
/// User and password of the URL, Authorization, Cookie and Proxy-Authorization are sent to the same
/// origin, and to the same host after a redirect from ws to wss. For other servers they are
/// dropped, and the error of a later 401 or 403 says so.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_REDIRECTS).
/// \param socket The socket, closed.
/// \param count Per fw_socket_open; default 0.
/// \returns OK; INVALID_HANDLE; INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_max_redirects(struct fw_socket socket, uint32_t count);

/// Enables cookies (RFC 6265).
///
/// Stores the cookies of upgrade responses and redirects and sends them with later requests, also
/// after reconnects and a new fw_socket_open, for the lifetime of the socket. A Cookie field of
/// fw_socket_add_header takes precedence. Keeps at most 64 cookies and 16 KiB, the newest.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_COOKIES).
/// \param socket The socket, closed.
/// \param enable Default false; false also deletes the stored cookies.
/// \returns OK; INVALID_HANDLE; INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_cookies(struct fw_socket socket, bool enable);

/// Initializes a reconnect policy with the defaults, enabled.
/// \param reconnect Written to; NULL does nothing.
/// \param struct_size sizeof(fw_reconnect).
FW_API void fw_reconnect_init(struct fw_reconnect *reconnect, size_t struct_size);

/// Sets the reconnect policy: whether and when to retry after a failed or lost connection.
///
/// Retries after retriable errors; never after a closing handshake, fw_socket_close or
/// fw_socket_abort. The event reconnecting replaces error and contains the number of the retry,
/// from 1, and its delay: random between min_delay_ms and min_delay_ms times 2 to the power of that
/// number, at most max_delay_ms, counted after the time that Retry-After asks for (at most 10
/// minutes). When the retries are used up or an error is not retriable, error or closed follows.
///
/// Until the next event open the state is FW_STATE_CONNECTING, and sends return INVALID_STATE or,
/// with queue_sends, are queued up to fw_socket_set_max_buffered_amount, also over failed attempts,
/// redirects and the fallback to HTTP/1.1. Messages that were accepted while open and not sent before
/// the loss are lost. Messages sent once the new connection is open
/// are sent over it, even before the event open is delivered. Each retry uses the socket's own URL
/// and settings, calls internal_request_created and has its own connect timeout.
///
/// After a network change, a new connection may replace the old one without a pause: see
/// fw_network_changed.
/// \param socket The socket, closed.
/// \param reconnect Initialized with fw_reconnect_init, copied; NULL disables reconnecting (the
///   default).
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a delay out of range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_reconnect(struct fw_socket socket,
                                         const struct fw_reconnect *reconnect);

/// Initializes compression settings with the defaults.
/// \param compression Written to; NULL does nothing.
/// \param struct_size sizeof(fw_compression).
FW_API void fw_compression_init(struct fw_compression *compression, size_t struct_size);

/// Sets how messages are compressed.
///
/// On by default with the values of fw_compression_init. Used if the server accepts it, see
/// fw_socket_extensions. The maximum message size applies during decompression.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_COMPRESSION_SETTINGS).
/// \param socket The socket, closed.
/// \param compression Initialized with fw_compression_init, copied; NULL disables compression.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a value out of range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed).
FW_API fw_result fw_socket_set_compression(struct fw_socket socket,
                                           const struct fw_compression *compression);

/// Initializes an extension: all zero and NULL.
/// \param extension Written to; NULL does nothing.
/// \param struct_size sizeof(fw_extension).
FW_API void fw_extension_init(struct fw_extension *extension, size_t struct_size);

/// Adds a custom extension to a socket.
///
/// Extensions are offered, and encode messages, in the order in which they were added, before
/// permessage-deflate; received messages are decoded in the reverse order. If the server accepts
/// two that use the same reserved bit, connecting fails with FW_ERROR_KIND_EXTENSION.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_EXTENSIONS).
/// \param socket The socket, closed.
/// \param extension Initialized with fw_extension_init, not NULL; copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size, rsv over 7, no
///   add_negotiation); NOT_SUPPORTED (a field is set that only a newer library knows);
///   INVALID_STATE (not closed); TOO_LARGE (more than 8). On failure, destroy is not called.
FW_API fw_result fw_socket_add_extension(struct fw_socket socket,
                                         const struct fw_extension *extension);

/// Offers an extension whose messages the program encodes and decodes itself, on its own thread.
///
/// For programs that take events with fw_next_event, and for languages whose code cannot run on worker
/// threads; otherwise see fw_socket_add_extension. If the server has accepted the offer,
/// fw_socket_extensions contains its element after FW_EVENT_OPEN. Then encode messages and send them
/// with fw_socket_send_text_with, fw_socket_send_binary_with or fw_socket_send and the reserved bits
/// in flags. Received messages that have one of the bits are delivered as FW_EVENT_ENCODED, always
/// complete; they have no callback and are discarded by fw_poll and by a socket that runs callbacks
/// on its worker thread.
///
/// The order is that of fw_socket_add_extension: those added before do not see these messages, those
/// added later, and permessage-deflate, process them after encode and before decode. If the server has
/// not accepted the offer, a message with its bits ends the connection with FW_ERROR_KIND_EXTENSION.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_EXTENSIONS).
/// \param socket The socket, closed.
/// \param offer The element for Sec-WebSocket-Extensions, such as "x-xor; key=7", NUL-terminated,
///   not NULL; copied. Sent with every upgrade request.
/// \param rsv Reserved bits that mark its messages: RSV1 is 4, RSV2 is 2, RSV3 is 1; at least one.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, an invalid element, rsv); INVALID_STATE (not
///   closed); TOO_LARGE (more than 8 extensions).
/// \since 0.2.0
FW_API fw_result fw_socket_offer_extension(struct fw_socket socket, const char *offer,
                                           uint32_t rsv);

/// Creates TLS settings with webpki roots, verification on and their own session cache.
///
/// Not available in browsers: returns NOT_SUPPORTED (FW_CAPABILITY_TLS_SETTINGS).
/// \param out Receives the handle; not NULL.
/// \returns OK; INVALID_ARGUMENT (NULL); NOT_SUPPORTED (a build without TLS); OUT_OF_MEMORY.
FW_API fw_result fw_tls_create(struct fw_tls *out);

/// Adds trusted certificates.
///
/// For test servers and private networks. Each certificate is trusted as a certificate authority,
/// and also as the server's own certificate if the server presents exactly this one (its dates and
/// names are checked): self-signed certificates work, even marked as a CA, as openssl req -x509
/// makes them. May be called several times.
/// \param tls The settings.
/// \param pem One or more certificates in PEM format: the content of a file, not its path. No NUL
///   needed; copied.
/// \param len Size of pem in bytes.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or no usable certificate; then none is
///   added).
FW_API fw_result fw_tls_add_ca_pem(struct fw_tls tls, const char *pem, size_t len);

/// Sets the client certificate for servers that request one.
///
/// Replaces the previous one.
/// \param tls The settings.
/// \param cert_pem The certificate and its chain in PEM format; copied.
/// \param cert_len Size of cert_pem in bytes.
/// \param key_pem The private key in PEM format (PKCS#8, SEC1 or PKCS#1, not encrypted); copied.
/// \param key_len Size of key_pem in bytes.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, nothing usable, or a key that does not
///   match).
FW_API fw_result fw_tls_set_client_cert_pem(struct fw_tls tls, const char *cert_pem,
                                            size_t cert_len, const char *key_pem, size_t key_len);

/// Pins a public key: only servers with a pinned key are accepted.
///
/// In addition to normal verification. With FW_ROOTS_NONE and no added certificate, a matching pin
/// replaces the check of the issuer; dates, extended key usage and names are still checked. With
/// several pins, one must match. Compared with the key of the server's own certificate, not of an
/// intermediate. Not applied to proxies.
/// \param tls The settings.
/// \param pin SHA-256 of the certificate's SubjectPublicKeyInfo, 32 bytes; copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL).
FW_API fw_result fw_tls_add_pin_sha256(struct fw_tls tls, const uint8_t *pin);

/// Sets which root certificates are trusted.
/// \param tls The settings.
/// \param roots Default FW_ROOTS_WEBPKI.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (not in fw_roots).
FW_API fw_result fw_tls_set_roots(struct fw_tls tls, fw_roots roots);

/// Disables certificate verification.
///
/// For development only: a man in the middle can read and change everything.
/// \param tls The settings.
/// \param enable Default false.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_tls_set_insecure(struct fw_tls tls, bool enable);

/// Writes TLS session keys to the file named by the environment variable SSLKEYLOGFILE.
///
/// For development only: tools such as Wireshark can then decrypt the traffic.
/// \param tls The settings.
/// \param enable Default false.
/// \returns OK; INVALID_HANDLE.
FW_API fw_result fw_tls_set_key_log(struct fw_tls tls, bool enable);

/// Destroys the handle.
///
/// Sockets that use the settings keep them.
/// \returns OK; INVALID_HANDLE (already destroyed).
FW_API fw_result fw_tls_destroy(struct fw_tls tls);

/// Hands over the Java VM of an Android app.
///
/// With it, FW_ROOTS_PLATFORM honours the app's network security configuration (base-config):
/// authorities that the user has installed are trusted if the configuration says so. Without it,
/// and if Java fails, FW_ROOTS_PLATFORM reads the system's certificate folders: authorities of the
/// system are trusted unless the user has turned them off, installed ones are not, as is Android's
/// default. Optional; call it before the first connection with FW_ROOTS_PLATFORM. The VM is kept
/// until the process ends; a second call has no effect, also from another thread.
///
/// Only on Android: elsewhere returns NOT_SUPPORTED (FW_CAPABILITY_ANDROID).
/// \param java_vm The JavaVM * of this process, as JNI_OnLoad gets it; not NULL. Other pointers
///   cannot be detected.
/// \param application_context The application's android.content.Context as a jobject, of any kind of
///   reference; not NULL. Not used after the call.
/// \returns OK; INVALID_ARGUMENT (NULL); NOT_SUPPORTED (not Android).
/// \since 0.2.0
FW_API fw_result fw_android_init(void *java_vm, void *application_context);

/// Returns the name of a state, such as "FW_STATE_OPEN".
/// \param state Any number.
/// \returns A static string, never NULL; "UNKNOWN" for a number that is not in fw_state.
/// \since 0.2.0
FW_API const char *fw_state_name(fw_state state);

/// Returns the state of the socket.
/// \returns The state; FW_STATE_UNKNOWN for an invalid handle.
FW_API fw_state fw_socket_state(struct fw_socket socket);

/// Returns whether messages can be sent.
/// \returns true in FW_STATE_OPEN; false otherwise, and for an invalid handle.
FW_API bool fw_socket_is_open(struct fw_socket socket);

/// Returns the smoothed round-trip time of keepalive pings.
///
/// Measured with fw_socket_set_start_ping_thread, and by the pings of fw_network_changed and
/// fw_resume.
///
/// In browsers: -1.
/// \returns Microseconds; -1 before the first pong, and for an invalid handle.
FW_API int64_t fw_socket_latency_us(struct fw_socket socket);

/// Returns when the last message was received.
/// \returns Unix time in microseconds; 0 if none was received, and for an invalid handle.
FW_API uint64_t fw_socket_last_message_received(struct fw_socket socket);

/// Copies the subprotocol that the server selected.
/// \param socket The socket.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of the whole text without the NUL; 0 if none was selected, before the event
///   open, and for an invalid handle.
FW_API size_t fw_socket_protocol(struct fw_socket socket, char *buf, size_t cap);

/// Copies the extensions that the server accepted, as it wrote them.
/// \param socket The socket.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of the whole text without the NUL; 0 if there are none, before the event
///   open, and for an invalid handle.
FW_API size_t fw_socket_extensions(struct fw_socket socket, char *buf, size_t cap);

/// Returns the HTTP version of the upgrade.
///
/// In browsers: 0.
/// \returns 1 or 2; 0 before the response, and for an invalid handle.
FW_API uint32_t fw_socket_http_version(struct fw_socket socket);

/// Returns the HTTP status of the response to the upgrade request.
///
/// Available until the socket is opened again.
///
/// In browsers: 0.
/// \returns The status, 101 after a successful upgrade; 0 before the response, and for an invalid
///   handle.
FW_API uint16_t fw_socket_response_status(struct fw_socket socket);

/// Copies a header field of the response to the upgrade request.
///
/// If the name occurs several times, the first one: fw_socket_response_headers() has all. Available until
/// the socket is opened again.
///
/// In browsers: 0.
/// \param socket The socket.
/// \param name NUL-terminated, case-insensitive; borrowed for the call.
/// \param buf Receives the value, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of the whole value without the NUL; 0 also if there is no such field, before
///   the response, if name is NULL, and for an invalid handle.
FW_API size_t fw_socket_response_header(struct fw_socket socket, const char *name, char *buf,
                                        size_t cap);

/// Copies all header fields of the response to the upgrade request.
///
/// Each field is a line "name: value" that ends with a line feed, which neither can contain. In the
/// order received; names as the server wrote them, in lower case over HTTP/2. A name can occur several
/// times (RFC 9110 section 5.2), as Set-Cookie often does. Available until the socket is opened again.
///
/// In browsers: 0.
/// \param socket The socket.
/// \param buf Receives the lines, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of all lines without the NUL; 0 before the response, and for an invalid handle.
FW_API size_t fw_socket_response_headers(struct fw_socket socket, char *buf, size_t cap);

/// Copies the beginning of the body of a refused upgrade.
///
/// At most 1024 bytes, decoded; they may contain NULs. Available from the event error until the
/// socket is opened again.
///
/// In browsers: 0.
/// \param socket The socket.
/// \param buf Receives the bytes, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The number of bytes, 0 to 1024; 0 for an invalid handle.
FW_API size_t fw_socket_response_body(struct fw_socket socket, char *buf, size_t cap);

/// Copies the socket's URL, after redirects, normalized, without user and password.
/// \param socket The socket.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The length of the whole text without the NUL; 0 for an invalid handle.
FW_API size_t fw_socket_url(struct fw_socket socket, char *buf, size_t cap);

/// Initializes a struct for fw_socket_stats with zeros.
/// \param stats Written to; NULL does nothing.
/// \param struct_size sizeof(fw_stats).
/// \since 0.2.0
FW_API void fw_stats_init(struct fw_stats *stats, size_t struct_size);

/// Copies the statistics of the socket.
/// \param socket The socket.
/// \param out Initialized with fw_stats_init; receives the numbers; not NULL.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size).
FW_API fw_result fw_socket_stats(struct fw_socket socket, struct fw_stats *out);

/// Copies out the URL of the request, without user and password.
/// \param request The request.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The full length without the NUL; 0 for an invalid handle.
FW_API size_t fw_request_url(struct fw_request request, char *buf, size_t cap);

/// Returns the HTTP version of the request.
/// \returns 1 or 2; 0 for an invalid handle.
FW_API uint32_t fw_request_http_version(struct fw_request request);

/// Returns the number of the upgrade request since fw_socket_open, from 1.
///
/// Redirects, reconnects and the fallback to HTTP/1.1 count. It is not the attempt of the event
/// reconnecting, which starts again after each success.
/// \returns The number; 0 for an invalid handle.
FW_API uint32_t fw_request_attempt(struct fw_request request);

/// Sets a header field of the request; replaces all fields of that name.
/// \param request The request.
/// \param name NUL-terminated token, not one that fw_socket_add_header refuses; copied.
/// \param value NUL-terminated visible ASCII, with spaces and tabs inside; copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, invalid name or value, a refused
///   name, more than 64 fields, or 32 KiB of names and values in total).
FW_API fw_result fw_request_set_header(struct fw_request request, const char *name,
                                       const char *value);

/// Adds a header field to the request.
///
/// A name that is already present is sent twice, except Authorization, Origin and User-Agent, which
/// are replaced.
/// \param request The request.
/// \param name NUL-terminated token, not one that fw_socket_add_header refuses; copied.
/// \param value NUL-terminated visible ASCII, with spaces and tabs inside; copied.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, invalid name or value, a refused
///   name, more than 64 fields, or 32 KiB of names and values in total).
FW_API fw_result fw_request_add_header(struct fw_request request, const char *name,
                                       const char *value);

/// Removes all header fields of a name from the request; none is not an error.
/// \param request The request.
/// \param name NUL-terminated token, case-insensitive, not one that the handshake sets, such as
///   Host or Upgrade.
/// \returns OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a token, set by the handshake).
FW_API fw_result fw_request_remove_header(struct fw_request request, const char *name);

/// Copies out a header field of the request: the first of that name that can be changed.
/// \param request The request.
/// \param name NUL-terminated, case-insensitive.
/// \param buf Receives the text, NUL-terminated; may be NULL when cap is 0.
/// \param cap Size of buf in bytes.
/// \returns The full length without the NUL; 0 if there is no such field, for NULL as name and for
///   an invalid handle.
FW_API size_t fw_request_header(struct fw_request request, const char *name, char *buf, size_t cap);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#ifdef __cplusplus
constexpr fw_send_flags operator|(fw_send_flags a, fw_send_flags b) {
    return static_cast<fw_send_flags>(static_cast<uint32_t>(a) | static_cast<uint32_t>(b));
}
constexpr fw_send_flags operator&(fw_send_flags a, fw_send_flags b) {
    return static_cast<fw_send_flags>(static_cast<uint32_t>(a) & static_cast<uint32_t>(b));
}
inline fw_send_flags &operator|=(fw_send_flags &a, fw_send_flags b) { return a = a | b; }
#endif  // __cplusplus

#endif  /* FRAMEWIRE_H */
