/*
 * The server for all benchmark clients. Does as little work as possible: one thread, epoll, precomputed
 * frames. It busy-waits while a client is connected, so that no client pays for waking it.
 *
 *     server PLAIN_PORT [TLS_PORT CERT.pem KEY.pem]      (port 0: any; prints "ws PORT" and "wss PORT")
 *
 * The plain port is open on 127.0.0.1 to 127.0.0.4, for more connections than one address has ports.
 *
 * The path selects the behaviour:
 *   /echo         echoes every message, and answers pings
 *   /flood/SIZE   sends N binary messages of SIZE bytes for a text message with the number N
 *   /sink         sends a text after every N binary messages, after a text message with the number N
 *   /push/SIZE    a text message with a number N (per second) starts a stream of binary messages, each
 *                 beginning with the time at which it was sent (CLOCK_MONOTONIC, nanoseconds, 8 bytes)
 *   /idle         sends nothing
 *   /stall        reads nothing after the upgrade
 *   /masks        HTTP without an upgrade: how received frames were masked since the last such request
 */

#include "frames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ADDRESSES = 4,
    READ_SIZE = 256 * 1024,
    BLOCK_SIZE = 1024 * 1024,
    HEAD_SIZE = 4096,
    SINK_PAUSE_NS = 20000
};

enum purpose { ECHO, FLOOD, SINK, PUSH, IDLE, STALL };
enum stage { TLS_HANDSHAKE, UPGRADE, OPEN, ENDING };

/* The bytes of many equal frames, written repeatedly. */
struct block {
    size_t size, frame_len, len;
    uint8_t *bytes;
    struct block *next;
};

struct conn {
    int fd;
    SSL *ssl;
    enum stage stage;
    enum purpose purpose;
    int events; /* events registered with epoll */
    size_t size;

    char head[HEAD_SIZE];
    size_t head_len;

    struct parser parser;
    uint64_t number; /* in the text message being read */
    uint64_t ack_every, received;
    int64_t last_read;

    uint8_t *out; /* bytes to write: out[out_from] to out[out_to - 1] */
    size_t out_from, out_to, out_cap;
    struct block *block;
    uint64_t flood_left, flood_at;
    int64_t push_every, push_next;
    struct conn *next_push;
};

static int epoll_fd, plain_fds[ADDRESSES], tls_fd = -1, connections;
static SSL_CTX *tls;
static struct block *blocks;
static struct conn *pushing;
static uint8_t in[READ_SIZE];

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct block *block_of(size_t size)
{
    struct block *block;
    size_t frames, i;
    for (block = blocks; block; block = block->next)
        if (block->size == size)
            return block;
    block = calloc(1, sizeof *block);
    block->size = size;
    block->frame_len = size + header_len(size);
    frames = BLOCK_SIZE / block->frame_len ? BLOCK_SIZE / block->frame_len : 1;
    block->len = frames * block->frame_len;
    block->bytes = malloc(block->len);
    for (i = 0; i < frames; i++) {
        uint8_t *frame = block->bytes + i * block->frame_len;
        size_t head = put_header(frame, BINARY, size, NULL);
        memset(frame + head, 'f', size);
    }
    block->next = blocks;
    return blocks = block;
}

/* ------------------------------------------------------------------------------------------ bytes */

/* Like read: 0 at the end, -1 with EAGAIN if nothing is available. */
static ssize_t take(struct conn *conn, void *to, size_t len)
{
    int n;
    if (!conn->ssl)
        return read(conn->fd, to, len);
    n = SSL_read(conn->ssl, to, (int)len);
    if (n > 0)
        return n;
    n = SSL_get_error(conn->ssl, n);
    errno = EAGAIN;
    return n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static ssize_t give(struct conn *conn, const void *from, size_t len)
{
    int n;
    if (!conn->ssl)
        return send(conn->fd, from, len, MSG_NOSIGNAL);
    n = SSL_write(conn->ssl, from, len > 1 << 20 ? 1 << 20 : (int)len);
    if (n > 0)
        return n;
    n = SSL_get_error(conn->ssl, n);
    errno = n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE ? EAGAIN : EPIPE;
    return -1;
}

static uint8_t *reserve(struct conn *conn, size_t len)
{
    if (conn->out_from == conn->out_to)
        conn->out_from = conn->out_to = 0;
    if (conn->out_to + len > conn->out_cap) {
        conn->out_cap = (conn->out_to + len) * 2;
        conn->out = realloc(conn->out, conn->out_cap);
    }
    return conn->out + conn->out_to;
}

static void say(struct conn *conn, int opcode, const void *payload, size_t len)
{
    uint8_t *at = reserve(conn, len + 10);
    size_t head = put_header(at, opcode, len, NULL);
    memcpy(at + head, payload, len);
    conn->out_to += head + len;
}

/* Writes the queued bytes. Returns false if the connection is closed. */
static int flush(struct conn *conn)
{
    ssize_t n;
    int events;
    while (conn->out_from < conn->out_to) {
        n = give(conn, conn->out + conn->out_from, conn->out_to - conn->out_from);
        if (n < 0 && errno != EAGAIN)
            return 0;
        if (n < 0)
            break;
        conn->out_from += (size_t)n;
    }
    while (conn->flood_left && conn->out_from == conn->out_to) {
        size_t len = conn->block->len - conn->flood_at;
        n = give(conn, conn->block->bytes + conn->flood_at, len < conn->flood_left ? len : conn->flood_left);
        if (n < 0 && errno != EAGAIN)
            return 0;
        if (n < 0)
            break;
        conn->flood_left -= (uint64_t)n;
        conn->flood_at = (conn->flood_at + (uint64_t)n) % conn->block->len;
    }
    if (conn->stage == ENDING && conn->out_from == conn->out_to)
        return 0;
    events = conn->out_from < conn->out_to || conn->flood_left ? EPOLLIN | EPOLLOUT : EPOLLIN;
    if (conn->stage == OPEN && conn->purpose == STALL)
        events = 0;
    if (events != conn->events) {
        struct epoll_event event = {.events = (uint32_t)events, .data.ptr = conn};
        conn->events = events;
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
    }
    return 1;
}

/* ------------------------------------------------------------------------------------------ masks */

/* RFC 6455 section 5.3 requires a fresh and unpredictable key for each frame. Clients that save that work are
 * marked in the tables. */
static struct {
    unsigned long long frames, unmasked, repeated;
    uint32_t last, ones, zeros; /* the last key, and the bits that were 1 or 0 in any key */
} masks;

static void record_mask(const struct parser *parser)
{
    uint32_t key;
    masks.frames++;
    if (!parser->is_masked) {
        masks.unmasked++;
        return;
    }
    memcpy(&key, parser->mask, sizeof key);
    masks.repeated += masks.frames > 1 && key == masks.last;
    masks.last = key;
    masks.ones |= key;
    masks.zeros |= ~key;
}

/* Reports the masks, and resets them. */
static void report_masks(struct conn *conn)
{
    char *at = (char *)reserve(conn, 256);
    conn->out_to += (size_t)snprintf(at, 256,
                                     "HTTP/1.0 200 OK\r\n\r\n{\"mask_frames\":%llu,\"mask_unmasked\":%llu,"
                                     "\"mask_repeated\":%llu,\"mask_ones\":%u,\"mask_zeros\":%u}\n",
                                     masks.frames, masks.unmasked, masks.repeated, masks.ones, masks.zeros);
    memset(&masks, 0, sizeof masks);
    conn->stage = ENDING;
}

/* ---------------------------------------------------------------------------------------- upgrade */

static void choose(struct conn *conn, const char *path)
{
    const char *size = strchr(path + 1, '/');
    conn->size = size ? strtoull(size + 1, NULL, 10) : 0;
    conn->purpose = !strncmp(path, "/flood", 6)   ? FLOOD
                    : !strncmp(path, "/sink", 5)  ? SINK
                    : !strncmp(path, "/push", 5)  ? PUSH
                    : !strncmp(path, "/idle", 5)  ? IDLE
                    : !strncmp(path, "/stall", 6) ? STALL
                                                  : ECHO;
    if (conn->purpose == FLOOD)
        conn->block = block_of(conn->size);
}

static int upgrade(struct conn *conn)
{
    static const char name[] = "sec-websocket-key:";
    unsigned char digest[SHA_DIGEST_LENGTH];
    char accept[64], response[256];
    char *key, *line, *path;
    int len;
    ssize_t n = take(conn, conn->head + conn->head_len, HEAD_SIZE - 1 - conn->head_len);
    if (n <= 0)
        return n < 0;
    conn->head_len += (size_t)n;
    conn->head[conn->head_len] = 0;
    if (!strstr(conn->head, "\r\n\r\n"))
        return conn->head_len < HEAD_SIZE - 1;
    path = strchr(conn->head, ' ');
    if (path && !strncmp(path, " /masks ", 8)) {
        report_masks(conn);
        return 1;
    }
    for (line = conn->head, key = NULL; line && !key; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncasecmp(line, name, sizeof name - 1))
            key = line + sizeof name - 1 + strspn(line + sizeof name - 1, " ");
    }
    if (!key || !path)
        return 0;
    len = snprintf(response, sizeof response, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
                   (int)strcspn(key, "\r\n "), key);
    SHA1((unsigned char *)response, (size_t)len, digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof digest);
    path[1 + strcspn(path + 1, " ")] = 0;
    choose(conn, path + 1);
    len = snprintf(response, sizeof response,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Accept: %s\r\n\r\n",
                   accept);
    memcpy(reserve(conn, (size_t)len), response, (size_t)len);
    conn->out_to += (size_t)len;
    conn->stage = OPEN;
    return 1;
}

/* --------------------------------------------------------------------------------------- messages */

static void order(struct conn *conn, uint64_t number)
{
    if (conn->purpose == FLOOD) {
        conn->flood_left += number * conn->block->frame_len;
    } else if (conn->purpose == SINK) {
        conn->ack_every = number;
        conn->received = 0;
    } else if (conn->purpose == PUSH && number && !conn->push_every) {
        conn->push_every = (int64_t)(1000000000 / number);
        /* Spreads the streams over the interval between two messages. */
        conn->push_next = now_ns() + (int64_t)((uint64_t)conn->fd * 7919 % 1000) * conn->push_every / 1000;
        conn->next_push = pushing;
        pushing = conn;
    }
}

static void ended(struct conn *conn)
{
    if (conn->parser.opcode == CLOSE) {
        static const uint8_t normal[2] = {3, 232};
        say(conn, CLOSE, normal, sizeof normal);
        conn->stage = ENDING;
    } else if (conn->parser.opcode == TEXT && conn->purpose != ECHO) {
        order(conn, conn->number);
    } else if (conn->parser.is_final && conn->purpose == SINK && ++conn->received == conn->ack_every) {
        conn->received = 0;
        say(conn, TEXT, "done", 4);
    }
    conn->number = 0;
}

/* Handles a part of a frame's payload; NULL when its header is complete. */
static void piece(struct conn *conn, uint8_t *bytes, size_t len)
{
    struct parser *parser = &conn->parser;
    size_t i;
    if (conn->purpose == ECHO && parser->opcode != CLOSE) {
        if (!bytes) {
            uint8_t *at = reserve(conn, 10);
            int opcode = parser->opcode == PING ? PONG : parser->opcode;
            conn->out_to += put_header(at, opcode | (parser->is_final ? 0 : NOT_FINAL), parser->left, NULL);
            return;
        }
        memcpy(reserve(conn, len), bytes, len);
        unmask(conn->out + conn->out_to, len, parser->mask, parser->at);
        conn->out_to += len;
    } else if (bytes && parser->opcode == TEXT) {
        unmask(bytes, len, parser->mask, parser->at);
        for (i = 0; i < len; i++)
            if (bytes[i] >= '0' && bytes[i] <= '9')
                conn->number = conn->number * 10 + (uint64_t)(bytes[i] - '0');
    }
}

static int messages(struct conn *conn)
{
    ssize_t n;
    uint8_t *at, *end;
    if (conn->purpose == SINK) {
        int64_t now = now_ns();
        if (now - conn->last_read < SINK_PAUSE_NS)
            return 1;
        conn->last_read = now;
    }
    do {
        n = take(conn, in, sizeof in);
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        for (at = in, end = in + n; at < end;) {
            size_t len;
            if (!conn->parser.in_payload) {
                at = parse_header(&conn->parser, at, end);
                if (!conn->parser.in_payload)
                    break;
                record_mask(&conn->parser);
                piece(conn, NULL, 0);
            }
            len = (size_t)(end - at);
            if (len > conn->parser.left)
                len = conn->parser.left;
            piece(conn, at, len);
            at += len;
            conn->parser.at += len;
            conn->parser.left -= len;
            if (!conn->parser.left) {
                conn->parser.in_payload = 0;
                ended(conn);
            }
        }
    } while (conn->ssl && SSL_pending(conn->ssl));
    return 1;
}

/* Returns false if the connection is closed. */
static int serve(struct conn *conn, uint32_t events)
{
    if (conn->stage == TLS_HANDSHAKE) {
        int n = SSL_accept(conn->ssl);
        if (n == 1)
            conn->stage = UPGRADE;
        else if (n == 0 || SSL_get_error(conn->ssl, n) != SSL_ERROR_WANT_READ)
            return 0;
    } else if (conn->stage == UPGRADE) {
        if (!upgrade(conn))
            return 0;
    } else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        if (!messages(conn))
            return 0;
    }
    return flush(conn);
}

static void push(int64_t now)
{
    struct conn *conn;
    uint8_t payload[1024] = {0};
    for (conn = pushing; conn; conn = conn->next_push) {
        if (conn->push_next > now)
            continue;
        conn->push_next += conn->push_every;
        now = now_ns();
        memcpy(payload, &now, sizeof now);
        say(conn, BINARY, payload, conn->size < sizeof payload ? conn->size : sizeof payload);
        flush(conn); /* a closed connection is detected by reading */
    }
}

static void end(struct conn *conn)
{
    struct conn **link = &pushing;
    while (*link && *link != conn)
        link = &(*link)->next_push;
    if (*link)
        *link = conn->next_push;
    if (conn->ssl)
        SSL_free(conn->ssl);
    close(conn->fd);
    free(conn->out);
    free(conn);
    connections--;
}

/* -------------------------------------------------------------------------------------- listening */

static void accept_all(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN};
        struct conn *conn = calloc(1, sizeof *conn);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        conn->fd = fd;
        conn->events = EPOLLIN;
        conn->stage = UPGRADE;
        if (listener == tls_fd) {
            conn->ssl = SSL_new(tls);
            SSL_set_fd(conn->ssl, fd);
            conn->stage = TLS_HANDSHAKE;
        }
        event.data.ptr = conn;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
        connections++;
    }
}

/* Returns the port. */
static int listen_on(int address, int port, int *listener)
{
    struct sockaddr_in name = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)address)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    socklen_t len = sizeof name;
    int on = 1;
    *listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(*listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(*listener, (struct sockaddr *)&name, sizeof name) || listen(*listener, 4096))
        die("listen");
    getsockname(*listener, (struct sockaddr *)&name, &len);
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, *listener, &event);
    return ntohs(name.sin_port);
}

static int is_listener(const void *whose)
{
    return whose == &tls_fd || ((int *)whose >= plain_fds && (int *)whose < plain_fds + ADDRESSES);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    static struct epoll_event events[256];
    int port, i;
    if (argc != 2 && argc != 5) {
        fprintf(stderr, "usage: %s PORT [TLS_PORT CERT.pem KEY.pem]\n", argv[0]);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    epoll_fd = epoll_create1(0);
    raise_descriptor_limit();
    port = atoi(argv[1]);
    for (i = 0; i < ADDRESSES; i++)
        port = listen_on(i, port, &plain_fds[i]);
    printf("ws %d\n", port);
    if (argc == 5) {
        tls = SSL_CTX_new(TLS_server_method());
        /* The same cipher for all clients with TLS 1.3, and the closest one for TLS 1.2. */
        SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
        SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM");
        SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (SSL_CTX_use_certificate_chain_file(tls, argv[3]) != 1 ||
            SSL_CTX_use_PrivateKey_file(tls, argv[4], SSL_FILETYPE_PEM) != 1) {
            fprintf(stderr, "%s, %s: cannot be used\n", argv[3], argv[4]);
            return 1;
        }
        printf("wss %d\n", listen_on(0, atoi(argv[2]), &tls_fd));
    }
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 256, connections ? 0 : -1);
        for (i = 0; i < count; i++) {
            void *whose = events[i].data.ptr;
            if (is_listener(whose))
                accept_all(*(int *)whose);
            else if (!serve(whose, events[i].events))
                end(whose);
        }
        if (pushing)
            push(now_ns());
    }
}
