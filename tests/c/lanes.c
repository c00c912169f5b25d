/* Lanes, keys, times to live and outcomes: the functions, their errors, and the event sent in both ways. */

#include "check.h"

#include <stdint.h>

/* What became of the messages with tags 1 to MESSAGES. */
enum { MESSAGES = 200 };
static int outcomes[MESSAGES + 1], reported, received, ended;

static void on_sent(fw_socket socket, uint64_t tag, fw_outcome outcome, void *user_data)
{
    (void)socket;
    CHECK(user_data == outcomes && tag >= 1 && tag <= MESSAGES && !ended);
    if (tag <= MESSAGES) {
        CHECK(outcomes[tag] == FW_OUTCOME_NONE);
        outcomes[tag] = (int)outcome;
    }
    reported++;
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)socket, (void)data, (void)len, (void)user_data;
    received++;
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)socket, (void)reason, (void)len, (void)user_data;
    CHECK(code == 1000);
    ended++;
}

static fw_message message_of(uint32_t lane, uint64_t tag, const void *data, size_t len)
{
    fw_message message;
    fw_message_init(&message, sizeof message);
    message.lane = lane;
    message.tag = tag;
    message.data = data;
    message.len = len;
    return message;
}

static fw_socket opened(const char *base)
{
    fw_socket socket = {0};
    OK(fw_socket_create(base, &socket));
    OK(fw_socket_open(socket));
    POLL_UNTIL(fw_socket_is_open(socket));
    return socket;
}

static void set_lanes(fw_socket socket)
{
    fw_lane lanes[3];
    for (uint32_t i = 0; i < 3; i++) {
        fw_lane_init(&lanes[i], sizeof lanes[i]);
        CHECK(lanes[i].struct_size == sizeof(fw_lane) && lanes[i].weight == 1 && lanes[i].max_bytes == 0);
        lanes[i].priority = i;
    }
    lanes[2].max_bytes = 1000;
    OK(fw_socket_set_lanes(socket, lanes, 3));
}

static void each_tag_is_reported_once(const char *base)
{
    fw_socket socket = opened(base);
    fw_lane_stats stats;
    uint64_t sent = 0, dropped = 0;

    set_lanes(socket);
    OK(fw_socket_on_sent(socket, on_sent, outcomes));
    OK(fw_socket_on_binary(socket, on_binary, NULL));
    OK(fw_socket_on_closed(socket, on_closed, NULL));
    for (uint64_t tag = 1; tag <= MESSAGES; tag++) {
        fw_message message = message_of(tag % 2, tag, &tag, sizeof tag);
        message.key = tag % 3;
        message.ttl_ms = tag % 5 == 0 ? UINT32_MAX : 0;
        OK(fw_socket_send(socket, &message));
        /* Never inside the call. */
        CHECK(reported == 0);
    }
    POLL_UNTIL(reported == MESSAGES);
    for (int tag = 1; tag <= MESSAGES; tag++) {
        sent += outcomes[tag] == FW_OUTCOME_SENT;
        dropped += outcomes[tag] == FW_OUTCOME_REPLACED;
    }
    CHECK(sent + dropped == MESSAGES && sent > 0);
    POLL_UNTIL(received == (int)sent);
    for (uint32_t lane = 0; lane < 2; lane++) {
        fw_lane_stats_init(&stats, sizeof stats);
        OK(fw_socket_lane_stats(socket, lane, &stats));
        CHECK(stats.waiting_messages == 0 && stats.waiting_bytes == 0 && stats.lost == 0);
        CHECK(stats.begun == stats.sent && stats.queue_time_max_us <= stats.queue_time_total_us);
        sent -= stats.sent;
        dropped -= stats.replaced;
    }
    CHECK(sent == 0 && dropped == 0);
    OK(fw_socket_close(socket, 1000, NULL));
    POLL_UNTIL(ended == 1);
    OK(fw_socket_destroy(socket));
}

static void events_carry_tag_and_outcome(const char *base)
{
    fw_socket socket = opened(base);
    fw_message message = message_of(0, UINT64_MAX, "x", 1);
    fw_event event;
    int found = 0, echoed = 0;

    OK(fw_socket_send(socket, &message));
    while ((!found || !echoed) && fw_wait(10000) && fw_next_event(&event)) {
        if (event.type == FW_EVENT_SENT) {
            CHECK(event.tag == UINT64_MAX && event.outcome == FW_OUTCOME_SENT && event.payload.count == 0);
            CHECK(strcmp(fw_event_type_name(event.type), "FW_EVENT_SENT") == 0);
            CHECK(strcmp(fw_outcome_name(event.outcome), "FW_OUTCOME_SENT") == 0);
            found++;
        } else {
            CHECK(event.tag == 0 && event.outcome == FW_OUTCOME_NONE);
            echoed += event.type == FW_EVENT_BINARY;
        }
        fw_event_release(&event);
    }
    CHECK(found == 1 && echoed == 1);
    OK(fw_socket_destroy(socket));
}

static void segments_are_consumed(const char *base)
{
    fw_socket socket = opened(base), none = {0};
    fw_message message = message_of(0, 0, NULL, 0);
    struct {
        fw_message known;
        uint64_t unknown;
    } newer = {0};

    OK(fw_buffer_get(100, &message.segment));
    message.segment.count = 50;
    OK(fw_socket_send(socket, &message));
    CHECK_RESULT(fw_segment_release(message.segment), FW_RESULT_INVALID_HANDLE);
    OK(fw_buffer_get(100, &message.segment));
    CHECK_RESULT(fw_socket_send(none, &message), FW_RESULT_INVALID_HANDLE);
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_HANDLE);
    OK(fw_buffer_get(100, &message.segment));
    message.lane = 7;
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_segment_release(message.segment), FW_RESULT_INVALID_HANDLE);
    /* A program that is newer than the library sets a field that the library does not know. */
    newer.known = message_of(0, 0, NULL, 0);
    newer.known.struct_size = sizeof newer;
    newer.unknown = 1;
    OK(fw_buffer_get(100, &newer.known.segment));
    CHECK_RESULT(fw_socket_send(socket, &newer.known), FW_RESULT_NOT_SUPPORTED);
    CHECK_RESULT(fw_segment_release(newer.known.segment), FW_RESULT_INVALID_HANDLE);
    OK(fw_socket_destroy(socket));
}

static void refusals(const char *base)
{
    fw_socket socket = {0};
    fw_message message = message_of(0, 0, "x", 1);
    fw_lane lanes[9];
    fw_lane_stats stats;

    OK(fw_socket_create(base, &socket));
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_STATE);
    CHECK_RESULT(fw_socket_send(socket, NULL), FW_RESULT_INVALID_ARGUMENT);
    message.opcode = (fw_opcode)9;
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_ARGUMENT);
    message = message_of(0, 0, NULL, 1);
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_ARGUMENT);
    message = message_of(0, 0, "x", 1);
    message.flags = 0x80;
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_ARGUMENT);
    message = message_of(0, 0, "\xFF", 1);
    message.opcode = FW_OPCODE_TEXT;
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_UTF8);
    message.struct_size = 3;
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_ARGUMENT);

    for (int i = 0; i < 9; i++)
        fw_lane_init(&lanes[i], sizeof lanes[i]);
    CHECK_RESULT(fw_socket_set_lanes(socket, lanes, 9), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_lanes(socket, lanes, SIZE_MAX), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_set_lanes(socket, NULL, 1), FW_RESULT_INVALID_ARGUMENT);
    lanes[1].weight = 0;
    CHECK_RESULT(fw_socket_set_lanes(socket, lanes, 2), FW_RESULT_INVALID_ARGUMENT);
    lanes[1].weight = 1001;
    CHECK_RESULT(fw_socket_set_lanes(socket, lanes, 2), FW_RESULT_INVALID_ARGUMENT);
    lanes[1].weight = 1;
    lanes[1].struct_size = 8;
    CHECK_RESULT(fw_socket_set_lanes(socket, lanes, 2), FW_RESULT_INVALID_ARGUMENT);
    lanes[0].priority = UINT32_MAX;
    OK(fw_socket_set_lanes(socket, lanes, 1));
    OK(fw_socket_set_lanes(socket, NULL, 0));
    fw_lane_stats_init(&stats, sizeof stats);
    OK(fw_socket_lane_stats(socket, 0, &stats));
    CHECK_RESULT(fw_socket_lane_stats(socket, 1, &stats), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_lane_stats(socket, 0, NULL), FW_RESULT_INVALID_ARGUMENT);
    CHECK(strcmp(fw_outcome_name((fw_outcome)77), "UNKNOWN") == 0);
    OK(fw_socket_destroy(socket));
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    each_tag_is_reported_once(argv[1]);
    events_carry_tag_and_outcome(argv[1]);
    segments_are_consumed(argv[1]);
    refusals(argv[1]);
    OK(fw_shutdown(10000));
    return check_report();
}
