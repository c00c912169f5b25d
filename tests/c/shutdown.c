/* Start and shutdown: nothing leaks, and the library can start again. */

#include "check.h"

#include <dirent.h>
#include <stdatomic.h>

static int entries(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return -1;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* Waits for the number of entries: a thread is listed slightly longer than pthread_join waits. */
static int reaches(const char *folder, int count)
{
    double start = check_seconds();
    while (entries(folder) != count && check_seconds() - start < 1)
        ;
    return entries(folder) == count;
}

static atomic_int refused_in_callback, finalized, started, stopped;
static atomic_long live_blocks, live_bytes;

static void on_open(fw_socket socket, void *user_data)
{
    (void)socket;
    (void)user_data;
    if (fw_shutdown(100) == FW_RESULT_INVALID_STATE)
        refused_in_callback++;
}

static void finalizer(void *user_data)
{
    (void)user_data;
    finalized++;
}

static void thread_started(void *user_data)
{
    (void)user_data;
    started++;
}
static void thread_stopped(void *user_data)
{
    (void)user_data;
    stopped++;
}

static void *hook_alloc(size_t size, size_t align, void *user_data)
{
    void *ptr = NULL;
    (void)user_data;
    if (posix_memalign(&ptr, align < sizeof(void *) ? sizeof(void *) : align, size))
        return NULL;
    live_blocks++;
    live_bytes += (long)size;
    return ptr;
}

static void hook_free(void *ptr, size_t size, size_t align, void *user_data)
{
    (void)align;
    (void)user_data;
    live_blocks--;
    live_bytes -= (long)size;
    free(ptr);
}

static void *hook_realloc(void *ptr, size_t old_size, size_t new_size, size_t align, void *user_data)
{
    void *moved = hook_alloc(new_size, align, user_data);
    if (!moved)
        return NULL;
    memcpy(moved, ptr, old_size < new_size ? old_size : new_size);
    hook_free(ptr, old_size, align, user_data);
    return moved;
}

int main(int argc, char **argv)
{
    fw_config config;
    fw_socket sockets[4], stale;
    fw_segment kept;
    int round, i, threads, files, rounds = 200;

    if (argc < 4)
        return 2;
    OK(fw_shutdown(1000));
    threads = entries("/proc/self/task");
    files = entries("/proc/self/fd");
    for (round = 0; round < rounds; round++) {
        int waited;
        fw_tls tls = {0};

        fw_config_init(&config, sizeof config);
        config.worker_threads = 2;
        config.thread_started = thread_started;
        config.thread_stopped = thread_stopped;
        config.alloc = hook_alloc;
        config.realloc = hook_realloc;
        config.free = hook_free;
        OK(fw_init(&config));
        CHECK_RESULT(fw_init(&config), FW_RESULT_INVALID_STATE);
        if (round % 10 == 0)
            tls = check_tls(argv[3]);
        for (i = 0; i < 4; i++) {
            OK(fw_socket_create(tls.id ? argv[2] : argv[1], &sockets[i]));
            if (tls.id)
                OK(fw_socket_set_tls(sockets[i], tls));
            OK(fw_socket_set_dispatch(sockets[i], i % 2 ? FW_DISPATCH_WORKER : FW_DISPATCH_POLL));
            OK(fw_socket_on_open(sockets[i], on_open, NULL));
            OK(fw_socket_set_finalizer(sockets[i], finalizer, NULL));
            /* One is never opened; the others are in different phases at the shutdown. */
            if (i)
                OK(fw_socket_open(sockets[i]));
        }
        for (waited = 0; waited < 400 && round % 2 && !fw_socket_is_open(sockets[1]); waited++) {
            fw_poll(0, 0);
            fw_wait(5);
        }
        fw_poll(0, 0);
        stale = sockets[0];
        if (tls.id)
            OK(fw_tls_destroy(tls));
        OK(fw_shutdown(10000));
        CHECK(finalized == 4 * (round + 1));
        CHECK_RESULT(fw_socket_open(stale), FW_RESULT_INVALID_HANDLE);
        CHECK(fw_socket_state(stale) == FW_STATE_UNKNOWN);
        CHECK(fw_pending() == 0 && fw_poll(0, 0) == 0);
        if (live_blocks != 0) {
            printf("round %d: %ld blocks, %ld bytes left\n", round, live_blocks, live_bytes);
            CHECK(live_blocks == 0);
            break;
        }
        CHECK(started == stopped);
    }
    CHECK(refused_in_callback > 0);
    CHECK(started >= 2 * rounds);
    CHECK(reaches("/proc/self/task", threads));
    CHECK(entries("/proc/self/fd") == files);

    /* A segment stays valid after the shutdown. */
    OK(fw_buffer_get(100, &kept));
    memset(kept.data + kept.offset, 1, 100);
    OK(fw_socket_create(argv[1], &sockets[0]));
    OK(fw_shutdown(5000));
    CHECK(kept.data[kept.offset + 99] == 1);
    OK(fw_segment_release(kept));
    CHECK_RESULT(fw_segment_release(kept), FW_RESULT_INVALID_HANDLE);
    return check_report();
}
