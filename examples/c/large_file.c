/*
 * Streams a large file with bounded memory: sends it in parts, and writes at most what the network takes.
 *
 *     large_file ws://127.0.0.1:9001/ [FILE]       (without FILE: this program)
 *
 * Each part is read into a buffer of the pool, which is sent without a copy. The program stops reading while more than
 * SEND_AHEAD bytes are queued (backpressure). The server echoes every part; the program compares checksums.
 */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>

enum { PART = 64 * 1024, SEND_AHEAD = 1024 * 1024 };

/* Counts and checks a stream of bytes (FNV-1a). */
struct digest {
    uint64_t bytes, hash;
};

struct transfer {
    FILE *file;
    struct digest sent, received;
    bool is_complete; /* the whole file was sent */
    bool finished, failed;
};

static void update(struct digest *digest, const uint8_t *data, size_t len)
{
    digest->bytes += len;
    for (size_t at = 0; at < len; at++)
        digest->hash = (digest->hash ^ data[at]) * 0x100000001b3u;
}

/* Sends parts until the queue is full or the file ends. Called once per frame. */
static void send_parts(fw_socket socket, struct transfer *transfer)
{
    while (!transfer->is_complete && fw_socket_buffered_amount(socket) < SEND_AHEAD) {
        fw_segment part;
        if (fw_buffer_get(PART, &part) != FW_RESULT_OK)
            return;
        part.count = fread(part.data + part.offset, 1, PART, transfer->file);
        if (part.count == 0) {
            transfer->is_complete = true;
            fw_segment_release(part);
            return;
        }
        update(&transfer->sent, part.data + part.offset, part.count);
        /* Takes over the segment, whatever the result. */
        if (fw_socket_send_binary_segment(socket, part) != FW_RESULT_OK)
            transfer->finished = transfer->failed = true;
    }
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)socket;
    update(&((struct transfer *)user_data)->received, data, len);
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)socket, (void)code, (void)reason, (void)len;
    ((struct transfer *)user_data)->finished = true;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    struct transfer *transfer = user_data;
    (void)socket;
    fprintf(stderr, "%s\n", error->message);
    transfer->finished = transfer->failed = true;
}

int main(int argc, char **argv)
{
    static struct transfer transfer;
    fw_callbacks callbacks;
    fw_socket socket;

    if (argc < 2 || fw_socket_create(argv[1], &socket) != FW_RESULT_OK) {
        fprintf(stderr, "usage: %s URL [FILE]\n", argv[0]);
        return 2;
    }
    transfer.file = fopen(argc > 2 ? argv[2] : argv[0], "rb");
    if (!transfer.file) {
        perror(argc > 2 ? argv[2] : argv[0]);
        return 2;
    }
    fw_callbacks_init(&callbacks, sizeof callbacks);
    callbacks.binary = on_binary;
    callbacks.closed = on_closed;
    callbacks.error = on_error;
    fw_socket_set_callbacks(socket, &callbacks, &transfer);
    fw_socket_set_compression(socket, NULL); /* files are often compressed already */
    fw_socket_open(socket);
    while (!transfer.finished) {
        fw_wait(16); /* a game renders a frame instead */
        fw_poll(0, 1000);
        if (fw_socket_is_open(socket))
            send_parts(socket, &transfer);
        if (transfer.is_complete && transfer.received.bytes == transfer.sent.bytes)
            fw_socket_close(socket, 1000, "done"); /* only the first call has an effect */
    }
    fclose(transfer.file);
    fw_socket_destroy(socket);
    fw_shutdown(2000);
    transfer.failed |=
        transfer.sent.bytes != transfer.received.bytes || transfer.sent.hash != transfer.received.hash;
    printf("%llu bytes sent, %llu received: %s\n", (unsigned long long)transfer.sent.bytes,
           (unsigned long long)transfer.received.bytes, transfer.failed ? "FAILED" : "identical");
    return transfer.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
