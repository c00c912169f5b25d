//! Receive memory is bounded by the bytes that have arrived, never by declared lengths.

use super::peer::*;
use crate::buffer::capacity_for;
use crate::limits::READ_SIZE;
use crate::session::{Session, Settings};

fn large() -> Settings {
    // A size that no other test uses, so that the pool has no free block of it.
    Settings { max_message_size: 31 << 20, ..settings() }
}

/// The capacity of the smallest block.
fn smallest() -> usize {
    capacity_for(0)
}

/// The capacity of a read block.
fn read_block() -> usize {
    capacity_for(READ_SIZE)
}

#[test]
fn idle_connection_holds_no_buffers() {
    let mut driver = Driver::open();
    assert_eq!(driver.session.held_bytes(), 0);
    for length in [0, 10, 1000, 65_000, 200_000] {
        driver.feed(&frame(true, BINARY, &vec![1; length]), &mut Pieces::Whole);
        assert_eq!(driver.session.held_bytes(), 0, "after {length}");
    }
    assert!(size_of::<Session>() <= 536, "{}", size_of::<Session>());
}

#[test]
fn incomplete_frame_of_ten_bytes_holds_one_small_block() {
    for wire in [&frame(true, TEXT, b"0123456789abc")[..10], &frame(true, TEXT, &[b'x'; 60_000])[..14]] {
        for mut pieces in Pieces::all() {
            let mut driver = Driver::open();
            driver.feed(&frame(true, BINARY, &[0; 9000]), &mut pieces);
            driver.feed(wire, &mut pieces);
            assert!(
                driver.session.held_bytes() <= smallest(),
                "{} by {pieces:?}",
                driver.session.held_bytes()
            );
        }
    }
    let mut driver = Driver::connecting(&settings());
    driver.feed(b"HTTP/1.1 1", &mut Pieces::Whole);
    assert!(driver.session.held_bytes() <= smallest());
}

#[test]
fn declared_length_reserves_nothing() {
    let mut driver = Driver::with(&large());
    driver.feed(&header(true, BINARY, 31 << 20), &mut Pieces::Whole);
    assert!(driver.session.held_bytes() <= read_block(), "{}", driver.session.held_bytes());
    let mut driver = Driver::with(&large());
    driver.feed(&header(true, BINARY, 1 << 40), &mut Pieces::Whole);
    assert!(driver.session.is_done());
    assert_eq!(driver.session.held_bytes(), 0);
}

#[test]
fn body_grows_with_arrived_bytes() {
    for step in [1000, 70_000, 300_000] {
        let mut driver = Driver::with(&large());
        driver.feed(&header(true, BINARY, 31 << 20), &mut Pieces::Whole);
        let mut arrived = 0;
        while arrived < 3 << 20 {
            driver.feed(&vec![1; step], &mut Pieces::Whole);
            arrived += step;
            let held = driver.session.held_bytes();
            assert!(held <= (2 * arrived).max(read_block()), "{held} for {arrived}");
        }
    }
}

#[test]
fn declared_length_of_later_fragment_reserves_nothing() {
    for (before, together) in [(100_000, 30_000), (65_000, 1000), (10, 10), (200_000, 60_000)] {
        let mut driver = Driver::with(&large());
        driver.feed(&frame(false, BINARY, &vec![1; before]), &mut Pieces::Whole);
        let claim = [header(true, CONTINUATION, 30 << 20), vec![1; together]].concat();
        driver.feed(&claim, &mut Pieces::Whole);
        let (held, arrived) = (driver.session.held_bytes(), before + together);
        assert!(held <= (2 * arrived).max(read_block()), "{held} for {arrived}");
    }
}

#[test]
fn fragments_hold_at_most_twice_their_size() {
    for step in [1, 10, 999, 5000] {
        let mut driver = Driver::with(&large());
        driver.feed(&frame(false, BINARY, b""), &mut Pieces::Whole);
        for count in 1..300 {
            driver.feed(&frame(false, CONTINUATION, &vec![1; step]), &mut Pieces::Whole);
            let (held, arrived) = (driver.session.held_bytes(), count * step);
            assert!(held <= (2 * arrived).max(smallest()), "{held} for {arrived}");
        }
    }
}

#[test]
fn large_message_does_not_affect_next_read() {
    let mut driver = Driver::with(&large());
    let payload = vec![1; 20 << 20];
    let wire = [frame(true, BINARY, &payload), frame(true, TEXT, b"x")[..2].to_vec()].concat();
    driver.feed(&wire, &mut Pieces::Whole);
    assert_eq!(driver.events.len(), 1);
    assert!(driver.session.held_bytes() <= smallest());
}

#[test]
fn violation_in_large_message_frees_it_at_once() {
    let mut driver = Driver::with(&large());
    driver.feed(&header(true, TEXT, 31 << 20), &mut Pieces::Whole);
    driver.feed(&vec![b'x'; 2 << 20], &mut Pieces::Whole);
    driver.feed(b"\xFF", &mut Pieces::Whole);
    driver.feed(&vec![b'x'; 8 << 20], &mut Pieces::Whole);
    assert!(driver.session.is_done());
    assert_eq!(driver.session.held_bytes(), 0);
}

#[test]
fn sent_data_is_not_kept() {
    let mut driver = Driver::open();
    for n in 0..1000 {
        driver.send(crate::session::MessageType::Binary, &[n as u8; 100], 1000);
    }
    driver.flush();
    assert!(driver.outbox.is_empty());
    assert!(!driver.session.has_to_write());
    assert!(driver.session.queue_bytes() <= 4096, "{}", driver.session.queue_bytes());
}

#[test]
fn connection_that_only_answers_pings_keeps_no_queue() {
    let mut driver = Driver::open();
    for _ in 0..3 {
        driver.feed(&[0x89, 2, b'h', b'i'], &mut Pieces::Whole);
        assert!(driver.session.has_to_write());
        driver.flush();
        assert_eq!(driver.session.queue_bytes(), 0);
    }
    assert_eq!(driver.session.extra_frames_sent(), 3);
}
