/* Segments: taken, kept, given away, and released once each. */

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
    /* The library's own hold is not the caller's to release. */
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

int main(int argc, char **argv)
{
    char url[256];
    fw_socket socket;
    fw_segment a, b, made_up;
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

    memset(&made_up, 0, sizeof made_up);
    CHECK_RESULT(fw_segment_release(made_up), FW_RESULT_INVALID_HANDLE);
    made_up.buffer.id = 0x123456789;
    CHECK_RESULT(fw_segment_retain(made_up), FW_RESULT_INVALID_HANDLE);

    /* Fifty small messages that share a block: each is held, and released, on its own. */
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

    /* Handed over whatever the result: this socket is closed. */
    CHECK_RESULT(fw_socket_send_binary_segment(socket, kept[1]), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_segment_release(kept[1]), FW_RESULT_INVALID_HANDLE);
    OK(fw_buffer_get(10, &b));
    b.count = 1 << 30;
    CHECK_RESULT(fw_socket_send_binary_segment(socket, b), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_segment_release(b), FW_RESULT_INVALID_HANDLE);
    for (i = 2; i < KEPT; i++)
        OK(fw_segment_release(kept[i]));
    OK(fw_socket_destroy(socket));

    /* A received segment goes back out, and a shortened one of our own. */
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
    OK(fw_shutdown(5000));
    fw_buffer_pool_trim();
    fw_buffer_pool_stats(&stats);
    CHECK(stats.leases == 0 && stats.bytes_free == 0);
    return check_report();
}
