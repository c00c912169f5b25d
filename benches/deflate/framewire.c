/* Framewire, with callbacks on the worker thread.
 *
 *     framewire URL receive|send COUNT MESSAGES-FILE
 *
 * Prints the time from the open event to the last message and the CPU time, in seconds. */

#include "bench.h"
#include "framewire.h"

#include <stdatomic.h>

static struct messages messages;
static struct clock_pair begun;
static long count;
static atomic_long received;
static atomic_int state; /* 1: open, 2: done, 3: failed */

static void on_open(fw_socket socket, void *user)
{
    (void)socket, (void)user;
    begun = read_clocks();
    state = 1;
}

static void on_receive(fw_socket socket, const char *text, size_t len, void *user)
{
    (void)socket, (void)user;
    if (len != messages.size || text[0] != '{')
        state = 3;
    if (atomic_fetch_add_explicit(&received, 1, memory_order_relaxed) + 1 == count)
        state = 2;
}

static void on_reply(fw_socket socket, const char *text, size_t len, void *user)
{
    (void)socket, (void)user;
    fprintf(stderr, "%.*s bytes\n", (int)len, text);
    state = 2;
}

static void on_error(fw_socket socket, const fw_error *error, void *user)
{
    (void)socket, (void)user;
    fprintf(stderr, "%s\n", error->message);
    state = 3;
}

static void wait_for(int target)
{
    while (state < target)
        pause_us(100);
    if (state == 3)
        exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    fw_compression compression;
    fw_socket socket;
    int sends;

    if (argc != 5)
        return 2;
    sends = strcmp(argv[2], "send") == 0;
    count = strtol(argv[3], NULL, 10);
    messages = read_messages(argv[4]);

    if (fw_socket_create(argv[1], &socket) != FW_RESULT_OK)
        return EXIT_FAILURE;
    fw_compression_init(&compression, sizeof compression);
    fw_socket_set_compression(socket, &compression);
    fw_socket_set_dispatch(socket, FW_DISPATCH_WORKER);
    fw_socket_set_max_buffered_amount(socket, 1 << 20);
    fw_socket_on_open(socket, on_open, NULL);
    fw_socket_on_text(socket, sends ? on_reply : on_receive, NULL);
    fw_socket_on_error(socket, on_error, NULL);
    fw_socket_open(socket);
    wait_for(1);
    for (long n = 0; sends && n < count;) {
        fw_result result = fw_socket_send_text(socket, messages.at[n % messages.count], messages.size);
        if (result == FW_RESULT_OK)
            n++;
        else if (result == FW_RESULT_WOULD_BLOCK)
            pause_us(200);
        else
            return EXIT_FAILURE;
    }
    wait_for(2);
    print_since(begun);
    fw_shutdown(1000);
    return EXIT_SUCCESS;
}
