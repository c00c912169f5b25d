/*
 * Framewire: a WebSocket client for game engines.                                    framewire.h
 *
 * Generated from the source of the library; do not edit. SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Overview. fw_socket_create creates a socket, fw_socket_on_text and similar functions register
 * callbacks, fw_socket_open connects in the background, fw_poll once per frame runs the waiting
 * callbacks, fw_socket_send_text sends, fw_socket_close closes, fw_socket_destroy destroys the socket,
 * fw_shutdown stops the library.
 *
 * Delivery. Three modes, chosen per socket:
 *   poll    (default) callbacks run inside fw_poll and fw_socket_poll, on the calling thread, within the
 *           given budget.
 *   worker  fw_socket_set_dispatch: callbacks run on a worker thread of the library, as soon as possible.
 *   pull    fw_next_event and fw_next_events take events from the queue of poll mode; no callbacks.
 * The events of one socket are delivered in order, one at a time. Every fw_socket_open that returned OK
 * ends in exactly one terminal event, closed or error, after all messages received before it; only
 * fw_socket_destroy and fw_shutdown suppress it. After a protocol violation nothing more is read, but the
 * socket stays open until the messages received before it are delivered, at most for the close timeout,
 * so that replies to them are still sent. The finalizer runs exactly once, after the last callback, at
 * the latest before fw_shutdown returns. A callback may call any function, including fw_socket_destroy of
 * its own socket, except fw_shutdown, which is refused there. It must not throw or longjmp.
 *
 * Ownership. Handles are numbers and can be copied. Using a stale handle is safe: the call returns
 * INVALID_HANDLE. Strings passed in are copied; payloads are copied or borrowed for the duration of the
 * call. What a callback receives is read-only and valid until the callback returns; what an event contains
 * is valid until fw_event_release. fw_segment_retain keeps a payload longer, without a copy, until
 * fw_segment_release, even beyond fw_shutdown. Never free a returned pointer. Functions that copy text out
 * write at most cap bytes, NUL-terminated when cap > 0 and never with a partial character at the end, and
 * return the full length without the NUL; the buffer may be NULL when cap is 0.
 *
 * Threading. Every function may be called from any thread and inside any callback. None blocks, except
 * fw_wait and fw_shutdown, which are bounded by their timeouts. The log callback and the hooks of
 * fw_config are called on any thread.
 *
 * Structs that grow. A struct that begins with struct_size is initialized with fw_X_init(&x, sizeof x) and
 * may have more fields in another version. A program and a library with different sizes work together:
 * neither reads or writes beyond the smaller one, fields that only the library knows have their
 * defaults, and a field that only the program knows must be zero, else NOT_SUPPORTED. A struct_size
 * that ends within a field, before the first one or beyond 4096 bytes is INVALID_ARGUMENT. fw_event,
 * fw_error, fw_frame and fw_extension_frame keep their size and have reserved words instead, which
 * are zero; handles and fw_segment never change.
 *
 * Return values. The comments name results without FW_RESULT_. Any function may also return INTERNAL, an
 * internal error of the library. When the handle and another argument are invalid, the result is
 * INVALID_HANDLE. A failed call has no effect, except that a segment passed to a send function is always
 * consumed. fw_last_error describes the last failure of the calling thread.
 *
 * Memory. When allocation fails, functions that allocate payloads return OUT_OF_MEMORY and have no effect:
 * fw_buffer_get, fw_segment_retain and the send functions; functions that create a handle do so when the
 * handle table cannot grow. A connection that cannot allocate memory to receive into ends with an error
 * event. Any other allocation failure aborts the process ("memory allocation of N bytes failed" on
 * standard error).
 *
 * Caller requirements (not checked). A pointer that is not NULL points to valid memory: as many bytes as
 * the length next to it says, a NUL-terminated string, or a struct of the given type with at least
 * struct_size bytes. It stays valid until the call returns, and no other thread writes to it meanwhile.
 * Functions given to the library, and what their user_data points to, stay valid until the socket's
 * finalizer has run, or until fw_shutdown has returned OK for those of fw_set_log and fw_config; none of
 * them throws. Data of a callback or an event is not read after its end. Everything else is checked:
 * handles and numbers of any value, events and segments that are made up, copied or released twice.
 *
 * Limits and defaults.
 *   message received      64 MiB    fw_socket_set_max_message_size
 *   message sent           1 GiB
 *   fragment sent      32767 bytes  fw_socket_set_max_fragment_size
 *   send queue            64 MiB    fw_socket_set_max_buffered_amount; then sends give WOULD_BLOCK
 *   unread events          4 MiB    fw_config.event_queue_bytes, each socket; then it stops reading
 *   connecting         20000 ms     fw_socket_set_connect_timeout
 *   closing             5000 ms     fw_socket_set_close_timeout
 *   keepalive pings      off        fw_socket_set_start_ping_thread; every 1000 ms, lost after 2000 ms
 *   ping payload         125 bytes
 *   close reason         123 bytes
 */


#ifndef FRAMEWIRE_H
#define FRAMEWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version of this header; fw_version is that of the library. */
#define FW_VERSION_MAJOR 0
#define FW_VERSION_MINOR 2
#define FW_VERSION_PATCH 0
#define FW_VERSION (FW_VERSION_MAJOR << 16 | FW_VERSION_MINOR << 8 | FW_VERSION_PATCH)
#define FW_VERSION_STRING "0.2.0"

/* Stands before every function. Define FW_SHARED where the library is linked as a DLL. */
#ifndef FW_API
#if defined(_WIN32) && defined(FW_SHARED)
#define FW_API __declspec(dllimport)
#else
#define FW_API
#endif
#endif

/* The calling convention of callbacks: write it where a callback is defined for 32-bit Windows, if the
 * compiler's default is another one. */
#ifndef FW_CALL
#if defined(_WIN32) && (defined(_M_IX86) || defined(__i386__))
#define FW_CALL __cdecl
#else
#define FW_CALL
#endif
#endif

/* Enums are 32 bits wide: with a fixed underlying type where the language has it, else as uint32_t. */
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
#define FW_ENUM : uint32_t
#define FW_ENUM_TYPE(name) typedef enum name name
#else
#define FW_ENUM
#define FW_ENUM_TYPE(name) typedef uint32_t name
#endif


/// What a call answers. New ones may be added; a number is never reused.
///
/// A call that does not answer FW_RESULT_OK has changed nothing, and fw_last_error says in words
/// what was wrong.
enum fw_result FW_ENUM {
    /// Done, or accepted.
    FW_RESULT_OK = 0,
    /// An argument is NULL, out of its range, or not what its function describes.
    FW_RESULT_INVALID_ARGUMENT = 1,
    /// The handle is zero, made up, or stands for something that was destroyed or released.
    FW_RESULT_INVALID_HANDLE = 2,
    /// Not now: the socket, or the library, is in a state in which this cannot be done.
    FW_RESULT_INVALID_STATE = 3,
    /// The URL cannot be used; fw_last_error says why.
    FW_RESULT_INVALID_URL = 4,
    /// A text message that is not valid UTF-8.
    FW_RESULT_INVALID_UTF8 = 5,
    /// Longer than the protocol or a limit allows.
    FW_RESULT_TOO_LARGE = 6,
    /// The send queue is at its limit: nothing was queued, try again later.
    FW_RESULT_WOULD_BLOCK = 7,
    /// This build of the library cannot do it.
    FW_RESULT_NOT_SUPPORTED = 8,
    /// The allocator has no memory left.
    FW_RESULT_OUT_OF_MEMORY = 9,
    /// The time given was not enough.
    FW_RESULT_TIMED_OUT = 10,
    /// The library is shutting down.
    FW_RESULT_SHUT_DOWN = 11,
    /// A fault of the library's own, which was logged. The library stays usable.
    FW_RESULT_INTERNAL = 12,
};
FW_ENUM_TYPE(fw_result);

/// The structs of this header, for fw_sizeof.
enum fw_struct FW_ENUM {
    /// fw_config
    FW_STRUCT_CONFIG = 1,
    /// fw_error
    FW_STRUCT_ERROR = 2,
    /// fw_segment
    FW_STRUCT_SEGMENT = 3,
    /// fw_frame
    FW_STRUCT_FRAME = 4,
    /// fw_event
    FW_STRUCT_EVENT = 5,
    /// fw_stats
    FW_STRUCT_STATS = 6,
    /// fw_pool_stats
    FW_STRUCT_POOL_STATS = 7,
    /// fw_compression
    FW_STRUCT_COMPRESSION = 8,
    /// fw_extension
    FW_STRUCT_EXTENSION = 9,
    /// fw_reconnect
    FW_STRUCT_RECONNECT = 10,
    /// fw_callbacks
    FW_STRUCT_CALLBACKS = 11,
    /// fw_extension_frame
    FW_STRUCT_EXTENSION_FRAME = 12,
};
FW_ENUM_TYPE(fw_struct);

/// How much is logged: each level includes those above it in this list.
enum fw_log_level FW_ENUM {
    /// Nothing.
    FW_LOG_OFF = 0,
    /// Internal errors and failed system calls.
    FW_LOG_ERROR = 1,
    /// Possible misconfiguration, and lost data.
    FW_LOG_WARN = 2,
    /// Connections that failed, and why.
    FW_LOG_INFO = 3,
    /// Each step of connecting and closing.
    FW_LOG_DEBUG = 4,
    /// The smallest detail.
    FW_LOG_TRACE = 5,
};
FW_ENUM_TYPE(fw_log_level);

/// What went wrong with a connection. New ones may be added; a number is never reused.
enum fw_error_kind FW_ENUM {
    /// In an event that is no error.
    FW_ERROR_KIND_NONE = 0,
    /// Name resolution failed: the host name has no address, or the resolver failed.
    FW_ERROR_KIND_RESOLVE = 1,
    /// Connection refused.
    FW_ERROR_KIND_REFUSED = 2,
    /// Host unreachable.
    FW_ERROR_KIND_UNREACHABLE = 3,
    /// The connection was reset or ended without a closing handshake.
    FW_ERROR_KIND_RESET = 4,
    /// Connecting took longer than the connect timeout, or a write stalled.
    FW_ERROR_KIND_TIMED_OUT = 5,
    /// TLS failed: certificate, version, cipher suite or alert.
    FW_ERROR_KIND_TLS = 6,
    /// The server answered the upgrade request with another status: see http_status.
    FW_ERROR_KIND_HTTP = 7,
    /// A proxy refused or failed.
    FW_ERROR_KIND_PROXY = 8,
    /// The server violated the protocol.
    FW_ERROR_KIND_PROTOCOL = 9,
    /// The server sent a text that is not UTF-8.
    FW_ERROR_KIND_UTF8 = 10,
    /// A message is larger than the maximum message size.
    FW_ERROR_KIND_TOO_LARGE = 11,
    /// A ping was not answered and nothing else was received.
    FW_ERROR_KIND_PING_TIMEOUT = 12,
    /// An extension failed.
    FW_ERROR_KIND_EXTENSION = 13,
    /// Another operating system error: see os_code.
    FW_ERROR_KIND_IO = 14,
    /// An internal error of the library, which was logged.
    FW_ERROR_KIND_INTERNAL = 15,
};
FW_ENUM_TYPE(fw_error_kind);

/// How far a connection had come.
enum fw_phase FW_ENUM {
    /// In an event that is no error.
    FW_PHASE_NONE = 0,
    /// The host's name is looked up.
    FW_PHASE_RESOLVE = 1,
    /// TCP connects.
    FW_PHASE_CONNECT = 2,
    /// A proxy is asked.
    FW_PHASE_PROXY = 3,
    /// The TLS handshake.
    FW_PHASE_TLS = 4,
    /// The HTTP request and its answer.
    FW_PHASE_UPGRADE = 5,
    /// Messages go back and forth.
    FW_PHASE_OPEN = 6,
    /// The closing handshake.
    FW_PHASE_CLOSING = 7,
};
FW_ENUM_TYPE(fw_phase);

/// What a message holds, numbered as on the wire (RFC 6455 section 5.2).
enum fw_opcode FW_ENUM {
    /// In an event that is about no message.
    FW_OPCODE_NONE = 0,
    /// UTF-8.
    FW_OPCODE_TEXT = 1,
    /// Any bytes.
    FW_OPCODE_BINARY = 2,
};
FW_ENUM_TYPE(fw_opcode);

/// What an event is about. New ones may be added: ignore what you do not know.
enum fw_event_type FW_ENUM {
    /// No event.
    FW_EVENT_NONE = 0,
    /// The upgrade is done.
    FW_EVENT_OPEN = 1,
    /// A whole text message: payload.
    FW_EVENT_TEXT = 2,
    /// A whole binary message: payload.
    FW_EVENT_BINARY = 3,
    /// A fragment: opcode, is_first, is_final, payload. Only after fw_socket_enable_event.
    FW_EVENT_INCOMPLETE_FRAME = 4,
    /// The upgrade request can be changed: request. The connection goes on when the event is
    /// released. Only after fw_socket_enable_event.
    FW_EVENT_REQUEST = 5,
    /// A pong: payload.
    FW_EVENT_PONG = 6,
    /// The connection was lost, or not made, and will be tried again: attempt, delay_ms, error, and
    /// its message as payload, NUL-terminated. Only with fw_socket_set_reconnect.
    FW_EVENT_RECONNECTING = 7,
    /// Terminal: close_code, and the reason as payload, NUL-terminated.
    FW_EVENT_CLOSED = 8,
    /// Terminal: error, and its message as payload, NUL-terminated.
    FW_EVENT_ERROR = 9,
};
FW_ENUM_TYPE(fw_event_type);

/// Where a socket's callbacks run.
enum fw_dispatch FW_ENUM {
    /// Inside fw_poll, on the thread that calls it: the default.
    FW_DISPATCH_POLL = 0,
    /// On the socket's worker thread, as soon as anything happens. Callbacks must be quick: other
    /// sockets wait for them.
    FW_DISPATCH_WORKER = 1,
};
FW_ENUM_TYPE(fw_dispatch);

/// What is special about one message; bits that can be combined. New ones may be added.
enum fw_send_flags FW_ENUM {
    /// Nothing.
    FW_SEND_DEFAULT = 0,
    /// It is sent as it is, though compression was agreed on: for what is compressed already.
    FW_SEND_UNCOMPRESSED = 1,
};
FW_ENUM_TYPE(fw_send_flags);

/// Which version of HTTP a WebSocket begins with.
enum fw_http FW_ENUM {
    /// HTTP/2 for wss where the server has WebSockets over it (RFC 8441), else HTTP/1.1: the default.
    FW_HTTP_AUTO = 0,
    /// HTTP/1.1.
    FW_HTTP_1 = 1,
    /// HTTP/2 and nothing else; for ws by prior knowledge, without asking.
    FW_HTTP_2 = 2,
};
FW_ENUM_TYPE(fw_http);

/// Which certificate authorities are trusted, beside those added.
enum fw_roots FW_ENUM {
    /// Those that Mozilla trusts, built into the library: the default, the same everywhere.
    FW_ROOTS_WEBPKI = 0,
    /// Those that the operating system trusts.
    FW_ROOTS_PLATFORM = 1,
    /// None but those added with fw_tls_add_ca_pem, or pinned with fw_tls_add_pin_sha256.
    FW_ROOTS_NONE = 2,
};
FW_ENUM_TYPE(fw_roots);

/// Where a socket is in its life; drawn at fw_socket.
enum fw_state FW_ENUM {
    /// Between fw_socket_open and the event open.
    FW_STATE_CONNECTING = 0,
    /// Messages can be sent.
    FW_STATE_OPEN = 1,
    /// The closing handshake runs; messages may still come.
    FW_STATE_CLOSING = 2,
    /// Never opened, or the connection is over. Its last events may still wait to be delivered.
    FW_STATE_CLOSED = 3,
    /// Not a socket: the handle is not valid.
    FW_STATE_UNKNOWN = 4,
};
FW_ENUM_TYPE(fw_state);

/// Allocates for the library.
///
/// Must give a block of at least size bytes at a multiple of align, or NULL when there is none. Called
/// on any thread, several at once; must not call the library.
///
/// size: bytes, never 0; need not be a multiple of align.
/// align: a power of two, at least the size of a pointer.
/// user_data: alloc_user_data of fw_config.
typedef void *(FW_CALL *fw_alloc_fn)(size_t size, size_t align, void *user_data);

/// Changes the size of a block.
///
/// Must give a block like fw_alloc_fn that begins with what the old one held, and free the old one;
/// or give NULL and leave the old one as it is. Threads as for fw_alloc_fn.
///
/// ptr: a block of this set of functions, never NULL.
/// old_size: the size it was asked for with, in bytes.
/// new_size: bytes, never 0.
/// align: the alignment it was asked for with.
/// user_data: alloc_user_data of fw_config.
typedef void *(FW_CALL *fw_realloc_fn)(void *ptr, size_t old_size, size_t new_size, size_t align,
                                       void *user_data);

/// Frees a block. Threads as for fw_alloc_fn.
///
/// ptr: a block of this set of functions, never NULL.
/// size: the size it was asked for with, in bytes.
/// align: the alignment it was asked for with.
/// user_data: alloc_user_data of fw_config.
typedef void (FW_CALL *fw_free_fn)(void *ptr, size_t size, size_t align, void *user_data);

/// Told that a thread of the library starts or ends: on that thread, first or last thing there.
///
/// user_data: thread_user_data of fw_config.
typedef void (FW_CALL *fw_thread_fn)(void *user_data);

/// How the library is to run. Zero and NULL mean the default everywhere.
///
/// Prepare it with fw_config_init, so that a program built with an older header keeps working.
/// Belongs to the caller; fw_init copies what it needs.
typedef struct fw_config {
    /// The size of this struct in bytes, set by fw_config_init.
    uint32_t struct_size;
    /// Threads that carry connections, at most 64. Default: 1, which carries thousands.
    uint32_t worker_threads;
    /// Allocates everything the library needs. Set alloc and free, or neither. A block goes back to
    /// the functions that made it, even after fw_shutdown, so they must stay callable until the
    /// process ends or the library is unloaded. NULL from alloc gives FW_RESULT_OUT_OF_MEMORY where
    /// payloads and handles are concerned; where the library cannot go on without memory the process
    /// ends, as said above under Memory.
    /// Default: the system's allocator.
    fw_alloc_fn alloc;
    /// May stay NULL: then blocks grow by being copied.
    fw_realloc_fn realloc;
    /// Goes with alloc.
    fw_free_fn free;
    /// Passed to alloc, realloc and free.
    void *alloc_user_data;
    /// Called first on each thread of the library: for profilers, or to attach it to a VM.
    fw_thread_fn thread_started;
    /// Called last on each thread of the library.
    fw_thread_fn thread_stopped;
    /// Passed to thread_started and thread_stopped.
    void *thread_user_data;
    /// Unread events of one socket, in bytes (payload plus 64 for each event), at which it stops
    /// reading from the network until the game catches up; at least 16 KiB. One message and one
    /// read of 64 KiB may come on top. Default: 4 MiB.
    size_t event_queue_bytes;
} fw_config;

/// A WebSocket: one connection at a time, opened again as often as needed.
///
/// ```text
///   create --> CLOSED --open--> CONNECTING --> OPEN --close, or the server--> CLOSING
///                ^                   |            |                              |
///                '------------ one terminal event: closed or error --------------'
/// ```
///
/// A handle: copy it freely. Ends with fw_socket_destroy, at the latest with fw_shutdown; used after
/// that, or zero, or made up, it is refused and never does harm.
typedef struct fw_socket {
    /// 0 is no socket.
    uint64_t id;
} fw_socket;

/// Receives a log line, on whichever thread logs, several at once. May call the library.
///
/// level: how important it is.
/// socket: whom it is about, or the zero handle.
/// context: the socket's context as "key=value key=value"; valid until the function returns.
/// message: one line, without a line break; valid until the function returns.
/// user_data: what was given to fw_set_log.
typedef void (FW_CALL *fw_log_fn)(fw_log_level level, struct fw_socket socket, const char *context,
                                  const char *message, void *user_data);

/// The last that is ever called for a socket: the place to free what its callbacks use.
///
/// user_data: what was given to fw_socket_set_finalizer.
typedef void (FW_CALL *fw_finalizer_fn)(void *user_data);

/// The upgrade is done: messages can be sent.
///
/// socket: the socket this event belongs to.
/// user_data: what was given to fw_socket_on_open.
typedef void (FW_CALL *fw_open_fn)(struct fw_socket socket, void *user_data);

/// A whole text message came.
///
/// Valid UTF-8, not NUL-terminated: it lies where it was received.
///
/// socket: the socket this event belongs to.
/// text: len bytes, borrowed until the callback returns; never NULL.
/// len: bytes, may be 0.
/// user_data: what was given to fw_socket_on_text.
typedef void (FW_CALL *fw_text_fn)(struct fw_socket socket, const char *text, size_t len,
                                   void *user_data);

/// The right to a piece of a pooled block. Part of fw_segment; of no use alone.
typedef struct fw_buffer {
    /// 0 is no buffer.
    uint64_t id;
} fw_buffer;

/// Bytes in a pooled block: data[offset] to data[offset + count - 1].
///
/// data is the whole block, which is usually larger; bytes outside of the range belong to others.
/// What the library passes to a callback or in an event is read-only and borrowed until the callback
/// returns or the event is released; fw_segment_retain makes it stay. What fw_buffer_get returned,
/// or was retained, is the caller's until fw_segment_release, or until it is sent, and outlives its
/// socket and fw_shutdown. A retained segment keeps its whole block alive, which is 64 KiB even when
/// the segment is small: copy small payloads that are to be kept for long.
typedef struct fw_segment {
    /// Where the block begins; never NULL in what the library hands out.
    uint8_t *data;
    /// Where the bytes begin, from data.
    size_t offset;
    /// How many bytes there are, may be 0.
    size_t count;
    /// What makes it valid.
    struct fw_buffer buffer;
} fw_segment;

/// A whole text message came, shown where it was received.
///
/// Valid UTF-8, not NUL-terminated. fw_segment_retain keeps it longer than the callback, without a
/// copy.
///
/// socket: the socket this event belongs to.
/// segment: the payload, read-only, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_text_segment.
typedef void (FW_CALL *fw_text_segment_fn)(struct fw_socket socket,
                                           const struct fw_segment *segment, void *user_data);

/// A whole binary message came.
///
/// socket: the socket this event belongs to.
/// data: len bytes, borrowed until the callback returns; never NULL.
/// len: bytes, may be 0.
/// user_data: what was given to fw_socket_on_binary.
typedef void (FW_CALL *fw_binary_fn)(struct fw_socket socket, const uint8_t *data, size_t len,
                                     void *user_data);

/// A whole binary message came, shown where it was received.
///
/// fw_segment_retain keeps it longer than the callback, without a copy.
///
/// socket: the socket this event belongs to.
/// segment: the payload, read-only, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_binary_no_alloc.
typedef void (FW_CALL *fw_binary_no_alloc_fn)(struct fw_socket socket,
                                              const struct fw_segment *segment, void *user_data);

/// One fragment of a message, decoded. Valid until the callback returns; its payload longer, when
/// retained.
typedef struct fw_frame {
    /// What the whole message is: the same for all of its fragments.
    fw_opcode opcode;
    /// 1 for the first fragment of a message, else 0.
    uint32_t is_first;
    /// 1 for the last fragment of a message, else 0.
    uint32_t is_final;
    /// A fragment of a text may begin and end within a character; the whole was checked so far.
    struct fw_segment payload;
    /// For later versions; 0.
    uint64_t reserved[2];
} fw_frame;

/// A fragment of a message came.
///
/// socket: the socket this event belongs to.
/// frame: the fragment, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_incomplete_frame.
typedef void (FW_CALL *fw_incomplete_frame_fn)(struct fw_socket socket,
                                               const struct fw_frame *frame, void *user_data);

/// The upgrade request of one attempt.
///
/// A handle. Lives until its callback returns, or its event is released; used after that it is
/// refused.
typedef struct fw_request {
    /// 0 is none.
    uint64_t id;
} fw_request;

/// The upgrade request is ready to be sent and can still be changed.
///
/// socket: the socket this event belongs to.
/// request: the request; dead when the callback returns.
/// user_data: what was given to fw_socket_on_internal_request_created.
typedef void (FW_CALL *fw_request_fn)(struct fw_socket socket, struct fw_request request,
                                      void *user_data);

/// A pong came.
///
/// Answers to the library's own pings are shown as well.
///
/// socket: the socket this event belongs to.
/// data: len bytes, borrowed until the callback returns; never NULL.
/// len: 0 to 125 bytes.
/// user_data: what was given to fw_socket_on_pong.
typedef void (FW_CALL *fw_pong_fn)(struct fw_socket socket, const uint8_t *data, size_t len,
                                   void *user_data);

/// How a connection ended, or why it could not be made. Valid until the callback returns, or the
/// event is released.
typedef struct fw_error {
    /// What went wrong.
    fw_error_kind kind;
    /// How far the connection had come.
    fw_phase phase;
    /// The operating system's number (errno, WSAGetLastError), 0 where there is none.
    int32_t os_code;
    /// The status of a refused upgrade, 0 where there is none.
    uint16_t http_status;
    /// The TLS alert (RFC 8446 section 6) that was sent or received, 0 where there is none.
    uint8_t tls_alert;
    /// 1 if trying again later may help, else 0.
    uint32_t retriable;
    /// What failed, against what address, and what to do where that is known. NUL-terminated UTF-8;
    /// NULL in an event that is no error.
    const char *message;
    /// For later versions; 0.
    uint64_t reserved[2];
} fw_error;

/// The connection was lost, or not made, and will be tried again.
///
/// socket: the socket this event belongs to.
/// error: why; valid until the callback returns.
/// attempt: which try it will be, from 1, and from 1 again after a success.
/// delay_ms: how long from now, in milliseconds.
/// user_data: what was given to fw_socket_on_reconnecting.
typedef void (FW_CALL *fw_reconnecting_fn)(struct fw_socket socket, const struct fw_error *error,
                                           uint32_t attempt, uint32_t delay_ms, void *user_data);

/// The connection has ended in order: terminal.
///
/// A closing handshake ended it, or the caller cancelled. The socket can be opened again from here on.
///
/// socket: the socket this event belongs to.
/// code: of the server's close frame, 1005 if it had none; 1006 without a handshake.
/// reason: len bytes of UTF-8 and a NUL, borrowed until the callback returns; never NULL.
/// len: bytes, may be 0.
/// user_data: what was given to fw_socket_on_closed.
typedef void (FW_CALL *fw_closed_fn)(struct fw_socket socket, uint16_t code, const char *reason,
                                     size_t len, void *user_data);

/// The connection could not be made, or has failed: terminal.
///
/// The socket can be opened again from here on.
///
/// socket: the socket this event belongs to.
/// error: what happened, borrowed until the callback returns; never NULL.
/// user_data: what was given to fw_socket_on_error.
typedef void (FW_CALL *fw_error_fn)(struct fw_socket socket, const struct fw_error *error,
                                    void *user_data);

/// Every callback of a socket, for fw_socket_set_callbacks.
///
/// Prepare it with fw_callbacks_init. The caller's; copied by fw_socket_set_callbacks.
typedef struct fw_callbacks {
    /// The size of this struct in bytes, set by fw_callbacks_init.
    uint32_t struct_size;
    /// As fw_socket_on_open.
    fw_open_fn open;
    /// As fw_socket_on_text.
    fw_text_fn text;
    /// As fw_socket_on_text_segment.
    fw_text_segment_fn text_segment;
    /// As fw_socket_on_binary.
    fw_binary_fn binary;
    /// As fw_socket_on_binary_no_alloc.
    fw_binary_no_alloc_fn binary_no_alloc;
    /// As fw_socket_on_incomplete_frame.
    fw_incomplete_frame_fn incomplete_frame;
    /// As fw_socket_on_internal_request_created.
    fw_request_fn internal_request_created;
    /// As fw_socket_on_pong.
    fw_pong_fn pong;
    /// As fw_socket_on_reconnecting.
    fw_reconnecting_fn reconnecting;
    /// As fw_socket_on_closed.
    fw_closed_fn closed;
    /// As fw_socket_on_error.
    fw_error_fn error;
} fw_callbacks;

/// Something that happened, taken from the queue.
///
/// What it points to is read-only and lives until fw_event_release, which must come for every event
/// taken; a payload longer, when retained. Fields that its type does not name are zero.
typedef struct fw_event {
    /// What happened.
    fw_event_type type;
    /// Whom it happened to. May be destroyed by now.
    struct fw_socket socket;
    /// What fw_socket_set_user_data has stored.
    void *user_data;
    /// The message, fragment, pong, close reason or error message.
    struct fw_segment payload;
    /// What the message is.
    fw_opcode opcode;
    /// 1 for a whole message or the first fragment of one, else 0.
    uint32_t is_first;
    /// 1 for a whole message or the last fragment of one, else 0.
    uint32_t is_final;
    /// As in the callback closed.
    uint16_t close_code;
    /// How the connection failed.
    struct fw_error error;
    /// The upgrade request.
    struct fw_request request;
    /// Of reconnecting: the number of the try that follows, from 1.
    uint32_t attempt;
    /// Of reconnecting: how long until then, in milliseconds.
    uint32_t delay_ms;
    /// For later versions; 0.
    uint64_t reserved[4];
} fw_event;

/// What the pool of payload memory holds. Exact when nothing moves, close otherwise.
///
/// Prepare it with fw_pool_stats_init once; fw_buffer_pool_stats fills as much of it as struct_size
/// says.
typedef struct fw_pool_stats {
    /// The size of this struct in bytes, set by fw_pool_stats_init.
    uint32_t struct_size;
    /// Blocks that hold something.
    uint64_t blocks_in_use;
    /// Their size in bytes.
    uint64_t bytes_in_use;
    /// Blocks kept for reuse.
    uint64_t blocks_free;
    /// Their size in bytes, at most 32 MiB.
    uint64_t bytes_free;
    /// Segments that the caller holds, in events too.
    uint64_t leases;
    /// Blocks that came from the allocator since the process began: stands still in a steady state.
    uint64_t allocations;
} fw_pool_stats;

/// TLS settings for sockets with wss: URLs.
///
/// A handle: copy it freely. Ends with fw_tls_destroy; sockets that were given it keep the settings
/// alive. Does not end with fw_shutdown.
typedef struct fw_tls {
    /// 0 is none.
    uint64_t id;
} fw_tls;

/// Whether and when a lost connection is tried again.
///
/// Prepare it with fw_reconnect_init, so that a program built with an older header keeps working. The
/// caller's; copied by fw_socket_set_reconnect.
typedef struct fw_reconnect {
    /// The size of this struct in bytes, set by fw_reconnect_init.
    uint32_t struct_size;
    /// 1, the default of fw_reconnect_init: tries again; 0: the first loss is the end.
    uint32_t enabled;
    /// The shortest delay before a try, at least 1; 250 by default.
    uint32_t min_delay_ms;
    /// The longest, at least min_delay_ms; 30000 by default.
    uint32_t max_delay_ms;
    /// Tries in a row, the first attempt not counted; 0, the default, for without end.
    uint32_t max_attempts;
    /// 1: sends while the socket connects, for the first time or again, wait for the connection; 0, the
    /// default: they give INVALID_STATE.
    uint32_t queue_sends;
} fw_reconnect;

/// How messages are compressed, where the server agrees (RFC 7692).
///
/// Prepare it with fw_compression_init, so that a program built with an older header keeps working.
/// The caller's; copied by fw_socket_set_compression.
typedef struct fw_compression {
    /// The size of this struct in bytes, set by fw_compression_init.
    uint32_t struct_size;
    /// 0 (stored, not compressed) to 9 (smallest, slowest); 6 by default.
    uint32_t level;
    /// 1: this side forgets each message before the next, which saves memory and compresses less;
    /// 0 by default.
    uint32_t client_no_context_takeover;
    /// 1: the server is asked to do so; 0 by default.
    uint32_t server_no_context_takeover;
    /// 8 to 15: the window of what this side sends, as a power of two in bytes; 15 by default.
    uint32_t client_max_window_bits;
    /// 8 to 15: the window that the server is asked to stay within; 15 by default.
    uint32_t server_max_window_bits;
    /// Messages of fewer bytes are sent as they are; 256 by default.
    size_t min_size_to_compress;
} fw_compression;

/// Writes the extension's element for Sec-WebSocket-Extensions, such as "x-xor; key=7", for an attempt.
///
/// Called before each upgrade request.
///
/// buf: where to write, at most cap bytes, no NUL needed; never NULL.
/// cap: bytes, 512.
/// user_data: that of fw_extension.
/// Returns: how many bytes were written; 0 offers nothing this time.
typedef size_t (FW_CALL *fw_add_negotiation_fn)(char *buf, size_t cap, void *user_data);

/// Reads the server's element: it has accepted the extension.
///
/// element: such as "x-xor; key=7", not NUL-terminated, borrowed for the call.
/// len: bytes.
/// user_data: that of fw_extension.
/// Returns: 1 to use the extension; 0 when the parameters cannot be used, which ends the attempt in
///   an error.
typedef uint32_t (FW_CALL *fw_parse_negotiation_fn)(const char *element, size_t len,
                                                    void *user_data);

/// A message, or a piece of one, that an extension is shown.
typedef struct fw_extension_frame {
    /// What the message is.
    fw_opcode opcode;
    /// 1 for a whole message, and for the first fragment where fragments come one by one.
    uint32_t is_first;
    /// 1 for a whole message, and for the last fragment where fragments come one by one.
    uint32_t is_final;
    /// The reserved bits of the message's first frame: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    uint32_t rsv;
    /// For later versions; 0.
    uint64_t reserved[2];
} fw_extension_frame;

/// Chooses the reserved bits for a message that is to be sent.
///
/// frame: the message, rsv holding the bits of extensions before this one; borrowed for the call.
/// user_data: that of fw_extension.
/// Returns: bits of the extension's own rsv; 0 sends the message unchanged (unless the extension
///   owns no bits). Any other bit ends the connection in an error.
typedef uint32_t (FW_CALL *fw_frame_header_fn)(const struct fw_extension_frame *frame,
                                               void *user_data);

/// Encodes a message that is to be sent, or decodes what was received.
///
/// encode gets whole messages, before they are fragmented; decode whole messages too, or fragments
/// where incomplete_frame takes them one by one.
///
/// frame: what it is; borrowed for the call.
/// data: the payload, read-only; borrowed for the call; never NULL.
/// len: bytes, may be 0.
/// out: zero; a segment from fw_buffer_get with the new payload is handed over by writing it here; left
///   alone the payload stays as it is.
/// user_data: that of fw_extension.
/// Returns: 1 when done; 0 when the payload cannot be used, which ends the connection in an error.
typedef uint32_t (FW_CALL *fw_transform_fn)(const struct fw_extension_frame *frame,
                                            const uint8_t *data, size_t len, struct fw_segment *out,
                                            void *user_data);

/// Frees what the extension uses. Called once, when no socket and no connection uses it any more.
///
/// user_data: that of fw_extension.
typedef void (FW_CALL *fw_extension_destroy_fn)(void *user_data);

/// An extension of the caller's own (RFC 6455 section 9).
///
/// Prepare it with fw_extension_init. Copied by fw_socket_add_extension. Its functions are called on
/// the socket's worker thread, one at a time, and must be quick; destroy may be called on any thread.
typedef struct fw_extension {
    /// The size of this struct in bytes, set by fw_extension_init.
    uint32_t struct_size;
    /// The reserved bits that it owns and marks its messages with: RSV1 is 4, RSV2 is 2, RSV3 is 1;
    /// 0 means that it changes every message. permessage-deflate owns RSV1: turn compression off to use that.
    uint32_t rsv;
    /// Not NULL.
    fw_add_negotiation_fn add_negotiation;
    /// NULL: any answer is fine.
    fw_parse_negotiation_fn parse_negotiation;
    /// NULL: every message is marked with all of rsv.
    fw_frame_header_fn frame_header;
    /// NULL: messages are sent as they are.
    fw_transform_fn encode;
    /// NULL: messages are received as they are.
    fw_transform_fn decode;
    /// NULL: there is nothing to free.
    fw_extension_destroy_fn destroy;
    /// Handed to each of the functions; what it points to must live until destroy.
    void *user_data;
} fw_extension;

/// What a socket has done, over all of its connections; the phases are those of the last attempt.
///
/// Prepare it with fw_stats_init once; fw_socket_stats fills as much of it as struct_size says.
typedef struct fw_stats {
    /// The size of this struct in bytes, set by fw_stats_init.
    uint32_t struct_size;
    /// Bytes handed to the network after the upgrade, frame headers included.
    uint64_t bytes_sent;
    /// Bytes taken from the network after the upgrade, frame headers included.
    uint64_t bytes_received;
    /// Messages accepted for sending, those included that were lost with a connection.
    uint64_t messages_sent;
    /// Whole messages that came, those shown as fragments included.
    uint64_t messages_received;
    /// Frames handed to the network, control frames included.
    uint64_t frames_sent;
    /// Frames that came, control frames included.
    uint64_t frames_received;
    /// Pings handed to the network.
    uint64_t pings_sent;
    /// Pongs that came.
    uint64_t pongs_received;
    /// Times that a try after the first attempt (fw_socket_set_reconnect) has opened.
    uint64_t reconnects;
    /// Payload bytes sent, before compression.
    uint64_t payload_bytes_before_compression;
    /// The same after compression: equal where messages are not compressed.
    uint64_t payload_bytes_after_compression;
    /// Microseconds that name resolution took; 0 before it is done.
    uint64_t resolve_us;
    /// Microseconds that TCP took to connect; 0 before it is done.
    uint64_t connect_us;
    /// Microseconds that the TLS handshake took; 0 without TLS and before it is done.
    uint64_t tls_us;
    /// Microseconds from the upgrade request to its answer; 0 before it is there.
    uint64_t upgrade_us;
} fw_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/// The name of a result, such as "FW_RESULT_WOULD_BLOCK".
///
/// For logs and error messages; compare the numbers, not the names.
///
/// result: any number.
/// Returns: a static text, never NULL, not to be freed; "UNKNOWN" for a number that is none of
///   fw_result.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API const char *fw_result_name(fw_result result);

/// Copies out what went wrong in this thread's last call that failed.
///
/// Each thread has its own. Calls that succeed leave it alone, so look at it only after a failure.
/// Functions that answer with a value instead of an fw_result leave their reason here as well.
///
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included; at most 512 are ever needed.
/// Returns: the length of the whole text without its NUL; 0 if nothing has failed on this thread.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_last_error(char *buf, size_t cap);

/// The version of the library that runs, as major << 16 | minor << 8 | patch.
///
/// Compare it with the macro FW_VERSION, which is the version of the header: while the major
/// version is 0 the minor must be the same, later the major.
///
/// Returns: the version.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API uint32_t fw_version(void);

/// The version of the library that runs, as text: MAJOR.MINOR.PATCH.
///
/// For logs and error messages; the macro FW_VERSION_STRING is that of the header.
///
/// Returns: a static text, never NULL, not to be freed.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API const char *fw_version_string(void);

/// The size of a struct as the library that runs sees it.
///
/// For bindings that declare the structs in their own language and want to check at start that
/// they agree.
///
/// which: one of fw_struct.
/// Returns: the size in bytes, 0 for a number that is none of fw_struct.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_sizeof(fw_struct which);

/// Fills a configuration with the defaults.
///
/// Call it first, as fw_config_init(&config, sizeof config), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// config: written; NULL does nothing.
/// struct_size: sizeof(fw_config), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API void fw_config_init(struct fw_config *config, size_t struct_size);

/// Starts the library as configured.
///
/// Optional: the first socket starts the library with defaults. Allocator functions are in force
/// from here until fw_shutdown has ended.
///
/// config: prepared with fw_config_init, not NULL; copied.
/// Returns: OK; INVALID_ARGUMENT (NULL, struct_size, too many threads, alloc without free);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (started already,
///   by this call or by a socket; or blocks of more than 16 different sets of allocator functions are
///   still in use); SHUT_DOWN (a shutdown is on its way);
///   OUT_OF_MEMORY (no thread could be started).
/// Threads: any.
/// Callbacks: none; thread_started runs on the new threads, alloc, realloc and free on any.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_init(const struct fw_config *config);

/// Destroys every socket and ends every thread of the library, after what is queued was sent.
///
/// Graceful: open connections send what is queued, then a close frame with code 1001, and wait for the
/// server to answer it, but no longer than it is silent for 250 ms. Sending may take three quarters of
/// the timeout, or all but half a second of it if that is more; what is not sent by then is dropped, and
/// the log says how much (FW_LOG_WARN). A timeout of 0 drops everything at once. Sockets that are still
/// connecting are cancelled.
///
/// When it returns OK no thread of the library exists and no callback runs or will run; finalizers
/// that were due have run inside it. fw_tls handles and segments that the caller holds stay valid.
/// The library can be started again. This is what an editor calls before it unloads scripts.
///
/// timeout_ms: how long all of it may take, in milliseconds. Threads and the callbacks that run on them
///   are given at least 100 ms to end.
/// Returns: OK, also when nothing was running; INVALID_STATE (called inside a callback: nothing
///   happens); TIMED_OUT (a thread or a callback did not end in time: no socket lives any more,
///   call again to go on waiting).
/// Threads: any but inside a callback.
/// Callbacks: runs finalizers on this thread; thread_stopped runs on the ending threads.
/// Blocks: at most timeout_ms (100 ms if that is more) and what the finalizers take.
/// Since: 0.1.0.
FW_API fw_result fw_shutdown(uint32_t timeout_ms);

/// Sends the library's log to a function.
///
/// Replaces the function set before, which may still be running on another thread when this
/// returns. fw_shutdown does not remove it: remove it after that, before what it is part of is
/// unloaded.
///
/// max: the least important level that is wanted.
/// log: NULL ends logging.
/// user_data: passed to log on any thread; must stay valid until log was replaced and has returned.
/// Returns: OK; INVALID_ARGUMENT (max is no level).
/// Threads: any.
/// Callbacks: none during the call; log is called from then on, on whichever thread logs.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_set_log(fw_log_level max, fw_log_fn log, void *user_data);

/// Notifies the library that the network may have changed.
///
/// Call it when a phone switches from Wi-Fi to mobile data or a laptop is moved: connections may have died
/// without a sign. Every open connection is pinged immediately, whether keepalive pings are on or not. When
/// nothing is received within 3 seconds, the connection is lost: the event is error, with
/// FW_ERROR_KIND_PING_TIMEOUT, or reconnecting where that is enabled. While a full event queue
/// (event_queue_bytes) stops reading, the 3 seconds start when reading resumes. A socket that has not sent
/// its upgrade request starts connecting again, within the rest of its connect timeout; one that waits to
/// reconnect starts immediately; a closing handshake continues.
///
/// Returns: OK, also when the library does not run.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_network_changed(void);

/// Notifies the library that the process is about to be suspended.
///
/// For an app that goes to the background, where the system may stop it at any moment. Until fw_resume, no
/// pings are sent, no reconnect starts, and no timeout of the library ends a connection; messages are still
/// sent and received as long as the process runs. TCP's own timeouts still apply. Affects sockets that are
/// open or connecting; a socket that is opened later is not affected. A second call does nothing.
///
/// Returns: OK, also when the library does not run.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_suspend(void);

/// Notifies the library that the process runs again.
///
/// Ends the effect of fw_suspend: timeouts continue with the time they had left, pings with a new interval.
/// Then does the same as fw_network_changed, so that connections that did not survive are detected within
/// 3 seconds. Without a preceding fw_suspend it is the same as fw_network_changed.
///
/// Returns: OK, also when the library does not run.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_resume(void);

/// Makes a socket.
///
/// Checks the URL and touches no network. Starts the library with defaults if fw_init was not
/// called. User and password in the URL are sent as basic authentication.
///
/// url: NUL-terminated UTF-8, ws: or wss: (http: and https: mean the same), at most 8 KiB; copied.
///   Spaces and control characters are refused, not removed. The zone of a link-local IPv6 address (RFC
///   6874), an interface by its name or number, stands behind %25, as in ws://[fe80::1%25eth0]:9001/; it is
///   never sent.
/// out: receives the handle; not NULL.
/// Returns: OK; INVALID_ARGUMENT (NULL); INVALID_URL; NOT_SUPPORTED (wss: in a build without TLS);
///   SHUT_DOWN (a shutdown is on its way); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_create(const char *url, struct fw_socket *out);

/// Starts connecting.
///
/// The settings made so far are used. Ends in exactly one terminal event, closed or error, after
/// every message received before it. Legal again after that event, also inside its callback.
///
/// socket: the socket.
/// Returns: OK; INVALID_HANDLE; INVALID_STATE (connecting, open or closing).
/// Threads: any.
/// Callbacks: none during the call; events follow.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_open(struct fw_socket socket);

/// Starts the closing handshake.
///
/// What is queued goes out first. The event closed follows when the server answers, with code 1006
/// when it does not within the close timeout. While connecting it cancels, with closed at once.
///
/// socket: the socket.
/// code: 1000 to 1003, 1007 to 1014, 3000 to 4999 (RFC 6455 section 7.4); 0 means 1000.
/// reason: NUL-terminated UTF-8 of at most 123 bytes, copied; may be NULL for none.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (a code that may not be sent, a reason that is not
///   UTF-8); TOO_LARGE (the reason); INVALID_STATE (closing or closed already); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none during the call.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_close(struct fw_socket socket, uint16_t code, const char *reason);

/// Drops the connection now, without a closing handshake.
///
/// What is queued is lost. The event closed follows.
///
/// socket: the socket.
/// Returns: OK; INVALID_HANDLE; INVALID_STATE (closed already).
/// Threads: any.
/// Callbacks: none during the call.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_abort(struct fw_socket socket);

/// Ends the socket's life.
///
/// The handle is dead at once, and nothing comes after this but the finalizer: the terminal event is
/// waived, unread events are dropped. In poll mode no callback of the socket begins after it
/// returns; in worker mode one that is already running on another thread may finish. An open
/// connection is closed in the background as well as it goes. Legal inside the socket's callbacks.
///
/// socket: the socket.
/// Returns: OK; INVALID_HANDLE (destroyed already).
/// Threads: any.
/// Callbacks: none during the call; the finalizer follows.
/// Blocks: no; takes microseconds.
/// Since: 0.1.0.
FW_API fw_result fw_socket_destroy(struct fw_socket socket);

/// Sets what is called when nothing will be called for the socket any more.
///
/// It runs exactly once after fw_socket_destroy or fw_shutdown, after the last callback has
/// returned, and at the latest before fw_shutdown returns. Replaces the finalizer set before, which
/// is then never called.
///
/// socket: the socket.
/// finalizer: NULL removes.
/// user_data: passed to finalizer; must stay valid until it has run, or was replaced.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode finalizer runs inside fw_poll, fw_next_event or
///   fw_shutdown, on their caller's thread; in worker mode also on a thread of the library.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_finalizer(struct fw_socket socket, fw_finalizer_fn finalizer,
                                         void *user_data);

/// Stores a pointer with the socket.
///
/// It comes back in fw_event and from fw_socket_user_data; the library never looks behind it.
/// Callbacks have a user_data of their own.
///
/// socket: the socket.
/// user_data: anything, may be NULL.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_user_data(struct fw_socket socket, void *user_data);

/// The pointer stored with fw_socket_set_user_data.
///
/// socket: the socket.
/// Returns: the pointer; NULL before one was stored, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API void *fw_socket_user_data(struct fw_socket socket);

/// The name of a kind of error, such as "FW_ERROR_KIND_RESOLVE".
///
/// For logs and error messages; compare the numbers, not the names.
///
/// kind: any number.
/// Returns: a static text, never NULL, not to be freed; "UNKNOWN" for a number that is none of
///   fw_error_kind.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API const char *fw_error_kind_name(fw_error_kind kind);

/// The name of a phase, such as "FW_PHASE_RESOLVE".
///
/// For logs and error messages; compare the numbers, not the names.
///
/// phase: any number.
/// Returns: a static text, never NULL, not to be freed; "UNKNOWN" for a number that is none of
///   fw_phase.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API const char *fw_phase_name(fw_phase phase);

/// Sets what is called when the upgrade is done.
///
/// The first event of a connection that succeeds.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_open(struct fw_socket socket, fw_open_fn callback, void *user_data);

/// Sets what is called for a whole text message.
///
/// Messages without a callback are dropped, at no cost.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_text(struct fw_socket socket, fw_text_fn callback, void *user_data);

/// Sets what is called for a whole text message that may be kept without a copy.
///
/// Called after text if both are set.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.2.0.
FW_API fw_result fw_socket_on_text_segment(struct fw_socket socket, fw_text_segment_fn callback,
                                           void *user_data);

/// Sets what is called for a whole binary message.
///
/// Called before binary_no_alloc if both are set.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_binary(struct fw_socket socket, fw_binary_fn callback,
                                     void *user_data);

/// Sets what is called for a whole binary message that may be kept without a copy.
///
/// Called after binary if both are set.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_binary_no_alloc(struct fw_socket socket,
                                              fw_binary_no_alloc_fn callback, void *user_data);

/// Sets what is called for each fragment of a message that comes in several.
///
/// While it is set such messages are neither assembled nor stored, and come neither as text nor as
/// binary; messages of one frame still do. Takes effect with the next message.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_incomplete_frame(struct fw_socket socket,
                                               fw_incomplete_frame_fn callback, void *user_data);

/// Sets what is called with the upgrade request before every attempt.
///
/// The connection waits until the callback has returned; the connect timeout goes on meanwhile.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_internal_request_created(struct fw_socket socket,
                                                       fw_request_fn callback, void *user_data);

/// Sets what is called when a pong comes.
///
/// For round trip times fw_socket_latency_us is simpler.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_pong(struct fw_socket socket, fw_pong_fn callback, void *user_data);

/// Sets what is called when a connection was lost and will be tried again.
///
/// Comes instead of error, where fw_socket_set_reconnect has switched that on. An fw_socket_close inside
/// the callback, or at any time before the next event open, ends it with the event closed.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_reconnecting(struct fw_socket socket, fw_reconnecting_fn callback,
                                           void *user_data);

/// Sets what is called when the connection has ended in order.
///
/// Every open ends in exactly one of closed and error, after every message received before it.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_closed(struct fw_socket socket, fw_closed_fn callback,
                                     void *user_data);

/// Sets what is called when the connection could not be made, or has failed.
///
/// Every open ends in exactly one of closed and error, after every message received before it.
///
/// socket: the socket, in any state.
/// callback: NULL removes.
/// user_data: passed to callback; must stay valid until callback was replaced and has returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none during the call. In poll mode callback runs inside fw_poll or
///   fw_socket_poll, on their caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_on_error(struct fw_socket socket, fw_error_fn callback, void *user_data);

/// Fills a set of callbacks with the defaults: all NULL.
///
/// Call it first, as fw_callbacks_init(&callbacks, sizeof callbacks), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// callbacks: written; NULL does nothing.
/// struct_size: sizeof(fw_callbacks), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API void fw_callbacks_init(struct fw_callbacks *callbacks, size_t struct_size);

/// Sets every callback of a socket at once.
///
/// Replaces all that were set before, by this call or by fw_socket_on_open and its like; both may be
/// used together. No event comes between two of them.
///
/// socket: the socket, in any state.
/// callbacks: prepared with fw_callbacks_init, copied; not NULL. NULL members remove.
/// user_data: passed to each of them; must stay valid until they were replaced and have returned, or
///   until the finalizer.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size); NOT_SUPPORTED (a field is set
///   that only a newer library knows).
/// Threads: any.
/// Callbacks: none during the call. In poll mode they run inside fw_poll or fw_socket_poll, on their
///   caller's thread; in worker mode on the socket's worker.
/// Blocks: no.
/// Since: 0.2.0.
FW_API fw_result fw_socket_set_callbacks(struct fw_socket socket,
                                         const struct fw_callbacks *callbacks, void *user_data);

/// The name of a type of event, such as "FW_EVENT_OPEN".
///
/// For logs and error messages; compare the numbers, not the names.
///
/// type: any number.
/// Returns: a static text, never NULL, not to be freed; "UNKNOWN" for a number that is none of
///   fw_event_type.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API const char *fw_event_type_name(fw_event_type type);

/// Chooses where the socket's callbacks run.
///
/// Events already queued for fw_poll stay there.
///
/// socket: the socket, closed.
/// dispatch: default FW_DISPATCH_POLL.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (no such number); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_dispatch(struct fw_socket socket, fw_dispatch dispatch);

/// Asks for an event that comes only to those who ask.
///
/// For programs that take events with fw_next_event: FW_EVENT_REQUEST makes every attempt wait until
/// its event is released, FW_EVENT_INCOMPLETE_FRAME replaces whole messages that come in several
/// frames. A callback asks by being set.
///
/// socket: the socket, in any state.
/// type: FW_EVENT_REQUEST or FW_EVENT_INCOMPLETE_FRAME; the others always come.
/// enable: default false.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (another type).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_enable_event(struct fw_socket socket, fw_event_type type, bool enable);

/// Runs waiting callbacks within a budget.
///
/// Goes round the sockets that have events, a few events each, and the next call goes on where this
/// one stopped, so that no socket starves another. Without limits it runs what waits when it is
/// called. A callback that has begun is never cut short. Inside a callback it leaves that callback's
/// socket alone.
///
/// max_events: callbacks to run at most; 0 for no limit.
/// max_microseconds: time after which no further callback begins; 0 for no limit.
/// Returns: how many events were given to a callback.
/// Threads: any; one at a time for each socket.
/// Callbacks: runs those of sockets in poll mode, and finalizers, on this thread.
/// Blocks: no; takes what its callbacks take.
/// Since: 0.1.0.
FW_API size_t fw_poll(uint32_t max_events, uint32_t max_microseconds);

/// Runs the waiting callbacks of one socket within a budget.
///
/// As fw_poll, for loading screens and the like that care for one connection.
///
/// socket: the socket.
/// max_events: callbacks to run at most; 0 for no limit.
/// max_microseconds: time after which no further callback begins; 0 for no limit.
/// Returns: how many events were given to a callback; 0 for a handle that is not valid.
/// Threads: any; one at a time for each socket.
/// Callbacks: runs those of this socket, in poll mode, on this thread.
/// Blocks: no; takes what its callbacks take.
/// Since: 0.1.0.
FW_API size_t fw_socket_poll(struct fw_socket socket, uint32_t max_events,
                             uint32_t max_microseconds);

/// How many events wait for fw_poll or fw_next_event, over all sockets.
///
/// Returns: a number of events, exact when nothing moves. Inside a callback, its own event and up to 15
/// that were delivered right before it may still be among them.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_pending(void);

/// Sleeps until an event waits for fw_poll or fw_next_event.
///
/// For tools and servers; a game polls once a frame instead. It sleeps as told also before the first
/// socket exists and after fw_shutdown, and wakes for the first event of a socket created meanwhile.
/// A fw_shutdown on another thread ends it early.
///
/// timeout_ms: how long to sleep at most, in milliseconds; 0 only looks.
/// Returns: true if an event waits; false when the time is over, or the library was shut down meanwhile.
/// Threads: any.
/// Callbacks: none.
/// Blocks: at most timeout_ms.
/// Since: 0.1.0.
FW_API bool fw_wait(uint32_t timeout_ms);

/// Takes the next event of any socket.
///
/// The same queue as that of fw_poll, for runtimes into which native code must not call back. Only
/// sockets in poll mode have events here. Callbacks that are set are not called for it.
///
/// out: receives the event; its type is FW_EVENT_NONE when nothing waits; not NULL.
/// Returns: true if an event was taken, which must be released; false when nothing waits, or for
///   NULL; also when there is no memory to show a message, which drops its connection.
/// Threads: any.
/// Callbacks: finalizers of destroyed sockets may run on this thread.
/// Blocks: no.
/// Since: 0.1.0.
FW_API bool fw_next_event(struct fw_event *out);

/// Takes the next event of one socket.
///
/// As fw_next_event.
///
/// socket: the socket.
/// out: receives the event; its type is FW_EVENT_NONE when nothing waits; not NULL.
/// Returns: true if an event was taken, which must be released; false when nothing waits, for a
///   handle that is not valid, or for NULL; also when there is no memory to show a message, which
///   drops its connection.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API bool fw_socket_next_event(struct fw_socket socket, struct fw_event *out);

/// Takes the next events of all sockets, several at once.
///
/// As fw_next_event called again and again, in the same order, with fewer locks. Takes at most what
/// waits when it is called. Release them with fw_events_release, or each with fw_event_release.
///
/// out: receives the events, the first so many of count; the others are not written; not NULL.
/// count: how many events fit there; 0 does nothing; more than fit into memory is refused.
/// Returns: how many events were taken; 0 when nothing waits, or for NULL; also when there is no
///   memory to show the first message, which drops its connection.
/// Threads: any.
/// Callbacks: finalizers of destroyed sockets may run on this thread.
/// Blocks: no.
/// Since: 0.2.0.
FW_API size_t fw_next_events(struct fw_event *out, size_t count);

/// Takes the next events of one socket, several at once.
///
/// As fw_next_events.
///
/// socket: the socket.
/// out: receives the events, the first so many of count; the others are not written; not NULL.
/// count: how many events fit there; 0 does nothing; more than fit into memory is refused.
/// Returns: how many events were taken; 0 when nothing waits, for a handle that is not valid, or for
///   NULL; also when there is no memory to show the first message, which drops its connection.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API size_t fw_socket_next_events(struct fw_socket socket, struct fw_event *out, size_t count);

/// Releases several events.
///
/// As fw_event_release on each.
///
/// events: count events that were taken, or zeroed; NULL does nothing.
/// count: how many; more than fit into memory does nothing.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API void fw_events_release(struct fw_event *events, size_t count);

/// Releases an event.
///
/// Everything that the event points to becomes invalid. After FW_EVENT_REQUEST the connection continues. The
/// event is zeroed. Releasing it twice, or releasing an event of FW_EVENT_NONE, does nothing.
///
/// event: an event that was taken, or zeroed; NULL does nothing.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API void fw_event_release(struct fw_event *event);

/// Sends a text message.
///
/// The text is checked, copied once into the send queue and sent in the background, in the order of
/// the calls, in several frames if it is longer than the fragment size.
///
/// socket: the socket, open.
/// text: UTF-8, len bytes, no NUL needed; borrowed for the call; may be NULL when len is 0.
/// len: bytes, 0 to 1 GiB less one; an empty message is legal.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); INVALID_UTF8; INVALID_STATE (not
///   open); TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was queued);
///   OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_send_text(struct fw_socket socket, const char *text, size_t len);

/// Sends a binary message.
///
/// As fw_socket_send_text, without the check.
///
/// socket: the socket, open.
/// data: len bytes; borrowed for the call; may be NULL when len is 0.
/// len: bytes, 0 to 1 GiB less one; an empty message is legal.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_send_binary(struct fw_socket socket, const void *data, size_t len);

/// Sends a text message with flags.
///
/// Otherwise as fw_socket_send_text.
///
/// socket: the socket, open.
/// text: UTF-8, len bytes, no NUL needed; borrowed for the call; may be NULL when len is 0.
/// len: bytes, 0 to 1 GiB less one.
/// flags: FW_SEND_DEFAULT or FW_SEND_UNCOMPRESSED.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL, or unknown flags); INVALID_UTF8;
///   INVALID_STATE (not open); TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was
///   queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_send_text_with(struct fw_socket socket, const char *text, size_t len,
                                          fw_send_flags flags);

/// Sends a binary message with flags.
///
/// Otherwise as fw_socket_send_binary.
///
/// socket: the socket, open.
/// data: len bytes; borrowed for the call; may be NULL when len is 0.
/// len: bytes, 0 to 1 GiB less one.
/// flags: FW_SEND_DEFAULT or FW_SEND_UNCOMPRESSED.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL, or unknown flags); INVALID_STATE (not
///   open); TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_send_binary_with(struct fw_socket socket, const void *data, size_t len,
                                            fw_send_flags flags);

/// Sends a text message where it lies.
///
/// Consumes one reference to the segment, even on failure; it is released when the message is sent. No
/// copy is made if it is the last reference: do not access the bytes after the call.
///
/// socket: the socket, open.
/// segment: UTF-8, from fw_buffer_get or retained.
/// Returns: OK (queued); INVALID_HANDLE (socket, or a segment that the caller does not hold);
///   INVALID_ARGUMENT (a range outside of the segment); INVALID_UTF8; INVALID_STATE (not open);
///   TOO_LARGE; WOULD_BLOCK (the send queue is at its limit, nothing was queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_send_text_segment(struct fw_socket socket, struct fw_segment segment);

/// Sends a binary message where it lies.
///
/// As fw_socket_send_text_segment, without the check.
///
/// socket: the socket, open.
/// segment: from fw_buffer_get or retained.
/// Returns: OK (queued); INVALID_HANDLE (socket, or a segment that the caller does not hold);
///   INVALID_ARGUMENT (a range outside of the segment); INVALID_STATE (not open); TOO_LARGE;
///   WOULD_BLOCK (the send queue is at its limit, nothing was queued); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_send_binary_segment(struct fw_socket socket, struct fw_segment segment);

/// Sends a ping of the caller's own.
///
/// The answer comes as the event pong with the same payload. To watch a connection, rather use
/// fw_socket_set_start_ping_thread.
///
/// socket: the socket, open.
/// data: len bytes; borrowed for the call; may be NULL when len is 0.
/// len: 0 to 125 bytes.
/// Returns: OK (queued); INVALID_HANDLE; INVALID_ARGUMENT (NULL); TOO_LARGE; INVALID_STATE (not
///   open); WOULD_BLOCK (16 pings wait to be sent); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_ping(struct fw_socket socket, const void *data, size_t len);

/// Payload bytes accepted by the send calls and not yet handed to the network.
///
/// socket: the socket.
/// Returns: bytes; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_socket_buffered_amount(struct fw_socket socket);

/// Limits what may wait in the send queue.
///
/// While fw_socket_buffered_amount is at or past the limit, sends are refused with WOULD_BLOCK and
/// queue nothing; a message that begins below the limit may exceed it.
///
/// socket: the socket, in any state.
/// bytes: default 64 MiB (67108864); 0 counts as 1.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_max_buffered_amount(struct fw_socket socket, size_t bytes);

/// Takes a block from the pool.
///
/// The bytes are the caller's to write, their content is undefined, and so are those before offset:
/// room for a frame's header, so that the segment can be sent where it lies. The range may be
/// narrowed by changing offset and count before it is sent.
///
/// size: bytes needed, may be 0; less than 2 GiB.
/// out: receives the segment, held once; not NULL.
/// Returns: OK; INVALID_ARGUMENT (NULL); TOO_LARGE; OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_buffer_get(size_t size, struct fw_segment *out);

/// Holds a segment once more.
///
/// Inside a callback, or before an event is released, it makes a received segment outlive them
/// without a copy. Each hold is given up with fw_segment_release, or by sending the segment.
///
/// segment: a segment that is valid now.
/// Returns: OK; INVALID_HANDLE (released, or never handed out).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_segment_retain(struct fw_segment segment);

/// Gives up one hold.
///
/// With the last one the bytes must not be touched any more. Releasing too often is detected and
/// does no harm.
///
/// segment: a segment that the caller holds.
/// Returns: OK; INVALID_HANDLE (the caller does not hold it).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_segment_release(struct fw_segment segment);

/// Prepares a struct for fw_buffer_pool_stats.
///
/// Call it first, as fw_pool_stats_init(&stats, sizeof stats). Writes no more than struct_size
/// bytes: all zero but the size.
///
/// stats: written; NULL does nothing.
/// struct_size: sizeof(fw_pool_stats), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API void fw_pool_stats_init(struct fw_pool_stats *stats, size_t struct_size);

/// What the pool holds now.
///
/// out: prepared with fw_pool_stats_init; receives the numbers; not NULL.
/// Returns: OK; INVALID_ARGUMENT (NULL, struct_size).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_buffer_pool_stats(struct fw_pool_stats *out);

/// Gives the blocks that are kept for reuse back to the allocator.
///
/// For moments in which memory counts more than the next allocation, such as a change of levels.
///
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API void fw_buffer_pool_trim(void);

/// Sets the Origin header field of the upgrade request.
///
/// Browsers send one and some servers want it. Replaces the one set before, also by fw_socket_add_header.
///
/// socket: the socket, closed.
/// origin: NUL-terminated visible ASCII such as "https://example.org", copied; "" for none, the default.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, characters that a header may not have, or more than
///   64 header fields); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_origin(struct fw_socket socket, const char *origin);

/// Offers a subprotocol.
///
/// May be called several times: the server chooses at most one of them, see fw_socket_protocol.
///
/// socket: the socket, closed.
/// protocol: NUL-terminated token (letters, digits and !#$%&'*+-.^_`|~), copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, no token, or offered already); TOO_LARGE (more than
///   64, or 32 KiB together); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_add_protocol(struct fw_socket socket, const char *protocol);

/// Adds a header field to the upgrade request.
///
/// A name that is there already is sent twice, except Authorization, Origin and User-Agent, which a request
/// has once: the last one set is sent. Without a User-Agent of the caller's, "Framewire/" and the version is
/// sent, to an HTTP proxy too; fw_request_remove_header removes it.
///
/// socket: the socket, closed.
/// name: NUL-terminated token, copied; not one that the handshake owns, such as Host or Upgrade.
/// value: NUL-terminated visible ASCII, spaces and tabs inside, copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, not a legal field, one that the handshake owns, or
///   more than 64); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_add_header(struct fw_socket socket, const char *name, const char *value);

/// Sends a user name and a password with the upgrade request (RFC 7617).
///
/// Replaces any other authorization, that of the URL included. Over ws: anybody on the way can read it.
///
/// socket: the socket, closed.
/// user: NUL-terminated UTF-8 without colon and control characters, copied.
/// password: NUL-terminated UTF-8 without control characters, copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or not as above); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_basic_auth(struct fw_socket socket, const char *user,
                                          const char *password);

/// Sends a token with the upgrade request (RFC 6750).
///
/// Replaces any other authorization. Over ws: anybody on the way can read it.
///
/// socket: the socket, closed.
/// token: NUL-terminated letters, digits and -._~+/= , not empty, copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or not as above); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_bearer_auth(struct fw_socket socket, const char *token);

/// Sets the size from which messages go out in several frames.
///
/// Control frames find a gap between them. Holds for messages sent from now on.
///
/// socket: the socket, in any state.
/// bytes: 16 to 2 GiB less one; default 32767.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (out of range).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_max_fragment_size(struct fw_socket socket, size_t bytes);

/// Chooses the version of HTTP that the connection begins with.
///
/// Over HTTP/2 the sockets of one server, with the same fw_tls, share connections. When all streams that
/// the server allows (SETTINGS_MAX_CONCURRENT_STREAMS) are in use, one more connection is made; while it
/// allows none yet, sockets wait on the connection there is, up to the connect timeout.
///
/// With FW_HTTP_AUTO a request that HTTP/2 did not serve is sent once more over HTTP/1.1, at once:
///   - the server has no WebSockets over HTTP/2 (RFC 8441 section 3);
///   - it resets the stream, with PROTOCOL_ERROR or HTTP_1_1_REQUIRED, or twice with another code;
///   - it answers 400, 405, 421, 426, 501, 505, or another 5xx without Retry-After: gateways do so that
///     announce WebSockets over HTTP/2 and have an HTTP/1.1 backend.
///
/// The event internal_request_created comes again. Other answers, as 401, 403, 404, 407 and 429, are
/// final as over HTTP/1.1. When HTTP/1.1 serves, that is remembered for the server for ten minutes; later
/// tries of fw_socket_set_reconnect use HTTP/1.1 too. With FW_HTTP_2 all of these are the event error.
/// One attempt to connect makes at most three connections: HTTP/2, once more where that was lost before
/// the answer, and HTTP/1.1.
///
/// socket: the socket, closed.
/// version: default FW_HTTP_AUTO.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (no such number); INVALID_STATE (not closed);
///   NOT_SUPPORTED (FW_HTTP_2 in a build without it).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_http_version(struct fw_socket socket, fw_http version);

/// Limits the messages that are accepted.
///
/// A larger one ends the connection with close code 1009 and the event error.
///
/// socket: the socket, closed.
/// bytes: 1 to 2 GiB less one; default 64 MiB (67108864).
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (out of range); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_max_message_size(struct fw_socket socket, size_t bytes);

/// Lets the library watch the connection with pings.
///
/// Also measures fw_socket_latency_us. The pings are sent by the socket's worker; no thread is started.
/// Without them a dead peer is noticed by TCP alone, within 20 to 30 seconds.
///
/// socket: the socket, in any state.
/// enable: default false.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_start_ping_thread(struct fw_socket socket, bool enable);

/// Sets the time between two pings.
///
/// Has an effect with fw_socket_set_start_ping_thread.
///
/// socket: the socket, in any state.
/// milliseconds: at least 10; default 1000.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (less than 10).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_ping_frequency(struct fw_socket socket, uint32_t milliseconds);

/// Sets how long a ping may stay unanswered while nothing else comes either.
///
/// Past it the event error comes, with FW_ERROR_KIND_PING_TIMEOUT. Has an effect with
/// fw_socket_set_start_ping_thread.
///
/// socket: the socket, in any state.
/// milliseconds: at least 1; default 2000.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (0).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_close_after_no_message(struct fw_socket socket,
                                                      uint32_t milliseconds);

/// Limits the time from fw_socket_open to the event open.
///
/// Runs over name resolution, TCP, TLS and upgrade. Past it the event error comes, with
/// FW_ERROR_KIND_TIMED_OUT and the phase in which it hung.
///
/// socket: the socket, closed.
/// milliseconds: at least 1; default 20000.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (0); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_connect_timeout(struct fw_socket socket, uint32_t milliseconds);

/// Limits the time from the close frame to the end of the connection.
///
/// Past it the event closed comes, with code 1006.
///
/// socket: the socket, closed.
/// milliseconds: at least 1; default 5000.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (0); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_close_timeout(struct fw_socket socket, uint32_t milliseconds);

/// Gives the socket TLS settings of the caller's own.
///
/// They have an effect with wss: URLs. Sockets that share them share their session cache and resume
/// faster. The socket keeps them alive; later changes reach it when it opens again. Without this call
/// all sockets share the default settings: webpki roots, verification on.
///
/// socket: the socket, closed.
/// tls: the settings.
/// Returns: OK; INVALID_HANDLE (either); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_tls(struct fw_socket socket, struct fw_tls tls);

/// Sets a pair that goes with every log line of the socket.
///
/// Such as a match or a player, to find one connection among many. Replaces the value of that key.
///
/// socket: the socket, in any state.
/// key: NUL-terminated UTF-8 of 1 to 64 bytes, copied.
/// value: NUL-terminated UTF-8 of at most 256 bytes, copied; "" removes the pair.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or too long); TOO_LARGE (more than 32 pairs).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_context(struct fw_socket socket, const char *key, const char *value);

/// Sets the proxy on the way to the server.
///
/// By default the environment is asked when the socket opens: HTTP_PROXY for ws, HTTPS_PROXY for wss,
/// ALL_PROXY for both, also in lower case, which wins; NO_PROXY lists hosts that are reached without: names,
/// addresses, and CIDR blocks such as 10.0.0.0/8, which match literal addresses. A variable that cannot be
/// used is ignored, with a warning in the log.
///
/// HTTP proxies are asked to CONNECT, for ws and wss alike. socks5 resolves the server's name here, socks5h
/// leaves it to the proxy, and so does socks. https speaks TLS to the proxy itself, with the roots and
/// authorities of the socket's TLS settings, but without their pins and client certificate. What fails at
/// the proxy ends in the event error with FW_PHASE_PROXY; its time counts for the connect timeout, and in
/// fw_stats for connect_us.
///
/// socket: the socket, closed.
/// url: NUL-terminated http, https, socks5, socks5h or socks URL, such as
///   "http://user:password@host:3128", copied; NULL for the environment, "" for no proxy.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (not UTF-8); INVALID_URL (no such URL);
///   NOT_SUPPORTED (https in a build without TLS); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_proxy(struct fw_socket socket, const char *url);

/// Sets how many redirects are followed.
///
/// 301, 302, 303, 307 and 308 are, with relative targets too, all under the connect timeout, and the event
/// internal_request_created comes before each. Targets are read as browsers read them: what a URL must not
/// have is percent-encoded.
///
/// User and password of the URL and the header fields Authorization, Cookie and Proxy-Authorization are sent
/// to the same origin, and to the same host when it redirects from ws to wss. To any other server they are
/// not, and the error of a later 401 or 403 says so. A redirect from wss to ws is never followed. One that is
/// not followed ends in the event error with its status; fw_socket_url tells where the last went.
///
/// socket: the socket, closed.
/// count: for each fw_socket_open; 0, the default, for none.
/// Returns: OK; INVALID_HANDLE; INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_max_redirects(struct fw_socket socket, uint32_t count);

/// Keeps cookies that servers set, and sends them back.
///
/// As RFC 6265 says, in answers to the upgrade request and in redirects. They belong to this socket, last
/// as long as it does, and go along when it opens again. A Cookie of fw_socket_add_header wins over them.
/// At most 64 of 16 KiB together are kept, the newest.
///
/// socket: the socket, closed.
/// enable: default false; false also forgets those that were kept.
/// Returns: OK; INVALID_HANDLE; INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_cookies(struct fw_socket socket, bool enable);

/// Fills a reconnect policy with the defaults, switched on.
///
/// Call it first, as fw_reconnect_init(&reconnect, sizeof reconnect), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// reconnect: written; NULL does nothing.
/// struct_size: sizeof(fw_reconnect), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API void fw_reconnect_init(struct fw_reconnect *reconnect, size_t struct_size);

/// Sets whether a connection that is lost, or not made, is tried again.
///
/// It is after errors that are retriable, and never after a close, an fw_socket_close or an
/// fw_socket_abort. The event reconnecting comes instead of error, with the number of the try, from 1, and
/// its delay: a random time from min_delay_ms to min_delay_ms times 2 to the power of that number, at most
/// max_delay_ms; behind the time that a Retry-After header field asks for, at most 10 minutes of it. Until
/// the next event open the state is FW_STATE_CONNECTING, and sends give INVALID_STATE or, where queue_sends
/// says so, wait for the connection, up to what fw_socket_set_max_buffered_amount allows. What was accepted
/// before the loss and not yet sent is lost with the connection. What is sent when the next one is open
/// goes there, also while the events that tell of it still wait to be polled. Each try begins
/// with the socket's own URL and settings, asks internal_request_created again and has the connect timeout
/// to itself. When the tries are used up, or an error is not retriable, error or closed comes as ever.
///
/// socket: the socket, closed.
/// reconnect: prepared with fw_reconnect_init, copied; NULL disables reconnecting, as by default.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a delay out of its range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_reconnect(struct fw_socket socket,
                                         const struct fw_reconnect *reconnect);

/// Fills a compression with the defaults.
///
/// Call it first, as fw_compression_init(&compression, sizeof compression), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// compression: written; NULL does nothing.
/// struct_size: sizeof(fw_compression), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API void fw_compression_init(struct fw_compression *compression, size_t struct_size);

/// Sets how messages are compressed.
///
/// Compression is on by default, with the values of fw_compression_init. It takes effect when the server
/// agrees; fw_socket_extensions says whether it did. Decompressed messages are held to the maximum
/// message size while they are decompressed.
///
/// socket: the socket, closed.
/// compression: prepared with fw_compression_init, copied; NULL turns compression off.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (struct_size, or a value out of its range);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_set_compression(struct fw_socket socket,
                                           const struct fw_compression *compression);

/// Fills a extension with the defaults.
///
/// Call it first, as fw_extension_init(&extension, sizeof extension), then change what is to differ.
/// Writes no more than struct_size bytes, so that a program built with an older header keeps working;
/// one that may meet an older library sets the struct to zero before.
///
/// extension: written; NULL does nothing.
/// struct_size: sizeof(fw_extension), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API void fw_extension_init(struct fw_extension *extension, size_t struct_size);

/// Adds an extension to a socket.
///
/// Extensions are offered, and change messages, in the order in which they were added, all before
/// permessage-deflate; received messages go the other way. Two that own the same reserved bit cannot be
/// agreed on together: that ends the attempt in an error of kind EXTENSION.
///
/// socket: the socket, closed.
/// extension: prepared with fw_extension_init; not NULL; copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size, rsv over 7, no add_negotiation);
///   NOT_SUPPORTED (a field is set that only a newer library knows); INVALID_STATE (not closed);
///   TOO_LARGE (more than 8). When it is not OK destroy is not called.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_add_extension(struct fw_socket socket,
                                         const struct fw_extension *extension);

/// Makes TLS settings.
///
/// With webpki roots, verification on, and a session cache of their own.
///
/// out: receives the handle; not NULL.
/// Returns: OK; INVALID_ARGUMENT (NULL); NOT_SUPPORTED (a build without TLS); OUT_OF_MEMORY.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_tls_create(struct fw_tls *out);

/// Trusts more certificates.
///
/// For test servers and private networks. Each certificate is trusted as an authority, and as a server's
/// own certificate when a server presents the very same one, byte for byte: for its dates and names, even
/// if it is marked as a CA's, as openssl req -x509 does by default. May be called several times.
///
/// tls: the settings; later changes reach connections opened later.
/// pem: one or more certificates in PEM, len bytes, no NUL needed; copied.
/// len: bytes.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, or nothing usable in it; then none is added).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_tls_add_ca_pem(struct fw_tls tls, const char *pem, size_t len);

/// Shows a certificate to servers that ask for one.
///
/// Replaces the one set before.
///
/// tls: the settings; later changes reach connections opened later.
/// cert_pem: the certificate and the rest of its chain in PEM, cert_len bytes; copied.
/// cert_len: bytes.
/// key_pem: its private key in PEM (PKCS#8, SEC1 or PKCS#1, not encrypted), key_len bytes; copied.
/// key_len: bytes.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, nothing usable in it, or a key that does not fit).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_tls_set_client_cert_pem(struct fw_tls tls, const char *cert_pem,
                                            size_t cert_len, const char *key_pem, size_t key_len);

/// Accepts only servers with a certain public key.
///
/// On top of the usual verification. With FW_ROOTS_NONE and no certificate added, a matching pin replaces
/// the check of the issuer; dates, extended key usage and names are still checked. With several pins any
/// of them will do. A pin is compared with the key of the server's own certificate, not with that of an
/// intermediate; it does not apply to a proxy.
///
/// tls: the settings; later changes reach connections opened later.
/// pin: 32 bytes, the SHA-256 of the certificate's SubjectPublicKeyInfo; copied.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_tls_add_pin_sha256(struct fw_tls tls, const uint8_t *pin);

/// Chooses which certificate authorities are trusted.
///
/// Those added with fw_tls_add_ca_pem are trusted besides.
///
/// tls: the settings; later changes reach connections opened later.
/// roots: default FW_ROOTS_WEBPKI.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (no such number).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_tls_set_roots(struct fw_tls tls, fw_roots roots);

/// Accepts any certificate.
///
/// Anybody on the way can then read and change everything: for development only.
///
/// tls: the settings; later changes reach connections opened later.
/// enable: default false.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_tls_set_insecure(struct fw_tls tls, bool enable);

/// Writes the keys of connections to the file that the environment variable SSLKEYLOGFILE names.
///
/// So that tools such as Wireshark can show what was said: for development only.
///
/// tls: the settings; later changes reach connections opened later.
/// enable: default false.
/// Returns: OK; INVALID_HANDLE.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_tls_set_key_log(struct fw_tls tls, bool enable);

/// Destroys the handle.
///
/// Sockets that use it keep its settings.
///
/// tls: the settings.
/// Returns: OK; INVALID_HANDLE (destroyed already).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_tls_destroy(struct fw_tls tls);

/// The name of a state, such as "FW_STATE_OPEN".
///
/// For logs and error messages; compare the numbers, not the names.
///
/// state: any number.
/// Returns: a static text, never NULL, not to be freed; "UNKNOWN" for a number that is none of
///   fw_state.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API const char *fw_state_name(fw_state state);

/// Where the socket is in its life.
///
/// socket: the socket.
/// Returns: the state; FW_STATE_UNKNOWN for a handle that is not valid; FW_STATE_CLOSED for a socket that
///   was never opened.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_state fw_socket_state(struct fw_socket socket);

/// Whether messages can be sent.
///
/// socket: the socket.
/// Returns: true in FW_STATE_OPEN; false otherwise, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API bool fw_socket_is_open(struct fw_socket socket);

/// The round trip time of the pings, smoothed.
///
/// Measured by the pings of fw_socket_set_start_ping_thread.
///
/// socket: the socket.
/// Returns: microseconds; -1 before the first answer, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API int64_t fw_socket_latency_us(struct fw_socket socket);

/// When the last message came.
///
/// socket: the socket.
/// Returns: microseconds since 1970-01-01 00:00:00 UTC; 0 for never, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API uint64_t fw_socket_last_message_received(struct fw_socket socket);

/// Copies out the subprotocol that the server chose.
///
/// socket: the socket.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 if it chose none, before the
///   event open, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_socket_protocol(struct fw_socket socket, char *buf, size_t cap);

/// Copies out the extensions that the server accepted, as it wrote them.
///
/// socket: the socket.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 if there are none, before the
///   event open, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_socket_extensions(struct fw_socket socket, char *buf, size_t cap);

/// The HTTP version of the upgrade.
///
/// socket: the socket.
/// Returns: 1 or 2; 0 before the server has answered, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API uint32_t fw_socket_http_version(struct fw_socket socket);

/// The HTTP status of the answer to the upgrade request.
///
/// Stays readable after the connection has ended, until the socket opens again.
///
/// socket: the socket.
/// Returns: 101 where the upgrade was done, else what the server said; 0 before it has answered, and for
///   a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API uint16_t fw_socket_response_status(struct fw_socket socket);

/// Copies out a header field of the answer to the upgrade request.
///
/// The first of that name. Stays readable as fw_socket_response_status does.
///
/// socket: the socket.
/// name: NUL-terminated, in any case; borrowed for the call.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 also if there is no such field, before
///   the server has answered, for NULL as name, and for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_socket_response_header(struct fw_socket socket, const char *name, char *buf,
                                        size_t cap);

/// Copies out the beginning of the body of a refused upgrade.
///
/// At most 1024 bytes, decoded, whatever they are: they may hold NULs. Readable when the event error
/// comes, until the socket opens again.
///
/// socket: the socket.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: how many bytes there are, 0 to 1024; 0 also for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_socket_response_body(struct fw_socket socket, char *buf, size_t cap);

/// Copies out the socket's URL.
///
/// In the form in which it is used, without user and password.
///
/// socket: the socket.
/// buf: where the text goes, NUL-terminated; may be NULL when cap is 0.
/// cap: bytes that fit there, the NUL included.
/// Returns: the length of the whole text without its NUL; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API size_t fw_socket_url(struct fw_socket socket, char *buf, size_t cap);

/// Prepares a struct for fw_socket_stats.
///
/// Call it first, as fw_stats_init(&stats, sizeof stats). Writes no more than struct_size
/// bytes: all zero but the size.
///
/// stats: written; NULL does nothing.
/// struct_size: sizeof(fw_stats), as the caller's header declares it.
/// Returns: nothing.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.2.0.
FW_API void fw_stats_init(struct fw_stats *stats, size_t struct_size);

/// Counts what the socket has done.
///
/// socket: the socket.
/// out: prepared with fw_stats_init; receives the numbers; not NULL.
/// Returns: OK; INVALID_HANDLE; INVALID_ARGUMENT (NULL, struct_size).
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API fw_result fw_socket_stats(struct fw_socket socket, struct fw_stats *out);

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
FW_API size_t fw_request_url(struct fw_request request, char *buf, size_t cap);

/// The HTTP version of the request.
///
/// request: the request.
/// Returns: 1 or 2; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API uint32_t fw_request_http_version(struct fw_request request);

/// Which attempt of this fw_socket_open it is.
///
/// request: the request.
/// Returns: a number from 1; 0 for a handle that is not valid.
/// Threads: any.
/// Callbacks: none.
/// Blocks: no.
/// Since: 0.1.0.
FW_API uint32_t fw_request_attempt(struct fw_request request);

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
FW_API fw_result fw_request_set_header(struct fw_request request, const char *name,
                                       const char *value);

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
FW_API fw_result fw_request_add_header(struct fw_request request, const char *name,
                                       const char *value);

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
FW_API fw_result fw_request_remove_header(struct fw_request request, const char *name);

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
