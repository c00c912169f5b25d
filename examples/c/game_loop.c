/*
 * Uses Framewire in a game loop: 60 frames per second, at most one millisecond of callbacks per frame.
 *
 *     game_loop ws://127.0.0.1:9001/
 *     game_loop wss://localhost:9002/ ca.pem      (trusts this CA in addition to the default roots)
 *
 * Runs in browsers too, where emscripten calls each frame.
 *
 * Sends a text message, a binary message and a segment without copying it, prints the echoes, and
 * closes the connection with a code and a reason.
 */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __EMSCRIPTEN__
#include <emscripten.h>
#endif

/* State shared by the callbacks and the loop. Callbacks run inside fw_poll, so no lock is needed. */
struct game {
    fw_socket socket;
    fw_state shown;
    int frame;
    int has_pings;
    int sent;
    int echoes;
    int finished;
    int failed;
};

static void on_open(fw_socket socket, void *user_data)
{
    char protocol[64];
    (void)user_data;
    fw_socket_protocol(socket, protocol, sizeof protocol);
    printf("open: HTTP/%u, subprotocol \"%s\"\n", (unsigned)fw_socket_http_version(socket), protocol);
}

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    struct game *game = user_data;
    (void)socket;
    printf("text: %.*s\n", (int)len, text);
    game->echoes++;
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    struct game *game = user_data;
    (void)socket;
    printf("binary: %zu bytes, the first is %d\n", len, len ? data[0] : -1);
    game->echoes++;
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    struct game *game = user_data;
    (void)socket;
    printf("closed: %d %.*s\n", code, (int)len, reason);
    game->finished = 1;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    struct game *game = user_data;
    (void)socket;
    printf("error: %s%s\n", error->message, error->retriable ? " (retriable)" : "");
    game->finished = game->failed = 1;
}

/* Exits if a call fails that only fails because of a bug in this program. */
static void must(fw_result result)
{
    if (result != FW_RESULT_OK) {
        char message[256];
        fw_last_error(message, sizeof message);
        fprintf(stderr, "%s: %s\n", fw_result_name(result), message);
        exit(EXIT_FAILURE);
    }
}

static void trust(fw_socket socket, const char *file_name)
{
    static char pem[65536];
    fw_tls tls;
    FILE *file = fopen(file_name, "rb");
    size_t len = file ? fread(pem, 1, sizeof pem, file) : 0;
    if (file)
        fclose(file);
    must(fw_tls_create(&tls));
    must(fw_tls_add_ca_pem(tls, pem, len));
    must(fw_socket_set_tls(socket, tls));
    must(fw_tls_destroy(tls)); /* the socket keeps its own reference */
}

static const char *state_name(fw_state state)
{
    static const char *const names[] = {"CONNECTING", "OPEN", "CLOSING", "CLOSED", "UNKNOWN"};
    return state <= FW_STATE_UNKNOWN ? names[state] : "?";
}

/* Runs one frame. Returns whether the game goes on. */
static bool run_frame(struct game *game)
{
    fw_socket socket = game->socket;

    fw_poll(0, 1000); /* runs queued callbacks for at most 1000 us */

    if (fw_socket_state(socket) != game->shown) {
        game->shown = fw_socket_state(socket);
        printf("frame %d: %s\n", game->frame, state_name(game->shown));
    }
    if (fw_socket_is_open(socket) && !game->sent) {
        uint8_t position[12] = {42};
        fw_segment segment;

        must(fw_socket_send_text(socket, "hello from the game", 19));
        must(fw_socket_send_binary(socket, position, sizeof position));
        /* Zero-copy send: write into a segment and pass its ownership to the library. */
        must(fw_buffer_get(100000, &segment));
        memset(segment.data + segment.offset, 7, segment.count);
        must(fw_socket_send_binary_segment(socket, segment));
        game->sent = 1;
        printf("frame %d: three messages queued, %zu bytes\n", game->frame,
               fw_socket_buffered_amount(socket));
    }
    if (game->echoes == 3 && (fw_socket_latency_us(socket) >= 0 || !game->has_pings)) {
        if (game->has_pings)
            printf("frame %d: latency %lld us\n", game->frame, (long long)fw_socket_latency_us(socket));
        must(fw_socket_close(socket, 4000, "game over"));
        game->echoes++;
    }
    game->frame++;
    return game->frame < 60 * 20 && !game->finished;
}

static int end(const struct game *game)
{
    fw_socket_destroy(game->socket);
    must(fw_shutdown(2000));
    printf("%s\n", game->finished && !game->failed ? "ok" : "failed");
    return game->finished && !game->failed ? EXIT_SUCCESS : EXIT_FAILURE;
}

#ifdef __EMSCRIPTEN__
static void run_frame_of_page(void *game)
{
    if (!run_frame(game)) {
        emscripten_cancel_main_loop();
        emscripten_force_exit(end(game));
    }
}
#endif

int main(int argc, char **argv)
{
    static struct game game;
    fw_socket socket;

    if (argc < 2) {
        fprintf(stderr, "usage: %s URL [CA.pem]\n", argv[0]);
        return 2;
    }
    must(fw_socket_create(argv[1], &socket));
    if (argc > 2)
        trust(socket, argv[2]);
    must(fw_socket_on_open(socket, on_open, &game));
    must(fw_socket_on_text(socket, on_text, &game));
    must(fw_socket_on_binary(socket, on_binary, &game));
    must(fw_socket_on_closed(socket, on_closed, &game));
    must(fw_socket_on_error(socket, on_error, &game));
    game.has_pings = (fw_capabilities() & FW_CAPABILITY_PING) != 0; /* not in browsers */
    if (game.has_pings) {
        must(fw_socket_set_start_ping_thread(socket, true)); /* detects a dead peer, measures latency */
        must(fw_socket_set_ping_frequency(socket, 100));
    }
    must(fw_socket_open(socket)); /* does not block */
    game.socket = socket;
    game.shown = FW_STATE_UNKNOWN;

#ifdef __EMSCRIPTEN__
    emscripten_set_main_loop_arg(run_frame_of_page, &game, 0, 1); /* does not return */
#else
    while (run_frame(&game)) {
        const struct timespec sixtieth = {0, 16666667};
        nanosleep(&sixtieth, NULL); /* a game renders a frame here */
    }
    return end(&game);
#endif
}
