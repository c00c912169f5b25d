// Tests framewire_coroutines.hpp: order, results, cancellation, lifetimes, and allocations.
//
//     coroutines ws://127.0.0.1:9001/

#include "check.hpp"
#include "framewire_coroutines.hpp"

#include <atomic>
#include <memory>
#include <new>
#include <utility>
#include <vector>

// gcc inlines one of the two operators below and then takes them for a mismatch.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

using framewire::AsyncSocket;
using framewire::Code;
using framewire::End;
using framewire::EventType;
using framewire::Message;
using framewire::Task;

namespace {

/// Calls of operator new, and allocations of the library, on any thread.
std::atomic<std::size_t> allocations{0}, library_allocations{0};

} // namespace

void *operator new(std::size_t size)
{
    allocations++;
    if (void *block = std::malloc(size == 0 ? 1 : size))
        return block;
    std::abort();
}
void operator delete(void *block) noexcept
{
    std::free(block);
}
void operator delete(void *block, std::size_t) noexcept
{
    std::free(block);
}

namespace {

std::string url;

void *library_alloc(std::size_t size, std::size_t align, void *)
{
    library_allocations++;
    return std::aligned_alloc(align, (size + align - 1) / align * align);
}

void library_free(void *block, std::size_t, std::size_t, void *)
{
    std::free(block);
}

/// Captured by coroutines to detect when they are destroyed.
struct Token {
    std::shared_ptr<int> inner = std::make_shared<int>(0);
    long alive() const { return inner.use_count() - 1; }
};

// These take the result of a co_await, which gcc 12 does not compile correctly in a condition if the coroutine
// has no local variables.

void expect_open(const framewire::AsyncResult<void> &result)
{
    if (!result)
        std::fprintf(stderr, "%s\n", result.end().message.c_str());
    CHECK(result);
}

void expect(std::string_view text, framewire::AsyncResult<Message> result)
{
    CHECK(result);
    CHECK(result->text() == text);
}

void expect(Code code, const End &end)
{
    CHECK(end.code == code);
    CHECK(end.is_error());
}

void run(const char *what, const Task<> &task)
{
    poll_until(what, [&] { return task.done(); });
}

Task<> echo(AsyncSocket &socket, std::string name, int count, std::vector<std::string> &log)
{
    const auto opened = co_await socket.open();
    CHECK(opened);
    for (int number = 0; number < count; number++)
        must(socket.send_text(name + std::to_string(number)));
    for (int number = 0; number < count; number++) {
        auto message = co_await socket.next();
        CHECK(message && message->is_text());
        log.emplace_back(message->text());
    }
    const End end = co_await socket.close(4000, "done");
    CHECK(!end.is_error() && end.type == EventType::closed);
    CHECK(end.close_code == 4000 && end.message == "done");
    auto after = co_await socket.next();
    CHECK(!after && after.end().close_code == 4000);
}

void several_coroutines_receive_in_order()
{
    constexpr int count = 500;
    std::vector<AsyncSocket> sockets;
    std::vector<std::vector<std::string>> logs(3);
    std::vector<Task<>> tasks;
    for (int number = 0; number < 3; number++)
        sockets.push_back(must(AsyncSocket::create(url)));
    for (std::size_t at = 0; at < 3; at++)
        tasks.push_back(echo(sockets[at], std::string(1, static_cast<char>('a' + at)), count, logs[at]));
    for (const Task<> &task : tasks)
        run("echoes", task);
    for (std::size_t at = 0; at < 3; at++) {
        CHECK(logs[at].size() == count);
        for (int number = 0; number < count; number++)
            CHECK(logs[at][static_cast<std::size_t>(number)] ==
                  std::string(1, static_cast<char>('a' + at)) + std::to_string(number));
    }
}

Task<> count_messages(AsyncSocket &socket, const bool &is_polling, std::size_t &received)
{
    expect_open(co_await socket.open());
    CHECK(is_polling);
    while (auto message = co_await socket.next()) {
        CHECK(is_polling);
        received++;
    }
    CHECK(is_polling);
}

void coroutine_runs_inside_poll_within_its_budget()
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    bool is_polling = false;
    std::size_t received = 0;
    Task<> task = count_messages(socket, is_polling, received);
    while (!socket.is_open() || framewire::pending() == 0)
        framewire::wait(std::chrono::milliseconds(5));
    is_polling = true;
    framewire::poll();
    is_polling = false;
    for (int number = 0; number < 5; number++)
        must(socket.send_binary(framewire::Bytes(std::string_view("data"))));
    while (framewire::pending() < 5)
        framewire::wait(std::chrono::milliseconds(5));
    for (std::size_t number = 1; number <= 5; number++) {
        CHECK(received == number - 1);
        is_polling = true;
        CHECK(framewire::poll(1) == 1);
        is_polling = false;
    }
    CHECK(received == 5);
    must(socket.abort());
    is_polling = true;
    run("the end", task);
}

/// Sends every message back without a copy.
Task<> bounce(AsyncSocket &socket, std::size_t &received)
{
    expect_open(co_await socket.open());
    must(socket.send_text("round and round"));
    while (auto message = co_await socket.next()) {
        received++;
        must(socket.send_text_segment(std::move(*message).segment()));
    }
}

/// Reads messages.
Task<> read(AsyncSocket &socket, std::size_t &received)
{
    expect_open(co_await socket.open());
    while (auto message = co_await socket.next())
        received += message->bytes().size();
}

void messages_cost_no_allocation()
{
    std::size_t bounced = 0, received = 0;
    AsyncSocket bouncing = must(AsyncSocket::create(url)), reading = must(AsyncSocket::create(url));
    must(bouncing.set_no_compression());
    must(reading.set_no_compression());
    const Task<> first = bounce(bouncing, bounced), second = read(reading, received);
    poll_until("warm-up", [&] { return bounced > 200 && reading.is_open(); });

    const std::size_t before = allocations, start = bounced;
    const std::size_t before_in_library = library_allocations;
    std::size_t sent = 0;
    received = 0;
    poll_until("messages", [&] {
        if (sent < 20000 && received == sent) {
            must(reading.send_text("0123456789"));
            sent += 10;
        }
        return bounced >= start + 2000 && received == 20000;
    });
    std::printf("%zu messages: %zu allocations, %zu in the library\n", bounced - start + received / 10,
                allocations - before, library_allocations - before_in_library);
    CHECK(allocations == before);
    // The buffer pool still grows, but not with the number of messages.
    CHECK(library_allocations - before_in_library < 50);
}

Task<> wait_for_open(AsyncSocket &socket, std::shared_ptr<int>)
{
    (void)co_await socket.open();
    CHECK(false);
}

Task<> wait_for_message(AsyncSocket &socket, std::shared_ptr<int>, bool &is_open)
{
    expect_open(co_await socket.open());
    is_open = true;
    (void)co_await socket.next();
    CHECK(false);
}

Task<> wait_for_end(AsyncSocket &socket, std::shared_ptr<int>, bool &is_open)
{
    expect_open(co_await socket.open());
    is_open = true;
    (void)co_await socket.close();
    CHECK(false);
}

void poll_for(std::chrono::milliseconds time)
{
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
        framewire::wait(std::chrono::milliseconds(5));
        framewire::poll();
    }
}

void destroying_a_task_cancels_it()
{
    Token token;
    {
        AsyncSocket socket = must(AsyncSocket::create(url));
        {
            const Task<> task = wait_for_open(socket, token.inner);
            CHECK(token.alive() == 1);
        }
        CHECK(token.alive() == 0);
        poll_until("open", [&] { return socket.is_open() && framewire::pending() == 0; });
    }
    for (auto *start : {wait_for_message, wait_for_end}) {
        AsyncSocket socket = must(AsyncSocket::create(url));
        bool is_open = false;
        Task<> task = start(socket, token.inner, is_open);
        poll_until("open", [&] { return is_open; });
        socket.send_text("after the cancellation"); // Fails if the task has closed the socket.
        task = Task<>();
        CHECK(token.alive() == 0);
        poll_for(std::chrono::milliseconds(50));
    }
}

Task<> reset_another(AsyncSocket &socket, Task<> &other)
{
    expect_open(co_await socket.open());
    other = Task<>();
}

void task_can_be_destroyed_by_another_coroutine()
{
    Token token;
    AsyncSocket first = must(AsyncSocket::create(url)), second = must(AsyncSocket::create(url));
    bool is_open = false;
    Task<> waiting = wait_for_message(first, token.inner, is_open);
    poll_until("open", [&] { return is_open; });
    const Task<> resetting = reset_another(second, waiting);
    run("the reset", resetting);
    CHECK(token.alive() == 0);
}

Task<> fails_to_connect(std::string address)
{
    AsyncSocket socket = must(AsyncSocket::create(address));
    const auto opened = co_await socket.open();
    CHECK(!opened);
    const End &end = opened.end();
    CHECK(end.is_error() && end.code == Code::ok && end.type == EventType::error);
    CHECK(end.kind == framewire::ErrorKind::refused && end.phase == framewire::Phase::connect);
    CHECK(end.retriable && end.os_code != 0);
    CHECK(end.message.find("127.0.0.1:1") != std::string::npos);
    auto message = co_await socket.next();
    CHECK(!message && message.end().kind == framewire::ErrorKind::refused);
}

Task<> fails_to_call()
{
    AsyncSocket empty;
    expect(Code::invalid_handle, (co_await empty.open()).end());
    expect(Code::invalid_handle, (co_await empty.next()).end());
    expect(Code::invalid_handle, co_await empty.close());

    AsyncSocket socket = must(AsyncSocket::create(url));
    expect(Code::invalid_state, (co_await socket.next()).end());
    expect(Code::invalid_state, co_await socket.close());
    expect_open(co_await socket.open());
    const auto second = co_await socket.open();
    CHECK(second.end().code == Code::invalid_state && !second.end().message.empty());
    expect(Code::invalid_argument, co_await socket.close(1, ""));
    CHECK(socket.is_open());
    // The connection is still usable.
    must(socket.send_text("still open"));
    expect("still open", co_await socket.next());
}

void failures_are_results()
{
    CHECK(AsyncSocket::create("nonsense").code() == Code::invalid_url);
    run("the refused connection", fails_to_connect("ws://127.0.0.1:1/"));
    run("failed calls", fails_to_call());
}

Task<> open_only(AsyncSocket &socket)
{
    expect_open(co_await socket.open());
}

Task<> read_stored(AsyncSocket &socket, int count)
{
    for (int number = 0; number < count; number++)
        expect(std::to_string(number), co_await socket.next());
}

void messages_that_no_coroutine_awaits_are_stored()
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    run("open", open_only(socket));
    for (int round = 0; round < 3; round++) {
        for (int number = 0; number < 100; number++)
            must(socket.send_text(std::to_string(number)));
        poll_until("the messages", [&, expected = 100U * static_cast<unsigned>(round + 1)] {
            return must(socket.stats()).messages_received == expected && framewire::pending() == 0;
        });
        // All are there, so the coroutine does not suspend.
        CHECK(read_stored(socket, 100).done());
    }
}

Task<> read_to_the_end(AsyncSocket &socket, std::size_t &read, End &end)
{
    for (;;) {
        auto message = co_await socket.next();
        if (!message) {
            end = message.end();
            co_return;
        }
        read++;
    }
}

void unread_messages_beyond_the_limit_end_the_connection()
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    socket.set_max_unread(10000);
    run("open", open_only(socket));
    for (int number = 0; number < 5; number++)
        must(socket.send_binary(std::string(3000, 'x')));
    poll_until("the end",
               [&] { return socket.state() == framewire::State::closed && framewire::pending() == 0; });
    std::size_t read = 0;
    End end;
    run("the end", read_to_the_end(socket, read, end));
    CHECK(read == 3);
    CHECK(end.is_error() && end.code == Code::too_large && !end.message.empty());
}

Task<> open_twice(AsyncSocket &socket)
{
    for (int round = 0; round < 2; round++) {
        expect_open(co_await socket.open());
        must(socket.send_text("once"));
        must(socket.send_text("twice"));
        expect("once", co_await socket.next());
        must(socket.abort());
        // The second message may have been received before.
        while (auto message = co_await socket.next()) {
        }
    }
}

void socket_can_be_opened_again()
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    run("two connections", open_twice(socket));
}

Task<std::string> ask(AsyncSocket &socket, std::string question, std::shared_ptr<int> = nullptr)
{
    must(socket.send_text(question));
    auto answer = co_await socket.next();
    co_return answer ? std::string(answer->text()) : std::string();
}

Task<> ask_twice(AsyncSocket &socket, std::string &answers)
{
    expect_open(co_await socket.open());
    answers = co_await ask(socket, "first");
    Task<std::string> second = ask(socket, "second");
    answers += ' ' + co_await second;
}

Task<> ask_without_end(AsyncSocket &socket, std::shared_ptr<int> token)
{
    expect_open(co_await socket.open());
    must(socket.set_link([] {
        framewire::Link link;
        link.set_cut(framewire::LinkCut::stall);
        return link;
    }()));
    (void)co_await ask(socket, "no answer", token);
    CHECK(false);
}

Task<> await_reference(Task<std::string> &task)
{
    (void)co_await task;
    CHECK(false);
}

Task<End> default_end()
{
    co_return {};
}
Task<End> named_end()
{
    co_return {.code = Code::too_large, .message = "named"};
}

void result_can_be_braces()
{
    CHECK(default_end().value().code == Code::ok);
    Task<End> named = named_end();
    CHECK(named.value().code == Code::too_large && named.value().message == "named");
}

void task_can_await_another()
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    std::string answers;
    run("two tasks", ask_twice(socket, answers));
    CHECK(answers == "first second");

    Task<std::string> value = ask(socket, "value");
    poll_until("a value", [&] { return value.done(); });
    CHECK(value.value() == "value");

    Token token;
    AsyncSocket stalled = must(AsyncSocket::create(url));
    {
        const Task<> outer = ask_without_end(stalled, token.inner);
        poll_until("the inner task", [&] { return token.alive() >= 2; });
    }
    CHECK(token.alive() == 0);

    // Either may be destroyed first.
    Task<std::string> inner = ask(socket, "ignored");
    Task<> outer = await_reference(inner);
    inner = Task<std::string>();
    outer = Task<>();
    inner = ask(socket, "ignored");
    outer = await_reference(inner);
    outer = Task<>();
    poll_until("the inner task", [&] { return inner.done(); });
}

void destroyed_socket_does_not_resume()
{
    Token token;
    {
        auto socket = std::make_unique<AsyncSocket>(must(AsyncSocket::create(url)));
        bool is_open = false;
        const Task<> task = wait_for_message(*socket, token.inner, is_open);
        poll_until("open", [&] { return is_open; });
        socket.reset();
        poll_for(std::chrono::milliseconds(50));
        CHECK(!task.done() && token.alive() == 1);
    }
    CHECK(token.alive() == 0);
}

Task<> own_socket(std::shared_ptr<int>)
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    expect_open(co_await socket.open());
    must(socket.send_text("mine"));
    expect("mine", co_await socket.next());
    // Destroys the socket inside its own callback.
}

void coroutine_can_own_its_socket()
{
    Token token;
    {
        const Task<> task = own_socket(token.inner);
        run("the end", task);
        CHECK(token.alive() == 1); // Parameters live as long as the frame.
    }
    CHECK(token.alive() == 0);
    {
        const Task<> cancelled = own_socket(token.inner);
    }
    CHECK(token.alive() == 0);
}

Task<> close_when_open(AsyncSocket &socket, End &end)
{
    expect("close", co_await socket.next());
    end = co_await socket.close(1000, "second coroutine");
}

Task<> open_and_read(AsyncSocket &socket, std::size_t &read, End &end)
{
    expect_open(co_await socket.open());
    must(socket.send_text("close"));
    must(socket.send_text("read"));
    co_await read_to_the_end(socket, read, end);
}

Task<> close_again(AsyncSocket &socket, End &end)
{
    end = co_await socket.close();
}

void several_coroutines_can_use_one_socket()
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    std::size_t read = 0;
    End ends[3];
    // The second waits first, so it receives the first message.
    const Task<> reading = open_and_read(socket, read, ends[0]);
    const Task<> closing = close_when_open(socket, ends[1]);
    run("the reader", reading);
    run("the closer", closing);
    CHECK(read == 1);
    CHECK(ends[0].close_code == 1000 && ends[1].message == "second coroutine");

    run("open", open_only(socket));
    const Task<> one = close_again(socket, ends[0]), two = close_again(socket, ends[1]);
    AsyncSocket moved = std::move(socket);
    run("the first close", one);
    run("the second close", two);
    CHECK(ends[0].close_code == 1000 && ends[1].close_code == 1000);
}

Task<> close_while_connecting(AsyncSocket &socket, End &end)
{
    end = co_await socket.close();
}

Task<> cancelled_open(AsyncSocket &socket, End &end)
{
    const auto opened = co_await socket.open();
    CHECK(!opened);
    end = opened.end();
}

void close_cancels_open()
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    framewire::Link slow;
    slow.in_delay_ms = 10000;
    must(socket.set_link(slow));
    End ends[2];
    const Task<> opening = cancelled_open(socket, ends[0]);
    const Task<> closing = close_while_connecting(socket, ends[1]);
    run("the cancelled open", opening);
    run("the close", closing);
    CHECK(ends[0].type == EventType::closed && !ends[0].is_error());
    CHECK(ends[1].type == EventType::closed);
}

void shutdown_ends_every_wait()
{
    AsyncSocket socket = must(AsyncSocket::create(url));
    run("open", open_only(socket));
    std::size_t read = 0;
    End end;
    const Task<> task = read_to_the_end(socket, read, end);
    must(framewire::shutdown(std::chrono::seconds(5)));
    CHECK(task.done() && read == 0);
    CHECK(end.is_error() && end.code == Code::invalid_handle);
    CHECK(framewire::pending() == 0);
}

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    url = argv[1];
    framewire::Config config;
    config.alloc = library_alloc;
    config.free = library_free;
    must(framewire::init(config));
    several_coroutines_receive_in_order();
    coroutine_runs_inside_poll_within_its_budget();
    messages_cost_no_allocation();
    destroying_a_task_cancels_it();
    task_can_be_destroyed_by_another_coroutine();
    failures_are_results();
    messages_that_no_coroutine_awaits_are_stored();
    unread_messages_beyond_the_limit_end_the_connection();
    socket_can_be_opened_again();
    result_can_be_braces();
    task_can_await_another();
    destroyed_socket_does_not_resume();
    coroutine_can_own_its_socket();
    several_coroutines_can_use_one_socket();
    close_cancels_open();
    shutdown_ends_every_wait();
    std::puts("ok");
}
