// Compiles the headers beside macros that platforms and engines define. Not linked.

// The headers include these. Macros with the names of functions would break them too.
#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>
#include <version>
#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)
#include <coroutine>
#endif

// windows.h
#define min(a, b) (((a) < (b)) ? (a) : (b))
#define max(a, b) (((a) > (b)) ? (a) : (b))
#define small char
#define hyper long long
#define interface struct
#define near
#define far
#define pascal
#define cdecl
#define IN
#define OUT
#define OPTIONAL
#define ERROR 0
#define NO_ERROR 0
#define CONST const
#define VOID void
#define TEXT(text) L##text
#define DELETE 0x10000
#define THIS this
#define STRICT 1
#define SendMessage SendMessageW
#define GetMessage GetMessageW
#define PostMessage PostMessageW
#define GetObject GetObjectW
#define CreateEvent CreateEventW
#define CreateFile CreateFileW
#define Yield()

// Unreal Engine, and AssertMacros.h of Apple
#define check(expression) __builtin_trap()
#define checkf(expression, ...) __builtin_trap()
#define verify(expression) __builtin_trap()
#define require(expression, label) __builtin_trap()
#define ensure(expression) __builtin_trap()
#define unimplemented() __builtin_trap()
#define dsqrt(number) __builtin_trap()
#define PI 3
#define FORCEINLINE inline
#define INDEX_NONE -1
#define UPROPERTY(...)
#define UFUNCTION(...)

// X11
#define None 0L
#define Always 2
#define Bool int
#define Status int
#define Success 0
#define True 1
#define False 0

// Qt
#define emit
#define signals public
#define slots
#define foreach(variable, container) for (variable : container)
#define forever for (;;)

// As on 32-bit Windows, where callbacks with another calling convention do not compile.
#if defined(__x86_64__)
#define FW_CALL __attribute__((ms_abi))
#endif

#include "framewire.hpp"
#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)
#include "framewire_coroutines.hpp"
#endif

namespace {

class Nothing : public framewire::Extension {
public:
    Nothing() : Extension(0) {}
    std::string add_negotiation() override { return {}; }
};

} // namespace

/// Uses what a compiler checks only where it is used.
void use(framewire::Socket &socket, framewire::Buffer &buffer)
{
    socket.on_text([](framewire::SocketRef self, std::string_view text) { self.send_text(text); });
    socket.on_finalized([] {});
    socket.set_connect_timeout(std::chrono::seconds(1));
    socket.add_extension(std::make_unique<Nothing>());
    socket.response_header("Date");
    framewire::poll(0, std::chrono::milliseconds(1));
    framewire::set_log(framewire::LogLevel::off, nullptr);
    buffer.shrink(1);
}
