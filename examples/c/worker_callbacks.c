/*
 * Receives callbacks on a worker thread of the library: lowest latency, but data that they share with
 * other threads needs synchronization. Measures the round trip time of 1000 messages.
 *
 *     worker_callbacks ws://127.0.0.1:9001/
 */

#include "framewire.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 1000

static atomic_int finished; /* written by the worker thread, read by main */
static int rounds;          /* used by callbacks only, which run one at a time */
static double start;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void on_open(fw_socket socket, void *user_data)
{
    (void)user_data;
    start = seconds();
    fw_socket_send_binary(socket, &rounds, sizeof rounds);
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)data;
    (void)len;
    (void)user_data;
    if (++rounds < ROUNDS) {
        fw_socket_send_binary(socket, &rounds, sizeof rounds);
        return;
    }
    printf("%d round trips, %.1f us each\n", rounds, (seconds() - start) / rounds * 1e6);
    fw_socket_close(socket, 1000, "done");
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)socket;
    (void)user_data;
    printf("closed: %d %.*s\n", code, (int)len, reason);
    finished = 1;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket;
    (void)user_data;
    printf("error: %s\n", error->message);
    finished = 2;
}

int main(int argc, char **argv)
{
    const struct timespec moment = {0, 1000000};
    fw_socket socket;

    if (argc < 2 || fw_socket_create(argv[1], &socket) != FW_RESULT_OK) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    fw_socket_set_dispatch(socket, FW_DISPATCH_WORKER); /* before fw_socket_open */
    fw_socket_on_open(socket, on_open, NULL);
    fw_socket_on_binary(socket, on_binary, NULL);
    fw_socket_on_closed(socket, on_closed, NULL);
    fw_socket_on_error(socket, on_error, NULL);
    fw_socket_open(socket);
    while (!finished)
        nanosleep(&moment, NULL); /* the main thread does not have to poll */
    fw_socket_destroy(socket);
    fw_shutdown(2000);
    return finished == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
