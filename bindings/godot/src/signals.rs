//! The signals of `FramewireSocket` and `FramewireNode`, which have the same names and arguments.

use crate::gdextension::Name;
use crate::members::signals;

pub static OPENED: Name = Name::new("opened");
pub static TEXT_RECEIVED: Name = Name::new("text_received");
pub static BINARY_RECEIVED: Name = Name::new("binary_received");
pub static PACKETS_RECEIVED: Name = Name::new("packets_received");
pub static FRAGMENT_RECEIVED: Name = Name::new("fragment_received");
pub static PONG_RECEIVED: Name = Name::new("pong_received");
pub static SENT: Name = Name::new("sent");
pub static RECONNECTING: Name = Name::new("reconnecting");
pub static CLOSED: Name = Name::new("closed");
pub static FAILED: Name = Name::new("failed");
pub static LOGGED: Name = Name::new("logged");
pub static REQUEST_CREATED: Name = Name::new("request_created");

signals! {
    OF_SOCKET:
    /// Emitted when the connection is open and messages can be sent.
    OPENED();
    /// Emitted when a text message was received. A `String` ends before the first U+0000 of the text, and does not
    /// contain a byte order mark at its start; `get_packet()` returns all bytes.
    TEXT_RECEIVED(text: String);
    /// Emitted when a binary message was received.
    BINARY_RECEIVED(data: PackedByteArray);
    /// Emitted at the end of `poll()` with all messages that are queued for `get_packet()`: a
    /// `PackedByteArray` for each binary message and a `String` for each text message, as of `get_packets()`, in
    /// order. While anything is connected to this signal, messages without a signal of their own are delivered here.
    /// For many messages per frame, this is faster than a signal for each.
    PACKETS_RECEIVED(packets: Array);
    /// Emitted when a fragment of a message was received. While anything is connected to this signal,
    /// fragmented messages are not assembled: their fragments are delivered only here. Messages of one
    /// frame are delivered as usual.
    FRAGMENT_RECEIVED(data: PackedByteArray, is_text: Bool, is_first: Bool, is_final: Bool);
    /// Emitted when a pong was received, with the payload of the ping. Includes pongs of the heartbeat.
    PONG_RECEIVED(data: PackedByteArray);
    /// Emitted once for each message with a tag that `send_message()` has accepted, before `closed` or `failed`.
    /// `outcome` is one of the `OUTCOME_*` constants. If several messages have the same tag, each is reported.
    SENT(tag: Int, outcome: Int);
    /// Emitted when the connection failed and is retried in `delay` seconds; see `reconnect`. `attempt`
    /// counts consecutive retries from 1. `reason` is the error message. `close()` cancels the retry.
    RECONNECTING(attempt: Int, delay: Float, reason: String);
    /// Emitted when the connection ended with a closing handshake, or was closed by the script. `code` is
    /// the close code: 1005 if the server sent none, 1006 if the handshake was not completed.
    CLOSED(code: Int, reason: String);
    /// Emitted when connecting failed, the connection was lost, or the server violated the protocol.
    /// `phase` is the phase of the failure (`"resolve"`, `"connect"`, `"proxy"`, `"tls"`, `"upgrade"`,
    /// `"open"`, `"closing"`), `status` the HTTP status of a rejected upgrade or 0, `reason` the error
    /// message, and `retriable` whether a retry may succeed. See also `get_last_error()`.
    FAILED(phase: String, status: Int, reason: String, retriable: Bool);
    /// Emitted for each log line of this socket; see `set_log_level()`. `level` is one of the `LOG_*` constants, and
    /// `context` is what `set_context()` has set, as `key=value key=value`. Lines that belong to no socket, or to a
    /// connection that has ended, are emitted by the socket that polls next. Lines of a socket that connects nothing
    /// to this signal are discarded when it polls.
    LOGGED(level: Int, message: String, context: String);
    /// Emitted before each attempt to connect, also after redirects and before retries, while its request can be
    /// changed. `request` contains `url`, `http_version`, `attempt`, counted from 1, and `headers`, an empty
    /// dictionary. The handler adds header fields to it: `request.headers["Authorization"] = token`. A `null` removes
    /// a header field. The connection waits for `poll()` while anything is connected to this signal.
    REQUEST_CREATED(request: Dictionary);
}

signals! {
    OF_NODE:
    /// Emitted when the connection is open; see `FramewireSocket.opened`.
    OPENED();
    /// Emitted when a text message was received; see `FramewireSocket.text_received`.
    TEXT_RECEIVED(text: String);
    /// Emitted when a binary message was received; see `FramewireSocket.binary_received`.
    BINARY_RECEIVED(data: PackedByteArray);
    /// Emitted with all messages of one frame; see `FramewireSocket.packets_received`.
    PACKETS_RECEIVED(packets: Array);
    /// Emitted when a fragment was received; see `FramewireSocket.fragment_received`.
    FRAGMENT_RECEIVED(data: PackedByteArray, is_text: Bool, is_first: Bool, is_final: Bool);
    /// Emitted when a pong was received; see `FramewireSocket.pong_received`.
    PONG_RECEIVED(data: PackedByteArray);
    /// Emitted once for each message with a tag; see `FramewireSocket.sent`.
    SENT(tag: Int, outcome: Int);
    /// Emitted before a retry; see `FramewireSocket.reconnecting`.
    RECONNECTING(attempt: Int, delay: Float, reason: String);
    /// Emitted when the connection was closed; see `FramewireSocket.closed`.
    CLOSED(code: Int, reason: String);
    /// Emitted when the connection failed; see `FramewireSocket.failed`.
    FAILED(phase: String, status: Int, reason: String, retriable: Bool);
    /// Emitted for each log line; see `FramewireSocket.logged`.
    LOGGED(level: Int, message: String, context: String);
    /// Emitted before each attempt to connect; see `FramewireSocket.request_created`.
    REQUEST_CREATED(request: Dictionary);
}
