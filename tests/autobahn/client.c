/* Runs the cases of an Autobahn fuzzing server: echoes messages until the server closes.
 *
 *     client URL AGENT worker|poll|pull CA|- FIRST STEP
 *
 * Runs the cases FIRST, FIRST + STEP and so on, numbered from 1, then makes the server write its
 * reports. Fails if a case could not be opened; the results are in the reports. */

#include "framewire.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum mode { WORKER, POLL, PULL };

/* The server's own timeout is shorter; a connection that lasts longer hangs. */
#define PATIENCE_SECONDS 150

static enum mode mode;
static fw_tls tls;

/* One connection. Written by its callbacks, read once `over` is set. */
static struct {
    fw_socket socket;
    int opened;
    int refused;   /* sends that were not accepted although the connection was open */
    char text[64]; /* the last text message: how many cases there are */
    char error[512];
    atomic_int over;
} now;

static int failures;

static void echoed(fw_result result)
{
    /* The server may close while messages are queued. */
    if (result != FW_RESULT_OK && result != FW_RESULT_INVALID_STATE)
        now.refused++;
}

static void opened(void)
{
    now.opened = 1;
}

static void text(const char *data, size_t len)
{
    size_t kept = len < sizeof now.text ? len : sizeof now.text - 1;
    memcpy(now.text, data, kept);
    now.text[kept] = '\0';
    echoed(fw_socket_send_text(now.socket, data, len));
}

static void binary(const void *data, size_t len)
{
    echoed(fw_socket_send_binary(now.socket, data, len));
}

static void failed(const fw_error *error)
{
    snprintf(now.error, sizeof now.error, "%s", error->message);
    now.over = 1;
}

static void on_open(fw_socket s, void *u)
{
    (void)s;
    (void)u;
    opened();
}
static void on_text(fw_socket s, const char *d, size_t n, void *u)
{
    (void)s;
    (void)u;
    text(d, n);
}
static void on_binary(fw_socket s, const uint8_t *d, size_t n, void *u)
{
    (void)s;
    (void)u;
    binary(d, n);
}
static void on_error(fw_socket s, const fw_error *error, void *u)
{
    (void)s;
    (void)u;
    failed(error);
}

static void on_closed(fw_socket s, uint16_t code, const char *reason, size_t len, void *u)
{
    (void)s;
    (void)code;
    (void)reason;
    (void)len;
    (void)u;
    now.over = 1;
}

static void take(fw_event *event)
{
    const uint8_t *payload = event->payload.data + event->payload.offset;
    switch (event->type) {
    case FW_EVENT_OPEN:
        opened();
        break;
    case FW_EVENT_TEXT:
        text((const char *)payload, event->payload.count);
        break;
    case FW_EVENT_BINARY:
        binary(payload, event->payload.count);
        break;
    case FW_EVENT_ERROR:
        failed(&event->error);
        break;
    case FW_EVENT_CLOSED:
        now.over = 1;
        break;
    default:
        break;
    }
    fw_event_release(event);
}

static void must(fw_result result, const char *what)
{
    char why[512];
    if (result == FW_RESULT_OK)
        return;
    fw_last_error(why, sizeof why);
    fprintf(stderr, "%s: %s (%s)\n", what, fw_result_name(result), why);
    exit(EXIT_FAILURE);
}

static void wait_a_moment(void)
{
    struct timespec moment = {0, 200000};
    fw_event event;
    switch (mode) {
    case WORKER:
        nanosleep(&moment, NULL);
        break;
    case POLL:
        fw_wait(100);
        fw_poll(0, 0);
        break;
    case PULL:
        fw_wait(100);
        while (fw_next_event(&event))
            take(&event);
        break;
    }
}

/* Opens a connection and echoes until it ends. */
static void connection(const char *url)
{
    fw_compression compression;
    time_t begun = time(NULL);

    memset(&now, 0, sizeof now);
    must(fw_socket_create(url, &now.socket), url);
    /* Compresses even the shortest messages, so that all cases test compression. */
    fw_compression_init(&compression, sizeof compression);
    compression.min_size_to_compress = 0;
    must(fw_socket_set_compression(now.socket, &compression), "compression");
    if (tls.id)
        must(fw_socket_set_tls(now.socket, tls), "tls");
    if (mode == WORKER)
        must(fw_socket_set_dispatch(now.socket, FW_DISPATCH_WORKER), "dispatch");
    if (mode != PULL) {
        must(fw_socket_on_open(now.socket, on_open, NULL), "open");
        must(fw_socket_on_text(now.socket, on_text, NULL), "text");
        must(fw_socket_on_binary(now.socket, on_binary, NULL), "binary");
        must(fw_socket_on_closed(now.socket, on_closed, NULL), "closed");
        must(fw_socket_on_error(now.socket, on_error, NULL), "error");
    }
    must(fw_socket_open(now.socket), url);
    while (!now.over && time(NULL) - begun < PATIENCE_SECONDS)
        wait_a_moment();
    must(fw_socket_destroy(now.socket), "destroy");
    if (!now.over || !now.opened || now.refused) {
        failures++;
        printf("%s: %s, %d echoes refused: %s\n", url, now.over ? "over" : "hangs", now.refused, now.error);
    }
}

static void trust(const char *ca_file)
{
    static char pem[64 * 1024];
    FILE *file = fopen(ca_file, "rb");
    size_t len = file ? fread(pem, 1, sizeof pem, file) : 0;
    if (file)
        fclose(file);
    must(fw_tls_create(&tls), "tls");
    must(fw_tls_add_ca_pem(tls, pem, len), ca_file);
}

int main(int argc, char **argv)
{
    const char *base, *agent;
    char url[512];
    fw_config config;
    long cases, number, step;

    if (argc != 7)
        return 2;
    base = argv[1];
    agent = argv[2];
    mode = strcmp(argv[3], "worker") == 0 ? WORKER : strcmp(argv[3], "poll") == 0 ? POLL : PULL;
    number = strtol(argv[5], NULL, 10);
    step = strtol(argv[6], NULL, 10);
    if (number < 1 || step < 1)
        return 2;

    fw_config_init(&config, sizeof config);
    if (mode != WORKER)
        /* Far less than most cases send, so that backpressure is applied all the time. */
        config.event_queue_bytes = 64 * 1024;
    must(fw_init(&config), "init");
    if (strcmp(argv[4], "-") != 0)
        trust(argv[4]);

    snprintf(url, sizeof url, "%s/getCaseCount", base);
    connection(url);
    cases = strtol(now.text, NULL, 10);
    if (cases < 1) {
        fprintf(stderr, "%s: no number of cases was received: %s\n", url, now.error);
        return EXIT_FAILURE;
    }
    for (; number <= cases; number += step) {
        snprintf(url, sizeof url, "%s/runCase?case=%ld&agent=%s", base, number, agent);
        connection(url);
    }
    snprintf(url, sizeof url, "%s/updateReports?agent=%s", base, agent);
    connection(url);
    must(fw_shutdown(5000), "shutdown");
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
