#include "bench.h"
#include "usage.h"

#include <dirent.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct bench bench;
const size_t bench_struct_size = sizeof bench;

static const char *const names[] = {"echo", "recv", "send", "game", "idle", "connect"};
static const char *const paths[] = {"/echo", "/flood/", "/sink", "/push/", "/idle", "/idle"};

static uint8_t *payload;
static uint64_t opened, seen, *times, kept;
static bool measuring;
static uint64_t wall_ns, user_ns, system_ns, voluntary, involuntary, allocations;
static uint64_t heap_before, heap_after, rss_before, rss_after, threads_before, threads_after;

uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Defined by alloc_count.so, if it is preloaded. */
static uint64_t allocations_now(void)
{
    uint64_t (*count)(void) = (uint64_t (*)(void))dlsym(RTLD_DEFAULT, "alloc_count");
    return count ? count() : 0;
}

static void stamp(int sign)
{
    struct rusage usage;
    uint64_t wall = bench_now_ns();
    getrusage(RUSAGE_SELF, &usage);
    wall_ns += sign * wall;
    user_ns += sign * usage_ns(usage.ru_utime);
    system_ns += sign * usage_ns(usage.ru_stime);
    voluntary += sign * (uint64_t)usage.ru_nvcsw;
    involuntary += sign * (uint64_t)usage.ru_nivcsw;
    allocations += sign * allocations_now();
}

void bench_begin(void)
{
    measuring = true;
    stamp(-1);
}

static pthread_mutex_t done_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done_changed = PTHREAD_COND_INITIALIZER;

static void set_done(void)
{
    pthread_mutex_lock(&done_lock);
    bench.done = true;
    pthread_cond_signal(&done_changed);
    pthread_mutex_unlock(&done_lock);
}

void bench_wait(void)
{
    pthread_mutex_lock(&done_lock);
    while (!bench.done)
        pthread_cond_wait(&done_changed, &done_lock);
    pthread_mutex_unlock(&done_lock);
}

void bench_end(void)
{
    stamp(1);
    measuring = false;
    set_done();
}

void bench_keep(uint64_t ns)
{
    if (measuring && kept < bench.count)
        times[kept++] = ns;
}

const uint8_t *bench_payload(void)
{
    return payload;
}

/* ----------------------------------------------------------------------------------- command line */

static void usage(void)
{
    fprintf(stderr,
            "usage: %s echo|recv|send|game|idle|connect URL [--size N] [--count N] [--warm N] "
            "[--connections N] [--rate N] [--ca FILE] [--variant V] [--round N]\n",
            bench.client);
    exit(2);
}

static void set(const char *name, const char *value)
{
    uint64_t number = strtoull(value, NULL, 10);
    if (!strcmp(name, "--size"))
        bench.size = number;
    else if (!strcmp(name, "--count"))
        bench.count = number;
    else if (!strcmp(name, "--warm"))
        bench.warm = number;
    else if (!strcmp(name, "--connections"))
        bench.connections = number;
    else if (!strcmp(name, "--rate"))
        bench.rate = number;
    else if (!strcmp(name, "--round"))
        bench.round = number;
    else if (!strcmp(name, "--ca"))
        bench.ca = value;
    else if (!strcmp(name, "--variant"))
        bench.variant = value;
    else
        usage();
}

void bench_parse(const char *client, int argc, char **argv)
{
    const char *authority, *port;
    int i;
    bench.client = client;
    bench.variant = "";
    bench.size = 128;
    bench.count = 10000;
    bench.connections = 1;
    bench.rate = 60;
    bench.warm = UINT64_MAX;
    if (argc < 3)
        usage();
    for (i = 0; i < 6 && strcmp(argv[1], names[i]);)
        i++;
    if (i == 6)
        usage();
    bench.mode = (enum bench_mode)i;
    bench.mode_name = names[i];
    for (i = 3; i + 1 < argc; i += 2)
        set(argv[i], argv[i + 1]);
    if (bench.warm == UINT64_MAX)
        bench.warm = bench.count / 10 + 1;
    if (bench.round) {
        bench.warm = bench.round * 2;
        bench.count = (bench.count + bench.round - 1) / bench.round * bench.round;
    }

    bench.tls = !strncmp(argv[2], "wss:", 4);
    authority = strstr(argv[2], "//");
    port = authority ? strchr(authority, ':') : NULL;
    if (!port)
        usage();
    snprintf(bench.host, sizeof bench.host, "%.*s", (int)(port - authority - 2), authority + 2);
    snprintf(bench.port, sizeof bench.port, "%d", atoi(port + 1));
    snprintf(bench.path, sizeof bench.path, "%s", paths[bench.mode]);
    if (bench.path[strlen(bench.path) - 1] == '/')
        snprintf(bench.path + strlen(bench.path), 20, "%zu", bench.size);
    snprintf(bench.url, sizeof bench.url, "%s://%s:%s%s", bench.tls ? "wss" : "ws", bench.host, bench.port,
             bench.path);
    payload = malloc(bench.size + 16);
    memset(payload, 'p', bench.size + 16);
    times = calloc(bench.count + 1, sizeof *times);
    memset(times, 1, (bench.count + 1) * sizeof *times); /* touches the pages before the measurement */
}

/* ---------------------------------------------------------------------------------------- traffic */

/* The number of messages per round in mode send: half a megabyte. The server confirms each round, so that
 * clients that send only from callbacks are called. Two rounds are in flight. */
static uint64_t send_round(void)
{
    uint64_t round = (512 << 10) / (bench.size + 16);
    return round > 2 ? round : 2;
}

static void request(void *connection, uint64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    bench_send(connection, true, text, (size_t)len);
}

/* Makes the connection readable only when that many bytes are there. Clients do not expose their sockets,
 * so it is found among the open file descriptors. */
static void set_low_water_mark(size_t bytes)
{
    struct sockaddr_in6 peer; /* the port is at the same offset for IPv4 */
    int fd, low = (int)bytes, found = 0;
    for (fd = 3; fd < 64; fd++) {
        socklen_t len = sizeof peer;
        if (!getpeername(fd, (struct sockaddr *)&peer, &len) && ntohs(peer.sin6_port) == atoi(bench.port))
            found += !setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
    }
    if (found != 1) {
        fprintf(stderr, "%s: found %d connections to the server\n", bench.client, found);
        exit(1);
    }
}

static size_t round_bytes(void)
{
    size_t header = bench.size < 126 ? 2 : bench.size < 65536 ? 4 : 10;
    return bench.round * (header + bench.size);
}

void bench_opened(void *connection)
{
    opened++;
    switch (bench.mode) {
    case MODE_ECHO:
        times[0] = bench_now_ns();
        bench_send(connection, false, payload, bench.size);
        break;
    case MODE_RECV:
        if (bench.round) {
            /* Enlarges the receive buffer for a round. Its window grows during the warm-up: while it is
             * small, the system ignores the low-water mark when the window is full. */
            set_low_water_mark(round_bytes());
            set_low_water_mark(1);
        }
        request(connection, bench.warm);
        break;
    case MODE_SEND:
        bench.warm = send_round() * 2;
        bench.count = (bench.count + send_round() - 1) / send_round() * send_round();
        request(connection, send_round());
        bench.to_send = send_round() * 2;
        break;
    case MODE_GAME:
        request(connection, bench.rate);
        break;
    default:
        if (opened == bench.connections)
            set_done();
    }
}

static void message_sent(void)
{
    /* The server has confirmed a round. */
    seen += send_round();
    if (seen == bench.warm) {
        bench_begin();
        bench.to_send = bench.count < send_round() * 2 ? bench.count : send_round() * 2;
    } else if (seen > bench.warm) {
        uint64_t allowed = seen - bench.warm + send_round();
        if (seen == bench.warm + bench.count)
            bench_end();
        else if (allowed < bench.count)
            bench.to_send += send_round();
    }
}

void bench_message(void *connection, const void *bytes, size_t len)
{
    static uint64_t since;
    uint64_t now, sent;
    switch (bench.mode) {
    case MODE_ECHO:
        now = bench_now_ns();
        if (since)
            bench_keep(now - since);
        if (++seen == bench.warm)
            bench_begin();
        if (seen == bench.warm + bench.count) {
            bench_end();
            return;
        }
        since = bench_now_ns();
        bench_send(connection, false, payload, bench.size);
        break;
    case MODE_RECV:
        if (len != bench.size) {
            fprintf(stderr, "%s: received %zu bytes instead of %zu\n", bench.client, len, bench.size);
            exit(1);
        }
        if (++seen == bench.warm) {
            if (bench.round)
                set_low_water_mark(round_bytes());
            bench_begin();
        }
        if (seen == bench.warm + bench.count) {
            if (bench.round)
                set_low_water_mark(1);
            bench_end();
        } else if (seen == bench.warm || (seen > bench.warm && bench.round && seen % bench.round == 0)) {
            request(connection, bench.round ? bench.round : bench.count);
        }
        break;
    case MODE_SEND:
        message_sent();
        break;
    case MODE_GAME:
        now = bench_now_ns();
        memcpy(&sent, bytes, sizeof sent);
        bench_keep(now - sent);
        if (bench.done)
            break;
        bench_send(connection, false, payload, bench.size);
        if (++seen == bench.warm)
            bench_begin();
        if (seen == bench.warm + bench.count)
            bench_end();
        break;
    default:
        break;
    }
}

/* ----------------------------------------------------------------------------------------- report */

static uint64_t count_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    uint64_t count = 0;
    if (!tasks)
        return 0;
    while (readdir(tasks))
        count++;
    closedir(tasks);
    return count - 2; /* . and .. */
}

void bench_memory(bool after)
{
    *(after ? &heap_after : &heap_before) = usage_heap();
    *(after ? &rss_after : &rss_before) = usage_resident();
    *(after ? &threads_after : &threads_before) = count_threads();
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t percentile(double part)
{
    uint64_t index = (uint64_t)(part * (double)kept);
    return kept ? times[index < kept ? index : kept - 1] : 0;
}

static void field(const char *name, uint64_t value)
{
    printf(",\"%s\":%llu", name, (unsigned long long)value);
}

void bench_report(void)
{
    uint64_t i, sum = 0;
    qsort(times, kept, sizeof *times, compare);
    for (i = 0; i < kept; i++)
        sum += times[i];
    printf("{\"client\":\"%s\",\"variant\":\"%s\",\"mode\":\"%s\",\"tls\":%d", bench.client, bench.variant,
           bench.mode_name, bench.tls);
    field("size", bench.size);
    field("count", bench.count);
    field("connections", bench.connections);
    field("wall_ns", wall_ns);
    field("cpu_ns", user_ns + system_ns);
    field("user_ns", user_ns);
    field("switches", voluntary + involuntary);
    field("allocations", allocations);
    field("mean_ns", kept ? sum / kept : 0);
    field("p50_ns", percentile(0.5));
    field("p99_ns", percentile(0.99));
    field("p999_ns", percentile(0.999));
    field("max_ns", kept ? times[kept - 1] : 0);
    field("heap", heap_after - heap_before);
    field("rss", rss_after - rss_before);
    field("threads", threads_after);
    printf("}\n");
    fflush(stdout);
}
