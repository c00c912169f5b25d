use std::time::Duration;

use super::*;
use crate::random::Random;

fn message(len: usize, start: Instant) -> Waiting {
    Waiting {
        message_type: MessageType::Binary,
        fragment_size: 1000,
        uncompressed: false,
        rsv: 0,
        payload: Segment::copy_of(&vec![7; len]).unwrap(),
        key: 0,
        tag: 0,
        expires: None,
        queued: start,
    }
}

fn lane(priority: u32, weight: u32) -> Lane {
    Lane { priority, weight, max_bytes: 0 }
}

const ROOM: usize = 1 << 20;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn outcomes(lanes: &mut Lanes) -> Vec<(u64, Outcome)> {
    let mut taken = Vec::new();
    lanes.take_outcomes(&mut taken);
    taken
}

/// Begins everything; returns lanes and tags.
fn drain(lanes: &mut Lanes, now: Instant) -> Vec<(usize, u64)> {
    std::iter::from_fn(|| lanes.next(now, &mut 0)).map(|(lane, message)| (lane, message.tag)).collect()
}

#[test]
fn lower_priority_number_goes_first() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[lane(5, 1), lane(1, 1), lane(3, 1)]).unwrap();
    for (at, tag) in [(0, 1), (2, 2), (1, 3), (0, 4), (1, 5)] {
        lanes.push(at, Waiting { tag, ..message(10, now) }, ROOM).unwrap();
    }
    assert_eq!(drain(&mut lanes, now), [(1, 3), (1, 5), (2, 2), (0, 1), (0, 4)]);
}

#[test]
fn equals_share_by_weight_in_bytes() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[lane(0, 3), lane(0, 1)]).unwrap();
    for _ in 0..400 {
        lanes.push(0, message(94, now), ROOM).unwrap();
        // Headers count: 4 bytes more for each message of the other.
        lanes.push(1, message(492, now), ROOM).unwrap();
    }
    let mut bytes = [0; 2];
    while bytes[0] + bytes[1] < 30_000 {
        let (at, taken) = lanes.next(now, &mut 0).unwrap();
        bytes[at] += taken.payload.len() + header_len(taken.payload.len(), true);
    }
    assert!((22_000..=23_000).contains(&bytes[0]), "{bytes:?}");
}

#[test]
fn idle_lane_earns_no_credit() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[lane(0, 1), lane(0, 1)]).unwrap();
    for _ in 0..1000 {
        lanes.push(0, message(94, now), ROOM).unwrap();
    }
    for _ in 0..500 {
        assert_eq!(lanes.next(now, &mut 0).unwrap().0, 0);
    }
    for _ in 0..500 {
        lanes.push(1, message(94, now), ROOM).unwrap();
    }
    let first: Vec<usize> = (0..20).map(|_| lanes.next(now, &mut 0).unwrap().0).collect();
    assert_eq!(first.iter().sum::<usize>(), 10, "{first:?}");
}

#[test]
fn replacement_keeps_its_place_and_reports_its_predecessor() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[]).unwrap();
    for tag in 1..=3 {
        lanes.push(0, Waiting { tag, key: tag, ..message(10, now) }, ROOM).unwrap();
    }
    let replaced = lanes.push(0, Waiting { tag: 9, key: 2, ..message(4, now) }, ROOM);
    assert_eq!(replaced.ok(), Some(Pushed { added: 4, dropped: 10 }));
    assert_eq!(outcomes(&mut lanes), [(2, Outcome::Replaced)]);
    assert_eq!(lanes.stats(0, now).unwrap().waiting_bytes, 24);
    assert_eq!(drain(&mut lanes, now), [(0, 1), (0, 9), (0, 3)]);
    // Nothing with this key waits any longer.
    lanes.push(0, Waiting { tag: 10, key: 2, ..message(4, now) }, ROOM).unwrap();
    assert_eq!(drain(&mut lanes, now), [(0, 10)]);
}

#[test]
fn keys_belong_to_a_lane() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[lane(0, 1), lane(1, 1)]).unwrap();
    for (at, tag) in [(0, 1), (1, 2)] {
        lanes.push(at, Waiting { tag, key: u64::MAX, ..message(10, now) }, ROOM).unwrap();
    }
    assert_eq!(drain(&mut lanes, now), [(0, 1), (1, 2)]);
}

#[test]
fn replacement_that_is_not_longer_is_accepted_by_a_full_lane() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[Lane { max_bytes: 10, ..Lane::default() }]).unwrap();
    lanes.push(0, Waiting { key: 1, ..message(10, now) }, ROOM).unwrap();
    let blocked = |result: Result<Pushed, CallError>| result.err().map(|error| error.code);
    assert_eq!(blocked(lanes.push(0, message(1, now), ROOM)), Some(Code::WouldBlock));
    assert_eq!(blocked(lanes.push(0, Waiting { key: 1, ..message(11, now) }, ROOM)), Some(Code::WouldBlock));
    assert_eq!(blocked(lanes.push(0, Waiting { key: 1, ..message(10, now) }, 0)), None);
    assert_eq!(lanes.stats(0, now).unwrap().waiting_messages, 1);
}

#[test]
fn expired_messages_are_dropped_at_the_head_and_by_the_sweep() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[]).unwrap();
    for (tag, expires) in [(1, Some(5)), (2, None), (3, Some(5)), (4, Some(9))] {
        let expires = expires.map(|after| now + ms(after));
        lanes.push(0, Waiting { tag, expires, ..message(10, now) }, ROOM).unwrap();
    }
    assert_eq!(lanes.expiry(), Some(now + ms(5)));
    assert_eq!(lanes.sweep(now + ms(4)), 0);
    let mut dropped = 0;
    assert_eq!(lanes.next(now + ms(5), &mut dropped).map(|(_, taken)| taken.tag), Some(2));
    assert_eq!(dropped, 10);
    assert_eq!(lanes.sweep(now + ms(5)), 10);
    assert_eq!(outcomes(&mut lanes), [(1, Outcome::Expired), (3, Outcome::Expired)]);
    assert_eq!(lanes.expiry(), Some(now + ms(9)));
    assert_eq!(lanes.sweep(now + ms(9)), 10);
    assert!(lanes.is_empty() && lanes.expiry().is_none());
}

#[test]
fn expired_messages_make_room() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[Lane { max_bytes: 10, ..Lane::default() }]).unwrap();
    lanes.push(0, Waiting { expires: Some(now + ms(1)), ..message(10, now) }, ROOM).unwrap();
    let pushed = lanes.push(0, Waiting { queued: now + ms(1), ..message(5, now) }, 0);
    assert_eq!(pushed.ok(), Some(Pushed { added: 5, dropped: 10 }));
}

#[test]
fn what_a_refused_message_has_dropped_is_counted_later() {
    let now = Instant::now();
    let lanes = [Lane { max_bytes: 10, ..Lane::default() }, Lane::default()];
    let mut lanes = Lanes::new(&lanes).unwrap();
    lanes.push(0, message(10, now), ROOM).unwrap();
    lanes.push(1, Waiting { expires: Some(now + ms(1)), ..message(7, now) }, ROOM).unwrap();
    let refused = lanes.push(0, Waiting { queued: now + ms(1), ..message(5, now) }, ROOM);
    assert_eq!(refused.err().map(|error| error.code), Some(Code::WouldBlock));
    assert_eq!(lanes.sweep(now + ms(1)), 7);
    assert_eq!(lanes.sweep(now + ms(1)), 0);
}

#[test]
fn number_of_waiting_messages_is_bounded() {
    let now = Instant::now();
    let mut lanes = Lanes::new(&[]).unwrap();
    for _ in 0..MAX_WAITING_MESSAGES {
        lanes.push(0, message(0, now), ROOM).unwrap();
    }
    assert_eq!(lanes.push(0, message(0, now), ROOM).err().map(|error| error.code), Some(Code::WouldBlock));
}

#[test]
fn settings_out_of_range_are_rejected() {
    let code = |lanes: &[Lane]| Lanes::new(lanes).err().map(|error| error.code);
    assert_eq!(code(&[Lane::default(); MAX_LANES + 1]), Some(Code::InvalidArgument));
    assert_eq!(code(&[lane(0, 0)]), Some(Code::InvalidArgument));
    assert_eq!(code(&[lane(0, MAX_LANE_WEIGHT + 1)]), Some(Code::InvalidArgument));
    let now = Instant::now();
    let mut lanes = Lanes::new(&[lane(u32::MAX, MAX_LANE_WEIGHT), lane(0, 1)]).unwrap();
    assert_eq!(
        lanes.push(2, message(1, now), ROOM).err().map(|error| error.code),
        Some(Code::InvalidArgument)
    );
    lanes.push(1, message(1, now), ROOM).unwrap();
    assert_eq!(lanes.set(&[]).err().map(|error| error.code), Some(Code::InvalidState));
    assert_eq!(drain(&mut lanes, now), [(1, 0)]);
    assert!(lanes.set(&[]).is_ok());
}

/// Compares random operations with a plain list.
#[test]
fn random_operations_match_a_plain_list() {
    struct Plain {
        lane: usize,
        len: usize,
        key: u64,
        tag: u64,
        expires: Option<u64>,
    }
    let start = Instant::now();
    let mut random = Random::new(1);
    let mut below = |bound: u64| random.next() % bound;
    // Priorities differ, so the order is determined.
    const PRIORITIES: [u32; 4] = [2, 0, 3, 1];
    let mut lanes = Lanes::new(&PRIORITIES.map(|priority| lane(priority, 1))).unwrap();
    let (mut list, mut expected, mut found) = (Vec::<Plain>::new(), Vec::new(), Vec::new());
    let (mut now, mut tag, mut bytes) = (0, 0, 0_isize);
    for _ in 0..200_000 {
        now += below(2);
        let time = start + ms(now);
        match below(20) {
            0..=10 => {
                tag += 1;
                let (at, key, len) = (below(4) as usize, below(4), below(50) as usize);
                let expires = (below(3) == 0).then(|| now + below(30));
                let waiting = Waiting {
                    key,
                    tag,
                    expires: expires.map(|at| start + ms(at)),
                    queued: time,
                    ..message(len, time)
                };
                let pushed = lanes.push(at, waiting, ROOM).unwrap();
                bytes += pushed.added as isize - pushed.dropped as isize;
                let new = Plain { lane: at, len, key, tag, expires };
                match list.iter_mut().find(|old| key != 0 && (old.lane, old.key) == (at, key)) {
                    Some(old) => {
                        expected.push((old.tag, Outcome::Replaced));
                        *old = new;
                    }
                    None => list.push(new),
                }
            }
            11..=18 => {
                let mut dropped = 0;
                let next = lanes.next(time, &mut dropped);
                bytes -= dropped as isize;
                list.sort_by_key(|message| PRIORITIES[message.lane]);
                let live = list.iter().position(|message| message.expires.is_none_or(|at| at > now));
                let until = live.unwrap_or(list.len());
                expected.extend(list.drain(..until).map(|message| (message.tag, Outcome::Expired)));
                let plain = if list.is_empty() { None } else { Some(list.remove(0)) };
                assert_eq!(
                    next.as_ref().map(|(at, message)| (*at, message.tag, message.payload.len())),
                    plain.as_ref().map(|message| (message.lane, message.tag, message.len))
                );
                if let Some((lane, message)) = next {
                    bytes -= message.payload.len() as isize;
                    lanes.sent(Begun { lane, tag: message.tag, waited_us: 0 });
                    expected.push((message.tag, Outcome::Sent));
                }
            }
            _ => {
                bytes -= lanes.sweep(time) as isize;
                let expired = |message: &Plain| message.expires.is_some_and(|at| at <= now);
                for at in 0..PRIORITIES.len() {
                    let of_lane = list.iter().filter(|message| message.lane == at && expired(message));
                    expected.extend(of_lane.map(|message| (message.tag, Outcome::Expired)));
                }
                list.retain(|message| !expired(message));
            }
        }
        lanes.take_outcomes(&mut found);
        assert_eq!(bytes as usize, list.iter().map(|message| message.len).sum::<usize>());
        assert_eq!(lanes.is_empty(), list.is_empty());
    }
    expected.extend({
        list.sort_by_key(|message| message.lane);
        list.iter().map(|message| (message.tag, Outcome::Lost))
    });
    lanes.clear();
    lanes.take_outcomes(&mut found);
    assert_eq!(found.len() as u64, tag, "one outcome for each tag");
    assert_eq!(found, expected);
}
