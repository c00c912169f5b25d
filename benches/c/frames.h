/* The subset of RFC 6455 section 5.2 that the server and the raw client need. */

#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum opcode { CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, NOT_FINAL = 0x100 };

/* Returns the length of a header without the mask. */
static inline size_t header_len(uint64_t len)
{
    return len < 126 ? 2 : len < 65536 ? 4 : 10;
}

/* Writes a header, with a mask for a client. Returns its length. */
static inline size_t put_header(uint8_t *at, int opcode, uint64_t len, const uint8_t *mask)
{
    size_t head = header_len(len), i;
    at[0] = (uint8_t)((opcode & NOT_FINAL ? 0 : 0x80) | (opcode & 15));
    at[1] = (uint8_t)((mask ? 0x80 : 0) | (head == 2 ? len : head == 4 ? 126 : 127));
    for (i = 2; i < head; i++)
        at[i] = (uint8_t)(len >> 8 * (head - 1 - i));
    if (!mask)
        return head;
    memcpy(at + head, mask, 4);
    return head + 4;
}

/* XORs with the mask, from offset `at` of the payload. */
static inline void unmask(uint8_t *bytes, size_t len, const uint8_t *mask, uint64_t at)
{
    uint8_t turned[4];
    uint64_t word;
    uint32_t half;
    size_t i;
    for (i = 0; i < 4; i++)
        turned[i] = mask[(at + i) & 3];
    memcpy(&half, turned, 4);
    word = (uint64_t)half << 32 | half;
    for (i = 0; i + 8 <= len; i += 8) {
        uint64_t eight;
        memcpy(&eight, bytes + i, 8);
        eight ^= word;
        memcpy(bytes + i, &eight, 8);
    }
    for (; i < len; i++)
        bytes[i] ^= turned[i & 3];
}

struct parser {
    uint8_t header[14];
    size_t have;
    int in_payload, is_final, is_masked, opcode;
    uint8_t mask[4];
    uint64_t left, at; /* of the payload */
};

/* Parses a header, or the available part of it. Returns the number of bytes consumed. */
static inline uint8_t *parse_header(struct parser *parser, uint8_t *at, const uint8_t *end)
{
    /* Fast path: a short message of a client with a complete header. */
    if (!parser->have && end - at >= 6 && (at[1] & 128) && (at[1] & 127) < 126) {
        parser->left = at[1] & 127;
        parser->is_final = at[0] >> 7;
        parser->opcode = at[0] & 15;
        memcpy(parser->mask, at + 2, 4);
        parser->is_masked = 1;
        parser->at = 0;
        parser->in_payload = 1;
        return at + 6;
    }
    while (at < end) {
        const uint8_t *header = parser->header;
        size_t head, i;
        parser->header[parser->have++] = *at++;
        if (parser->have < 2)
            continue;
        head = (header[1] & 127) == 126 ? 4 : (header[1] & 127) == 127 ? 10 : 2;
        if (parser->have < head + (header[1] & 128 ? 4 : 0))
            continue;
        parser->left = head == 2 ? header[1] & 127 : 0;
        for (i = 2; i < head; i++)
            parser->left = parser->left << 8 | header[i];
        parser->is_masked = header[1] >> 7;
        if (parser->is_masked)
            memcpy(parser->mask, header + head, 4);
        else
            memset(parser->mask, 0, 4);
        parser->is_final = header[0] >> 7;
        parser->opcode = header[0] & 15;
        parser->at = 0;
        parser->have = 0;
        parser->in_payload = 1;
        break;
    }
    return at;
}

#endif
