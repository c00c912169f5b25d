/* Counts every heap allocation of the process: none per message in steady state, in poll, worker and pull
 * mode, in both directions, from 16 bytes to 32 KiB. */

#include "check.h"

#include <malloc.h>
#include <stdatomic.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static atomic_long allocations;

void *malloc(size_t size)
{
    allocations++;
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size)
{
    allocations++;
    return __libc_calloc(count, size);
}
void *realloc(void *ptr, size_t size)
{
    allocations++;
    return __libc_realloc(ptr, size);
}
void *aligned_alloc(size_t align, size_t size)
{
    allocations++;
    return __libc_memalign(align, size);
}
void *memalign(size_t align, size_t size)
{
    allocations++;
    return __libc_memalign(align, size);
}
void free(void *ptr)
{
    __libc_free(ptr);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    allocations++;
    *out = __libc_memalign(align, size);
    return *out ? 0 : 12;
}

enum mode { POLL, WORKER, PULL };

static atomic_int opened, echoes;

static void on_open(fw_socket socket, void *user_data)
{
    (void)socket;
    (void)user_data;
    opened = 1;
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    (void)socket;
    (void)text;
    (void)len;
    (void)user_data;
    echoes++;
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)socket;
    (void)data;
    (void)len;
    (void)user_data;
    echoes++;
}

/* Takes the queued events, as the mode requires. */
static void drain(enum mode mode)
{
    fw_event event;
    if (mode == POLL)
        fw_poll(0, 0);
    while (mode == PULL && fw_next_event(&event)) {
        opened |= event.type == FW_EVENT_OPEN;
        echoes += event.type == FW_EVENT_TEXT || event.type == FW_EVENT_BINARY;
        fw_event_release(&event);
    }
}

/* Sends and receives `count` messages, eight in flight at a time. */
static void exchange(fw_socket socket, enum mode mode, size_t size, int count)
{
    static char bytes[32 * 1024];
    int sent = 0;
    double start = check_seconds();

    memset(bytes, 'x', sizeof bytes);
    echoes = 0;
    while (echoes < count && check_seconds() - start < 60) {
        if (sent < count && sent - echoes < 8) {
            fw_result result;
            if (sent % 3 == 2) {
                fw_segment segment;
                result = fw_buffer_get(size, &segment);
                if (result == FW_RESULT_OK) {
                    memset(segment.data + segment.offset, 'y', size);
                    result = fw_socket_send_binary_segment(socket, segment);
                }
            } else if (sent % 3) {
                result = fw_socket_send_text(socket, bytes, size);
            } else {
                result = fw_socket_send_binary(socket, bytes, size);
            }
            if (result != FW_RESULT_OK)
                break;
            sent++;
        } else {
            drain(mode);
        }
    }
    if (echoes != count)
        printf("%d of %d echoes\n", (int)echoes, count);
    CHECK(echoes == count);
}

static void measure(const char *url, enum mode mode)
{
    static const char *const names[] = {"poll", "worker", "pull"};
    static const size_t sizes[] = {16, 128, 1024, 4096, 32 * 1024};
    fw_socket socket;
    size_t i;
    double start = check_seconds();

    opened = 0;
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_dispatch(socket, mode == WORKER ? FW_DISPATCH_WORKER : FW_DISPATCH_POLL));
    if (mode != PULL) {
        OK(fw_socket_on_open(socket, on_open, NULL));
        OK(fw_socket_on_text(socket, on_text, NULL));
        OK(fw_socket_on_binary(socket, on_binary, NULL));
    }
    OK(fw_socket_open(socket));
    while (!opened && check_seconds() - start < 30)
        drain(mode);
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        long before, during;
        int round;
        exchange(socket, mode, sizes[i], 3000);
        /* A queue may still grow when more messages are in flight than ever before. That stops, unlike
           an allocation per message or per hundred messages. */
        for (round = 0, during = 1; round < 5 && during != 0; round++) {
            before = allocations;
            exchange(socket, mode, sizes[i], 3000);
            during = allocations - before;
            CHECK(during < 5);
        }
        printf("%-6s %6zu bytes: %ld allocations in 3000 messages each way\n", names[mode], sizes[i], during);
        CHECK(during == 0);
    }
    OK(fw_socket_destroy(socket));
}

int main(int argc, char **argv)
{
    fw_socket socket;
    long before;

    if (argc < 2)
        return 2;
    /* The counter counts the library's allocations too. */
    before = allocations;
    OK(fw_socket_create(argv[1], &socket));
    CHECK(allocations > before);
    OK(fw_socket_destroy(socket));
    measure(argv[1], POLL);
    measure(argv[1], WORKER);
    measure(argv[1], PULL);
    OK(fw_shutdown(5000));
    return check_report();
}
