/* Shared code of the clients in C and C++: the messages, and wall and CPU time. */

#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_MESSAGES = 64 };

struct messages {
    size_t count, size;
    const char *at[MAX_MESSAGES];
};

/* Reads a file of lines of equal length into static memory. */
static inline struct messages read_messages(const char *path)
{
    static char text[MAX_MESSAGES << 16];
    struct messages messages = {0, 0, {0}};
    FILE *file = fopen(path, "rb");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    messages.size = strcspn(text, "\n");
    for (size_t at = 0; messages.size > 0 && at + messages.size < len && messages.count < MAX_MESSAGES;
         at += messages.size + 1)
        messages.at[messages.count++] = text + at;
    if (messages.count == 0) {
        fprintf(stderr, "%s: no messages\n", path);
        exit(EXIT_FAILURE);
    }
    return messages;
}

struct clock_pair {
    double wall, cpu;
};

static inline struct clock_pair read_clocks(void)
{
    struct timespec wall;
    struct rusage usage;
    struct clock_pair now;
    clock_gettime(CLOCK_MONOTONIC, &wall);
    getrusage(RUSAGE_SELF, &usage);
    now.wall = (double)wall.tv_sec + (double)wall.tv_nsec / 1e9;
    now.cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
              (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    return now;
}

static inline void print_since(struct clock_pair begun)
{
    struct clock_pair now = read_clocks();
    printf("%.6f %.6f\n", now.wall - begun.wall, now.cpu - begun.cpu);
}

static inline void pause_us(long us)
{
    struct timespec time = {0, us * 1000};
    nanosleep(&time, NULL);
}
