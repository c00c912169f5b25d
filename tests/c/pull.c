/* Events without callbacks: every type, their order, and their contents until release. */

#include "check.h"

static fw_socket socket_of(const char *base, const char *path)
{
    char url[256];
    fw_socket socket = {0};
    snprintf(url, sizeof url, "%s%s", base, path);
    OK(fw_socket_create(url, &socket));
    return socket;
}

/* Waits for the next event, for ten seconds; FW_EVENT_NONE if there is none. */
static fw_event next(void)
{
    fw_event event;
    memset(&event, 0, sizeof event);
    if (!fw_next_event(&event) && fw_wait(10000))
        fw_next_event(&event);
    return event;
}

static void in_order(const char *base)
{
    fw_socket socket = socket_of(base, "count?n=10000&size=32");
    fw_event event;
    uint64_t expected = 0;
    static int mark;

    OK(fw_socket_set_user_data(socket, &mark));
    OK(fw_socket_open(socket));
    event = next();
    CHECK(event.type == FW_EVENT_OPEN && event.socket.id == socket.id && event.user_data == &mark);
    fw_event_release(&event);
    for (;;) {
        uint64_t number;
        event = next();
        if (event.type != FW_EVENT_BINARY)
            break;
        memcpy(&number, event.payload.data + event.payload.offset, sizeof number);
        if (number != expected || event.payload.count != 32 || event.opcode != FW_OPCODE_BINARY)
            break;
        expected++;
        fw_event_release(&event);
    }
    CHECK(expected == 10000);
    CHECK(event.type == FW_EVENT_CLOSED && event.close_code == 1000);
    CHECK(event.payload.count == 4 && memcmp(event.payload.data + event.payload.offset, "done", 4) == 0);
    fw_event_release(&event);
    fw_event_release(&event);
    CHECK(!fw_next_event(&event));
    CHECK(fw_pending() == 0);
    OK(fw_socket_destroy(socket));
}

/* Several events at once, of one socket and of all, at most as many as fit. */
static void in_batches(const char *base, bool of_one)
{
    enum { CAPACITY = 64 };
    static fw_event events[CAPACITY + 1];
    fw_socket socket = socket_of(base, "count?n=10000&size=32");
    uint64_t expected = 0;
    bool opened = false, closed = false;
    double start = check_seconds();

    OK(fw_socket_open(socket));
    while (!closed && check_seconds() - start < 60) {
        size_t capacity = 1 + expected % CAPACITY, taken, i;
        memset(events, 0x55, sizeof events);
        taken = of_one ? fw_socket_next_events(socket, events, capacity) : fw_next_events(events, capacity);
        CHECK(taken <= capacity);
        /* The rest of the array is not written. */
        for (i = 0; i < sizeof(fw_event); i++)
            if (((const unsigned char *)&events[taken])[i] != 0x55)
                break;
        CHECK(i == sizeof(fw_event));
        for (i = 0; i < taken; i++) {
            uint64_t number;
            CHECK(!closed && events[i].socket.id == socket.id);
            if (events[i].type == FW_EVENT_OPEN) {
                CHECK(!opened && expected == 0);
                opened = true;
            } else if (events[i].type == FW_EVENT_BINARY) {
                memcpy(&number, events[i].payload.data + events[i].payload.offset, sizeof number);
                CHECK(number == expected && events[i].payload.count == 32);
                expected++;
            } else {
                CHECK(events[i].type == FW_EVENT_CLOSED && events[i].close_code == 1000);
                closed = true;
            }
            CHECK(events[i].reserved[0] == 0 && events[i].reserved[1] == 0 && events[i].rsv == 0 &&
                  events[i].error.reserved[1] == 0);
        }
        fw_events_release(events, taken);
        for (i = 0; i < taken; i++)
            CHECK(events[i].type == FW_EVENT_NONE && events[i].payload.buffer.id == 0);
        /* Releasing twice does nothing. */
        fw_events_release(events, taken);
        if (!taken)
            fw_wait(100);
    }
    CHECK(opened && closed && expected == 10000 && fw_pending() == 0);
    CHECK(fw_next_events(events, CAPACITY) == 0);
    OK(fw_socket_destroy(socket));
    CHECK(fw_socket_next_events(socket, events, CAPACITY) == 0);
}

/* Batches are round robin like fw_next_event: a busy socket does not fill a batch while others have
 * events. */
static void batches_are_fair(const char *base)
{
    enum { SOCKETS = 4, CAPACITY = 8 };
    fw_socket sockets[SOCKETS];
    fw_event events[CAPACITY];
    size_t taken, i;
    int seen[SOCKETS] = {0};
    double start = check_seconds();

    sockets[0] = socket_of(base, "count?n=10000&size=32");
    for (i = 1; i < SOCKETS; i++)
        sockets[i] = socket_of(base, "count?n=20&size=32");
    for (i = 0; i < SOCKETS; i++)
        OK(fw_socket_open(sockets[i]));
    /* Until each socket has events; none is taken meanwhile. */
    WAIT_UNTIL(fw_pending() > 500);
    for (i = 0; i < SOCKETS; i++)
        WAIT_UNTIL(fw_socket_state(sockets[i]) != FW_STATE_CONNECTING);
    for (i = 1; i < SOCKETS; i++)
        WAIT_UNTIL(fw_socket_state(sockets[i]) == FW_STATE_CLOSED);
    taken = fw_next_events(events, CAPACITY);
    CHECK(taken == CAPACITY);
    for (i = 0; i < taken; i++) {
        size_t which;
        for (which = 0; which < SOCKETS; which++)
            if (sockets[which].id == events[i].socket.id)
                seen[which]++;
    }
    for (i = 0; i < SOCKETS; i++)
        CHECK(seen[i] == CAPACITY / SOCKETS);
    fw_events_release(events, taken);
    while ((fw_pending() > 0 || fw_socket_state(sockets[0]) != FW_STATE_CLOSED) &&
           check_seconds() - start < 60) {
        taken = fw_next_events(events, CAPACITY);
        fw_events_release(events, taken);
        if (!taken)
            fw_wait(10);
    }
    for (i = 0; i < SOCKETS; i++)
        OK(fw_socket_destroy(sockets[i]));
}

/* Messages of a batch can be kept one by one, read, released and sent after the events are released. */
static void messages_of_a_batch_can_be_kept(const char *base)
{
    enum { MESSAGES = 100 };
    static fw_event events[MESSAGES + 2];
    static fw_segment kept[MESSAGES];
    fw_socket socket = socket_of(base, "count?n=100&size=32"), echo = socket_of(base, "");
    size_t taken, i, count = 0;
    fw_segment beyond;
    fw_event event;

    OK(fw_socket_open(socket));
    WAIT_UNTIL(fw_pending() == MESSAGES + 2);
    taken = fw_next_events(events, MESSAGES + 2);
    CHECK(taken == MESSAGES + 2);
    for (i = 0; i < taken; i++)
        if (events[i].type == FW_EVENT_BINARY && count % 3 == 0) {
            kept[count++] = events[i].payload;
            OK(fw_segment_retain(events[i].payload));
        } else if (events[i].type == FW_EVENT_BINARY) {
            kept[count++] = events[i].payload;
        }
    CHECK(count == MESSAGES);
    /* In two parts, and in another order than they were taken. */
    fw_events_release(events + 7, taken - 7);
    fw_events_release(events, taken);
    for (i = 0; i < MESSAGES; i++) {
        uint64_t number;
        if (i % 3) {
            CHECK(fw_segment_retain(kept[i]) == FW_RESULT_INVALID_HANDLE);
            continue;
        }
        memcpy(&number, kept[i].data + kept[i].offset, sizeof number);
        CHECK(number == i);
        if (i == 33 || i == 66)
            continue;
        OK(fw_segment_release(kept[i]));
        CHECK(fw_segment_release(kept[i]) == FW_RESULT_INVALID_HANDLE);
    }

    OK(fw_socket_open(echo));
    WAIT_UNTIL(fw_socket_is_open(echo));
    OK(fw_socket_send_binary_segment(echo, kept[33]));
    CHECK(fw_socket_send_binary_segment(echo, kept[33]) == FW_RESULT_INVALID_HANDLE);
    /* Bytes of another message; the reference is consumed. */
    beyond = kept[66];
    beyond.offset = kept[67].offset;
    CHECK(fw_socket_send_binary_segment(echo, beyond) == FW_RESULT_INVALID_ARGUMENT);
    CHECK(fw_segment_release(kept[66]) == FW_RESULT_INVALID_HANDLE);
    while (fw_wait(10000) && fw_next_event(&event) && event.type != FW_EVENT_BINARY)
        fw_event_release(&event);
    CHECK(event.type == FW_EVENT_BINARY);
    CHECK(event.payload.count == 32 && event.payload.data[event.payload.offset] == 33);
    fw_event_release(&event);
    OK(fw_socket_destroy(socket));
    OK(fw_socket_destroy(echo));
}

/* Counts of zero and of more than fits into memory: no event is taken or lost. */
static void invalid_counts(void)
{
    fw_socket socket;
    fw_event event;

    OK(fw_socket_create("ws://127.0.0.1:1/", &socket));
    OK(fw_socket_open(socket));
    CHECK(fw_wait(10000));
    CHECK(fw_next_events(NULL, 0) == 0);
    CHECK(fw_next_events(&event, 0) == 0);
    CHECK(fw_next_events(NULL, 1) == 0);
    CHECK(fw_next_events(&event, SIZE_MAX) == 0);
    CHECK(fw_next_events(&event, SIZE_MAX / sizeof event + 1) == 0);
    CHECK(fw_socket_next_events(socket, &event, 0) == 0);
    CHECK(fw_socket_next_events(socket, NULL, 1) == 0);
    CHECK(fw_socket_next_events(socket, &event, SIZE_MAX) == 0);
    CHECK(fw_pending() == 1);
    CHECK(fw_next_events(&event, 1) == 1 && event.type == FW_EVENT_ERROR);
    fw_events_release(&event, 0);
    CHECK(event.error.message != NULL);
    fw_events_release(&event, SIZE_MAX);
    fw_events_release(&event, 1);
    CHECK(event.type == FW_EVENT_NONE);
    OK(fw_socket_destroy(socket));
}

static void fragments(const char *base)
{
    fw_socket socket = socket_of(base, "fragments?n=5&size=1000");
    fw_event event;
    uint32_t seen = 0;

    OK(fw_socket_enable_event(socket, FW_EVENT_INCOMPLETE_FRAME, true));
    CHECK_RESULT(fw_socket_enable_event(socket, FW_EVENT_TEXT, true), FW_RESULT_INVALID_ARGUMENT);
    OK(fw_socket_open(socket));
    event = next();
    CHECK(event.type == FW_EVENT_OPEN);
    fw_event_release(&event);
    for (seen = 0; seen < 5; seen++) {
        event = next();
        CHECK(event.type == FW_EVENT_INCOMPLETE_FRAME && event.opcode == FW_OPCODE_BINARY);
        CHECK(event.is_first == (seen == 0) && event.is_final == (seen == 4));
        CHECK(event.payload.count == 1000 && event.payload.data[event.payload.offset] == seen);
        fw_event_release(&event);
    }
    OK(fw_socket_destroy(socket));
}

static void pongs_and_kept_payloads(const char *base)
{
    fw_socket socket = socket_of(base, "");
    fw_event event;
    fw_segment kept;

    OK(fw_socket_open(socket));
    event = next();
    CHECK(event.type == FW_EVENT_OPEN);
    fw_event_release(&event);
    OK(fw_socket_ping(socket, "tick", 4));
    event = next();
    CHECK(event.type == FW_EVENT_PONG && event.payload.count == 4);
    fw_event_release(&event);
    OK(fw_socket_send_text(socket, "keep me", 7));
    event = next();
    CHECK(event.type == FW_EVENT_TEXT && event.opcode == FW_OPCODE_TEXT);
    kept = event.payload;
    OK(fw_segment_retain(kept));
    fw_event_release(&event);
    CHECK(kept.count == 7 && memcmp(kept.data + kept.offset, "keep me", 7) == 0);
    OK(fw_segment_release(kept));
    CHECK_RESULT(fw_segment_release(kept), FW_RESULT_INVALID_HANDLE);
    OK(fw_socket_destroy(socket));
    CHECK(!fw_socket_next_event(socket, &event));
}

static void error_event(void)
{
    fw_socket socket;
    fw_event event;

    /* Port 1 of this machine: connection refused. */
    OK(fw_socket_create("ws://127.0.0.1:1/", &socket));
    OK(fw_socket_open(socket));
    event = next();
    CHECK(event.type == FW_EVENT_ERROR && event.error.kind == FW_ERROR_KIND_REFUSED);
    CHECK(event.error.phase == FW_PHASE_CONNECT && event.error.retriable == 1 && event.error.os_code != 0);
    CHECK(event.error.message && strstr(event.error.message, "127.0.0.1:1"));
    fw_event_release(&event);
    OK(fw_socket_destroy(socket));
}

/* Lines of the log without a callback, cut to the size of the caller's buffers. */
static void log_lines(void)
{
    fw_socket socket = {0};
    fw_socket about = {0};
    fw_log_level level = FW_LOG_OFF;
    char context[32];
    char message[16];
    unsigned lines = 0, info = 0;
    fw_event event;

    CHECK(!fw_next_log(&level, &about, context, sizeof context, message, sizeof message));
    OK(fw_queue_log(FW_LOG_DEBUG));
    OK(fw_socket_create("ws://127.0.0.1:1/", &socket));
    OK(fw_socket_set_context(socket, "name", "log"));
    OK(fw_socket_open(socket));
    event = next();
    CHECK(event.type == FW_EVENT_ERROR);
    fw_event_release(&event);
    CHECK(!fw_next_log(NULL, &about, context, sizeof context, message, sizeof message));
    CHECK(!fw_next_log(&level, NULL, context, sizeof context, message, sizeof message));
    while (fw_next_log(&level, &about, context, sizeof context, message, sizeof message)) {
        lines++;
        CHECK(level >= FW_LOG_ERROR && level <= FW_LOG_DEBUG);
        if (about.id == socket.id && level == FW_LOG_INFO) {
            info++;
            CHECK(strcmp(context, "name=log") == 0);
            CHECK(strlen(message) > 0 && strlen(message) < sizeof message);
        }
    }
    CHECK(lines > 1 && info == 1);

    /* The buffers may be left out, and what is not taken is dropped. */
    OK(fw_socket_open(socket));
    event = next();
    fw_event_release(&event);
    CHECK(fw_next_log(&level, &about, NULL, 0, NULL, 0));
    OK(fw_queue_log(FW_LOG_OFF));
    CHECK(!fw_next_log(&level, &about, context, sizeof context, message, sizeof message));
    OK(fw_socket_destroy(socket));
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    in_order(argv[1]);
    in_batches(argv[1], false);
    in_batches(argv[1], true);
    batches_are_fair(argv[1]);
    messages_of_a_batch_can_be_kept(argv[1]);
    invalid_counts();
    fragments(argv[1]);
    pongs_and_kept_payloads(argv[1]);
    error_event();
    log_lines();
    OK(fw_shutdown(5000));
    return check_report();
}
