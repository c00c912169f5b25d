#include "framewire.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// Blocks use the socket as a value or as the result of `create`.
struct UsualSocket : framewire::Socket {
    UsualSocket *operator->() { return this; }
    framewire::Socket &operator*() { return *this; }
};

extern UsualSocket socket;
extern std::string_view text;
extern framewire::Bytes data;
extern std::size_t size;

// What a game does with a text.
void show(std::string_view text);
