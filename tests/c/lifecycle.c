/* The life cycle of a socket: open, echo of each kind, close, reopen, in poll and worker mode; also over TLS
 * if its URL and CA are passed. */

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

struct log {
    atomic_int opens, texts, binaries, segments, pongs, closes, errors, finalized;
    size_t bytes;
    uint16_t code;
    char reason[128];
    char text[64];
    pthread_t thread;
    atomic_int wrong_thread;
};

static void check_thread(struct log *log)
{
    if (!pthread_equal(pthread_self(), log->thread))
        log->wrong_thread++;
}

static void on_open(fw_socket socket, void *user_data)
{
    struct log *log = user_data;
    check_thread(log);
    (void)socket;
    log->opens++;
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    struct log *log = user_data;
    check_thread(log);
    (void)socket;
    if (len < sizeof log->text) {
        memcpy(log->text, text, len);
        log->text[len] = 0;
    }
    log->bytes += len;
    log->texts++;
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    struct log *log = user_data;
    size_t i, wrong = 0;
    check_thread(log);
    (void)socket;
    for (i = 0; i < len; i++)
        wrong += data[i] != (uint8_t)(i * 7);
    CHECK(wrong == 0);
    log->bytes += len;
    log->binaries++;
}

static void on_segment(fw_socket socket, const fw_segment *segment, void *user_data)
{
    struct log *log = user_data;
    check_thread(log);
    (void)socket;
    CHECK(segment->count == 0 || segment->data[segment->offset] == 0);
    log->segments++;
}

static void on_pong(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    struct log *log = user_data;
    check_thread(log);
    (void)socket;
    CHECK(len == 4 && memcmp(data, "ping", 4) == 0);
    log->pongs++;
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    struct log *log = user_data;
    check_thread(log);
    CHECK(fw_socket_state(socket) == FW_STATE_CLOSED);
    log->code = code;
    snprintf(log->reason, sizeof log->reason, "%.*s", (int)len, reason);
    log->closes++;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    struct log *log = user_data;
    check_thread(log);
    (void)socket;
    printf("error: %s\n", error->message);
    log->errors++;
}

static void finalizer(void *user_data)
{
    struct log *log = user_data;
    log->finalized++;
}

static void register_callbacks(fw_socket socket, struct log *log)
{
    OK(fw_socket_on_open(socket, on_open, log));
    OK(fw_socket_on_text(socket, on_text, log));
    OK(fw_socket_on_binary(socket, on_binary, log));
    OK(fw_socket_on_binary_no_alloc(socket, on_segment, log));
    OK(fw_socket_on_pong(socket, on_pong, log));
    OK(fw_socket_on_closed(socket, on_closed, log));
    OK(fw_socket_on_error(socket, on_error, log));
    OK(fw_socket_set_finalizer(socket, finalizer, log));
}

/* Opens, echoes each kind of message, closes with a code and a reason. */
static void run_round(fw_socket socket, struct log *log)
{
    static uint8_t bytes[200000];
    fw_segment segment;
    fw_stats stats;
    size_t i;
    int opens = log->opens;

    for (i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    log->texts = log->binaries = log->segments = log->pongs = 0;
    log->bytes = 0;
    OK(fw_socket_open(socket));
    CHECK(fw_socket_state(socket) == FW_STATE_CONNECTING || fw_socket_is_open(socket));
    CHECK_RESULT(fw_socket_open(socket), FW_RESULT_INVALID_STATE);
    POLL_UNTIL(log->opens == opens + 1);
    CHECK(fw_socket_is_open(socket));
    OK(fw_socket_send_text(socket, "gr\xc3\xbc\xc3\x9f dich", 11));
    OK(fw_socket_send_binary(socket, bytes, sizeof bytes));
    OK(fw_socket_send_binary(socket, NULL, 0));
    OK(fw_buffer_get(1000, &segment));
    CHECK(segment.offset >= 14 && segment.count == 1000);
    memcpy(segment.data + segment.offset, bytes, 1000);
    OK(fw_socket_send_binary_segment(socket, segment));
    OK(fw_socket_ping(socket, "ping", 4));
    POLL_UNTIL(log->texts == 1 && log->binaries == 3 && log->segments == 3 && log->pongs == 1);
    CHECK(strcmp(log->text, "gr\xc3\xbc\xc3\x9f dich") == 0);
    CHECK(log->bytes == 11 + sizeof bytes + 1000);
    WAIT_UNTIL(fw_socket_buffered_amount(socket) == 0);
    fw_stats_init(&stats, sizeof stats);
    OK(fw_socket_stats(socket, &stats));
    /* A worker updates the counters after it has delivered its events. */
    WAIT_UNTIL(fw_socket_stats(socket, &stats) == FW_RESULT_OK && stats.messages_received >= 4 &&
               fw_socket_last_message_received(socket) > 0);
    CHECK(stats.messages_sent >= 4 && stats.messages_received >= 4 && stats.frames_sent > 4);
    CHECK(fw_socket_last_message_received(socket) > 1600000000000000u);
    CHECK(fw_socket_http_version(socket) == 1);
    CHECK(fw_socket_response_status(socket) == 101);
    OK(fw_socket_close(socket, 4001, "enough"));
    CHECK_RESULT(fw_socket_send_text(socket, "late", 4), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_close(socket, 0, NULL), FW_RESULT_INVALID_STATE);
    POLL_UNTIL(log->closes == log->opens);
    CHECK(log->code == 4001 && strcmp(log->reason, "enough") == 0);
    CHECK(log->errors == 0);
}

static void life_cycle(const char *url, fw_tls tls, fw_dispatch dispatch)
{
    static struct log log;
    fw_socket socket;
    int round;

    memset(&log, 0, sizeof log);
    log.thread = pthread_self();
    OK(fw_socket_create(url, &socket));
    CHECK(fw_socket_state(socket) == FW_STATE_CLOSED);
    if (tls.id)
        OK(fw_socket_set_tls(socket, tls));
    OK(fw_socket_set_dispatch(socket, dispatch));
    register_callbacks(socket, &log);
    for (round = 0; round < 3; round++)
        run_round(socket, &log);
    OK(fw_socket_destroy(socket));
    CHECK_RESULT(fw_socket_destroy(socket), FW_RESULT_INVALID_HANDLE);
    CHECK(fw_socket_state(socket) == FW_STATE_UNKNOWN);
    POLL_UNTIL(log.finalized == 1);
    CHECK(log.opens == 3 && log.closes == 3 && log.errors == 0);
    if (dispatch == FW_DISPATCH_POLL)
        CHECK(log.wrong_thread == 0);
    else
        CHECK(log.wrong_thread > 0);
}

/* Destroys a socket in its own callbacks, and while it is open. Both messages are sent before the first
 * echo is delivered, because callbacks run one at a time. */
static void on_open_send_two(fw_socket socket, void *user_data)
{
    struct log *log = user_data;
    OK(fw_socket_send_text(socket, "a", 1));
    OK(fw_socket_send_text(socket, "b", 1));
    log->opens++;
}

static void on_text_destroy(fw_socket socket, const char *text, size_t len, void *user_data)
{
    struct log *log = user_data;
    (void)text;
    (void)len;
    log->texts++;
    OK(fw_socket_destroy(socket));
}

static void destroy_in_callback(const char *url, fw_dispatch dispatch)
{
    static struct log log;
    fw_socket socket;

    memset(&log, 0, sizeof log);
    log.thread = pthread_self();
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_dispatch(socket, dispatch));
    register_callbacks(socket, &log);
    OK(fw_socket_on_open(socket, on_open_send_two, &log));
    OK(fw_socket_on_text(socket, on_text_destroy, &log));
    OK(fw_socket_open(socket));
    POLL_UNTIL(log.finalized == 1);
    CHECK(log.opens == 1 && log.texts == 1 && log.closes == 0 && log.errors == 0);
}

/* The messages are sent in the background; tests/library/shutdown.rs reads them at the server. */
static void destroy_when_sent(const char *url, fw_dispatch dispatch)
{
    static struct log log;
    fw_socket socket;

    memset(&log, 0, sizeof log);
    log.thread = pthread_self();
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_dispatch(socket, dispatch));
    register_callbacks(socket, &log);
    OK(fw_socket_open(socket));
    POLL_UNTIL(fw_socket_is_open(socket));
    OK(fw_socket_send_text(socket, "last", 4));
    OK(fw_socket_destroy_when_sent(socket, 5000));
    CHECK_RESULT(fw_socket_destroy_when_sent(socket, 5000), FW_RESULT_INVALID_HANDLE);
    CHECK_RESULT(fw_socket_send_text(socket, "late", 4), FW_RESULT_INVALID_HANDLE);
    POLL_UNTIL(log.finalized == 1);
    CHECK(log.closes == 0 && log.errors == 0);
}

/* close and abort while connecting, abort while open: exactly one closed event, immediately. */
static void cancel(const char *url)
{
    static struct log log;
    fw_socket socket;
    int round;

    memset(&log, 0, sizeof log);
    log.thread = pthread_self();
    OK(fw_socket_create(url, &socket));
    register_callbacks(socket, &log);
    for (round = 0; round < 20; round++) {
        OK(fw_socket_open(socket));
        if (round % 2)
            OK(fw_socket_abort(socket));
        else
            OK(fw_socket_close(socket, 0, NULL));
        POLL_UNTIL(log.closes == round + 1);
    }
    OK(fw_socket_open(socket));
    POLL_UNTIL(fw_socket_is_open(socket));
    OK(fw_socket_abort(socket));
    POLL_UNTIL(log.closes == round + 1);
    CHECK(log.code == 1006);
    OK(fw_socket_destroy(socket));
    POLL_UNTIL(log.finalized == 1);
    CHECK(log.closes == 21 && log.errors == 0);
}

/* Latency from pings, a subprotocol, request headers. */
static void settings(const char *base)
{
    static struct log log;
    char url[256], text[2048];
    fw_socket socket;
    fw_event event;
    bool seen = false;

    memset(&log, 0, sizeof log);
    snprintf(url, sizeof url, "%sheaders", base);
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_origin(socket, "https://game.example"));
    OK(fw_socket_add_protocol(socket, "chat.v2"));
    OK(fw_socket_add_protocol(socket, "chat.v1"));
    OK(fw_socket_add_header(socket, "X-Player", "7"));
    OK(fw_socket_set_basic_auth(socket, "aladdin", "opensesame"));
    OK(fw_socket_set_start_ping_thread(socket, true));
    OK(fw_socket_set_ping_frequency(socket, 20));
    OK(fw_socket_set_context(socket, "match", "42"));
    OK(fw_socket_enable_event(socket, FW_EVENT_REQUEST, true));
    OK(fw_socket_open(socket));
    while (!seen && fw_wait(10000)) {
        if (!fw_next_event(&event))
            continue;
        if (event.type == FW_EVENT_REQUEST) {
            OK(fw_request_set_header(event.request, "X-Token", "fresh"));
            CHECK_RESULT(fw_request_add_header(event.request, "Upgrade", "h2c"), FW_RESULT_INVALID_ARGUMENT);
            CHECK_RESULT(fw_request_add_header(event.request, "X-A", "b\r\nX-C: d"),
                         FW_RESULT_INVALID_ARGUMENT);
            CHECK(fw_request_header(event.request, "X-Player", text, sizeof text) == 1);
            CHECK(fw_request_attempt(event.request) == 1);
            fw_request request = event.request;
            fw_event_release(&event);
            CHECK_RESULT(fw_request_set_header(request, "X-Late", "1"), FW_RESULT_INVALID_HANDLE);
        } else if (event.type == FW_EVENT_TEXT) {
            snprintf(text, sizeof text, "%.*s", (int)event.payload.count,
                     (const char *)event.payload.data + event.payload.offset);
            seen = true;
        }
        fw_event_release(&event);
    }
    CHECK(strstr(text, "origin: https://game.example"));
    CHECK(strstr(text, "x-player: 7"));
    CHECK(strstr(text, "x-token: fresh"));
    CHECK(strstr(text, "authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l"));
    CHECK(fw_socket_protocol(socket, text, sizeof text) == 7 && strcmp(text, "chat.v2") == 0);
    CHECK(fw_socket_latency_us(socket) >= -1);
    WAIT_UNTIL(fw_socket_latency_us(socket) > 0);
    OK(fw_socket_destroy(socket));
}

int main(int argc, char **argv)
{
    fw_tls none = {0};

    if (argc < 2)
        return 2;
    life_cycle(argv[1], none, FW_DISPATCH_POLL);
    life_cycle(argv[1], none, FW_DISPATCH_WORKER);
    if (argc > 3) {
        fw_tls tls = check_tls(argv[3]);
        life_cycle(argv[2], tls, FW_DISPATCH_POLL);
        life_cycle(argv[2], tls, FW_DISPATCH_WORKER);
        OK(fw_tls_destroy(tls));
    }
    destroy_in_callback(argv[1], FW_DISPATCH_POLL);
    destroy_in_callback(argv[1], FW_DISPATCH_WORKER);
    destroy_when_sent(argv[1], FW_DISPATCH_POLL);
    destroy_when_sent(argv[1], FW_DISPATCH_WORKER);
    cancel(argv[1]);
    settings(argv[1]);
    OK(fw_shutdown(5000));
    return check_report();
}
