/*
 * A chat in the terminal: sends what you type, and prints what everyone says.
 *
 *     chat "ws://127.0.0.1:9001/chat?name=ana"              sends the lines of the standard input
 *     chat "ws://127.0.0.1:9001/chat?name=bo" hello bye     sends these lines, and leaves
 *
 * Callbacks run on a worker thread (FW_DISPATCH_WORKER), because the main thread blocks while it reads a line.
 */

#include "framewire.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CONNECTING, OPEN, LEFT, FAILED };

static atomic_int status = CONNECTING; /* written by callbacks, read by main */

static void on_open(fw_socket socket, void *user_data)
{
    (void)socket, (void)user_data;
    status = OPEN;
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    (void)socket;
    ++*(atomic_size_t *)user_data;
    printf("%.*s\n", (int)len, text);
    fflush(stdout);
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)socket, (void)reason, (void)len, (void)user_data;
    status = code == 1000 ? LEFT : FAILED;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket, (void)user_data;
    fprintf(stderr, "%s\n", error->message);
    status = FAILED;
}

static void wait_while(int unchanged)
{
    const struct timespec moment = {0, 5000000};
    while (status == unchanged)
        nanosleep(&moment, NULL);
}

/* Returns the next line to send, or NULL at the end. */
static const char *next_line(char ***lines)
{
    static char typed[1024];
    if (*lines)
        return *(*lines)++;
    if (!fgets(typed, sizeof typed, stdin))
        return NULL;
    typed[strcspn(typed, "\r\n")] = 0;
    return typed;
}

int main(int argc, char **argv)
{
    char **lines = argc > 2 ? argv + 2 : NULL;
    static atomic_size_t received;
    size_t sent = 0;
    const char *line;
    fw_callbacks callbacks;
    fw_socket socket;

    if (argc < 2 || fw_socket_create(argv[1], &socket) != FW_RESULT_OK) {
        fprintf(stderr, "usage: %s URL [LINE...]\n", argv[0]);
        return 2;
    }
    fw_callbacks_init(&callbacks, sizeof callbacks);
    callbacks.open = on_open;
    callbacks.text = on_text;
    callbacks.closed = on_closed;
    callbacks.error = on_error;
    fw_socket_set_callbacks(socket, &callbacks, &received);
    fw_socket_set_dispatch(socket, FW_DISPATCH_WORKER); /* before fw_socket_open */
    fw_socket_open(socket);
    wait_while(CONNECTING);
    while (status == OPEN && (line = next_line(&lines)))
        if (fw_socket_send_text(socket, line, strlen(line)) == FW_RESULT_OK)
            sent++;
    fw_socket_close(socket, 1000, "left"); /* after everything that was sent */
    wait_while(OPEN);
    fw_socket_destroy(socket);
    fw_shutdown(2000);
    /* The server sends one's own lines back, too. */
    return status == LEFT && received >= sent ? EXIT_SUCCESS : EXIT_FAILURE;
}
