/* Segments: get, retain, send, and release exactly once. */

#include "check.h"

#define KEPT 50

static fw_segment kept[KEPT];
static int count, opened, closed;

static void on_open(fw_socket socket, void *user_data)
{
    (void)socket;
    (void)user_data;
    opened = 1;
}

static void on_segment(fw_socket socket, const fw_segment *segment, void *user_data)
{
    (void)socket;
    (void)user_data;
    /* The caller cannot release the library's own reference. */
    CHECK_RESULT(fw_segment_release(*segment), FW_RESULT_INVALID_HANDLE);
    if (count < KEPT) {
        OK(fw_segment_retain(*segment));
        kept[count] = *segment;
    }
    count++;
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)socket;
    (void)code;
    (void)reason;
    (void)len;
    (void)user_data;
    closed = 1;
}

/* Records the callbacks that were set in one call. */
static struct {
    atomic_int opens, closes, releases;
    char order[16];
    fw_segment text;
} seen;

static void record(char what)
{
    size_t length = strlen(seen.order);
    if (length + 1 < sizeof seen.order)
        seen.order[length] = what;
}

static void set_open(fw_socket s, void *u)
{
    CHECK(u == &seen);
    seen.opens++;
    OK(fw_socket_send_text(s, "text to keep", 12));
    OK(fw_socket_send_binary(s, "bytes", 5));
}

static void set_text(fw_socket s, const char *text, size_t len, void *u)
{
    (void)s;
    CHECK(u == &seen && len == 12 && memcmp(text, "text to keep", 12) == 0);
    record('t');
}

static void set_text_segment(fw_socket s, const fw_segment *segment, void *u)
{
    (void)s;
    CHECK(u == &seen && segment->count == 12);
    seen.text = *segment;
    OK(fw_segment_retain(*segment));
    record('T');
}

static void set_binary(fw_socket s, const uint8_t *data, size_t len, void *u)
{
    (void)s, (void)data;
    CHECK(u == &seen && len == 5);
    record('b');
}

static void set_binary_no_alloc(fw_socket s, const fw_segment *segment, void *u)
{
    CHECK(u == &seen && segment->count == 5);
    record('B');
    OK(fw_socket_close(s, 1000, NULL));
}

static void set_closed(fw_socket s, uint16_t code, const char *reason, size_t len, void *u)
{
    (void)s, (void)reason, (void)len;
    CHECK(u == &seen && code == 1000);
    seen.closes++;
}

static void set_released(void *u)
{
    CHECK(u == &seen);
    seen.releases++;
}

/* Sets every callback in one call, in both dispatch modes, and receives a text message without a copy.
 * Setting NULL removes all. */
static void all_callbacks_in_one_call(const char *url, fw_dispatch dispatch)
{
    fw_socket socket;
    fw_callbacks callbacks;

    seen.opens = seen.closes = 0;
    memset(seen.order, 0, sizeof seen.order);
    fw_callbacks_init(&callbacks, sizeof callbacks);
    callbacks.open = set_open;
    callbacks.text = set_text;
    callbacks.text_segment = set_text_segment;
    callbacks.binary = set_binary;
    callbacks.binary_no_alloc = set_binary_no_alloc;
    callbacks.closed = set_closed;
    callbacks.released = set_released;
    seen.releases = 0;
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_dispatch(socket, dispatch));
    OK(fw_socket_set_callbacks(socket, &callbacks, &seen));
    CHECK(seen.releases == 0);
    OK(fw_socket_open(socket));
    POLL_UNTIL(seen.closes == 1);
    CHECK(seen.opens == 1 && strcmp(seen.order, "tTbB") == 0);
    CHECK(memcmp(seen.text.data + seen.text.offset, "text to keep", 12) == 0);
    OK(fw_segment_release(seen.text));

    fw_callbacks_init(&callbacks, sizeof callbacks);
    OK(fw_socket_set_callbacks(socket, &callbacks, NULL));
    /* The connection has ended, so nothing uses the replaced callbacks any more. */
    POLL_UNTIL(seen.releases == 1);
    OK(fw_socket_open(socket));
    POLL_UNTIL(fw_socket_is_open(socket));
    OK(fw_socket_close(socket, 1000, NULL));
    POLL_UNTIL(fw_socket_state(socket) == FW_STATE_CLOSED && fw_pending() == 0);
    CHECK(seen.opens == 1 && seen.closes == 1);

    callbacks.released = set_released;
    OK(fw_socket_set_callbacks(socket, &callbacks, &seen));
    OK(fw_socket_set_callbacks(socket, &callbacks, &seen));
    POLL_UNTIL(seen.releases == 2);
    OK(fw_socket_destroy(socket));
    POLL_UNTIL(seen.releases == 3);
    CHECK(fw_socket_set_callbacks(socket, &callbacks, &seen) == FW_RESULT_INVALID_HANDLE);
    CHECK(seen.releases == 3);
}

int main(int argc, char **argv)
{
    char url[256];
    fw_socket socket;
    fw_segment a, b, fake;
    fw_pool_stats stats;
    int i;

    if (argc < 4)
        return 2;
    OK(fw_buffer_get(0, &a));
    OK(fw_segment_release(a));
    OK(fw_buffer_get(5000, &a));
    CHECK(a.offset >= 14 && a.count == 5000);
    OK(fw_segment_retain(a));
    OK(fw_segment_release(a));
    OK(fw_segment_release(a));
    CHECK_RESULT(fw_segment_release(a), FW_RESULT_INVALID_HANDLE);
    CHECK_RESULT(fw_segment_retain(a), FW_RESULT_INVALID_HANDLE);
    CHECK_RESULT(fw_buffer_get((size_t)-1, &a), FW_RESULT_TOO_LARGE);

    memset(&fake, 0, sizeof fake);
    CHECK_RESULT(fw_segment_release(fake), FW_RESULT_INVALID_HANDLE);
    fake.buffer.id = 0x123456789;
    CHECK_RESULT(fw_segment_retain(fake), FW_RESULT_INVALID_HANDLE);

    /* Fifty small messages that share a block: each is retained and released separately. */
    snprintf(url, sizeof url, "%scount?n=200&size=16", argv[1]);
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_on_open(socket, on_open, NULL));
    OK(fw_socket_on_binary_no_alloc(socket, on_segment, NULL));
    OK(fw_socket_on_closed(socket, on_closed, NULL));
    OK(fw_socket_open(socket));
    POLL_UNTIL(closed);
    CHECK(count == 200);
    OK(fw_segment_release(kept[0]));
    CHECK_RESULT(fw_segment_release(kept[0]), FW_RESULT_INVALID_HANDLE);
    for (i = 1; i < KEPT; i++) {
        uint64_t number;
        memcpy(&number, kept[i].data + kept[i].offset, sizeof number);
        CHECK(number == (uint64_t)i && kept[i].count == 16);
    }

    /* Consumed even on failure: this socket is closed. */
    CHECK_RESULT(fw_socket_send_binary_segment(socket, kept[1]), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_segment_release(kept[1]), FW_RESULT_INVALID_HANDLE);
    OK(fw_buffer_get(10, &b));
    b.count = 1 << 30;
    CHECK_RESULT(fw_socket_send_binary_segment(socket, b), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_segment_release(b), FW_RESULT_INVALID_HANDLE);
    for (i = 2; i < KEPT; i++)
        OK(fw_segment_release(kept[i]));
    OK(fw_socket_destroy(socket));

    /* Sends a received segment, and a shortened allocated one. */
    count = opened = 0;
    OK(fw_socket_create(argv[1], &socket));
    OK(fw_socket_on_open(socket, on_open, NULL));
    OK(fw_socket_on_binary_no_alloc(socket, on_segment, NULL));
    OK(fw_socket_open(socket));
    POLL_UNTIL(opened);
    OK(fw_buffer_get(100000, &a));
    for (i = 0; i < 100000; i++)
        a.data[a.offset + (size_t)i] = (uint8_t)i;
    a.offset += 7;
    a.count = 99000;
    OK(fw_socket_send_binary_segment(socket, a));
    POLL_UNTIL(count == 1);
    CHECK(kept[0].count == 99000 && kept[0].data[kept[0].offset] == 7);
    OK(fw_segment_retain(kept[0]));
    OK(fw_socket_send_binary_segment(socket, kept[0]));
    POLL_UNTIL(count == 2);
    CHECK(memcmp(kept[0].data + kept[0].offset, kept[1].data + kept[1].offset, 99000) == 0);
    OK(fw_segment_release(kept[0]));
    OK(fw_segment_release(kept[1]));
    OK(fw_socket_destroy(socket));
    all_callbacks_in_one_call(argv[1], FW_DISPATCH_POLL);
    all_callbacks_in_one_call(argv[1], FW_DISPATCH_WORKER);
    OK(fw_shutdown(5000));
    fw_buffer_pool_trim();
    fw_pool_stats_init(&stats, sizeof stats);
    OK(fw_buffer_pool_stats(&stats));
    CHECK(stats.leases == 0 && stats.bytes_free == 0);
    return check_report();
}
