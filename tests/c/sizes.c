/* Programs built with older and newer headers: every struct with struct_size, with every possible size. Each
 * struct is at the end of its own allocation, so that AddressSanitizer and valgrind detect every access
 * beyond it; a canary follows as well. */

#include "check.h"

enum { CANARY = 16, NEWER = 24, BYTE = 0xAA };

static fw_socket closed_socket;

/* Allocates a struct of any size, followed by a canary. */
static void *block(size_t size)
{
    unsigned char *bytes = malloc(size + CANARY);
    CHECK(bytes != NULL);
    memset(bytes, BYTE, size + CANARY);
    return bytes;
}

/* Whether these bytes were not written. */
static bool is_unwritten(const void *block, size_t from, size_t to)
{
    const unsigned char *bytes = block;
    while (from < to && bytes[from] == BYTE)
        from++;
    return from == to;
}

static uint32_t stored_size(const void *block)
{
    uint32_t size;
    memcpy(&size, block, sizeof size);
    return size;
}

static size_t offer(char *buf, size_t cap, void *user_data)
{
    (void)buf, (void)cap, (void)user_data;
    return 0;
}

/* The function that each struct is passed to. */
static fw_result use_config(void *config)
{
    fw_result result = fw_init(config);
    if (result == FW_RESULT_OK)
        OK(fw_shutdown(10000));
    return result;
}

static fw_result use_compression(void *compression)
{
    return fw_socket_set_compression(closed_socket, compression);
}

static fw_result use_reconnect(void *reconnect)
{
    return fw_socket_set_reconnect(closed_socket, reconnect);
}

static fw_result use_extension(void *extension)
{
    fw_result result;
    /* A socket accepts at most eight. */
    fw_socket_destroy(closed_socket);
    OK(fw_socket_create("ws://127.0.0.1:1/", &closed_socket));
    if (stored_size(extension) >= sizeof(fw_extension))
        ((fw_extension *)extension)->add_negotiation = offer;
    result = fw_socket_add_extension(closed_socket, extension);
    return result;
}

static fw_result use_callbacks(void *callbacks)
{
    return fw_socket_set_callbacks(closed_socket, callbacks, NULL);
}

static fw_result use_stats(void *stats)
{
    return fw_socket_stats(closed_socket, stats);
}
static fw_result use_pool_stats(void *stats)
{
    return fw_buffer_pool_stats(stats);
}

#define INIT(name)                                                                                           \
    static void init_##name(void *out, size_t size)                                                          \
    {                                                                                                        \
        fw_##name##_init(out, size);                                                                         \
    }
INIT(config)
INIT(compression)
INIT(reconnect)
INIT(extension)
INIT(callbacks)
INIT(stats)
INIT(pool_stats)
INIT(lane)
INIT(lane_stats)
INIT(link)
INIT(capture)

static fw_result use_lane(void *lane)
{
    return fw_socket_set_lanes(closed_socket, lane, 1);
}

static fw_result use_link(void *link)
{
    return fw_socket_set_link(closed_socket, link);
}

/* The options are checked although the capture ends. */
static fw_result use_capture(void *capture)
{
    return fw_socket_set_capture(closed_socket, NULL, capture);
}

static fw_result use_lane_stats(void *stats)
{
    return fw_socket_lane_stats(closed_socket, 0, stats);
}

typedef struct sized {
    const char *name;
    size_t size;
    void (*init)(void *out, size_t size);
    fw_result (*use)(void *object);
    bool filled_by_library, needs_library, needs_every_field;
    /* Where the fields after struct_size end. */
    size_t ends[20];
} sized;

#define END(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* clang-format off */
static const sized all[] = {
    {"fw_config", sizeof(fw_config), init_config, use_config, false, false, false,
     {END(fw_config, worker_threads), END(fw_config, alloc), END(fw_config, realloc), END(fw_config, free),
      END(fw_config, alloc_user_data), END(fw_config, thread_started), END(fw_config, thread_stopped),
      END(fw_config, thread_user_data), END(fw_config, event_queue_bytes),
      END(fw_config, ignore_network_changes), END(fw_config, reserved)}},
    {"fw_compression", sizeof(fw_compression), init_compression, use_compression, false, true, false,
     {END(fw_compression, level), END(fw_compression, client_no_context_takeover),
      END(fw_compression, server_no_context_takeover), END(fw_compression, client_max_window_bits),
      END(fw_compression, server_max_window_bits), END(fw_compression, min_size_to_compress)}},
    {"fw_reconnect", sizeof(fw_reconnect), init_reconnect, use_reconnect, false, true, false,
     {END(fw_reconnect, enabled), END(fw_reconnect, min_delay_ms), END(fw_reconnect, max_delay_ms),
      END(fw_reconnect, max_attempts), END(fw_reconnect, queue_sends)}},
    /* Without add_negotiation it is always refused. */
    {"fw_extension", sizeof(fw_extension), init_extension, use_extension, false, true, true,
     {END(fw_extension, rsv), END(fw_extension, add_negotiation), END(fw_extension, parse_negotiation),
      END(fw_extension, frame_header), END(fw_extension, encode), END(fw_extension, decode),
      END(fw_extension, destroy), END(fw_extension, user_data)}},
    {"fw_callbacks", sizeof(fw_callbacks), init_callbacks, use_callbacks, false, true, false,
     {END(fw_callbacks, open), END(fw_callbacks, text), END(fw_callbacks, text_segment),
      END(fw_callbacks, binary), END(fw_callbacks, binary_no_alloc), END(fw_callbacks, incomplete_frame),
      END(fw_callbacks, internal_request_created), END(fw_callbacks, pong), END(fw_callbacks, reconnecting),
      END(fw_callbacks, closed), END(fw_callbacks, error), END(fw_callbacks, released), END(fw_callbacks, sent)}},
    {"fw_lane", sizeof(fw_lane), init_lane, use_lane, false, true, false,
     {END(fw_lane, priority), END(fw_lane, weight), END(fw_lane, reserved), END(fw_lane, max_bytes)}},
    {"fw_link", sizeof(fw_link), init_link, use_link, false, true, false,
     {END(fw_link, seed), END(fw_link, out_delay_ms), END(fw_link, in_delay_ms), END(fw_link, out_jitter_ms),
      END(fw_link, in_jitter_ms), END(fw_link, jitter_max_ms), END(fw_link, out_bytes_per_s),
      END(fw_link, in_bytes_per_s), END(fw_link, burst_bytes), END(fw_link, stall_every_ms),
      END(fw_link, stall_ms), END(fw_link, cut)}},
    {"fw_capture", sizeof(fw_capture), init_capture, use_capture, false, true, false,
     {END(fw_capture, include_secrets), END(fw_capture, max_file_bytes)}},
    {"fw_lane_stats", sizeof(fw_lane_stats), init_lane_stats, use_lane_stats, true, true, false,
     {END(fw_lane_stats, reserved), END(fw_lane_stats, waiting_messages), END(fw_lane_stats, waiting_bytes),
      END(fw_lane_stats, oldest_us), END(fw_lane_stats, queue_time_max_us),
      END(fw_lane_stats, queue_time_total_us), END(fw_lane_stats, begun), END(fw_lane_stats, sent),
      END(fw_lane_stats, expired), END(fw_lane_stats, replaced), END(fw_lane_stats, lost)}},
    {"fw_stats", sizeof(fw_stats), init_stats, use_stats, true, true, false,
     {END(fw_stats, bytes_sent), END(fw_stats, bytes_received), END(fw_stats, messages_sent),
      END(fw_stats, messages_received), END(fw_stats, frames_sent), END(fw_stats, frames_received),
      END(fw_stats, pings_sent), END(fw_stats, pongs_received), END(fw_stats, reconnects),
      END(fw_stats, payload_bytes_before_compression), END(fw_stats, payload_bytes_after_compression),
      END(fw_stats, resolve_us), END(fw_stats, connect_us), END(fw_stats, tls_us), END(fw_stats, upgrade_us)}},
    {"fw_pool_stats", sizeof(fw_pool_stats), init_pool_stats, use_pool_stats, true, false, false,
     {END(fw_pool_stats, blocks_in_use), END(fw_pool_stats, bytes_in_use), END(fw_pool_stats, blocks_free),
      END(fw_pool_stats, bytes_free), END(fw_pool_stats, leases), END(fw_pool_stats, allocations)}},
};
/* clang-format on */

static bool ends_after_a_field(const sized *s, size_t size)
{
    const size_t *end = s->ends;
    while (*end && *end != size)
        end++;
    return *end != 0;
}

/* The program's struct has only `size` bytes. */
static void older(const sized *s, size_t size)
{
    void *full = block(s->size), *object = block(size);
    fw_result expected = ends_after_a_field(s, size) ? FW_RESULT_OK : FW_RESULT_INVALID_ARGUMENT;
    if (s->needs_every_field && size < s->size)
        expected = FW_RESULT_INVALID_ARGUMENT;

    s->init(full, s->size);
    s->init(object, size);
    CHECK(is_unwritten(object, size, size + CANARY));
    if (size < sizeof(uint32_t)) {
        CHECK(is_unwritten(object, 0, size));
        free(object);
        /* The library always reads the size. */
        object = calloc(1, sizeof(uint32_t));
        memcpy(object, &(uint32_t){(uint32_t)size}, sizeof(uint32_t));
        CHECK_RESULT(s->use(object), FW_RESULT_INVALID_ARGUMENT);
    } else {
        CHECK(stored_size(object) == size);
        /* The defaults equal those of the full struct. Padding after the size may have any value. */
        if (size >= s->ends[0])
            CHECK(memcmp((char *)object + 8, (char *)full + 8, size - 8) == 0);
        if (s->use(object) != expected)
            printf("%s of %zu bytes: not %s\n", s->name, size, fw_result_name(expected));
        CHECK_RESULT(s->use(object), expected);
        CHECK(stored_size(object) == size && is_unwritten(object, size, size + CANARY));
        /* Now without a canary, so that tools detect reads, too. */
        object = realloc(object, size);
        CHECK_RESULT(s->use(object), expected);
    }
    free(object);
    free(full);
}

/* The program's struct is larger than the library's. */
static void newer(const sized *s, size_t size)
{
    unsigned char *object = block(size);
    fw_result unknown = s->filled_by_library ? FW_RESULT_OK : FW_RESULT_NOT_SUPPORTED;

    s->init(object, size);
    CHECK(stored_size(object) == size);
    CHECK(is_unwritten(object, s->size, size + CANARY));
    CHECK_RESULT(s->use(object), unknown);
    CHECK(stored_size(object) == size);
    CHECK(is_unwritten(object, s->size, size + CANARY));
    memset(object + s->size, 0, size - s->size);
    OK(s->use(object));
    CHECK(is_unwritten(object, size, size + CANARY));
    /* A single byte is enough, at any position. */
    object[size - 1] = 1;
    CHECK_RESULT(s->use(object), unknown);
    object[size - 1] = 0;
    object[s->size] = 1;
    CHECK_RESULT(s->use(object), unknown);
    object[s->size] = 0;
    object = realloc(object, size);
    OK(s->use(object));
    free(object);
}

/* Sizes that no struct has. Init writes the fields it knows; other calls refuse the struct. */
static void impossible_sizes(const sized *s)
{
    static const size_t sizes[] = {4097, (size_t)1 << 31, UINT32_MAX, SIZE_MAX};
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *object = block(s->size);
        s->init(object, sizes[i]);
        CHECK(is_unwritten(object, s->size, s->size + CANARY));
        CHECK(stored_size(object) == (sizes[i] > UINT32_MAX ? UINT32_MAX : (uint32_t)sizes[i]));
        CHECK_RESULT(s->use(object), FW_RESULT_INVALID_ARGUMENT);
        CHECK(is_unwritten(object, s->size, s->size + CANARY));
        free(object);
    }
    s->init(NULL, s->size);
    s->init(NULL, SIZE_MAX);
}

static void defaults(void)
{
    fw_config config;
    fw_compression compression;
    fw_reconnect reconnect;
    fw_config_init(&config, sizeof config);
    CHECK(config.struct_size == sizeof config && config.worker_threads == 0 && config.alloc == NULL);
    fw_compression_init(&compression, sizeof compression);
    CHECK(compression.level == 6 && compression.client_max_window_bits == 15);
    CHECK(compression.server_max_window_bits == 15 && compression.min_size_to_compress == 256);
    fw_reconnect_init(&reconnect, sizeof reconnect);
    CHECK(reconnect.enabled == 1 && reconnect.min_delay_ms == 250 && reconnect.max_delay_ms == 30000);
    CHECK(reconnect.max_attempts == 0 && reconnect.queue_sends == 0);
}

static int texts, opens, ends;
static void on_open(fw_socket s, void *u)
{
    (void)u;
    opens++;
    OK(fw_socket_send_text(s, "hello", 5));
}
static void on_text(fw_socket s, const char *t, size_t n, void *u)
{
    CHECK(n == 5 && memcmp(t, "hello", 5) == 0 && u == &texts);
    texts++;
    OK(fw_socket_close(s, 1000, NULL));
}
static void on_closed(fw_socket s, uint16_t c, const char *r, size_t n, void *u)
{
    (void)s, (void)c, (void)r, (void)n, (void)u;
    ends++;
}

/* Callbacks that an older program does not know are not called: its struct ends after text, and calling
 * what follows would crash. */
static void short_callbacks(const char *url)
{
    fw_socket socket;
    unsigned char *object = block(END(fw_callbacks, text));
    fw_callbacks *callbacks = (fw_callbacks *)(void *)object;

    OK(fw_socket_create(url, &socket));
    /* Replaced by the call below, where its members are NULL. */
    OK(fw_socket_on_closed(socket, on_closed, NULL));
    fw_callbacks_init(callbacks, END(fw_callbacks, text));
    memcpy(object + offsetof(fw_callbacks, open), &(fw_open_fn){on_open}, sizeof(fw_open_fn));
    memcpy(object + offsetof(fw_callbacks, text), &(fw_text_fn){on_text}, sizeof(fw_text_fn));
    OK(fw_socket_set_callbacks(socket, callbacks, &texts));
    free(object);
    OK(fw_socket_open(socket));
    POLL_UNTIL(fw_socket_state(socket) == FW_STATE_CLOSED && fw_pending() == 0);
    CHECK(opens == 1 && texts == 1 && ends == 0);
    OK(fw_socket_destroy(socket));
}

int main(int argc, char **argv)
{
    size_t i, size;

    if (argc < 4)
        return 2;
    defaults();
    for (i = 0; i < sizeof all / sizeof *all; i++) {
        const sized *s = &all[i];
        if (s->needs_library)
            OK(fw_socket_create("ws://127.0.0.1:1/", &closed_socket));
        CHECK(ends_after_a_field(s, s->size));
        for (size = 0; size <= s->size; size++)
            older(s, size);
        for (size = s->size + 1; size <= s->size + NEWER; size++)
            newer(s, size);
        impossible_sizes(s);
        printf("%s: %zu bytes\n", s->name, s->size);
        if (s->needs_library)
            OK(fw_socket_destroy(closed_socket));
        OK(fw_shutdown(10000));
    }
    short_callbacks(argv[1]);
    OK(fw_shutdown(10000));
    return check_report();
}
