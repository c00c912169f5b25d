// An exception that leaves a callback reaches std::terminate and nobody else: passes if it does.

#include "check.hpp"

#include <exception>
#include <stdexcept>

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    std::set_terminate([] {
        std::puts("terminated: good");
        std::fflush(stdout);
        std::_Exit(EXIT_SUCCESS);
    });
    framewire::Socket socket = must(framewire::Socket::create(argv[1]));
    must(socket.on_open([](framewire::SocketRef) { throw std::runtime_error("nobody catches this"); }));
    must(socket.open());
    try {
        poll_until("the end", [] { return false; });
    } catch (const std::runtime_error &) {
        std::fputs("the exception went through the library\n", stderr);
    }
    return EXIT_FAILURE;
}
