// Boost.Beast, synchronous, with tuned buffers.
//
//     beast URL receive|send COUNT MESSAGES-FILE

#include "bench.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <iostream>
#include <string>

namespace beast = boost::beast;
namespace asio = boost::asio;

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    const std::string url = argv[1]; // ws://127.0.0.1:PORT/PATH
    const bool sends = std::string(argv[2]) == "send";
    const long count = std::strtol(argv[3], nullptr, 10);
    const messages texts = read_messages(argv[4]);
    const auto authority = url.substr(5, url.find('/', 5) - 5);
    const auto colon = authority.find(':');

    asio::io_context context;
    beast::websocket::stream<asio::ip::tcp::socket> socket(context);
    asio::ip::tcp::endpoint peer(asio::ip::make_address(authority.substr(0, colon)),
                                 static_cast<unsigned short>(std::stoi(authority.substr(colon + 1))));
    socket.next_layer().connect(peer);
    socket.next_layer().set_option(asio::ip::tcp::no_delay(true));
    beast::websocket::permessage_deflate deflate;
    deflate.client_enable = true;
    // zlib's defaults, like the other clients; Beast's are 8 and 4.
    deflate.compLevel = 6;
    deflate.memLevel = 8;
    socket.set_option(deflate);
    socket.auto_fragment(false);
    socket.write_buffer_bytes(1 << 16);
    socket.text(true);
    socket.handshake(authority, url.substr(url.find('/', 5)));

    const clock_pair begun = read_clocks();
    beast::flat_buffer buffer(1 << 17);
    if (sends) {
        for (long n = 0; n < count; n++)
            socket.write(asio::buffer(texts.at[n % long(texts.count)], texts.size));
        socket.read(buffer);
        std::cerr << beast::make_printable(buffer.data()) << " bytes\n";
    } else {
        for (long n = 0; n < count; n++) {
            socket.read(buffer);
            if (buffer.size() != texts.size || *static_cast<const char *>(buffer.data().data()) != '{')
                return 1;
            buffer.clear();
        }
    }
    print_since(begun);
    return 0;
}
