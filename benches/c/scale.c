/*
 * Measures one process with many connections: memory, connect rate, and CPU when all are idle, when each sends and
 * receives one message per second, and when each sends a ping per second.
 *
 *     scale PORT CONNECTIONS SECONDS
 *
 * SECONDS is the length of each phase. Connections go to 127.0.0.1 to 127.0.0.4 in turns, because one pair of
 * addresses has only some 28,000 local ports. If the limit of file descriptors is too low, as many connections are
 * opened as it permits. Prints one line of JSON.
 */

#include "framewire.h"
#include "usage.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ADDRESSES = 4,
    CONNECTING = 128,       /* at the same time; the server's backlog has room for them */
    OTHER_DESCRIPTORS = 64, /* of the library and the C runtime */
    FRAMES_PER_SECOND = 60,
    PAYLOAD = 32,
    STALLED_SECONDS = 30,
};

static fw_socket *sockets;
static uint64_t connections, opened, sent, received;

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void must(fw_result result)
{
    if (result != FW_RESULT_OK) {
        char why[256];
        fw_last_error(why, sizeof why);
        fprintf(stderr, "%s: %s\n", fw_result_name(result), why);
        exit(1);
    }
}

/* ------------------------------------------------------------------------------------- measuring */

struct span {
    uint64_t wall, cpu, switches;
};

static struct span now(void)
{
    struct rusage usage;
    struct span span = {.wall = now_ns()};
    getrusage(RUSAGE_SELF, &usage);
    span.cpu = usage_ns(usage.ru_utime) + usage_ns(usage.ru_stime);
    span.switches = (uint64_t)usage.ru_nvcsw;
    return span;
}

static struct span since(struct span begin)
{
    struct span end = now();
    end.wall -= begin.wall;
    end.cpu -= begin.cpu;
    end.switches -= begin.switches;
    return end;
}

static void field(const char *name, uint64_t value)
{
    printf(",\"%s\":%llu", name, (unsigned long long)value);
}

static void fields(const char *name, struct span span)
{
    char full[64];
    snprintf(full, sizeof full, "%s_wall_ns", name);
    field(full, span.wall);
    snprintf(full, sizeof full, "%s_cpu_ns", name);
    field(full, span.cpu);
    snprintf(full, sizeof full, "%s_switches", name);
    field(full, span.switches);
}

/* ----------------------------------------------------------------------------------- connections */

static void on_open(fw_socket socket, void *user_data)
{
    (void)socket;
    (void)user_data;
    opened++;
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)socket;
    (void)data;
    (void)user_data;
    if (len == PAYLOAD)
        received++;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket;
    (void)user_data;
    fprintf(stderr, "with %llu connections open: %s\n", (unsigned long long)opened, error->message);
    exit(1);
}

static void start(uint64_t index, const char *port)
{
    char url[64];
    fw_callbacks callbacks;
    fw_callbacks_init(&callbacks, sizeof callbacks);
    callbacks.open = on_open;
    callbacks.binary = on_binary;
    callbacks.error = on_error;
    snprintf(url, sizeof url, "ws://127.0.0.%d:%s/echo", (int)(1 + index % ADDRESSES), port);
    must(fw_socket_create(url, &sockets[index]));
    must(fw_socket_set_compression(sockets[index], NULL));
    must(fw_socket_set_callbacks(sockets[index], &callbacks, NULL));
    must(fw_socket_open(sockets[index]));
}

static void fail_if_stalled(uint64_t begin)
{
    if (now_ns() - begin > STALLED_SECONDS * 1000000000ULL) {
        fprintf(stderr, "stalled: %llu of %llu open, %llu of %llu echoed\n", (unsigned long long)opened,
                (unsigned long long)connections, (unsigned long long)received, (unsigned long long)sent);
        exit(1);
    }
}

static void connect_all(const char *port)
{
    uint64_t started = 0, begin = now_ns();
    while (opened < connections) {
        while (started < connections && started - opened < CONNECTING)
            start(started++, port);
        fw_wait(100);
        fw_poll(0, 0);
        fail_if_stalled(begin);
    }
}

/* ---------------------------------------------------------------------------------------- phases */

static void stay_idle(uint64_t seconds)
{
    uint64_t end = now_ns() + seconds * 1000000000;
    while (now_ns() < end) {
        fw_wait((uint32_t)((end - now_ns()) / 1000000) + 1);
        fw_poll(0, 0);
    }
}

static void wait_for_frame(uint64_t begin, uint64_t frame)
{
    uint64_t next = begin + frame * 1000000000 / FRAMES_PER_SECOND;
    struct timespec until = {(time_t)(next / 1000000000), (long)(next % 1000000000)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

/* A loop of 60 frames per second. Each frame sends the messages of a sixtieth of the connections, and polls. */
static void exchange(uint64_t seconds)
{
    static const uint8_t payload[PAYLOAD];
    uint64_t begin = now_ns(), end, frame;
    for (frame = 1; frame <= seconds * FRAMES_PER_SECOND; frame++) {
        for (; sent < connections * frame / FRAMES_PER_SECOND; sent++)
            must(fw_socket_send_binary(sockets[sent % connections], payload, sizeof payload));
        fw_poll(0, 0);
        wait_for_frame(begin, frame);
    }
    for (end = now_ns(); received < sent; fail_if_stalled(end)) {
        fw_wait(100);
        fw_poll(0, 0);
    }
}

/* Starts the pings within a second, so that their timers are spread over it. */
static void start_pings(void)
{
    uint64_t begin = now_ns(), frame, i = 0;
    for (frame = 1; frame <= FRAMES_PER_SECOND; frame++) {
        for (; i < connections * frame / FRAMES_PER_SECOND; i++) {
            must(fw_socket_set_ping_frequency(sockets[i], 1000));
            must(fw_socket_set_close_after_no_message(sockets[i], STALLED_SECONDS * 1000));
            must(fw_socket_set_start_ping_thread(sockets[i], true));
        }
        wait_for_frame(begin, frame);
    }
}

static void stop_pings(void)
{
    uint64_t i;
    for (i = 0; i < connections; i++)
        must(fw_socket_set_start_ping_thread(sockets[i], false));
}

static uint64_t count_pongs(void)
{
    uint64_t count = 0, i;
    for (i = 0; i < connections; i++) {
        fw_stats stats;
        fw_stats_init(&stats, sizeof stats);
        must(fw_socket_stats(sockets[i], &stats));
        count += stats.pongs_received;
    }
    return count;
}

/* Raises the limit of descriptors as far as permitted. Returns how many connections it leaves room for. */
static uint64_t room(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur - OTHER_DESCRIPTORS;
}

int main(int argc, char **argv)
{
    uint64_t wanted, seconds, heap, resident, pongs, most;
    struct span begin;
    fw_config config;
    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT CONNECTIONS SECONDS\n", argv[0]);
        return 2;
    }
    wanted = strtoull(argv[2], NULL, 10);
    seconds = strtoull(argv[3], NULL, 10);
    most = room();
    connections = wanted < most ? wanted : most;
    sockets = calloc(connections, sizeof *sockets);
    memset(sockets, 1, connections * sizeof *sockets); /* touches the pages before the measurement */
    fw_config_init(&config, sizeof config);
    must(fw_init(&config));
    printf("{\"wanted\":%llu", (unsigned long long)wanted);
    field("connections", connections);

    heap = usage_heap();
    resident = usage_resident();
    begin = now();
    connect_all(argv[1]);
    fields("connect", since(begin));
    stay_idle(1); /* until the memory of the upgrades is released */
    field("heap", usage_heap() - heap);
    field("resident", usage_resident() - resident);

    begin = now();
    stay_idle(seconds);
    fields("idle", since(begin));

    begin = now();
    exchange(seconds);
    fields("message", since(begin));
    field("messages", received);
    stay_idle(1);
    field("heap_used", usage_heap() - heap);
    field("resident_used", usage_resident() - resident);

    start_pings();
    stay_idle(1); /* until all have sent their first ping */
    pongs = count_pongs();
    begin = now();
    stay_idle(seconds);
    fields("ping", since(begin));
    field("pings", count_pongs() - pongs);
    stop_pings();

    begin = now();
    must(fw_shutdown(STALLED_SECONDS * 1000));
    fields("shutdown", since(begin));
    printf("}\n");
    return 0;
}
