use super::*;

/// What a segment contains: direction, relative position, flags, payload and comments.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    is_inbound: bool,
    sequence: u32,
    flags: u8,
    payload: Vec<u8>,
    comments: Vec<String>,
}

struct Recording {
    conversation: Conversation,
    written: Vec<Written>,
}

impl Recording {
    fn new() -> Self {
        let (client, server) = ("10.0.0.1:5000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        Self { conversation: Conversation::new(client, server, false), written: Vec::new() }
    }

    fn with(&mut self, act: impl FnOnce(&mut Conversation, Sink<'_>)) {
        let written = &mut self.written;
        act(&mut self.conversation, &mut |packet| {
            let tcp = &packet.bytes[20..];
            written.push(Written {
                is_inbound: packet.is_inbound,
                sequence: u32::from_be_bytes(tcp[4..8].try_into().unwrap()),
                flags: tcp[13],
                payload: tcp[usize::from(tcp[12] >> 4) * 4..].to_vec(),
                comments: packet.comments.to_vec(),
            });
        });
    }

    fn sent(&mut self, bytes: &[u8], first_unit: Option<usize>, notes: &[Note]) {
        self.with(|conversation, sink| {
            conversation.bytes(Direction::Sent, bytes, first_unit, notes, Duration::ZERO, sink);
        });
    }

    fn payload_sizes(&self) -> Vec<usize> {
        self.written.iter().map(|written| written.payload.len()).collect()
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nCookie: x\r\n\r\n";

/// A masked frame with this payload length, up to 65,535.
fn frame(len: usize) -> Vec<u8> {
    let mut frame = vec![0x82, 0xfe];
    frame.extend_from_slice(&(len as u16).to_be_bytes());
    frame.resize(8 + len, 7);
    frame
}

#[test]
fn frames_are_segments_however_they_arrive() {
    for size in [1, 3, 100, 5000, usize::MAX] {
        let mut recording = Recording::new();
        recording.with(|conversation, sink| conversation.open(Duration::ZERO, "who", sink));
        let bytes = [REQUEST, &frame(10), &frame(3000), &frame(0)].concat();
        for part in bytes.chunks(size) {
            recording.sent(part, None, &[]);
        }
        let head = "GET / HTTP/1.1\r\nCookie: <redacted>\r\n\r\n".len();
        assert_eq!(recording.payload_sizes(), [0, 0, 0, head, 18, 3008, 8], "{size}");
        assert_eq!(recording.written[0].comments, ["who"]);
        let positions: Vec<usize> =
            recording.written[2..].iter().map(|written| written.sequence as usize).collect();
        assert_eq!(positions, [1, 1, 1 + head, 19 + head, 3027 + head]);
    }
}

#[test]
fn long_frames_are_full_segments_and_a_rest() {
    let mut long = vec![0x82, 0xff, 0, 0, 0, 0, 0, 2, 0, 0, 1, 2, 3, 4];
    long.resize(14 + 0x20000, 9);
    let rest = long.len() - 2 * MAX_PAYLOAD;
    for size in [1000, MAX_PAYLOAD, usize::MAX] {
        let mut recording = Recording::new();
        recording.sent(REQUEST, Some(0), &[]);
        for part in long.chunks(size) {
            recording.sent(part, None, &[]);
        }
        assert_eq!(recording.payload_sizes()[1..], [MAX_PAYLOAD, MAX_PAYLOAD, rest], "{size}");
    }
}

#[test]
fn lost_bytes_are_a_gap_before_the_next_whole_frame() {
    let mut recording = Recording::new();
    let text = |end, text: &str| Note { end, text: NoteText::Text(text.to_owned()) };
    // The incomplete frame is lost with what follows it.
    recording.sent(&[REQUEST, &frame(10), &frame(10)[..5]].concat(), Some(0), &[]);
    let before = recording.written.last().unwrap();
    let next = before.sequence + before.payload.len() as u32;
    recording.with(|conversation, _| conversation.lose(Direction::Sent, Lost { records: 1, bytes: 10 }));
    recording.sent(&[0; 2], None, &[text(2, "lost")]);
    let bytes = [&[0; 1][..], &frame(20), &frame(1)].concat();
    recording.sent(&bytes, Some(1), &[text(1, "lost too"), text(29, "first"), text(38, "second")]);
    let [.., first, second] = &recording.written[..] else { panic!() };
    assert_eq!((first.sequence, first.payload.len()), (next + 5 + 10 + 2 + 1, 28));
    assert!(first.comments[0].starts_with("18 bytes before this packet were not captured"));
    assert_eq!(first.comments[1..], ["first"]);
    assert_eq!((second.sequence, &second.comments[..]), (first.sequence + 28, &["second".to_owned()][..]));
}

#[test]
fn end_writes_what_is_held_and_how_it_ended() {
    for (by, expected) in [
        (EndedBy::Client, vec![(false, FIN | ACK), (true, FIN | ACK), (false, ACK)]),
        (EndedBy::Server, vec![(true, FIN | ACK), (false, FIN | ACK), (true, ACK)]),
        (EndedBy::Reset, vec![(true, RST | ACK)]),
        (EndedBy::Nothing, vec![]),
    ] {
        let mut recording = Recording::new();
        recording.sent(REQUEST, Some(0), &[]);
        recording.sent(&frame(100)[..50], Some(0), &[]);
        let ending = Ending { by, reason: "why".to_owned() };
        recording.with(|conversation, sink| conversation.end(&ending, Duration::ZERO, sink));
        assert_eq!(recording.written[1].payload.len(), 50);
        let end: Vec<(bool, u8)> =
            recording.written[2..].iter().map(|written| (written.is_inbound, written.flags)).collect();
        assert_eq!(end, expected);
        if let Some(first) = recording.written.get(2) {
            assert_eq!(first.comments, ["why"]);
        }
    }
}

#[test]
fn other_side_acknowledges_before_the_window_is_full() {
    let mut recording = Recording::new();
    recording.sent(REQUEST, Some(0), &[]);
    // Lost bytes count as the sent ones do, and take no time.
    for _ in 0..5 {
        let lost = Lost { records: 1, bytes: 100 << 20 };
        recording.with(|conversation, _| conversation.lose(Direction::Sent, lost));
        recording.sent(&frame(10), Some(0), &[]);
    }
    let acknowledgements: Vec<usize> = recording
        .written
        .iter()
        .enumerate()
        .filter(|(_, written)| written.is_inbound)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(acknowledgements, [4], "after 300 MiB");
}
