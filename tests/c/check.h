/* Shared by the C tests: counted checks, and a summary line at the end. */

#ifndef CHECK_H
#define CHECK_H

#include "framewire.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Atomic: worker threads of the library run checks in callbacks. */
static atomic_int checks_passed, checks_failed;

/* Functions, since the macros would put a buffer for each check on the stack of an unoptimised program. */
static inline void check_failed(const char *file, int line, const char *condition)
{
    char last_error[512];
    fw_last_error(last_error, sizeof last_error);
    checks_failed++;
    printf("%s:%d: %s (last error: %s)\n", file, line, condition, last_error);
}

static inline void check_result_failed(const char *file, int line, const char *call, fw_result got,
                                       fw_result expected)
{
    char last_error[512];
    fw_last_error(last_error, sizeof last_error);
    checks_failed++;
    printf("%s:%d: %s returned %s, expected %s (%s)\n", file, line, call, fw_result_name(got),
           fw_result_name(expected), last_error);
}

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (condition)                                                                                       \
            checks_passed++;                                                                                 \
        else                                                                                                 \
            check_failed(__FILE__, __LINE__, #condition);                                                    \
    } while (0)

#define CHECK_RESULT(call, expected)                                                                         \
    do {                                                                                                     \
        fw_result got = (call);                                                                              \
        if (got == (expected))                                                                               \
            checks_passed++;                                                                                 \
        else                                                                                                 \
            check_result_failed(__FILE__, __LINE__, #call, got, expected);                                   \
    } while (0)

#define OK(call) CHECK_RESULT(call, FW_RESULT_OK)

static inline int check_report(void)
{
    printf("%d passed, %d failed\n", (int)checks_passed, (int)checks_failed);
    return checks_failed || !checks_passed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static inline double check_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Polls until the condition holds, for a minute at most, so that a bug does not hang the test. */
#define POLL_UNTIL(condition)                                                                                \
    do {                                                                                                     \
        double start = check_seconds();                                                                      \
        while (!(condition) && check_seconds() - start < 60) {                                               \
            fw_poll(0, 0);                                                                                   \
            if (!(condition))                                                                                \
                fw_wait(10);                                                                                 \
        }                                                                                                    \
        CHECK(condition);                                                                                    \
    } while (0)

/* Waits without polling, for conditions that other threads change. */
#define WAIT_UNTIL(condition)                                                                                \
    do {                                                                                                     \
        double start = check_seconds();                                                                      \
        struct timespec moment = {0, 1000000};                                                               \
        while (!(condition) && check_seconds() - start < 60)                                                 \
            nanosleep(&moment, NULL);                                                                        \
        CHECK(condition);                                                                                    \
    } while (0)

/* Creates TLS settings that trust the CA in a file. */
static inline fw_tls check_tls(const char *ca_file)
{
    static char pem[64 * 1024];
    fw_tls tls = {0};
    FILE *file = fopen(ca_file, "rb");
    size_t len = file ? fread(pem, 1, sizeof pem, file) : 0;
    CHECK(len > 0);
    if (file)
        fclose(file);
    OK(fw_tls_create(&tls));
    OK(fw_tls_add_ca_pem(tls, pem, len));
    return tls;
}

#endif
