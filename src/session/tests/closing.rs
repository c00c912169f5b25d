//! Every connection ends once, with a reason, and with at most one close frame.

use std::time::Duration;

use super::peer::*;
use crate::error::{Error, ErrorKind, Phase};
use crate::session::MessageType::{Binary, Text};
use crate::session::Settings;
use crate::session::liveness::PingSettings;

const MS: Duration = Duration::from_millis(1);

fn lost() -> Error {
    Error::new(ErrorKind::Io, Phase::Open, "the cable is cut")
}

#[test]
fn the_peers_close_is_answered_with_its_code_and_told_once() {
    for (code, reason) in [(1000, ""), (1001, "bye"), (4999, "größer"), (3000, &"x".repeat(123)[..])] {
        for mut pieces in Pieces::all() {
            let mut driver = Driver::open();
            driver.feed(&frame(true, TEXT, b"last words"), &mut pieces);
            driver.feed(&close_frame(code, reason), &mut pieces);
            assert_eq!(driver.over(), Told::Closed(code, reason.to_owned()));
            assert_eq!(driver.told[0], Told::Message(Text, b"last words".to_vec()));
            assert_eq!(driver.sent_close(), (code, String::new()));
        }
    }
    let mut driver = Driver::open();
    driver.feed(&frame(true, CLOSE, b""), &mut Pieces::Single);
    assert_eq!(driver.over(), Told::Closed(1005, String::new()));
    assert_eq!(driver.sent()[0].payload, b"");
}

#[test]
fn a_close_between_fragments_is_a_close() {
    for stream in [false, true] {
        for begun in [frame(false, BINARY, b"never finished"), frame(false, BINARY, &[0; 100_000])] {
            let mut driver = Driver::open();
            driver.stream = stream;
            driver.feed(&begun, &mut Pieces::Whole);
            driver.feed(&close_frame(1001, "restart"), &mut Pieces::Single);
            assert_eq!(driver.over(), Told::Closed(1001, "restart".to_owned()));
        }
    }
}

#[test]
fn our_close_follows_what_was_queued_and_ends_with_the_answer() {
    let mut driver = Driver::open();
    driver.send(Binary, &[1; 300_000], 32_767);
    driver.close(4000, "done");
    driver.network_takes = 1000;
    driver.flush();
    driver
        .feed(&[frame(true, TEXT, b"still reading"), frame(true, PING, b"p")].concat(), &mut Pieces::Single);
    driver.network_takes = usize::MAX;
    driver.flush();
    assert_eq!(driver.sent_close(), (4000, "done".to_owned()));
    let frames = driver.sent();
    assert_eq!(
        frames.iter().filter(|frame| frame.opcode < 8).map(|frame| frame.payload.len()).sum::<usize>(),
        300_000
    );
    assert_eq!(driver.payload_written, 300_000);
    // Until the close frame is on its way a ping is answered (section 5.5.2), afterwards no more.
    assert_eq!(frames.iter().filter(|frame| frame.opcode == PONG).count(), 1);
    driver.feed(&frame(true, PING, b"too late"), &mut Pieces::Whole);
    driver.feed(&frame(true, TEXT, b"and still"), &mut Pieces::Whole);
    driver.flush();
    assert_eq!(driver.sent().len(), frames.len());
    driver.feed(&close_frame(4000, ""), &mut Pieces::Single);
    assert_eq!(driver.over(), Told::Closed(4000, String::new()));
    assert_eq!(driver.told.len(), 3);
}

#[test]
fn a_close_that_is_not_answered_ends_at_the_timeout_with_1006() {
    let mut driver = Driver::open();
    driver.close(1000, "");
    driver.flush();
    driver.pass(Duration::from_secs(5) - MS);
    driver.feed(&frame(true, TEXT, b"talking is no answer"), &mut Pieces::Whole);
    assert_eq!(driver.told.len(), 1);
    driver.pass(MS);
    let Told::Closed(1006, reason) = driver.over() else { panic!("{:?}", driver.told) };
    assert!(reason.contains("5000 ms"), "{reason}");
}

#[test]
fn the_close_timeout_does_not_cut_off_data_that_still_moves() {
    let mut driver = Driver::open();
    driver.send(Binary, &[1; 10_000], 32_767);
    driver.close(1000, "");
    for _ in 0..9 {
        driver.network_takes = 1000;
        driver.flush();
        driver.pass(Duration::from_secs(4));
        assert_eq!(driver.told, []);
    }
    driver.network_takes = usize::MAX;
    driver.flush();
    assert_eq!(driver.payload_written, 10_000);
    driver.pass(Duration::from_secs(4));
    assert_eq!(driver.told, [], "the answer has its time from the frame on");
    driver.pass(Duration::from_secs(6));
    assert!(matches!(driver.over(), Told::Closed(1006, _)));
}

#[test]
fn a_close_behind_data_that_does_not_move_ends_at_the_timeout() {
    let mut driver = Driver::open();
    driver.send(Binary, &[1; 10_000], 32_767);
    driver.close(1000, "");
    driver.network_takes = 1000;
    driver.flush();
    driver.pass(Duration::from_secs(5) - MS);
    assert_eq!(driver.told, []);
    driver.pass(MS);
    assert!(matches!(driver.over(), Told::Closed(1006, _)));
}

#[test]
fn closes_that_cross_leave_one_close_frame_wherever_ours_was_interrupted() {
    let queue = |driver: &mut Driver| {
        driver.send(Text, b"queued", 1000);
        driver.send(Binary, &[3; 50], 16);
        driver.close(1000, "ours");
    };
    let mut whole = Driver::open();
    queue(&mut whole);
    whole.flush();
    for cut in 0..=whole.wire.len() {
        let mut driver = Driver::open();
        queue(&mut driver);
        driver.network_takes = cut;
        driver.flush();
        driver.feed(&close_frame(1001, "theirs"), &mut Pieces::Whole);
        driver.network_takes = usize::MAX;
        assert_eq!(driver.over(), Told::Closed(1001, "theirs".to_owned()), "cut at {cut}");
        let (code, _) = driver.sent_close();
        assert!(code == 1000 || code == 1001, "cut at {cut}");
    }
}

#[test]
fn a_breach_leaves_one_close_frame_wherever_our_writing_was_interrupted() {
    let queue = |driver: &mut Driver| {
        driver.send(Text, b"queued", 1000);
        driver.send(Binary, &[3; 50], 16);
        driver.close(1000, "ours");
    };
    let mut whole = Driver::open();
    queue(&mut whole);
    whole.flush();
    for cut in 0..=whole.wire.len() {
        let mut driver = Driver::open();
        queue(&mut driver);
        driver.network_takes = cut;
        driver.flush();
        driver.feed(&[frame(false, TEXT, b"partial"), vec![0x83]].concat(), &mut Pieces::Single);
        driver.network_takes = usize::MAX;
        let Told::Failed(error) = driver.over() else { panic!("cut at {cut}") };
        assert_eq!(error.kind, ErrorKind::Protocol);
        let (code, _) = driver.sent_close();
        assert!(code == 1000 || code == 1002, "cut at {cut}");
    }
}

#[test]
fn answers_to_what_came_before_a_breach_go_before_the_close_frame() {
    let mut driver = Driver::open();
    driver.send(Text, b"queued", 1000);
    driver.feed(&[frame(true, PING, b"ping"), vec![0x83, 0]].concat(), &mut Pieces::Whole);
    driver.send(Text, b"answer", 1000);
    driver.close(1000, "ours");
    assert!(matches!(driver.over(), Told::Failed(_)));
    assert_eq!(driver.sent_close().0, 1002);
    let payloads: Vec<_> = driver.sent().into_iter().map(|frame| frame.payload).collect();
    assert_eq!(payloads[..3], [b"ping".to_vec(), b"queued".to_vec(), b"answer".to_vec()]);
    assert_eq!(payloads.len(), 4);
}

#[test]
fn a_close_frame_that_is_held_back_waits_for_the_last_words() {
    let mut driver = Driver::open();
    assert!(!driver.session.hold_close(), "there is none yet");
    driver.feed(&[0x83, 0], &mut Pieces::Whole);
    assert!(driver.session.hold_close());
    for n in 1..=2 {
        assert!(!driver.session.has_to_write());
        driver.send(Text, b"answer", 1000);
        driver.flush();
        assert_eq!(driver.sent().len(), n);
    }
    driver.close(1000, "ours");
    driver.flush();
    assert_eq!(driver.sent().len(), 2, "one close frame is enough");
    driver.send(Text, b"last", 1000);
    driver.session.last_words(&mut driver.outbox, driver.now);
    assert!(matches!(driver.over(), Told::Failed(_)));
    assert_eq!(driver.sent_close().0, 1002);
    assert_eq!(driver.sent()[2].payload, b"last");
    assert_eq!(driver.sent().len(), 4);
}

#[test]
fn a_close_frame_does_not_wait_for_very_much() {
    let mut driver = Driver::open();
    driver.send(Binary, &[1; 400_000], 1 << 20);
    driver.network_takes = 1000;
    driver.flush();
    driver.send(Binary, &[2; 400_000], 1 << 20);
    driver.feed(&[0x83, 0], &mut Pieces::Whole);
    driver.session.last_words(&mut driver.outbox, driver.now);
    driver.network_takes = usize::MAX;
    assert!(matches!(driver.over(), Told::Failed(_)));
    assert_eq!(driver.sent_close().0, 1002);
    assert_eq!(driver.sent()[0].payload, [1; 400_000], "what has begun to leave is ended");
    assert_eq!(driver.sent().len(), 2);
}

#[test]
fn nobody_listens_any_more_leaves_one_close_frame_too() {
    let mut whole = Driver::open();
    whole.send(Text, b"queued", 1000);
    whole.close(1000, "ours");
    whole.flush();
    for cut in 0..=whole.wire.len() {
        let mut driver = Driver::open();
        driver.send(Text, b"queued", 1000);
        driver.close(1000, "ours");
        driver.network_takes = cut;
        driver.flush();
        driver.session.leave(&mut driver.outbox);
        driver.network_takes = usize::MAX;
        driver.flush();
        assert!(driver.session.is_done());
        let (code, _) = driver.sent_close();
        assert!(code == 1000 || code == 1001, "cut at {cut}");
    }
}

#[test]
fn the_end_of_the_stream_is_told_by_state() {
    for error in [None, Some(lost())] {
        let mut opening = Driver::asked(&settings());
        opening.feed(b"HTTP/1.1 101 Swi", &mut Pieces::Whole);
        opening.end(error.clone());
        let Told::Failed(told) = opening.over() else { panic!("opening") };
        assert_eq!(told.kind, if error.is_some() { ErrorKind::Io } else { ErrorKind::Reset });
        assert!(told.retriable);

        for partial in [&[][..], &[0x82], &frame(false, TEXT, b"abc"), &frame(true, TEXT, b"abc")[..4]] {
            let mut open = Driver::open();
            open.send(Text, b"unsent", 1000);
            open.network_takes = 3;
            open.flush();
            open.feed(partial, &mut Pieces::Whole);
            open.end(error.clone());
            open.network_takes = usize::MAX;
            let Told::Failed(told) = open.over() else { panic!("open") };
            assert_eq!(told.phase, Phase::Open);
            assert_eq!(open.wire.len(), 3, "nothing goes to a peer that is gone");
        }

        for network_takes in [0, 3, usize::MAX] {
            let mut closing = Driver::open();
            closing.close(1000, "");
            closing.network_takes = network_takes;
            closing.flush();
            closing.end(error.clone());
            assert!(matches!(closing.over(), Told::Closed(1006, _)));
        }

        let mut done = Driver::open();
        done.feed(&close_frame(1000, ""), &mut Pieces::Whole);
        done.flush();
        done.end(error);
        assert_eq!(done.over(), Told::Closed(1000, String::new()));
    }
}

#[test]
fn an_answer_that_nobody_takes_does_not_keep_the_session_busy() {
    let mut driver = Driver::open();
    driver.send(Binary, &[0; 5000], 1000);
    driver.network_takes = 100;
    driver.flush();
    driver.feed(&close_frame(1000, ""), &mut Pieces::Whole);
    driver.flush();
    assert!(driver.session.has_to_write());
    driver.pass(Duration::from_secs(60));
    assert!(!driver.session.has_to_write());
    assert_eq!(driver.over(), Told::Closed(1000, String::new()));
}

#[test]
fn nothing_that_was_pushed_behind_the_close_is_sent() {
    let mut driver = Driver::open();
    driver.send(Text, b"before", 1000);
    driver.close(1000, "");
    driver.session.ping(b"ahead of it");
    driver.flush();
    driver.session.ping(b"behind it");
    driver.feed(&frame(true, PING, b"asked behind it"), &mut Pieces::Whole);
    driver.flush();
    driver.sent_close();
    assert_eq!(driver.sent().len(), 3);
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    let pings =
        PingSettings { enabled: true, frequency: Duration::from_secs(1), patience: Duration::from_secs(2) };
    let mut driver = Driver::with(&Settings { pings, ..settings() });
    for n in 1..=10 {
        driver.pass(Duration::from_secs(n) - driver.elapsed());
        let ping = driver.sent().last().cloned().unwrap();
        assert_eq!(ping.opcode, PING);
        driver.now += 30 * MS;
        driver.feed(&frame(true, PONG, &ping.payload), &mut Pieces::Single);
        assert_eq!(driver.session.latency(), Some(30 * MS));
    }
    assert_eq!((driver.session.pings_sent(), driver.session.pongs_received()), (10, 10));
    driver.pass(Duration::from_secs(1));
    driver.feed(&header(true, BINARY, 1000), &mut Pieces::Whole);
    driver.pass(Duration::from_secs(1));
    assert_eq!(driver.session.pings_sent(), 12, "half a header was a sign of life");
    let since = driver.elapsed();
    driver.pass(Duration::from_secs(60));
    assert!(driver.told.last().unwrap().is_terminal());
    assert!(since < Duration::from_secs(13));
    let Told::Failed(error) = driver.over() else { panic!("not failed") };
    assert_eq!((error.kind, error.phase), (ErrorKind::PingTimeout, Phase::Open));
    assert!(!driver.sent().iter().any(|frame| frame.opcode == CLOSE));
}

#[test]
fn pings_stop_where_closing_begins() {
    let pings =
        PingSettings { enabled: true, frequency: Duration::from_secs(1), patience: Duration::from_secs(2) };
    let mut driver = Driver::with(&Settings { pings, ..settings() });
    driver.close(1000, "");
    driver.flush();
    driver.pass(Duration::from_secs(10));
    assert!(matches!(driver.over(), Told::Closed(1006, _)));
    assert_eq!(driver.sent().len(), 1);
}
