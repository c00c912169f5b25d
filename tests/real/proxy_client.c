/* Connects through a real proxy: echoes, or is refused with the expected status. The proxy comes from the
 * setting or else from the environment.
 * proxy_client <url> <proxy, "-" for the environment> <status, "echo" for a tunnel> [CA] */

#include "check.h"

static int opened, closed, failed;
static size_t bytes;
static fw_error last;

static void on_open(fw_socket s, void *u)
{
    (void)s;
    (void)u;
    opened = 1;
}

static void on_binary(fw_socket s, const uint8_t *data, size_t len, void *u)
{
    (void)s;
    (void)u;
    CHECK(len > 0 && data[0] == 7 && data[len - 1] == 7);
    bytes += len;
}

static void on_closed(fw_socket s, uint16_t code, const char *reason, size_t len, void *u)
{
    (void)s;
    (void)reason;
    (void)len;
    (void)u;
    closed = code;
}

static void on_error(fw_socket s, const fw_error *error, void *u)
{
    (void)s;
    (void)u;
    printf("%s\n", error->message);
    last = *error;
    failed = 1;
}

int main(int argc, char **argv)
{
    static uint8_t data[1000000];
    fw_socket socket;

    if (argc < 4)
        return 2;
    memset(data, 7, sizeof data);
    OK(fw_socket_create(argv[1], &socket));
    if (strcmp(argv[2], "-") != 0)
        OK(fw_socket_set_proxy(socket, argv[2]));
    if (argc > 4)
        OK(fw_socket_set_tls(socket, check_tls(argv[4])));
    OK(fw_socket_on_open(socket, on_open, NULL));
    OK(fw_socket_on_binary(socket, on_binary, NULL));
    OK(fw_socket_on_closed(socket, on_closed, NULL));
    OK(fw_socket_on_error(socket, on_error, NULL));
    OK(fw_socket_open(socket));
    POLL_UNTIL(opened || failed);
    if (strcmp(argv[3], "echo") == 0) {
        CHECK(opened);
        OK(fw_socket_send_binary(socket, data, sizeof data));
        OK(fw_socket_send_binary(socket, data, 1));
        POLL_UNTIL(bytes == sizeof data + 1 || failed);
        OK(fw_socket_close(socket, 1000, NULL));
        POLL_UNTIL(closed || failed);
        CHECK(closed == 1000);
    } else {
        CHECK(failed && last.kind == FW_ERROR_KIND_PROXY && last.phase == FW_PHASE_PROXY);
        CHECK(last.http_status == atoi(argv[3]));
    }
    OK(fw_socket_destroy(socket));
    OK(fw_shutdown(5000));
    return check_report();
}
