/*
 * Measures how long each exported function blocks the calling thread, in two situations: a stream of
 * received 128 B messages, or a server that does not read and a full send queue. Functions of a socket are
 * called on that socket; those that require a closed or an opening socket, on another one.
 *
 *     every_call WS CERTIFICATE KEY [COUNT]
 *
 * The worker thread runs on another core than the calling thread, with priority over the server. Timer
 * overhead and the cost of an indirect call are measured first and subtracted. Set-up and clean-up of a
 * call are not measured.
 */

#include "framewire.h"
#include "timed.h"

#include <sched.h>
#include <string.h>

enum { LIBRARY_CORE = 0, TOGETHER = 50, PATIENCE_MS = 10000, ENOUGH_WAIT = 16384 };

static size_t count = 10000;
static const char *url, *situation;

static void fail(const char *what)
{
    char why[256];
    fw_last_error(why, sizeof why);
    fprintf(stderr, "%s, %s: %s\n", situation, what, why);
    exit(1);
}

#define MUST(call)                                                                                           \
    do {                                                                                                     \
        if ((call) != FW_RESULT_OK)                                                                          \
            fail(#call);                                                                                     \
    } while (0)

/* ----------------------------------------------------------------------------------------- arguments */

/* The socket that receives the stream, or whose server does not read. */
static fw_socket busy;
/* A closed socket, recreated for calls that add to it. */
static fw_socket closed;
/* A socket that waits for its request event to be released. */
static fw_socket opening;
static fw_event request_event;
static fw_request request;

static fw_tls tls;
static char certificate[16384], key[16384];
static size_t certificate_len, key_len;

static fw_segment segment;
static fw_event event;
/* The number of events that a game dequeues per frame. */
enum { SEVERAL = 16 };
static fw_event events[SEVERAL];
static size_t events_taken;
static fw_config config;
static fw_reconnect reconnect;
static fw_link link_conditions;
static fw_message message;
static fw_lane lane;
static fw_lane_stats lane_stats;
static fw_capture capture;
static fw_compression compression;
static fw_extension extension;
static fw_callbacks callbacks;
static fw_stats stats;
static fw_pool_stats pool_stats;
static uint8_t bytes[128], pin[32];
static char text[512];
static fw_log_level log_level;
static fw_socket log_socket;
static volatile uint64_t result;

static void on_socket(fw_socket s, void *u)
{
    (void)s, (void)u;
}
static void on_text(fw_socket s, const char *t, size_t n, void *u)
{
    (void)s, (void)t, (void)n, (void)u;
}
static void on_bytes(fw_socket s, const uint8_t *b, size_t n, void *u)
{
    (void)s, (void)b, (void)n, (void)u;
}
static void on_segment(fw_socket s, const fw_segment *g, void *u)
{
    (void)s, (void)g, (void)u;
}
static void on_frame(fw_socket s, const fw_frame *f, void *u)
{
    (void)s, (void)f, (void)u;
}
static void on_request(fw_socket s, fw_request r, void *u)
{
    (void)s, (void)r, (void)u;
}
static void on_closed(fw_socket s, uint16_t c, const char *r, size_t n, void *u)
{
    (void)s, (void)c, (void)r, (void)n, (void)u;
}
static void on_error(fw_socket s, const fw_error *e, void *u)
{
    (void)s, (void)e, (void)u;
}
static void on_sent(fw_socket s, uint64_t t, fw_outcome o, void *u)
{
    (void)s, (void)t, (void)o, (void)u;
}
static void on_reconnecting(fw_socket s, const fw_error *e, uint32_t a, uint32_t d, void *u)
{
    (void)s, (void)e, (void)a, (void)d, (void)u;
}
static void on_finalizer(void *u)
{
    (void)u;
}
static size_t offer(char *buf, size_t cap, void *u)
{
    (void)u;
    return cap > 6 ? (memcpy(buf, "x-none", 6), 6) : 0;
}

static void thread_started(void *user_data)
{
    cpu_set_t cores;
    struct sched_param ahead = {2};
    (void)user_data;
    CPU_ZERO(&cores);
    CPU_SET(LIBRARY_CORE, &cores);
    /* Without permission, the worker keeps the default priority. */
    sched_setaffinity(0, sizeof cores, &cores);
    sched_setscheduler(0, SCHED_RR, &ahead);
}

static void start(void)
{
    fw_config_init(&config, sizeof config);
    config.thread_started = thread_started;
    MUST(fw_init(&config));
}

static void read_file(const char *name, char *into, size_t cap, size_t *len)
{
    FILE *file = fopen(name, "rb");
    *len = file ? fread(into, 1, cap, file) : 0;
    if (!*len) {
        fprintf(stderr, "%s cannot be read\n", name);
        exit(1);
    }
    fclose(file);
}

/* ------------------------------------------------------------------------- set-up and clean-up of calls */

static fw_socket new_socket(const char *path)
{
    char whole[256];
    fw_socket socket;
    snprintf(whole, sizeof whole, "%s%s", url, path);
    MUST(fw_socket_create(whole, &socket));
    MUST(fw_socket_set_compression(socket, NULL));
    return socket;
}

static void await(fw_socket socket, fw_state state)
{
    uint64_t end = now_ns() + PATIENCE_MS * 1000000ull;
    while (fw_socket_state(socket) != state) {
        if (now_ns() > end || (state == FW_STATE_OPEN && fw_socket_state(socket) == FW_STATE_CLOSED))
            fail("a socket did not reach the expected state");
        fw_wait(1);
        fw_poll(256, 0);
    }
}

static fw_socket new_open_socket(const char *path)
{
    fw_socket socket = new_socket(path);
    MUST(fw_socket_open(socket));
    await(socket, FW_STATE_OPEN);
    return socket;
}

static void fresh_socket(void)
{
    fw_socket_destroy(closed);
    closed = new_socket("/idle");
}

static void fresh_tls(void)
{
    fw_tls_destroy(tls);
    MUST(fw_tls_create(&tls));
}

static void get_segment(void)
{
    MUST(fw_buffer_get(128, &segment));
}
/* If it was sent or released already, the handle is invalid and this does nothing. */
static void drop_segment(void)
{
    fw_segment_release(segment);
}
static void take_event(void)
{
    fw_next_event(&event);
}
static void drop_event(void)
{
    fw_event_release(&event);
}
static void take_events(void)
{
    events_taken = fw_next_events(events, SEVERAL);
}
static void drop_events(void)
{
    fw_events_release(events, events_taken);
}
static void drop_header(void)
{
    fw_request_remove_header(request, "X-Other");
}
static void drop_tls(void)
{
    fw_tls_destroy(tls);
}

/* --------------------------------------------------------------------------------------------- the calls */

typedef struct row {
    const char *name;
    void (*call)(void);
    void (*before)(void);
    void (*after)(void);
} row;

#define CALL(name, ...)                                                                                      \
    static void call_##name(void)                                                                            \
    {                                                                                                        \
        __VA_ARGS__;                                                                                         \
    }
/* A call that must succeed. */
#define SUCCEEDS(name, ...) CALL(name, if (name(__VA_ARGS__) != FW_RESULT_OK) fail(#name))
/* A call that returns a value, or that may be rejected because of a full queue. */
#define RETURNS(name, ...) CALL(name, result = (uint64_t)(uintptr_t)name(__VA_ARGS__))

RETURNS(fw_result_name, FW_RESULT_TIMED_OUT)
RETURNS(fw_last_error, text, sizeof text)
RETURNS(fw_state_name, FW_STATE_OPEN)
RETURNS(fw_phase_name, FW_PHASE_OPEN)
RETURNS(fw_error_kind_name, FW_ERROR_KIND_TLS)
RETURNS(fw_event_type_name, FW_EVENT_TEXT)
RETURNS(fw_outcome_name, FW_OUTCOME_SENT)
RETURNS(fw_capabilities)
RETURNS(fw_version)
RETURNS(fw_version_string)
RETURNS(fw_sizeof, FW_STRUCT_EVENT)
CALL(fw_config_init, fw_config_init(&config, sizeof config))
/* Fails, because the library is running; load.c measures the first call. */
RETURNS(fw_init, &config)
SUCCEEDS(fw_set_log, FW_LOG_OFF, NULL, NULL)
SUCCEEDS(fw_queue_log, FW_LOG_OFF)
RETURNS(fw_next_log, &log_level, &log_socket, NULL, 0, text, sizeof text)
SUCCEEDS(fw_network_changed)
SUCCEEDS(fw_suspend)
SUCCEEDS(fw_resume)
RETURNS(fw_android_init, &config, &config)
SUCCEEDS(fw_socket_create, text, &closed)
SUCCEEDS(fw_socket_destroy, closed)
SUCCEEDS(fw_socket_destroy_when_sent, closed, 1000)
SUCCEEDS(fw_socket_set_finalizer, busy, on_finalizer, NULL)
SUCCEEDS(fw_socket_set_user_data, busy, NULL)
RETURNS(fw_socket_user_data, busy)
SUCCEEDS(fw_socket_on_open, busy, on_socket, NULL)
SUCCEEDS(fw_socket_on_text, busy, on_text, NULL)
SUCCEEDS(fw_socket_on_text_segment, busy, on_segment, NULL)
SUCCEEDS(fw_socket_on_binary, busy, on_bytes, NULL)
SUCCEEDS(fw_socket_on_binary_no_alloc, busy, on_segment, NULL)
SUCCEEDS(fw_socket_on_incomplete_frame, closed, on_frame, NULL)
SUCCEEDS(fw_socket_on_internal_request_created, busy, on_request, NULL)
SUCCEEDS(fw_socket_on_pong, busy, on_bytes, NULL)
SUCCEEDS(fw_socket_on_reconnecting, busy, on_reconnecting, NULL)
SUCCEEDS(fw_socket_on_sent, busy, on_sent, NULL)
SUCCEEDS(fw_socket_on_closed, busy, on_closed, NULL)
SUCCEEDS(fw_socket_on_error, busy, on_error, NULL)
CALL(fw_callbacks_init, fw_callbacks_init(&callbacks, sizeof callbacks))
SUCCEEDS(fw_socket_set_callbacks, busy, &callbacks, NULL)
SUCCEEDS(fw_socket_set_dispatch, closed, FW_DISPATCH_POLL)
SUCCEEDS(fw_socket_enable_event, closed, FW_EVENT_REQUEST, true)
RETURNS(fw_poll, 1, 0)
RETURNS(fw_socket_poll, busy, 1, 0)
RETURNS(fw_pending)
RETURNS(fw_wait, 0)
RETURNS(fw_next_event, &event)
RETURNS(fw_socket_next_event, busy, &event)
CALL(fw_event_release, fw_event_release(&event))
CALL(fw_next_events, events_taken = fw_next_events(events, SEVERAL))
CALL(fw_socket_next_events, events_taken = fw_socket_next_events(busy, events, SEVERAL))
CALL(fw_events_release, fw_events_release(events, events_taken))
RETURNS(fw_socket_send_text, busy, "1", 1)
RETURNS(fw_socket_send_binary, busy, bytes, sizeof bytes)
RETURNS(fw_socket_send_text_with, busy, "1", 1, FW_SEND_UNCOMPRESSED)
RETURNS(fw_socket_send_binary_with, busy, bytes, sizeof bytes, FW_SEND_UNCOMPRESSED)
RETURNS(fw_socket_send_text_segment, busy, segment)
RETURNS(fw_socket_send_binary_segment, busy, segment)
RETURNS(fw_socket_ping, busy, "", 0)
RETURNS(fw_socket_buffered_amount, busy)
SUCCEEDS(fw_socket_set_max_buffered_amount, busy, 1 << 20)
SUCCEEDS(fw_buffer_get, 128, &segment)
SUCCEEDS(fw_segment_retain, segment)
SUCCEEDS(fw_segment_release, segment)
CALL(fw_pool_stats_init, fw_pool_stats_init(&pool_stats, sizeof pool_stats))
SUCCEEDS(fw_buffer_pool_stats, &pool_stats)
CALL(fw_buffer_pool_trim, fw_buffer_pool_trim())
SUCCEEDS(fw_socket_set_origin, closed, "https://game.example")
SUCCEEDS(fw_socket_add_protocol, closed, "chat")
SUCCEEDS(fw_socket_add_header, closed, "X-Game", "1")
SUCCEEDS(fw_socket_set_basic_auth, closed, "name", "word")
SUCCEEDS(fw_socket_set_bearer_auth, closed, "token")
SUCCEEDS(fw_socket_set_max_fragment_size, busy, 32767)
SUCCEEDS(fw_socket_set_http_version, closed, FW_HTTP_1)
SUCCEEDS(fw_socket_set_max_message_size, closed, 1 << 20)
SUCCEEDS(fw_socket_set_start_ping_thread, busy, false)
SUCCEEDS(fw_socket_set_ping_frequency, busy, 5000)
SUCCEEDS(fw_socket_set_close_after_no_message, busy, 60000)
SUCCEEDS(fw_socket_set_connect_timeout, closed, 5000)
SUCCEEDS(fw_socket_set_close_timeout, closed, 5000)
SUCCEEDS(fw_socket_set_tls, closed, tls)
SUCCEEDS(fw_socket_set_context, closed, "who", "me")
SUCCEEDS(fw_socket_set_proxy, closed, "direct")
SUCCEEDS(fw_socket_set_max_redirects, closed, 3)
SUCCEEDS(fw_socket_set_cookies, closed, true)
CALL(fw_reconnect_init, fw_reconnect_init(&reconnect, sizeof reconnect))
SUCCEEDS(fw_socket_set_reconnect, closed, &reconnect)
CALL(fw_message_init, fw_message_init(&message, sizeof message); message.data = bytes;
     message.len = sizeof bytes)
RETURNS(fw_socket_send, busy, &message)
CALL(fw_lane_init, fw_lane_init(&lane, sizeof lane))
SUCCEEDS(fw_socket_set_lanes, busy, &lane, 1)
CALL(fw_lane_stats_init, fw_lane_stats_init(&lane_stats, sizeof lane_stats))
SUCCEEDS(fw_socket_lane_stats, busy, 0, &lane_stats)
CALL(fw_link_init, fw_link_init(&link_conditions, sizeof link_conditions))
SUCCEEDS(fw_socket_set_link, closed, &link_conditions)
CALL(fw_capture_init, fw_capture_init(&capture, sizeof capture))
SUCCEEDS(fw_socket_set_capture, closed, "/dev/null", &capture)
CALL(fw_compression_init, fw_compression_init(&compression, sizeof compression))
SUCCEEDS(fw_socket_set_compression, closed, &compression)
CALL(fw_extension_init, fw_extension_init(&extension, sizeof extension))
SUCCEEDS(fw_socket_add_extension, closed, &extension)
SUCCEEDS(fw_socket_offer_extension, closed, "x-own; level=3", 2)
SUCCEEDS(fw_tls_create, &tls)
SUCCEEDS(fw_tls_add_ca_pem, tls, certificate, certificate_len)
SUCCEEDS(fw_tls_set_client_cert_pem, tls, certificate, certificate_len, key, key_len)
SUCCEEDS(fw_tls_add_pin_sha256, tls, pin)
SUCCEEDS(fw_tls_set_roots, tls, FW_ROOTS_NONE)
SUCCEEDS(fw_tls_set_insecure, tls, false)
SUCCEEDS(fw_tls_set_key_log, tls, false)
SUCCEEDS(fw_tls_destroy, tls)
RETURNS(fw_socket_state, busy)
RETURNS(fw_socket_is_open, busy)
RETURNS(fw_socket_latency_us, busy)
RETURNS(fw_socket_last_message_received, busy)
RETURNS(fw_socket_protocol, busy, text, sizeof text)
RETURNS(fw_socket_extensions, busy, text, sizeof text)
RETURNS(fw_socket_http_version, busy)
RETURNS(fw_socket_response_status, busy)
RETURNS(fw_socket_response_header, busy, "Upgrade", text, sizeof text)
RETURNS(fw_socket_response_headers, busy, text, sizeof text)
RETURNS(fw_socket_response_body, busy, text, sizeof text)
RETURNS(fw_socket_url, busy, text, sizeof text)
CALL(fw_stats_init, fw_stats_init(&stats, sizeof stats))
SUCCEEDS(fw_socket_stats, busy, &stats)
RETURNS(fw_request_url, request, text, sizeof text)
RETURNS(fw_request_http_version, request)
RETURNS(fw_request_attempt, request)
SUCCEEDS(fw_request_set_header, request, "X-Game", "1")
SUCCEEDS(fw_request_add_header, request, "X-Other", "1")
RETURNS(fw_request_remove_header, request, "X-Other")
RETURNS(fw_request_header, request, "X-Game", text, sizeof text)

static void url_in_text(void)
{
    snprintf(text, sizeof text, "%s/idle", url);
}
static void no_closed(void)
{
    closed.id = 0;
}
static void drop_closed(void)
{
    fw_socket_destroy(closed);
    no_closed();
}
static void new_closed(void)
{
    closed = new_socket("/idle");
}
static void add_other(void)
{
    fw_request_add_header(request, "X-Other", "1");
}
static void resume(void)
{
    fw_resume();
}
static void suspend(void)
{
    fw_suspend();
}
static void fresh_structs(void)
{
    fw_reconnect_init(&reconnect, sizeof reconnect);
    fw_compression_init(&compression, sizeof compression);
    fw_extension_init(&extension, sizeof extension);
    extension.add_negotiation = offer;
    fresh_socket();
}
/* Sets all callbacks that the previous rows have set one by one. */
static void every_callback(void)
{
    fw_callbacks_init(&callbacks, sizeof callbacks);
    callbacks.open = on_socket;
    callbacks.text = on_text;
    callbacks.text_segment = on_segment;
    callbacks.binary = on_bytes;
    callbacks.binary_no_alloc = on_segment;
    callbacks.internal_request_created = on_request;
    callbacks.pong = on_bytes;
    callbacks.reconnecting = on_reconnecting;
    callbacks.closed = on_closed;
    callbacks.error = on_error;
}
static void empty_call(void) {}

#define ROW(name) {#name, call_##name, NULL, NULL}
#define ROW_WITH(name, before, after) {#name, call_##name, before, after}

/* clang-format off */
static const row rows[] = {
    ROW(fw_result_name), ROW(fw_state_name), ROW(fw_phase_name), ROW(fw_error_kind_name),
    ROW(fw_event_type_name), ROW(fw_outcome_name), ROW(fw_capabilities), ROW(fw_last_error), ROW(fw_version), ROW(fw_version_string), ROW(fw_sizeof),
    ROW(fw_config_init), ROW(fw_init), ROW(fw_set_log),
    ROW(fw_queue_log), ROW(fw_next_log),
    ROW_WITH(fw_socket_create, url_in_text, drop_closed), ROW_WITH(fw_socket_destroy, new_closed, no_closed),
    ROW_WITH(fw_socket_destroy_when_sent, new_closed, no_closed),
    ROW(fw_socket_set_finalizer), ROW(fw_socket_set_user_data), ROW(fw_socket_user_data),
    ROW(fw_socket_on_open), ROW(fw_socket_on_text), ROW(fw_socket_on_text_segment),
    ROW(fw_socket_on_binary), ROW(fw_socket_on_binary_no_alloc),
    ROW_WITH(fw_socket_on_incomplete_frame, fresh_socket, NULL), ROW(fw_socket_on_internal_request_created),
    ROW(fw_socket_on_pong), ROW(fw_socket_on_reconnecting), ROW(fw_socket_on_sent), ROW(fw_socket_on_closed), ROW(fw_socket_on_error),
    ROW(fw_callbacks_init), ROW_WITH(fw_socket_set_callbacks, every_callback, NULL),
    ROW_WITH(fw_socket_set_dispatch, fresh_socket, NULL), ROW_WITH(fw_socket_enable_event, fresh_socket, NULL),
    ROW(fw_poll), ROW(fw_socket_poll), ROW(fw_pending), ROW(fw_wait),
    ROW_WITH(fw_next_event, NULL, drop_event), ROW_WITH(fw_socket_next_event, NULL, drop_event),
    ROW_WITH(fw_event_release, take_event, NULL), ROW_WITH(fw_next_events, NULL, drop_events),
    ROW_WITH(fw_socket_next_events, NULL, drop_events), ROW_WITH(fw_events_release, take_events, NULL),
    ROW(fw_socket_send_text), ROW(fw_socket_send_binary), ROW(fw_socket_send_text_with),
    ROW(fw_socket_send_binary_with), ROW_WITH(fw_socket_send_text_segment, get_segment, drop_segment),
    ROW_WITH(fw_socket_send_binary_segment, get_segment, drop_segment), ROW(fw_socket_ping),
    ROW(fw_socket_buffered_amount), ROW(fw_socket_set_max_buffered_amount),
    ROW_WITH(fw_buffer_get, NULL, drop_segment),
    ROW_WITH(fw_segment_release, get_segment, NULL), ROW(fw_pool_stats_init),
    ROW(fw_buffer_pool_stats), ROW(fw_buffer_pool_trim),
    ROW_WITH(fw_socket_set_origin, fresh_socket, NULL), ROW_WITH(fw_socket_add_protocol, fresh_socket, NULL),
    ROW_WITH(fw_socket_add_header, fresh_socket, NULL), ROW_WITH(fw_socket_set_basic_auth, fresh_socket, NULL),
    ROW_WITH(fw_socket_set_bearer_auth, fresh_socket, NULL), ROW(fw_socket_set_max_fragment_size),
    ROW_WITH(fw_socket_set_http_version, fresh_socket, NULL),
    ROW_WITH(fw_socket_set_max_message_size, fresh_socket, NULL), ROW(fw_socket_set_start_ping_thread),
    ROW(fw_socket_set_ping_frequency), ROW(fw_socket_set_close_after_no_message),
    ROW_WITH(fw_socket_set_connect_timeout, fresh_socket, NULL),
    ROW_WITH(fw_socket_set_close_timeout, fresh_socket, NULL), ROW_WITH(fw_socket_set_context, fresh_socket, NULL),
    ROW_WITH(fw_socket_set_proxy, fresh_socket, NULL), ROW_WITH(fw_socket_set_max_redirects, fresh_socket, NULL),
    ROW_WITH(fw_socket_set_cookies, fresh_socket, NULL), ROW(fw_reconnect_init),
    ROW_WITH(fw_socket_set_reconnect, fresh_structs, NULL), ROW(fw_link_init), ROW(fw_socket_set_link),
    ROW(fw_capture_init), ROW(fw_socket_set_capture),
    ROW(fw_compression_init),
    ROW_WITH(fw_socket_set_compression, fresh_structs, NULL), ROW(fw_extension_init),
    ROW_WITH(fw_socket_add_extension, fresh_structs, NULL),
    ROW_WITH(fw_socket_offer_extension, fresh_structs, NULL),
    ROW_WITH(fw_tls_create, NULL, drop_tls), ROW_WITH(fw_tls_add_ca_pem, fresh_tls, NULL),
    ROW_WITH(fw_tls_set_client_cert_pem, fresh_tls, NULL), ROW_WITH(fw_tls_add_pin_sha256, fresh_tls, NULL),
    ROW(fw_tls_set_roots), ROW(fw_tls_set_insecure), ROW(fw_tls_set_key_log),
    ROW_WITH(fw_socket_set_tls, fresh_socket, NULL), ROW_WITH(fw_tls_destroy, fresh_tls, NULL),
    ROW(fw_socket_state), ROW(fw_socket_is_open), ROW(fw_socket_latency_us), ROW(fw_socket_last_message_received),
    ROW(fw_socket_protocol), ROW(fw_socket_extensions), ROW(fw_socket_http_version), ROW(fw_socket_response_status),
    ROW(fw_socket_response_header), ROW(fw_socket_response_headers), ROW(fw_socket_response_body), ROW(fw_socket_url),
    ROW(fw_stats_init), ROW(fw_socket_stats),
    ROW(fw_request_url), ROW(fw_request_http_version), ROW(fw_request_attempt), ROW(fw_request_set_header),
    ROW_WITH(fw_request_add_header, NULL, drop_header), ROW_WITH(fw_request_remove_header, add_other, NULL),
    ROW(fw_request_header),
    /* From here on, the messages of the socket wait in lanes. */
    ROW(fw_message_init), ROW(fw_socket_send), ROW(fw_lane_init), ROW(fw_socket_set_lanes),
    ROW(fw_lane_stats_init), ROW(fw_socket_lane_stats),
};

/* Calls that may end the connection, or take effect later, run last. */
static const row last_rows[] = {
    ROW(fw_network_changed), ROW_WITH(fw_suspend, NULL, resume), ROW_WITH(fw_resume, suspend, NULL),
    ROW(fw_android_init),
};
/* clang-format on */

/* Limits the queued events but leaves at least one, and runs finalizers, as a game does every frame. */
static void run_frame(void)
{
    fw_poll(fw_pending() > ENOUGH_WAIT ? ENOUGH_WAIT / 2 : 1, 0);
}

static void measure(const row *row, size_t times_called)
{
    size_t i;
    for (i = 0; i < times_called; i++) {
        uint64_t begun;
        if (row->before)
            row->before();
        begun = now_ns();
        row->call();
        keep(now_ns() - begun);
        if (row->after)
            row->after();
        if (i % 16 == 15)
            run_frame();
    }
}

static void measure_overhead(void)
{
    static const row nothing = {"nothing", empty_call, NULL, NULL};
    size_t i;
    for (i = 0; i < 10000; i++) {
        uint64_t begun = now_ns();
        nothing.call();
        keep(now_ns() - begun);
    }
    set_overhead();
}

/* ------------------------------------------------------------------------- opening and closing sockets */

/* Opens and ends TOGETHER sockets at a time; measures the opening or the ending. */
static void measure_lifecycle(fw_result (*end)(fw_socket), const char *name, bool opens)
{
    fw_socket some[TOGETHER];
    size_t done, i;
    for (done = 0; done < count / 5; done += TOGETHER) {
        for (i = 0; i < TOGETHER; i++) {
            uint64_t begun;
            some[i] = new_socket("/idle");
            begun = now_ns();
            MUST(fw_socket_open(some[i]));
            if (opens)
                keep(now_ns() - begun);
        }
        for (i = 0; i < TOGETHER; i++)
            await(some[i], FW_STATE_OPEN);
        for (i = 0; i < TOGETHER; i++) {
            uint64_t begun = now_ns();
            MUST(end(some[i]));
            if (!opens)
                keep(now_ns() - begun);
        }
        for (i = 0; i < TOGETHER; i++)
            fw_socket_destroy(some[i]);
        run_frame();
    }
    report(situation, name);
}

static fw_result end_by_close(fw_socket socket)
{
    return fw_socket_close(socket, 1000, "bye");
}
static fw_result end_by_abort(fw_socket socket)
{
    return fw_socket_abort(socket);
}

static void hold_a_request(void)
{
    opening = new_socket("/idle");
    MUST(fw_socket_enable_event(opening, FW_EVENT_REQUEST, true));
    MUST(fw_socket_open(opening));
    while (!fw_socket_next_event(opening, &request_event))
        fw_wait(1);
    if (request_event.type != FW_EVENT_REQUEST)
        fail("no request");
    request = request_event.request;
    MUST(fw_request_set_header(request, "X-Game", "0"));
}

/* Each call adds a reference; all are released at the end. */
static void measure_retain(void)
{
    static const row retain = ROW(fw_segment_retain);
    size_t i;
    get_segment();
    measure(&retain, count);
    for (i = 0; i < count; i++)
        fw_segment_release(segment);
    fw_segment_release(segment);
    report(situation, retain.name);
}

static void flood(void)
{
    char number[24];
    /* More than can be received during the measurement. */
    MUST(fw_socket_send_text(busy, number, (size_t)sprintf(number, "%u", 4000000000u)));
}

static void stall(void)
{
    static uint8_t large[65536];
    struct timespec pause = {0, 50000000};
    /* The system's buffers are full when the amount no longer changes. */
    for (;;) {
        while (fw_socket_send_binary(busy, large, sizeof large) == FW_RESULT_OK) {
        }
        nanosleep(&pause, NULL);
        if (fw_socket_send_binary(busy, large, sizeof large) != FW_RESULT_OK)
            return;
    }
}

static void every_call(const char *path, void (*make_busy)(void))
{
    uint64_t begun;
    size_t i;
    start();
    closed = new_socket("/idle");
    MUST(fw_tls_create(&tls));
    hold_a_request();
    busy = new_open_socket(path);
    make_busy();

    for (i = 0; i < sizeof rows / sizeof *rows; i++) {
        measure(&rows[i], count);
        report(situation, rows[i].name);
    }
    measure_retain();
    measure_lifecycle(end_by_close, "fw_socket_open", true);
    measure_lifecycle(end_by_close, "fw_socket_close", false);
    measure_lifecycle(end_by_abort, "fw_socket_abort", false);
    for (i = 0; i < sizeof last_rows / sizeof *last_rows; i++) {
        measure(&last_rows[i], count / 10);
        report(situation, last_rows[i].name);
    }
    fw_event_release(&request_event);
    /* May block, and is measured with all of the above still open. */
    begun = now_ns();
    MUST(fw_shutdown(5000));
    keep(now_ns() - begun);
    report(situation, "fw_shutdown");
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: %s ws://HOST:PORT CERTIFICATE KEY [COUNT]\n", argv[0]);
        return 2;
    }
    url = argv[1];
    read_file(argv[2], certificate, sizeof certificate, &certificate_len);
    read_file(argv[3], key, sizeof key, &key_len);
    if (argc > 4)
        count = strtoull(argv[4], NULL, 10);
    measure_overhead();
    situation = "128 B messages stream in";
    every_call("/flood/128", flood);
    situation = "the server reads nothing";
    every_call("/stall", stall);
    return 0;
}
