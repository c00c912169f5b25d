// Echo test in C++ for browsers and Node: messages come back in order and unchanged, then the client closes.
//
//     echo.js ws://127.0.0.1:9001/

#include <framewire.hpp>

#include <emscripten.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

constexpr int numbered = 1000;
constexpr std::size_t large = 100000;

struct Test {
    framewire::Socket socket;
    int checks = 0;
    int failed = 0;
    int texts = 0;
    bool finished = false;

    void check(bool condition, const char *what)
    {
        checks++;
        if (!condition) {
            failed++;
            std::printf("failed: %s\n", what);
        }
    }

    void send_all(framewire::SocketRef self)
    {
        for (int number = 0; number < numbered; number++)
            check(static_cast<bool>(self.send_text(std::to_string(number))), "send_text");
        framewire::Result<framewire::Buffer> buffer = framewire::Buffer::get(large);
        check(static_cast<bool>(buffer), "Buffer::get");
        buffer->writable()[large - 1] = 7;
        check(static_cast<bool>(self.send_binary_segment(*std::move(buffer))), "send_binary_segment");
    }
};

/// Lives until the program exits: a page returns from `main` at once.
Test test;

void frame()
{
    framewire::poll();
    if (!test.finished)
        return;
    emscripten_cancel_main_loop();
    test.check(test.texts == numbered, "every text message is received");
    test.check(static_cast<bool>(test.socket.destroy()), "destroy");
    test.check(static_cast<bool>(framewire::shutdown(std::chrono::seconds(5))), "shutdown");
    std::printf("%d passed, %d failed\n", test.checks - test.failed, test.failed);
    emscripten_force_exit(test.failed == 0 ? 0 : 1);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    test.check(framewire::library_matches_header(), "the library matches the header");
    framewire::Result<framewire::Socket> created = framewire::Socket::create(argv[1]);
    if (!created) {
        std::printf("%s\n", created.error().message.c_str());
        return 1;
    }
    test.socket = *std::move(created);
    framewire::Socket &socket = test.socket;
    const framewire::Result<void> pings = socket.set_start_ping_thread(true);
    test.check(!pings && pings.error().code == framewire::Code::not_supported, "no pings in browsers");
    socket.on_open([](framewire::SocketRef self) { test.send_all(self); });
    socket.on_text([](framewire::SocketRef, std::string_view text) {
        test.check(text == std::to_string(test.texts++), "text messages are received in order");
    });
    socket.on_binary([](framewire::SocketRef self, framewire::Bytes data) {
#ifdef WITH_EXCEPTIONS
        try {
            throw std::runtime_error("of the game");
        } catch (const std::exception &exception) {
            test.check(std::string_view(exception.what()) == "of the game", "a game's exception is caught");
        }
#endif
        test.check(data.size() == large && data[large - 1] == 7, "the binary message is unchanged");
        test.check(static_cast<bool>(self.close(4000, "done")), "close");
    });
    socket.on_closed([](framewire::SocketRef, std::uint16_t code, std::string_view reason) {
        test.check(code == 4000 && reason == "done", "the close code and reason");
        test.finished = true;
    });
    socket.on_error([](framewire::SocketRef, const framewire::ConnectionError &error) {
        test.check(false, std::string(error.message).c_str());
        test.finished = true;
    });
    test.check(static_cast<bool>(socket.open()), "open");
    emscripten_set_main_loop(frame, 0, 1);
}
