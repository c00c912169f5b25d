//! The link with a virtual clock.

use super::*;

const MS: Duration = Duration::from_millis(1);

/// A link and its clock.
struct Clock {
    link: LinkModel,
    start: Instant,
    now: Instant,
}

impl Clock {
    fn new(conditions: LinkConditions) -> Self {
        let start = Instant::now();
        Self { link: LinkModel::new(&conditions, start), start, now: start }
    }

    fn at(&mut self, ms: u32) {
        self.now = self.start + MS * ms;
    }

    /// Lets bytes enter, as far as there is room. Returns how many.
    fn enter(&mut self, direction: Direction, bytes: &[u8]) -> usize {
        let count = self.link.room(direction, self.now).min(bytes.len());
        self.link.enter(direction, &bytes[..count], self.now);
        count
    }

    /// Takes all that has arrived.
    fn take(&mut self, direction: Direction) -> Vec<u8> {
        let mut taken = Vec::new();
        loop {
            let arrived = self.link.arrived(direction, self.now);
            if arrived.is_empty() {
                return taken;
            }
            taken.extend_from_slice(arrived);
            let count = arrived.len();
            self.link.take(direction, count);
        }
    }

    fn elapsed(&self) -> Duration {
        self.now - self.start
    }
}

fn game() -> LinkConditions {
    LinkConditions {
        seed: 7,
        out_delay: 60 * MS,
        in_delay: 60 * MS,
        out_jitter: 20 * MS,
        in_jitter: 20 * MS,
        ..LinkConditions::default()
    }
}

/// Sends a message of one byte every 16 ms, or when there is room. Returns when each has arrived, in milliseconds.
fn trace(conditions: LinkConditions, messages: u32) -> Vec<(u32, u8)> {
    let mut clock = Clock::new(conditions);
    let (mut arrivals, mut waiting) = (Vec::new(), VecDeque::new());
    for ms in 0..messages * 16 + 2000 {
        clock.at(ms);
        if ms % 16 == 0 && ms / 16 < messages {
            waiting.push_back((ms / 16) as u8);
        }
        while let Some(message) = waiting.front()
            && clock.enter(Direction::Out, &[*message]) == 1
        {
            waiting.pop_front();
        }
        arrivals.extend(clock.take(Direction::Out).into_iter().map(|message| (ms, message)));
    }
    arrivals
}

#[test]
fn perfect_link_moves_everything_at_once() {
    let mut clock = Clock::new(LinkConditions::default());
    for direction in [Direction::Out, Direction::In] {
        assert_eq!(clock.enter(direction, b"hello"), 5);
        assert_eq!(clock.link.arrives_at(direction, clock.now), Some(clock.now));
        assert_eq!(clock.take(direction), b"hello");
        assert!(!clock.link.has(direction));
        assert_eq!(clock.link.arrives_at(direction, clock.now), None);
    }
    assert_eq!(round_trip(&LinkConditions::default(), clock.now), Some(Duration::ZERO));
}

#[test]
fn bytes_arrive_after_the_delay_of_their_direction() {
    let conditions = LinkConditions { out_delay: 30 * MS, in_delay: 70 * MS, ..LinkConditions::default() };
    let mut clock = Clock::new(conditions);
    assert_eq!(round_trip(&conditions, clock.now), Some(100 * MS));
    for (direction, delay) in [(Direction::Out, 30), (Direction::In, 70)] {
        clock.at(0);
        clock.enter(direction, b"x");
        assert_eq!(clock.link.arrives_at(direction, clock.now), Some(clock.start + MS * delay));
        clock.at(delay - 1);
        assert!(clock.take(direction).is_empty());
        clock.at(delay);
        assert_eq!(clock.take(direction), b"x");
    }
}

#[test]
fn same_seed_gives_the_same_trace() {
    let conditions = LinkConditions { stall_every: 500 * MS, stall: 90 * MS, ..game() };
    let first = trace(conditions, 200);
    assert_eq!(first.len(), 200);
    assert_eq!(trace(conditions, 200), first);
    assert_ne!(trace(LinkConditions { seed: 8, ..conditions }, 200), first);
}

#[test]
fn jitter_keeps_the_order_and_its_limit() {
    for seed in 0..20 {
        let conditions = LinkConditions { seed, jitter_max: 50 * MS, ..game() };
        let arrivals = trace(conditions, 250);
        assert!(arrivals.iter().map(|(_, message)| u32::from(*message)).eq(0..250), "seed {seed}");
        let mut delays: Vec<u32> =
            arrivals.iter().map(|(ms, message)| ms - u32::from(*message) * 16).collect();
        delays.sort_unstable();
        // Two milliseconds: chunks within one are one, and the clock of the test has steps of one.
        assert!(delays[0] >= 60 && delays[249] <= 60 + 50 + 2, "seed {seed}: {delays:?}");
        assert!(delays[249] - delays[0] > 20, "seed {seed}: {delays:?}");
    }
}

#[test]
fn mean_of_the_jitter_is_the_one_that_was_set() {
    let conditions = game();
    let clock = Clock::new(conditions);
    let intervals = 20_000;
    let sum: Duration = (0..intervals)
        .map(|interval| clock.link.schedule.jitter(&clock.link.out, clock.start + JITTER_INTERVAL * interval))
        .sum();
    let mean = sum / intervals;
    assert!((19 * MS..21 * MS).contains(&mean), "{mean:?}");
}

#[test]
fn rate_holds_over_a_long_time_and_never_exceeds_the_bucket() {
    for (rate, burst) in [(125_000, 0), (1_000_000, 0), (1_000_000, 65_536), (700, 0), (10, 0)] {
        let conditions =
            LinkConditions { in_bytes_per_second: rate, burst_bytes: burst, ..LinkConditions::default() };
        let mut clock = Clock::new(conditions);
        let capacity = u64::from(burst.max(rate / 100).max(packet(rate.into()) as u32));
        let block = vec![0; 1 << 20];
        let (mut moved, mut waits) = (0u64, 0);
        while clock.elapsed() < Duration::from_secs(60) {
            moved += clock.enter(Direction::In, &block) as u64;
            assert_eq!(clock.enter(Direction::In, &block), 0, "the bucket is empty");
            clock.take(Direction::In);
            let allowed = u128::from(rate) * clock.elapsed().as_micros() / 1_000_000;
            assert!(u128::from(moved) <= allowed + u128::from(capacity), "{rate}: {moved} of {allowed}");
            let next = clock.link.room_at(Direction::In, clock.now).unwrap();
            assert!(next > clock.now, "a busy loop");
            clock.now = next;
            waits += 1;
        }
        let expected = u64::from(rate) * 60;
        assert!(moved >= expected - expected / 100 - 2, "{rate}: {moved} of {expected}");
        // Not for every byte.
        assert!(waits <= 60 * 1000, "{rate}: {waits}");
    }
}

#[test]
fn small_messages_pass_a_throttled_link_without_waiting() {
    let mut clock = Clock::new(LinkConditions { out_bytes_per_second: 10_000, ..LinkConditions::default() });
    for ms in (0..2000).step_by(16) {
        clock.at(ms);
        assert_eq!(clock.enter(Direction::Out, &[0; 40]), 40);
    }
}

#[test]
fn link_holds_a_bounded_number_of_bytes_and_chunks() {
    let mut clock = Clock::new(LinkConditions { out_delay: 60_000 * MS, ..LinkConditions::default() });
    let block = vec![0; 1 << 16];
    let mut entered = 0;
    while let n @ 1.. = clock.enter(Direction::Out, &block) {
        entered += n;
    }
    assert_eq!(entered, LINK_BYTES_IN_FLIGHT);
    assert_eq!(clock.link.room_at(Direction::Out, clock.now), None, "only an arrival makes room");
    clock.at(60_001);
    assert_eq!(clock.take(Direction::Out).len(), entered);
    assert!(clock.link.room(Direction::Out, clock.now) > 0);
    // A byte every millisecond for a minute, of which none arrives.
    for ms in 60_001..120_000 {
        clock.at(ms);
        clock.enter(Direction::Out, b"x");
    }
    assert!(clock.link.out.chunks.len() <= MAX_CHUNKS);
    assert_eq!(clock.link.room(Direction::Out, clock.now), 0);
}

#[test]
fn nothing_moves_in_a_stall() {
    let conditions = LinkConditions {
        stall_every: 1000 * MS,
        stall: 300 * MS,
        out_delay: 50 * MS,
        ..LinkConditions::default()
    };
    let mut clock = Clock::new(conditions);
    for ms in [0, 299, 999, 1300, 1999, 2300] {
        clock.at(ms);
        assert!(clock.link.moves(clock.now), "{ms}");
    }
    clock.at(970);
    assert_eq!(clock.enter(Direction::Out, b"x"), 1);
    assert_eq!(clock.link.arrives_at(Direction::Out, clock.now), Some(clock.start + 1300 * MS));
    for ms in [1000, 1020, 1299] {
        clock.at(ms);
        assert!(!clock.link.moves(clock.now));
        assert_eq!(clock.enter(Direction::Out, b"y"), 0);
        assert_eq!(clock.link.room_at(Direction::Out, clock.now), Some(clock.start + 1300 * MS));
        assert_eq!(clock.link.arrives_at(Direction::Out, clock.now), Some(clock.start + 1300 * MS));
        assert!(clock.take(Direction::Out).is_empty());
    }
    clock.at(1300);
    assert_eq!(clock.take(Direction::Out), b"x");
}

#[test]
fn cut_that_stalls_ends_with_a_change_of_the_conditions() {
    let conditions = LinkConditions { in_delay: 40 * MS, ..LinkConditions::default() };
    let mut clock = Clock::new(conditions);
    clock.enter(Direction::In, b"before");
    clock.link.set(Some(&LinkConditions { cut: LinkCut::Stall, ..conditions }), clock.now);
    clock.at(3_600_000);
    assert_eq!(clock.enter(Direction::In, b"x"), 0);
    assert!(clock.take(Direction::In).is_empty());
    for at in [
        clock.link.arrives_at(Direction::In, clock.now),
        clock.link.room_at(Direction::In, clock.now),
        clock.link.room_at(Direction::Out, clock.now),
        clock.link.dies_at(),
    ] {
        assert_eq!(at, None, "no timer");
    }
    assert_eq!(clock.link.end(clock.now), None);
    clock.link.set(Some(&conditions), clock.now);
    assert_eq!(clock.take(Direction::In), b"before");
    assert_eq!(clock.enter(Direction::In, b"after"), 5);
}

#[test]
fn half_open_link_loses_everything_until_the_kernel_would_end_it() {
    for (writes, dies) in [(false, 30), (true, 20)] {
        let mut clock = Clock::new(LinkConditions::default());
        clock.enter(Direction::In, b"in flight");
        clock
            .link
            .set(Some(&LinkConditions { cut: LinkCut::HalfOpen, ..LinkConditions::default() }), clock.now);
        assert!(clock.take(Direction::In).is_empty());
        if writes {
            assert_eq!(clock.enter(Direction::Out, b"lost"), 4);
        }
        assert_eq!(clock.enter(Direction::In, b"lost"), 4);
        assert!(!clock.link.has(Direction::Out) && !clock.link.has(Direction::In));
        // There is no way back.
        clock.link.set(None, clock.now);
        assert!(clock.link.loses());
        let dies = clock.start + Duration::from_secs(dies);
        assert_eq!(clock.link.dies_at(), Some(dies));
        assert_eq!(clock.link.end(dies - MS), None);
        assert_eq!(clock.link.end(dies), Some(LinkEnd::TimedOut));
    }
}

#[test]
fn reset_and_end_are_final() {
    for (cut, end) in [(LinkCut::Reset, LinkEnd::Reset), (LinkCut::End, LinkEnd::EndOfStream)] {
        let mut clock = Clock::new(LinkConditions { cut, ..LinkConditions::default() });
        assert_eq!(clock.link.end(clock.now), Some(end));
        clock.link.set(None, clock.now);
        assert_eq!(clock.link.end(clock.now), Some(end));
    }
}

#[test]
fn cut_links_establish_no_connection() {
    let now = Instant::now();
    for (cut, expected) in [
        (LinkCut::Stall, None),
        (LinkCut::HalfOpen, None),
        (LinkCut::Refuse, Some(120 * MS)),
        (LinkCut::Reset, Some(120 * MS)),
    ] {
        let conditions =
            LinkConditions { cut, out_jitter: Duration::ZERO, in_jitter: Duration::ZERO, ..game() };
        assert_eq!(round_trip(&conditions, now), expected);
    }
    assert!(round_trip(&game(), now).unwrap() >= 120 * MS);
}

#[test]
fn order_is_kept_when_the_delay_becomes_shorter() {
    let mut clock = Clock::new(LinkConditions { out_delay: 500 * MS, ..LinkConditions::default() });
    clock.enter(Direction::Out, b"first");
    clock.at(10);
    clock.link.set(Some(&LinkConditions { out_delay: 10 * MS, ..LinkConditions::default() }), clock.now);
    clock.enter(Direction::Out, b"second");
    clock.at(499);
    assert!(clock.take(Direction::Out).is_empty(), "what is in flight keeps its time");
    clock.at(501);
    assert_eq!(clock.take(Direction::Out), b"firstsecond");
    // Without conditions there is no delay either.
    clock.enter(Direction::Out, b"third");
    clock.link.set(None, clock.now);
    clock.enter(Direction::Out, b"fourth");
    assert_eq!(clock.take(Direction::Out), b"thirdfourth");
}

/// Random numbers of bytes at random times over a link whose conditions change: none is lost, none overtakes.
#[test]
fn every_byte_arrives_once_and_in_order() {
    for seed in 0..50 {
        let mut state = seed;
        let mut random = |below: u64| {
            state = mix(state);
            state % below
        };
        let mut clock = Clock::new(game());
        let (mut sent, mut received) = (0u64, 0u64);
        let mut ms = 0;
        while received < 200_000 {
            ms += random(30) as u32;
            clock.at(ms);
            if random(40) == 0 {
                let conditions = LinkConditions {
                    seed: random(9) as u32,
                    in_delay: MS * random(200) as u32,
                    in_jitter: MS * random(50) as u32,
                    in_bytes_per_second: [0, 10_000, 300_000][random(3) as usize],
                    stall_every: 200 * MS,
                    stall: MS * random(100) as u32,
                    ..LinkConditions::default()
                };
                let chosen = (random(5) > 0).then_some(&conditions);
                clock.link.set(chosen, clock.now);
            }
            let bytes: Vec<u8> = (0..random(5000)).map(|at| (sent + at) as u8).collect();
            sent += clock.enter(Direction::In, &bytes) as u64;
            for byte in clock.take(Direction::In) {
                assert_eq!(byte, received as u8, "seed {seed}");
                received += 1;
            }
        }
        assert!(received <= sent);
    }
}
