/* An extension that the program runs itself: reserved bits in flags and events. */

#include "check.h"

enum { RSV2 = 2, KEY = 0xA5 };

static fw_event next_of(fw_socket socket)
{
    fw_event event;
    memset(&event, 0, sizeof event);
    for (int tries = 0; tries < 1000 && !fw_socket_next_event(socket, &event); tries++)
        fw_wait(10);
    return event;
}

static void change(uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        data[i] ^= KEY;
}

static bool holds(const fw_event *event, const char *plain)
{
    uint8_t copy[64];
    if (event->payload.count > sizeof copy)
        return false;
    memcpy(copy, event->payload.data + event->payload.offset, event->payload.count);
    change(copy, event->payload.count);
    return event->payload.count == strlen(plain) && memcmp(copy, plain, event->payload.count) == 0;
}

static void echo(const char *url)
{
    fw_socket socket = {0};
    fw_event event;
    char accepted[64];
    uint8_t encoded[] = {'h', 'e', 'l', 'l', 'o'};
    fw_message message;

    change(encoded, sizeof encoded);
    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_compression(socket, NULL));
    OK(fw_socket_offer_extension(socket, "x-xor; key=165", RSV2));
    OK(fw_socket_open(socket));
    event = next_of(socket);
    CHECK(event.type == FW_EVENT_OPEN && event.rsv == 0);
    fw_event_release(&event);
    fw_socket_extensions(socket, accepted, sizeof accepted);
    CHECK(strcmp(accepted, "x-xor; key=165") == 0);

    OK(fw_socket_send_binary_with(socket, encoded, sizeof encoded, FW_SEND_RSV2));
    event = next_of(socket);
    CHECK(event.type == FW_EVENT_ENCODED && event.rsv == RSV2 && event.opcode == FW_OPCODE_BINARY);
    CHECK(event.is_first == 1 && event.is_final == 1 && holds(&event, "hello"));
    CHECK(strcmp(fw_event_type_name(event.type), "FW_EVENT_ENCODED") == 0);
    fw_event_release(&event);

    /* No UTF-8, which only a message without reserved bits must be. */
    OK(fw_socket_send_text_with(socket, (const char *)encoded, sizeof encoded,
                                (fw_send_flags)(FW_SEND_RSV2 | FW_SEND_UNCOMPRESSED)));
    CHECK_RESULT(fw_socket_send_text_with(socket, (const char *)encoded, sizeof encoded, FW_SEND_DEFAULT),
                 FW_RESULT_INVALID_UTF8);
    event = next_of(socket);
    CHECK(event.type == FW_EVENT_ENCODED && event.opcode == FW_OPCODE_TEXT && holds(&event, "hello"));
    fw_event_release(&event);

    fw_message_init(&message, sizeof message);
    message.flags = FW_SEND_RSV2;
    message.opcode = FW_OPCODE_TEXT;
    message.data = encoded;
    message.len = sizeof encoded;
    OK(fw_socket_send(socket, &message));
    event = next_of(socket);
    CHECK(event.type == FW_EVENT_ENCODED && event.rsv == RSV2 && holds(&event, "hello"));
    fw_event_release(&event);

    CHECK_RESULT(fw_socket_send_binary_with(socket, encoded, 1, FW_SEND_RSV3), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_send_binary_with(socket, encoded, 1, FW_SEND_RSV1), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_send_binary_with(socket, encoded, 1, (fw_send_flags)0x80),
                 FW_RESULT_INVALID_ARGUMENT);
    message.flags = FW_SEND_RSV1 | FW_SEND_RSV2;
    CHECK_RESULT(fw_socket_send(socket, &message), FW_RESULT_INVALID_ARGUMENT);
    CHECK_RESULT(fw_socket_offer_extension(socket, "x-late", 1), FW_RESULT_INVALID_STATE);
    OK(fw_socket_destroy(socket));
}

/* Without a callback for them, such messages are discarded by fw_poll. */
static void discarded(const char *url)
{
    fw_socket socket = {0};
    int closed = 0;

    OK(fw_socket_create(url, &socket));
    OK(fw_socket_set_compression(socket, NULL));
    OK(fw_socket_offer_extension(socket, "x-xor; key=1", RSV2));
    OK(fw_socket_open(socket));
    for (int tries = 0; tries < 1000 && !fw_socket_is_open(socket); tries++)
        fw_wait(10), fw_socket_poll(socket, 0, 0);
    OK(fw_socket_send_binary_with(socket, "abc", 3, FW_SEND_RSV2));
    OK(fw_socket_close(socket, 1000, ""));
    for (int tries = 0; tries < 1000 && !closed; tries++) {
        fw_wait(10);
        fw_socket_poll(socket, 0, 0);
        closed = fw_socket_state(socket) == FW_STATE_CLOSED;
    }
    CHECK(closed);
    OK(fw_socket_destroy(socket));
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    echo(argv[4]);
    discarded(argv[4]);
    OK(fw_shutdown(10000));
    return check_report();
}
