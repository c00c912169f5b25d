// Compares the version of the library with that of the header.
#include <framewire.hpp>

#include <cstdio>

int main()
{
    std::puts(fw_version_string());
    return framewire::library_matches_header() ? 0 : 1;
}
