// Tests the networking of a game against a captured session, without its server.
//
//     framewire replay tests/captures/chat.pcapng --speed 0 --strict       (prints its URL)
//     session_test URL
//
// The replay server sends what the recorded server sent, compressed and in fragments, with its pings and its end. With
// --strict it fails if the game does something else than the recorded client.
//
// The game is a chat: it says something after each message, sends a picture, and leaves. Here only its calls are tested;
// a real test compares what the player sees.

#include <framewire.hpp>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

namespace {

// The game under test.
class Game {
public:
    static constexpr std::size_t lines = 4;

    bool play(const char *url)
    {
        auto socket = framewire::Socket::create(url);
        if (!socket)
            return false;
        bool finished = false;
        socket->on_text([this](framewire::SocketRef self, std::string_view text) { answer(self, text); });
        socket->on_binary([this](framewire::SocketRef self, framewire::Bytes data) {
            pictures.emplace_back(data.begin(), data.end());
            self.close(1000, "bye");
        });
        socket->on_closed([&](framewire::SocketRef, std::uint16_t code, std::string_view) {
            close_code = code;
            finished = true;
        });
        socket->on_error([&](framewire::SocketRef, const framewire::ConnectionError &error) {
            std::fprintf(stderr, "%s\n", error.message.data());
            finished = true;
        });
        socket->add_protocol("chat.v1");
        framewire::Compression compression;
        compression.min_size_to_compress = 0;
        socket->set_compression(compression);
        socket->open();
        while (!finished) {
            framewire::wait(std::chrono::milliseconds(16)); // a game renders a frame instead
            framewire::poll(0, std::chrono::milliseconds(1));
        }
        return true;
    }

    std::vector<std::string> texts;
    std::vector<std::vector<std::uint8_t>> pictures;
    std::uint16_t close_code = 0;

private:
    void answer(framewire::SocketRef socket, std::string_view text)
    {
        texts.emplace_back(text);
        if (texts.size() <= lines)
            socket.send_text("message " + std::to_string(texts.size()) +
                             " of a player who says the same words again and again");
        else
            socket.send_binary(std::array<std::uint8_t, 6>{0, 1, 2, 3, 0xFE, 0xFF});
    }
};

int failures = 0;

void check(bool condition, const char *what)
{
    if (!condition)
        std::printf("FAILED: %s\n", what), failures++;
}

} // namespace

// The test.
int main(int argc, char **argv)
{
    Game game;
    check(game.play(argc > 1 ? argv[1] : ""), "the URL can be used");
    check(!game.texts.empty() && game.texts[0].rfind("welcome", 0) == 0, "the first text is the welcome");
    check(game.texts.size() == 1 + Game::lines, "every line gets a reply");
    check(game.pictures.size() == 1 && game.pictures[0] == std::vector<std::uint8_t>{3, 2, 1},
          "a picture comes back");
    check(game.close_code == 1000, "the chat ends with code 1000");
    check(bool(framewire::shutdown(std::chrono::seconds(2))), "the library shuts down in time");
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
