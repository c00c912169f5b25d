/* Framewire through its C ABI. --variant worker (the default), poll, pull or batch selects the delivery mode;
 * pull takes events one by one, batch takes several at once. captured is worker with a capture of all sockets, to
 * /dev/null, so that the disk is not measured. */

#include "bench.h"
#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum delivery { WORKER, POLL, PULL, BATCH };
static enum delivery delivery;
static fw_tls tls;
/* Mode connect: how many connections have opened, when the last one was begun, and the settings of each. */
static uint64_t connected, begun;
static fw_tls *settings;

static void must(fw_result result)
{
    if (result != FW_RESULT_OK) {
        char why[256];
        fw_last_error(why, sizeof why);
        fprintf(stderr, "%s: %s\n", fw_result_name(result), why);
        exit(1);
    }
}

static void *box(fw_socket socket)
{
    return (void *)(uintptr_t)socket.id;
}

static fw_socket unbox(void *connection)
{
    fw_socket socket = {(uint64_t)(uintptr_t)connection};
    return socket;
}

void bench_send(void *connection, bool text, const void *bytes, size_t len)
{
    must(text ? fw_socket_send_text(unbox(connection), bytes, len)
              : fw_socket_send_binary(unbox(connection), bytes, len));
}

/* Sends as many messages as are allowed now, which is far below the limit of the send queue. */
static void send_allowed(fw_socket socket)
{
    uint64_t count = bench.to_send;
    bench.to_send = 0;
    for (; count; count--)
        must(fw_socket_send_binary(socket, bench_payload(), bench.size));
}

static fw_socket open_one(void);

/* Mode connect: opens connections one after the other, each when the one before is open. */
static void open_next(void)
{
    begun = bench_now_ns();
    if (settings)
        tls = settings[connected];
    open_one();
}

static void on_open(fw_socket socket, void *user_data)
{
    (void)user_data;
    if (bench.mode != MODE_CONNECT) {
        bench_opened(box(socket));
        send_allowed(socket);
        return;
    }
    bench_keep(bench_now_ns() - begun);
    /* Without a closing handshake, like most other clients in this mode. */
    must(fw_socket_abort(socket));
    must(fw_socket_destroy(socket));
    if (++connected < bench.count)
        open_next();
    else
        bench_end();
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)user_data;
    bench_message(box(socket), data, len);
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    (void)user_data;
    bench_message(box(socket), text, len);
    send_allowed(socket);
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket;
    (void)user_data;
    fprintf(stderr, "framewire: %s\n", error->message);
    exit(1);
}

static void handle(const fw_event *event)
{
    const uint8_t *bytes = event->payload.data ? event->payload.data + event->payload.offset : NULL;
    switch (event->type) {
    case FW_EVENT_OPEN:
        on_open(event->socket, NULL);
        break;
    case FW_EVENT_TEXT:
        on_text(event->socket, (const char *)bytes, event->payload.count, NULL);
        break;
    case FW_EVENT_BINARY:
        on_binary(event->socket, bytes, event->payload.count, NULL);
        break;
    case FW_EVENT_ERROR:
        on_error(event->socket, &event->error, NULL);
        break;
    default:
        break;
    }
}

static void pull(void)
{
    fw_event event;
    while (!bench.done && fw_next_event(&event)) {
        handle(&event);
        fw_event_release(&event);
    }
}

static void pull_batches(void)
{
    static fw_event events[64];
    size_t taken, i;
    while (!bench.done && (taken = fw_next_events(events, 64)) > 0) {
        for (i = 0; i < taken; i++)
            handle(&events[i]);
        fw_events_release(events, taken);
    }
}

/* The main loop of a game, which waits when no event is queued. */
static void turn(void)
{
    if (!fw_wait(100))
        return;
    if (delivery == POLL)
        fw_poll(0, 0);
    else if (delivery == PULL)
        pull();
    else
        pull_batches();
}

static void run(void)
{
    if (delivery == WORKER)
        bench_wait();
    while (!bench.done)
        turn();
}

static fw_socket open_one(void)
{
    fw_socket socket;
    must(fw_socket_create(bench.url, &socket));
    must(fw_socket_set_compression(socket, NULL));
    if (bench.tls)
        must(fw_socket_set_tls(socket, tls));
    must(fw_socket_set_dispatch(socket, delivery == WORKER ? FW_DISPATCH_WORKER : FW_DISPATCH_POLL));
    if (delivery == WORKER || delivery == POLL) {
        must(fw_socket_on_open(socket, on_open, NULL));
        must(fw_socket_on_text(socket, on_text, NULL));
        must(fw_socket_on_binary(socket, on_binary, NULL));
        must(fw_socket_on_error(socket, on_error, NULL));
    }
    must(fw_socket_open(socket));
    return socket;
}

/* Creates TLS settings that trust the server, with their own session cache. */
static fw_tls trusting(void)
{
    static char pem[65536];
    FILE *file = fopen(bench.ca, "rb");
    size_t len = file ? fread(pem, 1, sizeof pem, file) : 0;
    fw_tls made;
    if (file)
        fclose(file);
    must(fw_tls_create(&made));
    must(fw_tls_add_ca_pem(made, pem, len));
    must(fw_tls_set_roots(made, FW_ROOTS_NONE));
    return made;
}

/* --variant cold: no session is resumed, because each connection has settings of its own. */
static void connect_all(void)
{
    uint64_t i;
    if (bench.tls && !strcmp(bench.variant, "cold")) {
        settings = calloc(bench.count, sizeof *settings);
        for (i = 0; i < bench.count; i++)
            settings[i] = trusting();
    }
    bench_begin();
    open_next();
    run();
}

int main(int argc, char **argv)
{
    uint64_t i;
    fw_config config;
    bench_parse("framewire", argc, argv);
    delivery = !strcmp(bench.variant, "poll")    ? POLL
               : !strcmp(bench.variant, "pull")  ? PULL
               : !strcmp(bench.variant, "batch") ? BATCH
                                                 : WORKER;
    fw_config_init(&config, sizeof config);
    must(fw_init(&config));
    if (!strcmp(bench.variant, "captured"))
        must(fw_socket_set_capture((fw_socket){0}, "/dev/null", NULL));
    if (bench.tls)
        tls = trusting();
    bench_memory(false);
    if (bench.mode == MODE_CONNECT) {
        connect_all();
    } else {
        for (i = 0; i < bench.connections; i++)
            open_one();
        run();
    }
    if (bench.mode == MODE_IDLE)
        usleep(300000); /* until the memory of the upgrades is released */
    bench_memory(true);
    bench_report();
    must(fw_shutdown(2000));
    return 0;
}
