/*
 * Framewire for C++20: coroutines on top of framewire.hpp.                framewire_coroutines.hpp
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 *     framewire::Task<> chat(framewire::AsyncSocket &socket)
 *     {
 *         if (auto opened = co_await socket.open(); !opened)
 *             co_return report(opened.end().message);
 *         socket.send_text("hello");
 *         while (auto message = co_await socket.next())
 *             show(message->text());
 *     }
 *
 *     auto socket = framewire::AsyncSocket::create("wss://example.org/game");
 *     framewire::Task<> task = chat(*socket);    // runs until the first co_await that has to wait
 *     while (playing && !task.done()) {
 *         framewire::poll(0, std::chrono::milliseconds(1));     // resumes coroutines, once per frame
 *         draw();
 *     }
 *
 * Where coroutines run. framewire::poll and SocketRef::poll resume a coroutine inside the call, on the
 * calling thread, in the order of the socket's events and within the budget of the call. A co_await whose
 * result is already there does not suspend.
 *
 * Threading. Use an AsyncSocket, its coroutines, framewire::poll and framewire::shutdown on one thread. The
 * send functions may be called from any thread.
 *
 * Cancellation. Destroying a Task destroys the coroutine where it is suspended, with its local variables and
 * the tasks that it awaits. A coroutine must not destroy its own Task, nor a Task that awaits it. Functions
 * that return an awaitable have no effect until it is awaited.
 *
 * Lifetime. An AsyncSocket can be moved while coroutines await it. If it is destroyed, they are not resumed;
 * destroy their Tasks. A coroutine that takes a reference parameter stores the reference: the object must
 * outlive the coroutine. Parameters passed by value, and local variables, live in the coroutine: a coroutine
 * may own its AsyncSocket. A lambda's captures are not part of its coroutine, so pass parameters instead.
 *
 * Errors. Nothing throws; the header compiles with -fno-exceptions and -fno-rtti. An exception that leaves a
 * coroutine calls std::terminate.
 *
 * Memory. A coroutine allocates its frame once, with operator new. An AsyncSocket allocates in create. A
 * message allocates nothing while a coroutine awaits it. Messages that arrive while none does are stored, up
 * to the limit of set_max_unread; they no longer count towards the event queue, so the server is not slowed
 * down. A coroutine that has other work should therefore read promptly, or leave reading to another
 * coroutine.
 *
 * Compilers. Tested with gcc 12 and clang 19. gcc 12 does not compile `if (co_await ...)` and similar
 * conditions correctly in a coroutine without local variables: the program crashes when the coroutine is
 * resumed. Declare a variable, as above.
 *
 * Other coroutine types. The awaitables work in any coroutine, not only in a Task.
 */

#ifndef FRAMEWIRE_COROUTINES_HPP
#define FRAMEWIRE_COROUTINES_HPP

#include "framewire.hpp"

#include <version>
#if !defined(__cpp_impl_coroutine) || !defined(__cpp_lib_coroutine)
#error "framewire_coroutines.hpp needs the coroutines of C++20"
#endif

#include <coroutine>
#include <exception>
#include <vector>

namespace framewire {

/// Describes how a connection ended, or why a call failed.
struct End {
    /// ok after an event of the library; otherwise the result of the call that failed, or too_large if the
    /// unread messages exceeded their limit, or out_of_memory.
    Code code = Code::ok;
    /// The terminal event: closed or error; none if a call failed.
    EventType type = EventType::none;
    /// The close code (closed).
    std::uint16_t close_code = 0;
    /// The cause of the failure (error).
    ErrorKind kind = ErrorKind::none;
    /// The phase in which the connection failed (error).
    Phase phase = Phase::none;
    /// The error number of the operating system, or 0.
    std::int32_t os_code = 0;
    /// The HTTP status of a rejected upgrade, or 0.
    std::uint16_t http_status = 0;
    /// The TLS alert, or 0.
    std::uint8_t tls_alert = 0;
    /// Whether a retry may succeed.
    bool retriable = false;
    /// The close reason, or a description for logs.
    std::string message;

    /// Returns whether the connection failed, or a call.
    bool is_error() const noexcept { return code != Code::ok || type == EventType::error; }
};

/// Contains a value, or the end of the connection.
template <class T> class [[nodiscard]] AsyncResult {
public:
    AsyncResult(T value) noexcept : value_(std::move(value)) {}
    AsyncResult(End end) noexcept : end_(std::move(end)) {}

    explicit operator bool() const noexcept { return value_.has_value(); }

    /// Returns the value. The result must be true.
    T &operator*() & noexcept { return assert(value_), *value_; }
    T &&operator*() && noexcept { return assert(value_), std::move(*value_); }
    T *operator->() noexcept { return assert(value_), &*value_; }

    /// Returns how the connection ended, if the result is false.
    const End &end() const noexcept { return end_; }

private:
    std::optional<T> value_;
    End end_;
};

/// Success, or the end of the connection.
template <> class [[nodiscard]] AsyncResult<void> {
public:
    AsyncResult() noexcept : is_value_(true) {}
    AsyncResult(End end) noexcept : end_(std::move(end)) {}

    explicit operator bool() const noexcept { return is_value_; }

    /// Returns how the connection ended, if the result is false.
    const End &end() const noexcept { return end_; }

private:
    bool is_value_ = false;
    End end_;
};

/// Owns a received message, without a copy of its payload.
class Message {
public:
    /// Creates an empty message.
    Message() noexcept = default;
    Message(Opcode opcode, Segment segment) noexcept : opcode_(opcode), segment_(std::move(segment)) {}

    Opcode opcode() const noexcept { return opcode_; }
    bool is_text() const noexcept { return opcode_ == Opcode::text; }
    Bytes bytes() const noexcept { return segment_.bytes(); }
    /// Returns the payload as text; valid UTF-8 in a text message.
    std::string_view text() const noexcept { return segment_.text(); }
    /// Transfers ownership of the payload, for example to send it without a copy.
    Segment segment() && noexcept { return std::move(segment_); }

private:
    Opcode opcode_ = Opcode::none;
    Segment segment_;
};

// -------------------------------------------------------------------------------------------- tasks

template <class T> class Task;

namespace detail {

class TaskAwaiterBase;

/// The part of a promise that does not depend on the type of the result.
class TaskPromiseBase {
public:
    TaskPromiseBase() noexcept = default;
    TaskPromiseBase(const TaskPromiseBase &) = delete;
    TaskPromiseBase &operator=(const TaskPromiseBase &) = delete;
    inline ~TaskPromiseBase();

    std::suspend_never initial_suspend() const noexcept { return {}; }

    /// Resumes the coroutine that awaits the task. The frame lives until the Task is destroyed.
    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept
        {
            return finished.promise().continuation();
        }
        void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() const noexcept { return {}; }
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }

    inline std::coroutine_handle<> continuation() const noexcept;

private:
    friend class TaskAwaiterBase;
    TaskAwaiterBase *awaiter_ = nullptr;
};

/// Promise and awaiter know each other, so that either may be destroyed first.
class TaskAwaiterBase {
public:
    explicit TaskAwaiterBase(TaskPromiseBase &promise) noexcept : promise_(&promise)
    {
        assert(promise.awaiter_ == nullptr && "a Task can be awaited by one coroutine");
        promise.awaiter_ = this;
    }
    TaskAwaiterBase(const TaskAwaiterBase &) = delete;
    TaskAwaiterBase &operator=(const TaskAwaiterBase &) = delete;
    ~TaskAwaiterBase()
    {
        if (promise_ != nullptr)
            promise_->awaiter_ = nullptr;
    }

protected:
    friend class TaskPromiseBase;
    TaskPromiseBase *promise_;
    std::coroutine_handle<> waiting_;
};

inline TaskPromiseBase::~TaskPromiseBase()
{
    if (awaiter_ != nullptr)
        awaiter_->promise_ = nullptr;
}

inline std::coroutine_handle<> TaskPromiseBase::continuation() const noexcept
{
    if (awaiter_ == nullptr || !awaiter_->waiting_)
        return std::noop_coroutine();
    return awaiter_->waiting_;
}

template <class T> class TaskPromise : public TaskPromiseBase {
public:
    inline Task<T> get_return_object() noexcept;
    /// The default lets `co_return {...};` name the type of the result.
    template <class U = T> void return_value(U &&value) { value_.emplace(std::forward<U>(value)); }
    T &value() noexcept { return assert(value_), *value_; }

private:
    std::optional<T> value_;
};

template <> class TaskPromise<void> : public TaskPromiseBase {
public:
    inline Task<void> get_return_object() noexcept;
    void return_void() const noexcept {}
};

template <class T> class TaskAwaiter : public TaskAwaiterBase {
public:
    explicit TaskAwaiter(std::coroutine_handle<TaskPromise<T>> task) noexcept
        : TaskAwaiterBase(task.promise()), task_(task)
    {
    }
    bool await_ready() const noexcept { return task_.done(); }
    void await_suspend(std::coroutine_handle<> waiting) noexcept { waiting_ = waiting; }
    T await_resume()
    {
        if constexpr (!std::is_void_v<T>)
            return std::move(task_.promise().value());
    }

private:
    std::coroutine_handle<TaskPromise<T>> task_;
};

} // namespace detail

/// Owns a coroutine. The coroutine runs when it is called, until its first co_await that has to wait.
///
/// Destroying the Task cancels the coroutine. One other coroutine can await the Task.
template <class T = void> class [[nodiscard]] Task {
public:
    using promise_type = detail::TaskPromise<T>;

    /// Creates an empty Task, which is done.
    Task() noexcept = default;
    Task(Task &&other) noexcept : coroutine_(std::exchange(other.coroutine_, {})) {}
    Task &operator=(Task &&other) noexcept
    {
        if (this != &other) {
            // The coroutine is destroyed last: its local variables may use this object.
            const Task old(std::move(*this));
            coroutine_ = std::exchange(other.coroutine_, {});
        }
        return *this;
    }
    ~Task()
    {
        if (coroutine_)
            coroutine_.destroy();
    }

    /// Returns whether the coroutine has finished.
    bool done() const noexcept { return !coroutine_ || coroutine_.done(); }

    /// Returns the value of the co_return. The coroutine must have finished.
    template <class U = T, class = std::enable_if_t<!std::is_void_v<U>>> U &value() noexcept
    {
        return assert(coroutine_ && done()), coroutine_.promise().value();
    }

    /// Waits until the coroutine has finished, and returns the value of its co_return.
    detail::TaskAwaiter<T> operator co_await() const noexcept
    {
        return assert(coroutine_), detail::TaskAwaiter<T>(coroutine_);
    }

private:
    friend promise_type;
    explicit Task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

    std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

template <class T> Task<T> TaskPromise<T>::get_return_object() noexcept
{
    return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() noexcept
{
    return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}

// ------------------------------------------------------------------------------------------ waiting

/// A link of a circular list. Removes itself from its list when it is destroyed.
struct WaiterLink {
    WaiterLink *previous = this;
    WaiterLink *next = this;

    WaiterLink() noexcept = default;
    WaiterLink(const WaiterLink &) = delete;
    WaiterLink &operator=(const WaiterLink &) = delete;
    ~WaiterLink() { unlink(); }

    void unlink() noexcept
    {
        previous->next = next;
        next->previous = previous;
        previous = next = this;
    }
    void insert_before(WaiterLink &position) noexcept
    {
        unlink();
        previous = position.previous;
        next = &position;
        previous->next = this;
        position.previous = this;
    }
};

/// A coroutine that is suspended, and the result with which it is resumed.
struct Waiter : WaiterLink {
    enum class For { open, message, end };

    explicit Waiter(For what) noexcept : awaited(what) {}

    const For awaited;
    std::coroutine_handle<> coroutine;
    /// Whether `message` is the result of next, or open has succeeded.
    bool succeeded = false;
    Message message;
    End end;
};

class WaiterList {
public:
    void push(Waiter &waiter) noexcept { waiter.insert_before(head_); }
    /// Returns the first that waits for this, or nullptr.
    Waiter *find(Waiter::For awaited) const noexcept
    {
        for (WaiterLink *link = head_.next; link != &head_; link = link->next)
            if (auto *waiter = static_cast<Waiter *>(link); waiter->awaited == awaited)
                return waiter;
        return nullptr;
    }
    Waiter *first() const noexcept
    {
        return head_.next == &head_ ? nullptr : static_cast<Waiter *>(head_.next);
    }
    /// Removes all. Their coroutines are not resumed.
    void clear() noexcept
    {
        while (Waiter *waiter = first())
            waiter->unlink();
    }

private:
    WaiterLink head_;
};

/// Messages that no coroutine has awaited yet. Keeps its memory, so that it allocates only to grow.
class UnreadMessages {
public:
    /// Returns false if the message exceeds the limit.
    bool push(Message message)
    {
        const std::size_t charge = charge_of(message);
        if (charge > limit || bytes_ > limit - charge)
            return false;
        if (messages_.size() == messages_.capacity() && first_ > 0) {
            messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(first_));
            first_ = 0;
        }
        messages_.push_back(std::move(message));
        bytes_ += charge;
        return true;
    }
    bool pop(Message &out) noexcept
    {
        if (first_ == messages_.size())
            return false;
        out = std::move(messages_[first_++]);
        bytes_ -= charge_of(out);
        if (first_ == messages_.size())
            clear();
        return true;
    }
    void clear() noexcept
    {
        messages_.clear();
        first_ = 0;
        bytes_ = 0;
    }

    std::size_t limit = std::size_t{4} << 20;

private:
    /// Empty messages count as well.
    static std::size_t charge_of(const Message &message) noexcept
    {
        return message.bytes().size() + sizeof(Message);
    }

    std::vector<Message> messages_;
    std::size_t first_ = 0;
    std::size_t bytes_ = 0;
};

/// What callbacks and awaitables of an AsyncSocket share. Owned by the AsyncSocket, and by itself until the
/// finalizer has run.
struct AsyncState {
    std::shared_ptr<AsyncState> self;
    fw_socket socket{};
    /// From a successful open to the terminal event.
    bool is_active = false;
    /// Why the connection was aborted here, or ok.
    Code failure = Code::ok;
    End end{Code::invalid_state, {}, 0, {}, {}, 0, 0, 0, false, "the socket was not opened"};
    UnreadMessages unread;
    WaiterList waiters;
    /// Those that waited when the connection ended and have not been resumed yet.
    WaiterList ended;

    Result<void> open()
    {
        Result<void> opened = checked(fw_socket_open(socket));
        if (opened) {
            is_active = true;
            failure = Code::ok;
            unread.clear();
        }
        return opened;
    }

    void receive(Opcode opcode, const fw_segment &segment)
    {
        if (failure != Code::ok)
            return;
        if (const fw_result result = fw_segment_retain(segment); result != FW_RESULT_OK)
            return abort(static_cast<Code>(result));
        Message message(opcode, Segment(segment));
        if (Waiter *waiter = waiters.find(Waiter::For::message)) {
            waiter->message = std::move(message);
            waiter->succeeded = true;
            waiter->unlink();
            waiter->coroutine.resume();
        } else if (!unread.push(std::move(message))) {
            abort(Code::too_large);
        }
    }

    /// Ends the connection; the closed event follows.
    void abort(Code code) noexcept
    {
        failure = code;
        fw_socket_abort(socket);
    }

    void finish(End how)
    {
        if (failure != Code::ok) {
            how.code = failure;
            how.message = failure == Code::too_large ? "too many messages were not read by a coroutine"
                                                     : "no memory for a received message";
        }
        is_active = false;
        end = std::move(how);
        // A coroutine may open the socket again and wait for that.
        while (Waiter *waiter = waiters.first()) {
            waiter->end = end;
            ended.push(*waiter);
        }
        while (Waiter *waiter = ended.first()) {
            waiter->unlink();
            waiter->coroutine.resume();
        }
    }

    /// Called when the AsyncSocket is destroyed.
    void abandon() noexcept
    {
        is_active = false;
        waiters.clear();
        ended.clear();
        unread.clear();
    }

    // The functions that the library calls. Being noexcept, they turn an exception into std::terminate.

    static AsyncState &of(void *state) noexcept { return *static_cast<AsyncState *>(state); }

    static void FW_CALL on_open(fw_socket, void *state) noexcept
    {
        if (Waiter *waiter = of(state).waiters.find(Waiter::For::open)) {
            waiter->succeeded = true;
            waiter->unlink();
            waiter->coroutine.resume();
        }
    }
    static void FW_CALL on_text(fw_socket, const fw_segment *segment, void *state) noexcept
    {
        of(state).receive(Opcode::text, *segment);
    }
    static void FW_CALL on_binary(fw_socket, const fw_segment *segment, void *state) noexcept
    {
        of(state).receive(Opcode::binary, *segment);
    }
    static void FW_CALL on_closed(fw_socket, std::uint16_t code, const char *reason, std::size_t len,
                                  void *state) noexcept
    {
        End how;
        how.type = EventType::closed;
        how.close_code = code;
        how.message.assign(reason, len);
        of(state).finish(std::move(how));
    }
    static void FW_CALL on_error(fw_socket, const fw_error *error, void *state) noexcept
    {
        const ConnectionError failed(*error);
        End how;
        how.type = EventType::error;
        how.kind = failed.kind;
        how.phase = failed.phase;
        how.os_code = failed.os_code;
        how.http_status = failed.http_status;
        how.tls_alert = failed.tls_alert;
        how.retriable = failed.retriable;
        how.message = failed.message;
        of(state).finish(std::move(how));
    }
    static void FW_CALL finalize(void *user_data) noexcept
    {
        AsyncState &state = of(user_data);
        const std::shared_ptr<AsyncState> last = std::move(state.self);
        if (state.is_active) {
            End how;
            how.code = Code::invalid_handle;
            how.message = "the socket was destroyed, or the library was shut down";
            state.finish(std::move(how));
        }
    }
};

/// The common part of the awaitables of an AsyncSocket.
class AsyncAwaiter {
public:
    AsyncAwaiter(const AsyncAwaiter &) = delete;
    AsyncAwaiter &operator=(const AsyncAwaiter &) = delete;

    void await_suspend(std::coroutine_handle<> coroutine) noexcept
    {
        waiter_.coroutine = coroutine;
        state_->waiters.push(waiter_);
    }

protected:
    AsyncAwaiter(AsyncState *state, Waiter::For awaited) noexcept : state_(state), waiter_(awaited) {}

    /// Sets the result to the end of the last connection. Returns true.
    bool ended() { return waiter_.end = state_->end, true; }
    bool failed(const Error &error)
    {
        waiter_.end = End{};
        waiter_.end.code = error.code;
        waiter_.end.message = error.message;
        return true;
    }
    bool is_empty()
    {
        if (state_ != nullptr)
            return false;
        return failed(Error{Code::invalid_handle, "there is no socket"});
    }

    AsyncState *state_;
    Waiter waiter_;
};

class [[nodiscard]] OpenAwaiter : public AsyncAwaiter {
public:
    explicit OpenAwaiter(AsyncState *state) noexcept : AsyncAwaiter(state, Waiter::For::open) {}
    bool await_ready()
    {
        if (is_empty())
            return true;
        const Result<void> opened = state_->open();
        return opened ? false : failed(opened.error());
    }
    AsyncResult<void> await_resume() noexcept
    {
        if (waiter_.succeeded)
            return {};
        return std::move(waiter_.end);
    }
};

class [[nodiscard]] NextAwaiter : public AsyncAwaiter {
public:
    explicit NextAwaiter(AsyncState *state) noexcept : AsyncAwaiter(state, Waiter::For::message) {}
    bool await_ready()
    {
        if (is_empty())
            return true;
        waiter_.succeeded = state_->unread.pop(waiter_.message);
        if (waiter_.succeeded)
            return true;
        return state_->is_active ? false : ended();
    }
    AsyncResult<Message> await_resume() noexcept
    {
        if (waiter_.succeeded)
            return std::move(waiter_.message);
        return std::move(waiter_.end);
    }
};

class [[nodiscard]] CloseAwaiter : public AsyncAwaiter {
public:
    CloseAwaiter(AsyncState *state, std::uint16_t code, std::string_view reason) noexcept
        : AsyncAwaiter(state, Waiter::For::end), code_(code), reason_(reason)
    {
    }
    bool await_ready()
    {
        if (is_empty())
            return true;
        if (!state_->is_active)
            return ended();
        const Result<void> closed = SocketRef(state_->socket).close(code_, reason_);
        // Closing already: waits for the same end.
        return closed || closed.code() == Code::invalid_state ? false : failed(closed.error());
    }
    End await_resume() noexcept { return std::move(waiter_.end); }

private:
    std::uint16_t code_;
    std::string_view reason_;
};

} // namespace detail

// ------------------------------------------------------------------------------------------ sockets

/// A WebSocket for coroutines. Owns the socket handle; can be opened again after its connection ended.
///
/// Has the functions of SocketRef, such as send_text and the settings. Its events go to coroutines and not to
/// callbacks. If reconnecting is enabled, next continues with the messages of the new connection.
class AsyncSocket : public SocketRef {
public:
    /// Creates an empty object.
    AsyncSocket() noexcept = default;
    AsyncSocket(AsyncSocket &&other) noexcept
        : SocketRef(std::exchange(other.raw_, fw_socket{})), state_(std::move(other.state_))
    {
    }
    AsyncSocket &operator=(AsyncSocket &&other) noexcept
    {
        if (this != &other) {
            const AsyncSocket old(std::move(*this));
            raw_ = std::exchange(other.raw_, fw_socket{});
            state_ = std::move(other.state_);
        }
        return *this;
    }
    /// Destroys the socket, see Socket::~Socket. Coroutines that await it are not resumed.
    ~AsyncSocket()
    {
        if (state_)
            state_->abandon();
        if (raw_.id != 0)
            fw_socket_destroy(raw_);
    }

    /// Creates a socket. Does not connect.
    ///
    /// \param url a ws: or wss: URL
    /// \returns the socket; invalid_url if the URL cannot be used
    static Result<AsyncSocket> create(std::string_view url)
    {
        using detail::AsyncState;
        AsyncSocket socket;
        const Result<void> created =
            detail::call_with_text([&](auto text) { return fw_socket_create(text, &socket.raw_); }, url);
        if (!created)
            return created.error();
        socket.state_ = std::make_shared<AsyncState>();
        AsyncState *state = socket.state_.get();
        state->socket = socket.raw_;
        fw_callbacks callbacks{};
        fw_callbacks_init(&callbacks, sizeof callbacks);
        callbacks.open = AsyncState::on_open;
        callbacks.text_segment = AsyncState::on_text;
        callbacks.binary_no_alloc = AsyncState::on_binary;
        callbacks.closed = AsyncState::on_closed;
        callbacks.error = AsyncState::on_error;
        state->self = socket.state_;
        fw_result result = fw_socket_set_finalizer(socket.raw_, AsyncState::finalize, state);
        if (result == FW_RESULT_OK)
            result = fw_socket_set_callbacks(socket.raw_, &callbacks, state);
        else
            state->self.reset(); // Another thread has called shutdown.
        if (result != FW_RESULT_OK)
            return detail::last_error(result);
        return socket;
    }

    explicit operator bool() const noexcept { return raw_.id != 0; }
    /// Returns a non-owning handle.
    SocketRef ref() const noexcept { return *this; }

    /// `co_await socket.open()` connects, and returns when the connection is open or has failed.
    ///
    /// Discards messages of the previous connection that were not read.
    /// \returns AsyncResult<void>
    detail::OpenAwaiter open() noexcept { return detail::OpenAwaiter(state_.get()); }

    /// `co_await socket.next()` returns the next message, or the end of the connection after the last one.
    ///
    /// Several coroutines may wait; each message goes to the one that has waited longest.
    /// \returns AsyncResult<Message>
    detail::NextAwaiter next() noexcept { return detail::NextAwaiter(state_.get()); }

    /// `co_await socket.close()` starts the closing handshake, and returns when the connection has ended.
    ///
    /// Sends everything that is queued first. While connecting, cancels. Messages that still arrive can be
    /// read with next.
    /// \param code the close code; 0 sends 1000
    /// \param reason at most 123 bytes of UTF-8, valid until the co_await
    /// \returns End
    detail::CloseAwaiter close(std::uint16_t code = 1000, std::string_view reason = {}) noexcept
    {
        return detail::CloseAwaiter(state_.get(), code, reason);
    }

    /// Sets the limit of stored messages that no coroutine has awaited yet.
    ///
    /// Beyond it, the connection is aborted and ends with too_large.
    /// \param bytes includes an overhead for each message; the default is 4 MiB
    void set_max_unread(std::size_t bytes) noexcept
    {
        if (state_)
            state_->unread.limit = bytes;
    }

    // Coroutines need poll mode, and take all events.
    Result<void> set_dispatch(Dispatch) = delete;
    std::optional<Event> next_event() = delete;

private:
    std::shared_ptr<detail::AsyncState> state_;
};

} // namespace framewire

#endif // FRAMEWIRE_COROUTINES_HPP
