// Framewire through its C++ header. --variant worker (the default) or poll selects where callbacks run.

#include "bench.h"
#include "framewire.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

framewire::Socket client;

template <class T> void must(const T &result)
{
    if (!result) {
        std::fprintf(stderr, "%s: %s\n", result.error().name(), result.error().message.c_str());
        std::exit(1);
    }
}

// Sends as many messages as are allowed now, which is far below the limit of the send queue.
void send_allowed(framewire::SocketRef socket)
{
    std::uint64_t count = bench.to_send;
    bench.to_send = 0;
    for (; count; count--)
        must(socket.send_binary({bench_payload(), bench.size}));
}

void open()
{
    auto created = framewire::Socket::create(bench.url);
    must(created);
    client = std::move(*created);
    must(client.set_no_compression());
    const bool polls = !std::strcmp(bench.variant, "poll");
    must(client.set_dispatch(polls ? framewire::Dispatch::poll : framewire::Dispatch::worker));
    must(client.on_open([](framewire::SocketRef socket) {
        bench_opened(nullptr);
        send_allowed(socket);
    }));
    must(client.on_text([](framewire::SocketRef socket, std::string_view text) {
        bench_message(nullptr, text.data(), text.size());
        send_allowed(socket);
    }));
    must(client.on_binary([](framewire::SocketRef, framewire::Bytes data) {
        bench_message(nullptr, data.data(), data.size());
    }));
    must(client.on_error([](framewire::SocketRef, const framewire::ConnectionError &error) {
        std::fprintf(stderr, "framewire: %s\n", std::string(error.message).c_str());
        std::exit(1);
    }));
    must(client.open());
    if (!polls)
        bench_wait();
    while (!bench.done)
        if (framewire::wait(std::chrono::milliseconds(100)))
            framewire::poll();
}

} // namespace

void bench_send(void *, bool text, const void *bytes, size_t len)
{
    const auto *data = static_cast<const std::uint8_t *>(bytes);
    if (text)
        must(client.send_text({reinterpret_cast<const char *>(data), len}));
    else
        must(client.send_binary({data, len}));
}

int main(int argc, char **argv)
{
    bench_parse("framewire c++", argc, argv);
    open();
    bench_report();
    must(framewire::shutdown(std::chrono::milliseconds(2000)));
    return 0;
}
