/* Uses two static libraries written in Rust in one program. */

#include "framewire.h"

extern unsigned char framewire_godot_init(void *get, void *library, void *initialization);

int main(void)
{
    void *volatile other = (void *)framewire_godot_init;
    return fw_version() == FW_VERSION && other ? 0 : 1;
}
