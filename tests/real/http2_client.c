/* Many sockets at once to an HTTP/2 server: http2_client URL CA|- REQUESTED EXPECTED SOCKETS
 *
 * REQUESTED is the number of an fw_http, EXPECTED the resulting version, 0 for an error event. */

#include "check.h"
#include <stdlib.h>

enum { MAX_SOCKETS = 24, LARGE = 70000, HUGE_MESSAGE = 3000000 };

typedef struct {
    fw_socket socket;
    int opened, texts, closed, failed;
    size_t bytes;
    fw_phase phase;
} client;

static client clients[MAX_SOCKETS];
static int sockets;
static uint8_t data[HUGE_MESSAGE];

static void on_open(fw_socket s, void *u)
{
    (void)s;
    ((client *)u)->opened++;
}

static void on_text(fw_socket s, const char *text, size_t len, void *u)
{
    (void)s;
    ((client *)u)->texts += len == 5 && memcmp(text, "hello", 5) == 0;
}

static void on_binary(fw_socket s, const uint8_t *got, size_t len, void *u)
{
    (void)s;
    CHECK(len <= sizeof data && memcmp(got, data, len) == 0);
    ((client *)u)->bytes += len;
}

static void on_closed(fw_socket s, uint16_t code, const char *reason, size_t len, void *u)
{
    (void)s;
    (void)len;
    if (code != 3333)
        printf("closed: %u %s\n", code, reason);
    CHECK(code == 3333);
    ((client *)u)->closed++;
}

static void on_error(fw_socket s, const fw_error *error, void *u)
{
    client *c = (client *)u;
    (void)s;
    if (!c->failed && (c == clients || c->opened))
        printf("error: %s\n", error->message);
    c->phase = error->phase;
    c->failed++;
}

static int all_settled(void)
{
    int i, n = 0;
    for (i = 0; i < sockets; i++)
        n += clients[i].opened || clients[i].failed;
    return n == sockets;
}

static int all_echoed(void)
{
    int i, n = 0;
    for (i = 0; i < sockets; i++) {
        size_t sent = i == 0 ? LARGE + HUGE_MESSAGE : LARGE;
        n += clients[i].failed || (clients[i].texts == 1 && clients[i].bytes == sent);
    }
    return n == sockets;
}

static int all_ended(void)
{
    int i, n = 0;
    for (i = 0; i < sockets; i++)
        n += clients[i].closed || clients[i].failed;
    return n == sockets;
}

int main(int argc, char **argv)
{
    char extensions[256];
    int i, expected;
    fw_tls tls = {0};

    if (argc < 6)
        return 2;
    expected = atoi(argv[4]);
    sockets = atoi(argv[5]);
    if (sockets < 1 || sockets > MAX_SOCKETS)
        return 2;
    for (i = 0; i < HUGE_MESSAGE; i++)
        data[i] = (uint8_t)(i * 31 + i / 256);
    if (strcmp(argv[2], "-") != 0)
        tls = check_tls(argv[2]);
    for (i = 0; i < sockets; i++) {
        client *c = &clients[i];
        OK(fw_socket_create(argv[1], &c->socket));
        if (tls.id)
            OK(fw_socket_set_tls(c->socket, tls));
        OK(fw_socket_set_http_version(c->socket, (fw_http)atoi(argv[3])));
        OK(fw_socket_on_open(c->socket, on_open, c));
        OK(fw_socket_on_text(c->socket, on_text, c));
        OK(fw_socket_on_binary(c->socket, on_binary, c));
        OK(fw_socket_on_closed(c->socket, on_closed, c));
        OK(fw_socket_on_error(c->socket, on_error, c));
        OK(fw_socket_open(c->socket));
    }
    POLL_UNTIL(all_settled());
    for (i = 0; i < sockets; i++) {
        client *c = &clients[i];
        if (expected == 0) {
            CHECK(c->failed == 1 && c->phase == FW_PHASE_UPGRADE);
            continue;
        }
        CHECK(!c->failed && (int)fw_socket_http_version(c->socket) == expected);
        if (c->failed)
            continue;
        OK(fw_socket_send_text(c->socket, "hello", 5));
        OK(fw_socket_send_binary(c->socket, data, LARGE));
        if (i == 0)
            OK(fw_socket_send_binary(c->socket, data, HUGE_MESSAGE));
    }
    if (expected != 0) {
        POLL_UNTIL(all_echoed());
        fw_socket_extensions(clients[0].socket, extensions, sizeof extensions);
        printf("HTTP/%d, extensions: %s\n", expected, extensions);
        for (i = 0; i < sockets; i++)
            if (!clients[i].failed)
                OK(fw_socket_close(clients[i].socket, 3333, "done"));
        POLL_UNTIL(all_ended());
        for (i = 0; i < sockets; i++)
            CHECK(clients[i].closed == 1 && !clients[i].failed);
    }
    for (i = 0; i < sockets; i++)
        OK(fw_socket_destroy(clients[i].socket));
    OK(fw_shutdown(5000));
    return check_report();
}
