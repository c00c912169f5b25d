/*
 * Framewire for C++17: a thin, owning layer over framewire.h.                       framewire.hpp
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     auto socket = framewire::Socket::create("wss://example.org/game");
 *     if (!socket)
 *         return complain(socket.error().message);
 *     socket->on_open([](framewire::SocketRef self) { self.send_text("hello"); });
 *     socket->on_text([](framewire::SocketRef, std::string_view text) { show(text); });
 *     socket->on_error([](framewire::SocketRef, const framewire::ConnectionError &error) {
 *         show(error.message);
 *     });
 *     socket->open();
 *     while (playing) {
 *         framewire::poll(0, std::chrono::milliseconds(1));     // runs the callbacks, once a frame
 *         draw();
 *     }
 *
 * Names. Socket::send_text is fw_socket_send_text, Code::would_block is FW_RESULT_WOULD_BLOCK, and so
 * on for every function and constant. framewire.h is the manual: limits, results, threads and what
 * blocks are said there, and hold here. The comments below say what C++ adds.
 *
 * Ownership. Socket, Tls, Segment, Buffer and Event own one handle each: they can be moved, not copied,
 * and end its life when they go. SocketRef, SegmentRef and Request are handles that own nothing: copy
 * them freely; one that is dead is refused, never harmful.
 *
 * Results. Nothing here throws. What can fail answers with a Result, which is true when it went well
 * and otherwise has an Error: a code to act on and a message to read. The header works with
 * -fno-exceptions and -fno-rtti, and where the standard library has no memory left it does what the
 * program's operator new does.
 *
 * Callbacks. Any std::function; an empty one removes. It receives the socket as a SocketRef, which
 * stays right when the Socket is moved. It may do anything that framewire.h allows, and also replace
 * itself, and move or destroy its own Socket: it and what it captured live on until it has returned.
 * They are let go at the latest when the socket's finalizer has run: at the next poll after the Socket
 * went, or in shutdown. An exception that leaves a callback has nowhere to go, since the library below
 * is not C++: std::terminate is called, at the place of the throw, for a debugger to see.
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
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace framewire {

class SocketRef;

// ---------------------------------------------------------------------------------------- constants
// Numbers that a newer library may know and this header does not are passed through as they are.

/// What a call answers.
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

/// How much is logged.
enum class LogLevel : std::uint32_t {
    off = FW_LOG_OFF,
    error = FW_LOG_ERROR,
    warn = FW_LOG_WARN,
    info = FW_LOG_INFO,
    debug = FW_LOG_DEBUG,
    trace = FW_LOG_TRACE,
};

/// What a message holds.
enum class Opcode : std::uint32_t {
    none = FW_OPCODE_NONE,
    text = FW_OPCODE_TEXT,
    binary = FW_OPCODE_BINARY,
};

/// What is special about one message; bits that can be combined with |.
enum class SendFlags : std::uint32_t {
    none = FW_SEND_DEFAULT,
    uncompressed = FW_SEND_UNCOMPRESSED,
};

constexpr SendFlags operator|(SendFlags a, SendFlags b) noexcept
{
    return static_cast<SendFlags>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}

/// What went wrong with a connection.
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

/// How far a connection had come.
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

/// What an event is about.
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
};

/// Which certificate authorities are trusted.
enum class Roots : std::uint32_t {
    webpki = FW_ROOTS_WEBPKI,
    platform = FW_ROOTS_PLATFORM,
    none = FW_ROOTS_NONE,
};

/// Which version of HTTP a WebSocket begins with.
enum class HttpVersion : std::uint32_t {
    automatic = FW_HTTP_AUTO,
    http_1 = FW_HTTP_1,
    http_2 = FW_HTTP_2,
};

/// Where a socket is in its life.
enum class State : std::uint32_t {
    connecting = FW_STATE_CONNECTING,
    open = FW_STATE_OPEN,
    closing = FW_STATE_CLOSING,
    closed = FW_STATE_CLOSED,
    unknown = FW_STATE_UNKNOWN,
};

/// The constant's name in framewire.h, such as "FW_STATE_OPEN"; for logs.
inline const char *name(State state) noexcept { return fw_state_name(static_cast<fw_state>(state)); }
inline const char *name(Phase phase) noexcept { return fw_phase_name(static_cast<fw_phase>(phase)); }
inline const char *name(ErrorKind kind) noexcept { return fw_error_kind_name(static_cast<fw_error_kind>(kind)); }
inline const char *name(EventType type) noexcept { return fw_event_type_name(static_cast<fw_event_type>(type)); }

// ------------------------------------------------------------------------------------------ results

/// Why a call was refused.
struct Error {
    Code code;
    /// In words; for people, not for programs.
    std::string message;

    /// The constant's name in framewire.h, such as "FW_RESULT_WOULD_BLOCK".
    const char *name() const noexcept { return fw_result_name(static_cast<fw_result>(code)); }
};

/// A value, or the reason why there is none.
template <class T> class [[nodiscard]] Result {
public:
    Result(T value) : value_(std::move(value)) {}
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return value_.has_value(); }

    /// The value; only where the result is true.
    T &operator*() & noexcept { return assert(value_), *value_; }
    const T &operator*() const & noexcept { return assert(value_), *value_; }
    T &&operator*() && noexcept { return assert(value_), std::move(*value_); }
    T *operator->() noexcept { return assert(value_), &*value_; }
    const T *operator->() const noexcept { return assert(value_), &*value_; }

    /// The reason; code ok and no message where the result is true.
    const Error &error() const noexcept { return error_; }
    Code code() const noexcept { return error_.code; }

private:
    std::optional<T> value_;
    Error error_{Code::ok, {}};
};

/// Done, or the reason why not. May be ignored: a send that fails is followed by the event that says
/// why, and a setting that fails is a mistake in the program.
template <> class Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return error_.code == Code::ok; }

    /// The reason; code ok and no message where the result is true.
    const Error &error() const noexcept { return error_; }
    Code code() const noexcept { return error_.code; }

private:
    Error error_{Code::ok, {}};
};

namespace detail {

/// The text of one of the functions `size_t f(..., char *buf, size_t cap)`.
template <class CopyOut> std::string text_of(CopyOut copy_out)
{
    char small[256];
    std::size_t length = copy_out(small, sizeof small);
    if (length < sizeof small)
        return std::string(small, length);
    std::string text;
    do { // It may have grown since it was asked how long it is.
        text.resize(length);
        length = copy_out(&text[0], text.size() + 1);
    } while (length > text.size());
    text.resize(length);
    return text;
}

/// The text of one of the functions `size_t f(handle, char *buf, size_t cap)`.
template <class Handle>
std::string text_of(Handle handle, std::size_t (*copy_out)(Handle, char *, std::size_t))
{
    return text_of([=](char *buf, std::size_t cap) { return copy_out(handle, buf, cap); });
}

/// The text of one of the functions `size_t f(handle, const char *name, char *buf, size_t cap)`. No
/// header has a NUL in its name, at which the library would stop reading.
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

inline Result<void> check(fw_result result)
{
    if (result == FW_RESULT_OK)
        return {};
    return last_error(result);
}

/// Calls a function of framewire.h that wants NUL-terminated text. A NUL inside would cut it short
/// unnoticed, and is refused.
template <class Call, class... Text> Result<void> call_with_text(Call call, Text... text)
{
    if (((text.find('\0') != std::string_view::npos) || ...))
        return Error{Code::invalid_argument, "there is a NUL inside the text"};
    return check(call(std::string(text).c_str()...));
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

inline std::uint32_t count_of(std::chrono::milliseconds time) noexcept
{
    constexpr std::chrono::milliseconds::rep most = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(std::clamp<std::chrono::milliseconds::rep>(time.count(), 0, most));
}

/// 0 means no limit, so a budget that is overdrawn is the smallest there is.
inline std::uint32_t budget_of(std::chrono::microseconds time) noexcept
{
    constexpr std::chrono::microseconds::rep most = std::numeric_limits<std::uint32_t>::max();
    if (time.count() < 0)
        return 1;
    return static_cast<std::uint32_t>(std::min<std::chrono::microseconds::rep>(time.count(), most));
}

template <class T>
constexpr bool is_byte = std::is_same_v<T, char> || std::is_same_v<T, signed char> ||
                         std::is_same_v<T, unsigned char> || std::is_same_v<T, std::byte>;

template <class Container>
using ElementOf = std::remove_pointer_t<decltype(std::data(std::declval<Container &>()))>;

/// Whether such elements can be seen as T: bytes of any kind, and const stays const.
template <class T, class Element>
constexpr bool is_seen_as =
    is_byte<std::remove_cv_t<Element>> && (std::is_const_v<T> || !std::is_const_v<Element>);

} // namespace detail

// -------------------------------------------------------------------------------------------- bytes

/// Bytes that lie somewhere else: a pointer and a length. T is std::uint8_t, or const of it.
template <class T> class Span {
public:
    constexpr Span() noexcept = default;
    constexpr Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /// Of anything with data() and size() whose elements are bytes: vectors, arrays, strings, std::span.
    template <class Container, class Element = detail::ElementOf<Container>,
              class = std::enable_if_t<detail::is_seen_as<T, Element> &&
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

/// Bytes to read.
using Bytes = Span<const std::uint8_t>;
/// Bytes to write.
using WritableBytes = Span<std::uint8_t>;

/// One hold on a pooled block: bytes that stay where they are until this object goes, or is sent.
class Segment {
public:
    /// Nothing.
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

    /// One more hold on the same bytes. No copy is made.
    Result<Segment> retain() const { return hold(raw_); }

    /// Gives up the hold before its time.
    void release() noexcept
    {
        if (fw_segment held = detach(); held.buffer.id != 0)
            fw_segment_release(held);
    }

    /// A hold on what a callback or an event shows.
    static Result<Segment> hold(const fw_segment &shown)
    {
        if (fw_result result = fw_segment_retain(shown); result != FW_RESULT_OK)
            return detail::last_error(result);
        return Segment(shown);
    }
    /// Takes over a hold that a function of framewire.h gave.
    explicit Segment(fw_segment held) noexcept : raw_(held) {}
    const fw_segment &raw() const noexcept { return raw_; }
    /// Leaves the hold to the caller, to release or to send.
    fw_segment detach() noexcept { return std::exchange(raw_, fw_segment{}); }

protected:
    fw_segment raw_{};
};

/// A block of the pool to write a message into, which can then be sent without a copy.
class Buffer : public Segment {
public:
    Buffer() noexcept = default;

    /// size bytes, their content undefined (fw_buffer_get).
    static Result<Buffer> get(std::size_t size)
    {
        fw_segment segment{};
        if (fw_result result = fw_buffer_get(size, &segment); result != FW_RESULT_OK)
            return detail::last_error(result);
        return Buffer(segment);
    }

    WritableBytes writable() noexcept { return {raw_.data + raw_.offset, raw_.count}; }
    /// Keeps the first size bytes, where fewer were written than were asked for.
    void shrink(std::size_t size) noexcept { raw_.count = std::min(raw_.count, size); }

private:
    explicit Buffer(fw_segment held) noexcept : Segment(held) {}
};

/// A received payload, shown where it lies until the callback returns or its event goes.
class SegmentRef {
public:
    explicit SegmentRef(const fw_segment &raw) noexcept : raw_(&raw) {}

    Bytes bytes() const noexcept { return {raw_->data + raw_->offset, raw_->count}; }
    std::string_view text() const noexcept
    {
        return {reinterpret_cast<const char *>(raw_->data + raw_->offset), raw_->count};
    }
    /// Keeps it longer, without a copy.
    Result<Segment> retain() const { return Segment::hold(*raw_); }
    const fw_segment &raw() const noexcept { return *raw_; }

private:
    const fw_segment *raw_;
};

/// One fragment of a message, shown until the callback returns.
struct Frame {
    /// What the whole message is.
    Opcode opcode;
    bool is_first;
    bool is_final;
    SegmentRef payload;
};

/// What the pool of payload memory holds.
using PoolStats = fw_pool_stats;

inline PoolStats buffer_pool_stats() noexcept
{
    PoolStats stats{};
    fw_pool_stats_init(&stats, sizeof stats);
    fw_buffer_pool_stats(&stats);
    return stats;
}

/// Gives the blocks that are kept for reuse back to the allocator.
inline void buffer_pool_trim() noexcept { fw_buffer_pool_trim(); }

// ------------------------------------------------------------------------------------------ library

/// The version of the library that runs; FW_VERSION is that of the header.
inline std::uint32_t version() noexcept { return fw_version(); }
inline std::string_view version_string() noexcept { return fw_version_string(); }

/// Whether the library that runs is one that this header describes. Worth a look at start, where the
/// library is shared.
inline bool library_matches_header() noexcept
{
    // FW_STRUCT_CONFIG, FW_STRUCT_STATS, FW_STRUCT_POOL_STATS, FW_STRUCT_COMPRESSION, FW_STRUCT_EXTENSION,
    // FW_STRUCT_RECONNECT and FW_STRUCT_CALLBACKS carry their size, and may have another in the library.
    return fw_version() >> 8 == FW_VERSION >> 8 && fw_sizeof(FW_STRUCT_ERROR) == sizeof(fw_error) &&
           fw_sizeof(FW_STRUCT_SEGMENT) == sizeof(fw_segment) && fw_sizeof(FW_STRUCT_FRAME) == sizeof(fw_frame) &&
           fw_sizeof(FW_STRUCT_EVENT) == sizeof(fw_event) &&
           fw_sizeof(FW_STRUCT_EXTENSION_FRAME) == sizeof(fw_extension_frame);
}

/// How the library is to run: fw_config, with its defaults already in it.
struct Config : fw_config {
    Config() noexcept : fw_config() { fw_config_init(this, sizeof(fw_config)); }
};

/// Starts the library as configured. Optional: the first socket starts it with defaults.
inline Result<void> init(const Config &config) { return detail::check(fw_init(&config)); }

/// Destroys every socket, ends every thread of the library, and lets go of all callbacks. Open connections
/// first send what is queued, within the timeout. Socket objects that still exist become harmless.
inline Result<void> shutdown(std::chrono::milliseconds timeout)
{
    return detail::check(fw_shutdown(detail::count_of(timeout)));
}

/// Runs waiting callbacks within a budget; 0 is no limit. Returns how many events were delivered.
///
/// A negative budget, which is what remains of a frame that took too long, runs one callback at most.
inline std::size_t poll(std::uint32_t max_events = 0, std::chrono::microseconds budget = {})
{
    return fw_poll(max_events, detail::budget_of(budget));
}

/// How many events wait, over all sockets.
inline std::size_t pending() noexcept { return fw_pending(); }

/// Sleeps until an event waits; false when none came in time.
inline bool wait(std::chrono::milliseconds timeout) noexcept { return fw_wait(detail::count_of(timeout)); }

// ------------------------------------------------------------------------- what callbacks are shown

/// How a connection ended, or why it could not be made. Its message lives as long as the callback or
/// the event that showed it.
struct ConnectionError {
    ErrorKind kind;
    Phase phase;
    /// errno or WSAGetLastError, 0 where there is none.
    std::int32_t os_code;
    /// The status of a refused upgrade, 0 where there is none.
    std::uint16_t http_status;
    /// 0 where there is none.
    std::uint8_t tls_alert;
    /// Whether trying again later may help.
    bool retriable;
    /// NUL-terminated.
    std::string_view message;

    explicit ConnectionError(const fw_error &raw) noexcept
        : kind(static_cast<ErrorKind>(raw.kind)), phase(static_cast<Phase>(raw.phase)), os_code(raw.os_code),
          http_status(raw.http_status), tls_alert(raw.tls_alert), retriable(raw.retriable != 0),
          message(raw.message ? raw.message : "")
    {
    }
};

/// The upgrade request of one attempt. Refused when its callback has returned, or its event is gone.
class Request {
public:
    explicit Request(fw_request raw) noexcept : raw_(raw) {}

    std::string url() const { return detail::text_of(raw_, fw_request_url); }
    std::uint32_t http_version() const noexcept { return fw_request_http_version(raw_); }
    /// A number from 1.
    std::uint32_t attempt() const noexcept { return fw_request_attempt(raw_); }

    /// The first field of that name; empty if there is none.
    std::string header(std::string_view name) const
    {
        return detail::text_of(raw_, name, fw_request_header);
    }
    Result<void> set_header(std::string_view name, std::string_view value)
    {
        return detail::with_text(raw_, fw_request_set_header, name, value);
    }
    Result<void> add_header(std::string_view name, std::string_view value)
    {
        return detail::with_text(raw_, fw_request_add_header, name, value);
    }
    Result<void> remove_header(std::string_view name)
    {
        return detail::with_text(raw_, fw_request_remove_header, name);
    }

    fw_request raw() const noexcept { return raw_; }

private:
    fw_request raw_;
};

// --------------------------------------------------------------------------------------- TLS, tuning

/// TLS settings for wss: sockets, which keep them alive after this object has gone.
class Tls {
public:
    /// None.
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

    /// Webpki roots, verification on, a session cache of their own.
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
        return detail::check(fw_tls_add_ca_pem(raw_, pem.data(), pem.size()));
    }
    Result<void> set_client_cert_pem(std::string_view cert_pem, std::string_view key_pem)
    {
        return detail::check(
            fw_tls_set_client_cert_pem(raw_, cert_pem.data(), cert_pem.size(), key_pem.data(), key_pem.size()));
    }
    Result<void> add_pin_sha256(const std::array<std::uint8_t, 32> &pin)
    {
        return detail::check(fw_tls_add_pin_sha256(raw_, pin.data()));
    }
    Result<void> set_roots(Roots roots)
    {
        return detail::check(fw_tls_set_roots(raw_, static_cast<fw_roots>(roots)));
    }
    /// Accepts any certificate: for development only.
    Result<void> set_insecure(bool enable) { return detail::check(fw_tls_set_insecure(raw_, enable)); }
    Result<void> set_key_log(bool enable) { return detail::check(fw_tls_set_key_log(raw_, enable)); }

    fw_tls raw() const noexcept { return raw_; }

private:
    fw_tls raw_{};
};

/// Whether a lost connection is tried again: fw_reconnect, with its defaults already in it, switched on.
struct Reconnect : fw_reconnect {
    Reconnect() noexcept : fw_reconnect() { fw_reconnect_init(this, sizeof(fw_reconnect)); }
};

/// How messages are compressed: fw_compression, with its defaults already in it.
struct Compression : fw_compression {
    Compression() noexcept : fw_compression() { fw_compression_init(this, sizeof(fw_compression)); }
};

/// What a socket has done.
using Stats = fw_stats;

// --------------------------------------------------------------------------------------- extensions

/// What an extension is shown of a message, or of a fragment.
struct ExtensionFrame {
    Opcode opcode;
    bool is_first;
    bool is_final;
    /// The reserved bits of the message's first frame: RSV1 is 4, RSV2 is 2, RSV3 is 1.
    std::uint32_t rsv;
};

/// An extension of one's own (RFC 6455 section 9): derive from it, and give it to a socket.
///
/// Its functions are called on the socket's worker thread, one at a time, and must be quick; the
/// destructor may run on any thread. Exceptions: as for callbacks.
class Extension {
public:
    /// rsv: the reserved bits that it owns; 0 when it changes every message.
    explicit Extension(std::uint32_t rsv) noexcept : rsv_(rsv) {}
    virtual ~Extension() = default;
    Extension(const Extension &) = delete;
    Extension &operator=(const Extension &) = delete;

    std::uint32_t rsv() const noexcept { return rsv_; }

    /// The element for Sec-WebSocket-Extensions, such as "x-xor; key=7", of at most 512 bytes; empty, or
    /// longer, offers nothing this time.
    virtual std::string add_negotiation() = 0;
    /// The server has accepted with this element; false ends the attempt in an error.
    virtual bool parse_negotiation(std::string_view) { return true; }
    /// The reserved bits for a message that is to be sent; none sends it unchanged.
    virtual std::uint32_t frame_header(const ExtensionFrame &) { return rsv_; }
    /// Changes what is to be sent. An out that stays empty leaves the payload as it is; false ends the
    /// connection in an error.
    virtual bool encode(const ExtensionFrame &, Bytes, Buffer &) { return true; }
    /// The same for what was received.
    virtual bool decode(const ExtensionFrame &, Bytes, Buffer &) { return true; }

private:
    std::uint32_t rsv_;
};

namespace detail {

// The functions that the library calls, as with callbacks.

inline std::size_t extension_offers(char *buf, std::size_t cap, void *extension) noexcept
{
    const std::string element = static_cast<Extension *>(extension)->add_negotiation();
    if (element.size() > cap)
        return 0;
    element.copy(buf, element.size());
    return element.size();
}

inline std::uint32_t extension_accepts(const char *element, std::size_t len, void *extension) noexcept
{
    return static_cast<Extension *>(extension)->parse_negotiation({element, len});
}

inline ExtensionFrame frame_of(const fw_extension_frame &frame) noexcept
{
    return {static_cast<Opcode>(frame.opcode), frame.is_first != 0, frame.is_final != 0, frame.rsv};
}

inline std::uint32_t extension_marks(const fw_extension_frame *frame, void *extension) noexcept
{
    return static_cast<Extension *>(extension)->frame_header(frame_of(*frame));
}

template <bool (Extension::*transform)(const ExtensionFrame &, Bytes, Buffer &)>
std::uint32_t extension_changes(const fw_extension_frame *frame, const std::uint8_t *data, std::size_t len,
                                fw_segment *out, void *extension) noexcept
{
    Buffer changed;
    const bool done = (static_cast<Extension *>(extension)->*transform)(frame_of(*frame), {data, len}, changed);
    if (done && changed)
        *out = changed.detach();
    return done;
}

inline void extension_ends(void *extension) noexcept { delete static_cast<Extension *>(extension); }

} // namespace detail

class Event;

// ------------------------------------------------------------------------------------------ sockets

/// A socket that belongs to somebody else: all of it but its callbacks.
///
/// A number: copy it, keep it, use it when the socket is gone; it is refused then.
class SocketRef {
public:
    /// No socket.
    SocketRef() noexcept = default;
    explicit SocketRef(fw_socket raw) noexcept : raw_(raw) {}

    fw_socket raw() const noexcept { return raw_; }
    friend bool operator==(SocketRef a, SocketRef b) noexcept { return a.raw_.id == b.raw_.id; }
    friend bool operator!=(SocketRef a, SocketRef b) noexcept { return a.raw_.id != b.raw_.id; }

    // Life.

    /// Starts connecting. Ends in exactly one terminal event, closed or error.
    Result<void> open() { return detail::check(fw_socket_open(raw_)); }
    /// Starts the closing handshake, behind what is queued.
    Result<void> close(std::uint16_t code = 1000, std::string_view reason = {})
    {
        return detail::call_with_text([&](auto text) { return fw_socket_close(raw_, code, text); }, reason);
    }
    /// Drops the connection now.
    Result<void> abort() { return detail::check(fw_socket_abort(raw_)); }
    /// Ends the socket's life, also where a Socket owns it.
    Result<void> destroy() { return detail::check(fw_socket_destroy(raw_)); }
    /// A pointer of the program's own, which comes back in events.
    Result<void> set_user_data(void *user_data)
    {
        return detail::check(fw_socket_set_user_data(raw_, user_data));
    }
    void *user_data() const noexcept { return fw_socket_user_data(raw_); }

    // Sending. Copied once; queued when true.

    Result<void> send_text(std::string_view text)
    {
        return detail::check(fw_socket_send_text(raw_, text.data(), text.size()));
    }
    Result<void> send_text(std::string_view text, SendFlags flags)
    {
        return detail::check(
            fw_socket_send_text_with(raw_, text.data(), text.size(), static_cast<fw_send_flags>(flags)));
    }
    Result<void> send_binary(Bytes data)
    {
        return detail::check(fw_socket_send_binary(raw_, data.data(), data.size()));
    }
    Result<void> send_binary(Bytes data, SendFlags flags)
    {
        return detail::check(
            fw_socket_send_binary_with(raw_, data.data(), data.size(), static_cast<fw_send_flags>(flags)));
    }
    /// Sends a Buffer, or a received Segment, where it lies. It is gone whatever the result.
    Result<void> send_text_segment(Segment &&segment)
    {
        return detail::check(fw_socket_send_text_segment(raw_, segment.detach()));
    }
    Result<void> send_binary_segment(Segment &&segment)
    {
        return detail::check(fw_socket_send_binary_segment(raw_, segment.detach()));
    }
    Result<void> ping(Bytes data = {})
    {
        return detail::check(fw_socket_ping(raw_, data.data(), data.size()));
    }
    /// Payload bytes accepted and not yet handed to the network.
    std::size_t buffered_amount() const noexcept { return fw_socket_buffered_amount(raw_); }

    // Delivery.

    /// As framewire::poll, for this socket alone.
    std::size_t poll(std::uint32_t max_events = 0, std::chrono::microseconds budget = {})
    {
        return fw_socket_poll(raw_, max_events, detail::budget_of(budget));
    }
    /// As framewire::next_event, for this socket alone.
    std::optional<Event> next_event();
    Result<void> set_dispatch(Dispatch dispatch)
    {
        return detail::check(fw_socket_set_dispatch(raw_, static_cast<fw_dispatch>(dispatch)));
    }
    Result<void> enable_event(EventType type, bool enable = true)
    {
        return detail::check(fw_socket_enable_event(raw_, static_cast<fw_event_type>(type), enable));
    }

    // Settings, while the socket is closed.

    Result<void> set_origin(std::string_view origin)
    {
        return detail::with_text(raw_, fw_socket_set_origin, origin);
    }
    Result<void> add_protocol(std::string_view protocol)
    {
        return detail::with_text(raw_, fw_socket_add_protocol, protocol);
    }
    Result<void> add_header(std::string_view name, std::string_view value)
    {
        return detail::with_text(raw_, fw_socket_add_header, name, value);
    }
    Result<void> set_basic_auth(std::string_view user, std::string_view password)
    {
        return detail::with_text(raw_, fw_socket_set_basic_auth, user, password);
    }
    Result<void> set_bearer_auth(std::string_view token)
    {
        return detail::with_text(raw_, fw_socket_set_bearer_auth, token);
    }
    Result<void> set_max_message_size(std::size_t bytes)
    {
        return detail::check(fw_socket_set_max_message_size(raw_, bytes));
    }
    Result<void> set_connect_timeout(std::chrono::milliseconds time)
    {
        return detail::check(fw_socket_set_connect_timeout(raw_, detail::count_of(time)));
    }
    Result<void> set_close_timeout(std::chrono::milliseconds time)
    {
        return detail::check(fw_socket_set_close_timeout(raw_, detail::count_of(time)));
    }
    Result<void> set_compression(const Compression &compression)
    {
        return detail::check(fw_socket_set_compression(raw_, &compression));
    }
    /// Does not offer compression to the server.
    Result<void> set_no_compression() { return detail::check(fw_socket_set_compression(raw_, nullptr)); }
    /// The extension lives until no connection uses it any more; where it is refused, it is gone.
    Result<void> add_extension(std::unique_ptr<Extension> extension)
    {
        fw_extension functions{};
        fw_extension_init(&functions, sizeof functions);
        functions.rsv = extension ? extension->rsv() : 0;
        functions.add_negotiation = extension ? detail::extension_offers : nullptr; // NULL is refused.
        functions.parse_negotiation = detail::extension_accepts;
        functions.frame_header = detail::extension_marks;
        functions.encode = detail::extension_changes<&Extension::encode>;
        functions.decode = detail::extension_changes<&Extension::decode>;
        functions.destroy = detail::extension_ends;
        functions.user_data = extension.get();
        Result<void> added = detail::check(fw_socket_add_extension(raw_, &functions));
        if (added)
            extension.release(); // detail::extension_ends deletes it.
        return added;
    }
    /// "http://user:password@host:port", https, socks5 or socks5h; "" for none.
    Result<void> set_proxy(std::string_view url)
    {
        return detail::with_text(raw_, fw_socket_set_proxy, url);
    }
    /// Asks the environment, the default.
    Result<void> set_proxy_from_environment() { return detail::check(fw_socket_set_proxy(raw_, nullptr)); }
    Result<void> set_max_redirects(std::uint32_t count)
    {
        return detail::check(fw_socket_set_max_redirects(raw_, count));
    }
    /// Keeps cookies for this socket; false also forgets them.
    Result<void> set_cookies(bool enable) { return detail::check(fw_socket_set_cookies(raw_, enable)); }
    Result<void> set_reconnect(const Reconnect &reconnect)
    {
        return detail::check(fw_socket_set_reconnect(raw_, &reconnect));
    }
    /// The first loss is the end, the default.
    Result<void> set_no_reconnect() { return detail::check(fw_socket_set_reconnect(raw_, nullptr)); }
    Result<void> set_tls(const Tls &tls) { return detail::check(fw_socket_set_tls(raw_, tls.raw())); }
    Result<void> set_http_version(HttpVersion version)
    {
        return detail::check(fw_socket_set_http_version(raw_, static_cast<fw_http>(version)));
    }

    // Settings, at any time.

    Result<void> set_max_buffered_amount(std::size_t bytes)
    {
        return detail::check(fw_socket_set_max_buffered_amount(raw_, bytes));
    }
    Result<void> set_max_fragment_size(std::size_t bytes)
    {
        return detail::check(fw_socket_set_max_fragment_size(raw_, bytes));
    }
    Result<void> set_start_ping_thread(bool enable)
    {
        return detail::check(fw_socket_set_start_ping_thread(raw_, enable));
    }
    Result<void> set_ping_frequency(std::chrono::milliseconds time)
    {
        return detail::check(fw_socket_set_ping_frequency(raw_, detail::count_of(time)));
    }
    Result<void> set_close_after_no_message(std::chrono::milliseconds time)
    {
        return detail::check(fw_socket_set_close_after_no_message(raw_, detail::count_of(time)));
    }
    Result<void> set_context(std::string_view key, std::string_view value)
    {
        return detail::with_text(raw_, fw_socket_set_context, key, value);
    }

    // State.

    State state() const noexcept { return static_cast<State>(fw_socket_state(raw_)); }
    bool is_open() const noexcept { return fw_socket_is_open(raw_); }
    /// The smoothed round trip time of the pings; none before the first answer.
    std::optional<std::chrono::microseconds> latency() const noexcept
    {
        const std::int64_t microseconds = fw_socket_latency_us(raw_);
        if (microseconds < 0)
            return std::nullopt;
        return std::chrono::microseconds(microseconds);
    }
    /// None before the first message.
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
    /// The beginning of the body of a refused upgrade; may hold NULs.
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
};

namespace detail {

template <class... Arguments> using Callback = std::function<void(SocketRef, Arguments...)>;
/// Shared with a call that is on its way, so that a callback can be replaced meanwhile.
template <class... Arguments> using Kept = std::shared_ptr<const Callback<Arguments...>>;
template <class T> struct Plain {
    using type = T;
};

/// What a socket's callbacks use. Held by the Socket, and by itself until the finalizer.
struct Hooks {
    std::mutex mutex;
    std::shared_ptr<Hooks> self;
    Kept<> open;
    Kept<std::string_view> text;
    Kept<SegmentRef> text_segment;
    Kept<Bytes> binary;
    Kept<SegmentRef> binary_no_alloc;
    Kept<const Frame &> incomplete_frame;
    Kept<Request> internal_request_created;
    Kept<Bytes> pong;
    Kept<const ConnectionError &, std::uint32_t, std::chrono::milliseconds> reconnecting;
    Kept<std::uint16_t, std::string_view> closed;
    Kept<const ConnectionError &> error;
    std::function<void()> finalized;
    bool is_finalized = false;

    // The functions that the library calls. Being noexcept they turn an exception into std::terminate.

    static void on_open(fw_socket socket, void *hooks) noexcept { run(hooks, &Hooks::open, socket); }
    static void on_text(fw_socket socket, const char *text, std::size_t len, void *hooks) noexcept
    {
        run(hooks, &Hooks::text, socket, std::string_view(text, len));
    }
    static void on_text_segment(fw_socket socket, const fw_segment *segment, void *hooks) noexcept
    {
        run(hooks, &Hooks::text_segment, socket, SegmentRef(*segment));
    }
    static void on_binary(fw_socket socket, const std::uint8_t *data, std::size_t len, void *hooks) noexcept
    {
        run(hooks, &Hooks::binary, socket, Bytes(data, len));
    }
    static void on_binary_no_alloc(fw_socket socket, const fw_segment *segment, void *hooks) noexcept
    {
        run(hooks, &Hooks::binary_no_alloc, socket, SegmentRef(*segment));
    }
    static void on_incomplete_frame(fw_socket socket, const fw_frame *frame, void *hooks) noexcept
    {
        run(hooks, &Hooks::incomplete_frame, socket,
            Frame{static_cast<Opcode>(frame->opcode), frame->is_first != 0, frame->is_final != 0,
                  SegmentRef(frame->payload)});
    }
    static void on_internal_request_created(fw_socket socket, fw_request request, void *hooks) noexcept
    {
        run(hooks, &Hooks::internal_request_created, socket, Request(request));
    }
    static void on_pong(fw_socket socket, const std::uint8_t *data, std::size_t len, void *hooks) noexcept
    {
        run(hooks, &Hooks::pong, socket, Bytes(data, len));
    }
    static void on_reconnecting(fw_socket socket, const fw_error *error, std::uint32_t attempt,
                                std::uint32_t delay_ms, void *hooks) noexcept
    {
        run(hooks, &Hooks::reconnecting, socket, ConnectionError(*error), attempt,
            std::chrono::milliseconds(delay_ms));
    }
    static void on_closed(fw_socket socket, std::uint16_t code, const char *reason, std::size_t len,
                          void *hooks) noexcept
    {
        run(hooks, &Hooks::closed, socket, code, std::string_view(reason, len));
    }
    static void on_error(fw_socket socket, const fw_error *error, void *hooks) noexcept
    {
        run(hooks, &Hooks::error, socket, ConnectionError(*error));
    }

    static void finalize(void *user_data) noexcept
    {
        auto *hooks = static_cast<Hooks *>(user_data);
        // Taken out first: what the callbacks captured may, in going, come back here through a Socket.
        const std::shared_ptr<Hooks> self = std::move(hooks->self);
        Hooks gone;
        {
            const std::lock_guard<std::mutex> lock(hooks->mutex);
            gone.open.swap(hooks->open);
            gone.text.swap(hooks->text);
            gone.binary.swap(hooks->binary);
            gone.text_segment.swap(hooks->text_segment);
            gone.binary_no_alloc.swap(hooks->binary_no_alloc);
            gone.incomplete_frame.swap(hooks->incomplete_frame);
            gone.internal_request_created.swap(hooks->internal_request_created);
            gone.pong.swap(hooks->pong);
            gone.reconnecting.swap(hooks->reconnecting);
            gone.closed.swap(hooks->closed);
            gone.error.swap(hooks->error);
            gone.finalized.swap(hooks->finalized);
            hooks->is_finalized = true;
        }
        if (gone.finalized)
            gone.finalized();
    }

    template <class... Arguments, class... Given>
    static void run(void *user_data, Kept<Arguments...> Hooks::*slot, fw_socket socket, Given &&...given)
    {
        auto *hooks = static_cast<Hooks *>(user_data);
        Kept<Arguments...> callback;
        {
            const std::lock_guard<std::mutex> lock(hooks->mutex);
            callback = hooks->*slot;
        }
        if (callback)
            (*callback)(SocketRef(socket), std::forward<Given>(given)...);
    }
};

} // namespace detail

/// A WebSocket: one connection at a time, opened again as often as needed.
class Socket : public SocketRef {
public:
    /// No socket.
    Socket() noexcept = default;
    Socket(Socket &&other) noexcept
        : SocketRef(std::exchange(other.raw_, fw_socket{})), hooks_(std::move(other.hooks_))
    {
    }
    Socket &operator=(Socket &&other) noexcept
    {
        if (this != &other) {
            Socket old(std::move(*this));
            raw_ = std::exchange(other.raw_, fw_socket{});
            hooks_ = std::move(other.hooks_);
        }
        return *this;
    }
    /// Ends the socket's life; an open connection is closed in the background as well as it goes. What is
    /// queued is dropped: to send it, close and wait for on_closed.
    ~Socket()
    {
        if (raw_.id != 0)
            fw_socket_destroy(raw_);
    }

    /// Checks the URL and touches no network.
    static Result<Socket> create(std::string_view url)
    {
        Socket socket;
        socket.hooks_ = std::make_shared<detail::Hooks>();
        Result<void> created =
            detail::call_with_text([&](auto text) { return fw_socket_create(text, &socket.raw_); }, url);
        if (!created)
            return created.error();
        socket.hooks_->self = socket.hooks_;
        fw_result held = fw_socket_set_finalizer(socket.raw_, detail::Hooks::finalize, socket.hooks_.get());
        if (held != FW_RESULT_OK) { // A shutdown came in between.
            socket.hooks_->self.reset();
            return detail::last_error(held);
        }
        return socket;
    }

    explicit operator bool() const noexcept { return raw_.id != 0; }
    /// The handle, for all who should not own it.
    SocketRef ref() const noexcept { return *this; }

    // Callbacks. Each is a function of its own here, so fw_callbacks_init and fw_socket_set_callbacks are
    // not needed.

    /// The upgrade is done.
    Result<void> on_open(std::function<void(SocketRef)> callback)
    {
        return set(&detail::Hooks::open, std::move(callback), fw_socket_on_open, detail::Hooks::on_open);
    }
    /// A whole text message came.
    Result<void> on_text(std::function<void(SocketRef, std::string_view)> callback)
    {
        return set(&detail::Hooks::text, std::move(callback), fw_socket_on_text, detail::Hooks::on_text);
    }
    /// A whole text message came, valid UTF-8, and may be kept without a copy.
    Result<void> on_text_segment(std::function<void(SocketRef, SegmentRef)> callback)
    {
        return set(&detail::Hooks::text_segment, std::move(callback), fw_socket_on_text_segment,
                   detail::Hooks::on_text_segment);
    }
    /// A whole binary message came.
    Result<void> on_binary(std::function<void(SocketRef, Bytes)> callback)
    {
        return set(&detail::Hooks::binary, std::move(callback), fw_socket_on_binary, detail::Hooks::on_binary);
    }
    /// A whole binary message came, and may be kept without a copy.
    Result<void> on_binary_no_alloc(std::function<void(SocketRef, SegmentRef)> callback)
    {
        return set(&detail::Hooks::binary_no_alloc, std::move(callback), fw_socket_on_binary_no_alloc,
                   detail::Hooks::on_binary_no_alloc);
    }
    /// A fragment came; while this is set, messages in several fragments are not assembled.
    Result<void> on_incomplete_frame(std::function<void(SocketRef, const Frame &)> callback)
    {
        return set(&detail::Hooks::incomplete_frame, std::move(callback), fw_socket_on_incomplete_frame,
                   detail::Hooks::on_incomplete_frame);
    }
    /// The upgrade request of an attempt can still be changed.
    Result<void> on_internal_request_created(std::function<void(SocketRef, Request)> callback)
    {
        return set(&detail::Hooks::internal_request_created, std::move(callback),
                   fw_socket_on_internal_request_created, detail::Hooks::on_internal_request_created);
    }
    /// A pong came.
    Result<void> on_pong(std::function<void(SocketRef, Bytes)> callback)
    {
        return set(&detail::Hooks::pong, std::move(callback), fw_socket_on_pong, detail::Hooks::on_pong);
    }
    /// The connection was lost, or not made, and will be tried again after the delay.
    Result<void> on_reconnecting(
        std::function<void(SocketRef, const ConnectionError &, std::uint32_t attempt,
                           std::chrono::milliseconds delay)> callback)
    {
        return set(&detail::Hooks::reconnecting, std::move(callback), fw_socket_on_reconnecting,
                   detail::Hooks::on_reconnecting);
    }
    /// Terminal: a closing handshake ended the connection, or the caller cancelled.
    Result<void> on_closed(std::function<void(SocketRef, std::uint16_t code, std::string_view reason)> callback)
    {
        return set(&detail::Hooks::closed, std::move(callback), fw_socket_on_closed, detail::Hooks::on_closed);
    }
    /// Terminal: the connection could not be made, or has failed.
    Result<void> on_error(std::function<void(SocketRef, const ConnectionError &)> callback)
    {
        return set(&detail::Hooks::error, std::move(callback), fw_socket_on_error, detail::Hooks::on_error);
    }
    /// The last that is ever called (fw_socket_set_finalizer), after the Socket has gone, or in shutdown.
    Result<void> on_finalized(std::function<void()> callback)
    {
        if (hooks_) {
            const std::lock_guard<std::mutex> lock(hooks_->mutex);
            if (!hooks_->is_finalized) {
                hooks_->finalized.swap(callback);
                return {};
            }
        }
        return Error{Code::invalid_handle, "there is no socket, or its finalizer has run: a shutdown came before"};
    }

private:
    template <class... Arguments, class Function>
    Result<void> set(detail::Kept<Arguments...> detail::Hooks::*slot, detail::Callback<Arguments...> callback,
                     fw_result (*registered)(fw_socket, Function, void *),
                     typename detail::Plain<Function>::type run)
    {
        if (!hooks_)
            return detail::check(registered(raw_, nullptr, nullptr));
        detail::Kept<Arguments...> kept;
        if (callback)
            kept = std::make_shared<const detail::Callback<Arguments...>>(std::move(callback));
        const bool wanted = kept != nullptr;
        exchange(slot, kept);
        const fw_result result = registered(raw_, wanted ? run : nullptr, hooks_.get());
        if (result == FW_RESULT_OK)
            return {};
        Error error = detail::last_error(result);
        exchange(slot, kept);
        return error;
    }

    /// The old callback goes where nothing is locked: what it captured may do anything in going.
    template <class Kept> void exchange(Kept detail::Hooks::*slot, Kept &kept)
    {
        const std::lock_guard<std::mutex> lock(hooks_->mutex);
        ((*hooks_).*slot).swap(kept);
    }

    std::shared_ptr<detail::Hooks> hooks_;
};

// ------------------------------------------------------------------------------------ pulling events

/// Shows something that happened; belongs to an Event or to Events.
class EventView {
public:
    EventType type() const noexcept { return static_cast<EventType>(raw_.type); }
    SocketRef socket() const noexcept { return SocketRef(raw_.socket); }
    /// What SocketRef::set_user_data has stored.
    void *user_data() const noexcept { return raw_.user_data; }
    /// The message, fragment, pong, close reason or error message.
    SegmentRef payload() const noexcept { return SegmentRef(raw_.payload); }
    Opcode opcode() const noexcept { return static_cast<Opcode>(raw_.opcode); }
    bool is_first() const noexcept { return raw_.is_first != 0; }
    bool is_final() const noexcept { return raw_.is_final != 0; }
    std::uint16_t close_code() const noexcept { return raw_.close_code; }
    ConnectionError error() const noexcept { return ConnectionError(raw_.error); }
    Request request() const noexcept { return Request(raw_.request); }
    /// Of reconnecting: which try will follow, and how long from then.
    std::uint32_t attempt() const noexcept { return raw_.attempt; }
    std::chrono::milliseconds delay() const noexcept { return std::chrono::milliseconds(raw_.delay_ms); }
    /// The rest of it.
    const fw_event &raw() const noexcept { return raw_; }

protected:
    friend class Events;
    EventView() noexcept = default;
    explicit EventView(fw_event raw) noexcept : raw_(raw) {}

    fw_event raw_{};
};

/// Something that happened, taken from the queue instead of being delivered to a callback.
///
/// What it shows lives as long as it does; a payload longer, when retained.
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

    /// Takes over an event that a function of framewire.h gave.
    explicit Event(fw_event taken) noexcept : EventView(taken) {}
};

/// Room for several events that are taken at once. A range of EventView; keep it from frame to frame, as
/// only making it allocates.
class Events {
public:
    explicit Events(std::size_t room = 64) : room_(new EventView[room]), size_(room) {}
    Events(const Events &) = delete;
    Events &operator=(const Events &) = delete;
    ~Events() { release(); }

    /// Releases the events it holds and takes the next ones of all sockets, in a fair order. Returns how
    /// many.
    std::size_t take()
    {
        release();
        return taken_ = fw_next_events(first(), size_);
    }
    /// As take, of one socket alone.
    std::size_t take(SocketRef socket)
    {
        release();
        return taken_ = fw_socket_next_events(socket.raw(), first(), size_);
    }
    /// Ends the life of what the events show.
    void release() noexcept { fw_events_release(first(), std::exchange(taken_, 0)); }

    const EventView *begin() const noexcept { return room_.get(); }
    const EventView *end() const noexcept { return room_.get() + taken_; }
    std::size_t size() const noexcept { return taken_; }
    bool empty() const noexcept { return taken_ == 0; }

private:
    static_assert(sizeof(EventView) == sizeof(fw_event), "an array of the one is one of the other");
    fw_event *first() noexcept { return size_ == 0 ? nullptr : &room_[0].raw_; }

    std::unique_ptr<EventView[]> room_;
    std::size_t size_;
    std::size_t taken_ = 0;
};

/// Notifies the library that the network may have changed: every connection is checked.
inline Result<void> network_changed() { return detail::check(fw_network_changed()); }
/// Says that the process is about to sleep: until resume nothing is too late.
inline Result<void> suspend() { return detail::check(fw_suspend()); }
/// Says that the process is awake again: every connection is looked at.
inline Result<void> resume() { return detail::check(fw_resume()); }

/// Takes the next event of any socket; none when nothing waits. Callbacks are not called for it.
inline std::optional<Event> next_event()
{
    fw_event event{};
    if (!fw_next_event(&event))
        return std::nullopt;
    return Event(event);
}

inline std::optional<Event> SocketRef::next_event()
{
    fw_event event{};
    if (!fw_socket_next_event(raw_, &event))
        return std::nullopt;
    return Event(event);
}

// ---------------------------------------------------------------------------------------------- log

/// Receives log lines, on whichever thread logs, several at once.
using Log = std::function<void(LogLevel, SocketRef, std::string_view context, std::string_view message)>;

namespace detail {

struct LogHook {
    std::mutex mutex;
    std::shared_ptr<const Log> log;

    /// Never destroyed: threads of the library may log until the very end.
    static LogHook &get()
    {
        static auto *hook = new LogHook;
        return *hook;
    }
    static void run(fw_log_level level, fw_socket socket, const char *context, const char *message,
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

/// Sends the library's log to a function; an empty one ends logging.
///
/// One that is running on another thread is kept until it has returned.
inline Result<void> set_log(LogLevel max, Log log)
{
    std::shared_ptr<const Log> kept;
    if (log)
        kept = std::make_shared<const Log>(std::move(log));
    const bool wanted = kept != nullptr;
    detail::LogHook &hook = detail::LogHook::get();
    const auto exchange = [&] {
        const std::lock_guard<std::mutex> lock(hook.mutex);
        hook.log.swap(kept);
    };
    exchange();
    const fw_result result =
        fw_set_log(static_cast<fw_log_level>(max), wanted ? detail::LogHook::run : nullptr, nullptr);
    if (result == FW_RESULT_OK)
        return {};
    Error error = detail::last_error(result);
    exchange();
    return error;
}

} // namespace framewire

#endif // FRAMEWIRE_HPP
