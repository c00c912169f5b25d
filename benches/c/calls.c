/*
 * How long what a game does in every frame keeps its thread, in four situations: nothing happens, messages
 * stream in, this thread sends all the time, and the server reads nothing. every_call.c has all functions.
 *
 *     calls ws://localhost:PORT [COUNT]
 *
 * The cost of looking at the clock is measured first and taken off.
 */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 200000 };

static uint64_t times[MOST];
static size_t kept, count = 50000;
static uint64_t overhead, messages;

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

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void keep(uint64_t ns)
{
    if (kept < MOST)
        times[kept++] = ns > overhead ? ns - overhead : 0;
}

static void report(const char *situation, const char *call)
{
    uint64_t sum = 0;
    size_t i;
    if (!kept) {
        fprintf(stderr, "%s, %s: nothing was measured\n", situation, call);
        exit(1);
    }
    qsort(times, kept, sizeof *times, compare);
    for (i = 0; i < kept; i++)
        sum += times[i];
    printf("{\"situation\":\"%s\",\"call\":\"%s\",\"count\":%zu,\"mean_ns\":%.1f,\"p50_ns\":%llu,"
           "\"p99_ns\":%llu,\"p999_ns\":%llu,\"max_ns\":%llu}\n",
           situation, call, kept, (double)sum / (double)kept, (unsigned long long)times[kept / 2],
           (unsigned long long)times[kept * 99 / 100], (unsigned long long)times[kept * 999 / 1000],
           (unsigned long long)times[kept - 1]);
    kept = 0;
}

#define TIMED(call)                                                                                       \
    do {                                                                                                  \
        uint64_t begun = now_ns();                                                                        \
        call;                                                                                             \
        keep(now_ns() - begun);                                                                           \
    } while (0)

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)socket;
    (void)data;
    (void)len;
    (void)user_data;
    messages++;
}

static fw_socket open_at(const char *url, const char *path)
{
    char whole[256];
    fw_socket socket;
    snprintf(whole, sizeof whole, "%s%s", url, path);
    must(fw_socket_create(whole, &socket));
    must(fw_socket_set_compression(socket, NULL));
    must(fw_socket_on_binary(socket, on_binary, NULL));
    must(fw_socket_open(socket));
    while (!fw_socket_is_open(socket)) {
        if (fw_socket_state(socket) == FW_STATE_CLOSED) {
            fprintf(stderr, "%s: no connection\n", whole);
            exit(1);
        }
        fw_wait(10);
        fw_poll(0, 0);
    }
    fw_poll(0, 0);
    return socket;
}

static void measure_clock(void)
{
    size_t i;
    overhead = 0;
    for (i = 0; i < 10000; i++)
        TIMED((void)0);
    qsort(times, kept, sizeof *times, compare);
    overhead = times[kept / 2];
    kept = 0;
}

static void when_nothing_happens(const char *url)
{
    const char *situation = "nothing happens";
    fw_socket socket = open_at(url, "/idle");
    uint8_t bytes[128] = {0};
    uint64_t begun;
    size_t i;

    begun = now_ns();
    for (i = 0; i < 1000000; i++)
        fw_poll(0, 1000);
    printf("{\"situation\":\"%s\",\"call\":\"fw_poll, a million in a row\",\"count\":1000000,\"mean_ns\":%.1f}\n",
           situation, (double)(now_ns() - begun) / 1e6);
    for (i = 0; i < count; i++)
        TIMED(fw_poll(0, 1000));
    report(situation, "fw_poll");
    for (i = 0; i < count; i++)
        TIMED(fw_socket_state(socket));
    report(situation, "fw_socket_state");
    for (i = 0; i < count; i++)
        TIMED(fw_socket_buffered_amount(socket));
    report(situation, "fw_socket_buffered_amount");
    /* One in a while, as a game sends: the worker sleeps and is woken. */
    for (i = 0; i < 2000; i++) {
        const struct timespec pause = {0, 500000};
        nanosleep(&pause, NULL);
        TIMED(must(fw_socket_send_binary(socket, bytes, sizeof bytes)));
    }
    report(situation, "fw_socket_send_binary, 128 B, now and then");
    must(fw_socket_destroy(socket));
}

static void in_a_flood(const char *url)
{
    const char *situation = "128 B messages stream in";
    fw_socket socket = open_at(url, "/flood/128");
    uint8_t bytes[128] = {0};
    char number[24];
    uint64_t delivered = 0, spent = 0;

    /* More than can come before this is over. */
    must(fw_socket_send_text(socket, number, (size_t)sprintf(number, "%u", 4000000000u)));
    while (kept < count / 10) {
        uint64_t begun = now_ns(), before = messages;
        fw_poll(64, 0);
        if (messages == before)
            continue;
        spent += now_ns() - begun - overhead;
        delivered += messages - before;
        keep((now_ns() - begun) / (messages - before));
    }
    printf("{\"situation\":\"%s\",\"call\":\"fw_poll, each message\",\"count\":%llu,\"mean_ns\":%.1f}\n",
           situation, (unsigned long long)delivered, (double)spent / (double)delivered);
    kept = 0;
    while (kept < count / 10)
        if (fw_wait(100))
            TIMED(fw_poll(0, 1000));
    report(situation, "fw_poll, a budget of 1 ms");
    while (kept < count) {
        TIMED(must(fw_socket_send_binary(socket, bytes, 16)));
        if (kept % 16 == 0)
            fw_poll(64, 0);
    }
    report(situation, "fw_socket_send_binary, 16 B");
    must(fw_socket_destroy(socket));
}

static void sending(const char *url)
{
    const char *situation = "this thread sends all the time";
    fw_socket socket = open_at(url, "/sink");
    static uint8_t bytes[65536];

    while (kept < count)
        TIMED(must(fw_socket_send_binary(socket, bytes, 128)));
    report(situation, "fw_socket_send_binary, 128 B");
    while (kept < count / 50) {
        while (fw_socket_buffered_amount(socket) > 8 << 20)
            fw_wait(1);
        TIMED(must(fw_socket_send_binary(socket, bytes, sizeof bytes)));
    }
    report(situation, "fw_socket_send_binary, 64 KiB");
    must(fw_socket_destroy(socket));
}

static void stalled(const char *url)
{
    const char *situation = "the server reads nothing";
    fw_socket socket = open_at(url, "/stall");
    static uint8_t bytes[65536];
    fw_result result;

    /* The system's buffers and the queue fill up, and then every call is refused. */
    do
        TIMED(result = fw_socket_send_binary(socket, bytes, sizeof bytes));
    while (result == FW_RESULT_OK && kept < MOST);
    report(situation, "fw_socket_send_binary, 64 KiB, until the queue is full");
    while (kept < count)
        TIMED(result = fw_socket_send_binary(socket, bytes, 128));
    if (result != FW_RESULT_WOULD_BLOCK)
        fprintf(stderr, "the queue is never full\n");
    report(situation, "fw_socket_send_binary, refused");
    while (kept < count)
        TIMED(fw_poll(0, 1000));
    report(situation, "fw_poll");
    TIMED(must(fw_socket_close(socket, 1000, "")));
    report(situation, "fw_socket_close");
    TIMED(must(fw_socket_destroy(socket)));
    report(situation, "fw_socket_destroy");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s ws://HOST:PORT [COUNT]\n", argv[0]);
        return 2;
    }
    if (argc > 2)
        count = strtoull(argv[2], NULL, 10);
    measure_clock();
    when_nothing_happens(argv[1]);
    in_a_flood(argv[1]);
    sending(argv[1]);
    stalled(argv[1]);
    must(fw_shutdown(2000));
    return 0;
}
