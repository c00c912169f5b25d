/*
 * Takes events from the event queue instead of using callbacks: for languages and runtimes that
 * native code must not call into.
 *
 *     pull_events ws://127.0.0.1:9001/
 */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    fw_socket socket;
    fw_event event;
    int running = 1, succeeded = 0;

    if (argc < 2 || fw_socket_create(argv[1], &socket) != FW_RESULT_OK) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    fw_socket_open(socket);
    while (running && fw_wait(10000)) { /* a game calls fw_next_event once per frame instead */
        while (running && fw_next_event(&event)) {
            const char *payload = (const char *)event.payload.data + event.payload.offset;
            int len = (int)event.payload.count;

            switch (event.type) {
            case FW_EVENT_OPEN:
                printf("open\n");
                fw_socket_send_text(event.socket, "pulled", 6);
                break;
            case FW_EVENT_TEXT:
                printf("text: %.*s\n", len, payload);
                fw_socket_close(event.socket, 0, NULL);
                break;
            case FW_EVENT_CLOSED:
                printf("closed: %d %.*s\n", event.close_code, len, payload);
                succeeded = 1;
                running = 0;
                break;
            case FW_EVENT_ERROR:
                printf("error: %s\n", event.error.message);
                running = 0;
                break;
            default: /* later versions may add event types */
                break;
            }
            fw_event_release(&event); /* the payload is invalid from here on */
        }
    }
    fw_socket_destroy(socket);
    fw_shutdown(2000);
    return succeeded ? EXIT_SUCCESS : EXIT_FAILURE;
}
