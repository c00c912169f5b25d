/*
 * The lower bound: a client that moves the same bytes with the same system calls but does not parse them.
 * It writes precomputed frames, reads into one large buffer and counts bytes.
 */

#include "bench.h"
#include "frames.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024 };

struct link {
    int fd;
    SSL *ssl;
    size_t rest; /* bytes of an incomplete message */
};

static uint8_t buffer[BUFFER];
static SSL_CTX *tls;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static size_t take(struct link *link, void *to, size_t len)
{
    ssize_t n = link->ssl ? SSL_read(link->ssl, to, (int)len) : recv(link->fd, to, len, 0);
    if (n <= 0)
        fail("read");
    return (size_t)n;
}

static void give(struct link *link, const uint8_t *from, size_t len)
{
    while (len) {
        int part = len > 1 << 20 ? 1 << 20 : (int)len;
        ssize_t n = link->ssl ? SSL_write(link->ssl, from, part) : send(link->fd, from, len, MSG_NOSIGNAL);
        if (n <= 0)
            fail("write");
        from += n;
        len -= (size_t)n;
    }
}

static size_t frame(uint8_t *at, int opcode, const void *payload, size_t len)
{
    static const uint8_t mask[4] = {1, 2, 3, 4};
    size_t head = put_header(at, opcode, len, mask);
    memcpy(at + head, payload, len);
    unmask(at + head, len, mask, 0);
    return head + len;
}

void bench_send(void *connection, bool text, const void *bytes, size_t len)
{
    static uint8_t *at;
    static size_t capacity, ready;
    if (capacity < len + 14)
        at = realloc(at, capacity = len + 14);
    /* The same bytes every time, so the frame is encoded once. */
    if (text || !ready) {
        size_t made = frame(at, text ? TEXT : BINARY, bytes, len);
        give(connection, at, made);
        ready = text ? 0 : made;
    } else {
        give(connection, at, ready);
    }
}

static void connect_to(struct link *link)
{
    char request[512], response[1024];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *address;
    int on = 1;
    size_t have = 0;
    if (getaddrinfo(bench.host, bench.port, &hints, &address))
        fail("getaddrinfo");
    link->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(link->fd, address->ai_addr, address->ai_addrlen))
        fail("connect");
    freeaddrinfo(address);
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    link->ssl = NULL;
    link->rest = 0;
    if (bench.tls) {
        link->ssl = SSL_new(tls);
        SSL_set_fd(link->ssl, link->fd);
        SSL_set_tlsext_host_name(link->ssl, bench.host);
        if (SSL_connect(link->ssl) != 1)
            fail("SSL_connect");
    }
    give(link, (uint8_t *)request,
         (size_t)snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                          bench.path, bench.host, bench.port));
    do {
        have += take(link, response + have, sizeof response - 1 - have);
        response[have] = 0;
    } while (!strstr(response, "\r\n\r\n"));
}

/* Counts the messages in the received bytes. */
static void count(struct link *link, size_t n, size_t message)
{
    for (link->rest += n; link->rest >= message && !bench.done; link->rest -= message)
        bench_message(link, buffer + 2, bench.size);
}

static void receive(struct link *link)
{
    size_t message = bench.size + header_len(bench.size);
    uint64_t left = message * bench.warm;
    while (left)
        left -= take(link, buffer, left < BUFFER ? left : BUFFER);
    bench_begin();
    char text[24];
    bench_send(link, true, text,
               (size_t)snprintf(text, sizeof text, "%llu", (unsigned long long)bench.count));
    for (left = message * bench.count; left;)
        left -= take(link, buffer, left < BUFFER ? left : BUFFER);
    bench_end();
}

/* Writes many equal frames at a time. */
static void send_all(struct link *link)
{
    size_t len = bench.size + header_len(bench.size) + 4, frames = BUFFER / len ? BUFFER / len : 1, i;
    uint8_t *block = malloc(frames * len);
    for (i = 0; i < frames; i++)
        frame(block + i * len, BINARY, bench_payload(), bench.size);
    while (!bench.done) {
        while (bench.to_send) {
            size_t now = bench.to_send < frames ? bench.to_send : frames;
            bench.to_send -= now;
            give(link, block, now * len);
        }
        count(link, take(link, buffer, 6), 6); /* "done" */
    }
}

static void play(struct link *links)
{
    struct epoll_event events[64];
    int all = epoll_create1(0), i, n;
    uint64_t k;
    for (k = 0; k < bench.connections; k++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &links[k]};
        epoll_ctl(all, EPOLL_CTL_ADD, links[k].fd, &event);
    }
    while (!bench.done)
        for (n = epoll_wait(all, events, 64, -1), i = 0; i < n; i++) {
            struct link *link = events[i].data.ptr;
            do
                count(link, take(link, buffer, bench.size + 2 - link->rest), bench.size + 2);
            while (link->ssl && SSL_pending(link->ssl));
        }
}

int main(int argc, char **argv)
{
    struct link *links;
    uint64_t i;
    bench_parse("raw", argc, argv);
    links = calloc(bench.connections, sizeof *links);
    if (bench.tls) {
        tls = SSL_CTX_new(TLS_client_method());
        if (SSL_CTX_load_verify_locations(tls, bench.ca, NULL) != 1)
            fail(bench.ca);
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    }
    bench_memory(false);
    if (bench.mode == MODE_CONNECT) {
        bench_begin();
        for (i = 0; i < bench.count; i++) {
            uint64_t begun = bench_now_ns();
            connect_to(links);
            bench_keep(bench_now_ns() - begun);
            SSL_free(links->ssl);
            close(links->fd);
        }
        bench_end();
    } else {
        for (i = 0; i < bench.connections; i++)
            connect_to(&links[i]);
        for (i = 0; i < bench.connections; i++)
            bench_opened(&links[i]);
        if (bench.mode == MODE_RECV)
            receive(links);
        else if (bench.mode == MODE_SEND)
            send_all(links);
        else if (bench.mode == MODE_GAME)
            play(links);
        else
            while (!bench.done)
                count(links, take(links, buffer, BUFFER), bench.size + header_len(bench.size));
    }
    bench_memory(true);
    bench_report();
    return 0;
}
