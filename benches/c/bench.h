/*
 * Shared code of the benchmark clients in C and C++: command line, traffic of each mode, and report.
 *
 * A client connects, calls bench_opened and bench_message from its library's callbacks, and runs until
 * bench.done. These functions send with the client's own `bench_send`.
 *
 *     CLIENT MODE URL [--size N] [--count N] [--warm N] [--connections N] [--rate N] [--ca FILE] [--variant V]
 *            [--round N]
 *
 *   echo      `count` round trips of one message, with the latency of each
 *   recv      receives `count` messages of `size` bytes, as fast as possible
 *   send      sends `count` messages of `size` bytes, as fast as possible, until the server has the last
 *   game      `connections` that each receive `rate` messages per second and reply with the same size
 *   idle      `connections` without traffic: memory use
 *   connect   `count` connections, one after the other
 *
 * The mode determines the path of the URL. A warm-up with `warm` messages precedes the measurement.
 *
 * With --round, recv requests that many messages at a time, and SO_RCVLOWAT delays the client until all of
 * them are there. The work per message then does not depend on the speed of the server, so it can be
 * counted. `count` is rounded up to whole rounds; `warm` is two rounds, without the delay.
 */

#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bench_mode { MODE_ECHO, MODE_RECV, MODE_SEND, MODE_GAME, MODE_IDLE, MODE_CONNECT };

struct bench {
    const char *client, *mode_name, *variant, *ca;
    enum bench_mode mode;
    char url[256], host[64], port[8], path[64];
    bool tls;
    size_t size;
    uint64_t count, warm, connections, rate, round;

    /* Mode send: the number of messages that may be sent now; the client counts them down. */
    volatile uint64_t to_send;
    volatile bool done;
};

extern struct bench bench;
/* For clients in other languages that declare the struct themselves. */
extern const size_t bench_struct_size;

/* Implemented by the client: sends a message. Requests to the server are text, payloads are binary. */
void bench_send(void *connection, bool text, const void *bytes, size_t len);

void bench_parse(const char *client, int argc, char **argv);

/* Handles an open connection. In mode send, bench.to_send is set afterwards. */
void bench_opened(void *connection);

/* Handles a received message. */
void bench_message(void *connection, const void *bytes, size_t len);

/* Returns the bytes to send, at least `size` of them. */
const uint8_t *bench_payload(void);

/* For clients with their own traffic: begin and end of the measurement, and recorded times. */
void bench_begin(void);
void bench_end(void);
void bench_keep(uint64_t ns);
uint64_t bench_now_ns(void);

/* Sleeps until bench.done, for clients whose library has its own threads. */
void bench_wait(void);

/* Mode idle: records the memory use, before the first connection and when all are open. */
void bench_memory(bool after);

/* Prints the results as one line of JSON. */
void bench_report(void);

#ifdef __cplusplus
}
#endif

#endif
