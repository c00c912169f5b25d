/*
 * Synchronizes the state of four players, 60 times a second, beside a bulk transfer on the same socket.
 *
 *     state_sync [OPTION...] ws://127.0.0.1:9001/
 *     state_sync [OPTION...] wss://localhost:9002/ ca.pem      (trusts this CA in addition to the default roots)
 *
 *     --no-lanes     sends everything through one queue, for comparison
 *     --link         simulates a network: 120 ms there and back, jitter, stalls, 1 MB/s
 *     --rate N       simulates a network that takes N bytes per second from this side
 *     --http2        uses HTTP/2
 *     --seconds N    how long it sends (default 5)
 *     --samples      prints when each state was sent and how long it took there and back
 *
 * The server echoes every message. With lanes, a state overtakes the bulk data, replaces the waiting state of its
 * player, which is outdated, and expires when it has waited for too long. The program prints the round trip times of
 * the states as the game sees them, and the rate of the bulk transfer.
 */

#include "framewire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PLAYERS = 4,
    FRAMES_PER_SECOND = 60,
    STATE_LANE = 0,
    BULK_LANE = 1,
    STATE_TTL_MS = 1000,
    /* WebSocket messages cannot be interleaved, so a state waits for the part that has begun: keep it small. */
    BULK_PART = 4096,
    /* How much of the bulk data the program keeps in the send queue. */
    BULK_AHEAD = 256 * 1024,
    MAX_SECONDS = 600,
    MAX_SAMPLES = MAX_SECONDS * FRAMES_PER_SECOND * PLAYERS
};

/* The state of a player, as it is sent. */
struct state {
    uint64_t player; /* 1 to PLAYERS */
    double sent;     /* seconds after the start */
    float position[3];
    float velocity[3];
};

struct sample {
    double sent, round_trip;
};

struct game {
    fw_socket socket;
    bool has_lanes, is_sending;
    double started;
    uint64_t states_sent, bulk_received;
    double last_bulk;
    size_t samples;
    struct sample sample[MAX_SAMPLES];
    bool finished, failed;
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
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

static void on_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    struct game *game = user_data;
    struct state state;
    double now = seconds() - game->started;
    (void)socket;
    if (len == BULK_PART) {
        game->bulk_received += len;
        game->last_bulk = now;
    } else if (len == sizeof state && game->samples < MAX_SAMPLES) {
        memcpy(&state, data, sizeof state);
        game->sample[game->samples].sent = state.sent;
        game->sample[game->samples++].round_trip = now - state.sent;
    }
}

static void on_closed(fw_socket socket, uint16_t code, const char *reason, size_t len, void *user_data)
{
    (void)socket, (void)code, (void)reason, (void)len;
    ((struct game *)user_data)->finished = true;
}

static void on_error(fw_socket socket, const fw_error *error, void *user_data)
{
    struct game *game = user_data;
    (void)socket;
    fprintf(stderr, "error: %s\n", error->message);
    game->finished = game->failed = true;
}

static void send_state(struct game *game, uint64_t player)
{
    struct state state = {0};
    fw_message message;
    state.player = player;
    state.sent = seconds() - game->started;
    fw_message_init(&message, sizeof message);
    message.data = &state;
    message.len = sizeof state;
    if (game->has_lanes) {
        message.lane = STATE_LANE;
        message.key = player; /* replaces the waiting state of this player */
        message.ttl_ms = STATE_TTL_MS;
        must(fw_socket_send(game->socket, &message));
    } else {
        must(fw_socket_send_binary(game->socket, &state, sizeof state));
    }
    game->states_sent++;
}

static void send_bulk(struct game *game)
{
    static uint8_t part[BULK_PART];
    fw_message message;
    fw_message_init(&message, sizeof message);
    message.data = part;
    message.len = sizeof part;
    message.lane = BULK_LANE;
    message.flags = FW_SEND_UNCOMPRESSED;
    while (fw_socket_buffered_amount(game->socket) < BULK_AHEAD) {
        if (game->has_lanes)
            must(fw_socket_send(game->socket, &message));
        else
            must(fw_socket_send_binary_with(game->socket, part, sizeof part, FW_SEND_UNCOMPRESSED));
    }
}

/* Runs callbacks until the next frame, as soon as there are events, and keeps the bulk transfer going. */
static void wait_for_frame(struct game *game, double at)
{
    for (double now = seconds(); now < at; now = seconds()) {
        fw_wait((uint32_t)((at - now) * 1000) + 1);
        fw_poll(0, 0);
        if (game->is_sending && !game->finished)
            send_bulk(game);
    }
}

static void set_lanes(fw_socket socket)
{
    fw_lane lanes[2];
    for (int lane = 0; lane < 2; lane++)
        fw_lane_init(&lanes[lane], sizeof lanes[lane]);
    lanes[STATE_LANE].priority = 0; /* first */
    lanes[BULK_LANE].priority = 1;  /* what is left */
    must(fw_socket_set_lanes(socket, lanes, 2));
}

static void simulate_network(fw_socket socket)
{
    fw_link link;
    fw_link_init(&link, sizeof link);
    link.seed = 1;
    link.out_delay_ms = link.in_delay_ms = 60;
    link.out_jitter_ms = link.in_jitter_ms = 5;
    link.out_bytes_per_s = link.in_bytes_per_s = 1000 * 1000;
    link.stall_every_ms = 5000;
    link.stall_ms = 300;
    must(fw_socket_set_link(socket, &link));
}

static void limit_rate(fw_socket socket, uint32_t bytes_per_second)
{
    fw_link link;
    fw_link_init(&link, sizeof link);
    link.out_bytes_per_s = bytes_per_second;
    must(fw_socket_set_link(socket, &link));
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
    must(fw_tls_destroy(tls));
}

static int by_round_trip(const void *one, const void *other)
{
    double a = ((const struct sample *)one)->round_trip, b = ((const struct sample *)other)->round_trip;
    return (a > b) - (a < b);
}

static double percentile(const struct game *game, double share)
{
    return game->samples ? game->sample[(size_t)((double)(game->samples - 1) * share)].round_trip * 1000 : 0;
}

static void print_results(struct game *game, bool with_samples)
{
    fw_lane_stats states;
    fw_lane_stats_init(&states, sizeof states);
    must(fw_socket_lane_stats(game->socket, STATE_LANE, &states));
    for (size_t at = 0; with_samples && at < game->samples; at++)
        printf("sample %.1f %.2f\n", game->sample[at].sent * 1000, game->sample[at].round_trip * 1000);
    qsort(game->sample, game->samples, sizeof *game->sample, by_round_trip);
    printf("states: %llu sent, %llu replaced, %llu expired; p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
           (unsigned long long)game->states_sent, (unsigned long long)states.replaced,
           (unsigned long long)states.expired, percentile(game, 0.5), percentile(game, 0.99),
           percentile(game, 1));
    printf("bulk: %.1f kB/s\n",
           game->last_bulk > 0 ? (double)game->bulk_received / game->last_bulk / 1000 : 0.0);
}

int main(int argc, char **argv)
{
    static struct game game;
    const char *url = NULL, *ca = NULL;
    bool with_samples = false, has_link = false, has_http2 = false;
    unsigned long rate = 0, duration = 5;

    game.has_lanes = true;
    for (int at = 1; at < argc; at++) {
        if (strcmp(argv[at], "--no-lanes") == 0)
            game.has_lanes = false;
        else if (strcmp(argv[at], "--link") == 0)
            has_link = true;
        else if (strcmp(argv[at], "--http2") == 0)
            has_http2 = true;
        else if (strcmp(argv[at], "--samples") == 0)
            with_samples = true;
        else if (strcmp(argv[at], "--rate") == 0 && at + 1 < argc)
            rate = strtoul(argv[++at], NULL, 10);
        else if (strcmp(argv[at], "--seconds") == 0 && at + 1 < argc)
            duration = strtoul(argv[++at], NULL, 10);
        else if (!url)
            url = argv[at];
        else
            ca = argv[at];
    }
    if (!url || duration > MAX_SECONDS) {
        fprintf(stderr, "usage: %s [OPTION...] URL [CA.pem]; the source lists the options\n", argv[0]);
        return 2;
    }
    must(fw_socket_create(url, &game.socket));
    must(fw_socket_on_binary(game.socket, on_binary, &game));
    must(fw_socket_on_closed(game.socket, on_closed, &game));
    must(fw_socket_on_error(game.socket, on_error, &game));
    must(fw_socket_set_close_timeout(game.socket, 60000)); /* the rest of the bulk data comes back first */
    if (ca)
        trust(game.socket, ca);
    if (has_http2)
        must(fw_socket_set_http_version(game.socket, FW_HTTP_2));
    if (game.has_lanes)
        set_lanes(game.socket);
    if (has_link)
        simulate_network(game.socket);
    else if (rate)
        limit_rate(game.socket, (uint32_t)rate);
    must(fw_socket_open(game.socket));
    while (!fw_socket_is_open(game.socket) && !game.finished)
        wait_for_frame(&game, seconds() + 0.001);

    game.started = seconds();
    game.is_sending = true;
    for (unsigned long frame = 0; frame < duration * FRAMES_PER_SECOND && !game.finished; frame++) {
        for (uint64_t player = 1; player <= PLAYERS; player++)
            send_state(&game, player);
        wait_for_frame(&game, game.started + (double)(frame + 1) / FRAMES_PER_SECOND);
    }
    game.is_sending = false;
    if (!game.finished)
        must(fw_socket_close(game.socket, 1000, "done"));
    while (!game.finished)
        wait_for_frame(&game, seconds() + 0.01);
    print_results(&game, with_samples);
    must(fw_socket_destroy(game.socket));
    must(fw_shutdown(2000));
    return game.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
