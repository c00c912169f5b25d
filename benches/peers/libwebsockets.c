/* libwebsockets, with its service buffer at 64 KiB. A WRITEABLE callback writes whole messages,
 * until the pipe is full. */

#include "../c/bench.h"

#include <libwebsockets.h>
#include <string.h>

struct link {
    struct lws *wsi;
    uint8_t *out; /* one queued message, after the padding that lws requires */
    size_t out_len;
    bool out_text;
    uint8_t *in; /* an incomplete message */
    size_t in_len, in_room;
};

static struct lws_context *context;
static uint8_t *payload;
static uint64_t alive;

void bench_send(void *connection, bool text, const void *bytes, size_t len)
{
    struct link *link = connection;
    if (!link->out)
        link->out = malloc(LWS_PRE + bench.size + 64);
    memcpy(link->out + LWS_PRE, bytes, len);
    link->out_len = len;
    link->out_text = text;
    lws_callback_on_writable(link->wsi);
}

static int write_what_waits(struct link *link)
{
    if (link->out_len) {
        enum lws_write_protocol kind = link->out_text ? LWS_WRITE_TEXT : LWS_WRITE_BINARY;
        size_t len = link->out_len;
        link->out_len = 0;
        if (lws_write(link->wsi, link->out + LWS_PRE, len, kind) < 0)
            return -1;
    }
    while (bench.to_send && !lws_send_pipe_choked(link->wsi)) {
        bench.to_send = bench.to_send - 1;
        memcpy(payload + LWS_PRE, bench_payload(), bench.size); /* it was masked in place */
        if (lws_write(link->wsi, payload + LWS_PRE, bench.size, LWS_WRITE_BINARY) < 0)
            return -1;
    }
    if (bench.to_send)
        lws_callback_on_writable(link->wsi);
    return 0;
}

static void received(struct link *link, uint8_t *bytes, size_t len)
{
    if (!link->in_len && lws_is_final_fragment(link->wsi) && !lws_remaining_packet_payload(link->wsi)) {
        bench_message(link, bytes, len);
        return;
    }
    if (link->in_len + len > link->in_room)
        link->in = realloc(link->in, link->in_room = (link->in_len + len) * 2);
    memcpy(link->in + link->in_len, bytes, len);
    link->in_len += len;
    if (lws_is_final_fragment(link->wsi) && !lws_remaining_packet_payload(link->wsi)) {
        bench_message(link, link->in, link->in_len);
        link->in_len = 0;
    }
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct link *link = user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        link->wsi = wsi;
        alive++;
        if (bench.mode == MODE_CONNECT)
            break;
        bench_opened(link);
        if (bench.to_send)
            lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_RECEIVE:
        received(link, in, len);
        if (bench.to_send)
            lws_callback_on_writable(wsi);
        break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        if (bench.mode == MODE_CONNECT)
            return -1;
        return write_what_waits(link);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        fprintf(stderr, "libwebsockets: %s\n", in ? (char *)in : "no connection");
        exit(1);
    case LWS_CALLBACK_CLIENT_CLOSED:
        alive--;
        break;
    default:
        break;
    }
    return 0;
}

static void open_one(struct link *link)
{
    char host[96];
    struct lws_client_connect_info info = {0};
    snprintf(host, sizeof host, "%s:%s", bench.host, bench.port);
    info.context = context;
    info.address = bench.host;
    info.port = atoi(bench.port);
    info.path = bench.path;
    info.host = host;
    info.origin = host;
    info.ssl_connection = bench.tls ? LCCSCF_USE_SSL : 0;
    info.userdata = link;
    info.local_protocol_name = "bench";
    lws_client_connect_via_info(&info);
}

int main(int argc, char **argv)
{
    static struct lws_protocols protocols[] = {{"bench", callback, 0, 65536, 0, NULL, 0},
                                               {NULL, NULL, 0, 0, 0, NULL, 0}};
    struct lws_context_creation_info info = {0};
    struct link *links;
    uint64_t i;
    bench_parse("libwebsockets", argc, argv);
    payload = malloc(LWS_PRE + bench.size);
    if (bench.mode == MODE_IDLE)
        protocols[0].rx_buffer_size = 4096; /* each connection has its own */
    lws_set_log_level(0, NULL);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.pt_serv_buf_size = 65536;
    info.fd_limit_per_thread = (unsigned)bench.connections + 64;
    info.options = bench.tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0;
    info.client_ssl_ca_filepath = bench.tls ? bench.ca : NULL;
    context = lws_create_context(&info);
    links = calloc(bench.connections, sizeof *links);
    bench_memory(false);
    if (bench.mode == MODE_CONNECT) {
        bench_begin();
        for (i = 0; i < bench.count; i++) {
            uint64_t begun = bench_now_ns();
            open_one(links);
            while (!alive)
                lws_service(context, 0);
            bench_keep(bench_now_ns() - begun);
            lws_callback_on_writable(links->wsi);
            while (alive)
                lws_service(context, 0);
        }
        bench_end();
    } else {
        for (i = 0; i < bench.connections; i++) {
            open_one(&links[i]);
            while (alive == i)
                lws_service(context, 0);
        }
        while (!bench.done)
            lws_service(context, 0);
    }
    bench_memory(true);
    bench_report();
    return 0;
}
