/* What a caller can do wrong gets an answer: bad URLs, texts, codes, headers, moments. Wrong handles
 * and NULL are in bad_handles.c. */

#include "check.h"

static void urls(void)
{
    static const char *const bad[] = {
        "", "ws", "ws:", "ws://", "ws:///path", "example.org", "ftp://example.org", "wss//example.org",
        "ws://example.org:0", "ws://example.org:65536", "ws://example.org:80a", "ws://exa mple.org",
        "ws://example.org/a b", "ws://example.org/\r\nX: y", "ws://example.org/\t", "ws://example.org/#top",
        "ws://[::1", "ws://[::g]/", "ws://b\xc3\xbc" "cher.example/", "ws://example.org/%zz", "ws://ex\\ample.org/",
        "ws://user@:80/", "ws://example.org/\x01", "ws://256.1.1.1/", "javascript:alert(1)",
    };
    static const char *const good[] = {
        "ws://example.org", "wss://example.org/", "http://example.org:80/x?y=z", "HTTPS://EXAMPLE.org",
        "ws://[::1]:9001/", "ws://127.0.0.1/", "ws://a:b@example.org/", "ws://xn--bcher-kva.example/%20",
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

int main(void)
{
    char text[64];

    CHECK(fw_version() == FW_VERSION);
    CHECK(fw_result_name(FW_RESULT_WOULD_BLOCK) && strcmp(fw_result_name(FW_RESULT_WOULD_BLOCK), "FW_RESULT_WOULD_BLOCK") == 0);
    CHECK(fw_result_name(4711) != NULL);
    urls();
    CHECK(fw_last_error(text, 5) >= 4 && strlen(text) <= 4);
    settings();
    OK(fw_shutdown(5000));
    return check_report();
}
