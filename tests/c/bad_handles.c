/* Calls every function that takes a handle or a pointer with invalid ones: each call fails, and other
 * objects are not affected. `cargo xtask test` checks that no function is missing here. */

#include "check.h"

#define REFUSED(call) CHECK_RESULT(call, FW_RESULT_INVALID_HANDLE)
#define ARGUMENT(call) CHECK_RESULT(call, FW_RESULT_INVALID_ARGUMENT)

static const fw_tls no_tls;

/* Other arguments are invalid as well where possible: INVALID_HANDLE takes precedence. */
static void refused_socket(fw_socket s)
{
    fw_stats stats;
    fw_event event;
    fw_segment segment;
    char text[8] = "before";

    REFUSED(fw_socket_open(s));
    REFUSED(fw_socket_close(s, 1, NULL));
    REFUSED(fw_socket_abort(s));
    REFUSED(fw_socket_destroy(s));
    REFUSED(fw_socket_destroy_when_sent(s, 1000));
    REFUSED(fw_socket_set_finalizer(s, NULL, NULL));
    REFUSED(fw_socket_set_user_data(s, text));
    CHECK(fw_socket_user_data(s) == NULL);

    REFUSED(fw_socket_on_open(s, NULL, NULL));
    REFUSED(fw_socket_on_text(s, NULL, NULL));
    REFUSED(fw_socket_on_text_segment(s, NULL, NULL));
    REFUSED(fw_socket_set_callbacks(s, NULL, NULL));
    REFUSED(fw_socket_on_binary(s, NULL, NULL));
    REFUSED(fw_socket_on_binary_no_alloc(s, NULL, NULL));
    REFUSED(fw_socket_on_incomplete_frame(s, NULL, NULL));
    REFUSED(fw_socket_on_internal_request_created(s, NULL, NULL));
    REFUSED(fw_socket_on_pong(s, NULL, NULL));
    REFUSED(fw_socket_on_reconnecting(s, NULL, NULL));
    REFUSED(fw_socket_on_closed(s, NULL, NULL));
    REFUSED(fw_socket_on_error(s, NULL, NULL));
    REFUSED(fw_socket_on_sent(s, NULL, NULL));
    REFUSED(fw_socket_set_dispatch(s, 77));
    REFUSED(fw_socket_enable_event(s, 77, true));
    CHECK(fw_socket_poll(s, 0, 0) == 0);
    CHECK(!fw_socket_next_event(s, &event) && event.type == FW_EVENT_NONE);
    CHECK(fw_socket_next_events(s, &event, 1) == 0);
    CHECK(fw_socket_next_events(s, NULL, 5) == 0);

    REFUSED(fw_socket_send_text(s, NULL, 5));
    REFUSED(fw_socket_send_binary(s, NULL, 5));
    REFUSED(fw_socket_send_text_with(s, NULL, 5, 77));
    REFUSED(fw_socket_send_binary_with(s, NULL, 5, 77));
    /* Consumed even on failure. */
    OK(fw_buffer_get(10, &segment));
    REFUSED(fw_socket_send_text_segment(s, segment));
    REFUSED(fw_segment_release(segment));
    OK(fw_buffer_get(10, &segment));
    REFUSED(fw_socket_send_binary_segment(s, segment));
    REFUSED(fw_segment_release(segment));
    REFUSED(fw_socket_ping(s, NULL, 500));
    CHECK(fw_socket_buffered_amount(s) == 0);
    REFUSED(fw_socket_send(s, NULL));
    REFUSED(fw_socket_set_lanes(s, NULL, 100));
    REFUSED(fw_socket_lane_stats(s, 9, NULL));
    /* The zero handle is every socket. */
    CHECK_RESULT(fw_socket_set_link(s, NULL), s.id == 0 ? FW_RESULT_OK : FW_RESULT_INVALID_HANDLE);
    CHECK_RESULT(fw_socket_set_capture(s, NULL, NULL), s.id == 0 ? FW_RESULT_OK : FW_RESULT_INVALID_HANDLE);
    if (s.id != 0)
        REFUSED(fw_socket_set_capture(s, "", NULL));
    REFUSED(fw_socket_set_max_buffered_amount(s, 0));

    REFUSED(fw_socket_set_origin(s, NULL));
    REFUSED(fw_socket_add_protocol(s, NULL));
    REFUSED(fw_socket_add_header(s, NULL, NULL));
    REFUSED(fw_socket_set_basic_auth(s, NULL, NULL));
    REFUSED(fw_socket_set_bearer_auth(s, NULL));
    REFUSED(fw_socket_set_max_fragment_size(s, 0));
    REFUSED(fw_socket_set_max_message_size(s, 0));
    REFUSED(fw_socket_set_start_ping_thread(s, true));
    REFUSED(fw_socket_set_ping_frequency(s, 0));
    REFUSED(fw_socket_set_close_after_no_message(s, 0));
    REFUSED(fw_socket_set_connect_timeout(s, 0));
    REFUSED(fw_socket_set_close_timeout(s, 0));
    REFUSED(fw_socket_set_proxy(s, "ftp://"));
    REFUSED(fw_socket_set_max_redirects(s, 1));
    REFUSED(fw_socket_set_cookies(s, true));
    REFUSED(fw_socket_set_reconnect(s, NULL));
    REFUSED(fw_socket_set_tls(s, no_tls));
    REFUSED(fw_socket_set_http_version(s, FW_HTTP_2));
    REFUSED(fw_socket_set_context(s, NULL, NULL));
    REFUSED(fw_socket_set_compression(s, NULL));
    REFUSED(fw_socket_add_extension(s, NULL));
    REFUSED(fw_socket_offer_extension(s, "x-a", 1));

    CHECK(fw_socket_state(s) == FW_STATE_UNKNOWN);
    CHECK(!fw_socket_is_open(s));
    CHECK(fw_socket_latency_us(s) == -1);
    CHECK(fw_socket_last_message_received(s) == 0);
    CHECK(fw_socket_http_version(s) == 0);
    CHECK(fw_socket_response_status(s) == 0);
    CHECK(fw_socket_protocol(s, text, sizeof text) == 0 && text[0] == 0);
    CHECK(fw_socket_extensions(s, text, sizeof text) == 0);
    CHECK(fw_socket_response_header(s, NULL, text, sizeof text) == 0);
    CHECK(fw_socket_response_headers(s, text, sizeof text) == 0);
    CHECK(fw_socket_response_body(s, text, sizeof text) == 0);
    CHECK(fw_socket_url(s, NULL, 0) == 0);
    REFUSED(fw_socket_stats(s, &stats));
}

static void refused_tls(fw_tls t)
{
    fw_socket socket;

    REFUSED(fw_tls_add_ca_pem(t, NULL, 5));
    REFUSED(fw_tls_set_client_cert_pem(t, NULL, 5, NULL, 5));
    REFUSED(fw_tls_add_pin_sha256(t, NULL));
    REFUSED(fw_tls_set_roots(t, 77));
    REFUSED(fw_tls_set_insecure(t, true));
    REFUSED(fw_tls_set_key_log(t, true));
    REFUSED(fw_tls_destroy(t));
    OK(fw_socket_create("wss://example.org/", &socket));
    REFUSED(fw_socket_set_tls(socket, t));
    OK(fw_socket_destroy(socket));
}

static void refused_request(fw_request r)
{
    char text[8] = "before";

    CHECK(fw_request_url(r, text, sizeof text) == 0 && text[0] == 0);
    CHECK(fw_request_http_version(r) == 0);
    CHECK(fw_request_attempt(r) == 0);
    CHECK(fw_request_header(r, "Host", text, sizeof text) == 0);
    REFUSED(fw_request_set_header(r, NULL, NULL));
    REFUSED(fw_request_add_header(r, NULL, NULL));
    REFUSED(fw_request_remove_header(r, NULL));
}

static void refused_segment(uint64_t id)
{
    static uint8_t bytes[64];
    fw_segment segment = {NULL, 0, 0, {0}};

    segment.buffer.id = id;
    REFUSED(fw_segment_retain(segment));
    REFUSED(fw_segment_release(segment));
    segment.data = bytes;
    segment.offset = 16;
    segment.count = 16;
    REFUSED(fw_segment_retain(segment));
    REFUSED(fw_segment_release(segment));
}

/* Random numbers, the same in every run. */
static uint64_t random_id(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void refused_everywhere(uint64_t id)
{
    fw_socket socket = {0};
    fw_tls tls = {0};
    fw_request request = {0};

    socket.id = id;
    tls.id = id;
    request.id = id;
    refused_socket(socket);
    refused_tls(tls);
    refused_request(request);
    refused_segment(id);
}

/* Zero, small, huge and random numbers. */
static void random_handles(void)
{
    int i;

    refused_everywhere(0);
    refused_everywhere(UINT64_MAX);
    for (i = 0; i < 50; i++)
        refused_everywhere(random_id());
}

static void stale(void)
{
    fw_socket socket;
    fw_tls tls;
    fw_segment segment;
    int i;

    /* Slots are reused: their old handles must not become valid again. */
    for (i = 0; i < 20; i++) {
        fw_socket next;
        fw_tls next_tls;
        fw_segment next_segment;

        OK(fw_socket_create("ws://127.0.0.1:1/", &socket));
        OK(fw_tls_create(&tls));
        OK(fw_buffer_get(16, &segment));
        OK(fw_socket_destroy(socket));
        OK(fw_tls_destroy(tls));
        OK(fw_segment_release(segment));
        OK(fw_socket_create("ws://127.0.0.1:2/", &next));
        OK(fw_tls_create(&next_tls));
        OK(fw_buffer_get(16, &next_segment));
        refused_socket(socket);
        refused_tls(tls);
        REFUSED(fw_segment_retain(segment));
        REFUSED(fw_segment_release(segment));
        OK(fw_socket_destroy(next));
        OK(fw_tls_destroy(next_tls));
        OK(fw_segment_release(next_segment));
    }
}

/* A live handle with one bit flipped, for each bit. */
static void flipped_bits(void)
{
    fw_socket socket, near;
    fw_tls tls, near_tls;
    fw_segment segment, near_segment;
    char url[64];
    int bit;

    OK(fw_socket_create("ws://127.0.0.1:1/here", &socket));
    OK(fw_tls_create(&tls));
    OK(fw_buffer_get(16, &segment));
    near_segment = segment;
    for (bit = 0; bit < 64; bit++) {
        near.id = socket.id ^ (uint64_t)1 << bit;
        near_tls.id = tls.id ^ (uint64_t)1 << bit;
        near_segment.buffer.id = segment.buffer.id ^ (uint64_t)1 << bit;
        refused_socket(near);
        refused_tls(near_tls);
        REFUSED(fw_segment_retain(near_segment));
        REFUSED(fw_segment_release(near_segment));
    }
    CHECK(fw_socket_state(socket) == FW_STATE_CLOSED);
    CHECK(fw_socket_url(socket, url, sizeof url) == strlen("ws://127.0.0.1:1/here"));
    OK(fw_socket_set_tls(socket, tls));
    OK(fw_socket_destroy(socket));
    OK(fw_tls_destroy(tls));
    OK(fw_segment_release(segment));
}

/* All fields of a segment are checked, not only its ID. */
static void modified_segments(void)
{
    fw_segment segment, modified;
    fw_socket socket;

    OK(fw_socket_create("ws://127.0.0.1:1/", &socket));
    OK(fw_buffer_get(100, &segment));
    modified = segment;
    modified.data = NULL;
    CHECK(fw_socket_send_binary_segment(socket, modified) != FW_RESULT_OK);
    OK(fw_buffer_get(100, &segment));
    modified = segment;
    modified.offset = SIZE_MAX;
    modified.count = 2;
    CHECK(fw_socket_send_binary_segment(socket, modified) != FW_RESULT_OK);
    OK(fw_socket_destroy(socket));
}

static void null_pointers(void)
{
    fw_socket socket;
    fw_tls tls;
    fw_event event;
    char text[4];

    ARGUMENT(fw_socket_create(NULL, &socket));
    ARGUMENT(fw_socket_create("ws://example.org", NULL));
    ARGUMENT(fw_tls_create(NULL));
    ARGUMENT(fw_buffer_get(16, NULL));
    ARGUMENT(fw_buffer_pool_stats(NULL));
    CHECK(!fw_next_event(NULL));
    fw_event_release(NULL);
    CHECK(fw_next_events(NULL, 5) == 0);
    CHECK(fw_next_events(NULL, 0) == 0);
    CHECK(fw_next_events(&event, SIZE_MAX) == 0);
    fw_events_release(NULL, 5);
    fw_events_release(NULL, 0);
    fw_events_release(&event, SIZE_MAX);
    fw_events_release(NULL, SIZE_MAX);
    CHECK(strcmp(fw_state_name(99), "UNKNOWN") == 0 && strcmp(fw_phase_name(99), "UNKNOWN") == 0);
    CHECK(strcmp(fw_error_kind_name(99), "UNKNOWN") == 0 && strcmp(fw_event_type_name(99), "UNKNOWN") == 0);
    CHECK(strcmp(fw_result_name(99), "UNKNOWN") == 0);
    fw_config_init(NULL, sizeof(fw_config));
    fw_compression_init(NULL, sizeof(fw_compression));
    fw_extension_init(NULL, sizeof(fw_extension));
    fw_reconnect_init(NULL, sizeof(fw_reconnect));
    fw_callbacks_init(NULL, sizeof(fw_callbacks));
    fw_stats_init(NULL, sizeof(fw_stats));
    fw_message_init(NULL, sizeof(fw_message));
    fw_lane_init(NULL, sizeof(fw_lane));
    fw_lane_stats_init(NULL, sizeof(fw_lane_stats));
    fw_link_init(NULL, sizeof(fw_link));
    fw_capture_init(NULL, sizeof(fw_capture));
    fw_pool_stats_init(NULL, sizeof(fw_pool_stats));
    CHECK(fw_last_error(NULL, 0) > 0);
    CHECK(fw_last_error(NULL, 5) > 0);
    /* In any order, any number of times. */
    OK(fw_resume());
    OK(fw_suspend());
    OK(fw_suspend());
    OK(fw_network_changed());
    OK(fw_resume());
    ARGUMENT(fw_android_init(NULL, NULL));
    ARGUMENT(fw_android_init(NULL, &socket));
    ARGUMENT(fw_android_init(&socket, NULL));
    ARGUMENT(fw_set_log(77, NULL, NULL));
    OK(fw_set_log(FW_LOG_OFF, NULL, NULL));
    ARGUMENT(fw_queue_log(77));
    OK(fw_queue_log(FW_LOG_OFF));
    CHECK(!fw_next_log(NULL, NULL, NULL, 0, NULL, 0));

    OK(fw_socket_create("ws://127.0.0.1:1/", &socket));
    CHECK(!fw_socket_next_event(socket, NULL));
    CHECK(fw_socket_next_events(socket, NULL, 5) == 0);
    CHECK(fw_socket_next_events(socket, &event, SIZE_MAX) == 0);
    ARGUMENT(fw_socket_set_callbacks(socket, NULL, NULL));
    ARGUMENT(fw_socket_stats(socket, NULL));
    ARGUMENT(fw_socket_add_protocol(socket, NULL));
    ARGUMENT(fw_socket_add_header(socket, NULL, "value"));
    ARGUMENT(fw_socket_add_header(socket, "name", NULL));
    ARGUMENT(fw_socket_set_basic_auth(socket, NULL, "password"));
    ARGUMENT(fw_socket_set_basic_auth(socket, "user", NULL));
    ARGUMENT(fw_socket_set_bearer_auth(socket, NULL));
    ARGUMENT(fw_socket_set_context(socket, NULL, "value"));
    ARGUMENT(fw_socket_set_context(socket, "key", NULL));
    ARGUMENT(fw_socket_add_extension(socket, NULL));
    ARGUMENT(fw_socket_offer_extension(socket, NULL, 1));
    ARGUMENT(fw_socket_offer_extension(socket, "", 1));
    ARGUMENT(fw_socket_offer_extension(socket, "x-a; b=\n", 1));
    ARGUMENT(fw_socket_offer_extension(socket, "x-a", 0));
    ARGUMENT(fw_socket_offer_extension(socket, "x-a", 8));
    ARGUMENT(fw_socket_offer_extension(socket, "x-a", 257));
    ARGUMENT(fw_socket_send_text(socket, NULL, 1));
    ARGUMENT(fw_socket_send_binary(socket, NULL, 1));
    CHECK(fw_socket_response_header(socket, NULL, text, sizeof text) == 0);
    CHECK(fw_socket_url(socket, NULL, 0) > 0);
    CHECK(fw_socket_url(socket, NULL, 5) > 0);
    CHECK(fw_socket_url(socket, text, sizeof text) > sizeof text && text[3] == 0);
    OK(fw_socket_destroy(socket));

    OK(fw_tls_create(&tls));
    ARGUMENT(fw_tls_add_ca_pem(tls, NULL, 5));
    ARGUMENT(fw_tls_set_client_cert_pem(tls, NULL, 5, NULL, 5));
    ARGUMENT(fw_tls_add_pin_sha256(tls, NULL));
    OK(fw_tls_destroy(tls));
    OK(fw_shutdown(5000));
    ARGUMENT(fw_init(NULL));
}

int main(void)
{
    fw_pool_stats stats;

    random_handles();
    stale();
    flipped_bits();
    modified_segments();
    null_pointers();
    fw_pool_stats_init(&stats, sizeof stats);
    OK(fw_buffer_pool_stats(&stats));
    CHECK(stats.leases == 0);
    OK(fw_shutdown(5000));
    return check_report();
}
