/* Sends "hello" to an echo server and prints the echo: hello ws://127.0.0.1:9001/ */
#include "framewire.h"
#include <stdio.h>

int main(int argc, char **argv)
{
    fw_socket socket;
    fw_event event;
    int echoed = 0, finished = 0;
    if (fw_socket_create(argc > 1 ? argv[1] : "ws://127.0.0.1:9001/", &socket) != FW_RESULT_OK)
        return 2;           /* fw_last_error says why */
    fw_socket_open(socket); /* returns at once */
    while (!finished) {
        fw_wait(16); /* a game renders a frame instead */
        while (!finished && fw_next_event(&event)) {
            if (event.type == FW_EVENT_OPEN)
                fw_socket_send_text(socket, "hello", 5);
            if (event.type == FW_EVENT_TEXT) {
                echoed = printf("%.*s\n", (int)event.payload.count,
                                (char *)event.payload.data + event.payload.offset);
                fw_socket_close(socket, 1000, "done");
            }
            if (event.type == FW_EVENT_ERROR)
                fprintf(stderr, "%s\n", event.error.message); /* what failed, and where */
            finished = event.type == FW_EVENT_CLOSED || event.type == FW_EVENT_ERROR;
            fw_event_release(&event);
        }
    }
    return fw_shutdown(2000) == FW_RESULT_OK && echoed ? 0 : 1;
}
