/* Invalid arguments and states return errors: URLs, texts, close codes, headers. Invalid handles and NULL
 * are in bad_handles.c. */

#include "check.h"

static void urls(void)
{
    static const char *const bad[] = {
        "",
        "ws",
        "ws:",
        "ws://",
        "ws:///path",
        "example.org",
        "ftp://example.org",
        "wss//example.org",
        "ws://example.org:0",
        "ws://example.org:65536",
        "ws://example.org:80a",
        "ws://exa mple.org",
        "ws://example.org/a b",
        "ws://example.org/\r\nX: y",
        "ws://example.org/\t",
        "ws://example.org/#top",
        "ws://[::1",
        "ws://[::g]/",
        "ws://b\xc3\xbc"
        "cher.example/",
        "ws://example.org/%zz",
        "ws://ex\\ample.org/",
        "ws://user@:80/",
        "ws://example.org/\x01",
        "ws://256.1.1.1/",
        "javascript:alert(1)",
    };
    static const char *const good[] = {
        "ws://example.org",
        "wss://example.org/",
        "http://example.org:80/x?y=z",
        "HTTPS://EXAMPLE.org",
        "ws://[::1]:9001/",
        "ws://127.0.0.1/",
        "ws://a:b@example.org/",
        "ws://xn--bcher-kva.example/%20",
    };
    fw_socket socket;
    size_t i;

    for (i = 0; i < sizeof bad / sizeof *bad; i++) {
        fw_result result = fw_socket_create(bad[i], &socket);
        if (result != FW_RESULT_INVALID_URL)
            printf("%s\n", bad[i]);
        CHECK_RESULT(result, FW_RESULT_INVALID_URL);
    }
    CHECK_RESULT(fw_socket_create("ws://\xff\xfe/", &socket), FW_RESULT_INVALID_URL);
    for (i = 0; i < sizeof good / sizeof *good; i++) {
        OK(fw_socket_create(good[i], &socket));
        OK(fw_socket_destroy(socket));
    }
}

static void settings(void)
{
    static const char long_reason[] = "123456789 123456789 123456789 123456789 123456789 123456789 123456789 "
                                      "123456789 123456789 123456789 123456789 123456789 1234";
    static const uint16_t codes[] = {1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};
    fw_socket socket;
    fw_tls tls;
    size_t i;

    OK(fw_socket_create("ws://127.0.0.1:1/", &socket));
    CHECK_RESULT(fw_socket_send_text(socket, "early", 5), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_send_text(socket, "\xff\xfe", 2), FW_RESULT_INVALID_UTF8);
    CHECK_RESULT(fw_socket_send_text(socket, "\xed\xa0\x80", 3), FW_RESULT_INVALID_UTF8);
    CHECK_RESULT(fw_socket_send_text(socket, NULL, 1), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_ping(socket, NULL, 0), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_close(socket, 0, NULL), FW_RESULT_INVALID_STATE);
    for (i = 0; i < sizeof codes / sizeof *codes; i++)
        CHECK_RESULT(fw_socket_close(socket, codes[i], NULL), FW_RESULT_INVALID_ARGUMENT);
    CHECK(strlen(long_reason) == 124);
    CHECK(fw_socket_close(socket, 1000, long_reason) != FW_RESULT_OK);
    CHECK_RESULT(fw_socket_close(socket, 1000, "\xff"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_dispatch(socket, 2), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_add_header(socket, "X", "a\r\nY: b"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_add_header(socket, "X\n", "a"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_add_header(socket, "", "a"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_add_header(socket, "Host", "elsewhere"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_add_header(socket, "sec-websocket-key", "mine"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_add_protocol(socket, "a b"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_add_protocol(socket, ""), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_origin(socket, "x\ny"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_bearer_auth(socket, "a\r\n"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_basic_auth(socket, "a:b", "c"), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_ping_frequency(socket, 0), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_max_fragment_size(socket, 0), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_max_message_size(socket, 0), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_http_version(socket, 3), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_context(socket, NULL, "x"), FW_RESULT_INVALID_ARGUMENT);
    OK(fw_socket_destroy(socket));

    OK(fw_tls_create(&tls));
    CHECK_RESULT(fw_tls_add_ca_pem(tls, "no pem", 6), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_tls_add_ca_pem(tls, NULL, 0), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_tls_set_client_cert_pem(tls, "x", 1, "y", 1), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_tls_add_pin_sha256(tls, NULL), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_tls_set_roots(tls, 9), FW_RESULT_INVALID_ARGUMENT);
    OK(fw_tls_destroy(tls));
    CHECK_RESULT(fw_init(NULL), FW_RESULT_INVALID_ARGUMENT);
}

/* Every header field of the handshake itself, in any case, in every function that changes headers. */
static const char *const owned[] = {
    "Host",
    "host",
    "HOST",
    "Connection",
    "Upgrade",
    "upgrade",
    "Content-Length",
    "Transfer-Encoding",
    "TE",
    "te",
    "Trailer",
    "Keep-Alive",
    "Proxy-Connection",
    "Expect",
    "HTTP2-Settings",
    "Sec-WebSocket-Key",
    "sec-websocket-key",
    "SEC-WEBSOCKET-KEY",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Anything",
};

static int requests_seen;

static void on_request(fw_socket socket, fw_request request, void *user_data)
{
    static const char *const illegal[] = {"", "a b", "a:", "a\n", "\xc3\xbc"};
    char value[16];
    size_t i;

    (void)socket, (void)user_data;
    requests_seen++;
    OK(fw_request_set_header(request, "X-Kept", "1"));
    for (i = 0; i < sizeof owned / sizeof *owned; i++) {
        CHECK_RESULT(fw_request_set_header(request, owned[i], "x"), FW_RESULT_INVALID_ARGUMENT);
        CHECK_RESULT(fw_request_add_header(request, owned[i], "x"), FW_RESULT_INVALID_ARGUMENT);
        CHECK_RESULT(fw_request_remove_header(request, owned[i]), FW_RESULT_INVALID_ARGUMENT);
    }
    for (i = 0; i < sizeof illegal / sizeof *illegal; i++)
        CHECK_RESULT(fw_request_remove_header(request, illegal[i]), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_request_remove_header(request, NULL), FW_RESULT_INVALID_ARGUMENT);
    /* An invalid change does not affect the others. */
    CHECK(fw_request_header(request, "x-kept", value, sizeof value) == 1 && strcmp(value, "1") == 0);
    OK(fw_request_remove_header(request, "X-KEPT"));
    OK(fw_request_remove_header(request, "X-Kept"));
    CHECK(fw_request_header(request, "X-Kept", value, sizeof value) == 0);
}

static void owned_headers(const char *url)
{
    fw_socket socket;
    size_t i;

    OK(fw_socket_create(url, &socket));
    for (i = 0; i < sizeof owned / sizeof *owned; i++)
        CHECK_RESULT(fw_socket_add_header(socket, owned[i], "x"), FW_RESULT_INVALID_ARGUMENT);
    OK(fw_socket_on_internal_request_created(socket, on_request, NULL));
    OK(fw_socket_open(socket));
    POLL_UNTIL(fw_socket_is_open(socket));
    CHECK(requests_seen == 1);
    OK(fw_socket_destroy(socket));
}

static void names(void)
{
    static const uint32_t none[] = {100, (uint32_t)1 << 31, UINT32_MAX};
    size_t i;

    CHECK(strcmp(fw_state_name(FW_STATE_CONNECTING), "FW_STATE_CONNECTING") == 0);
    CHECK(strcmp(fw_state_name(FW_STATE_UNKNOWN), "FW_STATE_UNKNOWN") == 0);
    CHECK(strcmp(fw_phase_name(FW_PHASE_CLOSING), "FW_PHASE_CLOSING") == 0);
    CHECK(strcmp(fw_error_kind_name(FW_ERROR_KIND_PING_TIMEOUT), "FW_ERROR_KIND_PING_TIMEOUT") == 0);
    CHECK(strcmp(fw_event_type_name(FW_EVENT_RECONNECTING), "FW_EVENT_RECONNECTING") == 0);
    CHECK(strcmp(fw_result_name(FW_RESULT_OK), "FW_RESULT_OK") == 0);
    for (i = 0; i < sizeof none / sizeof *none; i++) {
        CHECK(strcmp(fw_state_name((fw_state)none[i]), "UNKNOWN") == 0);
        CHECK(strcmp(fw_phase_name((fw_phase)none[i]), "UNKNOWN") == 0);
        CHECK(strcmp(fw_error_kind_name((fw_error_kind)none[i]), "UNKNOWN") == 0);
        CHECK(strcmp(fw_event_type_name((fw_event_type)none[i]), "UNKNOWN") == 0);
    }
    CHECK(strcmp(FW_VERSION_STRING, fw_version_string()) == 0);
}

int main(int argc, char **argv)
{
    char text[64];

    if (argc < 4)
        return 2;
    CHECK(fw_version() == FW_VERSION);
    /* The build for tests has everything that its system has. */
    CHECK((fw_capabilities() & ~(uint32_t)FW_CAPABILITY_ANDROID) ==
          2 * FW_CAPABILITY_WAIT - 1 + FW_CAPABILITY_LINK + FW_CAPABILITY_CAPTURE);
    /* A made-up VM would be kept on Android. */
    if (!(fw_capabilities() & FW_CAPABILITY_ANDROID)) {
        CHECK_RESULT(fw_android_init(text, text), FW_RESULT_NOT_SUPPORTED);
        CHECK(fw_last_error(text, sizeof text) > 0 && strstr(text, "only Android"));
    }
    CHECK(fw_result_name(FW_RESULT_WOULD_BLOCK) &&
          strcmp(fw_result_name(FW_RESULT_WOULD_BLOCK), "FW_RESULT_WOULD_BLOCK") == 0);
    CHECK(fw_result_name(4711) != NULL);
    urls();
    CHECK(fw_last_error(text, 5) >= 4 && strlen(text) <= 4);
    settings();
    owned_headers(argv[1]);
    names();
    OK(fw_shutdown(5000));
    return check_report();
}
