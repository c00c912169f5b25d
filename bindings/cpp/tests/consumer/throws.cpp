// Passes if an exception that leaves a callback calls std::terminate.

#include "check.hpp"

#include <exception>
#include <stdexcept>

int main(int argc, char **argv)
{
    CHECK(argc > 1);
    std::set_terminate([] {
        std::puts("terminated: ok");
        std::fflush(stdout);
        std::_Exit(EXIT_SUCCESS);
    });
    framewire::Socket socket = must(framewire::Socket::create(argv[1]));
    must(socket.on_open([](framewire::SocketRef) { throw std::runtime_error("not caught"); }));
    must(socket.open());
    try {
        poll_until("the end", [] { return false; });
    } catch (const std::runtime_error &) {
        std::fputs("the exception passed through the library\n", stderr);
    }
    return EXIT_FAILURE;
}
