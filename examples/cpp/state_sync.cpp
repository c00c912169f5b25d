// Synchronizes the state of four players, 60 times a second, beside a bulk transfer on the same socket.
//
//     state_sync ws://127.0.0.1:9001/ [SECONDS]
//
// Urgent states and bulk data have a lane each. A state overtakes the bulk data, replaces the waiting state of its player,
// which is outdated, and expires when it has waited for too long. The link is simulated: 120 ms there and back, 1 MB/s.
// The server echoes every message, and the program prints the round trip times of the states.

#include <framewire.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

namespace {

constexpr std::uint32_t state_lane = 0, bulk_lane = 1;
constexpr std::uint64_t players = 4;
// A message that has begun is not interrupted, so a state waits for the rest of a part: keep parts small.
constexpr std::size_t bulk_part = 4096, bulk_ahead = 256 * 1024;

struct State {
    std::uint64_t player;
    double sent;
    float position[3], velocity[3];
};

double seconds()
{
    return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

void send_state(framewire::SocketRef socket, std::uint64_t player)
{
    const State state{player, seconds(), {}, {}};
    framewire::SendOptions options;
    options.lane = state_lane;
    options.key = player; // replaces the waiting state of this player
    options.time_to_live = milliseconds(1000);
    socket.send_binary(framewire::bytes_of(state), options);
}

void send_bulk(framewire::SocketRef socket)
{
    static const std::array<std::uint8_t, bulk_part> part{};
    framewire::SendOptions options;
    options.lane = bulk_lane;
    options.flags = framewire::SendFlags::uncompressed;
    while (socket.buffered_amount() < bulk_ahead)
        if (!socket.send_binary(part, options))
            return;
}

framewire::Link slow_link()
{
    framewire::Link link;
    link.out_delay_ms = link.in_delay_ms = 60;
    link.out_bytes_per_s = link.in_bytes_per_s = 1000 * 1000;
    return link;
}

} // namespace

int main(int argc, char **argv)
{
    auto socket = framewire::Socket::create(argc > 1 ? argv[1] : "ws://127.0.0.1:9001/");
    if (!socket)
        return std::fprintf(stderr, "%s\n", socket.error().message.c_str()), 2;
    std::vector<double> round_trips;
    std::size_t bulk_received = 0;
    bool finished = false, failed = false;
    socket->on_binary([&](framewire::SocketRef, framewire::Bytes data) {
        State state;
        if (data.size() != sizeof state) {
            bulk_received += data.size();
            return;
        }
        std::memcpy(&state, data.data(), sizeof state);
        round_trips.push_back((seconds() - state.sent) * 1000);
    });
    socket->on_closed([&](framewire::SocketRef, std::uint16_t, std::string_view) { finished = true; });
    socket->on_error([&](framewire::SocketRef, const framewire::ConnectionError &error) {
        std::fprintf(stderr, "%s\n", error.message.data());
        finished = failed = true;
    });
    socket->set_lanes({framewire::Lane(0), framewire::Lane(1)}); // the lower number goes first
    socket->set_link(slow_link());
    socket->set_close_timeout(std::chrono::seconds(60)); // the rest of the bulk data comes back first
    socket->open();

    const int frames = 60 * (argc > 2 ? std::atoi(argv[2]) : 3);
    std::uint64_t sent = 0;
    double next_frame = 0;
    for (int frame = 0; !finished;) {
        framewire::wait(milliseconds(4)); // returns as soon as there is an event
        framewire::poll(0, milliseconds(1));
        if (!socket->is_open())
            continue;
        send_bulk(socket->ref());
        if (seconds() < next_frame)
            continue;
        next_frame = seconds() + 1.0 / 60;
        if (frame++ == frames)
            socket->close(1000, "done");
        else
            for (std::uint64_t player = 1; player <= players; player++, sent++)
                send_state(socket->ref(), player);
    }

    const auto lane = socket->lane_stats(state_lane);
    if (failed || !lane || round_trips.empty())
        return 1;
    std::sort(round_trips.begin(), round_trips.end());
    std::printf("states: %llu sent, %llu replaced, %llu expired; p50 %.1f ms, max %.1f ms\nbulk: %zu bytes\n",
                static_cast<unsigned long long>(sent), static_cast<unsigned long long>(lane->replaced),
                static_cast<unsigned long long>(lane->expired), round_trips[round_trips.size() / 2],
                round_trips.back(), bulk_received);
    // Every state that was not dropped came back.
    return round_trips.size() == sent - lane->replaced - lane->expired && bulk_received > 0 ? 0 : 1;
}
