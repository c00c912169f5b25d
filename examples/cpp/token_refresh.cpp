// Reconnects with exponential backoff, and refreshes the access token when the server rejects it.
//
//     token_refresh ws://127.0.0.1:9001/token
//
// The library retries failures that may be temporary. A rejected token is none: the retry ends with an error that has the
// HTTP status 401. The program then gets a new token and opens the socket again.
//
// At the message "expire", the test server drops the connection and rejects the token from then on.

#include <framewire.hpp>

#include <cstdio>
#include <ctime>
#include <string>

namespace {

constexpr int max_refreshes = 5;

struct Session {
    std::string token;
    int refreshes = 0, connections = 0;
    bool finished = false, succeeded = false;

    // A game asks its login server here, over HTTPS.
    void refresh_token()
    {
        token = "cpp-" + std::to_string(std::time(nullptr)) + "-" + std::to_string(++refreshes);
    }
};

} // namespace

int main(int argc, char **argv)
{
    auto socket = framewire::Socket::create(argc > 1 ? argv[1] : "ws://127.0.0.1:9001/token");
    if (!socket)
        return std::fprintf(stderr, "%s\n", socket.error().message.c_str()), 2;
    Session session;
    // Runs before each connection attempt, also before retries.
    socket->on_internal_request_created([&](framewire::SocketRef, framewire::Request request) {
        request.set_header("Authorization", "Bearer " + session.token);
    });
    socket->on_open([&](framewire::SocketRef self) {
        std::printf("open, token %d\n", session.refreshes);
        self.send_text(++session.connections == 1 ? "expire" : "hello");
    });
    socket->on_text([](framewire::SocketRef self, std::string_view text) {
        std::printf("text: %.*s\n", static_cast<int>(text.size()), text.data());
        self.close(1000, "done");
    });
    socket->on_reconnecting([](framewire::SocketRef, const framewire::ConnectionError &error,
                               std::uint32_t attempt, std::chrono::milliseconds delay) {
        std::printf("retry %u in %lld ms: %s\n", attempt, static_cast<long long>(delay.count()),
                    error.message.data());
    });
    socket->on_closed([&](framewire::SocketRef, std::uint16_t code, std::string_view) {
        session.finished = true;
        session.succeeded = code == 1000 && session.connections == 2 && session.refreshes == 2;
    });
    socket->on_error([&](framewire::SocketRef self, const framewire::ConnectionError &error) {
        std::printf("error: %s\n", error.message.data());
        if (error.http_status == 401 && session.refreshes < max_refreshes) {
            session.refresh_token();
            self.open(); // allowed inside the terminal callback
        } else {
            session.finished = true;
        }
    });
    framewire::Reconnect reconnect; // enabled, with the default delays
    reconnect.max_delay_ms = 5000;
    socket->set_reconnect(reconnect);
    session.refresh_token();
    socket->open();
    while (!session.finished) {
        framewire::wait(std::chrono::milliseconds(16)); // a game renders a frame instead
        framewire::poll(0, std::chrono::milliseconds(1));
    }
    return session.succeeded ? 0 : 1;
}
