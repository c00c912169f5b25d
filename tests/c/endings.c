/* Every way in which a connection can end, in poll and worker mode: exactly one terminal event, of the
 * right kind, after all messages; then the socket can be opened again. */

#include "check.h"

#include <stdatomic.h>

struct log {
    atomic_int opens, messages, ends, after_terminal, finalized;
    int closed; /* the code, or 0 */
    fw_error error;
    char reason[128];
};

struct ending {
    const char *name;
    const char *path;
    void (*prepare)(fw_socket);
    void (*when_open)(fw_socket);
    int messages;
    int closed;         /* the code of `closed`, 0 for `error` */
    const char *reason; /* NULL for any */
    fw_error_kind kind;
    fw_phase phase;
    uint32_t retriable;
};

static void check_not_ended(struct log *log)
{
    if (log->ends)
        log->after_terminal++;
}

static void on_open(fw_socket socket, void *user_data)
{
    struct log *log = user_data;
    (void)socket;
    check_not_ended(log);
    log->opens++;
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    struct log *log = user_data;
    (void)socket;
    (void)data;
    (void)len;
    check_not_ended(log);
    log->messages++;
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    struct log *log = user_data;
    check_not_ended(log);
    CHECK(reason[len] == 0 && fw_socket_state(socket) == FW_STATE_CLOSED);
    snprintf(log->reason, sizeof log->reason, "%s", reason);
    log->closed = code;
    log->ends++;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    struct log *log = user_data;
    check_not_ended(log);
    CHECK(error->message[0] && fw_socket_state(socket) == FW_STATE_CLOSED);
    log->error = *error;
    snprintf(log->reason, sizeof log->reason, "%s", error->message);
    log->ends++;
}

static void finalizer(void *user_data)
{
    struct log *log = user_data;
    log->finalized++;
}

/* Waits to detect callbacks after the terminal one. */
static void check_nothing_follows(struct log *log)
{
    double start = check_seconds();
    while (check_seconds() - start < 0.05) {
        fw_wait(5);
        fw_poll(0, 0);
    }
    CHECK(log->ends == 1 && log->after_terminal == 0);
}

static void check_ending(const struct ending *ending, const struct log *log)
{
    int matches = log->messages == ending->messages && log->closed == ending->closed;

    if (ending->closed)
        matches = matches && (!ending->reason || strcmp(log->reason, ending->reason) == 0);
    else
        matches = matches && log->error.kind == ending->kind && log->error.phase == ending->phase &&
                  log->error.retriable == ending->retriable;
    if (!matches)
        printf("%s: %d messages, closed %d, error %u in phase %u, retriable %u: %s\n", ending->name,
               (int)log->messages, log->closed, (unsigned)log->error.kind, (unsigned)log->error.phase,
               (unsigned)log->error.retriable, log->reason);
    CHECK(matches);
}

static void run_ending(const char *base, const struct ending *ending, fw_dispatch dispatch)
{
    static struct log log;
    char url[256];
    fw_socket socket;
    int round;

    snprintf(url, sizeof url, "%s%s", base, ending->path);
    memset(&log, 0, sizeof log);
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_dispatch(socket, dispatch));
    OK(fw_socket_on_open(socket, on_open, &log));
    OK(fw_socket_on_binary(socket, on_binary, &log));
    OK(fw_socket_on_closed(socket, on_closed, &log));
    OK(fw_socket_on_error(socket, on_error, &log));
    OK(fw_socket_set_finalizer(socket, finalizer, &log));
    if (ending->prepare)
        ending->prepare(socket);
    for (round = 0; round < 2; round++) {
        memset(&log, 0, sizeof log);
        OK(fw_socket_open(socket));
        if (ending->when_open) {
            POLL_UNTIL(log.opens == 1 || log.ends);
            ending->when_open(socket);
        }
        POLL_UNTIL(log.ends);
        check_nothing_follows(&log);
        check_ending(ending, &log);
    }
    OK(fw_socket_destroy(socket));
    POLL_UNTIL(log.finalized);
    check_nothing_follows(&log);
    CHECK(log.finalized == 1);
}

static void with_small_messages(fw_socket socket)
{
    OK(fw_socket_set_max_message_size(socket, 1000));
}

static void with_short_timeout(fw_socket socket)
{
    OK(fw_socket_set_close_timeout(socket, 100));
}

static void with_pings(fw_socket socket)
{
    OK(fw_socket_set_start_ping_thread(socket, true));
    OK(fw_socket_set_ping_frequency(socket, 20));
    OK(fw_socket_set_close_after_no_message(socket, 100));
}

static void send_one(fw_socket socket)
{
    OK(fw_socket_send_binary(socket, "go", 2));
}

static void close_it(fw_socket socket)
{
    OK(fw_socket_close(socket, 3001, "game over"));
}

static void abort_it(fw_socket socket)
{
    OK(fw_socket_abort(socket));
}

static const struct ending plain[] = {
    {"the client closes", "", NULL, close_it, 0, 3001, "game over", 0, 0, 0},
    {"the client aborts", "", NULL, abort_it, 0, 1006, NULL, 0, 0, 0},
    {"the server does not reply to the close", "silent", with_short_timeout, close_it, 0, 1006, NULL, 0, 0,
     0},
    {"the server closes", "close?code=4002&reason=bye", NULL, NULL, 0, 4002, "bye", 0, 0, 0},
    {"the server closes without a code", "close?code=1005", NULL, NULL, 0, 1005, "", 0, 0, 0},
    {"the server closes after messages", "count?n=5000&size=64", NULL, NULL, 5000, 1000, "done", 0, 0, 0},
    {"the server drops the connection", "drop", NULL, send_one, 0, 0, NULL, FW_ERROR_KIND_RESET,
     FW_PHASE_OPEN, 1},
    {"the server sends no pongs", "silent", with_pings, NULL, 0, 0, NULL, FW_ERROR_KIND_PING_TIMEOUT,
     FW_PHASE_OPEN, 1},
    {"a message is too large", "count?n=1&size=1001", with_small_messages, NULL, 0, 0, NULL,
     FW_ERROR_KIND_TOO_LARGE, FW_PHASE_OPEN, 0},
};

static const struct ending refused = {
    "connection refused", "", NULL, NULL, 0, 0, NULL, FW_ERROR_KIND_REFUSED, FW_PHASE_CONNECT, 1,
};

static const struct ending untrusted = {
    "the certificate is not trusted", "", NULL, NULL, 0, 0, NULL, FW_ERROR_KIND_TLS, FW_PHASE_TLS, 0,
};

int main(int argc, char **argv)
{
    size_t i;
    fw_dispatch dispatch;

    if (argc < 4)
        return 2;
    for (dispatch = FW_DISPATCH_POLL; dispatch <= FW_DISPATCH_WORKER; dispatch++) {
        for (i = 0; i < sizeof plain / sizeof *plain; i++)
            run_ending(argv[1], &plain[i], dispatch);
        run_ending("ws://127.0.0.1:1/", &refused, dispatch);
        /* Skipped with tools that cannot run TLS. */
        if (strncmp(argv[2], "wss:", 4) == 0)
            run_ending(argv[2], &untrusted, dispatch);
    }
    OK(fw_shutdown(5000));
    return check_report();
}
