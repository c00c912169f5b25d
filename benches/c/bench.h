/*
 * What all clients in C and C++ share: the command line, what is said in each mode, and the report.
 *
 * A client connects, calls bench_opened and bench_message from wherever its library calls it, and runs
 * until bench.done. What these answer with is sent with the client's own `bench_send`.
 *
 *     CLIENT MODE URL [--size N] [--count N] [--warm N] [--connections N] [--rate N] [--ca FILE] [--variant V]
 *            [--round N]
 *
 *   echo      one message there and back, `count` times: the time of each is kept
 *   recv      `count` messages of `size` bytes, as fast as they come
 *   send      `count` messages of `size` bytes, as fast as they go, until the server has seen the last
 *   game      `connections` that each get `rate` messages a second and answer each with one as long
 *   idle      `connections` that say nothing: what they cost in memory
 *   connect   `count` connections, one after the other
 *
 * The URL's path is chosen here, after the mode. Numbers are of the measured part alone: before it
 * comes the same once with `warm` messages.
 *
 * With --round, recv asks for so many messages at a time, and the system shows the client none of them before all
 * are there (SO_RCVLOWAT). What it then does for each does not depend on how fast the server was, so it can be
 * counted. `count` is rounded up to whole rounds; `warm` is two, not held back.
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

    /* send: this many may be sent now; the client counts them down. */
    volatile uint64_t to_send;
    volatile bool done;
};

extern struct bench bench;

/* The client's own: sends a message on a connection. Text is only what the server is asked for. */
void bench_send(void *connection, bool text, const void *bytes, size_t len);

void bench_parse(const char *client, int argc, char **argv);

/* A connection is open. In mode send, bench.to_send says then what to send. */
void bench_opened(void *connection);

/* A message came. */
void bench_message(void *connection, const void *bytes, size_t len);

/* Bytes to send, at least `size` of them. */
const uint8_t *bench_payload(void);

/* For clients that do not follow the script above: the measured part, and times to keep. */
void bench_begin(void);
void bench_end(void);
void bench_keep(uint64_t ns);
uint64_t bench_now_ns(void);

/* Sleeps until bench.done, for those whose library has threads of its own. */
void bench_wait(void);

/* Idle: call it before the first connection, and when all are open. */
void bench_memory(bool after);

/* Prints one line of JSON. */
void bench_report(void);

#ifdef __cplusplus
}
#endif

#endif
