//! Every connection ends once, with a reason and at most one close frame.

use std::time::Duration;

use super::peer::*;
use crate::error::{Error, ErrorKind, Phase};
use crate::session::MessageType::{Binary, Text};
use crate::session::Settings;
use crate::session::keepalive::PingSettings;

const MS: Duration = Duration::from_millis(1);

fn lost() -> Error {
    Error::new(ErrorKind::Io, Phase::Open, "the cable is cut")
}

#[test]
fn peer_close_is_answered_with_its_code_and_reported_once() {
    for (code, reason) in [(1000, ""), (1001, "bye"), (4999, "größer"), (3000, &"x".repeat(123)[..])] {
        for mut pieces in Pieces::all() {
            let mut driver = Driver::open();
            driver.feed(&frame(true, TEXT, b"last words"), &mut pieces);
            driver.feed(&close_frame(code, reason), &mut pieces);
            assert_eq!(driver.over(), Event::Closed(code, reason.to_owned()));
            assert_eq!(driver.events[0], Event::Message(Text, b"last words".to_vec()));
            assert_eq!(driver.sent_close(), (code, String::new()));
        }
    }
    let mut driver = Driver::open();
    driver.feed(&frame(true, CLOSE, b""), &mut Pieces::Single);
    assert_eq!(driver.over(), Event::Closed(1005, String::new()));
    assert_eq!(driver.sent()[0].payload, b"");
}

#[test]
fn close_between_fragments_is_accepted() {
    for stream in [false, true] {
        for begun in [frame(false, BINARY, b"never finished"), frame(false, BINARY, &[0; 100_000])] {
            let mut driver = Driver::open();
            driver.stream = stream;
            driver.feed(&begun, &mut Pieces::Whole);
            driver.feed(&close_frame(1001, "restart"), &mut Pieces::Single);
            assert_eq!(driver.over(), Event::Closed(1001, "restart".to_owned()));
        }
    }
}

#[test]
fn close_follows_queued_data_and_ends_with_reply() {
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
    // Pings are answered until the close frame is written (section 5.5.2).
    assert_eq!(frames.iter().filter(|frame| frame.opcode == PONG).count(), 1);
    driver.feed(&frame(true, PING, b"too late"), &mut Pieces::Whole);
    driver.feed(&frame(true, TEXT, b"and still"), &mut Pieces::Whole);
    driver.flush();
    assert_eq!(driver.sent().len(), frames.len());
    driver.feed(&close_frame(4000, ""), &mut Pieces::Single);
    assert_eq!(driver.over(), Event::Closed(4000, String::new()));
    assert_eq!(driver.events.len(), 3);
}

#[test]
fn unanswered_close_ends_at_timeout_with_1006() {
    let mut driver = Driver::open();
    driver.close(1000, "");
    driver.flush();
    driver.pass(Duration::from_secs(5) - MS);
    driver.feed(&frame(true, TEXT, b"not a close frame"), &mut Pieces::Whole);
    assert_eq!(driver.events.len(), 1);
    driver.pass(MS);
    let Event::Closed(1006, reason) = driver.over() else { panic!("{:?}", driver.events) };
    assert!(reason.contains("5000 ms"), "{reason}");
}

#[test]
fn close_timeout_does_not_cut_off_data_in_progress() {
    let mut driver = Driver::open();
    driver.send(Binary, &[1; 10_000], 32_767);
    driver.close(1000, "");
    for _ in 0..9 {
        driver.network_takes = 1000;
        driver.flush();
        driver.pass(Duration::from_secs(4));
        assert_eq!(driver.events, []);
    }
    driver.network_takes = usize::MAX;
    driver.flush();
    assert_eq!(driver.payload_written, 10_000);
    driver.pass(Duration::from_secs(4));
    assert_eq!(driver.events, [], "the timeout starts with the close frame");
    driver.pass(Duration::from_secs(6));
    assert!(matches!(driver.over(), Event::Closed(1006, _)));
}

#[test]
fn close_behind_stalled_data_ends_at_timeout() {
    let mut driver = Driver::open();
    driver.send(Binary, &[1; 10_000], 32_767);
    driver.close(1000, "");
    driver.network_takes = 1000;
    driver.flush();
    driver.pass(Duration::from_secs(5) - MS);
    assert_eq!(driver.events, []);
    driver.pass(MS);
    assert!(matches!(driver.over(), Event::Closed(1006, _)));
}

#[test]
fn crossing_closes_send_one_close_frame_at_any_interruption() {
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
        assert_eq!(driver.over(), Event::Closed(1001, "theirs".to_owned()), "cut at {cut}");
        let (code, _) = driver.sent_close();
        assert!(code == 1000 || code == 1001, "cut at {cut}");
    }
}

#[test]
fn violation_sends_one_close_frame_at_any_interruption() {
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
        let Event::Failed(error) = driver.over() else { panic!("cut at {cut}") };
        assert_eq!(error.kind, ErrorKind::Protocol);
        let (code, _) = driver.sent_close();
        assert!(code == 1000 || code == 1002, "cut at {cut}");
    }
}

#[test]
fn replies_to_messages_before_violation_precede_close_frame() {
    let mut driver = Driver::open();
    driver.send(Text, b"queued", 1000);
    driver.feed(&[frame(true, PING, b"ping"), vec![0x83, 0]].concat(), &mut Pieces::Whole);
    driver.send(Text, b"response", 1000);
    driver.close(1000, "ours");
    assert!(matches!(driver.over(), Event::Failed(_)));
    assert_eq!(driver.sent_close().0, 1002);
    let payloads: Vec<_> = driver.sent().into_iter().map(|frame| frame.payload).collect();
    assert_eq!(payloads[..3], [b"ping".to_vec(), b"queued".to_vec(), b"response".to_vec()]);
    assert_eq!(payloads.len(), 4);
}

#[test]
fn held_close_frame_waits_for_release() {
    let mut driver = Driver::open();
    assert!(!driver.session.hold_close(), "no close frame yet");
    driver.feed(&[0x83, 0], &mut Pieces::Whole);
    assert!(driver.session.hold_close());
    for n in 1..=2 {
        assert!(!driver.session.has_to_write());
        driver.send(Text, b"response", 1000);
        driver.flush();
        assert_eq!(driver.sent().len(), n);
    }
    driver.close(1000, "ours");
    driver.flush();
    assert_eq!(driver.sent().len(), 2, "one close frame is enough");
    driver.send(Text, b"last", 1000);
    driver.session.release_close(&mut driver.outbox, driver.now);
    assert!(matches!(driver.over(), Event::Failed(_)));
    assert_eq!(driver.sent_close().0, 1002);
    assert_eq!(driver.sent()[2].payload, b"last");
    assert_eq!(driver.sent().len(), 4);
}

#[test]
fn close_frame_does_not_wait_for_much_queued_data() {
    let mut driver = Driver::open();
    driver.send(Binary, &[1; 400_000], 1 << 20);
    driver.network_takes = 1000;
    driver.flush();
    driver.send(Binary, &[2; 400_000], 1 << 20);
    driver.feed(&[0x83, 0], &mut Pieces::Whole);
    driver.session.release_close(&mut driver.outbox, driver.now);
    driver.network_takes = usize::MAX;
    assert!(matches!(driver.over(), Event::Failed(_)));
    assert_eq!(driver.sent_close().0, 1002);
    assert_eq!(driver.sent()[0].payload, [1; 400_000], "a partly written frame is completed");
    assert_eq!(driver.sent().len(), 2);
}

#[test]
fn discard_sends_one_close_frame_at_any_interruption() {
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
        driver.session.discard_and_close(&mut driver.outbox);
        driver.network_takes = usize::MAX;
        driver.flush();
        assert!(driver.session.is_done());
        let (code, _) = driver.sent_close();
        assert!(code == 1000 || code == 1001, "cut at {cut}");
    }
}

#[test]
fn end_of_stream_is_reported_by_state() {
    for error in [None, Some(lost())] {
        let mut opening = Driver::connecting(&settings());
        opening.feed(b"HTTP/1.1 101 Swi", &mut Pieces::Whole);
        opening.end(error.clone());
        let Event::Failed(reported) = opening.over() else { panic!("opening") };
        assert_eq!(reported.kind, if error.is_some() { ErrorKind::Io } else { ErrorKind::Reset });
        assert!(reported.retriable);

        for partial in [&[][..], &[0x82], &frame(false, TEXT, b"abc"), &frame(true, TEXT, b"abc")[..4]] {
            let mut open = Driver::open();
            open.send(Text, b"unsent", 1000);
            open.network_takes = 3;
            open.flush();
            open.feed(partial, &mut Pieces::Whole);
            open.end(error.clone());
            open.network_takes = usize::MAX;
            let Event::Failed(reported) = open.over() else { panic!("open") };
            assert_eq!(reported.phase, Phase::Open);
            assert_eq!(open.wire.len(), 3, "nothing is sent after the end of stream");
        }

        for network_takes in [0, 3, usize::MAX] {
            let mut closing = Driver::open();
            closing.close(1000, "");
            closing.network_takes = network_takes;
            closing.flush();
            closing.end(error.clone());
            assert!(matches!(closing.over(), Event::Closed(1006, _)));
        }

        let mut done = Driver::open();
        done.feed(&close_frame(1000, ""), &mut Pieces::Whole);
        done.flush();
        done.end(error);
        assert_eq!(done.over(), Event::Closed(1000, String::new()));
    }
}

#[test]
fn unwritten_reply_does_not_keep_session_busy() {
    let mut driver = Driver::open();
    driver.send(Binary, &[0; 5000], 1000);
    driver.network_takes = 100;
    driver.flush();
    driver.feed(&close_frame(1000, ""), &mut Pieces::Whole);
    driver.flush();
    assert!(driver.session.has_to_write());
    driver.pass(Duration::from_secs(60));
    assert!(!driver.session.has_to_write());
    assert_eq!(driver.over(), Event::Closed(1000, String::new()));
}

#[test]
fn data_queued_after_close_is_not_sent() {
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
fn silent_peer_is_pinged_and_then_lost() {
    let pings =
        PingSettings { enabled: true, frequency: Duration::from_secs(1), timeout: Duration::from_secs(2) };
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
    assert_eq!(driver.session.pings_sent(), 12, "half a header counts as received data");
    let since = driver.elapsed();
    driver.pass(Duration::from_secs(60));
    assert!(driver.events.last().unwrap().is_terminal());
    assert!(since < Duration::from_secs(13));
    let Event::Failed(error) = driver.over() else { panic!("not failed") };
    assert_eq!((error.kind, error.phase), (ErrorKind::PingTimeout, Phase::Open));
    assert!(!driver.sent().iter().any(|frame| frame.opcode == CLOSE));
}

#[test]
fn pings_stop_when_closing_starts() {
    let pings =
        PingSettings { enabled: true, frequency: Duration::from_secs(1), timeout: Duration::from_secs(2) };
    let mut driver = Driver::with(&Settings { pings, ..settings() });
    driver.close(1000, "");
    driver.flush();
    driver.pass(Duration::from_secs(10));
    assert!(matches!(driver.over(), Event::Closed(1006, _)));
    assert_eq!(driver.sent().len(), 1);
}
