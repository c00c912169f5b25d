/* Events without callbacks: every type, their order, and what they hold until released. */

#include "check.h"

static fw_socket socket_of(const char *base, const char *path)
{
    char url[256];
    fw_socket socket = {0};
    snprintf(url, sizeof url, "%s%s", base, path);
    OK(fw_socket_create(url, &socket));
    return socket;
}

/* The next event, within ten seconds; FW_EVENT_NONE if there is none. */
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

static void an_error_explains_itself(void)
{
    fw_socket socket;
    fw_event event;

    /* Port 1 of this machine: nobody listens there. */
    OK(fw_socket_create("ws://127.0.0.1:1/", &socket));
    OK(fw_socket_open(socket));
    event = next();
    CHECK(event.type == FW_EVENT_ERROR && event.error.kind == FW_ERROR_KIND_REFUSED);
    CHECK(event.error.phase == FW_PHASE_CONNECT && event.error.retriable == 1 && event.error.os_code != 0);
    CHECK(event.error.message && strstr(event.error.message, "127.0.0.1:1"));
    fw_event_release(&event);
    OK(fw_socket_destroy(socket));
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    in_order(argv[1]);
    fragments(argv[1]);
    pongs_and_kept_payloads(argv[1]);
    an_error_explains_itself();
    OK(fw_shutdown(5000));
    return check_report();
}
