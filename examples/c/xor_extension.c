/*
 * A custom WebSocket extension: payloads are XORed with a byte that client and server negotiate in the
 * handshake. (XOR hides nothing; the example shows where to add a codec or a cipher.)
 *
 *     xor_extension ws://127.0.0.1:9003/       a server that supports "x-xor": framewire-echo prints one
 */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct xor_extension {
    uint8_t key;
    int changed;
};

/* Offers "x-xor; key=90". */
static size_t add_negotiation(char *buf, size_t cap, void *user_data)
{
    struct xor_extension *xor = user_data;
    return (size_t)snprintf(buf, cap, "x-xor; key=%d", xor->key);
}

/* Accepts the response of the server if it uses the same key. */
static uint32_t parse_negotiation(const char *element, size_t len, void *user_data)
{
    struct xor_extension *xor = user_data;
    char expected[32];
    int expected_len = snprintf(expected, sizeof expected, "x-xor; key=%d", xor->key);
    return (size_t)expected_len == len && memcmp(expected, element, len) == 0;
}

/* Encodes and decodes: XOR is its own inverse. */
static uint32_t transform(const fw_extension_frame *frame, const uint8_t *data, size_t len, fw_segment *out,
                          void *user_data)
{
    struct xor_extension *xor = user_data;
    size_t i;
    (void)frame;
    if (fw_buffer_get(len, out) != FW_RESULT_OK)
        return 0;
    for (i = 0; i < len; i++)
        out->data[out->offset + i] = data[i] ^ xor->key;
    xor->changed++;
    return 1;
}

static void destroy(void *user_data)
{
    free(user_data);
}

int main(int argc, char **argv)
{
    struct xor_extension *xor = calloc(1, sizeof *xor);
    fw_extension extension;
    fw_socket socket;
    fw_event event;
    int running = 1, echoes = 0, changed = 0;

    if (argc < 2 || !xor|| fw_socket_create(argv[1], &socket) != FW_RESULT_OK) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    xor->key = 90;
    fw_extension_init(&extension, sizeof extension);
    extension.rsv = 2; /* uses RSV2; RSV1 belongs to permessage-deflate */
    extension.add_negotiation = add_negotiation;
    extension.parse_negotiation = parse_negotiation;
    extension.encode = transform;
    extension.decode = transform;
    extension.destroy = destroy; /* the library calls it when it no longer needs user_data */
    extension.user_data = xor;
    if (fw_socket_add_extension(socket, &extension) != FW_RESULT_OK)
        return EXIT_FAILURE;
    fw_socket_open(socket);
    while (running && fw_wait(10000)) {
        while (running && fw_next_event(&event)) {
            const char *payload = (const char *)event.payload.data + event.payload.offset;
            char agreed[128];

            switch (event.type) {
            case FW_EVENT_OPEN:
                fw_socket_extensions(event.socket, agreed, sizeof agreed);
                printf("open: %s\n", agreed);
                fw_socket_send_text(event.socket, "secret, almost", 14);
                fw_socket_send_binary(event.socket, "\x01\x02\x03", 3);
                break;
            case FW_EVENT_TEXT:
                printf("text: %.*s\n", (int)event.payload.count, payload);
                echoes += event.payload.count == 14 && memcmp(payload, "secret, almost", 14) == 0;
                break;
            case FW_EVENT_BINARY:
                printf("binary: %zu bytes\n", event.payload.count);
                echoes += event.payload.count == 3 && memcmp(payload, "\x01\x02\x03", 3) == 0;
                changed = xor->changed;
                fw_socket_close(event.socket, 1000, NULL);
                break;
            case FW_EVENT_ERROR:
                printf("error: %s\n", event.error.message);
                running = 0;
                break;
            case FW_EVENT_CLOSED:
                running = 0;
                break;
            default:
                break;
            }
            fw_event_release(&event);
        }
    }
    fw_socket_destroy(socket);
    fw_shutdown(2000);
    return echoes == 2 && changed == 4 ? EXIT_SUCCESS : EXIT_FAILURE;
}
