/* How much of the processor the client takes for a message that goes to the server and comes back.
 *
 *     throughput URL BYTES COUNT
 *
 * Prints nanoseconds of this process for each message: of all its threads, and of nothing else, so
 * that what else the machine does matters little. */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ON_THE_WAY = 64 };

static size_t bytes, count, sent, received;
static char *payload;
static int over;
static double begun, ended;

static double processor_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void send_next(fw_socket socket)
{
    if (sent < count && fw_socket_send_text(socket, payload, bytes) == FW_RESULT_OK)
        sent++;
}

static void on_open(fw_socket socket, void *user_data)
{
    (void)user_data;
    begun = processor_seconds();
    for (int i = 0; i < ON_THE_WAY; i++)
        send_next(socket);
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    (void)text;
    (void)user_data;
    if (len != bytes)
        exit(EXIT_FAILURE);
    if (++received == count) {
        ended = processor_seconds();
        fw_socket_close(socket, 1000, "");
        return;
    }
    send_next(socket);
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)socket, (void)code, (void)reason, (void)len, (void)user_data;
    over = 1;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket, (void)user_data;
    fprintf(stderr, "%s\n", error->message);
    over = 1;
}

int main(int argc, char **argv)
{
    fw_socket socket;
    if (argc != 4)
        return 2;
    bytes = strtoul(argv[2], NULL, 10);
    count = strtoul(argv[3], NULL, 10);
    payload = malloc(bytes + 1);
    if (!payload || fw_socket_create(argv[1], &socket) != FW_RESULT_OK)
        return EXIT_FAILURE;
    memset(payload, 'x', bytes);
    fw_socket_set_compression(socket, NULL);
    fw_socket_on_open(socket, on_open, NULL);
    fw_socket_on_text(socket, on_text, NULL);
    fw_socket_on_closed(socket, on_closed, NULL);
    fw_socket_on_error(socket, on_error, NULL);
    fw_socket_open(socket);
    while (!over) {
        fw_wait(1000);
        fw_poll(0, 0);
    }
    if (received != count)
        return EXIT_FAILURE;
    printf("%.1f\n", (ended - begun) * 1e9 / (double)count);
    fw_socket_destroy(socket);
    fw_shutdown(2000);
    free(payload);
    return EXIT_SUCCESS;
}
