// Streams a large file with bounded memory: sends it in parts, and writes at most what the network takes.
//
//     large_file ws://127.0.0.1:9001/ [FILE]       (without FILE: this program)
//
// Each part is read into a buffer of the pool, which is sent without a copy. The program stops reading while more than
// send_ahead bytes are queued (backpressure). The server echoes every part; the program compares checksums.

#include <framewire.hpp>

#include <cstdio>
#include <fstream>

namespace {

constexpr std::size_t part_size = 64 * 1024, send_ahead = 1024 * 1024;

// Counts and checks a stream of bytes (FNV-1a).
struct Digest {
    std::uint64_t bytes = 0, hash = 0;

    void update(framewire::Bytes data)
    {
        bytes += data.size();
        for (const std::uint8_t byte : data)
            hash = (hash ^ byte) * 0x100000001b3u;
    }
    bool operator==(const Digest &other) const { return bytes == other.bytes && hash == other.hash; }
};

// Sends parts until the queue is full. Returns whether the file continues.
bool send_parts(framewire::SocketRef socket, std::istream &file, Digest &sent)
{
    while (socket.buffered_amount() < send_ahead) {
        auto part = framewire::Buffer::get(part_size);
        if (!part)
            return true;
        const framewire::WritableBytes space = part->writable();
        file.read(reinterpret_cast<char *>(space.data()), static_cast<std::streamsize>(space.size()));
        if (file.gcount() == 0)
            return false;
        part->shrink(static_cast<std::size_t>(file.gcount()));
        sent.update(part->bytes());
        socket.send_binary_segment(*std::move(part));
    }
    return true;
}

} // namespace

int main(int argc, char **argv)
{
    auto socket = framewire::Socket::create(argc > 1 ? argv[1] : "ws://127.0.0.1:9001/");
    if (!socket)
        return std::fprintf(stderr, "%s\n", socket.error().message.c_str()), 2;
    const char *name = argc > 2 ? argv[2] : argv[0];
    std::ifstream file(name, std::ios::binary);
    if (!file)
        return std::fprintf(stderr, "%s cannot be read\n", name), 2;
    Digest sent, received;
    bool continues = true, finished = false, failed = false;
    socket->on_binary([&](framewire::SocketRef, framewire::Bytes data) { received.update(data); });
    socket->on_closed([&](framewire::SocketRef, std::uint16_t, std::string_view) { finished = true; });
    socket->on_error([&](framewire::SocketRef, const framewire::ConnectionError &error) {
        std::fprintf(stderr, "%s\n", error.message.data());
        finished = failed = true;
    });
    socket->set_no_compression(); // files are often compressed already
    socket->open();
    while (!finished) {
        framewire::wait(std::chrono::milliseconds(16)); // a game renders a frame instead
        framewire::poll(0, std::chrono::milliseconds(1));
        if (continues && socket->is_open())
            continues = send_parts(socket->ref(), file, sent);
        if (!continues && received.bytes == sent.bytes)
            socket->close(1000, "done"); // only the first call has an effect
    }
    failed = failed || !(sent == received);
    std::printf("%llu bytes sent, %llu received: %s\n", static_cast<unsigned long long>(sent.bytes),
                static_cast<unsigned long long>(received.bytes), failed ? "FAILED" : "identical");
    return failed ? 1 : 0;
}
