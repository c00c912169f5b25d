/*
 * Echo test in C: messages come back in order and unchanged, then the client closes.
 *
 *     echo_c ws://127.0.0.1:9001/
 */

#include <framewire.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition);                    \
            exit(EXIT_FAILURE);                                                                              \
        }                                                                                                    \
    } while (0)

enum { NUMBERED = 10000, LARGE = 100000 };

struct test {
    int texts;
    int binaries;
    int closed;
    int finalized;
};

static void on_open(fw_socket socket, void *user_data)
{
    fw_segment segment;
    int number;

    (void)user_data;
    CHECK(fw_socket_is_open(socket));
    for (number = 0; number < NUMBERED; number++) {
        char text[16];
        int length = snprintf(text, sizeof text, "%d", number);
        CHECK(fw_socket_send_text(socket, text, (size_t)length) == FW_RESULT_OK);
    }
    CHECK(fw_socket_send_binary(socket, NULL, 0) == FW_RESULT_OK);
    CHECK(fw_buffer_get(LARGE, &segment) == FW_RESULT_OK);
    memset(segment.data + segment.offset, 7, segment.count);
    CHECK(fw_socket_send_binary_segment(socket, segment) == FW_RESULT_OK);
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    struct test *test = user_data;
    char expected[16];
    int length = snprintf(expected, sizeof expected, "%d", test->texts);

    (void)socket;
    CHECK(len == (size_t)length && memcmp(text, expected, len) == 0);
    test->texts++;
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    struct test *test = user_data;

    CHECK(test->texts == NUMBERED);
    if (test->binaries++ == 0) {
        CHECK(len == 0);
        return;
    }
    CHECK(len == LARGE && data[0] == 7 && data[LARGE - 1] == 7);
    CHECK(fw_socket_close(socket, 4000, "done") == FW_RESULT_OK);
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    struct test *test = user_data;

    (void)socket;
    CHECK(code == 4000);
    CHECK(len == 4 && strcmp(reason, "done") == 0);
    test->closed++;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket;
    (void)user_data;
    fprintf(stderr, "%s\n", error->message);
    exit(EXIT_FAILURE);
}

static void on_finalized(void *user_data)
{
    struct test *test = user_data;
    test->finalized++;
}

int main(int argc, char **argv)
{
    struct test test = {0, 0, 0, 0};
    fw_socket socket;
    const time_t end = time(NULL) + 60;

    CHECK(argc > 1);
    CHECK(fw_version() == FW_VERSION);
    CHECK(fw_socket_create(argv[1], &socket) == FW_RESULT_OK);
    CHECK(fw_socket_on_open(socket, on_open, &test) == FW_RESULT_OK);
    CHECK(fw_socket_on_text(socket, on_text, &test) == FW_RESULT_OK);
    CHECK(fw_socket_on_binary(socket, on_binary, &test) == FW_RESULT_OK);
    CHECK(fw_socket_on_closed(socket, on_closed, &test) == FW_RESULT_OK);
    CHECK(fw_socket_on_error(socket, on_error, &test) == FW_RESULT_OK);
    CHECK(fw_socket_set_finalizer(socket, on_finalized, &test) == FW_RESULT_OK);
    CHECK(fw_socket_open(socket) == FW_RESULT_OK);
    while (!test.closed && time(NULL) < end) {
        fw_wait(10);
        fw_poll(0, 0);
    }
    CHECK(test.texts == NUMBERED && test.binaries == 2 && test.closed == 1);
    CHECK(fw_socket_destroy(socket) == FW_RESULT_OK);
    CHECK(fw_shutdown(5000) == FW_RESULT_OK);
    CHECK(test.finalized == 1);
    printf("%d texts, %d binaries: ok\n", test.texts, test.binaries);
    return 0;
}
