/*
 * Framewire for C++17: a header-only RAII wrapper over framewire.h.                 framewire.hpp
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     auto socket = framewire::Socket::create("wss://example.org/game");
 *     if (!socket)
 *         return report(socket.error().message);
 *     socket->on_open([](framewire::SocketRef self) { self.send_text("hello"); });
 *     socket->on_text([](framewire::SocketRef, std::string_view text) { show(text); });
 *     socket->on_error([](framewire::SocketRef, const framewire::ConnectionError &error) {
 *         show(error.message);
 *     });
 *     socket->open();
 *     while (playing) {
 *         framewire::poll(0, std::chrono::milliseconds(1));     // runs the callbacks, once per frame
 *         draw();
 *     }
 *
 * Names. Socket::send_text is fw_socket_send_text, Code::would_block is FW_RESULT_WOULD_BLOCK, and so
 * on for every function and constant. The limits, return values, threading rules and defaults of
 * framewire.h apply unchanged. The comments below describe what C++ adds.
 *
 * Ownership. Socket, Tls, Segment, Buffer and Event own one handle each. They can be moved but not
 * copied, and release the handle in their destructor. SocketRef, SegmentRef and Request own nothing and
 * can be copied. Using a stale handle is safe: the call returns invalid_handle.
 *
 * Results. Nothing throws. A function that can fail returns a Result, which is true on success and
 * otherwise contains an Error with a code and a message. The header compiles with -fno-exceptions and
 * -fno-rtti. When the standard library cannot allocate, the program's operator new decides what happens.
 *
 * Callbacks. Any std::function; an empty one removes the callback. A callback receives the socket as a
 * SocketRef, which stays valid when the Socket is moved. It may do anything that framewire.h allows, and
 * also replace itself, and move or destroy its own Socket: the function and its captures live until it
 * has returned. A replaced callback is destroyed when it is not running any more; in worker mode, with
 * the next event. All are destroyed when the socket's finalizer has run: at the next poll after the
 * Socket was destroyed, or in shutdown. Do not set callbacks of the same socket with functions of
 * framewire.h: setting one here replaces them. An exception that leaves a callback cannot pass through the
 * library, which is not C++, so it calls std::terminate at the point of the throw.
 *
 * Threading. Every function may be called from any thread and inside any callback, except shutdown, which
 * fails inside a callback. None blocks, except wait and shutdown, which are bounded by their timeouts.
 * Moving or destroying an object is not synchronized with its other functions.
 */

#ifndef FRAMEWIRE_HPP
#define FRAMEWIRE_HPP

#if defined(_MSVC_LANG) ? _MSVC_LANG < 201703L : __cplusplus < 201703L
#error "framewire.hpp needs C++17"
#endif

#include "framewire.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace framewire {

class SocketRef;

// ---------------------------------------------------------------------------------------- constants
// Values of a newer library that this header does not name are passed through unchanged.

/// The result code of a call.
enum class Code : std::uint32_t {
    ok = FW_RESULT_OK,
    invalid_argument = FW_RESULT_INVALID_ARGUMENT,
    invalid_handle = FW_RESULT_INVALID_HANDLE,
    invalid_state = FW_RESULT_INVALID_STATE,
    invalid_url = FW_RESULT_INVALID_URL,
    invalid_utf8 = FW_RESULT_INVALID_UTF8,
    too_large = FW_RESULT_TOO_LARGE,
    would_block = FW_RESULT_WOULD_BLOCK,
    not_supported = FW_RESULT_NOT_SUPPORTED,
    out_of_memory = FW_RESULT_OUT_OF_MEMORY,
    timed_out = FW_RESULT_TIMED_OUT,
    shut_down = FW_RESULT_SHUT_DOWN,
    internal = FW_RESULT_INTERNAL,
};

/// The log level.
enum class LogLevel : std::uint32_t {
    off = FW_LOG_OFF,
    error = FW_LOG_ERROR,
    warn = FW_LOG_WARN,
    info = FW_LOG_INFO,
    debug = FW_LOG_DEBUG,
    trace = FW_LOG_TRACE,
};

/// The type of a message.
enum class Opcode : std::uint32_t {
    none = FW_OPCODE_NONE,
    text = FW_OPCODE_TEXT,
    binary = FW_OPCODE_BINARY,
};

/// Options for sending one message, which can be combined with |.
enum class SendFlags : std::uint32_t {
    none = FW_SEND_DEFAULT,
    uncompressed = FW_SEND_UNCOMPRESSED,
    /// The caller has encoded the message; see SocketRef::offer_extension.
    rsv3 = FW_SEND_RSV3,
    rsv2 = FW_SEND_RSV2,
    rsv1 = FW_SEND_RSV1,
};

constexpr SendFlags operator|(SendFlags a, SendFlags b) noexcept
{
    return static_cast<SendFlags>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

/// The cause of a connection error.
enum class ErrorKind : std::uint32_t {
    none = FW_ERROR_KIND_NONE,
    resolve = FW_ERROR_KIND_RESOLVE,
    refused = FW_ERROR_KIND_REFUSED,
    unreachable = FW_ERROR_KIND_UNREACHABLE,
    reset = FW_ERROR_KIND_RESET,
    timed_out = FW_ERROR_KIND_TIMED_OUT,
    tls = FW_ERROR_KIND_TLS,
    http = FW_ERROR_KIND_HTTP,
    proxy = FW_ERROR_KIND_PROXY,
    protocol = FW_ERROR_KIND_PROTOCOL,
    utf8 = FW_ERROR_KIND_UTF8,
    too_large = FW_ERROR_KIND_TOO_LARGE,
    ping_timeout = FW_ERROR_KIND_PING_TIMEOUT,
    extension = FW_ERROR_KIND_EXTENSION,
    io = FW_ERROR_KIND_IO,
    internal = FW_ERROR_KIND_INTERNAL,
};

/// The phase in which a connection failed.
enum class Phase : std::uint32_t {
    none = FW_PHASE_NONE,
    resolve = FW_PHASE_RESOLVE,
    connect = FW_PHASE_CONNECT,
    proxy = FW_PHASE_PROXY,
    tls = FW_PHASE_TLS,
    upgrade = FW_PHASE_UPGRADE,
    open = FW_PHASE_OPEN,
    closing = FW_PHASE_CLOSING,
};

/// Where a socket's callbacks run.
enum class Dispatch : std::uint32_t {
    poll = FW_DISPATCH_POLL,
    worker = FW_DISPATCH_WORKER,
};

/// The type of an event.
enum class EventType : std::uint32_t {
    none = FW_EVENT_NONE,
    open = FW_EVENT_OPEN,
    text = FW_EVENT_TEXT,
    binary = FW_EVENT_BINARY,
    incomplete_frame = FW_EVENT_INCOMPLETE_FRAME,
    request = FW_EVENT_REQUEST,
    pong = FW_EVENT_PONG,
    reconnecting = FW_EVENT_RECONNECTING,
    closed = FW_EVENT_CLOSED,
    error = FW_EVENT_ERROR,
    sent = FW_EVENT_SENT,
    encoded = FW_EVENT_ENCODED,
};

/// What became of a message with a tag.
enum class Outcome : std::uint32_t {
    none = FW_OUTCOME_NONE,
    sent = FW_OUTCOME_SENT,
    expired = FW_OUTCOME_EXPIRED,
    replaced = FW_OUTCOME_REPLACED,
    lost = FW_OUTCOME_LOST,
};

/// How a simulated link fails; see fw_link_cut.
enum class LinkCut : std::uint32_t {
    none = FW_LINK_CUT_NONE,
    stall = FW_LINK_CUT_STALL,
    half_open = FW_LINK_CUT_HALF_OPEN,
    reset = FW_LINK_CUT_RESET,
    end = FW_LINK_CUT_END,
    refuse = FW_LINK_CUT_REFUSE,
};

/// The trusted certificate authorities.
enum class Roots : std::uint32_t {
    webpki = FW_ROOTS_WEBPKI,
    platform = FW_ROOTS_PLATFORM,
    none = FW_ROOTS_NONE,
};

/// Parts of the API that some builds lack, see has_capability.
enum class Capability : std::uint32_t {
    headers = FW_CAPABILITY_HEADERS,
    cookies = FW_CAPABILITY_COOKIES,
    redirects = FW_CAPABILITY_REDIRECTS,
    proxy = FW_CAPABILITY_PROXY,
    tls = FW_CAPABILITY_TLS,
    tls_settings = FW_CAPABILITY_TLS_SETTINGS,
    http_version = FW_CAPABILITY_HTTP_VERSION,
    http_2 = FW_CAPABILITY_HTTP2,
    compression_settings = FW_CAPABILITY_COMPRESSION_SETTINGS,
    extensions = FW_CAPABILITY_EXTENSIONS,
    fragments = FW_CAPABILITY_FRAGMENTS,
    ping = FW_CAPABILITY_PING,
    close_codes = FW_CAPABILITY_CLOSE_CODES,
    backpressure = FW_CAPABILITY_BACKPRESSURE,
    worker_dispatch = FW_CAPABILITY_WORKER_DISPATCH,
    wait = FW_CAPABILITY_WAIT,
    android = FW_CAPABILITY_ANDROID,
    link = FW_CAPABILITY_LINK,
    capture = FW_CAPABILITY_CAPTURE,
};

/// The HTTP version to connect with.
enum class HttpVersion : std::uint32_t {
    automatic = FW_HTTP_AUTO,
    http_1 = FW_HTTP_1,
    http_2 = FW_HTTP_2,
};

/// The state of a socket.
enum class State : std::uint32_t {
    connecting = FW_STATE_CONNECTING,
    open = FW_STATE_OPEN,
    closing = FW_STATE_CLOSING,
    closed = FW_STATE_CLOSED,
    unknown = FW_STATE_UNKNOWN,
};

/// Returns the name of the constant in framewire.h, such as "FW_STATE_OPEN", for logs.
inline const char *name(State state) noexcept
{
    return fw_state_name(static_cast<fw_state>(state));
}
inline const char *name(Phase phase) noexcept
{
    return fw_phase_name(static_cast<fw_phase>(phase));
}
inline const char *name(ErrorKind kind) noexcept
{
    return fw_error_kind_name(static_cast<fw_error_kind>(kind));
}
inline const char *name(EventType type) noexcept
{
    return fw_event_type_name(static_cast<fw_event_type>(type));
}
inline const char *name(Outcome outcome) noexcept
{
    return fw_outcome_name(static_cast<fw_outcome>(outcome));
}

// ------------------------------------------------------------------------------------------ results

/// Describes why a call failed.
struct Error {
    Code code;
    /// A description for logs, which is not stable between versions.
    std::string message;

    /// Returns the name of the constant in framewire.h, such as "FW_RESULT_WOULD_BLOCK".
    const char *name() const noexcept { return fw_result_name(static_cast<fw_result>(code)); }
};

/// Contains a value, or an error.
template <class T> class [[nodiscard]] Result {
public:
    Result(T value) : value_(std::move(value)) {}
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return value_.has_value(); }

    /// Returns the value. The result must be true.
    T &operator*() & noexcept { return assert(value_), *value_; }
    const T &operator*() const & noexcept { return assert(value_), *value_; }
    T &&operator*() && noexcept { return assert(value_), std::move(*value_); }
    T *operator->() noexcept { return assert(value_), &*value_; }
    const T *operator->() const noexcept { return assert(value_), &*value_; }

    /// Returns the error; its code is ok and its message empty if the result is true.
    const Error &error() const noexcept { return error_; }
    Code code() const noexcept { return error_.code; }

private:
    std::optional<T> value_;
    Error error_{Code::ok, {}};
};

/// Success, or an error. May be ignored: a send that fails because the connection ended is followed by
/// the terminal event, and a setting fails only if its value or the time of the call is invalid.
template <> class Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return error_.code == Code::ok; }

    /// Returns the error; its code is ok and its message empty if the result is true.
    const Error &error() const noexcept { return error_; }
    Code code() const noexcept { return error_.code; }

private:
    Error error_{Code::ok, {}};
};

namespace detail {

/// Returns the text of a function `size_t f(..., char *buf, size_t cap)`.
template <class CopyOut> std::string text_of(CopyOut copy_out)
{
    char start[256];
    std::size_t length = copy_out(start, sizeof start);
    if (length < sizeof start)
        return std::string(start, length);
    std::string text;
    do { // The text may have become longer since the previous call.
        text.resize(length);
        length = copy_out(&text[0], text.size() + 1);
    } while (length > text.size());
    text.resize(length);
    return text;
}

/// Returns the text of a function `size_t f(handle, char *buf, size_t cap)`.
template <class Handle>
std::string text_of(Handle handle, std::size_t (*copy_out)(Handle, char *, std::size_t))
{
    return text_of([=](char *buf, std::size_t cap) { return copy_out(handle, buf, cap); });
}

/// Returns the text of a function `size_t f(handle, const char *name, char *buf, size_t cap)`. A name with
/// a NUL, at which the library would stop reading, matches no header.
template <class Handle>
std::string text_of(Handle handle, std::string_view name,
                    std::size_t (*copy_out)(Handle, const char *, char *, std::size_t))
{
    if (name.find('\0') != std::string_view::npos)
        return {};
    const std::string terminated(name);
    return text_of(
        [&](char *buf, std::size_t cap) { return copy_out(handle, terminated.c_str(), buf, cap); });
}

inline Error last_error(fw_result result)
{
    return {static_cast<Code>(result), text_of(fw_last_error)};
}

inline Result<void> checked(fw_result result)
{
    if (result == FW_RESULT_OK)
        return {};
    return last_error(result);
}

/// Calls a function of framewire.h that takes NUL-terminated text. Rejects a NUL inside the text, which
/// would truncate it.
template <class Call, class... Text> Result<void> call_with_text(Call call, Text... text)
{
    if (((text.find('\0') != std::string_view::npos) || ...))
        return Error{Code::invalid_argument, "the text contains a NUL"};
    return checked(call(std::string(text).c_str()...));
}

template <class Handle>
Result<void> with_text(Handle handle, fw_result (*call)(Handle, const char *), std::string_view text)
{
    return call_with_text([=](auto t) { return call(handle, t); }, text);
}

template <class Handle>
Result<void> with_text(Handle handle, fw_result (*call)(Handle, const char *, const char *),
                       std::string_view first, std::string_view second)
{
    return call_with_text([=](auto f, auto s) { return call(handle, f, s); }, first, second);
}

inline std::uint32_t milliseconds_of(std::chrono::milliseconds time) noexcept
{
    constexpr std::chrono::milliseconds::rep longest = (std::numeric_limits<std::uint32_t>::max)();
    return static_cast<std::uint32_t>(std::clamp<std::chrono::milliseconds::rep>(time.count(), 0, longest));
}

/// Converts a time to live; a negative one becomes 1, because 0 means never.
inline std::uint32_t time_to_live_of(std::chrono::milliseconds time) noexcept
{
    return time.count() < 0 ? 1 : milliseconds_of(time);
}

/// Converts a budget; a negative one becomes 1, because 0 means no limit.
inline std::uint32_t budget_of(std::chrono::microseconds time) noexcept
{
    constexpr std::chrono::microseconds::rep longest = (std::numeric_limits<std::uint32_t>::max)();
    if (time.count() < 0)
        return 1;
    return static_cast<std::uint32_t>((std::min<std::chrono::microseconds::rep>)(time.count(), longest));
}

template <class T>
constexpr bool is_byte = std::is_same_v<T, char> || std::is_same_v<T, signed char> ||
                         std::is_same_v<T, unsigned char> || std::is_same_v<T, std::byte>;

template <class Container>
using ElementOf = std::remove_pointer_t<decltype(std::data(std::declval<Container &>()))>;

/// Whether Element is a byte type that can be viewed as T without removing const.
template <class T, class Element>
constexpr bool is_viewable_as =
    is_byte<std::remove_cv_t<Element>> && (std::is_const_v<T> || !std::is_const_v<Element>);

} // namespace detail

// -------------------------------------------------------------------------------------------- bytes

/// A view of contiguous bytes, owned elsewhere. T is std::uint8_t or const std::uint8_t.
template <class T> class Span {
public:
    constexpr Span() noexcept = default;
    constexpr Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /// Views any container with data() and size() whose elements are bytes: vector, array, string, span.
    template <class Container, class Element = detail::ElementOf<Container>,
              class = std::enable_if_t<detail::is_viewable_as<T, Element> &&
                                       !std::is_array_v<std::remove_reference_t<Container>>>>
    Span(Container &&container) noexcept
        : data_(reinterpret_cast<T *>(std::data(container))), size_(std::size(container))
    {
    }
    template <std::size_t N> constexpr Span(T (&array)[N]) noexcept : data_(array), size_(N) {}

    constexpr T *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T *begin() const noexcept { return data_; }
    constexpr T *end() const noexcept { return data_ + size_; }
    constexpr T &operator[](std::size_t index) const noexcept { return assert(index < size_), data_[index]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

/// A read-only view of bytes.
using Bytes = Span<const std::uint8_t>;
/// A writable view of bytes.
using WritableBytes = Span<std::uint8_t>;

/// Views a struct as its bytes in memory, with its padding and the byte order of this machine. The view must not
/// outlive it; a send copies.
template <class T> Bytes bytes_of(const T &object) noexcept
{
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>, "has no bytes of its own");
    return {reinterpret_cast<const std::uint8_t *>(std::addressof(object)), sizeof object};
}
template <class T> Bytes bytes_of(const T &&) = delete;

/// Owns one reference to a pooled buffer. The bytes stay valid until it is destroyed or sent.
class Segment {
public:
    /// Creates an empty segment.
    Segment() noexcept = default;
    Segment(Segment &&other) noexcept : raw_(other.detach()) {}
    Segment &operator=(Segment &&other) noexcept
    {
        if (this != &other) {
            release();
            raw_ = other.detach();
        }
        return *this;
    }
    ~Segment() { release(); }

    explicit operator bool() const noexcept { return raw_.buffer.id != 0; }
    Bytes bytes() const noexcept { return {raw_.data + raw_.offset, raw_.count}; }
    std::string_view text() const noexcept
    {
        return {reinterpret_cast<const char *>(raw_.data + raw_.offset), raw_.count};
    }

    /// Adds a reference to the same bytes, without a copy.
    Result<Segment> retain() const { return hold(raw_); }

    /// Releases the reference before the destructor does.
    void release() noexcept
    {
        if (fw_segment held = detach(); held.buffer.id != 0)
            fw_segment_release(held);
    }

    /// Adds a reference to a segment of a callback or an event.
    static Result<Segment> hold(const fw_segment &raw)
    {
        if (fw_result result = fw_segment_retain(raw); result != FW_RESULT_OK)
            return detail::last_error(result);
        return Segment(raw);
    }
    /// Takes ownership of one reference.
    explicit Segment(fw_segment raw) noexcept : raw_(raw) {}
    const fw_segment &raw() const noexcept { return raw_; }
    /// Transfers ownership of the reference to the caller, who releases or sends it.
    fw_segment detach() noexcept { return std::exchange(raw_, fw_segment{}); }

protected:
    fw_segment raw_{};
};

/// A writable pooled buffer. A message written into it can be sent without a copy.
class Buffer : public Segment {
public:
    Buffer() noexcept = default;

    /// Allocates a buffer from the pool (fw_buffer_get).
    ///
    /// \param size its size in bytes; the contents are undefined
    /// \returns the buffer; out_of_memory if allocation fails
    static Result<Buffer> get(std::size_t size)
    {
        fw_segment segment{};
        if (fw_result result = fw_buffer_get(size, &segment); result != FW_RESULT_OK)
            return detail::last_error(result);
        return Buffer(segment);
    }

    WritableBytes writable() noexcept { return {raw_.data + raw_.offset, raw_.count}; }
    /// Truncates the buffer to its first size bytes.
    void shrink(std::size_t size) noexcept { raw_.count = (std::min)(raw_.count, size); }

private:
    explicit Buffer(fw_segment raw) noexcept : Segment(raw) {}
};

/// A view of a received payload, valid until the callback returns or the event is released. Moving an Event keeps it
/// valid.
class SegmentRef {
public:
    explicit SegmentRef(const fw_segment &raw) noexcept : raw_(raw) {}

    Bytes bytes() const noexcept { return {raw_.data + raw_.offset, raw_.count}; }
    std::string_view text() const noexcept
    {
        return {reinterpret_cast<const char *>(raw_.data + raw_.offset), raw_.count};
    }
    /// Adds a reference that keeps the payload longer, without a copy.
    Result<Segment> retain() const { return Segment::hold(raw_); }
    const fw_segment &raw() const noexcept { return raw_; }

private:
    fw_segment raw_;
};

/// A fragment of a message, valid until the callback returns.
struct Frame {
    /// The type of the whole message.
    Opcode opcode;
    bool is_first;
    bool is_final;
    SegmentRef payload;
};

/// Counters of the buffer pool.
using PoolStats = fw_pool_stats;

/// Returns the counters of the buffer pool.
inline PoolStats buffer_pool_stats() noexcept
{
    PoolStats stats{};
    fw_pool_stats_init(&stats, sizeof stats);
    fw_buffer_pool_stats(&stats);
    return stats;
}

/// Frees the pooled blocks that are not in use.
inline void buffer_pool_trim() noexcept
{
    fw_buffer_pool_trim();
}

// ------------------------------------------------------------------------------------------ library

/// Returns the version of the linked library; FW_VERSION is the version of the header.
inline std::uint32_t version() noexcept
{
    return fw_version();
}
inline std::string_view version_string() noexcept
{
    return fw_version_string();
}

/// Returns whether the linked library can do this. Builds for browsers and builds without TLS or HTTP/2 lack some;
/// functions that need them fail with Code::not_supported.
inline bool has_capability(Capability capability) noexcept
{
    return (fw_capabilities() & static_cast<std::uint32_t>(capability)) != 0;
}

/// Returns whether the linked library is compatible with this header. Check it at startup if the library is
/// shared.
inline bool library_matches_header() noexcept
{
    // FW_STRUCT_CONFIG, FW_STRUCT_STATS, FW_STRUCT_POOL_STATS, FW_STRUCT_COMPRESSION, FW_STRUCT_EXTENSION,
    // FW_STRUCT_RECONNECT, FW_STRUCT_CALLBACKS, FW_STRUCT_MESSAGE, FW_STRUCT_LANE, FW_STRUCT_LANE_STATS,
    // FW_STRUCT_LINK and FW_STRUCT_CAPTURE have a struct_size and may differ in size.
    return fw_version() >> 8 == FW_VERSION >> 8 && fw_sizeof(FW_STRUCT_ERROR) == sizeof(fw_error) &&
           fw_sizeof(FW_STRUCT_SEGMENT) == sizeof(fw_segment) &&
           fw_sizeof(FW_STRUCT_FRAME) == sizeof(fw_frame) && fw_sizeof(FW_STRUCT_EVENT) == sizeof(fw_event) &&
           fw_sizeof(FW_STRUCT_EXTENSION_FRAME) == sizeof(fw_extension_frame);
}

/// Configuration of the library: fw_config, initialized with the defaults.
struct Config : fw_config {
    Config() noexcept : fw_config() { fw_config_init(this, sizeof(fw_config)); }
};

/// Starts the library. Optional: the first socket starts it with the default configuration.
inline Result<void> init(const Config &config)
{
    return detail::checked(fw_init(&config));
}

/// Destroys every socket, joins every thread of the library, and destroys all callbacks.
///
/// Open connections send their queued messages first. Existing Socket objects become invalid: their
/// functions return invalid_handle. Fails inside a callback.
///
/// \param timeout the time limit; with 0, queued messages are dropped
/// \returns timed_out if a callback or a thread has not ended in time
inline Result<void> shutdown(std::chrono::milliseconds timeout)
{
    return detail::checked(fw_shutdown(detail::milliseconds_of(timeout)));
}

/// Delivers queued events by calling their callbacks, within a budget.
///
/// \param max_events the maximum number of events; 0 is no limit
/// \param budget the time after which no further callback starts; 0 is no limit; with a negative budget,
///   such as the rest of a frame that took too long, at most one callback runs
/// \returns the number of events delivered
inline std::size_t poll(std::uint32_t max_events = 0, std::chrono::microseconds budget = {})
{
    return fw_poll(max_events, detail::budget_of(budget));
}

/// Returns the number of queued events of all sockets.
inline std::size_t pending() noexcept
{
    return fw_pending();
}

/// Blocks until an event is queued. Returns false if the timeout expires first.
inline bool wait(std::chrono::milliseconds timeout) noexcept
{
    return fw_wait(detail::milliseconds_of(timeout));
}

// ------------------------------------------------------------------------------- callback arguments

/// Describes a connection error. Its message is valid until the callback returns or the event is
/// destroyed.
struct ConnectionError {
    ErrorKind kind;
    Phase phase;
    /// The error number of the operating system (errno or WSAGetLastError), or 0.
    std::int32_t os_code;
    /// The HTTP status of a rejected upgrade, or 0.
    std::uint16_t http_status;
    /// The TLS alert, or 0.
    std::uint8_t tls_alert;
    /// Whether a retry may succeed.
    bool retriable;
    /// A description for logs, NUL-terminated.
    std::string_view message;

    explicit ConnectionError(const fw_error &raw) noexcept
        : kind(static_cast<ErrorKind>(raw.kind)), phase(static_cast<Phase>(raw.phase)), os_code(raw.os_code),
          http_status(raw.http_status), tls_alert(raw.tls_alert), retriable(raw.retriable != 0),
          message(raw.message ? raw.message : "")
    {
    }
};

/// The upgrade request of one connection attempt. Invalid after its callback returns or its event is
/// destroyed.
class Request {
public:
    explicit Request(fw_request raw) noexcept : raw_(raw) {}

    std::string url() const { return detail::text_of(raw_, fw_request_url); }
    std::uint32_t http_version() const noexcept { return fw_request_http_version(raw_); }
    /// Returns the number of the attempt, from 1.
    std::uint32_t attempt() const noexcept { return fw_request_attempt(raw_); }

    /// Returns the value of the first header field of that name, or an empty string.
    std::string header(std::string_view name) const { return detail::text_of(raw_, name, fw_request_header); }
    Result<void> set_header(std::string_view name, std::string_view value) const
    {
        return detail::with_text(raw_, fw_request_set_header, name, value);
    }
    Result<void> add_header(std::string_view name, std::string_view value) const
    {
        return detail::with_text(raw_, fw_request_add_header, name, value);
    }
    Result<void> remove_header(std::string_view name) const
    {
        return detail::with_text(raw_, fw_request_remove_header, name);
    }

    fw_request raw() const noexcept { return raw_; }

private:
    fw_request raw_;
};

// ------------------------------------------------------------------------- TLS, reconnect, compression

/// TLS settings for wss: sockets, which keep them after this object is destroyed.
class Tls {
public:
    /// Creates an empty object.
    Tls() noexcept = default;
    Tls(Tls &&other) noexcept : raw_(std::exchange(other.raw_, fw_tls{})) {}
    Tls &operator=(Tls &&other) noexcept
    {
        if (this != &other) {
            destroy();
            raw_ = std::exchange(other.raw_, fw_tls{});
        }
        return *this;
    }
    ~Tls() { destroy(); }

    /// Creates settings with webpki roots, verification, and their own session cache.
    static Result<Tls> create()
    {
        Tls tls;
        if (fw_result result = fw_tls_create(&tls.raw_); result != FW_RESULT_OK)
            return detail::last_error(result);
        return tls;
    }
    void destroy() noexcept
    {
        if (fw_tls held = std::exchange(raw_, fw_tls{}); held.id != 0)
            fw_tls_destroy(held);
    }

    Result<void> add_ca_pem(std::string_view pem)
    {
        return detail::checked(fw_tls_add_ca_pem(raw_, pem.data(), pem.size()));
    }
    Result<void> set_client_cert_pem(std::string_view cert_pem, std::string_view key_pem)
    {
        return detail::checked(fw_tls_set_client_cert_pem(raw_, cert_pem.data(), cert_pem.size(),
                                                          key_pem.data(), key_pem.size()));
    }
    Result<void> add_pin_sha256(const std::array<std::uint8_t, 32> &pin)
    {
        return detail::checked(fw_tls_add_pin_sha256(raw_, pin.data()));
    }
    Result<void> set_roots(Roots roots)
    {
        return detail::checked(fw_tls_set_roots(raw_, static_cast<fw_roots>(roots)));
    }
    /// Accepts any certificate. For development only.
    Result<void> set_insecure(bool enable) { return detail::checked(fw_tls_set_insecure(raw_, enable)); }
    Result<void> set_key_log(bool enable) { return detail::checked(fw_tls_set_key_log(raw_, enable)); }

    fw_tls raw() const noexcept { return raw_; }

private:
    fw_tls raw_{};
};

/// Settings for retries: fw_reconnect, initialized with the defaults and enabled.
struct Reconnect : fw_reconnect {
    Reconnect() noexcept : fw_reconnect() { fw_reconnect_init(this, sizeof(fw_reconnect)); }
};

/// Settings for permessage-deflate: fw_compression, initialized with the defaults.
struct Compression : fw_compression {
    Compression() noexcept : fw_compression() { fw_compression_init(this, sizeof(fw_compression)); }
};

/// Counters of a socket.
using Stats = fw_stats;

/// A lane of a socket: fw_lane, initialized with the defaults.
struct Lane : fw_lane {
    Lane() noexcept : fw_lane() { fw_lane_init(this, sizeof(fw_lane)); }
    /// \param lane_priority lanes with a lower number go first
    /// \param lane_weight the share among lanes of equal priority, 1 to 1000
    /// \param limit the limit of the waiting payload in bytes; 0 for none
    explicit Lane(std::uint32_t lane_priority, std::uint32_t lane_weight = 1, std::size_t limit = 0) noexcept
        : Lane()
    {
        priority = lane_priority;
        weight = lane_weight;
        max_bytes = limit;
    }
};

/// The conditions of a simulated network link: fw_link, initialized with the defaults, a perfect link.
struct Link : fw_link {
    Link() noexcept : fw_link() { fw_link_init(this, sizeof(fw_link)); }
    void set_cut(LinkCut how) noexcept { cut = static_cast<fw_link_cut>(how); }
};

/// The options of a capture: fw_capture, initialized with the defaults.
struct Capture : fw_capture {
    Capture() noexcept : fw_capture() { fw_capture_init(this, sizeof(fw_capture)); }
};

/// Counts of a lane. Times are in microseconds.
using LaneStats = fw_lane_stats;

/// Delivery options of a message. The defaults are those of the other send functions.
struct SendOptions {
    SendFlags flags = SendFlags::none;
    std::uint32_t lane = 0;
    /// Drops the message if it has not begun by then; 0 is never. A negative time, such as what remains until a
    /// moment that has passed, is 1 ms.
    std::chrono::milliseconds time_to_live{0};
    /// If not 0, replaces the waiting message with the same key in the same lane, in its place.
    std::uint64_t key = 0;
    /// If not 0, reported once to Socket::on_sent.
    std::uint64_t tag = 0;
};

// --------------------------------------------------------------------------------------- extensions

/// Describes a message, or a fragment, to an extension.
struct ExtensionFrame {
    Opcode opcode;
    bool is_first;
    bool is_final;
    /// The reserved bits of the message's first frame: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    std::uint32_t rsv;
};

/// The base class of custom extensions (RFC 6455 section 9); see SocketRef::add_extension.
///
/// Its functions are called on the socket's worker thread, one at a time, and should return quickly. The
/// destructor may run on any thread. An exception that leaves them calls std::terminate.
class Extension {
public:
    /// \param rsv the reserved bits that the extension uses; 0 if it transforms every message
    explicit Extension(std::uint32_t rsv) noexcept : rsv_(rsv) {}
    virtual ~Extension() = default;
    Extension(const Extension &) = delete;
    Extension &operator=(const Extension &) = delete;

    std::uint32_t rsv() const noexcept { return rsv_; }

    /// Returns the element for Sec-WebSocket-Extensions, such as "x-xor; key=7", of at most 512 bytes. If it
    /// is empty or longer, the extension is not offered.
    virtual std::string add_negotiation() = 0;
    /// Handles the element with which the server accepted. Returns false to fail the connection attempt.
    virtual bool parse_negotiation(std::string_view) { return true; }
    /// Returns the reserved bits for a message to send; 0 sends it without transforming it.
    virtual std::uint32_t frame_header(const ExtensionFrame &) { return rsv_; }
    /// Transforms a payload to send into the Buffer; an empty Buffer leaves it unchanged. Returns false to
    /// fail the connection.
    virtual bool encode(const ExtensionFrame &, Bytes, Buffer &) { return true; }
    /// Transforms a received payload in the same way.
    virtual bool decode(const ExtensionFrame &, Bytes, Buffer &) { return true; }

private:
    std::uint32_t rsv_;
};

namespace detail {

// The functions that the library calls. Being noexcept, they turn an exception into std::terminate.

inline std::size_t FW_CALL extension_add_negotiation(char *buf, std::size_t cap, void *extension) noexcept
{
    const std::string element = static_cast<Extension *>(extension)->add_negotiation();
    if (element.size() > cap)
        return 0;
    element.copy(buf, element.size());
    return element.size();
}

inline std::uint32_t FW_CALL extension_parse_negotiation(const char *element, std::size_t len,
                                                         void *extension) noexcept
{
    return static_cast<Extension *>(extension)->parse_negotiation({element, len});
}

inline ExtensionFrame frame_of(const fw_extension_frame &frame) noexcept
{
    return {static_cast<Opcode>(frame.opcode), frame.is_first != 0, frame.is_final != 0, frame.rsv};
}

inline std::uint32_t FW_CALL extension_frame_header(const fw_extension_frame *frame, void *extension) noexcept
{
    return static_cast<Extension *>(extension)->frame_header(frame_of(*frame));
}

template <bool (Extension::*transform)(const ExtensionFrame &, Bytes, Buffer &)>
std::uint32_t FW_CALL extension_transform(const fw_extension_frame *frame, const std::uint8_t *data,
                                          std::size_t len, fw_segment *out, void *extension) noexcept
{
    Buffer out_buffer;
    const bool done =
        (static_cast<Extension *>(extension)->*transform)(frame_of(*frame), {data, len}, out_buffer);
    if (done && out_buffer)
        *out = out_buffer.detach();
    return done;
}

inline void FW_CALL extension_destroy(void *extension) noexcept
{
    delete static_cast<Extension *>(extension);
}

} // namespace detail

class Event;

// ------------------------------------------------------------------------------------------ sockets

/// A non-owning socket handle, with all functions of a socket except those that set callbacks.
///
/// Can be copied and stored. After the socket is destroyed, its functions return invalid_handle.
class SocketRef {
public:
    /// Creates an invalid handle.
    SocketRef() noexcept = default;
    explicit SocketRef(fw_socket raw) noexcept : raw_(raw) {}

    fw_socket raw() const noexcept { return raw_; }
    friend bool operator==(SocketRef a, SocketRef b) noexcept { return a.raw_.id == b.raw_.id; }
    friend bool operator!=(SocketRef a, SocketRef b) noexcept { return a.raw_.id != b.raw_.id; }

    // Lifecycle.

    /// Starts connecting. If it returns ok, exactly one terminal event follows: closed or error.
    Result<void> open() const { return detail::checked(fw_socket_open(raw_)); }
    /// Starts the closing handshake after all queued messages. While connecting, cancels.
    ///
    /// \param code the close code; 0 sends 1000
    /// \param reason at most 123 bytes of UTF-8
    Result<void> close(std::uint16_t code = 1000, std::string_view reason = {}) const
    {
        return detail::call_with_text([&](auto text) { return fw_socket_close(raw_, code, text); }, reason);
    }
    /// Drops the connection immediately, without a closing handshake.
    Result<void> abort() const { return detail::checked(fw_socket_abort(raw_)); }
    /// Destroys the socket, even if a Socket owns it.
    Result<void> destroy() const { return detail::checked(fw_socket_destroy(raw_)); }
    /// Destroys the socket, even if a Socket owns it. Sends queued messages and a close frame (1001) in the
    /// background first, for at most the timeout.
    Result<void> destroy_when_sent(std::chrono::milliseconds timeout) const
    {
        return detail::checked(fw_socket_destroy_when_sent(raw_, detail::milliseconds_of(timeout)));
    }
    /// Stores a pointer that events return.
    Result<void> set_user_data(void *user_data) const
    {
        return detail::checked(fw_socket_set_user_data(raw_, user_data));
    }
    void *user_data() const noexcept { return fw_socket_user_data(raw_); }

    // Sending. The payload is copied once into the send queue.

    Result<void> send_text(std::string_view text) const
    {
        return detail::checked(fw_socket_send_text(raw_, text.data(), text.size()));
    }
    Result<void> send_text(std::string_view text, SendFlags flags) const
    {
        return detail::checked(
            fw_socket_send_text_with(raw_, text.data(), text.size(), static_cast<fw_send_flags>(flags)));
    }
    Result<void> send_binary(Bytes data) const
    {
        return detail::checked(fw_socket_send_binary(raw_, data.data(), data.size()));
    }
    Result<void> send_binary(Bytes data, SendFlags flags) const
    {
        return detail::checked(
            fw_socket_send_binary_with(raw_, data.data(), data.size(), static_cast<fw_send_flags>(flags)));
    }
    /// Sends a Buffer or a received Segment without a copy. Consumes it, even on failure.
    Result<void> send_text_segment(Segment &&segment) const
    {
        return detail::checked(fw_socket_send_text_segment(raw_, segment.detach()));
    }
    Result<void> send_binary_segment(Segment &&segment) const
    {
        return detail::checked(fw_socket_send_binary_segment(raw_, segment.detach()));
    }
    /// Sends a message with delivery options; see fw_socket_send.
    Result<void> send_text(std::string_view text, const SendOptions &options) const
    {
        return send(FW_OPCODE_TEXT, text.data(), text.size(), options);
    }
    Result<void> send_binary(Bytes data, const SendOptions &options) const
    {
        return send(FW_OPCODE_BINARY, data.data(), data.size(), options);
    }
    /// Sends a Buffer or a received Segment with delivery options. Consumes it, even on failure.
    Result<void> send_text_segment(Segment &&segment, const SendOptions &options) const
    {
        return send(FW_OPCODE_TEXT, std::move(segment), options);
    }
    Result<void> send_binary_segment(Segment &&segment, const SendOptions &options) const
    {
        return send(FW_OPCODE_BINARY, std::move(segment), options);
    }
    /// Sets the lanes in which messages wait until they begin, at most 8; none is the same as one.
    Result<void> set_lanes(const Lane *lanes, std::size_t count) const
    {
        static_assert(sizeof(Lane) == sizeof(fw_lane), "an array of Lane is one of fw_lane");
        return detail::checked(fw_socket_set_lanes(raw_, lanes, count));
    }
    Result<void> set_lanes(std::initializer_list<Lane> lanes) const
    {
        return set_lanes(lanes.begin(), lanes.size());
    }
    /// Simulates a bad network; see fw_socket_set_link.
    Result<void> set_link(const Link &link) const { return detail::checked(fw_socket_set_link(raw_, &link)); }
    /// Disables the simulated link (the default).
    Result<void> set_no_link() const { return detail::checked(fw_socket_set_link(raw_, nullptr)); }
    /// Captures the traffic to a pcapng file, from the next connection on; see fw_socket_set_capture.
    Result<void> set_capture(std::string_view path, const Capture &options = Capture()) const
    {
        return detail::call_with_text([&](auto text) { return fw_socket_set_capture(raw_, text, &options); },
                                      path);
    }
    /// Ends the capture.
    Result<void> end_capture() const
    {
        return detail::checked(fw_socket_set_capture(raw_, nullptr, nullptr));
    }
    Result<LaneStats> lane_stats(std::uint32_t lane) const
    {
        LaneStats stats{};
        fw_lane_stats_init(&stats, sizeof stats);
        if (fw_result result = fw_socket_lane_stats(raw_, lane, &stats); result != FW_RESULT_OK)
            return detail::last_error(result);
        return stats;
    }
    Result<void> ping(Bytes data = {}) const
    {
        return detail::checked(fw_socket_ping(raw_, data.data(), data.size()));
    }
    /// Returns the number of payload bytes in the send queue.
    std::size_t buffered_amount() const noexcept { return fw_socket_buffered_amount(raw_); }

    // Delivery.

    /// Delivers queued events of this socket; see framewire::poll.
    std::size_t poll(std::uint32_t max_events = 0, std::chrono::microseconds budget = {}) const
    {
        return fw_socket_poll(raw_, max_events, detail::budget_of(budget));
    }
    /// Dequeues the next event of this socket; see framewire::next_event.
    std::optional<Event> next_event() const;
    Result<void> set_dispatch(Dispatch dispatch) const
    {
        return detail::checked(fw_socket_set_dispatch(raw_, static_cast<fw_dispatch>(dispatch)));
    }
    Result<void> enable_event(EventType type, bool enable = true) const
    {
        return detail::checked(fw_socket_enable_event(raw_, static_cast<fw_event_type>(type), enable));
    }

    // Settings. Require a closed socket.

    Result<void> set_origin(std::string_view origin) const
    {
        return detail::with_text(raw_, fw_socket_set_origin, origin);
    }
    Result<void> add_protocol(std::string_view protocol) const
    {
        return detail::with_text(raw_, fw_socket_add_protocol, protocol);
    }
    Result<void> add_header(std::string_view name, std::string_view value) const
    {
        return detail::with_text(raw_, fw_socket_add_header, name, value);
    }
    Result<void> set_basic_auth(std::string_view user, std::string_view password) const
    {
        return detail::with_text(raw_, fw_socket_set_basic_auth, user, password);
    }
    Result<void> set_bearer_auth(std::string_view token) const
    {
        return detail::with_text(raw_, fw_socket_set_bearer_auth, token);
    }
    Result<void> set_max_message_size(std::size_t bytes) const
    {
        return detail::checked(fw_socket_set_max_message_size(raw_, bytes));
    }
    Result<void> set_connect_timeout(std::chrono::milliseconds time) const
    {
        return detail::checked(fw_socket_set_connect_timeout(raw_, detail::milliseconds_of(time)));
    }
    Result<void> set_close_timeout(std::chrono::milliseconds time) const
    {
        return detail::checked(fw_socket_set_close_timeout(raw_, detail::milliseconds_of(time)));
    }
    Result<void> set_compression(const Compression &compression) const
    {
        return detail::checked(fw_socket_set_compression(raw_, &compression));
    }
    /// Does not offer compression to the server.
    Result<void> set_no_compression() const
    {
        return detail::checked(fw_socket_set_compression(raw_, nullptr));
    }
    /// Adds a custom extension. It is destroyed when no connection uses it, or at once if the call fails.
    Result<void> add_extension(std::unique_ptr<Extension> extension) const
    {
        fw_extension functions{};
        fw_extension_init(&functions, sizeof functions);
        functions.rsv = extension ? extension->rsv() : 0;
        functions.add_negotiation =
            extension ? detail::extension_add_negotiation : nullptr; // NULL is rejected.
        functions.parse_negotiation = detail::extension_parse_negotiation;
        functions.frame_header = detail::extension_frame_header;
        functions.encode = detail::extension_transform<&Extension::encode>;
        functions.decode = detail::extension_transform<&Extension::decode>;
        functions.destroy = detail::extension_destroy;
        functions.user_data = extension.get();
        Result<void> added = detail::checked(fw_socket_add_extension(raw_, &functions));
        if (added)
            extension.release(); // Owned by the library; detail::extension_destroy deletes it.
        return added;
    }
    /// Offers an extension whose messages the program encodes and decodes itself: see fw_socket_offer_extension.
    Result<void> offer_extension(std::string_view offer, std::uint32_t rsv) const
    {
        return detail::call_with_text([&](auto text) { return fw_socket_offer_extension(raw_, text, rsv); },
                                      offer);
    }
    /// Sets the proxy: "http://user:password@host:port", or https, socks5 or socks5h; "" for none.
    Result<void> set_proxy(std::string_view url) const
    {
        return detail::with_text(raw_, fw_socket_set_proxy, url);
    }
    /// Uses the proxy of the environment variables (the default).
    Result<void> set_proxy_from_environment() const
    {
        return detail::checked(fw_socket_set_proxy(raw_, nullptr));
    }
    Result<void> set_max_redirects(std::uint32_t count) const
    {
        return detail::checked(fw_socket_set_max_redirects(raw_, count));
    }
    /// Enables or disables cookies for this socket; disabling also deletes them.
    Result<void> set_cookies(bool enable) const
    {
        return detail::checked(fw_socket_set_cookies(raw_, enable));
    }
    Result<void> set_reconnect(const Reconnect &reconnect) const
    {
        return detail::checked(fw_socket_set_reconnect(raw_, &reconnect));
    }
    /// Disables reconnecting (the default).
    Result<void> set_no_reconnect() const { return detail::checked(fw_socket_set_reconnect(raw_, nullptr)); }
    Result<void> set_tls(const Tls &tls) const { return detail::checked(fw_socket_set_tls(raw_, tls.raw())); }
    Result<void> set_http_version(HttpVersion version) const
    {
        return detail::checked(fw_socket_set_http_version(raw_, static_cast<fw_http>(version)));
    }

    // Settings that can also change while the socket is open.

    Result<void> set_max_buffered_amount(std::size_t bytes) const
    {
        return detail::checked(fw_socket_set_max_buffered_amount(raw_, bytes));
    }
    Result<void> set_max_fragment_size(std::size_t bytes) const
    {
        return detail::checked(fw_socket_set_max_fragment_size(raw_, bytes));
    }
    Result<void> set_start_ping_thread(bool enable) const
    {
        return detail::checked(fw_socket_set_start_ping_thread(raw_, enable));
    }
    Result<void> set_ping_frequency(std::chrono::milliseconds time) const
    {
        return detail::checked(fw_socket_set_ping_frequency(raw_, detail::milliseconds_of(time)));
    }
    Result<void> set_close_after_no_message(std::chrono::milliseconds time) const
    {
        return detail::checked(fw_socket_set_close_after_no_message(raw_, detail::milliseconds_of(time)));
    }
    Result<void> set_context(std::string_view key, std::string_view value) const
    {
        return detail::with_text(raw_, fw_socket_set_context, key, value);
    }

    // State.

    State state() const noexcept { return static_cast<State>(fw_socket_state(raw_)); }
    bool is_open() const noexcept { return fw_socket_is_open(raw_); }
    /// Returns the smoothed round-trip time of pings; empty before the first pong.
    std::optional<std::chrono::microseconds> latency() const noexcept
    {
        const std::int64_t microseconds = fw_socket_latency_us(raw_);
        if (microseconds < 0)
            return std::nullopt;
        return std::chrono::microseconds(microseconds);
    }
    /// Returns the time of the last message received; empty before the first.
    std::optional<std::chrono::system_clock::time_point> last_message_received() const noexcept
    {
        const std::uint64_t microseconds = fw_socket_last_message_received(raw_);
        if (microseconds == 0)
            return std::nullopt;
        using Clock = std::chrono::system_clock;
        const std::chrono::microseconds since_epoch(microseconds);
        return Clock::time_point(std::chrono::duration_cast<Clock::duration>(since_epoch));
    }
    std::string url() const { return detail::text_of(raw_, fw_socket_url); }
    std::string protocol() const { return detail::text_of(raw_, fw_socket_protocol); }
    std::string extensions() const { return detail::text_of(raw_, fw_socket_extensions); }
    std::uint32_t http_version() const noexcept { return fw_socket_http_version(raw_); }
    std::uint16_t response_status() const noexcept { return fw_socket_response_status(raw_); }
    std::string response_header(std::string_view name) const
    {
        return detail::text_of(raw_, name, fw_socket_response_header);
    }
    /// Returns the names and values of all header fields of the response, in the order received.
    std::vector<std::pair<std::string, std::string>> response_headers() const
    {
        const std::string lines = detail::text_of(raw_, fw_socket_response_headers);
        std::vector<std::pair<std::string, std::string>> fields;
        std::size_t start = 0;
        while (start < lines.size()) {
            const std::size_t colon = lines.find(": ", start);
            const std::size_t end = lines.find('\n', colon);
            fields.emplace_back(lines.substr(start, colon - start), lines.substr(colon + 2, end - colon - 2));
            start = end + 1;
        }
        return fields;
    }
    /// Returns the first KiB of the body of a rejected upgrade, which may contain NULs.
    std::string response_body() const { return detail::text_of(raw_, fw_socket_response_body); }
    Result<Stats> stats() const
    {
        Stats stats{};
        fw_stats_init(&stats, sizeof stats);
        if (fw_result result = fw_socket_stats(raw_, &stats); result != FW_RESULT_OK)
            return detail::last_error(result);
        return stats;
    }

protected:
    fw_socket raw_{};

private:
    static fw_message message_of(fw_opcode opcode, const SendOptions &options) noexcept
    {
        fw_message message{};
        fw_message_init(&message, sizeof message);
        message.opcode = opcode;
        message.flags = static_cast<std::uint32_t>(options.flags);
        message.lane = options.lane;
        message.ttl_ms = detail::time_to_live_of(options.time_to_live);
        message.key = options.key;
        message.tag = options.tag;
        return message;
    }
    Result<void> send(fw_opcode opcode, const void *data, std::size_t size, const SendOptions &options) const
    {
        fw_message message = message_of(opcode, options);
        message.data = data;
        message.len = size;
        return detail::checked(fw_socket_send(raw_, &message));
    }
    Result<void> send(fw_opcode opcode, Segment &&segment, const SendOptions &options) const
    {
        fw_message message = message_of(opcode, options);
        message.segment = segment.detach();
        // Without a buffer, the message would be an empty one.
        if (message.segment.buffer.id == 0)
            return detail::checked(fw_socket_send_binary_segment(raw_, message.segment));
        return detail::checked(fw_socket_send(raw_, &message));
    }
};

namespace detail {

template <class... Arguments> using Callback = std::function<void(SocketRef, Arguments...)>;
/// Shared by the sets that contain the callback.
template <class... Arguments> using SharedCallback = std::shared_ptr<const Callback<Arguments...>>;

/// A set of callbacks, which is replaced as a whole when one changes. The library keeps it while one of them
/// may run, so calling one needs no lock and no reference count.
struct CallbackSet {
    SharedCallback<> open;
    SharedCallback<std::string_view> text;
    SharedCallback<SegmentRef> text_segment;
    SharedCallback<Bytes> binary;
    SharedCallback<SegmentRef> binary_no_alloc;
    SharedCallback<const Frame &> incomplete_frame;
    SharedCallback<Request> internal_request_created;
    SharedCallback<Bytes> pong;
    SharedCallback<const ConnectionError &, std::uint32_t, std::chrono::milliseconds> reconnecting;
    SharedCallback<std::uint16_t, std::string_view> closed;
    SharedCallback<const ConnectionError &> error;
    SharedCallback<std::uint64_t, Outcome> sent;

    /// Returns the functions that the library calls.
    fw_callbacks functions() const noexcept
    {
        fw_callbacks functions{};
        fw_callbacks_init(&functions, sizeof functions);
        functions.open = open ? on_open : nullptr;
        functions.text = text ? on_text : nullptr;
        functions.text_segment = text_segment ? on_text_segment : nullptr;
        functions.binary = binary ? on_binary : nullptr;
        functions.binary_no_alloc = binary_no_alloc ? on_binary_no_alloc : nullptr;
        functions.incomplete_frame = incomplete_frame ? on_incomplete_frame : nullptr;
        functions.internal_request_created = internal_request_created ? on_internal_request_created : nullptr;
        functions.pong = pong ? on_pong : nullptr;
        functions.reconnecting = reconnecting ? on_reconnecting : nullptr;
        functions.closed = closed ? on_closed : nullptr;
        functions.error = error ? on_error : nullptr;
        functions.sent = sent ? on_sent : nullptr;
        functions.released = on_released;
        return functions;
    }

    // The functions that the library calls. Being noexcept, they turn an exception into std::terminate.

    static void FW_CALL on_open(fw_socket socket, void *set) noexcept { (*of(set).open)(SocketRef(socket)); }
    static void FW_CALL on_text(fw_socket socket, const char *text, std::size_t len, void *set) noexcept
    {
        (*of(set).text)(SocketRef(socket), std::string_view(text, len));
    }
    static void FW_CALL on_text_segment(fw_socket socket, const fw_segment *segment, void *set) noexcept
    {
        (*of(set).text_segment)(SocketRef(socket), SegmentRef(*segment));
    }
    static void FW_CALL on_binary(fw_socket socket, const std::uint8_t *data, std::size_t len,
                                  void *set) noexcept
    {
        (*of(set).binary)(SocketRef(socket), Bytes(data, len));
    }
    static void FW_CALL on_binary_no_alloc(fw_socket socket, const fw_segment *segment, void *set) noexcept
    {
        (*of(set).binary_no_alloc)(SocketRef(socket), SegmentRef(*segment));
    }
    static void FW_CALL on_incomplete_frame(fw_socket socket, const fw_frame *frame, void *set) noexcept
    {
        (*of(set).incomplete_frame)(SocketRef(socket),
                                    Frame{static_cast<Opcode>(frame->opcode), frame->is_first != 0,
                                          frame->is_final != 0, SegmentRef(frame->payload)});
    }
    static void FW_CALL on_internal_request_created(fw_socket socket, fw_request request, void *set) noexcept
    {
        (*of(set).internal_request_created)(SocketRef(socket), Request(request));
    }
    static void FW_CALL on_pong(fw_socket socket, const std::uint8_t *data, std::size_t len,
                                void *set) noexcept
    {
        (*of(set).pong)(SocketRef(socket), Bytes(data, len));
    }
    static void FW_CALL on_reconnecting(fw_socket socket, const fw_error *error, std::uint32_t attempt,
                                        std::uint32_t delay_ms, void *set) noexcept
    {
        (*of(set).reconnecting)(SocketRef(socket), ConnectionError(*error), attempt,
                                std::chrono::milliseconds(delay_ms));
    }
    static void FW_CALL on_closed(fw_socket socket, std::uint16_t code, const char *reason, std::size_t len,
                                  void *set) noexcept
    {
        (*of(set).closed)(SocketRef(socket), code, std::string_view(reason, len));
    }
    static void FW_CALL on_error(fw_socket socket, const fw_error *error, void *set) noexcept
    {
        (*of(set).error)(SocketRef(socket), ConnectionError(*error));
    }
    static void FW_CALL on_sent(fw_socket socket, std::uint64_t tag, fw_outcome outcome, void *set) noexcept
    {
        (*of(set).sent)(SocketRef(socket), tag, static_cast<Outcome>(outcome));
    }
    static void FW_CALL on_released(void *set) noexcept { delete static_cast<const CallbackSet *>(set); }

    static const CallbackSet &of(void *set) noexcept { return *static_cast<const CallbackSet *>(set); }
};

/// What setting a callback needs. Owned by the Socket, and by itself until the finalizer has run.
struct Callbacks {
    std::mutex mutex;
    std::shared_ptr<Callbacks> self;
    /// The same as the library has.
    CallbackSet set;
    std::function<void()> finalized;
    bool is_finalized = false;

    static void FW_CALL finalize(void *user_data) noexcept
    {
        auto *callbacks = static_cast<Callbacks *>(user_data);
        // Destroyed after the lock is released: a captured Socket may call back into this object.
        const std::shared_ptr<Callbacks> self = std::move(callbacks->self);
        CallbackSet released;
        std::function<void()> finalized;
        {
            const std::lock_guard<std::mutex> lock(callbacks->mutex);
            std::swap(released, callbacks->set);
            finalized.swap(callbacks->finalized);
            callbacks->is_finalized = true;
        }
        if (finalized)
            finalized();
    }
};

} // namespace detail

/// A WebSocket. Owns the socket handle and its callbacks; can be opened again after a terminal event.
class Socket : public SocketRef {
public:
    /// Creates an empty object.
    Socket() noexcept = default;
    Socket(Socket &&other) noexcept
        : SocketRef(std::exchange(other.raw_, fw_socket{})), callbacks_(std::move(other.callbacks_))
    {
    }
    Socket &operator=(Socket &&other) noexcept
    {
        if (this != &other) {
            Socket old(std::move(*this));
            raw_ = std::exchange(other.raw_, fw_socket{});
            callbacks_ = std::move(other.callbacks_);
        }
        return *this;
    }
    /// Destroys the socket. An open connection is closed in the background. Queued messages are dropped;
    /// to send them, call destroy_when_sent.
    ~Socket()
    {
        if (raw_.id != 0)
            fw_socket_destroy(raw_);
    }

    /// Creates a socket. Does not connect.
    ///
    /// \param url a ws: or wss: URL
    /// \returns the socket; invalid_url if the URL cannot be used
    static Result<Socket> create(std::string_view url)
    {
        Socket socket;
        socket.callbacks_ = std::make_shared<detail::Callbacks>();
        Result<void> created =
            detail::call_with_text([&](auto text) { return fw_socket_create(text, &socket.raw_); }, url);
        if (!created)
            return created.error();
        socket.callbacks_->self = socket.callbacks_;
        fw_result result =
            fw_socket_set_finalizer(socket.raw_, detail::Callbacks::finalize, socket.callbacks_.get());
        if (result != FW_RESULT_OK) { // Another thread has called shutdown.
            socket.callbacks_->self.reset();
            return detail::last_error(result);
        }
        return socket;
    }

    explicit operator bool() const noexcept { return raw_.id != 0; }
    /// Returns a non-owning handle.
    SocketRef ref() const noexcept { return *this; }

    // Callbacks. All are set with fw_socket_set_callbacks, which replaces the whole set when one changes. The
    // functions for single callbacks are not needed: fw_socket_on_open, fw_socket_on_text,
    // fw_socket_on_text_segment, fw_socket_on_binary, fw_socket_on_binary_no_alloc,
    // fw_socket_on_incomplete_frame, fw_socket_on_internal_request_created, fw_socket_on_pong,
    // fw_socket_on_reconnecting, fw_socket_on_closed, fw_socket_on_error and fw_socket_on_sent.

    /// Sets the callback for an open connection.
    Result<void> on_open(std::function<void(SocketRef)> callback)
    {
        return set(&detail::CallbackSet::open, std::move(callback));
    }
    /// Sets the callback for text messages.
    Result<void> on_text(std::function<void(SocketRef, std::string_view)> callback)
    {
        return set(&detail::CallbackSet::text, std::move(callback));
    }
    /// Sets the callback for text messages whose payload can be retained without a copy.
    Result<void> on_text_segment(std::function<void(SocketRef, SegmentRef)> callback)
    {
        return set(&detail::CallbackSet::text_segment, std::move(callback));
    }
    /// Sets the callback for binary messages.
    Result<void> on_binary(std::function<void(SocketRef, Bytes)> callback)
    {
        return set(&detail::CallbackSet::binary, std::move(callback));
    }
    /// Sets the callback for binary messages whose payload can be retained without a copy.
    Result<void> on_binary_no_alloc(std::function<void(SocketRef, SegmentRef)> callback)
    {
        return set(&detail::CallbackSet::binary_no_alloc, std::move(callback));
    }
    /// Sets the callback for fragments. While it is set, fragmented messages are not assembled.
    Result<void> on_incomplete_frame(std::function<void(SocketRef, const Frame &)> callback)
    {
        return set(&detail::CallbackSet::incomplete_frame, std::move(callback));
    }
    /// Sets the callback that can modify the upgrade request before each connection attempt.
    Result<void> on_internal_request_created(std::function<void(SocketRef, Request)> callback)
    {
        return set(&detail::CallbackSet::internal_request_created, std::move(callback));
    }
    /// Sets the callback for pongs.
    Result<void> on_pong(std::function<void(SocketRef, Bytes)> callback)
    {
        return set(&detail::CallbackSet::pong, std::move(callback));
    }
    /// Sets the callback for a failed connection that is retried after a delay.
    Result<void> on_reconnecting(std::function<void(SocketRef, const ConnectionError &, std::uint32_t attempt,
                                                    std::chrono::milliseconds delay)>
                                     callback)
    {
        return set(&detail::CallbackSet::reconnecting, std::move(callback));
    }
    /// Sets the callback for the terminal event after a closing handshake, or a cancel by the caller.
    Result<void>
    on_closed(std::function<void(SocketRef, std::uint16_t code, std::string_view reason)> callback)
    {
        return set(&detail::CallbackSet::closed, std::move(callback));
    }
    /// Sets the callback for the terminal event after a failure.
    Result<void> on_error(std::function<void(SocketRef, const ConnectionError &)> callback)
    {
        return set(&detail::CallbackSet::error, std::move(callback));
    }
    /// Sets the callback for the outcome of messages with a tag, once for each, before the terminal event.
    Result<void> on_sent(std::function<void(SocketRef, std::uint64_t tag, Outcome outcome)> callback)
    {
        return set(&detail::CallbackSet::sent, std::move(callback));
    }
    /// Sets the finalizer, always the last callback for a socket: after the Socket is destroyed, or in
    /// shutdown.
    Result<void> on_finalized(std::function<void()> callback)
    {
        if (callbacks_) {
            const std::lock_guard<std::mutex> lock(callbacks_->mutex);
            if (!callbacks_->is_finalized) {
                callbacks_->finalized.swap(callback);
                return {};
            }
        }
        return Error{Code::invalid_handle,
                     "there is no socket, or its finalizer has run because of a shutdown"};
    }

private:
    template <class... Arguments>
    Result<void> set(detail::SharedCallback<Arguments...> detail::CallbackSet::*slot,
                     detail::Callback<Arguments...> callback)
    {
        if (!callbacks_)
            return detail::checked(fw_socket_on_open(raw_, nullptr, nullptr));
        detail::SharedCallback<Arguments...> shared;
        if (callback)
            shared = std::make_shared<const detail::Callback<Arguments...>>(std::move(callback));
        const std::lock_guard<std::mutex> lock(callbacks_->mutex);
        auto changed = std::make_unique<detail::CallbackSet>(callbacks_->set);
        (*changed).*slot = shared;
        const fw_callbacks functions = changed->functions();
        const fw_result result = fw_socket_set_callbacks(raw_, &functions, changed.get());
        if (result != FW_RESULT_OK)
            return detail::last_error(result);
        changed.release(); // Owned by the library; CallbackSet::on_released deletes it.
        // Leaves the old callback in `shared`, which outlives the lock: the destructors of its captures may
        // call any function.
        (callbacks_->set.*slot).swap(shared);
        return {};
    }

    std::shared_ptr<detail::Callbacks> callbacks_;
};

// ------------------------------------------------------------------------------------ pulling events

/// A view of an event that is owned by an Event or Events.
class EventView {
public:
    EventType type() const noexcept { return static_cast<EventType>(raw_.type); }
    SocketRef socket() const noexcept { return SocketRef(raw_.socket); }
    /// Returns the pointer set by SocketRef::set_user_data.
    void *user_data() const noexcept { return raw_.user_data; }
    /// Returns the message, fragment, pong, close reason or error message.
    SegmentRef payload() const noexcept { return SegmentRef(raw_.payload); }
    Opcode opcode() const noexcept { return static_cast<Opcode>(raw_.opcode); }
    bool is_first() const noexcept { return raw_.is_first != 0; }
    bool is_final() const noexcept { return raw_.is_final != 0; }
    /// For EventType::encoded: the reserved bits; RSV1 is 4, RSV2 is 2, RSV3 is 1.
    std::uint32_t rsv() const noexcept { return raw_.rsv; }
    std::uint16_t close_code() const noexcept { return raw_.close_code; }
    ConnectionError error() const noexcept { return ConnectionError(raw_.error); }
    Request request() const noexcept { return Request(raw_.request); }
    /// Returns the number of the retry, from 1 (reconnecting).
    std::uint32_t attempt() const noexcept { return raw_.attempt; }
    /// Returns the delay before the retry (reconnecting).
    std::chrono::milliseconds delay() const noexcept { return std::chrono::milliseconds(raw_.delay_ms); }
    /// Returns the tag of the message (sent).
    std::uint64_t tag() const noexcept { return raw_.tag; }
    /// Returns what became of the message (sent).
    Outcome outcome() const noexcept { return static_cast<Outcome>(raw_.outcome); }
    /// Returns the event of the C API.
    const fw_event &raw() const noexcept { return raw_; }

protected:
    friend class Events;
    EventView() noexcept = default;
    explicit EventView(fw_event raw) noexcept : raw_(raw) {}

    fw_event raw_{};
};

/// An event taken from the queue instead of being delivered to a callback.
///
/// Its contents are valid until it is destroyed. A retained payload stays valid longer.
class Event : public EventView {
public:
    Event(Event &&other) noexcept : EventView(std::exchange(other.raw_, fw_event{})) {}
    Event &operator=(Event &&other) noexcept
    {
        if (this != &other) {
            fw_event_release(&raw_);
            raw_ = std::exchange(other.raw_, fw_event{});
        }
        return *this;
    }
    ~Event() { fw_event_release(&raw_); }

    /// Takes ownership of an event of the C API.
    explicit Event(fw_event raw) noexcept : EventView(raw) {}
};

/// A buffer for dequeuing several events at once, and a range of EventView. Only its constructor allocates,
/// so keep it between frames.
class Events {
public:
    /// \param capacity the maximum number of events per call of take
    explicit Events(std::size_t capacity = 64) : events_(new EventView[capacity]), capacity_(capacity) {}
    Events(const Events &) = delete;
    Events &operator=(const Events &) = delete;
    ~Events() { release(); }

    /// Releases the previous events and dequeues the next ones of all sockets, in a fair order.
    ///
    /// \returns the number of events
    std::size_t take()
    {
        release();
        return size_ = fw_next_events(data(), capacity_);
    }
    /// Releases the previous events and dequeues the next ones of one socket.
    std::size_t take(SocketRef socket)
    {
        release();
        return size_ = fw_socket_next_events(socket.raw(), data(), capacity_);
    }
    /// Releases the events and their contents.
    void release() noexcept { fw_events_release(data(), std::exchange(size_, 0)); }

    const EventView *begin() const noexcept { return events_.get(); }
    const EventView *end() const noexcept { return events_.get() + size_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

private:
    static_assert(sizeof(EventView) == sizeof(fw_event),
                  "an array of EventView is used as an array of fw_event");
    fw_event *data() noexcept { return capacity_ == 0 ? nullptr : &events_[0].raw_; }

    std::unique_ptr<EventView[]> events_;
    std::size_t capacity_;
    std::size_t size_ = 0;
};

/// Notifies the library that the network may have changed. Every open connection is checked.
inline Result<void> network_changed()
{
    return detail::checked(fw_network_changed());
}
/// Simulates a bad network for every socket, those that exist and those that are created until shutdown.
inline Result<void> set_link(const Link &link)
{
    return detail::checked(fw_socket_set_link(fw_socket{}, &link));
}
/// Disables the simulated link of every socket.
inline Result<void> set_no_link()
{
    return detail::checked(fw_socket_set_link(fw_socket{}, nullptr));
}
/// Captures the traffic of every socket, those that exist and those that are created until shutdown.
inline Result<void> set_capture(std::string_view path, const Capture &options = Capture())
{
    return detail::call_with_text(
        [&](auto text) { return fw_socket_set_capture(fw_socket{}, text, &options); }, path);
}
/// Ends the captures of every socket.
inline Result<void> end_capture()
{
    return detail::checked(fw_socket_set_capture(fw_socket{}, nullptr, nullptr));
}
/// Notifies the library that the process is about to sleep. Until resume, no timeout expires.
inline Result<void> suspend()
{
    return detail::checked(fw_suspend());
}
/// Notifies the library that the process is awake again. Every open connection is checked.
inline Result<void> resume()
{
    return detail::checked(fw_resume());
}
/// Hands over the Java VM of an Android app: a JavaVM * and the application's context. Only on Android.
inline Result<void> android_init(void *java_vm, void *application_context)
{
    return detail::checked(fw_android_init(java_vm, application_context));
}

/// Dequeues the next event of any socket, without calling a callback. Returns nothing if none is queued.
inline std::optional<Event> next_event()
{
    fw_event event{};
    if (!fw_next_event(&event))
        return std::nullopt;
    return Event(event);
}

inline std::optional<Event> SocketRef::next_event() const
{
    fw_event event{};
    if (!fw_socket_next_event(raw_, &event))
        return std::nullopt;
    return Event(event);
}

// ---------------------------------------------------------------------------------------------- log

/// A log callback. Called on any thread, possibly on several at the same time.
using Log = std::function<void(LogLevel, SocketRef, std::string_view context, std::string_view message)>;

namespace detail {

struct LogCallback {
    std::mutex mutex;
    std::shared_ptr<const Log> log;

    /// Never destroyed, because threads of the library may log until the process exits.
    static LogCallback &get()
    {
        static auto *hook = new LogCallback;
        return *hook;
    }
    static void FW_CALL run(fw_log_level level, fw_socket socket, const char *context, const char *message,
                            void *) noexcept
    {
        std::shared_ptr<const Log> log;
        {
            const std::lock_guard<std::mutex> lock(get().mutex);
            log = get().log;
        }
        if (log)
            (*log)(static_cast<LogLevel>(level), SocketRef(socket), context, message);
    }
};

} // namespace detail

/// Sets the log callback; an empty function disables logging.
///
/// A previous callback that is running on another thread is destroyed after it has returned.
///
/// \param max the most verbose level to log
/// \param log the callback
inline Result<void> set_log(LogLevel max, Log log)
{
    std::shared_ptr<const Log> shared;
    if (log)
        shared = std::make_shared<const Log>(std::move(log));
    const bool is_set = shared != nullptr;
    detail::LogCallback &hook = detail::LogCallback::get();
    const auto exchange = [&] {
        const std::lock_guard<std::mutex> lock(hook.mutex);
        hook.log.swap(shared);
    };
    exchange();
    const fw_result result =
        fw_set_log(static_cast<fw_log_level>(max), is_set ? detail::LogCallback::run : nullptr, nullptr);
    if (result == FW_RESULT_OK)
        return {};
    Error error = detail::last_error(result);
    exchange();
    return error;
}

/// Queues the log for next_log instead of passing it to the callback of set_log, which is destroyed. The queue holds
/// 256 lines; further ones are dropped, and a line says how many.
///
/// \param max the most verbose level to log; LogLevel::off empties the queue
inline Result<void> queue_log(LogLevel max)
{
    const Result<void> queued = detail::checked(fw_queue_log(static_cast<fw_log_level>(max)));
    if (queued) {
        std::shared_ptr<const Log> removed;
        detail::LogCallback &hook = detail::LogCallback::get();
        const std::lock_guard<std::mutex> lock(hook.mutex);
        hook.log.swap(removed);
    }
    return queued;
}

/// A line of the log.
struct LogLine {
    LogLevel level = LogLevel::off;
    /// The socket that it is about, or an invalid handle.
    SocketRef socket;
    /// The context of the socket, as "key=value key=value".
    std::string context;
    std::string message;
};

/// Takes the next line from the queue of queue_log, if there is one.
inline std::optional<LogLine> next_log()
{
    fw_log_level level = FW_LOG_OFF;
    fw_socket socket{};
    std::array<char, 1025> context{}, message{};
    if (!fw_next_log(&level, &socket, context.data(), context.size(), message.data(), message.size()))
        return std::nullopt;
    return LogLine{static_cast<LogLevel>(level), SocketRef(socket), context.data(), message.data()};
}

} // namespace framewire

#endif // FRAMEWIRE_HPP
