/* Random calls: eight threads call every function with valid, stale, zero and random arguments, also in
 * callbacks, while others shut the library down and restart it. Nothing may crash, hang or leak; every
 * finalizer runs once. `cargo xtask test` checks that no function is missing.
 *
 * hostile_caller [--seconds N] WS [WSS CA], for 4 seconds by default; FRAMEWIRE_SEED is the seed of the
 * random numbers. `cargo xtask hostile --minutes N` runs it for longer. */

#include "check.h"

#include <pthread.h>

enum { THREADS = 8, SOCKETS = 48, SEGMENTS = 64, SETTINGS = 8, FINALIZERS = 1 << 27 };

static const char *ws_url, *wss_url;
static char pem[64 * 1024];
static size_t pem_len;
static atomic_bool stop;

/* Objects that all threads share and replace. */
static _Atomic uint64_t sockets[SOCKETS], settings[SETTINGS], requests[SETTINGS];
static fw_segment segments[SEGMENTS];
static pthread_mutex_t segments_lock = PTHREAD_MUTEX_INITIALIZER;

/* One for each finalizer that was set: 1 while it may still run, 2 after it ran. */
static _Atomic unsigned char finalizers[FINALIZERS];
static atomic_int finalizers_set, finalizers_run, finalizers_wrong;
static atomic_long calls, callbacks, extensions_added, extensions_destroyed;

/* ------------------------------------------------------------------------------------ random numbers */

typedef struct rng {
    uint64_t state;
    int depth;
} rng;

static uint64_t next_random(rng *d)
{
    d->state ^= d->state << 13;
    d->state ^= d->state >> 7;
    d->state ^= d->state << 17;
    return d->state;
}

static unsigned below(rng *d, unsigned n)
{
    return (unsigned)((next_random(d) >> 16) % n);
}

static const char *any_text(rng *d)
{
    static char large[9000];
    static const char *const values[] = {
        "chat", "X-Game",    "", "a b", "x\r\nEvil: 1", "\xff\xfe", "Host", "gr\xc3\xbc\xc3\x9f",
        "\x01", "1; q=2, 3",
    };
    if (!large[0])
        memset(large, 'l', sizeof large - 1);
    switch (below(d, 8)) {
    case 0:
        return NULL;
    case 1:
        return large;
    default:
        return values[below(d, sizeof values / sizeof *values)];
    }
}

/* Also of files that cannot be created or written. */
static const char *any_capture_path(rng *d)
{
    static const char *const values[] = {
        NULL, "", "/dev/null", "/dev/full", "/", "/does/not/exist.pcapng",
    };
    return values[below(d, sizeof values / sizeof *values)];
}

static const char *any_url(rng *d)
{
    static const char *const values[] = {
        "ws://127.0.0.1:1/", "ws://[::1]:1/", "ws://no-such-name.invalid/", "http://", "ws://",
        "wss://a:b@c/",      "ftp://x/",
    };
    switch (below(d, 6)) {
    case 0:
        return any_text(d);
    case 1:
        return values[below(d, sizeof values / sizeof *values)];
    case 2:
        return wss_url ? wss_url : ws_url;
    default:
        return ws_url;
    }
}

static uint64_t any_id(rng *d, _Atomic uint64_t *shared, unsigned count)
{
    switch (below(d, 12)) {
    case 0:
        return 0;
    case 1:
        return next_random(d);
    /* A valid or stale handle with a different number. */
    case 2:
        return shared[below(d, count)] ^ 1ull << below(d, 64);
    default:
        return shared[below(d, count)];
    }
}

static fw_socket any_socket(rng *d)
{
    fw_socket socket = {any_id(d, sockets, SOCKETS)};
    return socket;
}

static fw_tls any_settings(rng *d)
{
    fw_tls tls = {any_id(d, settings, SETTINGS)};
    return tls;
}

static fw_request any_request(rng *d)
{
    fw_request request = {any_id(d, requests, SETTINGS)};
    return request;
}

/* The library only compares IDs and pointers of a segment, so random ones are allowed. */
static fw_segment any_segment(rng *d)
{
    fw_segment segment;
    pthread_mutex_lock(&segments_lock);
    segment = segments[below(d, SEGMENTS)];
    pthread_mutex_unlock(&segments_lock);
    switch (below(d, 10)) {
    case 0:
        segment.buffer.id = next_random(d);
        break;
    case 1:
        segment.offset = (size_t)next_random(d);
        break;
    case 2:
        segment.count = (size_t)next_random(d);
        break;
    case 3:
        segment.data = (uint8_t *)&stop;
        break;
    default:
        break;
    }
    return segment;
}

static void store_segment(rng *d, fw_segment segment)
{
    unsigned place = below(d, SEGMENTS);
    fw_segment old;
    pthread_mutex_lock(&segments_lock);
    old = segments[place];
    segments[place] = segment;
    pthread_mutex_unlock(&segments_lock);
    fw_segment_release(old);
}

static const void *any_bytes(rng *d, size_t *len)
{
    static char bytes[40000];
    if (!bytes[1])
        memset(bytes, 'b', sizeof bytes);
    *len = below(d, 4) ? below(d, 300) : below(d, sizeof bytes);
    if (below(d, 16) == 0)
        return NULL; /* with a length: refused */
    if (below(d, 16) == 0)
        *len = 0;
    return bytes;
}

static size_t any_size(rng *d)
{
    static const size_t values[] = {0,       1, 2, 125, 126, 1000, 65535, 65536, 1 << 20, (size_t)1 << 31,
                                    SIZE_MAX};
    return below(d, 3) ? values[below(d, sizeof values / sizeof *values)] : (size_t)below(d, 100000);
}

static uint32_t any_number(rng *d)
{
    return below(d, 4) ? below(d, 12) : (uint32_t)next_random(d);
}

/* For fw_X_init, which never writes beyond the struct, whatever the size. */
static size_t any_struct_size(rng *d, size_t right)
{
    return below(d, 2) ? right : below(d, 2) ? below(d, (unsigned)right + 1) : any_size(d);
}

/* For calls that read struct_size bytes: no size that would be valid beyond the struct. */
static uint32_t random_struct_size(rng *d, size_t right)
{
    uint32_t size = any_number(d);
    return below(d, 9) ? (uint32_t)right : size > right && size <= 4096 ? 0 : size;
}

/* -------------------------------------------------------------------------------- callbacks */

static void one_call(rng *d);

/* Each thread that runs callbacks has its own random numbers. */
static _Thread_local rng callback_dice;

static void call_from_callback(void)
{
    rng *d = &callback_dice;
    callbacks++;
    if (!d->state)
        d->state = (uint64_t)(uintptr_t)d * 0x9e3779b97f4a7c15ull | 1;
    if (d->depth >= 2)
        return;
    d->depth++;
    if (below(d, 3) == 0)
        one_call(d);
    d->depth--;
}

/* Reads all bytes of an argument; tools detect invalid ones. */
static void read_all(const void *bytes, size_t len)
{
    static atomic_uint sum;
    const unsigned char *at = bytes;
    unsigned own = 0;
    while (len--)
        own += *at++;
    sum += own;
}

static void on_socket(fw_socket s, void *u)
{
    (void)s, (void)u, call_from_callback();
}
static void on_text(fw_socket s, const char *t, size_t n, void *u)
{
    (void)s, (void)u;
    read_all(t, n);
    call_from_callback();
}
static void on_bytes(fw_socket s, const uint8_t *t, size_t n, void *u)
{
    (void)s, (void)u;
    read_all(t, n);
    call_from_callback();
}
static void on_segment(fw_socket s, const fw_segment *segment, void *u)
{
    (void)s, (void)u;
    if (below(&callback_dice, 4) == 0 && fw_segment_retain(*segment) == FW_RESULT_OK)
        store_segment(&callback_dice, *segment);
    call_from_callback();
}
static void on_frame(fw_socket s, const fw_frame *frame, void *u)
{
    (void)s, (void)u, (void)frame;
    call_from_callback();
}
static void on_request(fw_socket s, fw_request request, void *u)
{
    (void)s, (void)u;
    requests[below(&callback_dice, SETTINGS)] = request.id;
    call_from_callback();
}
static void on_closed(fw_socket s, uint16_t code, const char *reason, size_t n, void *u)
{
    (void)code;
    on_text(s, reason, n, u);
}
static void on_error(fw_socket s, const fw_error *error, void *u)
{
    (void)s, (void)u;
    if (!error->message || !error->message[0])
        checks_failed++;
    call_from_callback();
}
static void on_sent(fw_socket s, uint64_t tag, fw_outcome outcome, void *u)
{
    (void)s, (void)u;
    if (tag == 0 || outcome < FW_OUTCOME_SENT || outcome > FW_OUTCOME_LOST)
        checks_failed++;
    call_from_callback();
}
static void on_reconnecting(fw_socket s, const fw_error *error, uint32_t attempt, uint32_t delay_ms, void *u)
{
    (void)delay_ms;
    if (attempt == 0)
        checks_failed++;
    on_error(s, error, u);
}
static void on_log(fw_log_level level, fw_socket s, const char *context, const char *message, void *u)
{
    (void)level, (void)s, (void)u;
    if (!context || !message)
        checks_failed++;
    call_from_callback();
}

static void on_finalizer(void *user_data)
{
    _Atomic unsigned char *own = user_data;
    if (atomic_exchange(own, 2) != 1)
        finalizers_wrong++;
    finalizers_run++;
}

/* Sets a finalizer on a socket that no other thread knows yet. */
static void set_counted_finalizer(fw_socket socket)
{
    int number = finalizers_set++;
    if (number >= FINALIZERS)
        return;
    finalizers[number] = 1;
    if (fw_socket_set_finalizer(socket, on_finalizer, (void *)&finalizers[number]) != FW_RESULT_OK) {
        /* The library was shut down meanwhile. */
        finalizers[number] = 2;
        finalizers_run++;
    }
}

static size_t offer(char *buf, size_t cap, void *u)
{
    (void)u;
    return cap > 6 ? (memcpy(buf, "x-wild", 6), 6) : 0;
}
static uint32_t accept_offer(const char *element, size_t n, void *u)
{
    (void)element, (void)u;
    return n > 0;
}
static void on_extension_destroyed(void *u)
{
    (void)u, extensions_destroyed++;
}

/* ------------------------------------------------------------------------------ the functions */

#define DO(name, body)                                                                                       \
    static void do_##name(rng *d)                                                                            \
    {                                                                                                        \
        (void)d;                                                                                             \
        body                                                                                                 \
    }
#define SETTER(name, ...) DO(name, name(any_socket(d), __VA_ARGS__);)
#define LISTEN(name, fn) DO(name, name(any_socket(d), below(d, 5) ? fn : NULL, NULL);)
#define COPY(name, ...)                                                                                      \
    DO(name, char buf[40]; size_t cap = below(d, sizeof buf + 1); name(__VA_ARGS__, cap ? buf : NULL, cap);)
#define ASK(name) DO(name, (void)name(any_socket(d));)

DO(fw_result_name, if (!fw_result_name(any_number(d))) checks_failed++;)
#define NAME(name) DO(name, if (!name(any_number(d))) checks_failed++;)
NAME(fw_state_name)
NAME(fw_phase_name)
NAME(fw_error_kind_name)
NAME(fw_event_type_name)
NAME(fw_outcome_name)
DO(fw_last_error, char buf[100]; size_t cap = below(d, 101); fw_last_error(cap ? buf : NULL, cap);)
DO(fw_version, fw_version();)
DO(fw_capabilities, fw_capabilities();)
DO(fw_version_string, fw_version_string();)
DO(fw_sizeof, fw_sizeof(any_number(d));)
DO(fw_config_init, fw_config config;
   fw_config_init(below(d, 9) ? &config : NULL, any_struct_size(d, sizeof config));)
DO(fw_init, fw_config config; fw_config_init(&config, sizeof config); config.worker_threads = below(d, 5);
   config.event_queue_bytes = below(d, 2) ? 65536 : any_size(d);
   config.struct_size = random_struct_size(d, sizeof config); fw_init(below(d, 9) ? &config : NULL);)
DO(fw_shutdown, if (below(d, 300) == 0) fw_shutdown(below(d, 2) ? 0 : 2000);)
DO(fw_set_log, fw_set_log(any_number(d), below(d, 2) ? on_log : NULL, NULL);)
DO(fw_queue_log, fw_queue_log(any_number(d));)
DO(fw_next_log, fw_log_level level; fw_socket about; char context[64]; char message[200];
   fw_next_log(below(d, 9) ? &level : NULL, below(d, 9) ? &about : NULL, below(d, 2) ? context : NULL,
               below(d, sizeof context + 1), below(d, 2) ? message : NULL, below(d, sizeof message + 1));)
DO(
    fw_socket_create, fw_socket socket = {0}; fw_socket old;
    if (fw_socket_create(any_url(d), below(d, 50) ? &socket : NULL) == FW_RESULT_OK) {
        set_counted_finalizer(socket);
        old.id = atomic_exchange(&sockets[below(d, SOCKETS)], socket.id);
        fw_socket_destroy(old);
    })
DO(fw_socket_open, fw_socket_open(any_socket(d));)
SETTER(fw_socket_close, (uint16_t)next_random(d), any_text(d))
DO(fw_socket_abort, if (below(d, 4) == 0) fw_socket_abort(any_socket(d));)
DO(fw_socket_destroy, if (below(d, 4) == 0) fw_socket_destroy(any_socket(d));)
DO(fw_socket_destroy_when_sent,
   if (below(d, 4) == 0) fw_socket_destroy_when_sent(any_socket(d), (uint32_t)below(d, 2000));)
/* Uses a new socket: on a shared one it would replace another finalizer. */
DO(
    fw_socket_set_finalizer, fw_socket socket; fw_socket wild = {next_random(d)};
    fw_socket_set_finalizer(wild, on_finalizer, NULL);
    if (fw_socket_create(ws_url, &socket) == FW_RESULT_OK) {
        set_counted_finalizer(socket);
        fw_socket_destroy(socket);
    })
SETTER(fw_socket_set_user_data, d)
ASK(fw_socket_user_data)
LISTEN(fw_socket_on_open, on_socket)
LISTEN(fw_socket_on_text, on_text)
LISTEN(fw_socket_on_text_segment, on_segment)
LISTEN(fw_socket_on_binary, on_bytes)
LISTEN(fw_socket_on_binary_no_alloc, on_segment)
LISTEN(fw_socket_on_incomplete_frame, on_frame)
LISTEN(fw_socket_on_internal_request_created, on_request)
LISTEN(fw_socket_on_pong, on_bytes)
LISTEN(fw_socket_on_reconnecting, on_reconnecting)
LISTEN(fw_socket_on_closed, on_closed)
LISTEN(fw_socket_on_error, on_error)
LISTEN(fw_socket_on_sent, on_sent)
DO(fw_callbacks_init, fw_callbacks set;
   fw_callbacks_init(below(d, 9) ? &set : NULL, any_struct_size(d, sizeof set));)
DO(fw_socket_set_callbacks, fw_callbacks set; fw_callbacks_init(&set, sizeof set); set.open = on_socket;
   set.text = on_text; set.binary = below(d, 2) ? on_bytes : NULL; set.closed = on_closed;
   set.text_segment = below(d, 2) ? on_segment : NULL; set.binary_no_alloc = below(d, 2) ? on_segment : NULL;
   set.incomplete_frame = below(d, 3) ? NULL : on_frame; set.error = on_error; set.pong = on_bytes;
   set.internal_request_created = below(d, 2) ? on_request : NULL; set.reconnecting = on_reconnecting;
   if (below(d, 9) == 0) set.struct_size = random_struct_size(d, sizeof set);
   fw_socket_set_callbacks(any_socket(d), below(d, 9) ? &set : NULL, NULL);)
SETTER(fw_socket_set_dispatch, any_number(d))
SETTER(fw_socket_enable_event, any_number(d), below(d, 2))
DO(fw_poll, fw_poll(below(d, 2) ? 0 : any_number(d), below(d, 2000));)
SETTER(fw_socket_poll, below(d, 2) ? 0 : any_number(d), below(d, 2000))
DO(fw_pending, fw_pending();)
DO(fw_network_changed, fw_network_changed();)
/* A made-up VM cannot be detected, so one of the two is NULL. */
DO(fw_android_init, int here; fw_android_init(below(d, 2) ? &here : NULL, NULL);
   fw_android_init(NULL, below(d, 2) ? &here : NULL);)
DO(fw_suspend, fw_suspend();)
DO(fw_resume, fw_resume();)
DO(fw_wait, fw_wait(below(d, 3));)
/* Event structs belong to the caller; random ones would contain invalid pointers. */
DO(fw_next_event, fw_event event; if (fw_next_event(below(d, 20) ? &event : NULL)) fw_event_release(&event);)
DO(
    fw_socket_next_event, fw_event event; if (fw_socket_next_event(any_socket(d), &event)) {
        if (event.type == FW_EVENT_REQUEST)
            requests[below(d, SETTINGS)] = event.request.id;
        fw_event_release(&event);
    })
DO(fw_event_release, fw_event event; memset(&event, 0, sizeof event);
   fw_event_release(below(d, 2) ? &event : NULL);)
DO(fw_next_events, fw_event values[5]; size_t room = below(d, 6);
   fw_event *out = below(d, 20) ? values : NULL;
   fw_events_release(out, fw_next_events(out, below(d, 20) ? room : SIZE_MAX));)
DO(fw_socket_next_events, fw_event values[5]; size_t room = below(d, 6);
   fw_event *out = below(d, 20) ? values : NULL;
   fw_events_release(out, fw_socket_next_events(any_socket(d), out, below(d, 20) ? room : SIZE_MAX));)
DO(fw_events_release, fw_event values[3]; memset(values, 0, sizeof values);
   fw_events_release(below(d, 2) ? values : NULL, below(d, 2) ? below(d, 4) : SIZE_MAX);)
DO(fw_socket_send_text, size_t n; const void *bytes = any_bytes(d, &n);
   fw_socket_send_text(any_socket(d), bytes, n);)
DO(fw_socket_send_binary, size_t n; const void *bytes = any_bytes(d, &n);
   fw_socket_send_binary(any_socket(d), bytes, n);)
DO(fw_socket_send_text_with, size_t n; const void *bytes = any_bytes(d, &n);
   fw_socket_send_text_with(any_socket(d), bytes, n, any_number(d));)
DO(fw_socket_send_binary_with, size_t n; const void *bytes = any_bytes(d, &n);
   fw_socket_send_binary_with(any_socket(d), bytes, n, any_number(d));)
DO(fw_message_init, fw_message message;
   fw_message_init(below(d, 9) ? &message : NULL, any_struct_size(d, sizeof message));)
DO(fw_socket_send, fw_message message; fw_message_init(&message, sizeof message);
   message.struct_size = random_struct_size(d, sizeof message);
   message.opcode = below(d, 9) ? FW_OPCODE_BINARY : any_number(d);
   message.flags = below(d, 9) ? 0 : any_number(d); message.lane = below(d, 9) ? below(d, 4) : any_number(d);
   message.ttl_ms = below(d, 2) ? below(d, 20) : any_number(d);
   message.key = below(d, 3) ? below(d, 5) : next_random(d); message.tag = below(d, 2) ? 0 : next_random(d);
   if (below(d, 4)) message.data = any_bytes(d, &message.len); else message.segment = any_segment(d);
   fw_socket_send(any_socket(d), below(d, 20) ? &message : NULL);)
DO(fw_lane_init, fw_lane lane; fw_lane_init(below(d, 9) ? &lane : NULL, any_struct_size(d, sizeof lane));)
DO(
    fw_socket_set_lanes, fw_lane lanes[9]; for (unsigned i = 0; i < 9; i++) {
        fw_lane_init(&lanes[i], sizeof lanes[i]);
        lanes[i].priority = below(d, 3);
        lanes[i].weight = below(d, 9) ? 1 + below(d, 9) : any_number(d);
        lanes[i].max_bytes = below(d, 2) ? 0 : below(d, 1 << 16);
    } fw_socket_set_lanes(any_socket(d), below(d, 20) ? lanes : NULL,
                          below(d, 20) ? below(d, 10) : SIZE_MAX);)
DO(fw_lane_stats_init, fw_lane_stats stats;
   fw_lane_stats_init(below(d, 9) ? &stats : NULL, any_struct_size(d, sizeof stats));)
DO(fw_socket_lane_stats, fw_lane_stats stats; stats.struct_size = random_struct_size(d, sizeof stats);
   fw_socket_lane_stats(any_socket(d), below(d, 5), below(d, 9) ? &stats : NULL);)
DO(fw_link_init, fw_link link; fw_link_init(below(d, 9) ? &link : NULL, any_struct_size(d, sizeof link));)
/* A link for every socket, or one that is cut, is rare and is soon replaced: the others must have traffic. */
DO(fw_socket_set_link, fw_link link; fw_link_init(&link, sizeof link);
   if (below(d, 9) == 0) link.struct_size = random_struct_size(d, sizeof link); link.seed = any_number(d);
   link.out_delay_ms = below(d, 9) ? below(d, 10) : any_number(d);
   link.in_delay_ms = below(d, 9) ? below(d, 10) : any_number(d);
   link.out_jitter_ms = below(d, 9) ? below(d, 5) : any_number(d);
   link.in_jitter_ms = below(d, 9) ? below(d, 5) : any_number(d); link.jitter_max_ms = below(d, 20);
   link.out_bytes_per_s = below(d, 2) ? 0 : 1 << 20; link.in_bytes_per_s = below(d, 2) ? 0 : 1 << 20;
   link.burst_bytes = below(d, 2) ? 0 : any_number(d);
   link.stall_every_ms = below(d, 9) ? 100 : any_number(d);
   link.stall_ms = below(d, 9) ? below(d, 20) : any_number(d);
   link.cut = below(d, 9) ? FW_LINK_CUT_NONE : any_number(d);
   fw_socket_set_link(any_socket(d), below(d, 3) ? NULL : &link);)
DO(fw_capture_init, fw_capture capture;
   fw_capture_init(below(d, 9) ? &capture : NULL, any_struct_size(d, sizeof capture));)
DO(fw_socket_set_capture, fw_capture capture; fw_capture_init(&capture, sizeof capture);
   if (below(d, 9) == 0) capture.struct_size = random_struct_size(d, sizeof capture);
   capture.max_file_bytes = below(d, 2) ? below(d, 1 << 20) : 0; capture.include_secrets = any_number(d);
   fw_socket_set_capture(any_socket(d), any_capture_path(d), below(d, 2) ? &capture : NULL);)
SETTER(fw_socket_send_text_segment, any_segment(d))
SETTER(fw_socket_send_binary_segment, any_segment(d))
DO(fw_socket_ping, size_t n; const void *bytes = any_bytes(d, &n); fw_socket_ping(any_socket(d), bytes, n);)
ASK(fw_socket_buffered_amount)
SETTER(fw_socket_set_max_buffered_amount, below(d, 2) ? 1 << 20 : below(d, 1 << 22))
DO(
    fw_buffer_get, fw_segment segment;
    if (fw_buffer_get(below(d, 20) ? below(d, 70000) : SIZE_MAX - below(d, 99), &segment) == FW_RESULT_OK) {
        memset(segment.data + segment.offset, 's', segment.count);
        store_segment(d, segment);
    })
/* Another reference must be released again, or it leaks. */
DO(fw_segment_retain, fw_segment segment = any_segment(d);
   if (fw_segment_retain(segment) == FW_RESULT_OK) store_segment(d, segment);)
DO(fw_segment_release, fw_segment_release(any_segment(d));)
DO(fw_pool_stats_init, fw_pool_stats stats;
   fw_pool_stats_init(below(d, 9) ? &stats : NULL, any_struct_size(d, sizeof stats));)
DO(fw_buffer_pool_stats, fw_pool_stats stats; stats.struct_size = random_struct_size(d, sizeof stats);
   fw_buffer_pool_stats(below(d, 9) ? &stats : NULL);)
DO(fw_buffer_pool_trim, fw_buffer_pool_trim();)
SETTER(fw_socket_set_origin, any_text(d))
SETTER(fw_socket_add_protocol, any_text(d))
SETTER(fw_socket_add_header, any_text(d), any_text(d))
SETTER(fw_socket_set_basic_auth, any_text(d), any_text(d))
SETTER(fw_socket_set_bearer_auth, any_text(d))
SETTER(fw_socket_set_max_fragment_size, any_size(d))
SETTER(fw_socket_set_max_message_size, any_size(d))
SETTER(fw_socket_set_start_ping_thread, below(d, 2))
SETTER(fw_socket_set_ping_frequency, any_number(d))
SETTER(fw_socket_set_close_after_no_message, any_number(d))
SETTER(fw_socket_set_connect_timeout, any_number(d))
SETTER(fw_socket_set_close_timeout, any_number(d))
SETTER(fw_socket_set_tls, any_settings(d))
SETTER(fw_socket_set_http_version, below(d, 4))
SETTER(fw_socket_set_proxy, below(d, 3) ? any_text(d) : "socks5://127.0.0.1:9")
SETTER(fw_socket_set_max_redirects, below(d, 4))
SETTER(fw_socket_set_cookies, below(d, 2))
SETTER(fw_socket_set_context, any_text(d), any_text(d))
DO(fw_compression_init, fw_compression compression;
   fw_compression_init(below(d, 9) ? &compression : NULL, any_struct_size(d, sizeof compression));)
DO(fw_socket_set_compression, fw_compression compression;
   fw_compression_init(&compression, sizeof compression); compression.level = any_number(d);
   compression.client_max_window_bits = any_number(d); compression.min_size_to_compress = any_size(d);
   compression.struct_size = random_struct_size(d, sizeof compression);
   fw_socket_set_compression(any_socket(d), below(d, 9) ? &compression : NULL);)
DO(fw_reconnect_init, fw_reconnect reconnect;
   fw_reconnect_init(below(d, 9) ? &reconnect : NULL, any_struct_size(d, sizeof reconnect));)
DO(fw_socket_set_reconnect, fw_reconnect reconnect; fw_reconnect_init(&reconnect, sizeof reconnect);
   reconnect.struct_size = random_struct_size(d, sizeof reconnect); reconnect.enabled = below(d, 2);
   reconnect.max_attempts = below(d, 4); reconnect.min_delay_ms = below(d, 30);
   reconnect.max_delay_ms = below(d, 2) ? 50 : any_number(d);
   fw_socket_set_reconnect(any_socket(d), below(d, 9) ? &reconnect : NULL);)
DO(fw_extension_init, fw_extension extension;
   fw_extension_init(below(d, 9) ? &extension : NULL, any_struct_size(d, sizeof extension));)
DO(fw_socket_add_extension, fw_extension extension; fw_extension_init(&extension, sizeof extension);
   extension.rsv = any_number(d); extension.add_negotiation = below(d, 5) ? offer : NULL;
   extension.parse_negotiation = accept_offer; extension.destroy = on_extension_destroyed;
   if (below(d, 9) == 0) extension.struct_size = below(d, 2) ? 0 : UINT32_MAX;
   if (fw_socket_add_extension(any_socket(d), below(d, 9) ? &extension : NULL) == FW_RESULT_OK)
       extensions_added++;)
DO(fw_socket_offer_extension,
   fw_socket_offer_extension(any_socket(d), below(d, 9) ? "x-own; level=3" : NULL, below(d, 10));)
DO(
    fw_tls_create, fw_tls tls = {0}; if (fw_tls_create(below(d, 9) ? &tls : NULL) == FW_RESULT_OK) {
        fw_tls old = {atomic_exchange(&settings[below(d, SETTINGS)], tls.id)};
        fw_tls_destroy(old);
    })
DO(fw_tls_add_ca_pem,
   fw_tls_add_ca_pem(any_settings(d), pem, below(d, 2) ? pem_len : below(d, (unsigned)pem_len + 1));)
DO(fw_tls_set_client_cert_pem,
   fw_tls_set_client_cert_pem(any_settings(d), pem, pem_len, below(d, 2) ? pem : NULL, pem_len);)
DO(fw_tls_add_pin_sha256, uint8_t pin[32] = {0};
   fw_tls_add_pin_sha256(any_settings(d), below(d, 9) ? pin : NULL);)
DO(fw_tls_set_roots, fw_tls_set_roots(any_settings(d), any_number(d));)
DO(fw_tls_set_insecure, fw_tls_set_insecure(any_settings(d), below(d, 2));)
DO(fw_tls_set_key_log, fw_tls_set_key_log(any_settings(d), false);)
DO(fw_tls_destroy, if (below(d, 4) == 0) fw_tls_destroy(any_settings(d));)
ASK(fw_socket_state)
ASK(fw_socket_is_open)
ASK(fw_socket_latency_us)
ASK(fw_socket_last_message_received)
COPY(fw_socket_protocol, any_socket(d))
COPY(fw_socket_extensions, any_socket(d))
ASK(fw_socket_http_version)
ASK(fw_socket_response_status)
COPY(fw_socket_response_header, any_socket(d), any_text(d))
COPY(fw_socket_response_headers, any_socket(d))
COPY(fw_socket_response_body, any_socket(d))
COPY(fw_socket_url, any_socket(d))
DO(fw_stats_init, fw_stats stats;
   fw_stats_init(below(d, 9) ? &stats : NULL, any_struct_size(d, sizeof stats));)
DO(fw_socket_stats, fw_stats stats; stats.struct_size = random_struct_size(d, sizeof stats);
   fw_socket_stats(any_socket(d), below(d, 9) ? &stats : NULL);)
COPY(fw_request_url, any_request(d))
DO(fw_request_http_version, fw_request_http_version(any_request(d));)
DO(fw_request_attempt, fw_request_attempt(any_request(d));)
DO(fw_request_set_header, fw_request_set_header(any_request(d), any_text(d), any_text(d));)
DO(fw_request_add_header, fw_request_add_header(any_request(d), any_text(d), any_text(d));)
DO(fw_request_remove_header, fw_request_remove_header(any_request(d), any_text(d));)
COPY(fw_request_header, any_request(d), any_text(d))

/* clang-format off */
#define EVERY(X)                                                                                   \
    X(fw_result_name) X(fw_last_error) X(fw_version) X(fw_version_string) X(fw_capabilities)       \
    X(fw_sizeof)                                                                                   \
    X(fw_config_init) X(fw_init) X(fw_shutdown) X(fw_set_log) X(fw_queue_log) X(fw_next_log)            \
    X(fw_socket_create) X(fw_socket_open)                                                           \
    X(fw_socket_close) X(fw_socket_abort) X(fw_socket_destroy)                                    \
    X(fw_socket_destroy_when_sent) X(fw_socket_set_finalizer)                                      \
    X(fw_socket_set_user_data) X(fw_socket_user_data) X(fw_socket_on_open) X(fw_socket_on_text)    \
    X(fw_socket_on_binary) X(fw_socket_on_binary_no_alloc) X(fw_socket_on_incomplete_frame)        \
    X(fw_socket_on_internal_request_created) X(fw_socket_on_pong) X(fw_socket_on_closed)           \
    X(fw_network_changed) X(fw_suspend) X(fw_resume) X(fw_android_init)                            \
    X(fw_socket_on_reconnecting) X(fw_reconnect_init) X(fw_socket_set_reconnect)                   \
    X(fw_socket_on_error) X(fw_socket_set_dispatch) X(fw_socket_enable_event) X(fw_poll)           \
    X(fw_socket_poll) X(fw_pending) X(fw_wait) X(fw_next_event) X(fw_socket_next_event)            \
    X(fw_event_release) X(fw_socket_send_text) X(fw_socket_send_binary)                            \
    X(fw_socket_send_text_with) X(fw_socket_send_binary_with) X(fw_socket_send_text_segment)       \
    X(fw_socket_send_binary_segment) X(fw_socket_ping) X(fw_socket_buffered_amount)                \
    X(fw_socket_set_max_buffered_amount) X(fw_buffer_get) X(fw_segment_retain)                     \
    X(fw_segment_release) X(fw_buffer_pool_stats) X(fw_buffer_pool_trim) X(fw_socket_set_origin)   \
    X(fw_socket_add_protocol) X(fw_socket_add_header) X(fw_socket_set_basic_auth)                  \
    X(fw_socket_set_bearer_auth) X(fw_socket_set_max_fragment_size)                                \
    X(fw_socket_set_max_message_size) X(fw_socket_set_start_ping_thread)                           \
    X(fw_socket_set_ping_frequency) X(fw_socket_set_close_after_no_message)                        \
    X(fw_socket_set_connect_timeout) X(fw_socket_set_close_timeout) X(fw_socket_set_tls)           \
    X(fw_socket_set_http_version)                                                                  \
    X(fw_socket_set_proxy) X(fw_socket_set_max_redirects) X(fw_socket_set_cookies)                 \
    X(fw_socket_set_context) X(fw_compression_init) X(fw_socket_set_compression)                   \
    X(fw_extension_init) X(fw_socket_add_extension) X(fw_tls_create) X(fw_tls_add_ca_pem)          \
    X(fw_tls_set_client_cert_pem) X(fw_tls_add_pin_sha256) X(fw_tls_set_roots)                     \
    X(fw_tls_set_insecure) X(fw_tls_set_key_log) X(fw_tls_destroy) X(fw_socket_state)              \
    X(fw_socket_is_open) X(fw_socket_latency_us) X(fw_socket_last_message_received)                \
    X(fw_socket_protocol) X(fw_socket_extensions) X(fw_socket_http_version)                        \
    X(fw_socket_response_status) X(fw_socket_response_header) X(fw_socket_response_headers)        \
    X(fw_socket_response_body)                                                                     \
    X(fw_socket_url) X(fw_socket_stats) X(fw_request_url) X(fw_request_http_version)               \
    X(fw_request_attempt) X(fw_request_set_header) X(fw_request_add_header)                        \
    X(fw_request_remove_header) X(fw_request_header) X(fw_state_name) X(fw_phase_name)              \
    X(fw_error_kind_name) X(fw_event_type_name) X(fw_callbacks_init) X(fw_socket_set_callbacks)    \
    X(fw_socket_on_text_segment) X(fw_next_events) X(fw_socket_next_events) X(fw_events_release)   \
    X(fw_stats_init) X(fw_pool_stats_init) X(fw_outcome_name) X(fw_socket_on_sent)                 \
    X(fw_message_init) X(fw_socket_send) X(fw_lane_init) X(fw_socket_set_lanes)                    \
    X(fw_lane_stats_init) X(fw_socket_lane_stats) X(fw_link_init) X(fw_socket_set_link)            \
    X(fw_socket_offer_extension) X(fw_capture_init) X(fw_socket_set_capture)
/* clang-format on */

static const struct {
    const char *name;
    void (*call)(rng *d);
} every[] = {
#define ROW(name) {#name, do_##name},
    EVERY(ROW)};
enum { COUNT = sizeof every / sizeof *every };
static atomic_long called[COUNT];

static void one_call(rng *d)
{
    unsigned index = below(d, COUNT);
    calls++;
    called[index]++;
    every[index].call(d);
}

static void *caller(void *seed)
{
    rng d = {(uint64_t)(uintptr_t)seed * 0x9e3779b97f4a7c15ull | 1, 0};
    while (!stop) {
        /* Polls sometimes, or all calls would get closed sockets. */
        if (below(&d, 8) == 0) {
            fw_socket socket = {sockets[below(&d, SOCKETS)]};
            fw_socket_open(socket);
            fw_socket_send_text(socket, "hello", 5);
        }
        one_call(&d);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *seed = getenv("FRAMEWIRE_SEED");
    double start = check_seconds(), duration = 4;
    uintptr_t first = seed ? (uintptr_t)strtoull(seed, NULL, 10) : (uintptr_t)time(NULL);
    struct timespec moment = {0, 50 * 1000 * 1000};
    pthread_t threads[THREADS];
    fw_pool_stats pool;
    int i;

    if (argc > 2 && strcmp(argv[1], "--seconds") == 0) {
        duration = atof(argv[2]);
        argc -= 2;
        argv += 2;
    }
    if (argc < 2)
        return 2;
    ws_url = argv[1];
    wss_url = argc > 3 ? argv[2] : NULL;
    if (argc > 3) {
        FILE *file = fopen(argv[3], "rb");
        pem_len = file ? fread(pem, 1, sizeof pem, file) : 0;
        if (file)
            fclose(file);
    }
    printf("FRAMEWIRE_SEED=%llu\n", (unsigned long long)first);
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, caller, (void *)(first + (uintptr_t)i)) == 0);
    while (check_seconds() - start < duration)
        nanosleep(&moment, NULL);
    stop = true;
    for (i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);

    OK(fw_shutdown(30000));
    OK(fw_set_log(FW_LOG_OFF, NULL, NULL));
    for (i = 0; i < SEGMENTS; i++)
        while (segments[i].buffer.id && fw_segment_release(segments[i]) == FW_RESULT_OK)
            ;
    for (i = 0; i < SETTINGS; i++) {
        fw_tls tls = {settings[i]};
        fw_tls_destroy(tls);
    }
    fw_pool_stats_init(&pool, sizeof pool);
    OK(fw_buffer_pool_stats(&pool));
    printf("%ld calls, %ld callbacks, %d sockets\n", (long)calls, (long)callbacks, (int)finalizers_set);
    CHECK(calls > 1000 && callbacks > 0 && finalizers_set > 0);
    CHECK(finalizers_set < FINALIZERS);
    CHECK(finalizers_run == finalizers_set);
    CHECK(finalizers_wrong == 0);
    CHECK(extensions_destroyed == extensions_added);
    CHECK(pool.blocks_in_use == 0);
    CHECK(pool.leases == 0);
    for (i = 0; i < COUNT; i++) {
        if (!called[i])
            printf("%s was never called\n", every[i].name);
        CHECK(called[i] > 0);
    }
    return check_report();
}
