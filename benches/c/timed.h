/*
 * Records the durations of calls, subtracts timer overhead, and prints statistics as a line of JSON.
 */

#ifndef TIMED_H
#define TIMED_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MOST_TIMES = 200000 };

static uint64_t times[MOST_TIMES], overhead;
static size_t kept;

static inline uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline void keep(uint64_t ns)
{
    if (kept < MOST_TIMES)
        times[kept++] = ns > overhead ? ns - overhead : 0;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The recorded times are those of empty calls. */
static void set_overhead(void)
{
    qsort(times, kept, sizeof *times, compare_times);
    overhead = times[kept / 2];
    kept = 0;
}

static void report(const char *situation, const char *call)
{
    uint64_t sum = 0;
    size_t i;
    if (!kept) {
        fprintf(stderr, "%s, %s: no times were recorded\n", situation, call);
        exit(1);
    }
    qsort(times, kept, sizeof *times, compare_times);
    for (i = 0; i < kept; i++)
        sum += times[i];
    printf("{\"situation\":\"%s\",\"call\":\"%s\",\"count\":%zu,\"mean_ns\":%.1f,\"p50_ns\":%llu,"
           "\"p99_ns\":%llu,\"p999_ns\":%llu,\"max_ns\":%llu}\n",
           situation, call, kept, (double)sum / (double)kept, (unsigned long long)times[kept / 2],
           (unsigned long long)times[kept * 99 / 100], (unsigned long long)times[kept * 999 / 1000],
           (unsigned long long)times[kept - 1]);
    kept = 0;
}

#endif
