//! The clients of the captures, and the servers that they were recorded with.

use std::path::Path;
use std::time::Duration;

use framewire::{CaptureOptions, Compression, Reconnect};
use framewire_servers::{Peer, Scripted};

use super::common::{Client, Seen};

const INPUTS: u8 = 8;

fn captured(url: &str, capture: Option<&Path>) -> Client {
    let client = Client::new(url);
    if let Some(path) = capture {
        client.set_capture(path, CaptureOptions::default()).unwrap();
    }
    client
}

/// Joins a room, says something after each reply, and leaves.
pub fn chat(url: &str, capture: Option<&Path>) -> Vec<Seen> {
    let client = captured(url, capture);
    client.add_protocol("chat.v1").unwrap();
    client.set_compression(Some(Compression { min_size_to_compress: 0, ..Compression::default() })).unwrap();
    client.open().unwrap();
    let mut seen = vec![client.next(), client.next()];
    assert_eq!(client.protocol(), "chat.v1");
    for number in 1..=4 {
        client
            .send_text(&format!("message {number} of a player who says the same words again and again"))
            .unwrap();
        seen.push(client.next());
    }
    client.send_binary(&[0, 1, 2, 3, 0xFE, 0xFF]).unwrap();
    seen.push(client.next());
    client.close(1000, "bye").unwrap();
    seen.extend(client.until_end());
    seen
}

/// Sends inputs at a fixed rate and receives states, until the connection is lost.
pub fn bad_session(url: &str, capture: Option<&Path>) -> Vec<Seen> {
    let client = captured(url, capture);
    client.open().unwrap();
    let mut seen = vec![client.next()];
    for number in 0..INPUTS {
        client.send_binary(&[number; 4]).unwrap();
        seen.push(client.next());
    }
    seen.extend(client.until_end());
    seen
}

/// Reconnects after a loss, and says goodbye on the second connection.
pub fn reconnecting(url: &str, capture: Option<&Path>) -> Vec<Seen> {
    let client = captured(url, capture);
    let (min_delay, max_delay) = (Duration::from_millis(1), Duration::from_millis(20));
    client.set_reconnect(Some(Reconnect { min_delay, max_delay, ..Reconnect::default() })).unwrap();
    client.open().unwrap();
    let mut seen = vec![client.next()];
    client.send_text("hello").unwrap();
    // A message, the loss, open again.
    seen.extend([client.next(), client.next(), client.next()]);
    client.send_text("hello again").unwrap();
    seen.push(client.next());
    client.close(1000, "done").unwrap();
    seen.extend(client.until_end());
    seen
}

/// Compresses with context takeover.
struct Deflate(flate2::Compress);

impl Deflate {
    fn message(&mut self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() + 64);
        self.0.compress_vec(text.as_bytes(), &mut bytes, flate2::FlushCompress::Sync).unwrap();
        bytes.truncate(bytes.len() - 4);
        bytes
    }
}

fn serve_chat(mut peer: Peer) {
    peer.accept_upgrade_with(
        "Sec-WebSocket-Protocol: chat.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\nServer: chat\r\n",
    );
    let mut deflate = Deflate(flate2::Compress::new(flate2::Compression::default(), false));
    peer.send_frame(0xC1, &deflate.message("welcome to the room; the same words again and again"));
    for number in 1.. {
        let Some(frame) = peer.read_frame() else { return };
        peer.pause(Duration::from_millis(50));
        match frame.opcode {
            1 => {
                peer.send_frame(0x89, b"there?");
                let text = format!("reply {number}: the same words again and again");
                let compressed = deflate.message(&text);
                // In two fragments.
                let (start, end) = compressed.split_at(compressed.len() / 2);
                peer.send_frame(0x41, start);
                peer.send_frame(0x80, end);
            }
            2 => peer.send_frame(0x82, &[3, 2, 1]),
            8 => return peer.send_frame(0x88, &frame.payload),
            _ => {}
        }
    }
}

fn serve_bad_session(mut peer: Peer) {
    peer.accept_upgrade();
    for number in 0..INPUTS {
        if peer.read_frame().is_none() {
            return;
        }
        peer.send_frame(0x82, &[number; 40]);
    }
    // So that the client has read everything before.
    peer.pause(Duration::from_millis(50));
    peer.reset();
}

fn serve_reconnecting(mut peer: Peer) {
    peer.accept_upgrade();
    let _ = peer.read_frame();
    if peer.number == 0 {
        peer.send_frame(0x81, b"first");
        // No close frame: the connection is lost.
        return peer.finish();
    }
    peer.send_frame(0x81, b"second");
    if let Some((code, reason)) = peer.read_close() {
        peer.send_close(code, &reason);
    }
}

pub type Recording = (&'static str, fn(Peer), fn(&str, Option<&Path>) -> Vec<Seen>);

/// The captures, their servers and clients.
pub const RECORDINGS: [Recording; 3] = [
    ("chat.pcapng", serve_chat, chat),
    ("reset.pcapng", serve_bad_session, bad_session),
    ("reconnect.pcapng", serve_reconnecting, reconnecting),
];

/// Records a session to a file, which is complete some time later.
pub fn record((_, serve, run): Recording, file: &Path) {
    let server = Scripted::start(serve);
    run(&server.url(), Some(file));
}
