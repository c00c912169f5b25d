//! The reader of captures (`tools/captures`): any file gives sessions or a sentence, within memory that grows
//! with the file. A connection that is captured with retransmissions, reordered and lost segments gives the
//! frames that were sent, or the first of them and a warning.

use framewire_captures::{Capture, Content, Frame, MAX_MESSAGE, Side, har, read};

use super::input::{Input, Pieces};

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
/// Decoding more than this per input would only take time.
const MAX_DECODED: usize = 4 << 20;
const MAX_FRAMES: usize = 32;

/// Input: a byte that selects the mode, then a file or a script.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    if input.flag() { captured(&mut input) } else { any_file(input.rest()) }
}

fn any_file(bytes: &[u8]) {
    let capture = match read(bytes) {
        Ok(capture) => capture,
        Err(error) => {
            let text = error.to_string();
            assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
            return;
        }
    };
    let mut kept = 0;
    for session in &capture.sessions {
        kept += session.request.target.len();
        for record in &session.records {
            kept += match &record.content {
                Content::Frame(frame) => frame.payload.len(),
                Content::Bytes(bytes) => bytes.len(),
            };
        }
        kept += session.response.as_ref().map_or(0, |response| response.head.len() + response.body.len());
        let mut decoded = 0;
        for message in session.messages() {
            decoded += message.map_or(0, |message| message.payload.len());
            assert!(decoded <= MAX_DECODED + MAX_MESSAGE);
            if decoded > MAX_DECODED {
                return;
            }
        }
    }
    // Reassembly copies each byte of the file once.
    assert!(kept <= bytes.len(), "{kept} bytes of {}", bytes.len());
    let archive = har(&capture.sessions);
    let entries = archive["log"]["entries"].as_array().expect("it has entries");
    assert_eq!(entries.len(), capture.sessions.len());
}

/// A segment before it is written.
#[derive(Clone)]
struct Segment {
    side: Side,
    position: usize,
    bytes: Vec<u8>,
}

fn captured(input: &mut Input) {
    let is_big_endian = input.flag();
    let first_numbers = [u32::from(input.u16()) << 16, u32::from(input.u16()) << 16 | 0xFF00];
    let mut pieces = Pieces::random(input.byte());
    let mut sent: [Vec<Frame>; 2] = Default::default();
    let mut segments = Vec::new();
    let mut positions = [REQUEST.len(), RESPONSE.len()];
    while !input.is_empty() && sent[0].len() + sent[1].len() < MAX_FRAMES {
        let side = if input.flag() { Side::Client } else { Side::Server };
        let frame = frame(side, input);
        let bytes = frame.to_bytes();
        for part in pieces.cut(&bytes) {
            let position = &mut positions[side as usize];
            segments.push(Segment { side, position: *position, bytes: part.to_vec() });
            *position += part.len();
        }
        sent[side as usize].push(frame);
        // What the network and the capture do to the newest segment.
        let count = segments.len();
        match input.byte() % 8 {
            0 => segments.push(segments[count - 1].clone()),
            1 if count > 1 => segments.swap(count - 1, count - 2),
            2 => drop(segments.pop()),
            // Sent again together with the segment before it.
            3 if count > 1 && segments[count - 2].side == segments[count - 1].side => {
                let (before, newest) = (&segments[count - 2], &segments[count - 1]);
                if before.position + before.bytes.len() == newest.position {
                    let bytes = [&before.bytes[..], &newest.bytes].concat();
                    segments.push(Segment { side, position: before.position, bytes });
                }
            }
            _ => {}
        }
    }
    let mut file = File::new(is_big_endian);
    for (side, bytes) in [(Side::Client, REQUEST), (Side::Server, RESPONSE)] {
        let number = first_numbers[side as usize];
        file.segment(side, number.wrapping_sub(1), if side == Side::Client { 2 } else { 0x12 }, b"");
        file.segment(side, number, 0x10, bytes);
    }
    for segment in &segments {
        let number = first_numbers[segment.side as usize].wrapping_add(segment.position as u32);
        file.segment(segment.side, number, 0x10, &segment.bytes);
    }
    let capture = read(&file.bytes).expect("it is a valid file");
    assert_eq!(capture.sessions.len(), 1);
    for side in [Side::Client, Side::Server] {
        check_side(&capture, side, &sent[side as usize], &segments, positions[side as usize]);
    }
}

fn check_side(capture: &Capture, side: Side, sent: &[Frame], segments: &[Segment], end: usize) {
    let own = || segments.iter().filter(|segment| segment.side == side);
    // How far the captured bytes reach without a gap.
    let mut reached = if side == Side::Client { REQUEST.len() } else { RESPONSE.len() };
    while let Some(next) =
        own().find(|segment| segment.position <= reached && segment.position + segment.bytes.len() > reached)
    {
        reached = next.position + next.bytes.len();
    }
    let records = capture.sessions[0].records.iter().filter(|record| record.from == side);
    let frames: Vec<&Frame> = records
        .filter_map(|record| match &record.content {
            Content::Frame(frame) => Some(frame),
            Content::Bytes(_) => None,
        })
        .collect();
    assert!(frames.iter().copied().eq(&sent[..frames.len()]), "{side:?}: other frames than sent");
    if reached == end {
        assert_eq!(frames.len(), sent.len(), "{side:?}: frames are missing");
    }
    let is_reported =
        capture.warnings.iter().any(|warning| warning.contains(&format!("that the {} sent", side.name())));
    assert_eq!(is_reported, own().any(|segment| segment.position > reached), "{:?}", capture.warnings);
}

fn frame(side: Side, input: &mut Input) -> Frame {
    let opcode = input.one_of([0, 1, 2, 8, 9, 10]);
    let flags = input.byte();
    let mut payload = input.counted().to_vec();
    if opcode >= 8 {
        payload.truncate(125);
    } else if flags & 2 != 0 {
        payload = payload.repeat(300);
    }
    let mask = (side == Side::Client).then_some([flags, 1, 2, 3]);
    Frame { is_final: opcode >= 8 || flags & 1 != 0, rsv: flags >> 5, opcode, mask, payload }
}

/// Writes a pcapng file with raw IP packets.
struct File {
    bytes: Vec<u8>,
    is_big_endian: bool,
}

impl File {
    fn new(is_big_endian: bool) -> Self {
        let mut file = Self { bytes: Vec::new(), is_big_endian };
        let version = if is_big_endian { [0, 1, 0, 0] } else { [1, 0, 0, 0] };
        let body = [&file.number(0x1A2B_3C4D)[..], &version, &[0xFF; 8]].concat();
        file.block(0x0A0D_0D0A, &body);
        let link_type = if is_big_endian { [0, 101, 0, 0] } else { [101, 0, 0, 0] };
        file.block(1, &[link_type, [0; 4]].concat());
        file
    }

    fn segment(&mut self, side: Side, number: u32, flags: u8, payload: &[u8]) {
        let length = (40 + payload.len()) as u16;
        let [high, low] = length.to_be_bytes();
        let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let (client_port, server_port) = ([0xC0, 0], [0, 80]);
        let (from, to) = if side == Side::Client { (client, server) } else { (server, client) };
        let ports = match side {
            Side::Client => [client_port, server_port],
            Side::Server => [server_port, client_port],
        };
        let ip = [0x45, 0, high, low, 0, 0, 0x40, 0, 64, 6, 0, 0];
        let tcp = [0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0];
        let packet =
            [&ip[..], &from, &to, &ports.concat(), &number.to_be_bytes(), &[0; 4], &tcp, payload].concat();
        let mut body = Vec::new();
        for number in [0, 0, 0, packet.len() as u32, packet.len() as u32] {
            body.extend(self.number(number));
        }
        body.extend(packet);
        body.resize(body.len().next_multiple_of(4), 0);
        self.block(6, &body);
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let length = self.number(body.len() as u32 + 12);
        let block = [&self.number(kind)[..], &length, body, &length].concat();
        self.bytes.extend(block);
    }

    fn number(&self, number: u32) -> [u8; 4] {
        if self.is_big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }
}
