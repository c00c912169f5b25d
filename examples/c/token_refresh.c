/*
 * Reconnects with exponential backoff, and refreshes the access token when the server rejects it.
 *
 *     token_refresh ws://127.0.0.1:9001/token
 *
 * The library retries failures that may be temporary. A rejected token is none: the retry ends with an error that has
 * the HTTP status 401. The program then gets a new token and opens the socket again.
 *
 * At the message "expire", the test server drops the connection and rejects the token from then on.
 */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_REFRESHES = 5 };

struct session {
    char authorization[64];
    int refreshes, connections;
    bool finished, succeeded;
};

/* A game asks its login server here, over HTTPS. */
static void refresh_token(struct session *session)
{
    session->refreshes++;
    snprintf(session->authorization, sizeof session->authorization, "Bearer c-%lld-%d", (long long)time(NULL),
             session->refreshes);
}

/* Runs before each connection attempt, also before retries. */
static void on_request(fw_socket socket, fw_request request, void *user_data)
{
    struct session *session = user_data;
    (void)socket;
    fw_request_set_header(request, "Authorization", session->authorization);
}

static void on_open(fw_socket socket, void *user_data)
{
    struct session *session = user_data;
    const char *message = ++session->connections == 1 ? "expire" : "hello";
    printf("open, token %d\n", session->refreshes);
    fw_socket_send_text(socket, message, strlen(message));
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    (void)user_data;
    printf("text: %.*s\n", (int)len, text);
    fw_socket_close(socket, 1000, "done");
}

static void on_reconnecting(fw_socket socket, const fw_error *error, uint32_t attempt, uint32_t delay_ms,
                            void *user_data)
{
    (void)socket, (void)user_data;
    printf("retry %u in %u ms: %s\n", (unsigned)attempt, (unsigned)delay_ms, error->message);
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    struct session *session = user_data;
    printf("error: %s\n", error->message);
    if (error->http_status == 401 && session->refreshes < MAX_REFRESHES) {
        refresh_token(session);
        fw_socket_open(socket); /* allowed inside the terminal callback */
    } else {
        session->finished = true;
    }
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    struct session *session = user_data;
    (void)socket, (void)reason, (void)len;
    session->finished = true;
    session->succeeded = code == 1000 && session->connections == 2 && session->refreshes == 2;
}

int main(int argc, char **argv)
{
    static struct session session;
    fw_callbacks callbacks;
    fw_reconnect reconnect;
    fw_socket socket;

    if (argc < 2 || fw_socket_create(argv[1], &socket) != FW_RESULT_OK) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    fw_callbacks_init(&callbacks, sizeof callbacks);
    callbacks.internal_request_created = on_request;
    callbacks.open = on_open;
    callbacks.text = on_text;
    callbacks.reconnecting = on_reconnecting;
    callbacks.closed = on_closed;
    callbacks.error = on_error;
    fw_socket_set_callbacks(socket, &callbacks, &session);
    fw_reconnect_init(&reconnect, sizeof reconnect); /* enabled, with the default delays */
    reconnect.max_delay_ms = 5000;
    fw_socket_set_reconnect(socket, &reconnect);
    refresh_token(&session);
    fw_socket_open(socket);
    while (!session.finished) {
        fw_wait(16); /* a game renders a frame instead */
        fw_poll(0, 1000);
    }
    fw_socket_destroy(socket);
    fw_shutdown(2000);
    return session.succeeded ? EXIT_SUCCESS : EXIT_FAILURE;
}
