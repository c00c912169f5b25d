//! What a connection holds is bounded by what has arrived, never by what was announced.

use super::peer::*;
use crate::buffer::capacity_for;
use crate::limits::READ_SIZE;
use crate::session::{Session, Settings};

fn large() -> Settings {
    // A size that no other test asks for: a free block of it cannot lie in the pool.
    Settings { max_message_size: 31 << 20, ..settings() }
}

/// The smallest block that there is.
fn smallest() -> usize {
    capacity_for(0)
}

/// The block that one read is made into.
fn read_block() -> usize {
    capacity_for(READ_SIZE)
}

#[test]
fn an_idle_connection_holds_nothing() {
    let mut driver = Driver::open();
    assert_eq!(driver.session.held_bytes(), 0);
    for length in [0, 10, 1000, 65_000, 200_000] {
        driver.feed(&frame(true, BINARY, &vec![1; length]), &mut Pieces::Whole);
        assert_eq!(driver.session.held_bytes(), 0, "after {length}");
    }
    assert!(size_of::<Session>() <= 536, "{}", size_of::<Session>());
}

#[test]
fn ten_bytes_that_wait_for_more_take_one_small_block() {
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
    let mut driver = Driver::asked(&settings());
    driver.feed(b"HTTP/1.1 1", &mut Pieces::Whole);
    assert!(driver.session.held_bytes() <= smallest());
}

#[test]
fn a_claim_reserves_nothing() {
    let mut driver = Driver::with(&large());
    driver.feed(&header(true, BINARY, 31 << 20), &mut Pieces::Whole);
    assert!(driver.session.held_bytes() <= read_block(), "{}", driver.session.held_bytes());
    let mut driver = Driver::with(&large());
    driver.feed(&header(true, BINARY, 1 << 40), &mut Pieces::Whole);
    assert!(driver.session.is_done());
    assert_eq!(driver.session.held_bytes(), 0);
}

#[test]
fn a_body_grows_with_what_has_arrived() {
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
fn a_claim_behind_other_fragments_reserves_nothing_either() {
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
fn fragments_take_at_most_twice_their_size() {
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
fn a_large_message_leaves_no_claim_behind_for_the_next_read() {
    let mut driver = Driver::with(&large());
    let payload = vec![1; 20 << 20];
    let wire = [frame(true, BINARY, &payload), frame(true, TEXT, b"x")[..2].to_vec()].concat();
    driver.feed(&wire, &mut Pieces::Whole);
    assert_eq!(driver.told.len(), 1);
    assert!(driver.session.held_bytes() <= smallest());
}

#[test]
fn a_breach_in_a_large_message_frees_it_at_once() {
    let mut driver = Driver::with(&large());
    driver.feed(&header(true, TEXT, 31 << 20), &mut Pieces::Whole);
    driver.feed(&vec![b'x'; 2 << 20], &mut Pieces::Whole);
    driver.feed(b"\xFF", &mut Pieces::Whole);
    driver.feed(&vec![b'x'; 8 << 20], &mut Pieces::Whole);
    assert!(driver.session.is_done());
    assert_eq!(driver.session.held_bytes(), 0);
}

#[test]
fn what_was_sent_is_not_kept() {
    let mut driver = Driver::open();
    for n in 0..1000 {
        driver.send(crate::session::MessageType::Binary, &[n as u8; 100], 1000);
    }
    driver.flush();
    assert!(driver.outbox.is_empty());
    assert!(!driver.session.has_to_write());
    assert!(driver.session.queue_bytes() <= 4096, "{}", driver.session.queue_bytes());
}
