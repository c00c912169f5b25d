// Plots latency live: sends 60 messages per second to an echo server and measures each round trip.
//
//     latency_graph ws://127.0.0.1:9001/ [--seconds N] [--screenshot FILE.bmp]
//
// The main loop works like that of a game: each frame sends an update and draws. Echoes are received in
// worker mode, on a worker thread, so that they are timed when they arrive, not at the next frame. A browser has no
// threads: emscripten calls each frame, and echoes are timed in the frame after their arrival.

#include "graph.hpp"

#include <framewire.hpp>

#include <SDL.h>

#ifdef __EMSCRIPTEN__
#include <emscripten.h>
#endif

#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

namespace {

/// The update that a game sends to the server in each frame.
struct Update {
    std::int64_t sent_ns;
    float position[3];
    std::uint32_t frame;
};

std::int64_t now_ns()
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

/// Data that the callbacks, which run on a worker thread, share with the main loop.
class Link {
public:
    void received(framewire::Bytes data)
    {
        const std::int64_t arrived_ns = now_ns();
        Update update;
        if (data.size() != sizeof update)
            return;
        std::memcpy(&update, data.data(), sizeof update);
        const std::lock_guard<std::mutex> lock(mutex_);
        count_++;
        samples_.push_back(static_cast<double>(arrived_ns - update.sent_ns) / 1000);
        if (samples_.size() > graph::shown)
            samples_.pop_front();
    }
    void ended(std::string end_reason)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        end_reason_ = std::move(end_reason);
    }

    std::vector<double> samples() const
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return {samples_.begin(), samples_.end()};
    }
    std::size_t count() const
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return count_;
    }
    std::string end_reason() const
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return end_reason_;
    }

private:
    mutable std::mutex mutex_;
    std::deque<double> samples_;
    std::size_t count_ = 0;
    std::string end_reason_;
};

struct Options {
    std::string url;
    /// 0: run until the window is closed.
    int seconds = 0;
    std::string screenshot;
};

std::optional<Options> read(int argc, char **argv)
{
    Options options;
    for (int at = 1; at < argc; at++) {
        const std::string_view argument = argv[at];
        if (argument == "--seconds" && at + 1 < argc)
            options.seconds = std::atoi(argv[++at]);
        else if (argument == "--screenshot" && at + 1 < argc)
            options.screenshot = argv[++at];
        else if (options.url.empty())
            options.url = argument;
        else
            return std::nullopt;
    }
    if (options.url.empty())
        return std::nullopt;
    return options;
}

bool save(SDL_Renderer *renderer, const std::string &file)
{
    SDL_Surface *picture =
        SDL_CreateRGBSurfaceWithFormat(0, graph::width, graph::height, 32, SDL_PIXELFORMAT_ARGB8888);
    const bool saved = picture &&
                       SDL_RenderReadPixels(renderer, nullptr, picture->format->format, picture->pixels,
                                            picture->pitch) == 0 &&
                       SDL_SaveBMP(picture, file.c_str()) == 0;
    SDL_FreeSurface(picture);
    return saved;
}

const char *name_of(framewire::State state)
{
    switch (state) {
    case framewire::State::connecting:
        return "connecting";
    case framewire::State::open:
        return "open";
    case framewire::State::closing:
        return "closing";
    default:
        return "closed";
    }
}

/// Sends an update and draws in each frame, until the window is closed or the time has elapsed.
class Program {
public:
    Program(Options options, SDL_Renderer *renderer, framewire::Socket socket)
        : options_(std::move(options)), renderer_(renderer), graph_(renderer), socket_(std::move(socket))
    {
        if (framewire::has_capability(framewire::Capability::worker_dispatch))
            socket_.set_dispatch(framewire::Dispatch::worker);
        if (framewire::has_capability(framewire::Capability::ping)) {
            socket_.set_start_ping_thread(true);
            socket_.set_ping_frequency(std::chrono::milliseconds(250));
        }
        socket_.on_binary([this](framewire::SocketRef, framewire::Bytes data) { link_.received(data); });
        socket_.on_error([this](framewire::SocketRef, const framewire::ConnectionError &error) {
            link_.ended(std::string(error.message));
        });
        socket_.on_closed([this](framewire::SocketRef, std::uint16_t code, std::string_view) {
            link_.ended("closed by the server, code " + std::to_string(code));
        });
        socket_.open();
    }

    /// Runs one frame. Returns whether another follows.
    bool frame()
    {
        bool running = true;
        for (SDL_Event event; SDL_PollEvent(&event);)
            running = running && event.type != SDL_QUIT;

        framewire::poll(); // Runs the callbacks in browsers; nothing is queued in worker mode.
        if (socket_.is_open()) {
            const Update update{now_ns(), {1, 2, 3}, frame_};
            std::array<std::uint8_t, sizeof update> bytes;
            std::memcpy(bytes.data(), &update, sizeof update);
            socket_.send_binary(bytes);
        } else if (socket_.state() == framewire::State::closed && Clock::now() > reopen_) {
            socket_.open(); // Reopens the same socket, at most once per second.
            reopen_ = Clock::now() + std::chrono::seconds(1);
        }

        const auto latency = socket_.latency();
        const std::string end_reason = socket_.is_open() ? "" : link_.end_reason();
        graph_.draw(
            link_.samples(), link_.count(), latency ? static_cast<double>(latency->count()) : -1,
            {"Framewire latency",
             end_reason.empty() ? socket_.url() + "   round trip of 60 messages a second" : end_reason,
             name_of(socket_.state())});
        if (options_.seconds > 0 && Clock::now() - start_ > std::chrono::seconds(options_.seconds)) {
            running = false;
            if (!options_.screenshot.empty() && !save(renderer_, options_.screenshot)) {
                std::fprintf(stderr, "%s: %s\n", options_.screenshot.c_str(), SDL_GetError());
                failed_ = true;
            }
        }
        SDL_RenderPresent(renderer_);
        frame_++;
        return running;
    }

    /// Sleeps until the next frame is due, 60 times per second.
    void wait() const
    {
        const Clock::time_point due = start_ + frame_ * std::chrono::nanoseconds(1'000'000'000 / 60);
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(due - Clock::now());
        if (left.count() > 0)
            SDL_Delay(static_cast<std::uint32_t>(left.count()));
    }

    /// Returns the exit code.
    int end()
    {
        socket_.destroy();
        // No callback runs after this, so the captured variables may be destroyed.
        const bool ended = static_cast<bool>(framewire::shutdown(std::chrono::seconds(2)));
        std::printf("%zu messages received\n", link_.count());
        return ended && !failed_ && link_.count() > 0 ? 0 : 1;
    }

private:
    Options options_;
    SDL_Renderer *renderer_;
    graph::Graph graph_;
    Link link_;
    framewire::Socket socket_;
    Clock::time_point start_ = Clock::now();
    Clock::time_point reopen_ = start_ + std::chrono::seconds(1);
    std::uint32_t frame_ = 0;
    bool failed_ = false;
};

#ifdef __EMSCRIPTEN__
void run_frame(void *pointer)
{
    Program &program = *static_cast<Program *>(pointer);
    if (!program.frame()) {
        emscripten_cancel_main_loop();
        emscripten_force_exit(program.end());
    }
}
#endif

int run(const Options &options, SDL_Renderer *renderer)
{
    framewire::Result<framewire::Socket> created = framewire::Socket::create(options.url);
    if (!created) {
        std::fprintf(stderr, "%s: %s\n", options.url.c_str(), created.error().message.c_str());
        return 2;
    }
#ifdef __EMSCRIPTEN__
    // The browser calls each frame after `main` has ended, so the program is never destroyed.
    emscripten_set_main_loop_arg(run_frame, new Program(options, renderer, *std::move(created)), 0, 1);
    return 0;
#else
    Program program(options, renderer, *std::move(created));
    while (program.frame())
        program.wait();
    return program.end();
#endif
}

} // namespace

int main(int argc, char **argv)
{
    const std::optional<Options> options = read(argc, argv);
    if (!options) {
        std::fprintf(stderr, "usage: %s URL [--seconds N] [--screenshot FILE.bmp]\n", argv[0]);
        return 2;
    }
    SDL_Window *window = nullptr;
    SDL_Renderer *renderer = nullptr;
    if (SDL_Init(SDL_INIT_VIDEO) != 0 ||
        SDL_CreateWindowAndRenderer(graph::width, graph::height, 0, &window, &renderer) != 0) {
        std::fprintf(stderr, "could not create the window: %s\n", SDL_GetError());
        return 1;
    }
    SDL_SetWindowTitle(window, "Framewire latency");
    const int result = run(*options, renderer);
    SDL_DestroyRenderer(renderer);
    SDL_DestroyWindow(window);
    SDL_Quit();
    return result;
}
