// What the C++ tests share: a check that cannot be compiled out, and waiting with an end.

#ifndef CHECK_HPP
#define CHECK_HPP

#include "framewire.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                     \
            std::exit(EXIT_FAILURE);                                                                         \
        }                                                                                                    \
    } while (0)

/// Polls until something is so; a minute without it is a failure.
template <class Condition> void poll_until(const char *what, Condition condition)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            std::fprintf(stderr, "waited in vain: %s\n", what);
            std::exit(EXIT_FAILURE);
        }
        framewire::wait(std::chrono::milliseconds(5));
        framewire::poll();
    }
}

/// The value of a result that cannot fail unless the test is wrong.
template <class T> T must(framewire::Result<T> result)
{
    if (!result) {
        std::fprintf(stderr, "%s: %s\n", result.error().name(), result.error().message.c_str());
        std::exit(EXIT_FAILURE);
    }
    return *std::move(result);
}

inline void must(const framewire::Result<void> &result)
{
    if (!result) {
        std::fprintf(stderr, "%s: %s\n", result.error().name(), result.error().message.c_str());
        std::exit(EXIT_FAILURE);
    }
}

#endif
