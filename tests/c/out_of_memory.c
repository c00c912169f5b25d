/* A failing allocator. Runs a small client once to count its allocations, then repeatedly, each time in its
 * own process in which another allocation fails, or that one and all after it. Each run must end in one of
 * three ways: the call returns FW_RESULT_OUT_OF_MEMORY; the connection ends with an error event and the
 * client continues; or the process aborts with the message that fw_config documents. It must never crash or
 * hang.
 *
 * out_of_memory WS [WSS CA] */

#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Time limit of a run in seconds; the remaining allocations are skipped. */
enum { TIME_LIMIT = 12, HANG_TIMEOUT = 60, MIN_RUNS = 20 };

static const char *const phases[] = {"init", "create", "open", "connect", "send", "receive", "close", "end"};
enum { INIT, CREATE, OPEN, CONNECT, SEND, RECEIVE, CLOSE, END, PHASES };

/* The result of a run, for its parent process. */
struct report {
    atomic_long allocations, refused;
    atomic_int phase, results, errors;
};
static struct report *report;

/* The allocation that fails, counted from 1; 0 for none. */
static long failing;
static bool all_later_too;

static bool fails(void)
{
    long number = ++report->allocations;
    bool failed = failing && (all_later_too ? number >= failing : number == failing);
    report->refused += failed;
    return failed;
}

static void *hook_alloc(size_t size, size_t align, void *user_data)
{
    void *block = NULL;
    (void)user_data;
    return !fails() && posix_memalign(&block, align, size) == 0 ? block : NULL;
}

static void *hook_realloc(void *ptr, size_t old_size, size_t new_size, size_t align, void *user_data)
{
    void *block = NULL;
    (void)user_data;
    if (fails() || posix_memalign(&block, align, new_size) != 0)
        return NULL;
    memcpy(block, ptr, old_size < new_size ? old_size : new_size);
    free(ptr);
    return block;
}

static void hook_free(void *ptr, size_t size, size_t align, void *user_data)
{
    (void)size, (void)align, (void)user_data;
    free(ptr);
}

/* ------------------------------------------------------------------------------------ the client */

struct log {
    int opens, ends, messages, finalized;
    size_t bytes;
};

static void on_open(fw_socket s, void *u)
{
    (void)s, ((struct log *)u)->opens++;
}
static void on_text(fw_socket s, const char *t, size_t n, void *u)
{
    struct log *log = u;
    (void)s, (void)t;
    log->messages++;
    log->bytes += n;
}
static void on_binary(fw_socket s, const uint8_t *t, size_t n, void *u)
{
    on_text(s, (const char *)t, n, u);
}
static void on_closed(fw_socket s, uint16_t code, const char *reason, size_t n, void *u)
{
    (void)s, (void)code, (void)reason, (void)n, ((struct log *)u)->ends++;
}
static void on_error(fw_socket s, const fw_error *error, void *u)
{
    (void)s;
    CHECK(error->message && error->message[0]);
    report->errors++;
    ((struct log *)u)->ends++;
}
static void on_finalizer(void *u)
{
    ((struct log *)u)->finalized++;
}

static fw_result last_result;

/* Whether to repeat a call: a failed one has no effect. */
static bool refused(fw_result result)
{
    last_result = result;
    report->results += result == FW_RESULT_OUT_OF_MEMORY;
    return result == FW_RESULT_OUT_OF_MEMORY && !all_later_too;
}

#define TRY(call) (refused(call) ? check_result(#call, (call)) : check_result(#call, last_result))

static bool check_result(const char *call, fw_result result)
{
    bool expected = result == FW_RESULT_OK ||
                    (all_later_too && result == FW_RESULT_OUT_OF_MEMORY)
                    /* After an error, the socket is closed before its event is delivered. */
                    || (failing && result == FW_RESULT_INVALID_STATE);
    if (!expected)
        printf("%s returned %s\n", call, fw_result_name(result));
    CHECK(expected);
    return result == FW_RESULT_OK;
}

static void finish(void)
{
    fw_pool_stats pool;
    report->phase = END;
    OK(fw_shutdown(30000));
    fw_pool_stats_init(&pool, sizeof pool);
    OK(fw_buffer_pool_stats(&pool));
    CHECK(pool.blocks_in_use == 0 && pool.leases == 0);
}

static void exchange(fw_socket socket, struct log *log)
{
    static uint8_t bytes[100000];
    fw_segment segment;
    size_t sent = 0, sent_bytes = 0;

    report->phase = SEND;
#define SENT(call, n)                                                                                        \
    if (TRY(call))                                                                                           \
    sent++, sent_bytes += (n)
    SENT(fw_socket_send_text(socket, "hello", 5), 5);
    SENT(fw_socket_send_binary(socket, bytes, sizeof bytes), sizeof bytes);
    if (TRY(fw_buffer_get(1000, &segment))) {
        memset(segment.data + segment.offset, 7, segment.count);
        if (TRY(fw_segment_retain(segment)))
            OK(fw_segment_release(segment));
        /* Not repeated: the segment is consumed even on failure. */
        if (refused(fw_socket_send_binary_segment(socket, segment)))
            CHECK_RESULT(fw_segment_release(segment), FW_RESULT_INVALID_HANDLE);
        else if (check_result("send a segment", last_result))
            sent++, sent_bytes += 1000;
    }
    report->phase = RECEIVE;
    POLL_UNTIL(log->ends || (log->messages == (int)sent && log->bytes == sent_bytes));
}

static void run_client(const char *url, const char *ca)
{
    static struct log log;
    fw_config config;
    fw_socket socket;
    fw_tls tls = {0};
    int rounds, opened = 0;

    report->phase = INIT;
    fw_config_init(&config, sizeof config);
    config.alloc = hook_alloc;
    config.realloc = hook_realloc;
    config.free = hook_free;
    if (!TRY(fw_init(&config)))
        return;
    report->phase = CREATE;
    if (!TRY(fw_socket_create(url, &socket))) {
        finish();
        return;
    }
    if (ca) {
        static char pem[64 * 1024];
        FILE *file = fopen(ca, "rb");
        size_t len = file ? fread(pem, 1, sizeof pem, file) : 0;
        CHECK(len > 0);
        if (file)
            fclose(file);
        if (TRY(fw_tls_create(&tls)) && TRY(fw_tls_add_ca_pem(tls, pem, len)))
            OK(fw_socket_set_tls(socket, tls));
    }
    OK(fw_socket_on_open(socket, on_open, &log));
    OK(fw_socket_on_text(socket, on_text, &log));
    OK(fw_socket_on_binary(socket, on_binary, &log));
    OK(fw_socket_on_closed(socket, on_closed, &log));
    OK(fw_socket_on_error(socket, on_error, &log));
    OK(fw_socket_set_finalizer(socket, on_finalizer, &log));
    /* Reconnects after an error, as an application would. */
    for (rounds = 0; rounds < 2 && log.ends == rounds; rounds++) {
        report->phase = OPEN;
        if (!TRY(fw_socket_open(socket)))
            break;
        opened++;
        report->phase = CONNECT;
        log.messages = 0;
        log.bytes = 0;
        POLL_UNTIL(fw_socket_is_open(socket) || log.ends == opened);
        if (log.ends == opened)
            continue;
        exchange(socket, &log);
        report->phase = CLOSE;
        TRY(fw_socket_close(socket, 1000, "done"));
        if (log.ends < opened && all_later_too)
            fw_socket_abort(socket);
        POLL_UNTIL(log.ends == opened);
    }
    OK(fw_socket_destroy(socket));
    if (tls.id)
        OK(fw_tls_destroy(tls));
    finish();
    CHECK(log.finalized == 1 && log.ends == opened);
}

/* ---------------------------------------------------------------------------------- the parent */

enum outcome { HANDLED, ABORTED, WRONG };

/* Runs the client in its own process. */
static enum outcome run(const char *url, const char *ca, long which, bool later)
{
    static const char abort_message[] = "memory allocation of";
    char output[4096];
    size_t len = 0;
    ssize_t count;
    int output_pipe[2], status;
    pid_t child;

    memset(report, 0, sizeof *report);
    fflush(stdout);
    CHECK(pipe(output_pipe) == 0);
    child = fork();
    if (child == 0) {
        dup2(output_pipe[1], 1);
        dup2(output_pipe[1], 2);
        close(output_pipe[0]);
        close(output_pipe[1]);
        /* A process that hangs is killed, and recognised by its signal. */
        alarm(HANG_TIMEOUT);
        failing = which;
        all_later_too = later;
        checks_failed = 0;
        run_client(url, ca);
        fflush(stdout);
        /* Not exit: the leak checker would have to stop threads in a forked process. */
        _exit(checks_failed ? 1 : 0);
    }
    close(output_pipe[1]);
    while ((count = read(output_pipe[0], output + len, sizeof output - 1 - len)) > 0)
        len += (size_t)count;
    output[len] = '\0';
    close(output_pipe[0]);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return HANDLED;
    if (which && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
        strncmp(output, abort_message, sizeof abort_message - 1) == 0)
        return ABORTED;
    printf("allocation %ld%s failed while in %s, and the process ended with %s %d:\n%s\n", which,
           later ? " and all later ones" : "", phases[report->phase], WIFSIGNALED(status) ? "signal" : "code",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), output);
    return WRONG;
}

static long gcd(long a, long b)
{
    return b ? gcd(b, a % b) : a;
}

static void all(const char *url, const char *ca, bool later, double seconds)
{
    int handled[PHASES] = {0}, aborted[PHASES] = {0}, results = 0, errors = 0, runs = 0, phase;
    double start = check_seconds();
    long total, step, i;

    CHECK(run(url, ca, 0, false) == HANDLED);
    CHECK(report->results == 0 && report->errors == 0);
    total = report->allocations;
    CHECK(total > 20);
    /* In large steps first, so that the time limit covers the whole run. */
    for (step = total * 5 / 8 + 1; gcd(step, total) != 1;)
        step++;
    for (i = 0; i < total && (check_seconds() - start < seconds || runs < MIN_RUNS); i++) {
        enum outcome outcome = run(url, ca, 1 + i * step % total, later);
        CHECK(outcome != WRONG);
        if (!report->refused)
            continue; /* This run needed fewer allocations. */
        runs++;
        results += report->results > 0;
        errors += report->errors > 0;
        (outcome == HANDLED ? handled : aborted)[report->phase]++;
    }
    CHECK(runs >= MIN_RUNS);
    /* Not every failure aborts: allocations of payloads and handles are checked. */
    CHECK(i < total || results + errors > 0);
    printf("%.6s, %s: %ld allocations, %d runs: %d with OUT_OF_MEMORY, %d with an error event; aborted:", url,
           later ? "one and all later ones fail" : "one fails", total, runs, results, errors);
    for (phase = 0; phase < PHASES; phase++)
        if (aborted[phase])
            printf(" %s %d", phases[phase], aborted[phase]);
    printf("\n");
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(report != MAP_FAILED);
    signal(SIGPIPE, SIG_IGN);
    all(argv[1], NULL, false, TIME_LIMIT * 0.5);
    all(argv[1], NULL, true, TIME_LIMIT * 0.2);
    if (argc > 3)
        all(argv[2], argv[3], false, TIME_LIMIT * 0.3);
    return check_report();
}
