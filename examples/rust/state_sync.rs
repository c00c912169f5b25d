//! Synchronizes the state of four players, 60 times a second, beside a bulk transfer on the same socket:
//! `cargo run --example state_sync -- ws://127.0.0.1:9001/ [SECONDS]`.
//!
//! Urgent states and bulk data have a lane each. A state overtakes the bulk data, replaces the waiting state of its player,
//! which is outdated, and expires when it has waited for too long. The link is simulated: 120 ms there and back, 1 MB/s.
//! The server echoes every message, and the program prints the round trip times of the states.

use std::time::{Duration, Instant};

use framewire::{
    Content, EventKind, Lane, LinkConditions, MessageType, SendFlags, SendOptions, Socket, next_event,
    shutdown, wait,
};

const STATE_LANE: u32 = 0;
const BULK_LANE: u32 = 1;
const PLAYERS: u64 = 4;
/// The number of the player, the time of sending in microseconds, position and velocity.
const STATE_SIZE: usize = 8 + 8 + 6 * 4;
/// A message that has begun is not interrupted, so a state waits for the rest of a part: keep parts small.
const BULK_PART: usize = 4096;
const BULK_AHEAD: usize = 256 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or("ws://127.0.0.1:9001/".into());
    let seconds: usize = arguments.next().map_or(Ok(3), |seconds| seconds.parse())?;

    let socket = Socket::create(&url)?;
    // The lower number goes first.
    socket.set_lanes(&[Lane { priority: 0, ..Lane::default() }, Lane { priority: 1, ..Lane::default() }])?;
    let mut link = LinkConditions::default();
    (link.out_delay, link.in_delay) = (Duration::from_millis(60), Duration::from_millis(60));
    (link.out_bytes_per_second, link.in_bytes_per_second) = (1_000_000, 1_000_000);
    socket.set_link(Some(link))?;
    socket.set_close_timeout(60_000)?; // the rest of the bulk data comes back first
    socket.open()?;

    let start = Instant::now();
    let (mut sent, mut frame, mut bulk_received) = (0, 0, 0);
    let mut next_frame = start;
    let mut round_trips = Vec::new();
    'game: loop {
        wait(Duration::from_millis(4)); // returns as soon as there is an event
        while let Some(event) = next_event() {
            match event.kind {
                EventKind::Binary(data) if data.len() == STATE_SIZE => {
                    let sent_us = u64::from_le_bytes(data.as_slice()[8..16].try_into()?);
                    round_trips.push(start.elapsed().as_micros() as u64 - sent_us);
                }
                EventKind::Binary(data) => bulk_received += data.len(),
                EventKind::Closed { .. } => break 'game,
                EventKind::Error(error) => return Err(error.to_string().into()),
                _ => {}
            }
        }
        if !socket.is_open() {
            continue;
        }
        send_bulk(&socket)?;
        if Instant::now() < next_frame {
            continue;
        }
        next_frame = Instant::now() + Duration::from_secs(1) / 60;
        if frame == 60 * seconds {
            socket.close(1000, "done")?;
            continue;
        }
        for player in 1..=PLAYERS {
            send_state(&socket, player, start)?;
            sent += 1;
        }
        frame += 1;
    }
    let lane = socket.lane_stats(STATE_LANE)?;
    shutdown(Duration::from_secs(2))?;
    round_trips.sort_unstable();
    let median = round_trips.get(round_trips.len() / 2).ok_or("no state came back")?;
    println!(
        "states: {sent} sent, {} replaced, {} expired; p50 {} ms",
        lane.replaced,
        lane.expired,
        median / 1000
    );
    println!("bulk: {bulk_received} bytes");
    // Every state that was not dropped came back.
    if round_trips.len() as u64 != sent - lane.replaced - lane.expired || bulk_received == 0 {
        return Err(format!("{} states came back", round_trips.len()).into());
    }
    Ok(())
}

fn send_state(socket: &Socket, player: u64, start: Instant) -> Result<(), framewire::CallError> {
    let mut state = [0; STATE_SIZE];
    state[..8].copy_from_slice(&player.to_le_bytes());
    state[8..16].copy_from_slice(&(start.elapsed().as_micros() as u64).to_le_bytes());
    let options = SendOptions {
        lane: STATE_LANE,
        key: player, // replaces the waiting state of this player
        time_to_live: Some(Duration::from_secs(1)),
        ..SendOptions::default()
    };
    socket.send_message(MessageType::Binary, Content::Bytes(&state), options)
}

fn send_bulk(socket: &Socket) -> Result<(), framewire::CallError> {
    let flags = SendFlags { uncompressed: true, ..SendFlags::default() };
    let options = SendOptions { lane: BULK_LANE, flags, ..SendOptions::default() };
    while socket.buffered_amount() < BULK_AHEAD {
        socket.send_message(MessageType::Binary, Content::Bytes(&[0; BULK_PART]), options)?;
    }
    Ok(())
}
