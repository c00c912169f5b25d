/* A program for iOS that is linked to check the static library. It is not run. */

#include "framewire.h"

int main(void)
{
    return fw_version() == FW_VERSION ? 0 : 1;
}
