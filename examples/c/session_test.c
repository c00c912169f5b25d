/*
 * Tests the networking of a game against a captured session, without its server.
 *
 *     framewire replay tests/captures/chat.pcapng --speed 0 --strict       (prints its URL)
 *     session_test URL
 *
 * The replay server sends what the recorded server sent, compressed and in fragments, with its pings and its end. With
 * --strict it fails if the game does something else than the recorded client.
 *
 * The game is a chat: it says something after each message, sends a picture, and leaves. Here only its calls are tested;
 * a real test compares what the player sees.
 */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The game under test. */

enum { LINES = 4 };

struct game {
    int texts, pictures;
    bool finished;
    uint16_t close_code;
    char welcome[64];
};

static void on_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    static const uint8_t picture[] = {0, 1, 2, 3, 0xFE, 0xFF};
    struct game *game = user_data;
    char line[128];
    if (game->texts++ == 0)
        snprintf(game->welcome, sizeof game->welcome, "%.*s", (int)len, text);
    if (game->texts > LINES) {
        fw_socket_send_binary(socket, picture, sizeof picture);
        return;
    }
    snprintf(line, sizeof line, "message %d of a player who says the same words again and again",
             game->texts);
    fw_socket_send_text(socket, line, strlen(line));
}

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)data;
    if (len == 3)
        ((struct game *)user_data)->pictures++;
    fw_socket_close(socket, 1000, "bye");
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    struct game *game = user_data;
    (void)socket, (void)reason, (void)len;
    game->close_code = code;
    game->finished = true;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket;
    fprintf(stderr, "%s\n", error->message);
    ((struct game *)user_data)->finished = true;
}

static void play(struct game *game, const char *url)
{
    fw_compression compression;
    fw_callbacks callbacks;
    fw_socket socket;
    if (fw_socket_create(url, &socket) != FW_RESULT_OK)
        return;
    fw_callbacks_init(&callbacks, sizeof callbacks);
    callbacks.text = on_text;
    callbacks.binary = on_binary;
    callbacks.closed = on_closed;
    callbacks.error = on_error;
    fw_socket_set_callbacks(socket, &callbacks, game);
    fw_socket_add_protocol(socket, "chat.v1");
    fw_compression_init(&compression, sizeof compression);
    compression.min_size_to_compress = 0;
    fw_socket_set_compression(socket, &compression);
    fw_socket_open(socket);
    while (!game->finished) {
        fw_wait(16); /* a game renders a frame instead */
        fw_poll(0, 1000);
    }
    fw_socket_destroy(socket);
}

/* The test. */

#define CHECK(condition) ((condition) ? (void)0 : (printf("FAILED: %s\n", #condition), (void)failures++))

int main(int argc, char **argv)
{
    static struct game game;
    int failures = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: %s URL\n", argv[0]);
        return 2;
    }
    play(&game, argv[1]);
    CHECK(strncmp(game.welcome, "welcome", 7) == 0);
    CHECK(game.texts == 1 + LINES);
    CHECK(game.pictures == 1);
    CHECK(game.close_code == 1000);
    CHECK(fw_shutdown(2000) == FW_RESULT_OK);
    printf("%d failures\n", failures);
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
