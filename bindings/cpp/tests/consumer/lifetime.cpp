// Tests lifetimes: sockets and callbacks that are destroyed, moved and replaced while in use.
//
//     lifetime ws://127.0.0.1:9001/

#include "check.hpp"

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

using framewire::Socket;
using framewire::SocketRef;

namespace {

std::string url;

/// Captured by callbacks to detect when they are destroyed: alive() is the number of captures.
struct Token {
    std::shared_ptr<int> inner = std::make_shared<int>(0);
    long alive() const { return inner.use_count() - 1; }
};

void socket_can_be_destroyed_inside_its_own_callback()
{
    Token token;
    auto socket = std::make_unique<Socket>(must(Socket::create(url)));
    bool opened = false;
    must(socket->on_open([&opened, &socket, token = token.inner](SocketRef self) {
        socket.reset();
        // The callback and its captures are still alive, the socket is not.
        CHECK(token.use_count() >= 2);
        CHECK(self.state() == framewire::State::unknown);
        CHECK(self.send_text("too late").code() == framewire::Code::invalid_handle);
        opened = true;
    }));
    must(socket->on_closed(
        [token = token.inner](SocketRef, std::uint16_t, std::string_view) { CHECK(false); }));
    must(socket->open());
    poll_until("open", [&] { return opened; });
    poll_until("the callbacks are destroyed", [&] { return token.alive() == 0; });
}

void callback_can_replace_itself()
{
    Token token;
    Socket socket = must(Socket::create(url));
    std::vector<std::string> seen;
    must(socket.on_open([](SocketRef self) {
        must(self.send_text("one"));
        must(self.send_text("two"));
    }));
    must(socket.on_text([&, token = token.inner](SocketRef, std::string_view text) {
        must(socket.on_text(
            [&](SocketRef, std::string_view later) { seen.push_back("second " + std::string(later)); }));
        CHECK(token.use_count() >= 2);
        seen.push_back("first " + std::string(text));
    }));
    CHECK(token.alive() == 1);
    must(socket.open());
    poll_until("two texts", [&] { return seen.size() == 2; });
    CHECK(seen[0] == "first one" && seen[1] == "second two");
    CHECK(token.alive() == 0);
}

void removed_callback_is_destroyed_and_not_called()
{
    Token token;
    Socket socket = must(Socket::create(url));
    bool pong = false;
    must(socket.on_text([token = token.inner](SocketRef, std::string_view) { CHECK(false); }));
    CHECK(token.alive() == 1);
    must(socket.on_text(nullptr));
    CHECK(token.alive() == 0);
    must(socket.on_open([](SocketRef self) {
        must(self.send_text("no callback"));
        must(self.ping(framewire::Bytes(std::string_view("here"))));
    }));
    must(
        socket.on_pong([&](SocketRef, framewire::Bytes data) { pong = data.size() == 4 && data[0] == 'h'; }));
    must(socket.open());
    poll_until("the pong after the text", [&] { return pong; });
}

void moved_socket_keeps_its_connection_and_callbacks()
{
    Socket first = must(Socket::create(url));
    bool echoed = false;
    must(first.on_text([&](SocketRef, std::string_view text) { echoed = text == "still here"; }));
    must(first.open());
    poll_until("open", [&] { return first.is_open(); });

    Socket second = std::move(first);
    CHECK(second && second.is_open());
    Socket third = must(Socket::create(url));
    third = std::move(second);
    must(third.send_text("still here"));
    poll_until("the echo", [&] { return echoed; });
}

void moved_from_socket_returns_invalid_handle()
{
    Socket socket = must(Socket::create(url));
    {
        const Socket other = std::move(socket);
    }
    Socket &empty = socket;
    CHECK(!empty);
    CHECK(empty.open().code() == framewire::Code::invalid_handle);
    CHECK(empty.on_open([](SocketRef) {}).code() == framewire::Code::invalid_handle);
    CHECK(empty.state() == framewire::State::unknown);
    CHECK(empty.on_finalized([] { CHECK(false); }).code() == framewire::Code::invalid_handle);
}

void finalizer_runs_once_and_last()
{
    std::vector<std::string> seen;
    Socket socket = must(Socket::create(url));
    must(socket.on_open([](SocketRef self) { must(self.close()); }));
    must(socket.on_closed([&](SocketRef self, std::uint16_t code, std::string_view) {
        seen.push_back("closed " + std::to_string(code));
        must(self.destroy());
    }));
    must(socket.on_finalized([&] { seen.push_back("finalized"); }));
    must(socket.open());
    poll_until("the finalizer", [&] { return !seen.empty() && seen.back() == "finalized"; });
    {
        const Socket other = std::move(socket);
    }
    must(framewire::shutdown(std::chrono::seconds(5)));
    CHECK(seen.size() == 2 && seen[0] == "closed 1000");
}

void socket_owned_by_its_own_callback_can_be_destroyed()
{
    Token token;
    auto socket = std::make_shared<Socket>(must(Socket::create(url)));
    must(socket->on_open([socket, token = token.inner](SocketRef self) { must(self.destroy()); }));
    must(socket->open());
    const std::weak_ptr<Socket> watched = socket;
    socket.reset();
    poll_until("the socket is destroyed with its callbacks",
               [&] { return watched.expired() && token.alive() == 0; });
}

void shutdown_destroys_callbacks_and_invalidates_sockets()
{
    Token token;
    int finalized = 0;
    Socket socket = must(Socket::create(url));
    must(socket.on_text([token = token.inner](SocketRef, std::string_view) {}));
    must(socket.on_finalized([&finalized] { finalized++; }));
    must(socket.open());
    must(framewire::shutdown(std::chrono::seconds(5)));
    CHECK(finalized == 1);
    CHECK(token.alive() == 0);

    CHECK(socket.send_text("too late").code() == framewire::Code::invalid_handle);
    CHECK(socket.on_text([token = token.inner](SocketRef, std::string_view) {}).code() ==
          framewire::Code::invalid_handle);
    CHECK(token.alive() == 0);
    // A finalizer set after shutdown would never run, so it is rejected.
    CHECK(socket.on_finalized([token = token.inner] { CHECK(false); }).code() ==
          framewire::Code::invalid_handle);
    CHECK(token.alive() == 0);
    socket = must(Socket::create(url));
    must(socket.open());
    poll_until("the library runs again", [&] { return socket.is_open(); });
}

void callback_can_be_replaced_while_a_worker_runs_it()
{
    Socket socket = must(Socket::create(url));
    must(socket.set_dispatch(framewire::Dispatch::worker));
    const auto echoes = std::make_shared<std::atomic<int>>(0);
    const auto echo = [echoes](SocketRef self, std::string_view text) {
        ++*echoes;
        self.send_text(text);
    };
    must(socket.on_open([](SocketRef self) { must(self.send_text("round and round")); }));
    must(socket.on_text(echo));
    must(socket.open());
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    for (int turn = 0; turn < 20000 || *echoes < 1000; turn++) {
        must(socket.on_text(echo));
        CHECK(std::chrono::steady_clock::now() < end);
    }
}

void replaced_callback_of_a_worker_is_destroyed_with_the_next_event()
{
    Token token;
    Socket socket = must(Socket::create(url));
    must(socket.set_dispatch(framewire::Dispatch::worker));
    std::atomic<int> echoes{0};
    must(socket.on_open([](SocketRef self) { must(self.send_text("first")); }));
    must(socket.on_text([&, token = token.inner](SocketRef, std::string_view) { echoes++; }));
    must(socket.open());
    poll_until("an echo", [&] { return echoes == 1; });
    must(socket.on_text([&](SocketRef, std::string_view) { echoes += 10; }));
    must(socket.send_text("second"));
    poll_until("an echo to the new callback", [&] { return echoes == 11; });
    poll_until("the old callback is destroyed", [&] { return token.alive() == 0; });
}

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    url = argv[1];
    socket_can_be_destroyed_inside_its_own_callback();
    callback_can_replace_itself();
    removed_callback_is_destroyed_and_not_called();
    moved_socket_keeps_its_connection_and_callbacks();
    moved_from_socket_returns_invalid_handle();
    finalizer_runs_once_and_last();
    socket_owned_by_its_own_callback_can_be_destroyed();
    shutdown_destroys_callbacks_and_invalidates_sockets();
    callback_can_be_replaced_while_a_worker_runs_it();
    replaced_callback_of_a_worker_is_destroyed_with_the_next_event();
    must(framewire::shutdown(std::chrono::seconds(5)));
    std::puts("ok");
}
