//! The class `FramewireMultiplayerPeer`: Godot's high-level multiplayer over a socket, as a client.
//!
//! The wire format is that of `WebSocketMultiplayerPeer`: the first message of the server is the ID of this client, four
//! bytes, little-endian. All other messages are packets, unchanged. Relaying is done by `SceneMultiplayer`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use framewire::CallError;

use crate::gdextension::class::create_counted;
use crate::gdextension::{
    self, Base, Class, CurrentPacket, GodotError, Members, Method, Name, Nullable, PackedByteArray,
    PacketPeer, Parameter, Preset, Property, TlsOptionsArgument, Variant, VariantType, Virtual,
};
use crate::members::{argument, method, methods, properties, query};
use crate::node::SocketClass;
use crate::polling;
use crate::settings::Settings;
use crate::socket::{CLOSED, CONNECTING as SOCKET_CONNECTING, FramewireSocket, OPEN};

/// Of `MultiplayerPeer`.
const DISCONNECTED: i64 = 0;
const CONNECTING: i64 = 1;
const CONNECTED: i64 = 2;
const TRANSFER_MODE_RELIABLE: i64 = 2;
const SERVER: i64 = 1;

/// Signals of `MultiplayerPeer`.
static PEER_CONNECTED: Name = Name::new("peer_connected");
static PEER_DISCONNECTED: Name = Name::new("peer_disconnected");

methods! {
    METHODS:
    /// Starts connecting to a server that uses `WebSocketMultiplayerPeer`, and returns immediately. Returns the
    /// errors of `FramewireSocket.connect_to_url()`, to which the arguments are passed, and `ERR_ALREADY_IN_USE` if
    /// the peer is not disconnected.
    method create_client(url, tls_client_options = Preset::Null) => FramewireMultiplayerPeer::create_client;

    /// Returns why the peer was disconnected: the error of the connection, or what was wrong with the ID from the
    /// server. Empty if it was not, or if the game has called `close()`. Read it in the handlers of
    /// `MultiplayerAPI.connection_failed` and `MultiplayerAPI.server_disconnected`.
    query get_disconnect_reason() => FramewireMultiplayerPeer::get_disconnect_reason;
}

properties! {
    FramewireMultiplayerPeer:
    /// The subprotocols to offer; see `FramewireSocket.supported_protocols`.
    supported_protocols: Vec<String>;
    /// Header fields to add to the upgrade request; see `FramewireSocket.handshake_headers`.
    handshake_headers: Vec<String>;
    /// The maximum number of bytes of unread packets; see `FramewireSocket.inbound_buffer_size`.
    inbound_buffer_size: i64;
    /// The maximum number of bytes queued for sending; see `FramewireSocket.outbound_buffer_size`.
    outbound_buffer_size: i64, set set_outbound_buffer_size(size);
    /// The maximum number of unread packets; see `FramewireSocket.max_queued_packets`.
    max_queued_packets: i64;
}

const OWN: &[Property] = &[
    Property {
        name: "handshake_timeout",
        doc: "The timeout in seconds from `create_client()` until the ID from the server is received.",
        parameter: Parameter::of(VariantType::Float),
        getter: "get_handshake_timeout",
        setter: "set_handshake_timeout",
    },
    Property {
        name: "socket",
        doc: "The socket of this peer. Change its other settings before `create_client()`. The peer polls it and reads its
packets: connect none of its signals of messages, and do not call `poll()`, `get_packet()` or `get_packets()`.",
        parameter: Parameter::object(FramewireSocket::NAME),
        getter: "get_socket",
        setter: "",
    },
];

const OWN_ACCESSORS: &[Method] = &[
    Method::new("get_handshake_timeout", query, FramewireMultiplayerPeer::get_handshake_timeout, &[], ""),
    Method::new(
        "set_handshake_timeout",
        method,
        FramewireMultiplayerPeer::set_handshake_timeout,
        &[argument!(timeout)],
        "",
    ),
    Method::new("get_socket", query, FramewireMultiplayerPeer::get_socket, &[], ""),
];

pub struct FramewireMultiplayerPeer {
    base: Base,
    /// Keeps the object of the socket alive.
    object: gdextension::Reference,
    socket: Arc<FramewireSocket>,
    /// Never locked while Godot may run code of scripts.
    state: Mutex<PeerState>,
    current_packet: CurrentPacket,
}

struct PeerState {
    status: i64,
    unique_id: i64,
    started: Instant,
    handshake_timeout: f64,
    disconnect_reason: String,
    transfer_channel: i64,
    transfer_mode: i64,
    refuses_connections: bool,
}

impl Default for PeerState {
    fn default() -> Self {
        Self {
            status: DISCONNECTED,
            unique_id: 0,
            started: Instant::now(),
            handshake_timeout: 3.0,
            disconnect_reason: String::new(),
            transfer_channel: 0,
            transfer_mode: TRANSFER_MODE_RELIABLE,
            refuses_connections: false,
        }
    }
}

impl Class for FramewireMultiplayerPeer {
    const NAME: &'static str = "FramewireMultiplayerPeer";
    const PARENT: &'static str = "MultiplayerPeerExtension";
    const IS_RUNTIME: bool = false;
    const MEMBERS: &'static Members = &Members {
        doc: DOC,
        methods: &[METHODS, ACCESSORS, OWN_ACCESSORS],
        virtuals: VIRTUALS,
        properties: &[PROPERTIES, OWN],
        signals: &[],
        constants: &[],
    };

    fn new(base: Base) -> Self {
        let (object, socket) = create_counted::<FramewireSocket>();
        Self { base, object, socket, state: Mutex::default(), current_packet: CurrentPacket::default() }
    }

    fn base(&self) -> &Base {
        &self.base
    }
}

/// The methods that Godot requires of a peer.
const VIRTUALS: &[Virtual] = &[
    Virtual::get_packet::<FramewireMultiplayerPeer>(),
    Virtual::put_packet::<FramewireMultiplayerPeer>(),
    Virtual::new("_get_available_packet_count", FramewireMultiplayerPeer::available_packets),
    Virtual::new("_get_max_packet_size", |peer: &FramewireMultiplayerPeer| {
        peer.settings(|settings| settings.outbound_buffer_size)
    }),
    Virtual::new("_get_packet_channel", |_: &FramewireMultiplayerPeer| 0_i64),
    Virtual::new("_get_packet_mode", |_: &FramewireMultiplayerPeer| TRANSFER_MODE_RELIABLE),
    Virtual::new("_get_packet_peer", |_: &FramewireMultiplayerPeer| SERVER),
    Virtual::new("_set_transfer_channel", |peer: &FramewireMultiplayerPeer, channel: i64| {
        peer.state(|state| state.transfer_channel = channel)
    }),
    Virtual::new("_get_transfer_channel", |peer: &FramewireMultiplayerPeer| {
        peer.state(|state| state.transfer_channel)
    }),
    Virtual::new("_set_transfer_mode", |peer: &FramewireMultiplayerPeer, mode: i64| {
        peer.state(|state| state.transfer_mode = mode)
    }),
    Virtual::new("_get_transfer_mode", |peer: &FramewireMultiplayerPeer| {
        peer.state(|state| state.transfer_mode)
    }),
    // A client sends everything to the server: `SceneMultiplayer` says in the packet to whom it is relayed.
    Virtual::new("_set_target_peer", |_: &FramewireMultiplayerPeer, _peer: i64| ()),
    Virtual::new("_is_server", |_: &FramewireMultiplayerPeer| false),
    Virtual::new("_is_server_relay_supported", |_: &FramewireMultiplayerPeer| true),
    Virtual::new("_set_refuse_new_connections", |peer: &FramewireMultiplayerPeer, refuse: bool| {
        peer.state(|state| state.refuses_connections = refuse)
    }),
    Virtual::new("_is_refusing_new_connections", |peer: &FramewireMultiplayerPeer| {
        peer.state(|state| state.refuses_connections)
    }),
    Virtual::new("_poll", FramewireMultiplayerPeer::poll),
    Virtual::new("_close", FramewireMultiplayerPeer::close),
    Virtual::new("_disconnect_peer", FramewireMultiplayerPeer::disconnect_peer),
    Virtual::new("_get_unique_id", |peer: &FramewireMultiplayerPeer| peer.state(|state| state.unique_id)),
    Virtual::new("_get_connection_status", |peer: &FramewireMultiplayerPeer| peer.status()),
];

impl PacketPeer for FramewireMultiplayerPeer {
    fn put_packet(&self, packet: &[u8]) -> GodotError {
        if self.status() != CONNECTED {
            return GodotError::ERR_UNCONFIGURED;
        }
        let sent = self.socket.state().with_socket(|socket| socket.send_binary(packet));
        self.socket.report("send", sent)
    }

    fn get_packet(&self) -> Result<PackedByteArray, GodotError> {
        if self.status() != CONNECTED {
            return Err(GodotError::ERR_UNCONFIGURED);
        }
        self.socket.state().connection.packets.pop().ok_or(GodotError::ERR_UNAVAILABLE)
    }

    fn current_packet(&self) -> &CurrentPacket {
        &self.current_packet
    }
}

impl FramewireMultiplayerPeer {
    fn state<T>(&self, access: impl FnOnce(&mut PeerState) -> T) -> T {
        access(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn settings<T>(&self, access: impl FnOnce(&mut Settings) -> T) -> T {
        self.socket.settings(access)
    }

    fn status(&self) -> i64 {
        self.state(|state| state.status)
    }

    fn create_client(&self, url: String, options: TlsOptionsArgument) -> GodotError {
        if self.status() != DISCONNECTED {
            return GodotError::ERR_ALREADY_IN_USE;
        }
        if self.settings(|settings| settings.reconnect) {
            let message = "a peer cannot reconnect, because the server gives every connection a new ID: disable reconnect, and \
                           create a new client when the peer is disconnected";
            return self.socket.report("create_client", Err(CallError::argument(message)));
        }
        let connected = self.socket.connect_to_url(url, options);
        if connected == GodotError::OK {
            self.state(|state| {
                state.status = CONNECTING;
                state.unique_id = 0;
                state.started = Instant::now();
                state.disconnect_reason.clear();
            });
        }
        connected
    }

    fn get_disconnect_reason(&self) -> String {
        self.state(|state| state.disconnect_reason.clone())
    }

    fn get_handshake_timeout(&self) -> f64 {
        self.state(|state| state.handshake_timeout)
    }

    fn set_handshake_timeout(&self, timeout: f64) {
        if timeout > 0.0 {
            self.state(|state| state.handshake_timeout = timeout);
        } else {
            gdextension::error("FramewireMultiplayerPeer.handshake_timeout must be greater than 0");
        }
    }

    fn set_outbound_buffer_size(&self, size: i64) {
        self.socket.set_outbound_buffer_size(size);
    }

    fn get_socket(&self) -> Nullable<SocketClass> {
        Some(self.object.clone()).into()
    }

    fn available_packets(&self) -> i64 {
        if self.status() != CONNECTED {
            return 0;
        }
        i64::try_from(self.socket.packet_count()).unwrap_or(i64::MAX)
    }

    /// Handlers of the socket's signals may call anything, so the status is read again after they have run.
    fn poll(&self) {
        if self.status() == DISCONNECTED {
            return;
        }
        polling::poll(&self.socket, 0);
        match self.status() {
            CONNECTING => self.poll_handshake(),
            CONNECTED if self.socket.get_ready_state() == CLOSED => {
                let reason = self.end_of_connection();
                self.state(|state| state.disconnect_reason = reason);
                // As Godot's own peer does, before the status changes.
                self.emit(&PEER_DISCONNECTED);
                if self.status() == CONNECTED {
                    self.state(|state| (state.status, state.unique_id) = (DISCONNECTED, 0));
                }
            }
            _ => {}
        }
    }

    fn poll_handshake(&self) {
        let (socket_state, first) = {
            let mut state = self.socket.state();
            let connection = &mut state.connection;
            let first = if connection.state == OPEN { connection.packets.pop() } else { None };
            (connection.state, first.map(|packet| (packet, connection.packets.was_text)))
        };
        let (started, timeout) = self.state(|state| (state.started, state.handshake_timeout));
        if let Some((packet, is_text)) = first {
            match id_of(packet.as_slice(), is_text) {
                Ok(id) => {
                    self.state(|state| (state.status, state.unique_id) = (CONNECTED, id));
                    self.emit(&PEER_CONNECTED);
                }
                Err(problem) => {
                    let reason = format!(
                        "invalid ID from the server: {problem}. Does the server use WebSocketMultiplayerPeer?"
                    );
                    gdextension::error(&format!("FramewireMultiplayerPeer: {reason}"));
                    self.disconnect(reason);
                    self.socket.close_in_background(1002, "invalid ID");
                    polling::poll(&self.socket, 0);
                }
            }
        } else if socket_state == CLOSED {
            self.disconnect(self.end_of_connection());
        } else if started.elapsed() > Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX) {
            let what = if socket_state == SOCKET_CONNECTING {
                "there is no connection"
            } else {
                "the server has sent no ID"
            };
            self.disconnect(format!("the handshake timed out: {what} after {timeout} s"));
            self.socket.drop_connection();
            polling::poll(&self.socket, 0);
        }
    }

    fn disconnect(&self, reason: String) {
        self.state(|state| {
            (state.status, state.unique_id) = (DISCONNECTED, 0);
            state.disconnect_reason = reason;
        });
    }

    /// Returns why the socket is closed.
    fn end_of_connection(&self) -> String {
        let state = self.socket.state();
        let (code, reason) = (state.connection.close_code, &state.connection.close_reason);
        match (code, reason.as_str()) {
            (-1, reason) => reason.to_owned(),
            (code, "") => format!("the connection was closed with code {code}"),
            (code, reason) => format!("the connection was closed with code {code}: {reason}"),
        }
    }

    fn close(&self) {
        self.disconnect(String::new());
        self.socket.close_in_background(1000, "");
        // Emits `closed`.
        polling::poll(&self.socket, 0);
    }

    fn disconnect_peer(&self, peer: i64, force: bool) {
        if peer != SERVER || self.status() == DISCONNECTED {
            gdextension::error(&format!("FramewireMultiplayerPeer.disconnect_peer: {peer} is not connected"));
        } else if force {
            self.close();
        } else {
            self.socket.close(1000, String::new());
        }
    }

    fn emit(&self, signal: &'static Name) {
        // Not freed: Godot is calling it.
        if let Some(object) = self.base.reference() {
            object.emit(signal, &[Variant::new(SERVER)]);
        }
    }
}

/// Reads the ID from the first message.
fn id_of(packet: &[u8], is_text: bool) -> Result<i64, String> {
    if is_text {
        return Err("the first message is text".into());
    }
    let bytes: [u8; 4] =
        packet.try_into().map_err(|_| format!("the first message has {} bytes, not 4", packet.len()))?;
    match i32::from_le_bytes(bytes) {
        id if id < 2 => Err(format!("{id} is not the ID of a client")),
        id => Ok(id.into()),
    }
}

const DOC: &str = "\
A [MultiplayerPeer] for Godot's high-level multiplayer: a client of servers that use [WebSocketMultiplayerPeer].

To migrate a client, replace `WebSocketMultiplayerPeer.new()` with `Framewire.create_multiplayer_peer()`, which also works in
the Web export. RPCs, synchronizers, spawners and the relay between clients work unchanged. The server remains a
`WebSocketMultiplayerPeer`.

All packets are reliable and ordered, in channel 0, whatever the transfer mode and channel. Compression, proxies, TLS
settings, keepalive pings and simulated networks are settings of `socket`. A server that disappears is detected with
`heartbeat_interval`. `reconnect` is rejected.

`close()` sends what is queued and closes in the background, so the peer can be used again at once.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_four_bytes_little_endian_and_at_least_two() {
        assert_eq!(id_of(&[2, 0, 0, 0], false), Ok(2));
        assert_eq!(id_of(&[255, 255, 255, 127], false), Ok(i64::from(i32::MAX)));
        for wrong in [&[][..], &[2], &[2, 0, 0], &[2, 0, 0, 0, 0], &[0; 4], &[1, 0, 0, 0], &[255; 4]] {
            assert!(id_of(wrong, false).is_err(), "{wrong:?}");
        }
        assert!(id_of(b"text", true).is_err());
    }
}
