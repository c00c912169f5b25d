/*
 * Measures how long the calls that a game makes every frame block its thread, in four situations: no
 * traffic, a stream of received messages, continuous sending, and a server that does not read.
 * every_call.c measures all functions.
 *
 *     calls ws://localhost:PORT [COUNT]
 *
 * Timer overhead is measured first and subtracted.
 */

#include "framewire.h"
#include "timed.h"

#include <string.h>

static size_t count = 50000;
static uint64_t messages;

static void must(fw_result result)
{
    if (result != FW_RESULT_OK) {
        char why[256];
        fw_last_error(why, sizeof why);
        fprintf(stderr, "%s: %s\n", fw_result_name(result), why);
        exit(1);
    }
}

#define TIMED(call)                                                                                          \
    do {                                                                                                     \
        uint64_t begun = now_ns();                                                                           \
        call;                                                                                                \
        keep(now_ns() - begun);                                                                              \
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
    for (i = 0; i < 10000; i++)
        TIMED((void)0);
    set_overhead();
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
    printf(
        "{\"situation\":\"%s\",\"call\":\"fw_poll, a million in a row\",\"count\":1000000,\"mean_ns\":%.1f}\n",
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
    /* One message at intervals, as a game sends: each wakes the sleeping worker. */
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

    /* More than can be received during the measurement. */
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

    /* Fills the system's buffers and the send queue until every call is rejected. */
    do
        TIMED(result = fw_socket_send_binary(socket, bytes, sizeof bytes));
    while (result == FW_RESULT_OK && kept < MOST_TIMES);
    report(situation, "fw_socket_send_binary, 64 KiB, until the queue is full");
    while (kept < count)
        TIMED(result = fw_socket_send_binary(socket, bytes, 128));
    if (result != FW_RESULT_WOULD_BLOCK)
        fprintf(stderr, "the send queue does not fill up\n");
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
