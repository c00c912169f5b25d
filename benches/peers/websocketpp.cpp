// websocketpp with Asio, on one thread. It has no callback for an empty queue, so messages are queued as
// soon as they are allowed. It calls std::random_device for every mask.

#include "../c/bench.h"

#include <map>
#include <random>
#include <websocketpp/client.hpp>
#include <websocketpp/config/asio_client.hpp>

using websocketpp::connection_hdl;

template <class Base> struct Config : Base {
    static const size_t connection_read_buffer_size = 64 * 1024;
    static const size_t max_message_size = 64 * 1024 * 1024;
};

template <class Endpoint> struct Client {
    Endpoint endpoint;
    typename Endpoint::connection_ptr first;

    void send(connection_hdl handle, bool text, const void *bytes, size_t len)
    {
        using namespace websocketpp::frame;
        endpoint.send(handle, bytes, len, text ? opcode::text : opcode::binary);
    }

    void send_allowed(connection_hdl handle)
    {
        while (bench.to_send) {
            bench.to_send = bench.to_send - 1;
            send(handle, false, bench_payload(), bench.size);
        }
    }

    void open_one()
    {
        websocketpp::lib::error_code error;
        auto connection = endpoint.get_connection(bench.url, error);
        if (error)
            throw std::runtime_error(error.message());
        endpoint.connect(connection);
    }

    void run();
};

static std::function<void(connection_hdl, bool, const void *, size_t)> sender;

void bench_send(void *connection, bool text, const void *bytes, size_t len)
{
    sender(*static_cast<connection_hdl *>(connection), text, bytes, len);
}

template <class Endpoint> void Client<Endpoint>::run()
{
    uint64_t opened = 0, begun = 0;
    sender = [this](connection_hdl handle, bool text, const void *bytes, size_t len) {
        send(handle, text, bytes, len);
    };
    endpoint.clear_access_channels(websocketpp::log::alevel::all);
    endpoint.clear_error_channels(websocketpp::log::elevel::all);
    endpoint.set_tcp_post_init_handler([this](connection_hdl handle) {
        endpoint.get_con_from_hdl(handle)->get_raw_socket().set_option(
            websocketpp::lib::asio::ip::tcp::no_delay(true));
    });
    endpoint.set_fail_handler([this](connection_hdl handle) {
        fprintf(stderr, "websocketpp: %s\n", endpoint.get_con_from_hdl(handle)->get_ec().message().c_str());
        exit(1);
    });
    endpoint.set_open_handler([&](connection_hdl handle) {
        opened++;
        if (bench.mode == MODE_CONNECT) {
            bench_keep(bench_now_ns() - begun);
            endpoint.close(handle, websocketpp::close::status::normal, "");
            return;
        }
        bench_opened(&handle);
        send_allowed(handle);
        if (bench.done)
            endpoint.stop();
        else if (opened < bench.connections)
            open_one();
    });
    endpoint.set_close_handler([&](connection_hdl) {
        if (bench.mode != MODE_CONNECT)
            return;
        if (opened == bench.count) {
            bench_end();
            endpoint.stop();
        } else {
            begun = bench_now_ns();
            open_one();
        }
    });
    endpoint.set_message_handler([this](connection_hdl handle, typename Endpoint::message_ptr message) {
        bench_message(&handle, message->get_payload().data(), message->get_payload().size());
        send_allowed(handle);
        if (bench.done)
            endpoint.stop();
    });
    bench_memory(false);
    if (bench.mode == MODE_CONNECT)
        bench_begin();
    begun = bench_now_ns();
    open_one();
    endpoint.run();
    bench_memory(true);
    bench_report();
    fflush(stdout);
    _exit(0);
}

int main(int argc, char **argv)
{
    bench_parse("websocketpp", argc, argv);
    if (bench.tls) {
        using Endpoint = websocketpp::client<Config<websocketpp::config::asio_tls_client>>;
        static Client<Endpoint> client;
        static auto context = std::make_shared<websocketpp::lib::asio::ssl::context>(
            websocketpp::lib::asio::ssl::context::tls_client);
        context->load_verify_file(bench.ca);
        context->set_verify_mode(websocketpp::lib::asio::ssl::verify_peer);
        client.endpoint.init_asio();
        client.endpoint.set_tls_init_handler([](connection_hdl) { return context; });
        client.run();
    } else {
        using Endpoint = websocketpp::client<Config<websocketpp::config::asio_client>>;
        static Client<Endpoint> client;
        client.endpoint.init_asio();
        client.run();
    }
    return 0;
}
