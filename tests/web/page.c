/* The library in a page: the same header, driven by the page's frames. Runs in browsers and in Node.
 *
 *     page.js ECHO SCRIPTED [MESSAGES [INSECURE]]      URLs of framewire-page; messages of the memory test; the URL of a
 *                                                      server without TLS, for a page of https:
 *
 * The scenarios run one after the other. Each is a function that is called every frame and continues after the last
 * AWAIT, until it returns true. */

#include "../c/check.h"
#include "functions.h"

#include <emscripten.h>
#include <malloc.h>

/* What happened to a socket, one letter per event: o open, t text, b binary, r reconnecting, c closed, e error. */
typedef struct {
    fw_socket socket;
    char log[64];
    int logged, opens, messages, ends;
    size_t bytes, last_len;
    unsigned char last[16];
    uint16_t code;
    char reason[128];
    fw_error_kind kind;
    fw_phase phase;
    uint32_t retriable, attempt;
    char message[512];
    /* Closes the socket with 1000 after this many messages, if not 0. */
    int close_after;
    int finalized;
} record;

static const char *echo, *scripted, *insecure;
static int memory_messages = 20000;

static void note(record *r, char event)
{
    if (r->logged + 1 < (int)sizeof r->log)
        r->log[r->logged++] = event;
}

static void on_open(fw_socket socket, void *user_data)
{
    record *r = user_data;
    /* The state may be a later one: the server may have closed already. */
    CHECK(socket.id == r->socket.id && fw_socket_state(socket) != FW_STATE_CONNECTING && r->ends == 0);
    r->opens++;
    note(r, 'o');
}

static void on_message(record *r, fw_socket socket, const void *data, size_t len, char event)
{
    CHECK(socket.id == r->socket.id && r->opens > 0 && r->ends == 0);
    if (r->messages++ < 3)
        note(r, event);
    r->bytes += len;
    r->last_len = len;
    memcpy(r->last, data, len < sizeof r->last ? len : sizeof r->last);
    if (r->messages == r->close_after)
        OK(fw_socket_close(socket, 1000, "bye"));
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    on_message(user_data, socket, text, len, 't');
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    on_message(user_data, socket, data, len, 'b');
}

static void on_reconnecting(fw_socket socket, const fw_error *error, uint32_t attempt, uint32_t delay_ms,
                            void *user_data)
{
    record *r = user_data;
    CHECK(socket.id == r->socket.id && fw_socket_state(socket) == FW_STATE_CONNECTING && delay_ms > 0);
    r->kind = error->kind;
    r->attempt = attempt;
    note(r, 'r');
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    record *r = user_data;
    CHECK(socket.id == r->socket.id && fw_socket_state(socket) == FW_STATE_CLOSED);
    r->code = code;
    snprintf(r->reason, sizeof r->reason, "%.*s", (int)len, reason);
    r->ends++;
    note(r, 'c');
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    record *r = user_data;
    CHECK(socket.id == r->socket.id && fw_socket_state(socket) == FW_STATE_CLOSED);
    r->kind = error->kind;
    r->phase = error->phase;
    r->retriable = error->retriable;
    snprintf(r->message, sizeof r->message, "%s", error->message);
    r->ends++;
    note(r, 'e');
}

static void on_finalized(void *user_data)
{
    ((record *)user_data)->finalized++;
}

/* Creates a socket that records its events. */
static void create(record *r, const char *base, const char *path)
{
    char url[256];
    fw_callbacks callbacks;
    memset(r, 0, sizeof *r);
    snprintf(url, sizeof url, "%s%s", base, path);
    OK(fw_socket_create(url, &r->socket));
    fw_callbacks_init(&callbacks, sizeof callbacks);
    callbacks.open = on_open;
    callbacks.text = on_text;
    callbacks.binary = on_binary;
    callbacks.reconnecting = on_reconnecting;
    callbacks.closed = on_closed;
    callbacks.error = on_error;
    OK(fw_socket_set_callbacks(r->socket, &callbacks, r));
    OK(fw_socket_set_finalizer(r->socket, on_finalized, r));
}

static void start(record *r, const char *base, const char *path)
{
    create(r, base, path);
    OK(fw_socket_open(r->socket));
    CHECK(fw_socket_state(r->socket) == FW_STATE_CONNECTING);
}

/* Checks the events of a socket that has ended, and destroys it. */
static void finish(record *r, const char *log)
{
    if (strcmp(r->log, log) != 0)
        printf("expected %s, got %s (%s%s)\n", log, r->log, r->message, r->reason);
    CHECK(strcmp(r->log, log) == 0 && r->ends <= 1);
    OK(fw_socket_destroy(r->socket));
    CHECK(fw_socket_state(r->socket) == FW_STATE_UNKNOWN);
    CHECK_RESULT(fw_socket_open(r->socket), FW_RESULT_INVALID_HANDLE);
    fw_poll(0, 0);
    CHECK(r->finalized == 1);
}

static unsigned char *filled(size_t len)
{
    unsigned char *bytes = malloc(len);
    for (size_t at = 0; at < len; at++)
        bytes[at] = (unsigned char)(at * 7 + at / 251);
    return bytes;
}

/* Scenarios: the line after which a scenario continues, and when it started to wait there. */
static int line;
static double since;
static unsigned frames, since_frame;

#define SCENARIO(name) static bool name(void)
#define BEGIN                                                                                                \
    switch (line) {                                                                                          \
    case 0:
#define AWAIT(condition)                                                                                     \
    do {                                                                                                     \
        line = __LINE__;                                                                                     \
        since = check_now();                                                                                 \
        since_frame = frames;                                                                                \
        /* fall through */                                                                                   \
    case __LINE__:                                                                                           \
        if (!(condition))                                                                                    \
            return false;                                                                                    \
    } while (0)
#define PAUSE(milliseconds) AWAIT(check_now() - since >= (milliseconds))
#define END                                                                                                  \
    }                                                                                                        \
    return true

static double check_now(void)
{
    return emscripten_get_now();
}

SCENARIO(every_function_exists)
{
    every_function(echo);
    return true;
}

SCENARIO(events_come_in_order_within_budgets)
{
    static record r;
    static size_t bom;
    BEGIN;
    start(&r, echo, "");
    AWAIT(r.opens == 1);
    CHECK(fw_socket_is_open(r.socket));
    OK(fw_socket_send_text(r.socket, "h\xc3\xa4llo", 6));
    AWAIT(r.messages == 1);
    CHECK(r.last_len == 6 && memcmp(r.last, "h\xc3\xa4llo", 6) == 0);
    /* A byte order mark is kept, but by the WebSocket of Node. */
    bom = EM_ASM_INT({ return typeof process == "object" ? 0 : 3; });
    OK(fw_socket_send_text(r.socket, "\xef\xbb\xbfx", 4));
    AWAIT(r.messages == 2);
    CHECK(r.last_len == bom + 1 && memcmp(r.last, &"\xef\xbb\xbfx"[3 - bom], bom + 1) == 0);
    OK(fw_socket_send_binary(r.socket, "\0\1\2", 3));
    AWAIT(r.messages == 3);
    CHECK(r.last_len == 3 && memcmp(r.last, "\0\1\2", 3) == 0);
    OK(fw_socket_send_text(r.socket, NULL, 0));
    OK(fw_socket_send_binary(r.socket, NULL, 0));
    CHECK_RESULT(fw_socket_send_text(r.socket, "\xff", 1), FW_RESULT_INVALID_UTF8);
    AWAIT(r.messages == 5 && fw_pending() == 0);
    CHECK(r.bytes == 10 + bom);
    CHECK(fw_socket_last_message_received(r.socket) / 1000000 > 1700000000);
    OK(fw_socket_close(r.socket, 4001, "enough"));
    CHECK(fw_socket_state(r.socket) == FW_STATE_CLOSING);
    CHECK_RESULT(fw_socket_send_text(r.socket, "x", 1), FW_RESULT_INVALID_STATE);
    AWAIT(r.ends);
    CHECK(r.code == 4001 && strcmp(r.reason, "enough") == 0);
    /* A socket can be opened again. */
    r = (record){.socket = r.socket};
    OK(fw_socket_open(r.socket));
    AWAIT(r.opens == 1);
    OK(fw_socket_close(r.socket, 0, NULL));
    AWAIT(r.ends);
    CHECK(r.code == 1000);
    finish(&r, "oc");
    END;
}

/* One event per frame, as long as there are some. */
static bool one_event_per_frame;

SCENARIO(budget_is_exact)
{
    static record r;
    static int before;
    BEGIN;
    one_event_per_frame = true;
    start(&r, echo, "count?n=20&size=8");
    AWAIT(r.opens == 1);
    PAUSE(200);
    CHECK(r.messages > 0 && r.messages <= 20);
    AWAIT(r.messages == 19);
    CHECK(fw_pending() == 2);
    before = r.messages;
    CHECK(fw_socket_poll(r.socket, 1, 0) == 1 && r.messages == before + 1);
    AWAIT(r.ends);
    one_event_per_frame = false;
    CHECK(r.code == 1000 && strcmp(r.reason, "done") == 0);
    finish(&r, "obbbc");
    END;
}

static fw_event pulled[64];
static bool pulls;

/* Takes all events of the socket. Returns whether the last one was taken. */
static bool pull_numbers(fw_socket socket, uint64_t *next)
{
    bool ended = false;
    size_t count;
    while ((count = fw_next_events(pulled, 64)) > 0) {
        for (size_t at = 0; at < count; at++) {
            const fw_event *event = &pulled[at];
            uint64_t number = 0;
            CHECK(event->socket.id == socket.id && !ended);
            switch (event->type) {
            case FW_EVENT_BINARY:
                for (int byte = 0; byte < 8; byte++)
                    number |= (uint64_t)event->payload.data[event->payload.offset + byte] << 8 * byte;
                CHECK(number == (*next)++ && event->payload.count == 32);
                break;
            case FW_EVENT_CLOSED:
                CHECK(event->close_code == 1000);
                ended = true;
                break;
            default:
                CHECK(event->type == FW_EVENT_OPEN);
            }
        }
        fw_events_release(pulled, count);
    }
    return ended;
}

SCENARIO(ten_thousand_messages_are_pulled_in_order)
{
    static fw_socket s;
    static uint64_t next;
    char url[256];
    BEGIN;
    pulls = true;
    snprintf(url, sizeof url, "%scount?n=10000&size=32", echo);
    OK(fw_socket_create(url, &s));
    OK(fw_socket_open(s));
    AWAIT(pull_numbers(s, &next));
    CHECK(next == 10000);
    OK(fw_socket_destroy(s));
    pulls = false;
    END;
}

SCENARIO(a_mebibyte_goes_both_ways)
{
    static record r;
    static unsigned char *bytes;
    fw_segment segment;
    BEGIN;
    bytes = filled(1 << 20);
    start(&r, echo, "");
    AWAIT(r.opens == 1);
    OK(fw_buffer_get(1 << 20, &segment));
    memcpy(segment.data + segment.offset, bytes, 1 << 20);
    segment.count = 1 << 20;
    OK(fw_socket_send_binary_segment(r.socket, segment));
    CHECK_RESULT(fw_segment_release(segment), FW_RESULT_INVALID_HANDLE);
    CHECK(fw_socket_buffered_amount(r.socket) <= 1 << 20);
    AWAIT(r.messages == 1);
    CHECK(r.last_len == 1 << 20 && memcmp(r.last, bytes, sizeof r.last) == 0);
    memset(bytes, 'x', 1 << 20);
    OK(fw_socket_send_text(r.socket, (const char *)bytes, 1 << 20));
    OK(fw_buffer_get(5, &segment));
    memcpy(segment.data + segment.offset, "after", 5);
    segment.count = 5;
    OK(fw_socket_send_text_segment(r.socket, segment));
    AWAIT(r.messages == 3);
    CHECK(r.bytes == (2 << 20) + 5 && memcmp(r.last, "after", 5) == 0);
    AWAIT(fw_socket_buffered_amount(r.socket) == 0);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    free(bytes);
    finish(&r, "obttc");
    END;
}

#define SOCKETS 100

/* Whether all are open, or have ended. */
static bool all(const record *r, bool open)
{
    for (int at = 0; at < SOCKETS; at++) {
        if (!(open ? r[at].opens : r[at].ends))
            return false;
    }
    return true;
}

SCENARIO(a_hundred_sockets_work_at_once)
{
    static record r[SOCKETS];
    static int at;
    BEGIN;
    for (at = 0; at < SOCKETS; at++) {
        start(&r[at], echo, "");
        r[at].close_after = 2;
    }
    AWAIT(all(r, true));
    for (at = 0; at < SOCKETS; at++) {
        uint32_t number = (uint32_t)at;
        OK(fw_socket_send_binary(r[at].socket, &number, sizeof number));
        OK(fw_socket_send_binary(r[at].socket, &number, sizeof number));
    }
    AWAIT(all(r, false));
    for (at = 0; at < SOCKETS; at++) {
        uint32_t number = (uint32_t)at;
        CHECK(memcmp(r[at].last, &number, sizeof number) == 0 && r[at].code == 1000);
        finish(&r[at], "obbc");
    }
    END;
}

SCENARIO(a_lost_connection_is_reconnected)
{
    static record r;
    fw_reconnect reconnect;
    fw_stats stats;
    BEGIN;
    create(&r, scripted, "dies-twice");
    fw_reconnect_init(&reconnect, sizeof reconnect);
    reconnect.min_delay_ms = 10;
    reconnect.max_delay_ms = 50;
    reconnect.queue_sends = 1;
    OK(fw_socket_set_reconnect(r.socket, &reconnect));
    OK(fw_socket_open(r.socket));
    OK(fw_socket_send_text(r.socket, "queued", 6));
    AWAIT(r.opens == 3);
    CHECK(r.kind == FW_ERROR_KIND_RESET && r.attempt == 1);
    OK(fw_socket_send_text(r.socket, "again", 5));
    AWAIT(r.ends);
    CHECK(r.messages == 1 && memcmp(r.last, "again", 5) == 0);
    fw_stats_init(&stats, sizeof stats);
    OK(fw_socket_stats(r.socket, &stats));
    CHECK(stats.reconnects == 2 && stats.messages_received == 1 && stats.messages_sent >= 1);
    CHECK(r.code == 1000);
    finish(&r, "ororotc");
    END;
}

SCENARIO(reconnecting_ends_after_the_last_attempt)
{
    static record r;
    fw_reconnect reconnect;
    BEGIN;
    create(&r, "ws://127.0.0.1:1/", "");
    fw_reconnect_init(&reconnect, sizeof reconnect);
    reconnect.min_delay_ms = reconnect.max_delay_ms = 10;
    reconnect.max_attempts = 2;
    OK(fw_socket_set_reconnect(r.socket, &reconnect));
    OK(fw_socket_open(r.socket));
    AWAIT(r.ends);
    CHECK(r.opens == 0 && r.attempt == 2);
    finish(&r, "rre");
    END;
}

SCENARIO(closing_wins_over_reconnecting)
{
    static record r;
    fw_reconnect reconnect;
    BEGIN;
    create(&r, "ws://127.0.0.1:1/", "");
    fw_reconnect_init(&reconnect, sizeof reconnect);
    reconnect.min_delay_ms = reconnect.max_delay_ms = 60000;
    OK(fw_socket_set_reconnect(r.socket, &reconnect));
    OK(fw_socket_open(r.socket));
    AWAIT(r.attempt == 1);
    /* A report of the host ends the delay. */
    OK(fw_network_changed());
    AWAIT(r.attempt == 2);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    CHECK(r.code == 1006);
    finish(&r, "rrc");
    END;
}

SCENARIO(close_codes_are_those_of_a_page)
{
    static record r;
    BEGIN;
    start(&r, echo, "");
    AWAIT(r.opens == 1);
    CHECK_RESULT(fw_socket_close(r.socket, 1001, NULL), FW_RESULT_NOT_SUPPORTED);
    CHECK_RESULT(fw_socket_close(r.socket, 1011, NULL), FW_RESULT_NOT_SUPPORTED);
    CHECK_RESULT(fw_socket_close(r.socket, 2000, NULL), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_close(r.socket, 1005, NULL), FW_RESULT_INVALID_ARGUMENT);
    CHECK(fw_socket_is_open(r.socket));
    OK(fw_socket_close(r.socket, 3000, "gr\xc3\xbc\xc3\x9f"));
    AWAIT(r.ends);
    CHECK(r.code == 3000);
    finish(&r, "oc");
    start(&r, echo, "close?code=4005&reason=full");
    AWAIT(r.ends);
    CHECK(r.code == 4005 && strcmp(r.reason, "full") == 0);
    finish(&r, "oc");
    start(&r, scripted, "close-without-code");
    AWAIT(r.ends);
    CHECK(r.code == 1005 && r.reason[0] == 0);
    finish(&r, "oc");
    END;
}

SCENARIO(failures_end_in_one_error)
{
    static record r;
    BEGIN;
    start(&r, "ws://127.0.0.1:1/", "");
    AWAIT(r.ends);
    CHECK(r.retriable && strstr(r.message, "127.0.0.1:1") != NULL);
    finish(&r, "e");
    start(&r, scripted, "refuse");
    AWAIT(r.ends);
    CHECK(r.phase == FW_PHASE_CONNECT);
    finish(&r, "e");
    start(&r, echo, "drop");
    AWAIT(r.opens == 1);
    OK(fw_socket_send_text(r.socket, "x", 1));
    AWAIT(r.ends);
    CHECK(r.kind == FW_ERROR_KIND_RESET && r.phase == FW_PHASE_OPEN && r.retriable);
    finish(&r, "oe");
    start(&r, scripted, "violation");
    AWAIT(r.ends);
    finish(&r, "ote");
    /* A port that browsers refuse, where some say why and some do not. */
    start(&r, "ws://127.0.0.1:6000/", "");
    AWAIT(r.ends);
    CHECK(r.phase == FW_PHASE_CONNECT && strstr(r.message, "127.0.0.1:6000") != NULL);
    finish(&r, "e");
    END;
}

SCENARIO(mixed_content_is_refused_with_the_reason)
{
    static record r;
    BEGIN;
    if (insecure) {
        /* The constructor throws, so the socket is closed when open returns. */
        create(&r, insecure, "");
        OK(fw_socket_open(r.socket));
        AWAIT(r.ends);
        CHECK(r.phase == FW_PHASE_CONNECT && !r.retriable && strstr(r.message, "HTTPS") != NULL);
        finish(&r, "e");
    }
    END;
}

SCENARIO(timeouts_apply)
{
    static record r;
    BEGIN;
    create(&r, scripted, "hang");
    OK(fw_socket_set_connect_timeout(r.socket, 100));
    OK(fw_socket_open(r.socket));
    AWAIT(r.ends);
    CHECK(r.kind == FW_ERROR_KIND_TIMED_OUT && r.phase == FW_PHASE_CONNECT);
    finish(&r, "e");
    create(&r, scripted, "ignore-close");
    OK(fw_socket_set_close_timeout(r.socket, 100));
    OK(fw_socket_open(r.socket));
    AWAIT(r.opens);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    CHECK(r.code == 1006);
    finish(&r, "oc");
    /* Not while the program is suspended. */
    create(&r, scripted, "hang");
    OK(fw_socket_set_connect_timeout(r.socket, 100));
    OK(fw_socket_open(r.socket));
    OK(fw_suspend());
    PAUSE(300);
    CHECK(r.ends == 0);
    OK(fw_resume());
    AWAIT(r.ends);
    finish(&r, "e");
    END;
}

SCENARIO(too_large_message_ends_the_connection)
{
    static record r;
    BEGIN;
    create(&r, echo, "");
    OK(fw_socket_set_max_message_size(r.socket, 1000));
    OK(fw_socket_open(r.socket));
    AWAIT(r.opens);
    OK(fw_socket_send_binary(r.socket, filled(1000), 1000));
    OK(fw_socket_send_binary(r.socket, filled(1001), 1001));
    OK(fw_socket_send_binary(r.socket, "x", 1));
    AWAIT(r.ends);
    CHECK(r.kind == FW_ERROR_KIND_TOO_LARGE && strstr(r.message, "1001 bytes") != NULL);
    CHECK(r.messages == 1 && r.bytes == 1000);
    finish(&r, "obe");
    END;
}

static bool polls = true;

SCENARIO(unread_messages_are_bounded)
{
    static record r;
    fw_config config;
    BEGIN;
    OK(fw_shutdown(1000));
    fw_config_init(&config, sizeof config);
    config.event_queue_bytes = 16 << 10;
    OK(fw_init(&config));
    CHECK_RESULT(fw_init(&config), FW_RESULT_INVALID_STATE);
    /* 4 MB, of which 16 times 16 KiB and the event queue are kept. */
    start(&r, echo, "count?n=40000&size=100");
    AWAIT(r.opens);
    polls = false;
    PAUSE(1000);
    polls = true;
    AWAIT(r.ends);
    CHECK(r.kind == FW_ERROR_KIND_TOO_LARGE && r.retriable && strstr(r.message, "unread") != NULL);
    CHECK(r.messages > 2000 && r.messages < 4000);
    finish(&r, "obbbe");
    OK(fw_shutdown(0));
    END;
}

SCENARIO(send_queue_is_bounded)
{
    static record r;
    static unsigned char *bytes;
    static int sent;
    fw_result result;
    BEGIN;
    bytes = filled(256 << 10);
    create(&r, echo, "");
    OK(fw_socket_set_max_buffered_amount(r.socket, 1 << 20));
    OK(fw_socket_open(r.socket));
    CHECK_RESULT(fw_socket_send_binary(r.socket, bytes, 5), FW_RESULT_INVALID_STATE);
    AWAIT(r.opens);
    for (sent = 0; sent < 100; sent++) {
        result = fw_socket_send_binary(r.socket, bytes, 256 << 10);
        if (result != FW_RESULT_OK)
            break;
    }
    CHECK_RESULT(result, FW_RESULT_WOULD_BLOCK);
    CHECK(sent >= 4 && fw_socket_buffered_amount(r.socket) >= 1 << 20);
    AWAIT(fw_socket_buffered_amount(r.socket) == 0);
    OK(fw_socket_send_binary(r.socket, bytes, 1));
    AWAIT(r.messages == sent + 1);
    CHECK(r.bytes == (size_t)sent * (256 << 10) + 1);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    free(bytes);
    finish(&r, "obbbc");
    END;
}

static int outcomes[5];

static void on_sent(fw_socket socket, uint64_t tag, fw_outcome outcome, void *user_data)
{
    record *r = user_data;
    CHECK(socket.id == r->socket.id && r->ends == 0 && tag > 0);
    outcomes[outcome]++;
}

SCENARIO(lanes_drop_what_is_stale)
{
    enum { MESSAGES = 60 };
    static record r;
    static fw_lane lanes[2];
    static unsigned char *bulk;
    fw_message message;
    BEGIN;
    bulk = filled(65536);
    for (int lane = 0; lane < 2; lane++) {
        fw_lane_init(&lanes[lane], sizeof lanes[lane]);
        lanes[lane].priority = (uint32_t)lane;
    }
    start(&r, echo, "");
    OK(fw_socket_on_sent(r.socket, on_sent, &r));
    OK(fw_socket_set_lanes(r.socket, lanes, 2));
    AWAIT(r.opens);
    /* More than the browser sends at once, so that the rest waits here. */
    for (uint64_t number = 1; number <= MESSAGES; number++) {
        fw_message_init(&message, sizeof message);
        message.data = bulk;
        message.len = 65536;
        message.lane = 1;
        OK(fw_socket_send(r.socket, &message));
        message.lane = 0;
        message.len = 100;
        message.key = 5;
        message.tag = number;
        OK(fw_socket_send(r.socket, &message));
    }
    message.key = 0;
    message.ttl_ms = 1;
    OK(fw_socket_send(r.socket, &message));
    AWAIT(outcomes[1] + outcomes[2] + outcomes[3] == MESSAGES + 1);
    CHECK(outcomes[FW_OUTCOME_SENT] >= 1 && outcomes[FW_OUTCOME_REPLACED] >= 1);
    AWAIT(r.messages == MESSAGES + outcomes[FW_OUTCOME_SENT]);
    CHECK(fw_socket_buffered_amount(r.socket) == 0);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    finish(&r, "obbbc");
    free(bulk);
    END;
}

SCENARIO(subprotocol_is_negotiated)
{
    static record r;
    char text[64];
    BEGIN;
    create(&r, scripted, "second-protocol");
    OK(fw_socket_add_protocol(r.socket, "game.v1"));
    OK(fw_socket_add_protocol(r.socket, "game.v2"));
    CHECK_RESULT(fw_socket_add_protocol(r.socket, "game.v2"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_add_protocol(r.socket, "two words"), FW_RESULT_INVALID_ARGUMENT);
    OK(fw_socket_open(r.socket));
    AWAIT(r.opens);
    CHECK(fw_socket_protocol(r.socket, text, sizeof text) == 7 && strcmp(text, "game.v2") == 0);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    finish(&r, "oc");
    END;
}

SCENARIO(cancelled_connections_end_at_once)
{
    static record r;
    BEGIN;
    start(&r, scripted, "hang");
    OK(fw_socket_close(r.socket, 1000, NULL));
    CHECK(fw_socket_state(r.socket) == FW_STATE_CLOSED);
    AWAIT(r.ends);
    CHECK(r.code == 1006);
    finish(&r, "c");
    start(&r, echo, "");
    AWAIT(r.opens);
    OK(fw_socket_send_text(r.socket, "x", 1));
    OK(fw_socket_abort(r.socket));
    CHECK_RESULT(fw_socket_abort(r.socket), FW_RESULT_INVALID_STATE);
    AWAIT(r.ends);
    CHECK(r.code == 1006);
    PAUSE(100);
    CHECK(r.ends == 1);
    finish(&r, "oc");
    END;
}

SCENARIO(destroyed_socket_has_no_events)
{
    static record r, other;
    BEGIN;
    start(&r, echo, "count?n=100&size=8");
    start(&other, echo, "");
    AWAIT(r.opens && other.opens);
    OK(fw_socket_send_text(other.socket, "kept", 4));
    OK(fw_socket_destroy(r.socket));
    r.logged = 0;
    CHECK_RESULT(fw_socket_destroy(r.socket), FW_RESULT_INVALID_HANDLE);
    CHECK_RESULT(fw_socket_send_text(r.socket, "x", 1), FW_RESULT_INVALID_HANDLE);
    AWAIT(other.messages == 1);
    PAUSE(100);
    CHECK(r.logged == 0 && r.finalized == 1);
    /* Sends what is queued first. */
    OK(fw_socket_send_text(other.socket, "last", 4));
    OK(fw_socket_destroy_when_sent(other.socket, 1000));
    AWAIT(other.finalized);
    CHECK(other.ends == 0);
    END;
}

static int chat_lines, chat_left;

static void on_line(fw_socket socket, const char *text, size_t len, void *user_data)
{
    (void)socket;
    (void)user_data;
    chat_lines += len > 8192;
    /* Another close code than 1000 would follow. */
    chat_left += len == 11 && memcmp(text, "sender left", 11) == 0;
}

SCENARIO(everything_in_lanes_is_sent_before_the_end)
{
    enum { MESSAGES = 40 };
    static record listener, sender;
    static unsigned char *text;
    fw_message message;
    BEGIN;
    text = filled(8192);
    memset(text, 'x', 8192);
    create(&listener, echo, "chat?name=listener");
    OK(fw_socket_on_text(listener.socket, on_line, NULL));
    OK(fw_socket_open(listener.socket));
    start(&sender, echo, "chat?name=sender");
    AWAIT(listener.opens && sender.opens);
    /* More than the browser is given at once. */
    for (int number = 0; number < MESSAGES; number++) {
        fw_message_init(&message, sizeof message);
        message.opcode = FW_OPCODE_TEXT;
        message.data = text;
        message.len = 8192;
        OK(fw_socket_send(sender.socket, &message));
    }
    OK(fw_socket_destroy_when_sent(sender.socket, 1000));
    AWAIT(chat_left);
    CHECK(chat_lines == MESSAGES);
    OK(fw_socket_destroy(listener.socket));
    free(text);
    END;
}

static int log_lines;

static void on_log(fw_log_level level, fw_socket socket, const char *context, const char *message,
                   void *user_data)
{
    record *r = user_data;
    log_lines++;
    CHECK(level <= FW_LOG_DEBUG && message[0] != 0 && context != NULL);
    /* May call the library, also about the socket that is being worked on. */
    fw_socket_state(socket);
    fw_socket_send_text(r->socket, "x", 1);
    fw_poll(0, 0);
}

SCENARIO(log_callback_may_call_the_library)
{
    static record r;
    BEGIN;
    OK(fw_set_log(FW_LOG_DEBUG, on_log, &r));
    create(&r, echo, "");
    OK(fw_socket_set_context(r.socket, "match", "7"));
    OK(fw_socket_open(r.socket));
    AWAIT(r.opens);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    OK(fw_set_log(FW_LOG_OFF, NULL, NULL));
    CHECK(log_lines >= 2);
    finish(&r, "oc");
    END;
}

static int depth, nested_messages;
static bool nested_ended;

static void on_nested(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    fw_event event;
    (void)user_data;
    CHECK(depth++ == 0 && len == 8 && data[0] == nested_messages++ % 256);
    /* The events of a socket are delivered one at a time. */
    CHECK(fw_socket_poll(socket, 0, 0) == 0 && fw_poll(0, 0) == 0 && !fw_socket_next_event(socket, &event));
    CHECK_RESULT(fw_shutdown(0), FW_RESULT_INVALID_STATE);
    depth--;
}

static void on_nested_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)reason;
    (void)len;
    (void)user_data;
    CHECK(depth == 0 && code == 1000 && nested_messages == 300);
    nested_ended = true;
    OK(fw_socket_destroy(socket));
}

SCENARIO(callbacks_of_a_socket_do_not_nest)
{
    static fw_socket s;
    char url[256];
    BEGIN;
    snprintf(url, sizeof url, "%scount?n=300&size=8", echo);
    OK(fw_socket_create(url, &s));
    OK(fw_socket_on_binary(s, on_nested, NULL));
    OK(fw_socket_on_closed(s, on_nested_closed, NULL));
    OK(fw_socket_open(s));
    AWAIT(nested_ended);
    CHECK_RESULT(fw_socket_open(s), FW_RESULT_INVALID_HANDLE);
    END;
}

static fw_result shutdown_result;

static void on_log_shut_down(fw_log_level level, fw_socket socket, const char *context, const char *message,
                             void *user_data)
{
    (void)level;
    (void)socket;
    (void)context;
    (void)message;
    (void)user_data;
    shutdown_result = fw_shutdown(0);
}

SCENARIO(shutdown_inside_the_log_is_refused)
{
    static record r;
    BEGIN;
    create(&r, echo, "");
    OK(fw_set_log(FW_LOG_DEBUG, on_log_shut_down, NULL));
    fw_socket_open(r.socket);
    OK(fw_set_log(FW_LOG_OFF, NULL, NULL));
    CHECK(shutdown_result == FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_open(r.socket), FW_RESULT_INVALID_STATE);
    OK(fw_shutdown(0));
    CHECK(r.finalized == 1 && r.ends == 0);
    PAUSE(100);
    CHECK(r.logged == 0);
    END;
}

/* Allocator hooks: what the library has, at most. */
static size_t hooked, hooked_calls;

static void *hooked_alloc(size_t size, size_t align, void *user_data)
{
    void *block = NULL;
    CHECK(user_data == &hooked);
    hooked += size;
    hooked_calls++;
    return posix_memalign(&block, align, size) == 0 ? block : NULL;
}

static void hooked_free(void *block, size_t size, size_t align, void *user_data)
{
    (void)align;
    CHECK(user_data == &hooked);
    hooked -= size;
    free(block);
}

SCENARIO(allocator_of_the_program_is_used)
{
    static record r;
    fw_config config;
    BEGIN;
    OK(fw_shutdown(0));
    fw_config_init(&config, sizeof config);
    config.alloc = hooked_alloc;
    config.free = hooked_free;
    config.alloc_user_data = &hooked;
    OK(fw_init(&config));
    start(&r, echo, "");
    AWAIT(r.opens);
    OK(fw_socket_send_text(r.socket, "x", 1));
    AWAIT(r.messages);
    CHECK(hooked_calls > 10 && hooked > 0);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    finish(&r, "otc");
    OK(fw_shutdown(0));
    fw_config_init(&config, sizeof config);
    OK(fw_init(&config));
    OK(fw_shutdown(0));
    END;
}

SCENARIO(library_starts_again)
{
    static record r;
    static int round;
    BEGIN;
    for (round = 0; round < 3; round++) {
        start(&r, echo, "");
        AWAIT(r.opens);
        OK(fw_socket_send_text(r.socket, "x", 1));
        OK(fw_shutdown(1000));
        CHECK(r.finalized == 1 && r.ends == 0 && fw_pending() == 0);
        CHECK_RESULT(fw_socket_open(r.socket), FW_RESULT_INVALID_HANDLE);
        CHECK(!fw_wait(1000));
    }
    END;
}

/* What malloc has handed out, without free blocks of the pool. */
static size_t in_use(void)
{
    fw_buffer_pool_trim();
    return (size_t)mallinfo().uordblks;
}

SCENARIO(memory_stays_flat)
{
    static record r;
    /* The most in each half: queues that are empty for a moment have been freed. */
    static size_t most[2];
    static int sent, half;
    BEGIN;
    start(&r, echo, "");
    AWAIT(r.opens);
    /* The event queue keeps room for the most messages that were in it: all that are on their way at once. */
    polls = false;
    for (; sent < 1000; sent++)
        OK(fw_socket_send_binary(r.socket, "0123456789012345678901234567890123456789", 40));
    AWAIT(fw_pending() >= 1000);
    polls = true;
    AWAIT(r.messages == 1000);
    for (half = 1; half <= 2; half++) {
        while (r.messages < 1000 + memory_messages / 2 * half) {
            for (; sent < 1000 + memory_messages / 2 * half && sent - r.messages < 1000; sent++)
                OK(fw_socket_send_binary(r.socket, "0123456789012345678901234567890123456789", 40));
            AWAIT(frames > since_frame);
            if (most[half - 1] < in_use())
                most[half - 1] = in_use();
        }
    }
    printf("%d messages: at most %zu bytes in use in the first half, %zu in the second\n", memory_messages,
           most[0], most[1]);
    CHECK(most[0] > 0 && most[1] <= most[0] + 4096);
    OK(fw_socket_close(r.socket, 1000, NULL));
    AWAIT(r.ends);
    finish(&r, "obbbc");
    END;
}

#define ENTRY(name) {#name, name}
static const struct {
    const char *name;
    bool (*run)(void);
} scenarios[] = {
    ENTRY(every_function_exists),
    ENTRY(events_come_in_order_within_budgets),
    ENTRY(budget_is_exact),
    ENTRY(ten_thousand_messages_are_pulled_in_order),
    ENTRY(a_mebibyte_goes_both_ways),
    ENTRY(a_hundred_sockets_work_at_once),
    ENTRY(a_lost_connection_is_reconnected),
    ENTRY(reconnecting_ends_after_the_last_attempt),
    ENTRY(closing_wins_over_reconnecting),
    ENTRY(close_codes_are_those_of_a_page),
    ENTRY(failures_end_in_one_error),
    ENTRY(mixed_content_is_refused_with_the_reason),
    ENTRY(timeouts_apply),
    ENTRY(too_large_message_ends_the_connection),
    ENTRY(unread_messages_are_bounded),
    ENTRY(send_queue_is_bounded),
    ENTRY(lanes_drop_what_is_stale),
    ENTRY(subprotocol_is_negotiated),
    ENTRY(cancelled_connections_end_at_once),
    ENTRY(destroyed_socket_has_no_events),
    ENTRY(everything_in_lanes_is_sent_before_the_end),
    ENTRY(log_callback_may_call_the_library),
    ENTRY(memory_stays_flat),
    ENTRY(callbacks_of_a_socket_do_not_nest),
    ENTRY(shutdown_inside_the_log_is_refused),
    ENTRY(allocator_of_the_program_is_used),
    ENTRY(library_starts_again),
};

/* Milliseconds that a scenario may wait for one condition. */
#define PATIENCE 30000

static void frame(void)
{
    static size_t at;
    static const size_t count = sizeof scenarios / sizeof scenarios[0];
    static double started;
    int running = line;

    frames++;
    if (started == 0)
        started = check_now();
    if (polls && !pulls)
        fw_poll(one_event_per_frame ? 1 : 0, 0);
    if (scenarios[at].run()) {
        printf("%s: %d checks, %.0f ms\n", scenarios[at].name, (int)(checks_passed + checks_failed),
               check_now() - started);
        at++;
        line = 0;
        started = 0;
    } else if (line == running && check_now() - since > PATIENCE) {
        printf("%s: waited too long in line %d\n", scenarios[at].name, line);
        checks_failed++;
        at = count;
    }
    if (at == count) {
        emscripten_cancel_main_loop();
        emscripten_force_exit(check_report());
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    echo = argv[1];
    scripted = argv[2];
    if (argc > 3)
        memory_messages = atoi(argv[3]);
    if (argc > 4)
        insecure = argv[4];
    emscripten_set_main_loop(frame, 0, 1);
}
