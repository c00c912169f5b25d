//! Lanes through the session: what is dropped, and what is written.

use std::collections::BTreeMap;
use std::time::Duration;

use super::compressed::{PARAMS, RSV1, compressing, inflate, payload};
use super::peer::*;
use crate::buffer::Segment;
use crate::limits::LANE_AHEAD;
use crate::session::MessageType::Binary;
use crate::session::lanes::{Lane, Lanes, Outcome, Waiting};
use crate::wire::deflate::Inflater;

fn waiting(driver: &Driver, payload: &[u8]) -> Waiting {
    Waiting {
        message_type: Binary,
        fragment_size: 5000,
        uncompressed: false,
        rsv: 0,
        payload: Segment::copy_of(payload).unwrap(),
        key: 0,
        tag: 0,
        expires: None,
        queued: driver.now,
    }
}

fn with_lanes(mut driver: Driver, priorities: &[u32]) -> Driver {
    let lane = |&priority: &u32| Lane { priority, ..Lane::default() };
    let lanes: Vec<Lane> = priorities.iter().map(lane).collect();
    driver.outbox.lanes = Some(Box::new(Lanes::new(&lanes).unwrap()));
    driver
}

/// Moves the outcomes, and those of the messages that were written or dropped.
fn collect(driver: &mut Driver, outcomes: &mut BTreeMap<u64, Outcome>) {
    let (mut ended, mut found) = (Vec::new(), Vec::new());
    driver.session.take_ended(&mut ended);
    let lanes = driver.outbox.lanes.as_mut().unwrap();
    for (begun, is_written) in ended {
        if is_written {
            lanes.sent(begun);
        } else {
            lanes.lost(begun);
        }
    }
    lanes.take_outcomes(&mut found);
    for (tag, outcome) in found {
        assert_eq!(outcomes.insert(tag, outcome), None, "one outcome for a tag");
    }
}

/// The compressor keeps a window over all messages: one that was compressed and not sent would break the next.
#[test]
fn dropped_messages_do_not_break_compression() {
    for seed in 0..20 {
        let mut random = Random::new(7000 + seed);
        let mut driver = with_lanes(compressing(16 << 20), &[1, 0, 1]);
        let (mut accepted, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
        let (mut added, mut dropped) = (0, 0);
        for tag in 1..=300 {
            let length = 8 + random.length();
            let mut bytes = payload(&mut random, length);
            bytes.splice(..0, u64::to_be_bytes(tag));
            let expires =
                random.one_in(4).then(|| driver.now + Duration::from_millis(random.below(20) as u64));
            let message = Waiting { key: random.below(6) as u64, tag, expires, ..waiting(&driver, &bytes) };
            let lanes = driver.outbox.lanes.as_mut().unwrap();
            let pushed = lanes.push(random.below(3), message, usize::MAX).unwrap();
            (added, dropped) = (added + pushed.added, dropped + pushed.dropped);
            accepted.insert(tag, bytes);
            driver.network_takes = random.below(2000);
            dropped += driver.flush_in(&mut Pieces::Random(random.clone()));
            driver.now += Duration::from_millis(random.below(5) as u64);
            collect(&mut driver, &mut outcomes);
        }
        driver.network_takes = usize::MAX;
        while !driver.outbox.lanes.as_ref().unwrap().is_empty() || driver.session.has_to_write() {
            dropped += driver.flush_in(&mut Pieces::Whole);
        }
        collect(&mut driver, &mut outcomes);
        assert_eq!(driver.payload_written + dropped, added);
        assert_eq!(outcomes.len(), 300);

        let mut inflater = Inflater::new(&PARAMS);
        let (mut sent, mut so_far, mut is_compressed) = (Vec::new(), Vec::new(), false);
        for frame in driver.sent_with(RSV1) {
            if frame.opcode != CONTINUATION {
                is_compressed = frame.rsv == RSV1;
            }
            so_far.extend_from_slice(&frame.payload);
            if frame.fin {
                let bytes = std::mem::take(&mut so_far);
                let bytes = if is_compressed { inflate(&mut inflater, &bytes) } else { bytes };
                let tag = u64::from_be_bytes(bytes[..8].try_into().unwrap());
                assert!(accepted[&tag] == bytes, "seed {seed}, message {tag}");
                sent.push(tag);
            }
        }
        sent.sort_unstable();
        let reported = outcomes.iter().filter(|(_, outcome)| **outcome == Outcome::Sent).map(|(tag, _)| *tag);
        assert_eq!(sent, reported.collect::<Vec<_>>(), "seed {seed}");
        let frames = driver.outbox.frames + driver.session.extra_frames_sent();
        assert_eq!(frames as usize, driver.sent_with(RSV1).len());
    }
}

#[test]
fn little_is_prepared_ahead_of_the_network() {
    const SIZE: usize = 1000;
    let mut driver = with_lanes(Driver::open(), &[1, 0]);
    driver.network_takes = 0;
    for tag in 1..=100 {
        let message = Waiting { tag, ..waiting(&driver, &[0; SIZE]) };
        driver.outbox.lanes.as_mut().unwrap().push(0, message, usize::MAX).unwrap();
    }
    driver.flush();
    let urgent = Waiting { tag: 1000, ..waiting(&driver, b"urgent") };
    driver.outbox.lanes.as_mut().unwrap().push(1, urgent, usize::MAX).unwrap();
    driver.network_takes = usize::MAX;
    for _ in 0..100 {
        driver.flush();
    }
    let at = driver.sent().iter().position(|frame| frame.payload == b"urgent").unwrap();
    assert_eq!(at, LANE_AHEAD.div_ceil(SIZE), "messages had begun before");
    assert_eq!(driver.sent().len(), 101);
}

#[test]
fn close_frame_follows_the_lanes() {
    let mut driver = with_lanes(Driver::open(), &[1, 0]);
    for lane in [0, 1] {
        let message = waiting(&driver, &[lane as u8; 20_000]);
        driver.outbox.lanes.as_mut().unwrap().push(lane, message, usize::MAX).unwrap();
    }
    driver.close(1000, "bye");
    for _ in 0..10 {
        driver.flush();
    }
    let first = |frame: &Sent| (frame.opcode, frame.payload.first().copied());
    let sent: Vec<_> = driver.sent().iter().filter(|frame| frame.opcode != CONTINUATION).map(first).collect();
    assert_eq!(sent, [(BINARY, Some(1)), (BINARY, Some(0)), (CLOSE, Some(3))]);
}

#[test]
fn lost_connection_reports_every_tag() {
    let mut driver = with_lanes(Driver::open(), &[0]);
    for tag in 1..=100 {
        let message = Waiting { tag, ..waiting(&driver, &[0; 1000]) };
        driver.outbox.lanes.as_mut().unwrap().push(0, message, usize::MAX).unwrap();
    }
    driver.network_takes = 5500;
    driver.flush();
    driver.end(None);
    driver.session.lose_messages();
    driver.outbox.close();
    let mut outcomes = BTreeMap::new();
    collect(&mut driver, &mut outcomes);
    assert_eq!(outcomes.len(), 100);
    assert_eq!(outcomes.values().filter(|outcome| **outcome == Outcome::Sent).count(), 5);
}
