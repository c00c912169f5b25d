//! Lanes: priority, keys, times to live and outcomes, with a server that stops reading.

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

use common::{Client, Seen, wait_until};
use framewire::{Code, Content, Lane, MessageType, Outcome, SendOptions};
use framewire_servers::{EchoServer, Scripted};

const PART: usize = 16 << 10;

/// Reads nothing after the upgrade until it is told to; then it reports the first eight bytes of every message.
struct PausedServer {
    server: Scripted,
    go: mpsc::Sender<()>,
    reported: mpsc::Receiver<u64>,
}

impl PausedServer {
    fn start() -> Self {
        let (go, released) = mpsc::channel::<()>();
        let (report, reported) = mpsc::channel();
        let released = Mutex::new(released);
        let server = Scripted::start(move |mut peer| {
            peer.accept_upgrade();
            let _ = released.lock().unwrap().recv();
            while let Some(frame) = peer.read_frame() {
                match frame.opcode {
                    8 => return peer.send_close(1000, ""),
                    0 => {}
                    _ => _ = report.send(u64::from_be_bytes(frame.payload[..8].try_into().unwrap())),
                }
            }
        });
        Self { server, go, reported }
    }

    /// Lets it read, closes the connection, and returns what the server has received.
    fn finish(self, client: &Client) -> (Vec<u64>, Vec<Seen>) {
        client.close(1000, "").unwrap();
        self.go.send(()).unwrap();
        let seen = client.until_end();
        drop(self.server);
        (self.reported.iter().collect(), seen)
    }
}

fn payload(number: u64, size: usize) -> Vec<u8> {
    let mut payload = vec![0; size];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}

fn send(client: &Client, number: u64, size: usize, options: SendOptions) {
    let payload = payload(number, size);
    client.send_message(MessageType::Binary, Content::Bytes(&payload), options).unwrap();
}

fn lane(lane: u32) -> SendOptions {
    SendOptions { lane, ..SendOptions::default() }
}

fn set_priorities(client: &Client, priorities: &[u32]) {
    let lanes: Vec<Lane> = priorities.iter().map(|&priority| Lane { priority, ..Lane::default() }).collect();
    client.set_lanes(&lanes).unwrap();
}

/// Fills lane 1, until messages wait in it.
fn fill(client: &Client, parts: u64) {
    for number in 0..parts {
        send(client, 1_000_000 + number, PART, lane(1));
    }
    wait_until("a full connection", || {
        let before = client.lane_stats(1).unwrap().begun;
        std::thread::sleep(Duration::from_millis(50));
        client.lane_stats(1).unwrap().begun == before
    });
    assert!(client.lane_stats(1).unwrap().waiting_messages > 0, "the system took everything");
}

fn outcomes(seen: &[Seen]) -> BTreeMap<u64, Outcome> {
    let mut outcomes = BTreeMap::new();
    for event in seen {
        if let Seen::Sent(tag, outcome) = event {
            assert_eq!(outcomes.insert(*tag, *outcome), None, "one outcome for a tag");
        }
    }
    outcomes
}

#[test]
fn urgent_message_overtakes_what_has_not_begun() {
    let server = PausedServer::start();
    let client = Client::opened(&server.server.url());
    set_priorities(&client, &[0, 1]);
    fill(&client, 1000);
    send(&client, 7, 64, lane(0));
    let (received, _) = server.finish(&client);
    assert_eq!(received.len(), 1001);
    let before = received.iter().position(|number| *number == 7).unwrap();
    assert!(before < 500, "{before} parts were before it");
    let bulk: Vec<u64> = received.iter().copied().filter(|number| *number != 7).collect();
    assert!(bulk.is_sorted(), "messages of a lane keep their order");
}

#[test]
fn other_send_functions_use_lane_0() {
    let server = PausedServer::start();
    let client = Client::opened(&server.server.url());
    set_priorities(&client, &[5, 1]);
    fill(&client, 1000);
    client.send_binary(&payload(7, 64)).unwrap();
    client.send_binary_segment(framewire::Segment::copy_of(&payload(8, 64)).unwrap()).unwrap();
    assert_eq!(client.lane_stats(0).unwrap().waiting_messages, 2);
    let (received, _) = server.finish(&client);
    assert_eq!(received[1000..], [7, 8]);
}

#[test]
fn only_the_newest_message_with_a_key_is_sent() {
    const UPDATES: u64 = 500;
    let server = PausedServer::start();
    let client = Client::opened(&server.server.url());
    set_priorities(&client, &[1, 0]);
    fill(&client, 1000);
    let before = client.buffered_amount();
    for number in 1..=UPDATES {
        send(&client, number, 100, SendOptions { key: 3, tag: number, ..lane(0) });
    }
    assert_eq!(client.buffered_amount(), before + 100);
    let (received, seen) = server.finish(&client);
    assert_eq!(received.iter().filter(|number| **number <= UPDATES).collect::<Vec<_>>(), [&UPDATES]);
    let outcomes = outcomes(&seen);
    assert_eq!(outcomes.len() as u64, UPDATES);
    let unlike = |(tag, outcome): (&u64, &Outcome)| {
        *outcome != if *tag == UPDATES { Outcome::Sent } else { Outcome::Replaced }
    };
    assert_eq!(outcomes.iter().find(|entry| unlike(*entry)), None);
}

#[test]
fn expired_message_leaves_the_queue_by_itself() {
    let server = PausedServer::start();
    let client = Client::opened(&server.server.url());
    set_priorities(&client, &[1, 0]);
    fill(&client, 1000);
    let before = client.buffered_amount();
    let time_to_live = Some(Duration::from_millis(50));
    send(&client, 7, 100, SendOptions { time_to_live, tag: 7, ..lane(0) });
    send(&client, 8, 100, SendOptions { time_to_live: Some(Duration::MAX), tag: 8, ..lane(0) });
    assert_eq!(client.next(), Seen::Sent(7, Outcome::Expired));
    assert_eq!(client.buffered_amount(), before + 100);
    assert_eq!(client.lane_stats(0).unwrap().expired, 1);
    let (received, seen) = server.finish(&client);
    assert!(received.contains(&8) && !received.contains(&7));
    assert_eq!(outcomes(&seen), BTreeMap::from([(8, Outcome::Sent)]));
}

#[test]
fn close_sends_by_priority_and_reports_before_the_end() {
    let server = PausedServer::start();
    let client = Client::opened(&server.server.url());
    set_priorities(&client, &[2, 0, 1]);
    fill(&client, 1000);
    send(&client, 1, 64, SendOptions { tag: 1, ..lane(0) });
    send(&client, 2, 64, SendOptions { tag: 2, ..lane(2) });
    let (received, seen) = server.finish(&client);
    assert_eq!(received[1000..], [2, 1]);
    assert!(matches!(seen.last(), Some(Seen::Closed(1000, _))), "{seen:?}");
    assert_eq!(outcomes(&seen), BTreeMap::from([(1, Outcome::Sent), (2, Outcome::Sent)]));
}

#[test]
fn messages_of_an_aborted_connection_are_lost() {
    let server = PausedServer::start();
    let client = Client::opened(&server.server.url());
    set_priorities(&client, &[0, 1]);
    for number in 0..1000 {
        send(&client, number, PART, SendOptions { tag: number + 1, ..lane(1) });
    }
    client.abort().unwrap();
    let seen = client.until_end();
    let outcomes = outcomes(&seen);
    assert_eq!(outcomes.len(), 1000);
    let stats = client.lane_stats(1).unwrap();
    assert_eq!(stats.sent + stats.lost, 1000);
    assert_eq!(stats.lost, outcomes.values().filter(|outcome| **outcome == Outcome::Lost).count() as u64);
    assert_eq!((stats.waiting_messages, stats.waiting_bytes), (0, 0));
    drop(server.go);
}

#[test]
fn lanes_stay_when_the_socket_is_opened_again() {
    let echo = EchoServer::start();
    let client = Client::new(&echo.url("/"));
    set_priorities(&client, &[0, 1]);
    for round in 1..=2 {
        client.open().unwrap();
        assert_eq!(client.next(), Seen::Open);
        send(&client, round, 100, SendOptions { tag: round, ..lane(1) });
        let (mut first, mut second) = (client.next(), client.next());
        if matches!(first, Seen::Binary(_)) {
            (first, second) = (second, first);
        }
        assert_eq!((first, second), (Seen::Sent(round, Outcome::Sent), Seen::Binary(payload(round, 100))));
        client.close(1000, "").unwrap();
        client.end();
    }
    assert_eq!(client.lane_stats(1).unwrap().sent, 2);
}

#[test]
fn lane_that_does_not_exist_is_refused() {
    let echo = EchoServer::start();
    let client = Client::opened(&echo.url("/"));
    let refused = client.send_message(MessageType::Binary, Content::Bytes(b"x"), lane(1)).unwrap_err();
    assert_eq!(
        (refused.code, &*refused.message),
        (Code::InvalidArgument, "lane 1 does not exist: the socket has 1")
    );
    assert_eq!(client.lane_stats(1).unwrap_err().code, Code::InvalidArgument);
    let refused = client.set_lanes(&[Lane { weight: 0, ..Lane::default() }]).unwrap_err();
    assert_eq!(refused.code, Code::InvalidArgument);
    let text = client.send_message(MessageType::Text, Content::Bytes(b"\xFF"), lane(0)).unwrap_err();
    assert_eq!(text.code, Code::InvalidUtf8);
}
