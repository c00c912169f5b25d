//! A server that supports the extension `x-xor`: the counterpart of `examples/c/xor_extension.c`.

use crate::scripted::{Peer, Scripted};

/// The reserved bit of the extension.
const RSV2: u8 = 2;

/// Starts a server that echoes messages. Closes with 1002 if the reserved bit is not set.
pub fn start() -> Scripted {
    Scripted::start(serve)
}

fn serve(mut peer: Peer) {
    let head = peer.read_head();
    let offer = Peer::field(&head, "Sec-WebSocket-Extensions").unwrap_or_default();
    let Some(element) = offer.split(',').map(str::trim).find(|element| element.starts_with("x-xor")) else {
        return;
    };
    let key: u8 = element.rsplit('=').next().and_then(|key| key.trim().parse().ok()).unwrap_or(0);
    peer.send_upgrade_response(&head, &format!("Sec-WebSocket-Extensions: x-xor; key={key}\r\n"));
    while let Some(frame) = peer.read_frame() {
        match frame.opcode {
            1 | 2 if frame.rsv == RSV2 => {
                let plain: Vec<u8> = frame.payload.iter().map(|byte| byte ^ key).collect();
                let masked: Vec<u8> = plain.iter().map(|byte| byte ^ key).collect();
                peer.send_frame(0x80 | RSV2 << 4 | frame.opcode, &masked);
            }
            8 => {
                peer.send_frame(0x88, &frame.payload);
                return;
            }
            _ => {
                peer.send_close(1002, "not marked");
                return;
            }
        }
    }
}
