/* wslay, which implements frames but not sockets and handshakes: blocking with one connection, epoll in
 * mode game. wslay assembles received messages. */

#include "../c/bench.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

struct link {
    int fd;
    SSL *ssl;
    wslay_event_context_ptr context;
    bool may_block; /* the next read is the first of its round */
};

static SSL_CTX *tls;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static ssize_t receive(wslay_event_context_ptr context, uint8_t *to, size_t len, int flags, void *user_data)
{
    struct link *link = user_data;
    ssize_t n;
    (void)flags;
    /* wslay reads until nothing is available; only the first read of a round may block. */
    if (link->ssl)
        n = link->may_block || SSL_pending(link->ssl) ? SSL_read(link->ssl, to, (int)len) : -1;
    else
        n = recv(link->fd, to, len, link->may_block ? 0 : MSG_DONTWAIT);
    link->may_block = false;
    if (n <= 0)
        wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
    return n <= 0 ? -1 : n;
}

static ssize_t transmit(wslay_event_context_ptr context, const uint8_t *from, size_t len, int flags,
                        void *user_data)
{
    struct link *link = user_data;
    ssize_t n = link->ssl ? SSL_write(link->ssl, from, (int)len) : send(link->fd, from, len, MSG_NOSIGNAL);
    (void)flags;
    if (n <= 0)
        wslay_event_set_error(context, WSLAY_ERR_CALLBACK_FAILURE);
    return n;
}

static int mask(wslay_event_context_ptr context, uint8_t *to, size_t len, void *user_data)
{
    /* Reads random bytes one kilobyte at a time. */
    static uint8_t pool[1024];
    static size_t used = sizeof pool;
    (void)context;
    (void)user_data;
    if (used + len > sizeof pool) {
        RAND_bytes(pool, sizeof pool);
        used = 0;
    }
    memcpy(to, pool + used, len);
    used += len;
    return 0;
}

static void received(wslay_event_context_ptr context, const struct wslay_event_on_msg_recv_arg *message,
                     void *user_data)
{
    (void)context;
    if (!wslay_is_ctrl_frame(message->opcode))
        bench_message(user_data, message->msg, message->msg_length);
}

void bench_send(void *connection, bool text, const void *bytes, size_t len)
{
    struct link *link = connection;
    struct wslay_event_msg message = {text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, bytes, len};
    wslay_event_queue_msg(link->context, &message);
}

static void connect_to(struct link *link)
{
    static const struct wslay_event_callbacks callbacks = {receive, transmit, mask,    NULL,
                                                           NULL,    NULL,     received};
    char request[512], response[1024];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *address;
    int on = 1, len;
    size_t have = 0;
    if (getaddrinfo(bench.host, bench.port, &hints, &address))
        fail("getaddrinfo");
    link->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(link->fd, address->ai_addr, address->ai_addrlen))
        fail("connect");
    freeaddrinfo(address);
    setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    link->ssl = NULL;
    if (bench.tls) {
        link->ssl = SSL_new(tls);
        SSL_set_fd(link->ssl, link->fd);
        SSL_set_tlsext_host_name(link->ssl, bench.host);
        if (SSL_connect(link->ssl) != 1)
            fail("SSL_connect");
    }
    len = snprintf(request, sizeof request,
                   "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                   bench.path, bench.host, bench.port);
    if (link->ssl ? SSL_write(link->ssl, request, len) <= 0 : send(link->fd, request, (size_t)len, 0) <= 0)
        fail("write");
    do {
        ssize_t n = link->ssl ? SSL_read(link->ssl, response + have, (int)(sizeof response - 1 - have))
                              : recv(link->fd, response + have, sizeof response - 1 - have, 0);
        if (n <= 0)
            fail("read");
        have += (size_t)n;
        response[have] = 0;
    } while (!strstr(response, "\r\n\r\n"));
    if (wslay_event_context_client_init(&link->context, &callbacks, link))
        fail("wslay");
    wslay_event_config_set_max_recv_msg_length(link->context, 1 << 30);
}

static void write_all(struct link *link)
{
    while (bench.to_send) {
        bench.to_send = bench.to_send - 1;
        bench_send(link, false, bench_payload(), bench.size);
    }
    while (wslay_event_want_write(link->context))
        if (wslay_event_send(link->context))
            fail("wslay_event_send");
}

static void read_some(struct link *link)
{
    link->may_block = true;
    do {
        if (wslay_event_recv(link->context))
            fail("wslay_event_recv");
    } while (link->ssl && SSL_pending(link->ssl));
    write_all(link);
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
        for (n = epoll_wait(all, events, 64, -1), i = 0; i < n; i++)
            read_some(events[i].data.ptr);
}

int main(int argc, char **argv)
{
    struct link *links;
    uint64_t i;
    bench_parse("wslay", argc, argv);
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
            wslay_event_context_free(links->context);
            SSL_free(links->ssl);
            close(links->fd);
        }
        bench_end();
    } else {
        for (i = 0; i < bench.connections; i++)
            connect_to(&links[i]);
        for (i = 0; i < bench.connections; i++) {
            bench_opened(&links[i]);
            write_all(&links[i]);
        }
        if (bench.mode == MODE_GAME)
            play(links);
        else
            while (!bench.done)
                read_some(links);
    }
    bench_memory(true);
    bench_report();
    return 0;
}
