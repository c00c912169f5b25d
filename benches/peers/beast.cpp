// Boost.Beast: blocking with one connection, asynchronous in mode game. Tuned for speed: messages are sent
// as one frame, through a write buffer of 64 KiB.

#include "../c/bench.h"

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <iostream>
#include <memory>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;

static asio::io_context io(1);
static asio::ssl::context tls(asio::ssl::context::tls_client);

struct Connection {
    virtual ~Connection() {}
    virtual void write(bool text, const void *bytes, size_t len) = 0;
    virtual void read_once() = 0;
    virtual void read_for_ever() = 0;
};

template <class Stream> struct Of : Connection {
    websocket::stream<Stream> stream;
    beast::flat_buffer buffer;

    template <class... More> explicit Of(More &...more) : stream(io, more...) {}

    void upgrade()
    {
        beast::get_lowest_layer(stream).set_option(tcp::no_delay(true));
        stream.auto_fragment(false);
        stream.write_buffer_bytes(64 * 1024);
        stream.read_message_max(0);
        stream.handshake(std::string(bench.host) + ":" + bench.port, bench.path);
    }

    void write(bool text, const void *bytes, size_t len) override
    {
        stream.text(text);
        stream.write(asio::buffer(bytes, len));
    }

    void show()
    {
        bench_message(this, buffer.data().data(), buffer.size());
        buffer.consume(buffer.size());
    }

    void read_once() override
    {
        stream.read(buffer);
        show();
    }

    void read_for_ever() override
    {
        stream.async_read(buffer, [this](beast::error_code error, size_t) {
            if (error)
                throw beast::system_error(error);
            show();
            if (bench.done)
                io.stop();
            else
                read_for_ever();
        });
    }
};

void bench_send(void *connection, bool text, const void *bytes, size_t len)
{
    static_cast<Connection *>(connection)->write(text, bytes, len);
}

static std::unique_ptr<Connection> open_one()
{
    auto addresses = tcp::resolver(io).resolve(bench.host, bench.port);
    if (!bench.tls) {
        auto connection = std::make_unique<Of<tcp::socket>>();
        asio::connect(connection->stream.next_layer(), addresses);
        connection->upgrade();
        return connection;
    }
    auto connection = std::make_unique<Of<asio::ssl::stream<tcp::socket>>>(tls);
    asio::connect(beast::get_lowest_layer(connection->stream), addresses);
    SSL_set_tlsext_host_name(connection->stream.next_layer().native_handle(), bench.host);
    connection->stream.next_layer().handshake(asio::ssl::stream_base::client);
    connection->upgrade();
    return connection;
}

static void follow(Connection &connection)
{
    bench_opened(&connection);
    while (!bench.done) {
        while (bench.to_send) {
            bench.to_send = bench.to_send - 1;
            connection.write(false, bench_payload(), bench.size);
        }
        connection.read_once();
    }
}

int main(int argc, char **argv)
{
    std::vector<std::unique_ptr<Connection>> connections;
    bench_parse("beast", argc, argv);
    if (bench.tls) {
        tls.load_verify_file(bench.ca);
        tls.set_verify_mode(asio::ssl::verify_peer);
    }
    bench_memory(false);
    if (bench.mode == MODE_CONNECT) {
        bench_begin();
        for (uint64_t i = 0; i < bench.count; i++) {
            uint64_t begun = bench_now_ns();
            open_one();
            bench_keep(bench_now_ns() - begun);
        }
        bench_end();
    } else {
        for (uint64_t i = 0; i < bench.connections; i++)
            connections.push_back(open_one());
        if (bench.mode == MODE_GAME) {
            for (auto &connection : connections) {
                bench_opened(connection.get());
                connection->read_for_ever();
            }
            io.run();
        } else if (bench.mode != MODE_IDLE) {
            follow(*connections[0]);
        }
    }
    bench_memory(true);
    bench_report();
    return 0;
}
