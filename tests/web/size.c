/* Measures what the library adds to a page: built with and without FRAMEWIRE. Sends and receives text and binary
 * messages. */

#include <emscripten.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef FRAMEWIRE
#include "framewire.h"

static void on_open(fw_socket socket, void *user_data)
{
    (void)user_data;
    fw_socket_send_text(socket, "hello", 5);
    fw_socket_send_binary(socket, (const uint8_t *)"hello", 5);
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    (void)socket, (void)user_data;
    printf("%.*s\n", (int)len, text);
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)user_data;
    printf("%zu %d\n", len, data[0]);
    fw_socket_close(socket, 1000, "");
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)user_data;
    printf("%d %.*s\n", code, (int)len, reason);
    fw_socket_destroy(socket);
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket, (void)user_data;
    printf("%s\n", error->message);
}
#endif

static void frame(void)
{
#ifdef FRAMEWIRE
    fw_poll(0, 1000);
#else
    free(malloc(1));
#endif
}

int main(int argc, char **argv)
{
    printf("%d %s\n", argc, argv[0]);
#ifdef FRAMEWIRE
    fw_socket socket;
    if (fw_socket_create(argv[1], &socket) != FW_RESULT_OK)
        return 1;
    fw_socket_on_open(socket, on_open, NULL);
    fw_socket_on_text(socket, on_text, NULL);
    fw_socket_on_binary(socket, on_binary, NULL);
    fw_socket_on_closed(socket, on_closed, NULL);
    fw_socket_on_error(socket, on_error, NULL);
    fw_socket_open(socket);
#endif
    emscripten_set_main_loop(frame, 0, 1);
}
