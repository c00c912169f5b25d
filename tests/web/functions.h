/* Calls every function of the header in a page: it does what it says, or returns NOT_SUPPORTED.
 * `cargo xtask test` checks that no function is missing here or in page.c. */

#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include "../c/check.h"

#define NOT_SUPPORTED(call)                                                                                  \
    do {                                                                                                     \
        CHECK_RESULT(call, FW_RESULT_NOT_SUPPORTED);                                                         \
        CHECK(fw_last_error(reason, sizeof reason) > 10 && strstr(reason, "browser") != NULL);               \
    } while (0)
#define INVALID(call) CHECK_RESULT(call, FW_RESULT_INVALID_HANDLE)

static void any_socket_fn(fw_socket socket, void *user_data)
{
    (void)socket;
    (void)user_data;
}
static void any_bytes_fn(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)socket;
    (void)data;
    (void)len;
    (void)user_data;
}
static void any_frame_fn(fw_socket socket, const fw_frame *frame, void *user_data)
{
    (void)socket;
    (void)frame;
    (void)user_data;
}
static void any_segment_fn(fw_socket socket, const fw_segment *segment, void *user_data)
{
    (void)socket;
    (void)segment;
    (void)user_data;
}
static void any_request_fn(fw_socket socket, fw_request request, void *user_data)
{
    (void)socket;
    (void)request;
    (void)user_data;
}

static void every_function(const char *url)
{
    static const fw_tls no_tls;
    static const fw_request no_request;
    static const uint32_t available = FW_CAPABILITY_TLS;
    char text[256], reason[256];
    fw_socket s, unused;
    fw_event event;
    fw_segment segment;
    fw_stats stats;
    fw_message message;
    fw_lane lane;
    fw_lane_stats lane_stats;
    fw_link link;
    fw_capture capture;
    fw_pool_stats pool;
    fw_callbacks callbacks;
    fw_compression compression;
    fw_extension extension;
    fw_reconnect reconnect;
    fw_config config;

    /* Names, versions, sizes. */
    CHECK(fw_version() == FW_VERSION && strcmp(fw_version_string(), FW_VERSION_STRING) == 0);
    CHECK(fw_sizeof(FW_STRUCT_EVENT) == sizeof(fw_event) && fw_sizeof(FW_STRUCT_ERROR) == sizeof(fw_error));
    CHECK(fw_sizeof(FW_STRUCT_SEGMENT) == sizeof(fw_segment) &&
          fw_sizeof(FW_STRUCT_STATS) == sizeof(fw_stats));
    CHECK(fw_capabilities() == available);
    CHECK(strcmp(fw_result_name(FW_RESULT_NOT_SUPPORTED), "FW_RESULT_NOT_SUPPORTED") == 0);
    CHECK(strcmp(fw_state_name(FW_STATE_OPEN), "FW_STATE_OPEN") == 0);
    CHECK(strcmp(fw_phase_name(FW_PHASE_OPEN), "FW_PHASE_OPEN") == 0);
    CHECK(strcmp(fw_error_kind_name(FW_ERROR_KIND_RESET), "FW_ERROR_KIND_RESET") == 0);
    CHECK(strcmp(fw_event_type_name(FW_EVENT_TEXT), "FW_EVENT_TEXT") == 0);

    /* The library. */
    fw_config_init(&config, sizeof config);
    CHECK(config.struct_size == sizeof config);
    config.worker_threads = 4;
    OK(fw_init(&config));
    OK(fw_set_log(FW_LOG_OFF, NULL, NULL));
    OK(fw_queue_log(FW_LOG_OFF));
    CHECK(!fw_next_log(NULL, NULL, NULL, 0, NULL, 0));
    OK(fw_network_changed());
    OK(fw_suspend());
    OK(fw_resume());
    CHECK_RESULT(fw_android_init(&config, &config), FW_RESULT_NOT_SUPPORTED);
    CHECK(fw_poll(0, 0) == 0 && fw_pending() == 0 && !fw_wait(1000));
    CHECK(!fw_next_event(&event) && fw_next_events(&event, 1) == 0);

    /* Creating. */
    CHECK_RESULT(fw_socket_create("http//nonsense", &unused), FW_RESULT_INVALID_URL);
    CHECK_RESULT(fw_socket_create("ws://a b/", &unused), FW_RESULT_INVALID_URL);
    NOT_SUPPORTED(fw_socket_create("ws://user:password@127.0.0.1/", &unused));
    OK(fw_socket_create("wss://localhost/", &unused));
    OK(fw_socket_destroy(unused));
    OK(fw_socket_create(url, &s));
    CHECK(fw_socket_url(s, text, sizeof text) == strlen(url) && strcmp(text, url) == 0);

    /* Callbacks. */
    OK(fw_socket_on_open(s, any_socket_fn, NULL));
    OK(fw_socket_on_text(s, NULL, NULL));
    OK(fw_socket_on_text_segment(s, any_segment_fn, NULL));
    OK(fw_socket_on_binary(s, any_bytes_fn, NULL));
    OK(fw_socket_on_binary_no_alloc(s, any_segment_fn, NULL));
    OK(fw_socket_on_reconnecting(s, NULL, NULL));
    OK(fw_socket_on_closed(s, NULL, NULL));
    OK(fw_socket_on_error(s, NULL, NULL));
    OK(fw_socket_on_sent(s, NULL, NULL));
    NOT_SUPPORTED(fw_socket_on_incomplete_frame(s, any_frame_fn, NULL));
    NOT_SUPPORTED(fw_socket_on_internal_request_created(s, any_request_fn, NULL));
    NOT_SUPPORTED(fw_socket_on_pong(s, any_bytes_fn, NULL));
    OK(fw_socket_on_pong(s, NULL, NULL));
    fw_callbacks_init(&callbacks, sizeof callbacks);
    OK(fw_socket_set_callbacks(s, &callbacks, NULL));
    callbacks.pong = any_bytes_fn;
    NOT_SUPPORTED(fw_socket_set_callbacks(s, &callbacks, NULL));
    OK(fw_socket_set_dispatch(s, FW_DISPATCH_POLL));
    NOT_SUPPORTED(fw_socket_set_dispatch(s, FW_DISPATCH_WORKER));
    NOT_SUPPORTED(fw_socket_enable_event(s, FW_EVENT_REQUEST, true));
    NOT_SUPPORTED(fw_socket_enable_event(s, FW_EVENT_INCOMPLETE_FRAME, true));
    OK(fw_socket_set_finalizer(s, NULL, NULL));
    OK(fw_socket_set_user_data(s, text));
    CHECK(fw_socket_user_data(s) == text);

    /* Settings that a browser leaves to the program. */
    OK(fw_socket_set_max_message_size(s, 1 << 20));
    OK(fw_socket_set_max_buffered_amount(s, 1 << 20));
    OK(fw_socket_set_connect_timeout(s, 5000));
    OK(fw_socket_set_close_timeout(s, 5000));
    OK(fw_socket_set_context(s, "key", "value"));
    fw_reconnect_init(&reconnect, sizeof reconnect);
    OK(fw_socket_set_reconnect(s, &reconnect));
    OK(fw_socket_set_reconnect(s, NULL));
    OK(fw_socket_add_protocol(s, "protocol"));

    /* Settings that it does not, and their defaults. */
    NOT_SUPPORTED(fw_socket_set_origin(s, "https://example.org"));
    OK(fw_socket_set_origin(s, ""));
    NOT_SUPPORTED(fw_socket_add_header(s, "X-Name", "value"));
    NOT_SUPPORTED(fw_socket_set_basic_auth(s, "user", "password"));
    NOT_SUPPORTED(fw_socket_set_bearer_auth(s, "token"));
    NOT_SUPPORTED(fw_socket_set_max_fragment_size(s, 1000));
    OK(fw_socket_set_http_version(s, FW_HTTP_AUTO));
    NOT_SUPPORTED(fw_socket_set_http_version(s, FW_HTTP_1));
    NOT_SUPPORTED(fw_socket_set_http_version(s, FW_HTTP_2));
    NOT_SUPPORTED(fw_socket_set_start_ping_thread(s, true));
    OK(fw_socket_set_start_ping_thread(s, false));
    NOT_SUPPORTED(fw_socket_set_ping_frequency(s, 1000));
    NOT_SUPPORTED(fw_socket_set_close_after_no_message(s, 1000));
    NOT_SUPPORTED(fw_socket_set_proxy(s, "http://127.0.0.1:1/"));
    OK(fw_socket_set_proxy(s, NULL));
    NOT_SUPPORTED(fw_socket_set_max_redirects(s, 1));
    OK(fw_socket_set_max_redirects(s, 0));
    NOT_SUPPORTED(fw_socket_set_cookies(s, true));
    OK(fw_socket_set_cookies(s, false));
    fw_compression_init(&compression, sizeof compression);
    NOT_SUPPORTED(fw_socket_set_compression(s, &compression));
    NOT_SUPPORTED(fw_socket_set_compression(s, NULL));
    fw_extension_init(&extension, sizeof extension);
    CHECK(fw_socket_add_extension(s, &extension) != FW_RESULT_OK);
    CHECK(fw_socket_offer_extension(s, "x-a", 1) != FW_RESULT_OK);
    INVALID(fw_socket_set_tls(s, no_tls));

    /* TLS settings: there are none, so their handles are invalid. */
    {
        fw_tls tls = {0};
        NOT_SUPPORTED(fw_tls_create(&tls));
        INVALID(fw_tls_add_ca_pem(tls, "pem", 3));
        INVALID(fw_tls_set_client_cert_pem(tls, "pem", 3, "pem", 3));
        INVALID(fw_tls_add_pin_sha256(tls, (const uint8_t *)"01234567890123456789012345678901"));
        INVALID(fw_tls_set_roots(tls, FW_ROOTS_PLATFORM));
        INVALID(fw_tls_set_insecure(tls, true));
        INVALID(fw_tls_set_key_log(tls, true));
        INVALID(fw_tls_destroy(tls));
    }

    /* Sending, before the socket is open. */
    CHECK_RESULT(fw_socket_send_text(s, "x", 1), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_send_binary(s, "x", 1), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_send_text_with(s, "x", 1, FW_SEND_UNCOMPRESSED), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_send_binary_with(s, "x", 1, FW_SEND_DEFAULT), FW_RESULT_INVALID_STATE);
    fw_message_init(&message, sizeof message);
    CHECK_RESULT(fw_socket_send(s, &message), FW_RESULT_INVALID_STATE);
    fw_lane_init(&lane, sizeof lane);
    OK(fw_socket_set_lanes(s, &lane, 1));
    fw_lane_stats_init(&lane_stats, sizeof lane_stats);
    OK(fw_socket_lane_stats(s, 0, &lane_stats));
    CHECK(lane_stats.sent == 0 && strcmp(fw_outcome_name(FW_OUTCOME_LOST), "FW_OUTCOME_LOST") == 0);
    fw_link_init(&link, sizeof link);
    NOT_SUPPORTED(fw_socket_set_link(s, &link));
    OK(fw_socket_set_link(s, NULL));
    fw_capture_init(&capture, sizeof capture);
    NOT_SUPPORTED(fw_socket_set_capture(s, "capture.pcapng", &capture));
    OK(fw_socket_set_capture(s, NULL, NULL));
    OK(fw_buffer_get(100, &segment));
    CHECK(segment.data != NULL && segment.count >= 100);
    OK(fw_segment_retain(segment));
    CHECK_RESULT(fw_socket_send_text_segment(s, segment), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_send_binary_segment(s, segment), FW_RESULT_INVALID_STATE);
    INVALID(fw_segment_release(segment));
    NOT_SUPPORTED(fw_socket_ping(s, "x", 1));
    CHECK(fw_socket_buffered_amount(s) == 0);
    fw_pool_stats_init(&pool, sizeof pool);
    OK(fw_buffer_pool_stats(&pool));
    fw_buffer_pool_trim();

    /* State. */
    CHECK(fw_socket_state(s) == FW_STATE_CLOSED && !fw_socket_is_open(s));
    CHECK(fw_socket_latency_us(s) == -1 && fw_socket_last_message_received(s) == 0);
    CHECK(fw_socket_protocol(s, text, sizeof text) == 0 && fw_socket_extensions(s, text, sizeof text) == 0);
    CHECK(fw_socket_http_version(s) == 0 && fw_socket_response_status(s) == 0);
    CHECK(fw_socket_response_header(s, "Date", text, sizeof text) == 0);
    CHECK(fw_socket_response_headers(s, text, sizeof text) == 0);
    CHECK(fw_socket_response_body(s, text, sizeof text) == 0);
    fw_stats_init(&stats, sizeof stats);
    OK(fw_socket_stats(s, &stats));
    CHECK(stats.messages_sent == 0 && stats.bytes_received == 0);

    /* Requests: there are none. */
    CHECK(fw_request_url(no_request, text, sizeof text) == 0 && fw_request_http_version(no_request) == 0);
    CHECK(fw_request_attempt(no_request) == 0);
    INVALID(fw_request_set_header(no_request, "X-Name", "value"));
    INVALID(fw_request_add_header(no_request, "X-Name", "value"));
    INVALID(fw_request_remove_header(no_request, "X-Name"));
    CHECK(fw_request_header(no_request, "X-Name", text, sizeof text) == 0);

    /* Opening and ending; events that are pulled. */
    CHECK_RESULT(fw_socket_close(s, 1000, NULL), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_abort(s), FW_RESULT_INVALID_STATE);
    OK(fw_socket_open(s));
    CHECK_RESULT(fw_socket_open(s), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_set_connect_timeout(s, 1), FW_RESULT_INVALID_STATE);
    OK(fw_socket_abort(s));
    CHECK(fw_pending() == 1);
    CHECK(fw_socket_next_event(s, &event) && event.type == FW_EVENT_CLOSED && event.close_code == 1006);
    fw_event_release(&event);
    OK(fw_socket_open(s));
    OK(fw_socket_close(s, 1000, NULL));
    CHECK(fw_socket_next_events(s, &event, 1) == 1 && event.type == FW_EVENT_CLOSED);
    fw_events_release(&event, 1);
    CHECK(fw_socket_poll(s, 0, 0) == 0);
    OK(fw_socket_destroy_when_sent(s, 1000));
    INVALID(fw_socket_destroy(s));
    OK(fw_shutdown(1000));
}

#endif
