// Sends "hello" to an echo server and prints the echo: hello ws://127.0.0.1:9001/
#include <framewire.hpp>
#include <cstdio>

int main(int argc, char **argv)
{
    auto socket = framewire::Socket::create(argc > 1 ? argv[1] : "ws://127.0.0.1:9001/");
    if (!socket)
        return std::fprintf(stderr, "%s\n", socket.error().message.c_str()), 2;
    bool finished = false, echoed = false;
    socket->on_open([](framewire::SocketRef self) { self.send_text("hello"); });
    socket->on_text([&](framewire::SocketRef self, std::string_view text) {
        std::printf("%.*s\n", static_cast<int>(text.size()), text.data());
        echoed = text == "hello";
        self.close(1000, "done");
    });
    socket->on_closed([&](framewire::SocketRef, std::uint16_t, std::string_view) { finished = true; });
    socket->on_error([&](framewire::SocketRef, const framewire::ConnectionError &error) {
        std::fprintf(stderr, "%s\n", error.message.data()); // what failed, and where
        finished = true;
    });
    socket->open(); // returns at once
    while (!finished) {
        framewire::wait(std::chrono::milliseconds(16)); // a game renders a frame instead
        framewire::poll(0, std::chrono::milliseconds(1));
    }
    return echoed ? 0 : 1;
}
