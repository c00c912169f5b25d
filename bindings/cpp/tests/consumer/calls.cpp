// Tests arguments and results: errors, bytes, settings, requests, pulled events, the log.
//
//     calls ws://127.0.0.1:9001/ ws://127.0.0.1:9003/      (the second supports the extension x-xor)

#include "check.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

using framewire::Code;
using framewire::Socket;
using framewire::SocketRef;

namespace {

std::string url, xor_url;

void failed_call_returns_code_and_message()
{
    const auto none = Socket::create("nonsense");
    CHECK(!none);
    CHECK(none.code() == Code::invalid_url);
    CHECK(none.error().name() == std::string("FW_RESULT_INVALID_URL"));
    CHECK(!none.error().message.empty());

    Socket socket = must(Socket::create(url));
    const framewire::Result<void> early = socket.send_text("before open");
    CHECK(!early && early.code() == Code::invalid_state && !early.error().message.empty());
    const framewire::Result<void> good = socket.set_origin("https://example.org");
    CHECK(good && good.code() == Code::ok && good.error().message.empty());
}

void text_with_nul_is_rejected()
{
    using namespace std::string_view_literals;
    CHECK(Socket::create("ws://127.0.0.1\0.example.org/"sv).code() == Code::invalid_argument);
    Socket socket = must(Socket::create(url));
    CHECK(socket.add_header("X-Game", "a\0b"sv).code() == Code::invalid_argument);
    CHECK(socket.close(1000, "bye\0now"sv).code() == Code::invalid_argument);
    // A view that does not end with a NUL.
    must(socket.add_protocol("chat.v1,chat.v2"sv.substr(0, 7)));
    CHECK(socket.add_protocol("chat.v1").code() == Code::invalid_argument);
}

void invalid_settings_are_rejected()
{
    using namespace std::chrono_literals;
    Socket socket = must(Socket::create(url));
    CHECK(socket.add_header("Host", "elsewhere").code() == Code::invalid_argument);
    CHECK(socket.add_header("X-Game", "a\r\nb").code() == Code::invalid_argument);
    must(socket.set_basic_auth("user", "password"));
    must(socket.set_bearer_auth("token"));
    must(socket.set_max_message_size(1 << 20));
    must(socket.set_max_fragment_size(1000));
    must(socket.set_max_buffered_amount(1 << 20));
    must(socket.set_connect_timeout(2s));
    must(socket.set_close_timeout(2s));
    must(socket.set_ping_frequency(50ms));
    must(socket.set_close_after_no_message(5s));
    must(socket.set_start_ping_thread(false));
    must(socket.set_context("match", "7"));
    CHECK(socket.set_connect_timeout(0ms).code() == Code::invalid_argument);
    CHECK(socket.set_connect_timeout(-5s).code() == Code::invalid_argument);
    must(socket.set_connect_timeout(std::chrono::milliseconds::max()));

    CHECK(socket.set_proxy("ftp://proxy.example").code() == Code::invalid_url);
    must(socket.set_proxy("socks5h://bob:secret@proxy.example:1080"));
    must(socket.set_proxy(""));
    must(socket.set_proxy_from_environment());
    must(socket.set_max_redirects(5));
    framewire::Reconnect reconnect;
    CHECK(reconnect.struct_size == sizeof(fw_reconnect) && reconnect.enabled &&
          reconnect.min_delay_ms == 250);
    reconnect.max_delay_ms = 249;
    CHECK(socket.set_reconnect(reconnect).code() == Code::invalid_argument);
    reconnect.max_delay_ms = 250;
    must(socket.set_reconnect(reconnect));
    must(socket.set_no_reconnect());
    must(socket.on_reconnecting([](framewire::SocketRef, const framewire::ConnectionError &, std::uint32_t,
                                   std::chrono::milliseconds) {}));
    must(framewire::suspend());
    must(framewire::network_changed());
    must(framewire::resume());
    CHECK(framewire::android_init(nullptr, nullptr).code() == Code::invalid_argument);
    CHECK(!framewire::has_capability(framewire::Capability::android));
    CHECK(framewire::android_init(&reconnect, &reconnect).code() == Code::not_supported);
    must(socket.set_cookies(true));

    framewire::Compression compression;
    CHECK(compression.struct_size == sizeof(fw_compression) && compression.min_size_to_compress == 256);
    compression.client_max_window_bits = 3;
    CHECK(socket.set_compression(compression).code() == Code::invalid_argument);
    compression.client_max_window_bits = 10;
    must(socket.set_compression(compression));
    must(socket.set_no_compression());

    framewire::Tls tls = must(framewire::Tls::create());
    CHECK(tls.add_ca_pem("nothing usable").code() == Code::invalid_argument);
    CHECK(tls.set_client_cert_pem("nothing", "usable").code() == Code::invalid_argument);
    must(tls.add_pin_sha256(std::array<std::uint8_t, 32>{}));
    must(tls.set_roots(framewire::Roots::none));
    must(tls.set_insecure(false));
    must(tls.set_key_log(false));
    framewire::Tls moved = std::move(tls);
    must(socket.set_tls(moved));
    moved.destroy();
    CHECK(socket.set_tls(moved).code() == Code::invalid_handle);
}

void bytes_view_any_byte_container()
{
    std::vector<std::uint8_t> vector{1, 2, 3};
    const std::array<std::byte, 2> array{std::byte{4}, std::byte{5}};
    const unsigned char raw[] = {6, 7, 8, 9};
    CHECK(framewire::Bytes(vector).size() == 3 && framewire::Bytes(vector)[2] == 3);
    CHECK(framewire::Bytes(array).size() == 2 && framewire::Bytes(array)[1] == 5);
    CHECK(framewire::Bytes(raw).size() == 4 && framewire::Bytes(raw)[0] == 6);
    CHECK(framewire::Bytes(std::string_view("ab")).size() == 2);
    CHECK(framewire::Bytes().empty());
    const framewire::WritableBytes writable(vector);
    writable[0] = 10;
    int sum = 0;
    for (const std::uint8_t byte : framewire::Bytes(vector))
        sum += byte;
    CHECK(sum == 15);
}

void each_segment_owns_one_reference()
{
    const std::uint64_t before = framewire::buffer_pool_stats().leases;
    {
        framewire::Buffer buffer = must(framewire::Buffer::get(3));
        buffer.writable()[0] = 'a';
        buffer.shrink(1);
        const framewire::Segment again = must(buffer.retain());
        CHECK(again.text() == "a" && buffer.bytes().data() == again.bytes().data());
        framewire::Segment moved = std::move(buffer);
        CHECK(moved && moved.text() == "a");
        moved.release();
        CHECK(!moved && moved.bytes().empty());
        CHECK(moved.retain().code() == Code::invalid_handle);
        CHECK(again.text() == "a");
    }
    CHECK(framewire::buffer_pool_stats().leases == before);
    CHECK(framewire::Buffer::get(std::size_t{1} << 40).code() == Code::too_large);
    framewire::buffer_pool_trim();
}

void upgrade_request_can_be_modified()
{
    Socket socket = must(Socket::create(url));
    bool called = false;
    must(socket.add_header("X-Game", "chess"));
    must(socket.on_internal_request_created([&](SocketRef self, framewire::Request request) {
        CHECK(request.attempt() == 1 && request.http_version() == 1);
        CHECK(request.url() == self.url());
        CHECK(request.header("x-game") == "chess");
        must(request.set_header("X-Game", "go"));
        CHECK(request.header("X-Game") == "go");
        CHECK(request.header(std::string_view("X-Game\0X", 8)).empty()); // Not truncated at the NUL.
        must(request.remove_header("X-Game"));
        CHECK(request.header("X-Game").empty());
        const std::string longer(1000, 'l');
        must(request.add_header("X-Long", longer));
        CHECK(request.header("X-Long") == longer);
        CHECK(request.add_header("Upgrade", "h2c").code() == Code::invalid_argument);
        called = true;
    }));
    must(socket.open());
    poll_until("open", [&] { return socket.is_open(); });
    CHECK(called);
    CHECK(socket.http_version() == 1 && socket.response_status() == 101);
    CHECK(!socket.response_header("Sec-WebSocket-Accept").empty());
    CHECK(socket.response_header("X-Not-There").empty() && socket.response_body().empty());
    // Not truncated at the NUL.
    CHECK(socket.response_header(std::string_view("Sec-WebSocket-Accept\0X", 22)).empty());
    CHECK(socket.protocol().empty());
    const struct {
        std::uint32_t id;
        float position[2];
    } state{7, {1, 2}};
    const framewire::Bytes bytes = framewire::bytes_of(state);
    CHECK(static_cast<const void *>(bytes.data()) == &state && bytes.size() == 12);
    must(socket.send_binary(bytes));
    bool has_accept = false;
    for (const auto &[name, value] : socket.response_headers()) {
        CHECK(value == socket.response_header(name));
        has_accept = has_accept || name == "Sec-WebSocket-Accept" || name == "sec-websocket-accept";
    }
    CHECK(has_accept);
}

void failed_connection_reports_kind_phase_and_address()
{
    Socket socket = must(Socket::create("ws://127.0.0.1:1/"));
    bool failed = false;
    must(socket.on_error([&](SocketRef, const framewire::ConnectionError &error) {
        CHECK(error.kind == framewire::ErrorKind::refused);
        CHECK(error.phase == framewire::Phase::connect);
        CHECK(error.retriable && error.os_code != 0);
        CHECK(error.message.find("127.0.0.1") != std::string_view::npos);
        failed = true;
    }));
    must(socket.open());
    poll_until("the error", [&] { return failed; });
}

void fragments_are_delivered_one_by_one()
{
    Socket socket = must(Socket::create(url + "fragments?n=3&size=1000"));
    std::string order;
    must(socket.on_binary([](SocketRef, framewire::Bytes) { CHECK(false); }));
    must(socket.on_incomplete_frame([&](SocketRef, const framewire::Frame &frame) {
        CHECK(frame.opcode == framewire::Opcode::binary);
        CHECK(frame.payload.bytes().size() == 1000 && frame.payload.bytes()[0] == order.size());
        order += frame.is_first ? 'f' : frame.is_final ? 'l' : 'm';
    }));
    must(socket.open());
    poll_until("the last fragment", [&] { return order.size() == 3; });
    CHECK(order == "fml");
}

/// The reserved bit of messages encoded by x-xor.
constexpr std::uint32_t rsv2 = 2;

/// XORs every byte in both directions.
class Xor : public framewire::Extension {
public:
    Xor(std::atomic<int> &changed, std::atomic<bool> &destroyed)
        : Extension(rsv2), changed_(changed), destroyed_(destroyed)
    {
    }
    ~Xor() override { destroyed_ = true; }

    std::string add_negotiation() override { return "x-xor; key=90"; }
    bool parse_negotiation(std::string_view element) override { return element == add_negotiation(); }
    bool encode(const framewire::ExtensionFrame &frame, framewire::Bytes data,
                framewire::Buffer &out) override
    {
        CHECK(frame.opcode == framewire::Opcode::text && frame.is_first && frame.is_final);
        return apply(data, out);
    }
    bool decode(const framewire::ExtensionFrame &frame, framewire::Bytes data,
                framewire::Buffer &out) override
    {
        CHECK(frame.rsv == rsv());
        return apply(data, out);
    }

private:
    bool apply(framewire::Bytes data, framewire::Buffer &out)
    {
        out = must(framewire::Buffer::get(data.size()));
        std::transform(data.begin(), data.end(), out.writable().begin(),
                       [](std::uint8_t byte) { return static_cast<std::uint8_t>(byte ^ 90); });
        changed_++;
        return true;
    }

    std::atomic<int> &changed_;
    std::atomic<bool> &destroyed_;
};

void extension_transforms_messages_and_is_destroyed_with_its_socket()
{
    std::atomic<int> changed{0};
    std::atomic<bool> destroyed{false};
    Socket socket = must(Socket::create(xor_url));
    CHECK(socket.add_extension(nullptr).code() == Code::invalid_argument);
    must(socket.add_extension(std::make_unique<Xor>(changed, destroyed)));
    bool echoed = false;
    must(socket.on_error([](SocketRef, const framewire::ConnectionError &error) {
        std::fprintf(stderr, "%s\n", error.message.data());
        std::exit(EXIT_FAILURE);
    }));
    must(socket.on_open([](SocketRef self) { must(self.send_text("round trip")); }));
    must(socket.on_text([&](SocketRef, std::string_view text) { echoed = text == "round trip"; }));
    must(socket.open());
    poll_until("the echo", [&] { return echoed; });
    CHECK(socket.extensions().find("x-xor") == 0);
    CHECK(changed == 2 && !destroyed);

    // A rejected extension is destroyed at once.
    std::atomic<bool> rejected_destroyed{false};
    CHECK(socket.add_extension(std::make_unique<Xor>(changed, rejected_destroyed)).code() ==
          Code::invalid_state);
    CHECK(rejected_destroyed);
    must(socket.destroy());
    poll_until("the extension is destroyed", [&] { return destroyed.load(); });
}

void extension_can_be_run_by_the_program()
{
    Socket socket = must(Socket::create(xor_url));
    CHECK(socket.offer_extension("not valid;;", 2).code() == Code::invalid_argument);
    must(socket.set_no_compression());
    must(socket.offer_extension("x-xor; key=255", 2));
    must(socket.open());
    const std::uint8_t encoded[] = {0xFF, 0xFE, 0xFD};
    bool is_done = false;
    while (!is_done) {
        auto event = socket.next_event();
        if (!event) {
            CHECK(framewire::wait(std::chrono::minutes(1)));
            continue;
        }
        switch (event->type()) {
        case framewire::EventType::open:
            must(socket.send_binary(framewire::Bytes(encoded, sizeof encoded), framewire::SendFlags::rsv2));
            break;
        case framewire::EventType::encoded:
            CHECK(event->rsv() == 2 && event->opcode() == framewire::Opcode::binary);
            CHECK(event->payload().bytes().size() == sizeof encoded);
            CHECK(std::equal(encoded, encoded + sizeof encoded, event->payload().bytes().begin()));
            is_done = true;
            break;
        default:
            CHECK(false);
        }
    }
}

void events_can_be_pulled()
{
    Socket socket = must(Socket::create(url));
    int mark = 0;
    must(socket.set_user_data(&mark));
    CHECK(socket.user_data() == &mark);
    must(socket.enable_event(framewire::EventType::request));
    must(socket.open());
    std::string order;
    while (order.find('c') == std::string::npos) {
        CHECK(framewire::wait(std::chrono::minutes(1)));
        auto taken = framewire::next_event();
        if (!taken)
            continue;
        framewire::Event event = std::move(*taken);
        CHECK(event.socket() == socket.ref() && event.user_data() == &mark);
        switch (event.type()) {
        case framewire::EventType::request:
            order += 'r';
            must(event.request().add_header("X-Pulled", "1"));
            break;
        case framewire::EventType::open:
            order += 'o';
            must(socket.send_text("pull"));
            break;
        case framewire::EventType::text:
            order += 't';
            CHECK(event.payload().text() == "pull" && event.opcode() == framewire::Opcode::text);
            CHECK(event.is_first() && event.is_final());
            must(socket.close(4001, "pulled"));
            break;
        case framewire::EventType::closed:
            order += 'c';
            CHECK(event.close_code() == 4001 && event.payload().text() == "pulled");
            break;
        default:
            CHECK(false);
        }
    }
    CHECK(order == "rotc");
    CHECK(!socket.next_event() && framewire::pending() == 0);
}

void payload_lives_as_long_as_its_event()
{
    Socket socket = must(Socket::create(url));
    must(socket.open());
    std::vector<framewire::Event> events;
    std::vector<framewire::SegmentRef> payloads;
    while (payloads.size() < 3) {
        CHECK(framewire::wait(std::chrono::minutes(1)));
        std::optional<framewire::Event> event = framewire::next_event();
        if (!event)
            continue;
        if (event->type() == framewire::EventType::open)
            for (const char *text : {"one", "two", "three"})
                must(socket.send_text(text));
        if (event->type() == framewire::EventType::text) {
            payloads.push_back(event->payload());
            // Moved, also when the vector grows.
            events.push_back(std::move(*event));
        }
    }
    CHECK(payloads[0].text() == "one" && payloads[1].text() == "two" && payloads[2].text() == "three");
    CHECK(must(payloads[0].retain()).text() == "one");
}

void constants_have_names()
{
    CHECK(framewire::name(framewire::State::open) == std::string("FW_STATE_OPEN"));
    CHECK(framewire::name(framewire::Phase::tls) == std::string("FW_PHASE_TLS"));
    CHECK(framewire::name(framewire::ErrorKind::refused) == std::string("FW_ERROR_KIND_REFUSED"));
    CHECK(framewire::name(framewire::EventType::closed) == std::string("FW_EVENT_CLOSED"));
    CHECK(framewire::name(static_cast<framewire::State>(77)) == std::string("UNKNOWN"));
    CHECK(FW_VERSION_STRING == std::string(framewire::version_string()));
}

void send_flags_combine()
{
    constexpr fw_send_flags both = FW_SEND_DEFAULT | FW_SEND_UNCOMPRESSED;
    static_assert(both == FW_SEND_UNCOMPRESSED && (both & FW_SEND_DEFAULT) == FW_SEND_DEFAULT, "as in C");
    fw_send_flags flags = FW_SEND_DEFAULT;
    flags |= FW_SEND_UNCOMPRESSED;
    CHECK(flags == both);
    using framewire::SendFlags;
    CHECK((SendFlags::none | SendFlags::uncompressed) == SendFlags::uncompressed);
}

void text_segment_can_be_retained()
{
    Socket socket = must(Socket::create(url));
    framewire::Segment retained;
    must(socket.on_open([](SocketRef self) { must(self.send_text("retain me")); }));
    must(socket.on_text_segment([&](SocketRef self, framewire::SegmentRef text) {
        retained = must(text.retain());
        must(self.close());
    }));
    must(socket.open());
    while (socket.state() != framewire::State::closed || framewire::pending() > 0)
        framewire::wait(std::chrono::seconds(1)), framewire::poll();
    CHECK(retained.text() == "retain me");
}

void several_events_can_be_dequeued_at_once()
{
    Socket socket = must(Socket::create(url));
    framewire::Events events(4), none(0);
    CHECK(events.empty() && none.take() == 0 && none.begin() == none.end());
    must(socket.open());
    std::string received;
    bool closed = false;
    while (!closed) {
        CHECK(framewire::wait(std::chrono::minutes(1)));
        CHECK((received.empty() ? events.take() : events.take(socket.ref())) == events.size() &&
              events.size() <= 4);
        for (const framewire::EventView &event : events) {
            CHECK(event.socket() == socket.ref());
            if (event.type() == framewire::EventType::open)
                for (const char *text : {"1", "2", "3", "4", "5", "6"})
                    must(socket.send_text(text));
            if (event.type() == framewire::EventType::text)
                received += event.payload().text();
            if (received.size() == 6 && socket.is_open())
                must(socket.close());
            closed = closed || event.type() == framewire::EventType::closed;
        }
    }
    CHECK(received == "123456");
    events.release();
    CHECK(events.empty() && framewire::pending() == 0);
}

void negative_budget_delivers_one_event()
{
    Socket socket = must(Socket::create(url));
    std::size_t texts = 0;
    bool sent = false;
    must(socket.on_open([&](SocketRef self) {
        for (int count = 0; count < 100; count++)
            must(self.send_text("x"));
        sent = true;
    }));
    // Each callback takes longer than the smallest budget.
    must(socket.on_text([&](SocketRef, std::string_view) {
        texts++;
        const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
        while (std::chrono::steady_clock::now() < end) {
        }
    }));
    must(socket.open());
    poll_until("the texts are sent", [&] { return sent; });
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (texts + framewire::pending() < 100)
        CHECK(std::chrono::steady_clock::now() < end);
    CHECK(framewire::pending() > 1);
    texts = 0;
    CHECK(socket.poll(0, std::chrono::microseconds(-1)) == 1);
    CHECK(texts == 1);
}

void messages_with_tags_are_reported()
{
    Socket socket = must(Socket::create(url));
    must(socket.set_lanes({framewire::Lane(0), framewire::Lane(1, 10, 1 << 20)}));
    std::map<std::uint64_t, framewire::Outcome> outcomes;
    std::size_t texts = 0;
    must(socket.on_sent([&](SocketRef, std::uint64_t tag, framewire::Outcome outcome) {
        CHECK(outcomes.emplace(tag, outcome).second);
    }));
    must(socket.on_text([&](SocketRef, std::string_view) { texts++; }));
    must(socket.open());
    poll_until("open", [&] { return socket.is_open(); });
    for (std::uint64_t tag = 1; tag <= 50; tag++) {
        framewire::SendOptions options;
        options.lane = 1;
        options.key = 7;
        options.tag = tag;
        options.time_to_live = std::chrono::minutes(1);
        must(socket.send_text("update", options));
    }
    poll_until("the outcomes", [&] { return outcomes.size() == 50; });
    const framewire::LaneStats stats = must(socket.lane_stats(1));
    CHECK(outcomes.at(50) == framewire::Outcome::sent && stats.sent + stats.replaced == 50);
    poll_until("the texts", [&] { return texts == stats.sent; });
    framewire::Buffer buffer = must(framewire::Buffer::get(8));
    must(socket.send_binary_segment(std::move(buffer), framewire::SendOptions{}));
    CHECK(socket.send_binary_segment(std::move(buffer), {}).code() == Code::invalid_handle);
    framewire::SendOptions options;
    options.lane = 2;
    CHECK(socket.send_binary({}, options).code() == Code::invalid_argument);
    CHECK(socket.lane_stats(2).code() == Code::invalid_argument);
    CHECK(std::string_view(framewire::name(framewire::Outcome::lost)) == "FW_OUTCOME_LOST");
}

void negative_time_to_live_expires_at_once()
{
    Socket socket = must(Socket::create(url));
    std::map<std::uint64_t, framewire::Outcome> outcomes;
    must(socket.on_sent(
        [&](SocketRef, std::uint64_t tag, framewire::Outcome outcome) { outcomes.emplace(tag, outcome); }));
    must(socket.set_no_compression());
    must(socket.open());
    poll_until("open", [&] { return socket.is_open(); });
    framewire::Link stalled;
    stalled.set_cut(framewire::LinkCut::stall);
    must(socket.set_link(stalled));
    // More than the network takes.
    must(socket.send_binary(std::vector<char>(16u << 20)));
    framewire::SendOptions options;
    options.tag = 1;
    must(socket.send_text("never expires", options));
    options.tag = 2;
    options.time_to_live = std::chrono::milliseconds(-10);
    must(socket.send_text("has expired", options));
    poll_until("the outcome", [&] { return outcomes.size() == 1; });
    CHECK(outcomes.at(2) == framewire::Outcome::expired);
}

void handles_can_be_constant()
{
    Socket socket = must(Socket::create(url));
    bool is_open = false;
    must(socket.on_internal_request_created(
        [](SocketRef, const framewire::Request &request) { must(request.add_header("X-Constant", "1")); }));
    must(socket.on_open([&](const SocketRef &self) {
        must(self.send_text("sent"));
        is_open = true;
    }));
    const SocketRef handle = socket.ref();
    const auto open = [handle] { must(handle.open()); };
    open();
    poll_until("open", [&] { return is_open; });
}

void link_delays_and_cuts()
{
    framewire::Link link;
    CHECK(link.struct_size == sizeof(fw_link) && link.cut == FW_LINK_CUT_NONE);
    CHECK(framewire::has_capability(framewire::Capability::link));
    Socket socket = must(Socket::create(url));
    bool echoed = false, failed = false;
    must(socket.on_text([&](SocketRef, std::string_view) { echoed = true; }));
    must(socket.on_error([&](SocketRef, const framewire::ConnectionError &error) {
        CHECK(error.kind == framewire::ErrorKind::reset);
        failed = true;
    }));
    link.out_delay_ms = 20;
    link.in_delay_ms = 10;
    must(socket.set_link(link));
    auto begin = std::chrono::steady_clock::now();
    must(socket.open());
    poll_until("open", [&] { return socket.is_open(); });
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(60));
    begin = std::chrono::steady_clock::now();
    must(socket.send_text("delayed"));
    poll_until("the echo", [&] { return echoed; });
    CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(30));
    link.stall_ms = 5;
    CHECK(socket.set_link(link).code() == Code::invalid_argument);
    CHECK(framewire::set_link(link).code() == Code::invalid_argument);
    must(socket.set_no_link());
    framewire::Link cut;
    cut.set_cut(framewire::LinkCut::reset);
    must(framewire::set_link(cut));
    must(framewire::set_no_link());
    poll_until("the reset", [&] { return failed; });
}

void traffic_is_captured_to_a_file()
{
    framewire::Capture options;
    CHECK(options.struct_size == sizeof(fw_capture) && options.include_secrets == 0 &&
          options.max_file_bytes == 0);
    CHECK(framewire::has_capability(framewire::Capability::capture));
    const std::string path = (std::filesystem::temp_directory_path() / "framewire-calls.pcapng").string();
    std::filesystem::remove(path);
    Socket socket = must(Socket::create(url));
    CHECK(socket.set_capture("").code() == Code::invalid_argument);
    CHECK(framewire::set_capture(std::string_view("a\0b", 3)).code() == Code::invalid_argument);
    must(socket.set_capture(path, options));
    bool echoed = false;
    must(socket.on_text([&](SocketRef, std::string_view) { echoed = true; }));
    must(socket.open());
    poll_until("open", [&] { return socket.is_open(); });
    must(socket.send_text("captured"));
    poll_until("the echo", [&] { return echoed; });
    must(socket.end_capture());
    poll_until("the end of the file", [&] {
        std::error_code error;
        const auto size = std::filesystem::file_size(path, error);
        return !error && size > 500;
    });
    must(framewire::set_capture(path, options));
    must(framewire::end_capture());
    std::filesystem::remove(path);
}

void pings_measure_latency()
{
    Socket socket = must(Socket::create(url));
    must(socket.set_start_ping_thread(true));
    must(socket.set_ping_frequency(std::chrono::milliseconds(10)));
    CHECK(!socket.latency());
    CHECK(!socket.last_message_received());
    must(socket.open());
    poll_until("a latency", [&] { return socket.latency().has_value(); });
    CHECK(*socket.latency() < std::chrono::minutes(1));
}

void log_callback_receives_lines_with_context()
{
    std::mutex mutex;
    std::vector<std::string> contexts;
    must(framewire::set_log(
        framewire::LogLevel::debug,
        [&](framewire::LogLevel, SocketRef, std::string_view context, std::string_view message) {
            const std::lock_guard<std::mutex> lock(mutex);
            CHECK(!message.empty());
            contexts.emplace_back(context);
        }));
    Socket socket = must(Socket::create(url));
    must(socket.set_context("match", "42"));
    must(socket.open());
    poll_until("open", [&] { return socket.is_open(); });
    must(socket.destroy_when_sent(std::chrono::seconds(5)));
    CHECK(socket.destroy().code() == framewire::Code::invalid_handle);
    // After shutdown no thread logs, so contexts can be read without the lock.
    must(framewire::shutdown(std::chrono::seconds(5)));
    must(framewire::set_log(framewire::LogLevel::off, nullptr));
    bool found = false;
    for (const std::string &context : contexts)
        found = found || context.find("match=42") != std::string::npos;
    CHECK(found);
}

void queued_log_has_lines_with_context()
{
    must(framewire::queue_log(framewire::LogLevel::debug));
    Socket socket = must(Socket::create(url));
    must(socket.set_context("match", "43"));
    must(socket.open());
    poll_until("open", [&] { return socket.is_open(); });
    bool found = false;
    while (const std::optional<framewire::LogLine> line = framewire::next_log()) {
        CHECK(!line->message.empty() && line->level != framewire::LogLevel::off);
        found = found || (line->socket == socket && line->context == "match=43");
    }
    CHECK(found);
    must(framewire::queue_log(framewire::LogLevel::off));
    CHECK(!framewire::next_log());
}

void library_can_be_configured_once()
{
    must(framewire::shutdown(std::chrono::seconds(5)));
    framewire::Config config;
    CHECK(config.struct_size == sizeof(fw_config));
    config.worker_threads = 2;
    must(framewire::init(config));
    CHECK(framewire::init(config).code() == Code::invalid_state);
    CHECK(framewire::has_capability(framewire::Capability::headers) &&
          framewire::has_capability(framewire::Capability::wait));
    CHECK(framewire::version() == FW_VERSION && framewire::version_string().substr(0, 2) == "0.");
}

} // namespace

int main(int argc, char **argv)
{
    CHECK(argc > 2);
    url = argv[1];
    xor_url = argv[2];
    library_can_be_configured_once();
    failed_call_returns_code_and_message();
    text_with_nul_is_rejected();
    invalid_settings_are_rejected();
    bytes_view_any_byte_container();
    each_segment_owns_one_reference();
    upgrade_request_can_be_modified();
    failed_connection_reports_kind_phase_and_address();
    fragments_are_delivered_one_by_one();
    extension_transforms_messages_and_is_destroyed_with_its_socket();
    extension_can_be_run_by_the_program();
    events_can_be_pulled();
    payload_lives_as_long_as_its_event();
    constants_have_names();
    send_flags_combine();
    text_segment_can_be_retained();
    several_events_can_be_dequeued_at_once();
    negative_budget_delivers_one_event();
    messages_with_tags_are_reported();
    negative_time_to_live_expires_at_once();
    handles_can_be_constant();
    link_delays_and_cuts();
    traffic_is_captured_to_a_file();
    pings_measure_latency();
    queued_log_has_lines_with_context();
    log_callback_receives_lines_with_context();
    must(framewire::shutdown(std::chrono::seconds(5)));
    std::puts("ok");
}
