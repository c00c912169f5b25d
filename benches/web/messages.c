/* The same messages in a page by three ways: Framewire, emscripten's own WebSocket API, and JavaScript alone, which
 * never enters the program.
 *
 *     messages.js SERVER ROUNDS      URL of benches/c/server.c
 *
 * Prints `begin CASE WAY MESSAGES` and `end CASE WAY` around each measurement, with pauses, so that the reader of the
 * lines can take the processor time of the browser in between. All ways are driven by the frames of the page. */

#include "framewire.h"

#include <emscripten.h>
#include <emscripten/websocket.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a way reports: whether the connection is open, and what was received. */
static bool is_open;
static unsigned messages;
static double bytes;

static void received(const uint8_t *data, size_t len)
{
    /* A game reads its messages. */
    static volatile uint8_t seen;
    seen = data[len / 2];
    (void)seen;
    messages++;
    bytes += (double)len;
}

/* Framewire. */

static fw_socket fw;

static void fw_opened(fw_socket socket, void *user_data)
{
    (void)socket, (void)user_data;
    is_open = true;
}

static void fw_text(fw_socket socket, const char *text, size_t len, void *user_data)
{
    (void)socket, (void)user_data;
    received((const uint8_t *)text, len);
}

static void fw_binary(fw_socket socket, const uint8_t *data, size_t len, void *user_data)
{
    (void)socket, (void)user_data;
    received(data, len);
}

static void fw_failed(fw_socket socket, const fw_error *error, void *user_data)
{
    (void)socket, (void)user_data;
    printf("%s\n", error->message);
}

static void fw_begin(const char *url)
{
    fw_socket_create(url, &fw);
    fw_socket_on_open(fw, fw_opened, NULL);
    fw_socket_on_text(fw, fw_text, NULL);
    fw_socket_on_binary(fw, fw_binary, NULL);
    fw_socket_on_error(fw, fw_failed, NULL);
    fw_socket_open(fw);
}

static void fw_say(const char *text)
{
    fw_socket_send_text(fw, text, strlen(text));
}

static unsigned fw_send(const uint8_t *data, size_t len, unsigned most)
{
    unsigned sent = 0;
    while (sent < most && fw_socket_send_binary(fw, data, len) == FW_RESULT_OK)
        sent++;
    return sent;
}

static double fw_waiting(void)
{
    return (double)fw_socket_buffered_amount(fw);
}

static void fw_update(void)
{
    fw_poll(0, 0);
}

static void fw_finish(void)
{
    fw_socket_destroy(fw);
}

/* emscripten_websocket_*. */

static EMSCRIPTEN_WEBSOCKET_T em;

static EM_BOOL em_opened(int type, const EmscriptenWebSocketOpenEvent *event, void *user_data)
{
    (void)type, (void)event, (void)user_data;
    is_open = true;
    return EM_TRUE;
}

static EM_BOOL em_message(int type, const EmscriptenWebSocketMessageEvent *event, void *user_data)
{
    (void)type, (void)user_data;
    received(event->data, event->numBytes);
    return EM_TRUE;
}

static void em_begin(const char *url)
{
    EmscriptenWebSocketCreateAttributes attributes = {url, NULL, EM_TRUE};
    em = emscripten_websocket_new(&attributes);
    emscripten_websocket_set_onopen_callback(em, NULL, em_opened);
    emscripten_websocket_set_onmessage_callback(em, NULL, em_message);
}

static void em_say(const char *text)
{
    emscripten_websocket_send_utf8_text(em, text);
}

static unsigned em_send(const uint8_t *data, size_t len, unsigned most)
{
    unsigned sent = 0;
    while (sent < most &&
           emscripten_websocket_send_binary(em, (void *)data, len) == EMSCRIPTEN_RESULT_SUCCESS)
        sent++;
    return sent;
}

static double em_waiting(void)
{
    unsigned long long amount = 0;
    emscripten_websocket_get_buffered_amount(em, (void *)&amount);
    return (double)amount;
}

static void em_finish(void)
{
    emscripten_websocket_close(em, 1000, "");
    emscripten_websocket_delete(em);
}

/* JavaScript. */

EM_JS(void, js_begin, (const char *url), {
    var ws = new WebSocket(UTF8ToString(url));
    ws.binaryType = "arraybuffer";
    Module.bench = {ws : ws, messages : 0, bytes : 0, seen : 0};
    ws.onmessage = function(event)
    {
        var data = event.data;
        if (typeof data == "string") {
            Module.bench.bytes += data.length;
        } else {
            data = new Uint8Array(data);
            Module.bench.seen = data[data.length >> 1];
            Module.bench.bytes += data.length;
        }
        Module.bench.messages++;
    };
});

EM_JS(void, js_say, (const char *text), { Module.bench.ws.send(UTF8ToString(text)); });

EM_JS(unsigned, js_send, (const uint8_t *data, size_t len, unsigned most), {
    var message = HEAPU8.slice(data, data + len);
    for (var sent = 0; sent < most; sent++)
        Module.bench.ws.send(message);
    return most;
});

EM_JS(double, js_waiting, (void), { return Module.bench.ws.bufferedAmount; });
EM_JS(int, js_state, (void), { return Module.bench.ws.readyState; });
EM_JS(unsigned, js_messages, (void), { return Module.bench.messages; });
EM_JS(double, js_bytes, (void), { return Module.bench.bytes; });
EM_JS(void, js_finish, (void), { Module.bench.ws.close(1000); });

static void js_update(void)
{
    is_open = js_state() == 1;
    messages = js_messages();
    bytes = js_bytes();
}

static void nothing(void) {}

static const struct {
    const char *name;
    void (*begin)(const char *url);
    void (*say)(const char *text);
    /* Returns how many messages were accepted. */
    unsigned (*send)(const uint8_t *data, size_t len, unsigned most);
    double (*waiting)(void);
    void (*update)(void);
    void (*finish)(void);
} ways[] = {
    {"framewire", fw_begin, fw_say, fw_send, fw_waiting, fw_update, fw_finish},
    {"emscripten_websocket", em_begin, em_say, em_send, em_waiting, nothing, em_finish},
    {"javascript", js_begin, js_say, js_send, js_waiting, js_update, js_finish},
};

/* A flood may come within one frame, and the library keeps 64 MiB of unread messages (browsers have no backpressure). */
static const struct {
    const char *name;
    bool sends;
    size_t size;
    unsigned messages;
} cases[] = {
    {"recv-128", false, 128, 200000}, {"recv-1k", false, 1024, 100000}, {"recv-64k", false, 65536, 900},
    {"send-128", true, 128, 200000},  {"send-1k", true, 1024, 100000},  {"send-64k", true, 65536, 4000},
};

enum { WAYS = sizeof ways / sizeof ways[0], CASES = sizeof cases / sizeof cases[0] };

/* Frames before and after each measurement. */
#define PAUSE 20
/* Bytes that may wait in the browser. */
#define MOST_WAITING 4e6

static const char *server;
static int rounds;

static void fail(const char *what, unsigned case_at, unsigned way, unsigned sent)
{
    printf("%s %s: %s after %u messages sent, %u received\n", cases[case_at].name, ways[way].name, what, sent,
           messages);
    emscripten_cancel_main_loop();
}

static void frame(void)
{
    static enum { PAUSING, CONNECTING, RUNNING, RESTING } stage;
    static unsigned frames, measured, sent;
    static uint8_t payload[65536];
    unsigned way = measured % WAYS, at = measured / WAYS % CASES, size = cases[at].size;
    char text[64], url[256];

    if (frames++ > 6000)
        return fail("takes too long", at, way, sent);
    if (stage == CONNECTING || stage == RUNNING)
        ways[way].update();
    switch (stage) {
    case PAUSING:
        if (measured == (unsigned)rounds * WAYS * CASES) {
            printf("%u passed, 0 failed\n", measured);
            emscripten_cancel_main_loop();
            return;
        }
        if (frames == 1)
            printf("begin %s %s %u\n", cases[at].name, ways[way].name, cases[at].messages);
        if (frames < PAUSE)
            return;
        if (cases[at].sends)
            snprintf(url, sizeof url, "%s/sink", server);
        else
            snprintf(url, sizeof url, "%s/flood/%u", server, size);
        is_open = false;
        messages = sent = 0;
        bytes = 0;
        ways[way].begin(url);
        stage = CONNECTING;
        return;
    case CONNECTING:
        if (!is_open)
            return;
        snprintf(text, sizeof text, "%u", cases[at].messages);
        ways[way].say(text);
        stage = RUNNING;
        return;
    case RUNNING:
        if (!cases[at].sends) {
            if (messages < cases[at].messages)
                return;
            if (messages != cases[at].messages || bytes != (double)size * messages)
                return fail("received something else", at, way, sent);
        } else {
            double room = MOST_WAITING - ways[way].waiting();
            unsigned most = room > 0 ? (unsigned)(room / size) : 0;
            if (most > cases[at].messages - sent)
                most = cases[at].messages - sent;
            sent += ways[way].send(payload, size, most);
            /* The server reports that it has them all. */
            if (messages < 1)
                return;
            if (sent != cases[at].messages)
                return fail("the server counted something else", at, way, sent);
        }
        ways[way].finish();
        printf("end %s %s\n", cases[at].name, ways[way].name);
        stage = RESTING;
        frames = 0;
        return;
    case RESTING:
        if (frames < PAUSE)
            return;
        measured++;
        frames = 0;
        stage = PAUSING;
        return;
    }
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    server = argv[1];
    rounds = atoi(argv[2]);
    emscripten_set_main_loop(frame, 0, 1);
}
