/* Echoes against any server: text, empty, small and large binary, then a close with a reason. */

#include "check.h"

static int opened, closed, failed;
static size_t texts, binaries, bytes;
static uint16_t code;

static void on_open(fw_socket s, void *u)
{
    (void)s;
    (void)u;
    opened = 1;
}

static void on_text(fw_socket s, const char *text, size_t len, void *u)
{
    (void)s;
    (void)u;
    texts += len == 13 && memcmp(text, "gr\xc3\xbc\xc3\x9f dich!!!", 13) == 0;
}

static void on_binary(fw_socket s, const uint8_t *data, size_t len, void *u)
{
    size_t i, wrong = 0;
    (void)s;
    (void)u;
    for (i = 0; i < len; i++)
        wrong += data[i] != (uint8_t)(i * 31 + i / 256);
    CHECK(wrong == 0);
    binaries++;
    bytes += len;
}

static void on_closed(fw_socket s, uint16_t c, const char *reason, size_t len, void *u)
{
    (void)s;
    (void)reason;
    (void)len;
    (void)u;
    code = c;
    closed = 1;
}

static void on_error(fw_socket s, const fw_error *error, void *u)
{
    (void)s;
    (void)u;
    printf("error: %s\n", error->message);
    failed = 1;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {0, 1, 125, 126, 70000, 3000000};
    static uint8_t data[3000000];
    char extensions[256];
    fw_socket socket;
    size_t i, total = 0;

    if (argc < 2)
        return 2;
    for (i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 + i / 256);
    OK(fw_socket_create(argv[1], &socket));
    if (argc > 2)
        OK(fw_socket_set_tls(socket, check_tls(argv[2])));
    OK(fw_socket_on_open(socket, on_open, NULL));
    OK(fw_socket_on_text(socket, on_text, NULL));
    OK(fw_socket_on_binary(socket, on_binary, NULL));
    OK(fw_socket_on_closed(socket, on_closed, NULL));
    OK(fw_socket_on_error(socket, on_error, NULL));
    OK(fw_socket_open(socket));
    POLL_UNTIL(opened || failed);
    for (i = 0; i < 6; i++) {
        OK(fw_socket_send_text(socket, "gr\xc3\xbc\xc3\x9f dich!!!", 13));
        OK(fw_socket_send_binary(socket, data, sizes[i]));
        total += sizes[i];
    }
    POLL_UNTIL(binaries == 6 || failed);
    CHECK(texts == 6 && bytes == total);
    fw_socket_extensions(socket, extensions, sizeof extensions);
    printf("extensions: %s\n", extensions);
    OK(fw_socket_close(socket, 3333, "done"));
    POLL_UNTIL(closed || failed);
    CHECK(!failed && code == 3333);
    OK(fw_socket_destroy(socket));
    OK(fw_shutdown(5000));
    return check_report();
}
