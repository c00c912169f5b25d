/* Connections through the calls that differ on Android: names and addresses, with and without TLS, servers that refuse,
 * unknown names, and shutdown. Arguments: URLs of the echo server for ws and wss, and the file of its authority. */

#include "check.h"

#include <unistd.h>

struct outcome {
    int opened, texts, binaries;
    uint16_t closed;
    fw_error error;
};

static struct outcome connect_and_echo(const char *url, const char *ca_file)
{
    static char block[70000];
    struct outcome outcome;
    fw_socket socket;
    fw_tls tls = check_tls(ca_file);
    bool ended = false;
    double start = check_seconds();

    memset(&outcome, 0, sizeof outcome);
    memset(block, 7, sizeof block);
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_tls(socket, tls));
    OK(fw_socket_open(socket));
    while (!ended && check_seconds() - start < 60) {
        fw_event event;
        fw_wait(100);
        while (fw_next_event(&event)) {
            switch (event.type) {
            case FW_EVENT_OPEN:
                outcome.opened++;
                OK(fw_socket_send_text(socket, "hello", 5));
                OK(fw_socket_send_binary(socket, block, sizeof block));
                break;
            case FW_EVENT_TEXT:
                outcome.texts += event.payload.count == 5;
                break;
            case FW_EVENT_BINARY:
                outcome.binaries += event.payload.count == sizeof block;
                OK(fw_socket_close(socket, 1000, "done"));
                break;
            case FW_EVENT_CLOSED:
                outcome.closed = event.close_code;
                ended = true;
                break;
            case FW_EVENT_ERROR:
                outcome.error = event.error;
                outcome.error.message = NULL;
                printf("%s: %s\n", url, event.error.message);
                ended = true;
                break;
            default:
                break;
            }
            fw_event_release(&event);
        }
    }
    OK(fw_socket_destroy(socket));
    OK(fw_tls_destroy(tls));
    return outcome;
}

static void echoes(const char *scheme, const char *host, const char *port, const char *ca_file)
{
    char url[128];
    struct outcome outcome;
    snprintf(url, sizeof url, "%s://%s:%s/", scheme, host, port);
    outcome = connect_and_echo(url, ca_file);
    CHECK(outcome.opened == 1 && outcome.texts == 1 && outcome.binaries == 1 && outcome.closed == 1000);
    printf("%s: closed with %d\n", url, outcome.closed);
}

/* The digits after the last colon. */
static const char *port_of(const char *url)
{
    static char ports[2][8];
    static int next;
    char *port = ports[next++ % 2];
    snprintf(port, sizeof ports[0], "%.*s", (int)strspn(strrchr(url, ':') + 1, "0123456789"),
             strrchr(url, ':') + 1);
    return port;
}

int main(int argc, char **argv)
{
    struct outcome outcome;
    const char *ws, *wss;
    if (argc < 4) {
        fprintf(stderr, "usage: network WS-URL WSS-URL CA-FILE\n");
        return EXIT_FAILURE;
    }
    ws = port_of(argv[1]);
    wss = port_of(argv[2]);
    echoes("ws", "127.0.0.1", ws, argv[3]);
    echoes("ws", "localhost", ws, argv[3]);
    echoes("wss", "127.0.0.1", wss, argv[3]);
    echoes("wss", "localhost", wss, argv[3]);

    outcome = connect_and_echo("ws://127.0.0.1:1/", argv[3]);
    CHECK(outcome.error.kind == FW_ERROR_KIND_REFUSED && outcome.error.phase == FW_PHASE_CONNECT);
    CHECK(outcome.error.os_code == 111);
    outcome = connect_and_echo("ws://no-such-host.invalid/", argv[3]);
    CHECK(outcome.error.kind == FW_ERROR_KIND_RESOLVE && outcome.error.phase == FW_PHASE_RESOLVE);

    OK(fw_shutdown(5000));
    return check_report();
}
