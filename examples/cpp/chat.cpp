// A chat in the terminal: sends what you type, and prints what everyone says.
//
//     chat "ws://127.0.0.1:9001/chat?name=ana"              sends the lines of the standard input
//     chat "ws://127.0.0.1:9001/chat?name=bo" hello bye     sends these lines, and leaves
//
// Callbacks run on a worker thread (Dispatch::worker), because the main thread blocks while it reads a line.

#include <framewire.hpp>

#include <condition_variable>
#include <iostream>
#include <mutex>
#include <string>

namespace {

enum class Status { connecting, open, left, failed };

// What the callbacks share with the main thread.
class Chat {
public:
    void set(Status status)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        status_ = status;
        changed_.notify_all();
    }
    void print(std::string_view line)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::cout << line << std::endl;
        received_++;
    }
    Status wait_while(Status unchanged)
    {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [&] { return status_ != unchanged; });
        return status_;
    }
    bool is_open()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return status_ == Status::open;
    }
    int received()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return received_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    Status status_ = Status::connecting;
    int received_ = 0;
};

} // namespace

int main(int argc, char **argv)
{
    auto created = framewire::Socket::create(argc > 1 ? argv[1] : "");
    if (!created) {
        std::cerr << created.error().message << "\nusage: " << argv[0] << " URL [LINE...]\n";
        return 2;
    }
    framewire::Socket socket = *std::move(created);
    Chat chat;
    socket.on_open([&](framewire::SocketRef) { chat.set(Status::open); });
    socket.on_text([&](framewire::SocketRef, std::string_view text) { chat.print(text); });
    socket.on_closed([&](framewire::SocketRef, std::uint16_t code, std::string_view) {
        chat.set(code == 1000 ? Status::left : Status::failed);
    });
    socket.on_error([&](framewire::SocketRef, const framewire::ConnectionError &error) {
        std::cerr << error.message << std::endl;
        chat.set(Status::failed);
    });
    socket.set_dispatch(framewire::Dispatch::worker); // before open
    socket.open();
    chat.wait_while(Status::connecting);

    int sent = 0;
    auto say = [&](std::string_view line) { sent += socket.send_text(line) ? 1 : 0; };
    if (argc > 2) {
        for (int at = 2; at < argc; at++)
            say(argv[at]);
    } else {
        for (std::string line; chat.is_open() && std::getline(std::cin, line);)
            say(line);
    }
    socket.close(1000, "left"); // after everything that was sent
    const Status end = chat.wait_while(Status::open);
    // Joins the worker threads, so that no callback uses `chat` any more.
    framewire::shutdown(std::chrono::seconds(2));
    // The server sends one's own lines back, too.
    return end == Status::left && chat.received() >= sent ? 0 : 1;
}
