/* Uses Framewire and another static library written in Rust in one program. The argument is the URL of an echo server. */

#include "check.h"

extern uint32_t other_result(void);

int main(int argc, char **argv)
{
    fw_socket socket;
    fw_event event;
    double start = check_seconds();
    int texts = 0;

    if (argc < 2)
        return EXIT_FAILURE;
    CHECK(other_result() == 42);
    CHECK_RESULT(fw_socket_create("ftp://host/", &socket), FW_RESULT_INVALID_URL);
    OK(fw_socket_create(argv[1], &socket));
    OK(fw_socket_open(socket));
    while (!texts && check_seconds() - start < 60) {
        fw_wait(100);
        while (fw_next_event(&event)) {
            if (event.type == FW_EVENT_OPEN)
                OK(fw_socket_send_text(socket, "hello", 5));
            texts += event.type == FW_EVENT_TEXT;
            fw_event_release(&event);
        }
    }
    CHECK(texts == 1);
    OK(fw_shutdown(5000));
    CHECK(other_result() == 42);
    return check_report();
}
