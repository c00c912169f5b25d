// Echo test in C++: messages come back in order and unchanged, then the client closes.
//
//     echo_cpp ws://127.0.0.1:9001/ [worker]

#include "check.hpp"

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <vector>

namespace {

constexpr int numbered = 10000;
constexpr std::size_t large = 100000;

/// The expected echoes. Callbacks run one at a time, but in worker mode on another thread, so the main
/// thread is notified through a lock.
struct Test {
    std::vector<std::string> expected;
    std::size_t received = 0;
    framewire::Segment retained;
    std::mutex mutex;
    std::condition_variable changed;
    bool finished = false;
    bool finalized = false;

    void notify(bool Test::*flag)
    {
        const std::lock_guard<std::mutex> lock(mutex);
        this->*flag = true;
        changed.notify_one();
    }

    void check_echo(framewire::SocketRef socket, char type, std::string_view content)
    {
        CHECK(received < expected.size());
        CHECK(expected[received][0] == type);
        CHECK(std::string_view(expected[received]).substr(1) == content);
        if (++received == expected.size())
            must(socket.close(4000, "done"));
    }

    void send_all(framewire::SocketRef socket)
    {
        for (int number = 0; number < numbered; number++) {
            const std::string text = std::to_string(number);
            expected.push_back('t' + text);
            must(socket.send_text(text));
        }
        expected.push_back("t");
        must(socket.send_text({}));
        expected.push_back("b");
        must(socket.send_binary({}));

        const std::string large_text(large, 'w');
        expected.push_back('t' + large_text);
        must(socket.send_text(large_text, framewire::SendFlags::uncompressed));
        const std::vector<std::uint8_t> zeros(large);
        expected.push_back('b' + std::string(large, '\0'));
        must(socket.send_binary(zeros, framewire::SendFlags::none));

        framewire::Buffer buffer = must(framewire::Buffer::get(2 * large));
        std::memset(buffer.writable().data(), 'x', large);
        buffer.shrink(large);
        expected.push_back('b' + std::string(large, 'x'));
        must(socket.send_binary_segment(std::move(buffer)));
        framewire::Buffer single = must(framewire::Buffer::get(1));
        single.writable()[0] = 'y';
        expected.push_back("ty");
        must(socket.send_text_segment(std::move(single)));
    }
};

std::string_view as_text(framewire::Bytes bytes)
{
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    CHECK(framewire::library_matches_header());
    const bool worker = argc > 2 && std::string_view(argv[2]) == "worker";

    Test test;
    framewire::Socket socket = must(framewire::Socket::create(argv[1]));
    if (worker)
        must(socket.set_dispatch(framewire::Dispatch::worker));
    must(socket.on_open([&](framewire::SocketRef self) { test.send_all(self); }));
    must(socket.on_text(
        [&](framewire::SocketRef self, std::string_view text) { test.check_echo(self, 't', text); }));
    must(socket.on_binary([&](framewire::SocketRef self, framewire::Bytes data) {
        test.check_echo(self, 'b', as_text(data));
    }));
    must(socket.on_binary_no_alloc([&](framewire::SocketRef, framewire::SegmentRef segment) {
        if (segment.bytes().size() == large)
            test.retained = must(segment.retain());
    }));
    must(socket.on_closed([&](framewire::SocketRef, std::uint16_t code, std::string_view reason) {
        CHECK(code == 4000);
        CHECK(reason == "done");
        test.notify(&Test::finished);
    }));
    must(socket.on_error([](framewire::SocketRef, const framewire::ConnectionError &error) {
        std::fprintf(stderr, "%s\n", error.message.data());
        std::exit(EXIT_FAILURE);
    }));
    must(socket.on_finalized([&] { test.notify(&Test::finalized); }));
    must(socket.open());

    if (worker) {
        std::unique_lock<std::mutex> lock(test.mutex);
        CHECK(test.changed.wait_for(lock, std::chrono::minutes(1), [&] { return test.finished; }));
    } else {
        poll_until("the end", [&] { return test.finished; });
    }
    CHECK(test.received == test.expected.size());

    const framewire::Stats stats = must(socket.stats());
    CHECK(stats.messages_sent == test.expected.size());
    CHECK(stats.messages_received == test.expected.size());
    CHECK(socket.state() == framewire::State::closed);
    CHECK(socket.last_message_received());
    must(socket.destroy());
    must(framewire::shutdown(std::chrono::seconds(5)));
    CHECK(test.finalized);
    // A retained segment outlives its socket and the library.
    CHECK(test.retained.text() == std::string(large, 'x'));
    std::printf("%zu messages: ok\n", test.received);
}
