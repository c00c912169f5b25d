#include "framewire_coroutines.hpp"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

// Blocks use the socket as a value or as the result of `create`.
struct UsualSocket : framewire::AsyncSocket {
    UsualSocket *operator->() { return this; }
    framewire::AsyncSocket &operator*() { return *this; }
};

extern UsualSocket socket;
extern std::string_view text;
extern framewire::Bytes data;
extern std::size_t size;

// What a game does with a text.
void show(std::string_view text);
