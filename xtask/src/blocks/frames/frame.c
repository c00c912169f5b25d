#include "framewire.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern fw_socket socket;
extern const char *text;
extern const uint8_t *data;
extern size_t size;
