// Helpers of the C++ tests: checks that NDEBUG does not remove, and waiting with a timeout.

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
            std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition);               \
            std::exit(EXIT_FAILURE);                                                                         \
        }                                                                                                    \
    } while (0)

/// Polls until the condition is true; fails after one minute.
template <class Condition> void poll_until(const char *what, Condition condition)
{
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) {
            std::fprintf(stderr, "timed out: %s\n", what);
            std::exit(EXIT_FAILURE);
        }
        framewire::wait(std::chrono::milliseconds(5));
        framewire::poll();
    }
}

/// Returns the value of a result, or fails the test.
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
